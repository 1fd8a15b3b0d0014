// SPDX-License-Identifier: Apache-2.0
//
// Routing: which queue an item of work goes to, and which thread is woken for
// it.
//
// Work for a Proc goes to the thread that began to wait last (LIFO), which is
// taken off the waiting list at once, so that a burst reaches distinct threads
// before any of them runs. A thread is taken for one of two reasons:
//
//   handed over  the item is put on the thread's own list; nobody else may
//                take it, so there is nothing to hand on if the thread leaves
//   to look      the item stays on the Proc's list and the thread owes it a
//                look (Thread::owes_look). If it leaves without having looked,
//                it passes the debt to another waiting thread.
//
// Waking is done by Wakeup objects, after the locks are released. They also
// tell the Proc's ReadinessListener of work for threads that poll.
// Kernel: binder_select_thread_ilocked, binder_wakeup_proc_ilocked.

#ifndef BINDERLITE_DRIVER_ROUTE_H_
#define BINDERLITE_DRIVER_ROUTE_H_

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/readiness.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/poll.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"

namespace binderlite::driver {

// The promise to wake a thread or to tell pollers, kept on destruction. Declare
// it before the lock under which the thread is chosen, so that it is destroyed
// after it.
template <LockingPolicy L>
class [[nodiscard]] Wakeup {
 public:
  Wakeup() = default;
  // `pinned` need not be pinned once more: somebody else has a Pin.
  explicit Wakeup(const core::Thread<L>& pinned) : pinned_(&pinned) {}
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  ~Wakeup() {
    if (known_ != nullptr) known_->task->parker.Wake();
    if (!others_.has_value()) return;
    for (const core::Pin<core::Thread<L>>& thread : others_->threads) {
      if (thread) thread->task->parker.Wake();
    }
    for (const core::Pin<core::Task<L>>& runner : others_->runners) {
      if (runner) runner->parker.Wake();
    }
    if (others_->listener != nullptr) others_->listener->OnReady();
  }

  // Whoever runs `thread`, which may be null. With its queues mutex held, and
  // not its waiters mutex.
  void Set(core::Thread<L>* thread) {
    if (thread == nullptr) return;
    if (thread->lent.load(std::memory_order_relaxed)) {
      sync::MutexLock waiters(thread->proc->waiters_mu);
      if (core::Task<L>* const runner = thread->runner) {
        return Add(others().runners, core::Pin<core::Task<L>>(runner));
      }
    }
    SetOwner(thread);
  }

  // The OS thread that `thread` belongs to, whoever runs it.
  void SetOwner(core::Thread<L>* thread) {
    if (thread == pinned_) {
      known_ = thread;
      return;
    }
    Add(others().threads, core::Pin<core::Thread<L>>(thread));
  }

  // The Proc's listener, if it has one, is to be told.
  void Tell(const core::Proc<L>& proc) {
    if (proc.options.readiness == nullptr) return;
    std::shared_ptr<ReadinessListener>& listener = others().listener;
    BINDERLITE_ASSERT(listener == nullptr ||
                      listener == proc.options.readiness);
    listener = proc.options.readiness;
  }

 private:
  // One, as a rule; two when the strong and the weak count of a node go at once
  // and its owner reads in between.
  struct Others {
    std::array<core::Pin<core::Thread<L>>, 2> threads;
    std::array<core::Pin<core::Task<L>>, 2> runners;  // Of lent threads.
    std::shared_ptr<ReadinessListener> listener;
  };
  [[nodiscard]] Others& others() {
    if (!others_.has_value()) others_.emplace();
    return *others_;
  }
  template <class T>
  static void Add(std::array<core::Pin<T>, 2>& pins, core::Pin<T> pin) {
    core::Pin<T>& free = pins[pins[0] ? 1 : 0];
    BINDERLITE_ASSERT(!free);
    free = std::move(pin);
  }

  const core::Thread<L>* pinned_ = nullptr;
  core::Thread<L>* known_ = nullptr;  // That one, to be woken.
  std::optional<Others> others_;      // Most have none of them.
};

// Those that are kept together, in this order.
template <LockingPolicy L>
class Wakeups {
 public:
  Wakeups() = default;
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;
  ~Wakeups() {
    for (std::unique_ptr<Wakeup<L>>& wakeup : wakeups_) wakeup.reset();
  }

  // One more.
  [[nodiscard]] Wakeup<L>& emplace_back() {
    wakeups_.push_back(std::make_unique<Wakeup<L>>());
    return *wakeups_.back();
  }

 private:
  std::vector<std::unique_ptr<Wakeup<L>>> wakeups_;
};

// Puts `thread` at the head of its Proc's waiting list, unless it is on it.
template <LockingPolicy L>
void JoinWaiting(core::Thread<L>& thread)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->waiters_mu) {
  if (thread.is_waiting) return;
  core::Proc<L>& proc = *thread.proc;
  proc.waiters_mu.AssertHeld();
  thread.is_waiting = true;
  thread.prev_waiting = nullptr;
  thread.next_waiting = proc.first_waiting;
  if (core::Thread<L>* next = thread.next_waiting) {
    next->proc->waiters_mu.AssertHeld();
    next->prev_waiting = &thread;
  }
  proc.first_waiting = &thread;
  proc.counters.AddReady();
}

// Takes `thread` off the waiting list, if it is still on it.
template <LockingPolicy L>
void LeaveWaiting(core::Thread<L>& thread)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->waiters_mu) {
  if (!thread.is_waiting) return;
  core::Proc<L>& proc = *thread.proc;
  proc.waiters_mu.AssertHeld();
  if (core::Thread<L>* next = thread.next_waiting) {
    next->proc->waiters_mu.AssertHeld();
    next->prev_waiting = thread.prev_waiting;
  }
  if (core::Thread<L>* prev = thread.prev_waiting) {
    prev->proc->waiters_mu.AssertHeld();
    prev->next_waiting = thread.next_waiting;
  } else {
    proc.first_waiting = thread.next_waiting;
  }
  thread.prev_waiting = thread.next_waiting = nullptr;
  thread.is_waiting = false;
  proc.counters.RemoveReady();
}

// Takes the thread that began to wait last off the list; nullptr: nobody.
template <LockingPolicy L>
[[nodiscard]] core::Thread<L>* TakeWaiting(core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.waiters_mu) {
  core::Thread<L>* thread = proc.first_waiting;
  if (thread == nullptr) return nullptr;
  thread->proc->waiters_mu.AssertHeld();
  LeaveWaiting(*thread);
  return thread;
}

// Somebody should look at the Proc's queue: one waiting thread, or, if there is
// none, those that poll.
template <LockingPolicy L>
void WakeToLook(core::Proc<L>& proc, Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  sync::MutexLock lock(proc.waiters_mu);
  core::Thread<L>* thread = TakeWaiting(proc);
  if (thread == nullptr) {
    if (ConcernsPollers(proc)) wakeup.Tell(proc);
    return;
  }
  thread->proc->waiters_mu.AssertHeld();
  thread->owes_look = true;
  wakeup.SetOwner(thread);
}

// A killed waiter goes: it takes itself off the list and hands on what it
// owes. Needs none of the locks that can be held for long.
// `as_owner`: its own OS thread does.
template <LockingPolicy L>
void LeaveWaitingKilled(core::Thread<L>& self, bool as_owner) {
  Wakeup<L> next;
  // Under BinderLock this guards nothing, and nothing of the queues is looked
  // at; under FineGrained it is what guards the waiting list.
  sync::MutexLock queues(self.proc->queues_mu);
  sync::MutexLock waiters(self.proc->waiters_mu);
  LeaveWaiting(self);
  if (as_owner) self.owner_waits = false;
  if (!std::exchange(self.owes_look, false)) return;
  core::Proc<L>& proc = *self.proc;
  proc.waiters_mu.AssertHeld();
  if (core::Thread<L>* heir = TakeWaiting(proc)) {
    heir->proc->waiters_mu.AssertHeld();
    heir->owes_look = true;
    next.SetOwner(heir);
  } else {
    next.Tell(proc);  // Perhaps for nothing: the queues cannot be looked at.
  }
}

// Puts `work` on the thread's own list without a reason to wake for it.
template <LockingPolicy L>
void EnqueueDeferred(core::Thread<L>& thread, core::Work& work)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  thread.todo.PushBack(work);
}

// Puts `work` on the own list of the thread that makes this call.
template <LockingPolicy L>
void EnqueueThread(core::Thread<L>& thread, core::Work& work)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  thread.todo.PushBack(work);
  thread.process_todo = true;
  thread.news = true;
}

// The same for another thread, which is woken or, if it polls, told.
template <LockingPolicy L>
void EnqueueThread(core::Thread<L>& thread, core::Work& work, Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  EnqueueThread(thread, work);
  wakeup.Set(&thread);
  if (ConcernsPoller(thread)) wakeup.Tell(*thread.proc);
}

// What the thread will read about its own transaction, before it can write
// anything else.
template <LockingPolicy L>
void QueueReturnError(core::Thread<L>& self, Br command) {
  sync::MutexLock queues(self.proc->queues_mu);
  if (self.is_dead) return;
  self.return_error.Set(command);
  EnqueueThread(self, self.return_error);
}

// Puts `work` on the Proc's list, for whoever looks first.
template <LockingPolicy L>
void EnqueueProc(core::Proc<L>& proc, core::Work& work, Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  proc.todo.PushBack(work);
  WakeToLook(proc, wakeup);
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_ROUTE_H_
