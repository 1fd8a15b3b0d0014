// SPDX-License-Identifier: Apache-2.0
//
// Reading: the second half of BINDER_WRITE_READ, which waits for work, takes it
// off the thread's list or the Proc's, and delivers it (driver/deliver.h) until
// there is no more, no more room, or an item that ends the read.
//
// Locks: the queues mutex of the Proc, to look and to take; none while what was
// taken is written.
// Kernel: binder_thread_read.

#ifndef BINDERLITE_DRIVER_READ_H_
#define BINDERLITE_DRIVER_READ_H_

#include <atomic>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/deliver.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/wait.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// What a look at the queues has found.
struct Look {
  bool taken = false;    // An item.
  bool drained = false;  // There was none.
  bool left = false;     // There is more on the Proc's list.
};

// Takes the next item, if there is one and room for it.
template <LockingPolicy L, class Sink>
void TakeNext(core::Thread<L>& self, bool for_proc_work, const Sink& sink,
              TakenWork<L>& taken, Look& look)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  core::Proc<L>& proc = *self.proc;
  core::WorkList* list = nullptr;
  if (!self.todo.empty()) {
    list = &self.todo;
  } else if (for_proc_work && !self.proc->todo.empty()) {
    list = &self.proc->todo;
  }
  look.drained = list == nullptr;
  look.taken = !look.drained && sink.HasRoom();
  if (look.taken) TakeWork(self, *list->PopFront(), taken);
  if (self.todo.empty()) self.process_todo = false;
  look.left = !self.proc->todo.empty();
  proc.queues_mu.AssertHeld();
  self.spare_transactions.MoveTo(proc.spare_transactions,
                                 core::Thread<L>::kOwnSpares);
}

// What is to happen before a thread looks for work of its Proc, whether or not
// it has to wait for it: it gets the nice value of the Proc (PR-01). Empty:
// there was nothing to be done, and it has not been decided whether it looks
// for such work. A thread that is run for a single call never does.
template <LockingPolicy L>
std::optional<bool> PrepareForProcWork(Call<L>& call) {
  if (call.is_guest()) return false;
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  Priorities* const priorities = proc.context->options.priorities;
  if (priorities == nullptr) return std::nullopt;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!ServesProcWork(self)) return false;
  }
  ComplainOfNoLooper(self);
  priorities->Set(proc.options.pid, self.tid, proc.options.nice);
  return true;
}

// The read half. The errors of WaitForWork, and kFault. `left`: something was
// on the Proc's list at the last look.
template <LockingPolicy L, class Sink>
Errc Read(Call<L>& call, Sink& sink, bool nonblocking, sync::TimePoint deadline,
          bool& left) {
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  if (!sink.Begin()) return Errc::kFault;
  for (;;) {
    TakenWork<L> taken;
    Look look;
    bool for_proc_work = false;
    const Errc error = WaitForWork(call, PrepareForProcWork(call), nonblocking,
                                   deadline, left, [&](bool serves) {
                                     self.proc->queues_mu.AssertHeld();
                                     for_proc_work = serves;
                                     TakeNext(self, serves, sink, taken, look);
                                     left = look.left;
                                   });
    // The owner of a thread that is lent sleeps on, and is still to be woken by
    // a flush.
    const bool owner_sleeps =
        call.is_guest() && self.lent.load(std::memory_order_acquire);
    if (!owner_sleeps && (self.looper.load(std::memory_order_relaxed) &
                          core::kLooperWaiting) != 0) {
      self.looper.fetch_and(~core::kLooperWaiting, std::memory_order_relaxed);
    }
    if (error != Errc::kOk) return error;
    // Until there is no more, no more room, or an item ends the read.
    while (look.taken) {
      const Delivered delivered = Deliver(self, std::move(taken), sink);
      if (delivered == Delivered::kFault) return Errc::kFault;
      if (delivered == Delivered::kEnds) break;
      if (!sink.HasRoom() && !sink.empty()) break;
      taken = {};
      sync::MutexLock queues(self.proc->queues_mu);
      TakeNext(self, for_proc_work, sink, taken, look);
      left = look.left;
    }
    // Work that had nothing to say is no reason to return (RD-12).
    if (look.drained && sink.empty() && !self.needs_return(call.is_guest())) {
      continue;
    }
    // Before what may fault now, when all has been delivered (LP-16).
    sink.Commit();
    // A guest may well not read on, and who has it serve has been asked.
    if (sink.CanSpawn() && !call.is_guest() && self.is_looper() &&
        proc.counters.RequestThread()) {
      if (!sink.PutSpawn()) return Errc::kFault;
      self.commands.Count(Br::BR_SPAWN_LOOPER);
    }
    return Errc::kOk;
  }
}

// Whether one more looper is to be started, now that `self` is busy with a call
// that it has not read as others are (driver/loan.h). Whoever asks does so, or
// has it done: nobody is asked again.
template <LockingPolicy L>
[[nodiscard]] bool RequestLooper(core::Thread<L>& self) {
  if (!self.is_looper() || !self.proc->counters.RequestThread()) return false;
  self.commands.Count(Br::BR_SPAWN_LOOPER);
  return true;
}

// Read, and then the look that every read ends with: what it leaves on the
// Proc's queue is somebody else's now (RD-19). What comes later finds out for
// itself who is to take it. A killed thread has handed that on already.
template <LockingPolicy L, class Sink>
Errc ReadAndLook(Call<L>& call, Sink& sink, bool nonblocking,
                 sync::TimePoint deadline) {
  bool left = true;  // For who comes back before it has looked.
  const Errc error = Read(call, sink, nonblocking, deadline, left);
  if (error == Errc::kKilled || !left) return error;
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *call.thread().proc;
  sync::MutexLock queues(proc.queues_mu);
  if (!proc.todo.empty()) WakeToLook(proc, wakeup);
  return error;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_READ_H_
