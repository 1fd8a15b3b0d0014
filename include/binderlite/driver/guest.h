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
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/completion.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/given_up.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"

namespace binderlite::driver {

// What was on the stack of a guest when it began, by its number
// (Place::base_id). False: it has been resolved since, and so has all that was
// above it.
template <LockingPolicy L>
[[nodiscard]] bool FindBase(const core::Thread<L>& thread,
                            std::uint32_t base_id, core::Transaction<L>*& base)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  base = nullptr;
  if (base_id == 0) return true;
  for (core::Transaction<L>* t = thread.stack; t != nullptr;
       t = t->Below(thread)) {
    if (t->id == base_id) {
      base = t;
      return true;
    }
  }
  return false;
}

// Whether a guest has anything to wait for. Once the call is answered, it has
// not; and what is on its list if its base is gone is for its owner.
enum class Prospect : std::uint8_t { kMore, kOnlyWhatIsThere, kNothing };
template <LockingPolicy L>
[[nodiscard]] Prospect ProspectOf(const core::Thread<L>& thread,
                                  const typename core::Seat<L>::Place& place)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  core::Transaction<L>* base = nullptr;
  if (!FindBase(thread, place.base_id, base)) return Prospect::kNothing;
  return thread.stack == base ? Prospect::kOnlyWhatIsThere : Prospect::kMore;
}

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
      other.proc->queues_mu.AssertHeld();
      core::Proc<L>& proc = *other.proc;
      proc.queues_mu.AssertHeld();
      sync::MutexLock waiters(proc.waiters_mu);
      loan.handler = UseHandler(proc);
    });
    return static_cast<bool>(loan);
  });
  return loan;
}

// Before the call is on its stack. What the thread has to read about what it
// has sent before is not for the handler.
template <LockingPolicy L>
void BeginServing(core::Thread<L>& thread, typename core::Seat<L>::Place& place)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  place.serves = true;
  const core::Transaction<L>* const base = thread.stack;
  place.base_id = base != nullptr ? base->id : 0;
  thread.guest_need_return.store(false, std::memory_order_relaxed);
  ForEachCompletion(thread, [&place](core::Completion& completion) {
    completion.Unlink();
    place.aside.PushBack(completion);
  });
}

// The thread has to read again what was not for the handler.
template <LockingPolicy L>
void TakeBackAside(core::Thread<L>& thread, core::WorkList& aside)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  if (thread.todo.empty()) thread.process_todo = false;
  while (core::Work* const work = aside.PopBack()) {
    thread.todo.PushFront(*work);
  }
}

// Whether a handler has left nothing undone, so that FinishServing would do no
// more than take back what was put aside.
template <LockingPolicy L>
[[nodiscard]] bool LeftNothing(const core::Thread<L>& thread,
                               std::uint32_t base_id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  core::Transaction<L>* base = nullptr;
  return !thread.is_dead && thread.todo.empty() &&
         FindBase(thread, base_id, base) && thread.stack == base;
}

// Drops the failures of what the handler has sent that it has not read.
template <LockingPolicy L>
void DropErrors(core::Thread<L>& thread)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  for (core::ReturnError* const error :
       {&thread.return_error, &thread.reply_error}) {
    if (!error->queued()) continue;
    error->Unlink();
    thread.commands.Count(error->Take());
  }
}

// Takes off the thread's list what it has not read of its own sending:
// completions, which are dropped, and replies.
template <LockingPolicy L>
void TakeAnswers(core::Thread<L>& thread, core::WorkList& replies)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  ForEachCompletion(thread, [&thread](core::Completion& completion) {
    thread.proc->queues_mu.AssertHeld();
    completion.Unlink();
    thread.commands.Count(CompletionCode(*thread.proc, completion.type));
    DeleteCompletion(thread, std::unique_ptr<core::Completion>(&completion));
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
}

// Drops replies to a thread of `proc` that nobody will read. No locks are held.
template <LockingPolicy L>
void DropReplies(core::Proc<L>& proc, core::WorkList& replies) {
  while (core::Work* const work = replies.PopFront()) {
    OwnedTransaction<L> reply(static_cast<core::Transaction<L>*>(work));
    FreeBuffer(proc, *std::exchange(reply->buffer, nullptr));
    FreeTransaction<L>(std::move(reply));
  }
}

// Ends what a handler has left undone: the call, if it has not been answered,
// calls of its own that are still out, which go on without a sender, and what
// it has not read of all that. Everything else on the thread's list is for its
// owner.
template <LockingPolicy L>
void FinishServing(core::Thread<L>& thread, std::uint32_t base_id,
                   core::WorkList& aside) {
  core::Proc<L>& proc = *thread.proc;
  OwnedTransaction<L> unanswered;
  core::WorkList answered;
  core::WorkList replies;
  std::optional<int> priority;
  GivenUpCalls<L> given_up(*proc.context);
  {
    sync::MutexLock queues(thread.proc->queues_mu);
    if (thread.is_dead) return;
    core::Transaction<L>* base = nullptr;
    const bool at_base = FindBase(thread, base_id, base);
    if (at_base) {
      for (core::Transaction<L>* t = thread.stack; t != base;
           t = t->Below(thread)) {
        if (t->IsServedBy(thread)) priority = t->saved_priority;
      }
      unanswered = CutStack(thread, answered, given_up, base);
      DropErrors(thread);
    }
    TakeAnswers(thread, replies);
    TakeBackAside(thread, aside);
  }
  DropReplies<L>(proc, replies);
  {
    Wakeups<L> wakeups;
    DropAnswered<L>(answered, Dropped::kThreadDies, wakeups);
  }
  if (Priorities* const priorities = proc.context->options.priorities;
      priorities != nullptr && priority.has_value()) {
    priorities->Set(proc.options.pid, thread.tid, *priority);
  }
  if (unanswered == nullptr) return;
  // Nobody can answer in a Proc that is closed.
  const bool gone =
      proc.closed.load(std::memory_order_acquire) || proc.kill.stop_requested();
  SendFailedReply<L>(std::move(unanswered),
                     gone ? Br::BR_DEAD_REPLY : Br::BR_FAILED_REPLY);
}

// The same by the owner of a thread that has been given back without it.
template <LockingPolicy L>
void FinishForGuest(core::Thread<L>& thread) {
  if (!thread.unfinished.load(std::memory_order_relaxed) ||
      !thread.unfinished.exchange(false, std::memory_order_acquire)) {
    return;
  }
  core::WorkList nothing;
  FinishServing<L>(thread, 0, nothing);
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
