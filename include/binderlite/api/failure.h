// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a call that the driver cannot carry out, or whose answer it
// cannot bring, as a Status.
//
// No locks here but the driver's, for the numbers of kOutOfMemory.

#ifndef BINDERLITE_API_FAILURE_H_
#define BINDERLITE_API_FAILURE_H_

#include <cstdint>
#include <string>

#include "binderlite/api/process.h"
#include "binderlite/api/status.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::api_internal {

// What the receive memory behind `handle` has left.
template <LockingPolicy L>
[[nodiscard]] Status OutOfMemory(Process<L>& process, std::uint32_t handle,
                                 std::uint64_t wanted) {
  Shortage shortage{.wanted = wanted};
  if (const auto usage = process.proc.MemoryBehind(handle)) {
    shortage.free = usage->free_bytes;
    shortage.size = usage->size;
  }
  return Status::OutOfMemory(shortage);
}

// The same of our own, which has no room for a result.
template <LockingPolicy L>
[[nodiscard]] Status OutOfOwnMemory(Process<L>& process, std::uint64_t wanted) {
  const auto usage = process.proc.state().arena.usage();
  return Status::OutOfMemory(
      {.wanted = wanted, .free = usage.free_bytes, .size = usage.size},
      Delivery::kYes);
}

[[nodiscard]] inline Status Closed(Delivery delivery) {
  return Status(StatusCode::kClosed, delivery);
}

// Why a call of `handle` with `size` bytes could not be sent.
template <LockingPolicy L>
[[nodiscard]] Status StatusOf(Process<L>& process, Errc error,
                              std::uint32_t handle, std::uint64_t size) {
  switch (error) {
    case Errc::kNoProcess:
      return Status(StatusCode::kDead);
    case Errc::kNoSpace:
      return OutOfMemory(process, handle, size);
    case Errc::kNotPermitted:
      return Status(StatusCode::kRefused);
    case Errc::kClosed:
    case Errc::kKilled:
      return Closed(Delivery::kNo);
    default:
      return Status(StatusCode::kFailed, Delivery::kNo,
                    std::string(ToString(error)));
  }
}

// What `failure` says of a call that `thread` has made, as above.
template <LockingPolicy L>
[[nodiscard]] Status StatusOf(Process<L>& process, BasicThread<L>& thread,
                              const Incoming& failure, std::uint32_t handle,
                              std::uint64_t size) {
  if (failure.command == Br::BR_FROZEN_REPLY) {
    return Status(StatusCode::kFrozen);
  }
  // Set if it was the sending that failed, of the call or of its result.
  ExtendedError why = {};
  (void)thread.GetExtendedError(why);
  const bool known = why.command == static_cast<std::uint32_t>(failure.command);
  const auto error = known ? static_cast<Errc>(-why.param) : Errc::kOk;
  if (failure.command == Br::BR_DEAD_REPLY) {
    return Status(StatusCode::kDead,
                  failure.was_sent ? Delivery::kUnknown : Delivery::kNo);
  }
  if (!failure.was_sent) return StatusOf(process, error, handle, size);
  if (!known) {
    return Status(StatusCode::kFailed, Delivery::kUnknown,
                  "the callee did not answer");
  }
  switch (error) {
    case Errc::kNoSpace:
      return OutOfOwnMemory(process, 0);
    case Errc::kNotPermitted:
      return Status(StatusCode::kRefused, Delivery::kYes,
                    "the result may not be sent");
    default:
      return Status(
          StatusCode::kFailed, Delivery::kYes,
          "the result cannot be sent: " + std::string(ToString(error)));
  }
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_FAILURE_H_
