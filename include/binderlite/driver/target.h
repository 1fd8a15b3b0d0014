// SPDX-License-Identifier: Apache-2.0
//
// Targets: where a call or a one-way goes, which is a node and the Proc that
// owns it. The node comes with a local strong count, which keeps it until the
// buffer that is sent to it is freed, or nothing has been sent after all. A
// handle that cannot be resolved leaves no count behind.
//
// Locks: for the handle, the Context's or those of driver/refcount.h; then the
// node's. None is held while a policy is asked.
// Kernel: binder_transaction.

#ifndef BINDERLITE_DRIVER_TARGET_H_
#define BINDERLITE_DRIVER_TARGET_H_

#include <cstdint>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// Where a BC_TRANSACTION goes. `node` comes with a local strong count, owed by
// whoever holds the Target.
template <LockingPolicy L>
struct Target {
  core::Pin<core::Node<L>> node;
  core::Pin<core::Proc<L>> proc;
  core::Pin<core::Thread<L>> thread;  // Steered to; empty: any.
  std::uint32_t via = 0;     // The call that that waits for, by its number.
  std::uint32_t handle = 0;  // The sender's name for it.
};

// Gives back the local strong count that came with a target node.
template <LockingPolicy L>
void DropTarget(core::Node<L>& node) {
  Garbage<L> garbage;
  sync::MutexLock lock(node.mu);
  DecNode(node, Strength::kStrong, /*internal=*/false, garbage);
}

// Resolves the handle (TG-01 to TG-08).
template <LockingPolicy L>
Outcome ResolveTarget(core::Thread<L>& self, std::uint32_t handle,
                      Target<L>& target) {
  core::Proc<L>& proc = *self.proc;
  core::Pin<core::Node<L>> pin;
  core::Context<L>& context = *proc.context;
  if (handle == 0) {
    pin = context.Manager();
    if (!pin) return Outcome::Dead(Errc::kInvalid);
  } else {
    pin = NodeOfHandle(proc, handle, Strength::kStrong);
    if (!pin) {
      return Outcome::Failed(context.options.quirks.rust_error_numbers
                                 ? Errc::kNoEntry
                                 : Errc::kInvalid);
    }
  }
  {
    core::Node<L>& node = *pin;
    sync::MutexLock lock(node.mu);
    core::Proc<L>* const owner = node.owner;
    if (owner == nullptr) return Outcome::Dead(Errc::kInvalid);
    if (node.erased) return Outcome::Failed(Errc::kInvalid);
    if (owner == &proc ||
        (handle == 0 && owner->options.pid == proc.options.pid &&
         !context.options.quirks.call_manager_of_same_pid)) {
      return Outcome::Failed(Errc::kInvalid);
    }
    const Errc error =
        IncNode<L>(node, Strength::kStrong, /*internal=*/false, nullptr);
    if (error != Errc::kOk) return Outcome::Failed(error);
    target.proc = core::Pin<core::Proc<L>>(owner);
  }
  SecurityPolicy* const policy = context.options.policy;
  if (policy != nullptr &&
      !policy->MayTransact(proc.credentials(), target.proc->credentials())) {
    DropTarget(*pin);
    return Outcome::Failed(Errc::kNotPermitted);
  }
  target.node = std::move(pin);
  target.handle = handle;
  return {};
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_TARGET_H_
