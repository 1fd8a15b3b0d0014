// SPDX-License-Identifier: Apache-2.0
//
// Incoming: a return command as a record, for callers that have no use for a
// byte stream.

#ifndef BINDERLITE_DRIVER_INCOMING_H_
#define BINDERLITE_DRIVER_INCOMING_H_

#include <cstdint>

#include "binderlite/wire/commands.h"
#include "binderlite/wire/structs.h"

namespace binderlite {

// One return command, decoded.
struct Incoming {
  Br command = Br::BR_NOOP;  // BR_NOOP: there was nothing to be read.
  // BR_TRANSACTION and BR_REPLY. `buffer` is to be freed by FreeBuffer.
  TransactionData transaction = {};
  // The sender's label, if its node asked for it (BR_TRANSACTION_SEC_CTX, which
  // has the number of BR_TRANSACTION): its address in the buffer; 0: none.
  std::uint64_t label = 0;
  // BR_INCREFS, BR_ACQUIRE, BR_RELEASE, BR_DECREFS; of BR_DEAD_BINDER,
  // BR_FROZEN_BINDER and the confirmations, the cookie.
  PtrCookie node = {};
  bool is_frozen = false;  // BR_FROZEN_BINDER.
  // BR_FAILED_REPLY and BR_DEAD_REPLY: what has failed is not the sending of
  // the call, but what has become of it since.
  bool was_sent = false;

  // BR_TRANSACTION, with a label or without.
  [[nodiscard]] bool is_transaction() const {
    return command == Br::BR_TRANSACTION ||
           command == Br::BR_TRANSACTION_SEC_CTX;
  }
};

}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_INCOMING_H_
