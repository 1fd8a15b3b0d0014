// SPDX-License-Identifier: Apache-2.0
//
// The end of threads and Procs: THREAD_EXIT, flush, close, kill, and the
// reaper that tears killed Procs down.
//
//   what    who is kicked        who releases the Proc
//   ------  -------------------  -------------------------------------------
//   Flush   waiting threads      nobody: they return with BR_NOOP
//   Close   waiting threads      whoever is the last to leave a call of it;
//                                the reaper, if that one is killed
//   Kill    every wait and lock  the Context's reaper, without help from the
//                                killed threads, as soon as it has the locks
//
// Releasing does not depend on the Proc's own threads: what they still do finds
// is_dead and fails. The reaper lets those go first that leave at once. Kernel:
// binder_deferred_release, binder_thread_release, binder_node_release,
// binder_deferred_flush.

#ifndef BINDERLITE_DRIVER_RELEASE_H_
#define BINDERLITE_DRIVER_RELEASE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/core/context.h"
#include "binderlite/core/death.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/spares.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/call_handler.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/given_up.h"
#include "binderlite/driver/notify.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/stack.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite::driver {

// Empties a todo list of a dying Proc or thread: what others own is unlinked
// while the lock is held, the rest is handed to the caller in `mine`.
template <LockingPolicy L>
void DrainTodo(core::WorkList& todo, core::WorkList& mine) {
  while (core::Work* work = todo.PopFront()) {
    switch (work->type) {
      // These belong to a Node, a Thread and a Ref.
      case core::WorkType::kNode:
      case core::WorkType::kReturnError:
      case core::WorkType::kDeadBinder:
        break;
      case core::WorkType::kFrozenBinder:
        // Its Ref's, unless it has been cleared.
        if (static_cast<core::Freeze<L>*>(work)->cleared) mine.PushBack(*work);
        break;
      case core::WorkType::kTransaction:
      case core::WorkType::kTransactionComplete:
      case core::WorkType::kPendingFrozen:
      case core::WorkType::kSpamSuspect:
      case core::WorkType::kDeadBinderAndClear:
      case core::WorkType::kClearDeathNotification:
      case core::WorkType::kClearFreezeNotification:
        mine.PushBack(*work);
        break;
    }
  }
}

// Ends the work that DrainTodo handed over. No locks are held.
template <LockingPolicy L>
void DropWork(core::WorkList& work_list, Dropped why, Wakeups<L>& wakeups) {
  while (core::Work* work = work_list.PopFront()) {
    switch (work->type) {
      case core::WorkType::kTransaction:
        DropTransaction<L>(
            OwnedTransaction<L>(static_cast<core::Transaction<L>*>(work)),
            Br::BR_DEAD_REPLY, why, wakeups);
        break;
      case core::WorkType::kTransactionComplete:
      case core::WorkType::kPendingFrozen:
      case core::WorkType::kSpamSuspect:
        delete static_cast<core::Completion*>(work);
        break;
      case core::WorkType::kFrozenBinder:
      case core::WorkType::kClearFreezeNotification:
        delete static_cast<core::Freeze<L>*>(work);
        break;
      default:
        delete static_cast<core::Death<L>*>(work);
        break;
    }
  }
}

// Handles THREAD_EXIT, and each thread of a Proc that is released.
template <LockingPolicy L>
void ReleaseThread(const core::Pin<core::Thread<L>>& pin, Dropped why,
                   Wakeups<L>& wakeups) {
  core::Thread<L>& thread = *pin;
  core::WorkList mine;
  core::WorkList answered;
  OwnedTransaction<L> failed;
  GivenUpCalls<L> given_up(*thread.proc->context);
  {
    Wakeup<L> self;
    Wakeup<L> heir;
    sync::MutexLock queues(thread.proc->queues_mu);
    if (thread.is_dead.exchange(true)) return;
    failed = CutStack(thread, answered, given_up);
    DrainTodo<L>(thread.todo, mine);
    thread.process_todo = false;
    thread.return_error.Set(Br::BR_OK);
    thread.reply_error.Set(Br::BR_OK);
    (void)thread.proc->threads.Extract(thread);  // `pin` is another one.
    thread.proc->retired_commands.Add(thread.commands.totals());
    // Should it be waiting, it has no reason to any more.
    self.SetOwner(&thread);
    if (thread.lent.load(std::memory_order_relaxed)) self.Set(&thread);
    if (IsPoller(thread)) self.Tell(*thread.proc);  // PL-07.
    bool owes_look = false;
    {
      sync::MutexLock waiters(thread.proc->waiters_mu);
      LeaveWaiting(thread);
      owes_look = std::exchange(thread.owes_look, false);
    }
    core::Proc<L>& proc = *thread.proc;
    proc.queues_mu.AssertHeld();
    if (owes_look) WakeToLook(proc, heir);
  }
  if (failed != nullptr) {
    SendFailedReply<L>(std::move(failed), Br::BR_DEAD_REPLY, wakeups);
  }
  DropAnswered<L>(answered, why, wakeups);
  DropWork<L>(mine, why, wakeups);
}

// One node of a dying Proc: its one-ways are discarded, its counts of its own
// side go, and whoever registered for its death is told.
template <LockingPolicy L>
void ReleaseNode(core::Node<L>& node, Wakeups<L>& wakeups) {
  core::WorkList one_ways;
  {
    sync::MutexLock lock(node.mu);
    core::Proc<L>* const owner = std::exchange(node.owner, nullptr);
    if (owner == nullptr) return;
    {
      sync::MutexLock queues(owner->queues_mu);
      node.work().Unlink();
    }
    node.local_strong = node.local_weak = 0;
    node.pending_strong = node.pending_weak = false;
    node.is_manager = false;
    one_ways.TakeAll(node.async_todo);
    AnnounceDeath(node, wakeups);
  }
  DropWork<L>(one_ways, Dropped::kProcDies, wakeups);
}

// Takes the manager's node off the Context if it is `proc`'s.
template <LockingPolicy L>
void ReleaseManager(core::Proc<L>& proc) {
  core::Context<L>& context = *proc.context;
  const core::Pin<core::Node<L>> manager = context.Manager();
  if (!manager) return;
  {
    core::Node<L>& node = *manager;
    sync::MutexLock lock(node.mu);
    if (node.owner != &proc) return;
    node.is_manager = false;
  }
  sync::MutexLock lock(context.mu);
  if (context.manager == manager) context.manager.reset();  // Still pinned.
}

// Drops all handles of a dying Proc.
template <LockingPolicy L>
void ReleaseRefs(core::Proc<L>& proc) {
  for (std::uint32_t handle = 0;; ++handle) {
    Garbage<L> garbage;
    sync::MutexLock refs(proc.refs_mu);
    proc.refs_closed = true;  // No new ones, so one pass is enough.
    if (handle >= proc.refs.limit()) return;
    core::Ref<L>* ref = proc.refs.Find(handle);
    if (ref == nullptr) continue;
    ref->proc->refs_mu.AssertHeld();
    sync::MutexLock lock(ref->node->mu);
    RemoveRef(proc, *ref, ref->strong > 0, garbage);
  }
}

// All threads of the Proc, by number.
template <LockingPolicy L>
[[nodiscard]] std::vector<core::Pin<core::Thread<L>>> ThreadsOf(
    core::Proc<L>& proc) {
  std::vector<core::Pin<core::Thread<L>>> threads;
  {
    sync::MutexLock queues(proc.queues_mu);
    threads = proc.threads.List();
  }
  core::SortByKey(threads);
  return threads;
}

// Tears a Proc down (DT-12): manager, threads by number, nodes by ptr,
// handles, queue, deaths, buffers. Those who hear of it are woken at the end,
// in the order in which they were told, so that none of them finds things half
// torn down. Runs once. Blocks for the binder lock where there is one. False:
// stopped first, and nothing is done.
template <LockingPolicy L>
bool ReleaseProc(const core::Pin<core::Proc<L>>& pin,
                 const sync::StopSignals& stops) {
  core::Proc<L>& proc = *pin;
  core::Context<L>& context = *proc.context;
  // Destroyed without the entry section: a Task waits for a kill that is being
  // forwarded to it.
  std::vector<core::Pin<core::Task<L>>> tasks;
  std::unique_ptr<core::HandlerInUse<L>> call_handler;
  Wakeups<L> wakeups;
  DriverEntry<L> entry(context);
  if (!stops.possible()) {
    entry.EnterToCleanUp();
  } else if (!entry.Reenter(stops)) {
    return false;
  }
  if (proc.release_begun.exchange(true)) return true;
  context.At(Point::kReleasing, proc.options.pid, 0);

  {
    sync::MutexLock queues(proc.queues_mu);
    proc.is_dead = true;
    proc.is_frozen.store(false, std::memory_order_relaxed);
    call_handler = TakeHandler(proc);
  }
  ReleaseManager(proc);  // Not before: SetContextManager may be in progress.
  // There are no new ones any more.
  for (core::Pin<core::Thread<L>>& thread : ThreadsOf(proc)) {
    ReleaseThread(thread, Dropped::kProcDies, wakeups);
    thread.reset();
  }

  std::vector<core::Pin<core::Node<L>>> nodes;
  {
    sync::MutexLock queues(proc.queues_mu);
    nodes = proc.nodes.TakeAll();
  }
  core::SortByKey(nodes);
  for (const core::Pin<core::Node<L>>& node : nodes) {
    ReleaseNode(*node, wakeups);
  }

  ReleaseRefs(proc);

  core::WorkList mine;
  core::Spares<core::Transaction<L>> unused(0);
  {
    sync::MutexLock queues(proc.queues_mu);
    proc.spare_transactions.EndIn(unused);
    DrainTodo<L>(proc.todo, mine);
    DrainTodo<L>(proc.delivered_deaths, mine);
    DrainTodo<L>(proc.delivered_freezes, mine);
  }
  DropWork<L>(mine, Dropped::kProcDies, wakeups);
  proc.arena.Retire();

  {
    sync::MutexLock lock(proc.tasks_mu);
    proc.tasks_closed = true;
    tasks = proc.tasks.TakeAll();
    proc.first_free_tid = proc.options.pid;
  }
  context.registry->Remove(pin);
  core::CommandTotals commands;
  {
    sync::MutexLock queues(proc.queues_mu);
    commands = proc.retired_commands;
  }
  {
    sync::MutexLock lock(context.mu);
    (void)context.procs.Extract(proc);  // Still pinned.
    context.retired_commands.Add(commands);
  }
  // Whoever sees the flag finds nothing of the Proc left, nor counted as alive.
  nodes.clear();
  proc.released.store(true, std::memory_order_release);
  return true;
}

// Handles the flush of a descriptor: every thread's next read does not block,
// and those that are blocked return (DT-10).
template <LockingPolicy L>
void Flush(core::Proc<L>& proc) {
  Wakeups<L> wakeups;
  std::vector<core::Pin<core::Thread<L>>> threads;
  sync::MutexLock queues(proc.queues_mu);
  threads = proc.threads.List();
  core::SortByKey(threads);  // Woken in this order.
  for (const core::Pin<core::Thread<L>>& thread : threads) {
    thread->need_return.store(true, std::memory_order_relaxed);
    thread->guest_need_return.store(true, std::memory_order_relaxed);
    if ((thread->looper.load(std::memory_order_relaxed) &
         core::kLooperWaiting) != 0) {
      wakeups.emplace_back().Set(thread.get());
    }
  }
}

// Has the reaper release the Proc. Takes no driver lock and never waits for
// one.
template <LockingPolicy L>
void LeaveToReaper(const core::Pin<core::Proc<L>>& pin) {
  core::Context<L>& context = *pin->context;
  {
    sync::MutexLock lock(context.mu);
    // A reaper that has stopped has left nothing to be released.
    if (pin->release_begun.load(std::memory_order_acquire)) return;
    context.to_release.push_back(pin);
  }
  context.reaper_parker.Wake();
}

// A use of an open Proc: every call holds one. The last one releases, unless
// it is killed: then it waits for no lock any more, and the reaper does.
template <LockingPolicy L>
class [[nodiscard]] Use {
 public:
  // `stops` must outlive the object. `counts`: the Proc is not released before
  // it ends; otherwise it is as for a killed one, at any time.
  Use(core::Proc<L>& proc, const sync::StopSignals& stops, bool counts = true)
      : proc_(&proc), stops_(stops), counts_(counts) {
    // Against Close: it sees this use, or this sees that it is closed.
    if (counts) proc.users.fetch_add(1, std::memory_order_seq_cst);
    open_ = !proc.closed.load(std::memory_order_seq_cst);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    if (counts_) End(*proc_, stops_);
  }

  // False: the Proc is closed, the call must not begin.
  [[nodiscard]] bool open() const { return open_; }

  // Also ends the use that the open itself is. The caller has a Pin.
  static void End(core::Proc<L>& proc, const sync::StopSignals& stops) {
    if (proc.users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const core::Pin<core::Proc<L>> pin(&proc);
    if (!ReleaseProc(pin, stops)) LeaveToReaper(pin);
  }

 private:
  core::Proc<L>* proc_;
  const sync::StopSignals& stops_;
  const bool counts_;
  bool open_ = false;
};

// Closes the Proc: no new calls, waiting threads return, and it is released
// as soon as no call is in progress. Waits for the binder lock where there is
// one, unless the Proc has been killed. A second Close does nothing.
template <LockingPolicy L>
void Close(core::Proc<L>& proc) {
  if (proc.closed.exchange(true, std::memory_order_seq_cst)) return;
  if (proc.kill.stop_requested()) {
    // The reaper has it, and whoever holds what, this returns at once.
    proc.users.fetch_sub(1, std::memory_order_acq_rel);
    return;
  }
  if (!proc.release_begun.load(std::memory_order_acquire)) {
    DriverEntry<L> entry(*proc.context);
    entry.EnterToCleanUp();
    Flush(proc);
  }
  Use<L>::End(proc, sync::StopSignals());
}

// Lets those who leave killed Procs go first: releasing these takes the locks
// that they need to get out. For a moment only, as not all of them may be about
// to leave. (No scheduling point for SteppedPrimitives, where they go first in
// half of all schedules anyway.)
template <LockingPolicy L>
void LetLeave(const std::vector<core::Pin<core::Proc<L>>>& procs) {
  using Primitives = typename L::Primitives;
  constexpr std::chrono::microseconds kMoment(100);
  constexpr int kYields = 64;
  const sync::TimePoint until = Primitives::Now() + kMoment;
  int yields = 0;
  for (const core::Pin<core::Proc<L>>& proc : procs) {
    // What is left is the open itself, unless it has been closed.
    while (proc->users.load(std::memory_order_relaxed) > 1) {
      if (++yields > kYields || Primitives::Now() >= until) return;
      std::this_thread::yield();
    }
  }
}

// Releases the Procs that are left to it, one after the other, and tells whose
// calls have been given up, until StopReaper is called and all that is done.
// One thread of each Context runs this.
template <LockingPolicy L>
void RunReaper(core::Context<L>& context) {
  for (;;) {
    std::vector<core::Pin<core::Proc<L>>> procs;
    std::vector<std::stop_source> told;
    bool stops = false;
    {
      sync::MutexLock lock(context.mu);
      stops = context.reaper_stops;
      procs.swap(context.to_release);
      told.swap(context.to_tell);
    }
    for (std::stop_source& call : told) call.request_stop();
    if (!procs.empty()) LetLeave(procs);
    for (core::Pin<core::Proc<L>>& proc : procs) {
      (void)ReleaseProc(proc, sync::StopSignals());
      proc.reset();
    }
    if (!procs.empty() || !told.empty()) continue;
    if (stops) return;
    (void)context.reaper_parker.Park(sync::StopSignals(), sync::kNoDeadline);
  }
}

template <LockingPolicy L>
void StopReaper(core::Context<L>& context) {
  {
    sync::MutexLock lock(context.mu);
    context.reaper_stops = true;
  }
  context.reaper_parker.Wake();
}

// Kills the Proc: every wait and every stop-aware lock acquisition of its
// threads ends, and the reaper tears it down. Takes no driver lock.
template <LockingPolicy L>
void Kill(core::Proc<L>& proc) {
  if (!proc.kill.request_stop()) return;  // Somebody has done it before.
  LeaveToReaper(core::Pin<core::Proc<L>>(&proc));
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_RELEASE_H_
