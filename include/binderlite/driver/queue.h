// SPDX-License-Identifier: Apache-2.0
//
// Queueing: how a call comes to its target: to the thread that it is steered
// to, to one that waits, or on the Proc's list; or to the OS thread of its
// caller (driver/loan.h). One-ways that have to wait for others are in
// driver/oneway.h, and what goes for work of any kind is in driver/route.h.
//
// What has been queued is its receiver's, what has not stays its sender's.
//
// Locks: the queues mutex of the target's Proc and, in it, the waiters mutex.
// Kernel: binder_proc_transaction.

#ifndef BINDERLITE_DRIVER_QUEUE_H_
#define BINDERLITE_DRIVER_QUEUE_H_

#include <atomic>
#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/fetch.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/poll.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/target.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// Whether something may be queued to `proc` now. A frozen one takes one-ways
// only, and remembers what arrived (FZ-10, FZ-11).
template <LockingPolicy L>
Outcome Accepts(core::Proc<L>& proc, bool one_way)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  if (proc.is_frozen.load(std::memory_order_relaxed)) {
    (one_way ? proc.async_received : proc.sync_received) = true;
    if (!one_way) return Outcome::Frozen();
  }
  return proc.is_dead ? Outcome::Dead(Errc::kOk) : Outcome();
}

// Takes from `proc` what its threads have to spare, if `self` has nothing left:
// no more than it keeps, or it would end up with its own Proc.
template <LockingPolicy L>
void RefillSpares(core::Thread<L>& self, core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  if (self.spare_transactions.count() == 0) {
    constexpr std::size_t kMost = core::Thread<L>::kOwnSpares;
    const std::size_t there = proc.spare_transactions.count();
    proc.spare_transactions.MoveTo(self.spare_transactions,
                                   there > kMost ? there - kMost : 0);
  }
}

// The thread that serves a call on the OS thread that makes it, if it is to be.
template <LockingPolicy L>
struct Here {
  core::Seat<L>* seat = nullptr;  // Null: it is not, unless...
  // ... the thread that it is steered to sits here.
  const core::Seat<L>& sits_at;
  core::Pin<core::Thread<L>> thread = {};
  core::HandlerInUse<L>* handler = nullptr;  // What serves it.
  bool lent = false;
};

// Whether a call to `target` may be served on the OS thread that makes it. Both
// sides must have what serves calls there: the caller may be called back while
// its OS thread is busy with this one.
template <LockingPolicy L>
[[nodiscard]] bool MayServeHere(const core::Proc<L>& from,
                                const Target<L>& target) {
  return target.node->on_callers.load(std::memory_order_relaxed) &&
         target.proc->has_call_handler.load(std::memory_order_relaxed) &&
         from.has_call_handler.load(std::memory_order_relaxed);
}

// Queues a call at its target: on the thread it is steered to, on that of a
// thread that waits, or on the Proc's list. The transaction stays the caller's
// on failure, and if it is to be served here. `to_frozen`: the Proc is frozen.
template <LockingPolicy L>
Outcome QueueCall(core::Thread<L>& self, core::Transaction<L>& transaction,
                  const Target<L>& target, Wakeup<L>& wakeup, bool& to_frozen,
                  Here<L>* here = nullptr) {
  core::Proc<L>& proc = *target.proc;
  core::Thread<L>* thread = target.thread.get();
  sync::MutexLock queues(proc.queues_mu);
  RefillSpares(self, proc);
  if (thread != nullptr) thread->proc->queues_mu.AssertHeld();
  to_frozen = proc.is_frozen.load(std::memory_order_relaxed);
  const Outcome outcome =
      Accepts(proc, transaction.kind == core::TransactionKind::kOneWay);
  if (!outcome.ok()) return outcome;
  if (thread != nullptr && thread->is_dead) return Outcome::Dead(Errc::kOk);
  if (thread != nullptr) {
    thread->proc->queues_mu.AssertHeld();
    if (!WaitsFor(*thread, target.via)) {
      thread = nullptr;
      transaction.steered_to = 0;
    }
  }
  proc.outstanding.Begin();
  if (thread == nullptr) {
    sync::MutexLock waiters(proc.waiters_mu);
    thread = TakeWaiting(proc);
    if (thread != nullptr && here != nullptr && here->seat != nullptr &&
        proc.call_handler != nullptr) {
      thread->proc->queues_mu.AssertHeld();
      thread->proc->waiters_mu.AssertHeld();
      thread->runner = here->seat->task;
      thread->lent.store(true, std::memory_order_relaxed);
      here->thread = core::Pin<core::Thread<L>>(thread);
      here->handler = UseHandler(proc);
      here->lent = true;
      return {};
    }
  } else if (here != nullptr && here->sits_at.Holds(*thread)) {
    here->thread = target.thread;
    sync::MutexLock waiters(proc.waiters_mu);
    here->handler = UseHandler(proc);
    return {};
  }
  if (thread == nullptr) {
    proc.todo.PushBack(transaction);
    if (ConcernsPollers(proc)) wakeup.Tell(proc);
    return {};
  }
  thread->proc->queues_mu.AssertHeld();
  if (transaction.kind == core::TransactionKind::kCall) {
    SeeCall(self, target.handle, *thread, transaction);
  }
  EnqueueThread(*thread, transaction, wakeup);
  return {};
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_QUEUE_H_
