// SPDX-License-Identifier: Apache-2.0
//
// Errc: what a driver call answers. The values are the positive errno numbers
// that the kernel's ioctl would leave in errno, plus one that the kernel does
// not need: kKilled, the answer of a call that ended because its Proc, its
// Thread or its own stop_token was asked to stop.
//
// Plain data: no locks, nothing to fail.

#ifndef BINDERLITE_WIRE_ERRC_H_
#define BINDERLITE_WIRE_ERRC_H_

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "binderlite/wire/commands.h"

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
    kInvalid = EINVAL,
    kBusy = EBUSY,
    kNotPermitted = EPERM,
    kNoEntry = ENOENT,
    kNoMemory = ENOMEM,
    kNoSpace = ENOSPC,
    kProtocol = EPROTO,
    kNoProcess = ESRCH,
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

// Why a transaction or a reply could not be carried out: the return command
// that its sender will read, and the errno that GET_EXTENDED_ERROR adds to it.
// {BR_OK, kOk} is success.
struct [[nodiscard]] Outcome {
  Br reply = Br::BR_OK;    // what the sender reads
  Errc error = Errc::kOk;  // what it finds out on request

  // Whether it could be carried out.
  [[nodiscard]] constexpr bool ok() const { return reply == Br::BR_OK; }

  // It cannot be sent like this.
  static constexpr Outcome Failed(Errc why) {
    return {Br::BR_FAILED_REPLY, why};
  }
  // There is nobody to get it any more.
  static constexpr Outcome Dead(Errc why) { return {Br::BR_DEAD_REPLY, why}; }
  // Whoever is to get it is frozen.
  static constexpr Outcome Frozen() { return {Br::BR_FROZEN_REPLY, Errc::kOk}; }
  // Accepted, and yet its sender reads it like a failure (FZ-11).
  static constexpr Outcome PendingFrozen() {
    return {Br::BR_TRANSACTION_PENDING_FROZEN, Errc::kOk};
  }
};

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_ERRC_H_
