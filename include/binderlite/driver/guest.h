// SPDX-License-Identifier: Apache-2.0
//
// Guests: what is special about a thread that serves a call on an OS thread
// which is not its own, or which is in another call of it (driver/loan.h): what
// it must not read, what it leaves undone, and what it does for others on its
// seat while it waits.
//
// Locks: the queues mutex of the thread's Proc, for a moment each time.

#ifndef BINDERLITE_DRIVER_GUEST_H_
#define BINDERLITE_DRIVER_GUEST_H_

#include <atomic>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/release.h"
#include "binderlite/driver/transact.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"

namespace binderlite::driver {

// The oldest call that another thread on the seat has to serve, which its OS
// thread, being here, cannot read.
template <LockingPolicy L>
[[nodiscard]] core::Loan<L> TakeCallOfOthers(const core::Seat<L>& seat,
                                             const core::Thread<L>& self) {
  core::Loan<L> loan;
  seat.AnyOf([&](core::Thread<L>& other) {
    if (&other == &self) return false;
    sync::MutexLock queues(other.proc->queues_mu);
    other.todo.ForEach([&](core::Work& work) {
      if (loan || work.type != core::WorkType::kTransaction) return;
      auto& transaction = static_cast<core::Transaction<L>&>(work);
      if (!transaction.needs_reply()) return;
      work.Unlink();
      loan.call.reset(&transaction);
      loan.to = core::Pin<core::Thread<L>>(&other);
    });
    return static_cast<bool>(loan);
  });
  return loan;
}

// Calls fn(completion) for what the thread has to read about its own sending.
template <LockingPolicy L, class F>
void ForEachCompletion(core::Thread<L>& thread, F fn)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  thread.todo.ForEach([&fn](core::Work& work) {
    if (work.type == core::WorkType::kTransactionComplete ||
        work.type == core::WorkType::kPendingFrozen ||
        work.type == core::WorkType::kSpamSuspect) {
      fn(static_cast<core::Completion&>(work));
    }
  });
}

// Before the call is read. What the thread has to read about what it has sent
// before is not for the handler.
template <LockingPolicy L>
void BeginServing(core::Thread<L>& thread, typename core::Seat<L>::Place& place)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  place.serves = true;
  place.base = thread.stack;
  ForEachCompletion(thread, [&place](core::Completion& completion) {
    completion.Unlink();
    place.aside.PushBack(completion);
  });
}

// Ends what a handler has left undone: the call, if it has not been answered,
// calls of its own that are still out, which go on without a
// sender, and what it has not read of all that. Everything else that is on the
// thread's list is for its owner.
// `base`: its stack before that; `aside`: what BeginServing has put there.
template <LockingPolicy L>
void FinishServing(core::Thread<L>& thread, core::Transaction<L>* base,
                   core::WorkList& aside) {
  core::Proc<L>& proc = *thread.proc;
  OwnedTransaction<L> unanswered;
  core::WorkList replies;
  {
    sync::MutexLock queues(thread.proc->queues_mu);
    if (thread.is_dead) return;
    unanswered = CutStack(thread, base);
    for (core::ReturnError* const error :
         {&thread.return_error, &thread.reply_error}) {
      if (!error->queued()) continue;
      error->Unlink();
      thread.commands.Count(error->Take());
    }
    ForEachCompletion(thread, [&thread](core::Completion& completion) {
      thread.proc->queues_mu.AssertHeld();
      completion.Unlink();
      thread.commands.Count(CompletionCode(*thread.proc, completion.type));
      thread.spare_completions.Delete(
          std::unique_ptr<core::Completion>(&completion));
    });
    thread.todo.ForEach([&replies](core::Work& work) {
      if (work.type != core::WorkType::kTransaction ||
          static_cast<core::Transaction<L>&>(work).kind !=
              core::TransactionKind::kReply) {
        return;
      }
      work.Unlink();
      replies.PushBack(work);
    });
    if (thread.todo.empty()) thread.process_todo = false;
    while (core::Work* const work = aside.PopBack()) {
      thread.todo.PushFront(*work);
    }
  }
  while (core::Work* const work = replies.PopFront()) {
    OwnedTransaction<L> reply(static_cast<core::Transaction<L>*>(work));
    FreeBuffer(*thread.proc, *std::exchange(reply->buffer, nullptr));
    FreeTransaction<L>(std::move(reply));
  }
  if (unanswered == nullptr) return;
  RestorePriority(thread, *unanswered);
  // Nobody can answer in a Proc that is closed.
  const bool gone =
      proc.closed.load(std::memory_order_acquire) || proc.kill.stop_requested();
  SendFailedReply<L>(std::move(unanswered),
                     gone ? Br::BR_DEAD_REPLY : Br::BR_FAILED_REPLY);
}

// What of it is left if the thread has died.
template <LockingPolicy L>
void DropAside(typename core::Seat<L>::Place& place) {
  while (core::Work* const work = place.aside.PopFront()) {
    delete static_cast<core::Completion*>(work);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_GUEST_H_
