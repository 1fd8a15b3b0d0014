// SPDX-License-Identifier: Apache-2.0
//
// Freeze: one registration for the freezing and thawing of a node's owner, made
// through a Ref.
//
//   state               event                         what happens
//   ------------------  ----------------------------  -------------------------
//   idle, on its Ref    owner is frozen or thawed     queued, with the state
//   queued              owner is frozen or thawed     the queued state changes
//   queued              read (BR_FROZEN_BINDER)       on the delivered list
//   delivered           owner's state changes         to be resent
//   delivered           BC_FREEZE_NOTIFICATION_DONE   idle, or queued again if
//                                                     it is to be resent
//   idle, queued        BC_CLEAR_FREEZE_NOTIFICATION  off its Ref, queued as
//                                                     kClearFreeze...
//   delivered           BC_CLEAR_FREEZE_NOTIFICATION  off its Ref, cleared
//   delivered, cleared  BC_FREEZE_NOTIFICATION_DONE   queued as kClearFreeze...
//   queued kClear...    read (..._DONE)               destroyed
//   any, on its Ref     the Ref's last count goes     destroyed silently
//
// Everything but the cookie is guarded by the queues mutex of the Proc that
// holds the Ref. While it is on its Ref the Ref owns it, afterwards the list it
// is on. Kernel: binder_ref_freeze. libbinder: FrozenStateChangeCallback.

#ifndef BINDERLITE_CORE_FREEZE_H_
#define BINDERLITE_CORE_FREEZE_H_

#include <cstdint>

#include "binderlite/core/counts.h"
#include "binderlite/core/work.h"

namespace binderlite::core {

template <class L>
class Freeze : public Work {
 public:
  Freeze(LiveCounts& counts, std::uint64_t the_cookie)
      : Work(WorkType::kFrozenBinder), cookie(the_cookie), counted_(counts) {}

  const std::uint64_t cookie;  // Opaque to the driver.

  bool is_frozen = false;  // What was, or is to be, told last.
  bool told = false;       // What `is_frozen` was at the last delivery.
  bool delivered = false;  // Read and not yet acknowledged.
  bool resend = false;     // Changed since it was delivered.
  bool cleared = false;    // Off its Ref while delivered.

 private:
  Counted<ObjectKind::kFreeze> counted_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_FREEZE_H_
