// SPDX-License-Identifier: Apache-2.0
//
// Errc: what a driver call answers. The values are the positive errno numbers
// that the kernel's ioctl would leave in errno, plus three of our own:
// kTimedOut (the call's deadline), kClosed (its Proc has been closed) and
// kKilled (its Proc, its Thread or its own stop_token was asked to stop).
//
// Plain data: no locks, nothing to fail.

#ifndef BINDERLITE_WIRE_ERRC_H_
#define BINDERLITE_WIRE_ERRC_H_

#include <cerrno>
#include <string_view>

namespace binderlite {

// clang-format off: version 14 takes an enum with an attribute for a function.
enum class [[nodiscard]] Errc : int{
    kOk = 0,
    // A blocking wait was interrupted; the call can be repeated as it is.
    kInterrupted = EINTR,
    // Nothing to deliver and the Proc is non-blocking.
    kWouldBlock = EAGAIN,
    // The deadline passed; like kWouldBlock, nothing was lost.
    kTimedOut = ETIMEDOUT,
    // User memory could not be read or written.
    kFault = EFAULT,
    // An argument, or a command at this point, that makes no sense.
    kInvalid = EINVAL,
    // It is there already, or in use by another call.
    kBusy = EBUSY,
    // A policy, the receiver, or who the context manager is, does not allow it.
    kNotPermitted = EPERM,
    // No such handle, as the Rust driver says it (Quirks).
    kNoEntry = ENOENT,
    // The system has no memory, or no address space, left.
    kNoMemory = ENOMEM,
    // The receiver's arena has no room.
    kNoSpace = ENOSPC,
    // The thread's transaction stack has no place for it.
    kProtocol = EPROTO,
    // The Proc that it concerns is being torn down, or has no arena.
    kNoProcess = ESRCH,
    // A descriptor that is not open.
    kBadFile = EBADF,
    // The Proc has been closed.
    kClosed = ENODEV,
    // The call was killed. Nothing was dequeued and lost; commands that had
    // been completed stay completed (write_consumed tells).
    kKilled = ECANCELED,
};
// clang-format on

// The errno's own name ("EAGAIN"); "killed" for kKilled.
[[nodiscard]] constexpr std::string_view ToString(Errc error) {
  switch (error) {
    case Errc::kOk:
      return "OK";
    case Errc::kInterrupted:
      return "EINTR";
    case Errc::kWouldBlock:
      return "EAGAIN";
    case Errc::kTimedOut:
      return "ETIMEDOUT";
    case Errc::kFault:
      return "EFAULT";
    case Errc::kInvalid:
      return "EINVAL";
    case Errc::kBusy:
      return "EBUSY";
    case Errc::kNotPermitted:
      return "EPERM";
    case Errc::kNoEntry:
      return "ENOENT";
    case Errc::kNoMemory:
      return "ENOMEM";
    case Errc::kNoSpace:
      return "ENOSPC";
    case Errc::kProtocol:
      return "EPROTO";
    case Errc::kNoProcess:
      return "ESRCH";
    case Errc::kBadFile:
      return "EBADF";
    case Errc::kClosed:
      return "ENODEV";
    case Errc::kKilled:
      return "killed";
  }
  return "E?";
}

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_ERRC_H_
