// SPDX-License-Identifier: Apache-2.0
//
// Stacks: the calls that a thread waits for and those that it serves, innermost
// first; their links are in core/transaction.h. What may be sent with what is
// on the stack, and to whom; answers that come before it is their turn; and how
// a stack is cut when its thread goes.
//
// Locks: the queues mutex of the thread's Proc, which all but CheckStack find
// held; in it, one at a time, those of transactions. Calls of other threads are
// followed in a ChainWalk.
// Kernel: binder_transaction, binder_thread_release.

#ifndef BINDERLITE_DRIVER_STACK_H_
#define BINDERLITE_DRIVER_STACK_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/given_up.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/target.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// What a misuse of the stack answers (EE-07).
template <LockingPolicy L>
[[nodiscard]] Outcome StackMisused(const core::Thread<L>& self) {
  return Outcome::Failed(self.proc->context->options.quirks.rust_error_numbers
                             ? Errc::kInvalid
                             : Errc::kProtocol);
}

// Whether the state of the thread allows the call (TX-10, TX-12), and, for a
// call made while serving, to which thread of the target it must go: to the
// nearest one in the chain of callers (TX-13).
template <LockingPolicy L>
Outcome CheckStack(core::Thread<L>& self, Target<L>& target) {
  sync::MutexLock queues(self.proc->queues_mu);
  const core::Work* const first = self.todo.front();
  if (first != nullptr && first->type == core::WorkType::kTransaction &&
      self.proc->context->options.quirks.refuse_call_with_unread_call) {
    return StackMisused(self);
  }
  core::Transaction<L>* t = self.stack;
  if (t != nullptr && !t->IsServedBy(self)) return StackMisused(self);
  if (t == nullptr) return {};
  target.thread = t->SenderIn(*target.proc);
  target.via = t->id;
  if (target.thread ||
      t->from_parent.load(std::memory_order_relaxed) == nullptr) {
    return {};
  }
  const typename core::Context<L>::ChainWalk walk(*self.proc->context);
  while (!target.thread && (t = t->from_parent) != nullptr) {
    target.thread = t->SenderIn(*target.proc);
    target.via = t->id;
  }
  return {};
}

// Whether the thread has the call with that number out. It may not any more,
// since one further along the chain has been given up (driver/abandon.h).
template <LockingPolicy L>
[[nodiscard]] bool WaitsFor(const core::Thread<L>& thread, std::uint32_t id)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  for (const core::Transaction<L>* t = thread.stack; t != nullptr;
       t = t->Below(thread)) {
    if (t->id == id) return !t->IsServedBy(thread) && !t->is_answered_early();
  }
  return false;
}

// Nobody serves the call any more. It may outlive its Proc.
template <LockingPolicy L>
void CutOff(core::Transaction<L>& call) {
  call.orphan_of = core::Pin<core::Proc<L>>(call.to_proc);
  sync::MutexLock ends(call.mu);
  call.to_thread.store(nullptr, std::memory_order_release);
}

// Whether `thread` has to serve something before it may read the answer to
// `call`, which it waits for.
template <LockingPolicy L>
[[nodiscard]] bool HasToServeFirst(const core::Thread<L>& thread,
                                   const core::Transaction<L>& call)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  if (thread.stack != &call) return true;
  bool unread = false;
  thread.todo.ForEach([&unread](const core::Work& work) {
    if (work.type != core::WorkType::kTransaction) return;
    const auto& t = static_cast<const core::Transaction<L>&>(work);
    unread = unread || t.needs_reply();
  });
  return unread;
}

// `call` is answered while its sender serves calls that have come back to it:
// the answer waits on the sender's stack. With the queues mutex of the sender's
// Proc held.
template <LockingPolicy L>
void AnswerEarly(OwnedTransaction<L> call, OwnedTransaction<L> reply,
                 Br failure) {
  CutOff(*call);
  call->early_reply = reply.release();
  call->early_failure = failure;
  (void)call.release();
}

// The thread, which has nothing to do, can read what was answered early.
// Returns what is over by that.
template <LockingPolicy L>
[[nodiscard]] OwnedTransaction<L> TakeEarlyAnswer(core::Thread<L>& self)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  core::Transaction<L>* const top = self.stack;
  if (top == nullptr || top->IsServedBy(self) || !top->is_answered_early()) {
    return nullptr;
  }
  self.stack = top->from_parent;
  if (top->early_reply != nullptr) {
    EnqueueThread(self, *std::exchange(top->early_reply, nullptr));
  } else if (self.reply_error.command() == Br::BR_OK) {
    self.reply_error.Set(top->early_failure);
    EnqueueThread(self, self.reply_error);
  }
  return OwnedTransaction<L>(top);
}

// Cuts the stack of a dying thread, or what is on it above `base`, and returns
// the call that it was serving at its top, whose sender is to be told. Calls of
// its own go on without it; a call that it served further down is resolved when
// they end. This may be as soon as they have no sender any more, so from then
// on both are not to be touched. Those that had been answered early go to
// `answered`, and those who serve the others hear of it by `given_up`.
template <LockingPolicy L>
[[nodiscard]] OwnedTransaction<L> CutStack(core::Thread<L>& thread,
                                           core::WorkList& answered,
                                           GivenUpCalls<L>& given_up,
                                           core::Transaction<L>* base = nullptr)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  core::Transaction<L>* t = thread.stack;
  thread.stack = base;
  OwnedTransaction<L> failed;
  if (t != base && t->IsServedBy(thread)) failed.reset(t);
  while (t != base) {
    if (t->IsServedBy(thread)) {
      CutOff(*t);
      t = t->to_parent;
      continue;
    }
    // What it served when it made this call.
    core::Transaction<L>* const served = t->from_parent;
    core::Transaction<L>* const next =
        served != nullptr ? served->to_parent : nullptr;
    if (served != nullptr) CutOff(*served);
    sync::MutexLock ends(t->mu);
    BINDERLITE_ASSERT(t->from == &thread);
    given_up.LoseSender(*t);
    if (t->is_answered_early()) answered.PushBack(*t);
    t = next;
  }
  return failed;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_STACK_H_
