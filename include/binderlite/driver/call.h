// SPDX-License-Identifier: Apache-2.0
//
// Call: what every driver call begins and ends with, in this order: the use of
// the Proc, the Task's turn, the entry section, the thread's record. RAII.
//
// A Call that could not begin has changed nothing.

#ifndef BINDERLITE_DRIVER_CALL_H_
#define BINDERLITE_DRIVER_CALL_H_

#include <stop_token>
#include <utility>

#include "binderlite/config.h"
#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/fetch.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/release.h"
#include "binderlite/driver/route.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// The record of `task` in `proc`, made if necessary; empty when the Proc is
// dead. A new record has need_return set (RD-03).
template <LockingPolicy L>
[[nodiscard]] core::Pin<core::Thread<L>> FindOrMakeThread(core::Proc<L>& proc,
                                                          core::Task<L>& task) {
  {
    sync::MutexLock queues(proc.queues_mu);
    if (proc.is_dead) return {};
    if (core::Thread<L>* const found = proc.threads.Find(task.table_key())) {
      return core::Pin<core::Thread<L>>(found);
    }
  }
  core::Pin<core::Thread<L>> made(
      new core::Thread<L>(proc.context->counts, proc, task,
                          !proc.context->options.quirks.first_read_waits));
  sync::MutexLock queues(proc.queues_mu);
  if (proc.is_dead) return {};
  return proc.threads.FindOrInsert(made);
}

template <LockingPolicy L>
class Call {
 public:
  // `record` caches the thread's record between calls. `guest_of`: the seat of
  // the OS thread that runs the thread, if that is not its own one at work;
  // `serve`: see core/seat.h.
  Call(core::Proc<L>& proc, core::Task<L>& task,
       core::Pin<core::Thread<L>>& record, std::stop_token stop,
       core::Seat<L>* guest_of, typename core::Seat<L>::Serve serve)
      : proc_(proc),
        task_(task),
        record_(record),
        both_(stop.stop_possible() ? task.kill_signals().With(std::move(stop))
                                   : sync::StopSignals()),
        stops_(both_.possible() ? both_ : task.kill_signals()),
        guest_of_(guest_of),
        own_seat_(task, stops_, serve),
        // A guest's thread has an owner whose call counts.
        use_(proc, stops_, /*counts=*/guest_of == nullptr),
        entry_(*proc.context, &task) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  ~Call() {
    if (!begun_) return;
    // Also on the way out of a killed call: atomic, needs no lock.
    if (recorded_ && record_) {
      record_->need_return_of(is_guest())
          .store(false, std::memory_order_relaxed);
    }
    entry_.Leave();
    proc_.context->At(Point::kLeaving, proc_.options.pid, task_.tid);
    if (!is_guest()) task_.End();
  }

  // kClosed or kKilled, or kBusy, while the thread is lent (driver/loan.h):
  // nothing has happened. One Thread makes one call at a time; two at once are
  // a programmer's error. `owes`: the call sends what others wait for, so that
  // its own stop ends no more than its wait.
  Errc Begin(bool owes = false) {
    if (const Errc error = BeginTurn(); error != Errc::kOk) return error;
    if (!entry_.Enter(owes ? task_.kill_signals() : stops_)) {
      return Errc::kKilled;
    }
    const Errc error = BeginRecord();
    return error == Errc::kClosed && stops_.requested() ? Errc::kKilled : error;
  }

  // THREAD_EXIT as a call of its own. A kill is no reason not to.
  Errc BeginToExit() {
    if (const Errc error = BeginTurn(); error != Errc::kOk) return error;
    entry_.EnterToCleanUp();
    const Errc error = BeginRecord();
    if (error != Errc::kOk && error != Errc::kBusy) return error;
    Exit();
    return Errc::kOk;
  }

  // THREAD_EXIT inside a call: the thread's record is gone.
  void Exit() {
    const core::Pin<core::Thread<L>> record = std::move(record_);
    Wakeups<L> wakeups;
    ReleaseThread(record, Dropped::kThreadDies, wakeups);
  }

  // This call is no ioctl: need_return stays as it is (IO-29, PL-02).
  void KeepNeedReturn() { recorded_ = false; }

  // `data` is about to be sent; see driver/fetch.h.
  void FetchToSend(const TransactionData& data, bool is_reply) const {
    if (!is_guest()) driver::FetchToSend(*record_, data, is_reply);
  }

  [[nodiscard]] core::Thread<L>& thread() { return *record_; }
  [[nodiscard]] DriverEntry<L>& entry() { return entry_; }
  [[nodiscard]] const sync::StopSignals& stops() const { return stops_; }
  // Whether the thread is run by an OS thread that is not its own, or that is
  // in another call of it.
  [[nodiscard]] bool is_guest() const { return guest_of_ != nullptr; }
  [[nodiscard]] core::Seat<L>& seat() {
    return is_guest() ? *guest_of_ : own_seat_;
  }

 private:
  Errc BeginTurn() {
    if (!use_.open()) return Errc::kClosed;
    const bool alone = is_guest() || task_.Begin();
    BINDERLITE_ASSERT(alone && "two calls of one Thread at the same time");
    if (!alone) return Errc::kBusy;
    begun_ = true;
    proc_.context->At(Point::kEntering, proc_.options.pid, task_.tid);
    return Errc::kOk;
  }

  Errc BeginRecord() {
    if (!record_ || record_->is_dead.load(std::memory_order_relaxed)) {
      if (is_guest()) return Errc::kClosed;  // No other one will do.
      record_ = FindOrMakeThread(proc_, task_);
      if (!record_) return Errc::kClosed;
    }
    if (!is_guest()) {
      // It has left its wait, and is not needed until its thread is back.
      if (record_->lent.load(std::memory_order_acquire)) return Errc::kBusy;
      FinishForGuest(*record_);
    }
    recorded_ = true;
    proc_.context->At(Point::kEntered, proc_.options.pid, task_.tid);
    return Errc::kOk;
  }

  core::Proc<L>& proc_;
  core::Task<L>& task_;
  core::Pin<core::Thread<L>>& record_;
  // Empty if the call has no stop token of its own: copying them is not free.
  const sync::StopSignals both_;
  const sync::StopSignals& stops_;
  core::Seat<L>* const guest_of_;
  core::Seat<L> own_seat_;
  Use<L> use_;
  DriverEntry<L> entry_;
  bool begun_ = false;     // Has the Task's turn.
  bool recorded_ = false;  // Has come as far as the thread's record.
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_CALL_H_
