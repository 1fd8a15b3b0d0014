// SPDX-License-Identifier: Apache-2.0
//
// Waiting: how a thread with nothing to read goes to sleep and comes back.
//
// It joins the waiting list before it lets go of the lock under which it found
// its queues empty, so nothing queued later can miss it. It sleeps with no
// lock at all. What ends the wait, in the order in which it is looked at:
//
//   before sleeping   work, need_return; then a pending interrupt; then the
//                     deadline
//   after sleeping    a kill; then an interrupt, even if there is work by now
//                     (the work stays where it is); then work
//
// A killed thread takes itself off the list, hands on a look that it owes, and
// is gone; whether it takes the binder lock first is the discipline.

#ifndef BINDERLITE_DRIVER_WAIT_H_
#define BINDERLITE_DRIVER_WAIT_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/fetch.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/spinning.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// Whether a read would find something. `for_proc_work`: the Proc's queue
// counts, too. `as_guest`: for who runs it while it is lent.
template <LockingPolicy L>
[[nodiscard]] bool HasWork(const core::Thread<L>& self, bool for_proc_work,
                           bool as_guest = false)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  return self.process_todo || self.needs_return(as_guest) ||
         (for_proc_work && !self.proc->todo.empty());
}

// Whether the thread may serve the Proc's queue: it has nothing of its own to
// do and nothing on its stack (RD-06, RD-14).
template <LockingPolicy L>
[[nodiscard]] bool ServesProcWork(const core::Thread<L>& self)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  return self.stack == nullptr && self.todo.empty() &&
         (self.is_looper() ||
          !self.proc->context->options.quirks.only_loopers_get_proc_work);
}

// A thread that is no looper is about to look for work of its Proc. Without any
// lock of the queues.
template <LockingPolicy L>
void ComplainOfNoLooper(const core::Thread<L>& self) {
  if (self.is_looper()) return;
  self.proc->context->Complain(UserError::kNotLooper, self.proc->options.pid,
                               self.tid);
}

// Sleeps in the parker of the seat, without the entry section, which is not
// held afterwards. A guest serves a call for another thread on its seat
// instead, if there is one. `spinners`: looks out first; null: sleeps at once.
template <LockingPolicy L>
void SleepOrServe(Call<L>& call, sync::TimePoint deadline,
                  sync::Spinners* spinners) {
  core::Thread<L>& self = call.thread();
  core::Context<L>& context = *self.proc->context;
  const std::int32_t pid = self.proc->options.pid;
  core::Loan<L> loan;
  if (call.is_guest()) loan = TakeCallOfOthers(call.seat(), self);
  call.entry().Leave();
  if (loan) {
    call.seat().serve(call.seat(), std::move(loan));
    return;
  }
  auto& parker = call.seat().task->parker;
  context.At(Point::kParking, pid, self.tid);
  if (spinners != nullptr) {
    (void)parker.Park(call.stops(), deadline, *spinners);
  } else {
    (void)parker.Park(call.stops(), deadline);
  }
  context.At(Point::kWoken, pid, self.tid);
}

// A call that is over, to be freed without locks.
template <LockingPolicy L>
struct EndsLater {
  explicit EndsLater(core::Thread<L>& thread) : self(thread) {}
  EndsLater(const EndsLater&) = delete;
  EndsLater& operator=(const EndsLater&) = delete;
  ~EndsLater() {
    if (call != nullptr) FreeTransaction(self, std::move(call));
  }
  core::Thread<L>& self;
  OwnedTransaction<L> call;
};

// Waits for work, unless `nonblocking`, and calls take(for_proc_work) under the
// queues mutex when there is some. `serves`: whether the Proc's queue counts,
// if that has been decided, and complained of; `left`: whether there was
// something on it at the last look.
//
// A thread that is lent (driver/loan.h) serves meanwhile, so for its owner
// nothing but the end of the thread or a kill ends the wait before it is given
// back. Who runs it waits for its own calls only, and, while it does, serves
// those that come for other threads on its seat.
//
// kOk: taken. kInterrupted, kTimedOut, kClosed, kWouldBlock: the entry section
// is held (again). kKilled: it may or may not be.
template <LockingPolicy L, class F>
Errc WaitForWork(Call<L>& call, std::optional<bool> serves, bool nonblocking,
                 sync::TimePoint deadline, bool& left, F take) {
  using Primitives = typename L::Primitives;
  core::Thread<L>& self = call.thread();
  DriverEntry<L>& entry = call.entry();
  const sync::StopSignals& stops = call.stops();
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  const std::int32_t pid = proc.options.pid;
  bool waited = false;
  for (;;) {
    bool lent = false;
    EndsLater<L> over(self);
    {
      Wakeup<L> runner;
      sync::ReleasableMutexLock queues(self.proc->queues_mu);
      if (!serves.has_value()) {
        serves = ServesProcWork(self);
        if (*serves && !self.is_looper()) {
          queues.Release();
          ComplainOfNoLooper(self);
          continue;
        }
      }
      left = !self.proc->todo.empty();
      if (waited && !call.is_guest() && !self.is_dead) {
        lent = self.lent.load(std::memory_order_acquire);
        if (!lent && self.unfinished.load(std::memory_order_relaxed)) {
          // It has been given back since it woke. What was left behind would go
          // with what it reads now.
          queues.Release();
          FinishForGuest(self);
          continue;
        }
      }
      Errc verdict = Errc::kOk;  // There is work.
      bool stay = false;
      const Prospect prospect =
          call.is_guest() ? ProspectOf(self, call.seat().PlaceOf(self))
                          : Prospect::kMore;
      if (!lent && prospect == Prospect::kMore && self.todo.empty()) {
        over.call = TakeEarlyAnswer(self);
      }
      const bool has_work = !lent && prospect != Prospect::kNothing &&
                            HasWork(self, *serves, call.is_guest());
      if (lent) {
        stay = true;
        if (self.task->interrupted()) runner.Set(&self);
      } else if (has_work) {
        // kOk, and no reason to stay.
      } else if (nonblocking || prospect != Prospect::kMore) {
        verdict = Errc::kWouldBlock;
      } else if (self.is_dead) {
        verdict = stops.requested() ? Errc::kKilled : Errc::kClosed;
      } else if (self.task->TakeInterrupt()) {
        verdict = Errc::kInterrupted;
      } else if (deadline != sync::kNoDeadline &&
                 Primitives::Now() >= deadline) {
        verdict = Errc::kTimedOut;
      } else {
        stay = true;
      }
      if (waited || stay) {
        sync::MutexLock waiters(self.proc->waiters_mu);
        self.owes_look = false;  // It has just looked.
        if (lent) {
          self.owner_waits = false;  // To be woken when it is given back.
        } else if (!stay) {
          LeaveWaiting(self);
          if (!call.is_guest()) self.owner_waits = false;
        } else if (*serves) {
          JoinWaiting(self);
          self.owner_waits = true;
        }
      }
      if (has_work) take(*serves);
      if (!stay) return verdict;
      self.looper.fetch_or(core::kLooperWaiting, std::memory_order_relaxed);
    }
    waited = true;
    SleepOrServe(call, lent ? sync::kNoDeadline : deadline,
                 context.spinners.get());
    FetchForRead(self, proc);
    if (!entry.Reenter(stops)) {
      LeaveWaitingKilled(self, /*as_owner=*/!call.is_guest());
      context.At(Point::kKilledWaiting, pid, self.tid);
      return Errc::kKilled;
    }
    if (!call.is_guest() && !self.lent.load(std::memory_order_acquire)) {
      FinishForGuest(self);
    }
    if (context.options.quirks.work_beats_interrupt) {
      sync::MutexLock queues(self.proc->queues_mu);
      if (HasWork(self, *serves, call.is_guest())) continue;
    }
    if (self.task->interrupted()) {
      // What it owes is paid by the look that every read ends with (RD-19).
      sync::MutexLock queues(self.proc->queues_mu);
      if (!call.is_guest() && self.lent.load(std::memory_order_acquire)) {
        continue;
      }
      if (!self.task->TakeInterrupt()) continue;
      sync::MutexLock waiters(self.proc->waiters_mu);
      self.owes_look = false;
      LeaveWaiting(self);
      if (!call.is_guest()) self.owner_waits = false;
      left = true;
      return Errc::kInterrupted;
    }
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_WAIT_H_
