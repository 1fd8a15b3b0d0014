// SPDX-License-Identifier: Apache-2.0
//
// Death: one registration for the death of a node, made through a Ref.
//
//   state               event                        what happens
//   ------------------  ---------------------------  ------------------------
//   armed, on its Ref   owner dies                   queued as kDeadBinder
//   armed               BC_CLEAR_DEATH_NOTIFICATION  queued as kClear..., off
//                                                    its Ref
//   queued kDeadBinder  read (BR_DEAD_BINDER)        on the delivered list
//   queued, delivered   BC_CLEAR_DEATH_NOTIFICATION  kDeadBinderAndClear, off
//                                                    its Ref
//   delivered           BC_DEAD_BINDER_DONE          off the list, still armed
//                                                    on its Ref, never to be
//                                                    queued as dead again
//   delivered AndClear  BC_DEAD_BINDER_DONE          queued as kClear...
//   queued kClear...    read (..._DONE)              destroyed
//   any, on its Ref     the Ref's last count goes    destroyed silently
//
// Its list and type are guarded by the queues mutex of the Proc that holds the
// Ref. While it is on its Ref the Ref owns it, afterwards the list it is on.
// Kernel: binder_ref_death. libbinder: DeathRecipient.

#ifndef BINDERLITE_CORE_DEATH_H_
#define BINDERLITE_CORE_DEATH_H_

#include <cstdint>

#include "binderlite/core/counts.h"
#include "binderlite/core/work.h"

namespace binderlite::core {

template <class L>
class Death : public Work {
 public:
  Death(LiveCounts& counts, std::uint64_t the_cookie)
      : Work(WorkType::kDeadBinder), cookie(the_cookie), counted_(counts) {}

  const std::uint64_t cookie;  // Opaque to the driver.

 private:
  Counted<ObjectKind::kDeath> counted_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_DEATH_H_
