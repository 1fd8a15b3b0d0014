// SPDX-License-Identifier: Apache-2.0
//
// Abandon: giving up the call for whose reply a thread waits, and nothing else
// of what it does. The kernel has only THREAD_EXIT for that, which also ends
// the calls that the thread is serving; to everybody else this looks the same:
//
//   the call is         what becomes of it
//   ------------------  -----------------------------------------------------
//   queued              delivered, as from a thread that is gone
//   being served        goes on; its reply fails with BR_DEAD_REPLY
//   answered, not read  the reply is dropped
//
// Calls that came back to the thread meanwhile, and that it has not read, stay
// on its list: it should read until there is nothing left.
//
// Locks: the queues mutex of the thread's Proc, and in it the transaction's.
// Afterwards waits, without them, for whoever is following chains of callers.

#ifndef BINDERLITE_DRIVER_ABANDON_H_
#define BINDERLITE_DRIVER_ABANDON_H_

#include <atomic>
#include <utility>

#include "binderlite/config.h"
#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/given_up.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::driver {

// `place`: of who runs the thread as a guest, and gives up calls of its own
// only; null: it is run by its own OS thread.
template <LockingPolicy L>
void Abandon(core::Thread<L>& self,
             const typename core::Seat<L>::Place* place) {
  core::WorkList replies;
  OwnedTransaction<L> over;  // It has been answered, to no avail.
  core::Transaction<L>* parent = nullptr;
  GivenUpCalls<L> given_up(*self.proc->context);
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (self.is_dead.load(std::memory_order_relaxed)) return;
    core::Transaction<L>* const top = self.stack;
    if (place != nullptr) {
      core::Transaction<L>* base = nullptr;
      if (!FindBase(self, place->base_id, base) || top == base) return;
    }
    if (top != nullptr && !top->IsServedBy(self)) {
      // From now on it may end at any moment, and whoever ends it then looks
      // at its parent, which is still ours to answer.
      self.stack = top->from_parent;
      sync::MutexLock ends(top->mu);
      BINDERLITE_ASSERT(top->from == &self);
      parent = top->from_parent.exchange(nullptr, std::memory_order_seq_cst);
      given_up.LoseSender(*top);
      if (top->is_answered_early()) over.reset(top);
    }
    DropErrors(self);
    TakeAnswers(self, replies);
    // What is left waits for nothing more to come with it: it has to be read.
    self.process_todo = !self.todo.empty();
  }
  // Others may have found the parent through the call a moment ago, which this
  // thread may now answer.
  if (parent != nullptr) self.proc->context->AwaitWalks();
  if (over != nullptr) {
    if (core::Transaction<L>* const reply =
            std::exchange(over->early_reply, nullptr)) {
      replies.PushBack(*reply);
    }
    FreeTransaction<L>(std::move(over));
  }
  DropReplies<L>(*self.proc, replies);
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_ABANDON_H_
