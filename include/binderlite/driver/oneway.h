// SPDX-License-Identifier: Apache-2.0
//
// One-ways: at most one of each node is in its owner's hands, from being queued
// until its buffer is freed (Node::has_async). The others wait at the node, in
// the order in which they were accepted.
//
// Locks: the node's and, in it, the queues mutex of its owner.
// Kernel: binder_proc_transaction, binder_free_buf.

#ifndef BINDERLITE_DRIVER_ONEWAY_H_
#define BINDERLITE_DRIVER_ONEWAY_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/build.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/queue.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/target.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"

namespace binderlite::driver {

// The one-way waiting at `node` that `update` replaces: the first one that is
// the same but for its payload, if both are sent to be replaced (AS-12).
template <LockingPolicy L>
[[nodiscard]] core::Transaction<L>* FindOutdated(
    core::Node<L>& node, const core::Transaction<L>& update)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  constexpr std::uint32_t kBoth = kTfOneWay | kTfUpdateTxn;
  if ((update.flags & kBoth) != kBoth) return nullptr;
  core::Transaction<L>* found = nullptr;
  node.async_todo.ForEach([&](core::Work& work) {
    auto& waiting = static_cast<core::Transaction<L>&>(work);
    if (found == nullptr && waiting.code == update.code &&
        waiting.flags == update.flags &&
        waiting.sender_pid == update.sender_pid) {
      found = &waiting;
    }
  });
  return found;
}

// Queues a one-way: like a call that is not steered if its node has none on
// the way, behind the others at the node otherwise (AS-01, AS-02). `to_frozen`:
// it will have to wait for its Proc to be thawed.
template <LockingPolicy L>
Outcome QueueOneWay(core::Thread<L>& self, core::Transaction<L>& transaction,
                    const Target<L>& target, bool& to_frozen) {
  OwnedTransaction<L> outdated;
  {
    Wakeup<L> wakeup;
    core::Node<L>& node = *target.node;
    core::Proc<L>& proc = *target.proc;
    sync::MutexLock lock(node.mu);
    if (!node.has_async) {
      const Outcome outcome =
          QueueCall(self, transaction, target, wakeup, to_frozen);
      node.has_async = outcome.ok();
      return outcome;
    }
    if (node.owner == nullptr) return Outcome::Dead(Errc::kOk);
    {
      sync::MutexLock queues(proc.queues_mu);
      RefillSpares(self, proc);
      to_frozen = proc.is_frozen.load(std::memory_order_relaxed);
      const Outcome outcome = Accepts(proc, /*one_way=*/true);
      if (!outcome.ok()) return outcome;
      proc.outstanding.Begin();
    }
    if (to_frozen) {
      outdated.reset(FindOutdated(node, transaction));
      if (outdated != nullptr) outdated->Unlink();
    }
    node.async_todo.PushBack(transaction);
  }
  if (outdated != nullptr) {
    Unbuild(*outdated);
    FreeTransaction<L>(std::move(outdated));
  }
  return {};
}

// The next one-way of a node that has one in its owner's hands (AS-03).
template <LockingPolicy L>
void AdvanceOneWays(core::Node<L>& node, Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  core::Proc<L>* const owner = node.owner;
  if (owner == nullptr) return;
  core::Work* const next = node.async_todo.PopFront();
  if (next == nullptr) {
    node.has_async = false;
    return;
  }
  sync::MutexLock queues(owner->queues_mu);
  EnqueueProc(*owner, *next, wakeup);
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_ONEWAY_H_
