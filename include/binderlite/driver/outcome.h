// SPDX-License-Identifier: Apache-2.0
//
// Outcome: what has become of a transaction or a reply that was to be sent.
//
// Plain data: no locks, nothing to fail.

#ifndef BINDERLITE_DRIVER_OUTCOME_H_
#define BINDERLITE_DRIVER_OUTCOME_H_

#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

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

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_OUTCOME_H_
