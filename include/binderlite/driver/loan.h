// SPDX-License-Identifier: Apache-2.0
//
// Loans: serving a call on the OS thread that makes it, which saves both
// switches of threads. The thread of the target that would have been woken for
// it, a looper that waits, is lent to the caller's OS thread instead: that one
// reads the call as this thread, runs the handler, replies and gives it back.
// Its own OS thread sleeps on and knows nothing of it.
//
//   the looper     on the waiting list    its OS thread     who runs it
//   -------------  ---------------------  ----------------  ------------------
//   waits          yes                    asleep in it      nobody
//   lent           no                     asleep in it      the caller's
//   recalled       no                     awake, waits for  the caller's
//                                         its return
//   given back     yes, first of all      asleep in it      nobody
//     recalled,
//     or work came no                     woken             its own
//
// So everything is as if it had served the call itself: who it is, its stack
// (calls that the handler makes, calls that come back to it), priorities,
// statistics, and how many can be served at a time. When no looper waits the
// call is handed over in the ordinary way.
//
// The caller cannot read while it runs the handler. Calls that come back to it
// meanwhile are served, on the same OS thread, by the handler of its own Proc:
// without one, its calls are handed over. The handler runs to its end whoever
// is killed; its own calls fail if its Proc is. What it leaves undone, an
// answer first of all, is ended when it returns (driver/guest.h); where its
// caller's OS thread has been killed and there is a binder lock to wait for,
// the looper's own one does that.
//
// The looper's OS thread leaves its wait when it is killed or stopped, also
// while its thread is lent; until it is given back its calls answer kBusy.
//
// Locks: the queues mutex, and in it the waiters mutex, of the Proc whose
// thread is lent; none while the handler runs.

#ifndef BINDERLITE_DRIVER_LOAN_H_
#define BINDERLITE_DRIVER_LOAN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "binderlite/config.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/build.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/transact.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/driver/wait.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// Serves a call that the thread of `call` has just made. kKilled: it was, and
// the entry section may not be held.
template <LockingPolicy L>
Errc ServeHere(Call<L>& call, core::Loan<L> loan) {
  core::Seat<L>& seat = call.seat();
  std::optional<typename core::Seat<L>::Place> place;
  if (!seat.Holds(call.thread())) place.emplace(seat, call.thread());
  call.entry().Leave();
  seat.serve(seat, std::move(loan));
  return call.entry().Reenter(call.stops()) ? Errc::kOk : Errc::kKilled;
}

// Send for callers without a command stream, which includes serving the call if
// that is to be done here. kBusy: a failure of this thread has not been read
// yet. kKilled: as above.
template <LockingPolicy L>
Errc SendIfReady(Call<L>& call, const SendRequest<L>& request, bool is_reply) {
  core::Thread<L>& self = call.thread();
  if (self.has_return_error()) return Errc::kBusy;
  if (request.buffers_size > 0) {
    self.commands.Count(is_reply ? Bc::BC_REPLY_SG : Bc::BC_TRANSACTION_SG);
  } else {
    self.commands.Count(is_reply ? Bc::BC_REPLY : Bc::BC_TRANSACTION);
  }
  core::Loan<L> loan = Send(self, request, is_reply, call.seat());
  return loan ? ServeHere(call, std::move(loan)) : Errc::kOk;
}

// A call that is not served here after all, since the thread that was to do it
// has been killed or its Proc closed. If it was lent, the call goes to whoever
// looks next; if it sits here, nobody else could take it before it is gone.
template <LockingPolicy L>
void PassOn(core::Thread<L>& thread, OwnedTransaction<L> taken, bool lent) {
  core::Proc<L>& proc = *thread.proc;
  DriverEntry<L> entry(*proc.context);
  entry.EnterToCleanUp();
  if (lent) {
    Wakeup<L> wakeup;
    sync::MutexLock queues(proc.queues_mu);
    if (!proc.is_dead) EnqueueProc(proc, *taken.release(), wakeup);
  }
  if (taken == nullptr) return;
  Wakeups<L> wakeups;
  DropTransaction<L>(std::move(taken), Br::BR_DEAD_REPLY,
                     lent ? Dropped::kProcDies : Dropped::kThreadDies, wakeups);
}

// A thread that was lent is its owner's again, which waits on unless there is a
// reason why it should look. `finished`: whether FinishServing has been called,
// or is not to be; otherwise it may turn out that it has to be, and false is
// answered. `entered`: whether the entry section is held. Ends the use of
// `handler`, which is `gone` if it was the last one.
template <LockingPolicy L>
[[nodiscard]] bool GiveBack(typename core::Seat<L>::Place& place, bool entered,
                            bool finished, core::HandlerInUse<L>* handler,
                            std::unique_ptr<core::HandlerInUse<L>>& gone) {
  core::Thread<L>& thread = *place.thread;
  Wakeup<L> owner;
  sync::MutexLock queues(thread.proc->queues_mu);
  if (!finished) {
    if (!LeftNothing(thread, place.base_id)) return false;
    TakeBackAside(thread, place.aside);
  }
  const bool waits =
      entered && !thread.is_dead && !HasWork(thread, /*for_proc_work=*/true);
  sync::MutexLock waiters(thread.proc->waiters_mu);
  gone = EndUse(handler);
  thread.unfinished.store(!entered && place.serves, std::memory_order_relaxed);
  thread.guest_need_return.store(false, std::memory_order_relaxed);
  thread.runner = nullptr;
  thread.lent.store(false, std::memory_order_release);
  if (waits && thread.owner_waits) {
    JoinWaiting(thread);
  } else {
    owner.SetOwner(&thread);
  }
  return true;
}

// The end of serving a call. `stops`, those of who ran it, may be what does not
// let this have the entry section: then a lent thread's owner does the rest.
// For one that sits here nobody else can, since its OS thread is here.
template <LockingPolicy L>
void EndServing(typename core::Seat<L>::Place& place, bool lent,
                core::HandlerInUse<L>* handler,
                const sync::StopSignals& stops) {
  core::Thread<L>& thread = *place.thread;
  std::unique_ptr<core::HandlerInUse<L>> gone;  // Destroyed after the locks.
  DriverEntry<L> entry(*thread.proc->context);
  if (!lent) {
    entry.EnterToCleanUp();
    if (place.serves) FinishServing(thread, place.base_id, place.aside);
    DropAside<L>(place);
    sync::MutexLock queues(thread.proc->queues_mu);
    sync::MutexLock waiters(thread.proc->waiters_mu);
    gone = EndUse(handler);
    return;
  }
  const bool entered = entry.Enter(stops);
  if (!GiveBack<L>(place, entered, /*finished=*/!entered || !place.serves,
                   handler, gone)) {
    FinishServing(thread, place.base_id, place.aside);
    (void)GiveBack<L>(place, entered, /*finished=*/true, handler, gone);
  }
  DropAside<L>(place);
}

// Calls for the node known as `ptr`, now or from some time on, and to any node
// that is known by this name after it, may be served on their caller's thread,
// or no longer.
template <LockingPolicy L>
void RunOnCallers(core::Proc<L>& proc, std::uint64_t ptr, bool enable) {
  DriverEntry<L> entry(*proc.context);
  entry.EnterToCleanUp();
  sync::MutexLock queues(proc.queues_mu);
  if (enable) {
    proc.on_callers[ptr] = true;
  } else {
    proc.on_callers.Erase(ptr);
  }
  if (core::Node<L>* const node = proc.nodes.Find(ptr)) {
    node->on_callers.store(enable, std::memory_order_relaxed);
  }
}

template <LockingPolicy L>
void SetCallHandler(core::Proc<L>& proc,
                    std::shared_ptr<CallHandler<L>> handler) {
  // Destroyed after the locks.
  std::unique_ptr<core::HandlerInUse<L>> made;
  std::unique_ptr<core::HandlerInUse<L>> replaced;
  if (handler != nullptr) {
    made.reset(new core::HandlerInUse<L>{.handler = std::move(handler)});
  }
  DriverEntry<L> entry(*proc.context);
  entry.EnterToCleanUp();
  sync::MutexLock queues(proc.queues_mu);
  if (proc.is_dead) return;
  proc.has_call_handler.store(made != nullptr, std::memory_order_relaxed);
  replaced = TakeHandler(proc);
  proc.call_handler = std::move(made);
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_LOAN_H_
