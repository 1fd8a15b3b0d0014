// SPDX-License-Identifier: Apache-2.0
//
// Polling: who could read now, and whom new work concerns.
//
// Readiness belongs to a thread, not to the Proc (PL-08). A thread that has
// polled is a poller from then on (kLooperPoll). Whoever watches a Proc as a
// whole, as an epoll set watches a descriptor, is told by the Proc's
// ReadinessListener, about all pollers together; as long as no thread has
// polled, all threads count as pollers, since any of them may be about to wait
// in such a set. A thread that is in a call is not waiting there: what it could
// read when the call is over is looked at then (see Survey). Nor is one whose
// OS thread has ended.
//
// Everything here needs the queues mutex; the calls of the listener are made by
// Wakeup objects (driver/route.h). Nothing is done for a Proc without one.
// Kernel: binder_poll, binder_has_work, binder_wakeup_poll_threads.

#ifndef BINDERLITE_DRIVER_POLL_H_
#define BINDERLITE_DRIVER_POLL_H_

#include <atomic>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/sync/locking.h"

namespace binderlite::driver {

// Whether a read of this thread would not wait (PL-01, PL-03, PL-09).
template <LockingPolicy L>
[[nodiscard]] bool IsReadable(const core::Thread<L>& thread)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  const core::Transaction<L>* const top = thread.stack;
  return thread.process_todo ||
         (top != nullptr && !top->IsServedBy(thread) &&
          top->is_answered_early()) ||
         thread.need_return.load(std::memory_order_relaxed) ||
         (thread.stack == nullptr && thread.todo.empty() &&
          !thread.proc->todo.empty());
}

template <LockingPolicy L>
[[nodiscard]] bool IsPoller(const core::Thread<L>& thread) {
  return (thread.looper.load(std::memory_order_relaxed) & core::kLooperPoll) !=
         0;
}

// Whether any thread of the Proc polls.
template <LockingPolicy L>
[[nodiscard]] bool AnyPolls(const core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  bool any = false;
  proc.threads.ForEach([&any](const core::Thread<L>& thread) {
    any = any || (IsPoller(thread) && !thread.task->ended());
  });
  return any;
}

// New work is on the Proc's list, and no thread is blocked in a read to take
// it (PL-04, PL-05). Whether there is a poller to be told.
template <LockingPolicy L>
[[nodiscard]] bool ConcernsPollers(core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  if (proc.options.readiness == nullptr) return false;
  const bool all = !AnyPolls(proc);
  bool concerns = proc.threads.empty();
  proc.threads.ForEach([&concerns, all](core::Thread<L>& thread) {
    thread.proc->queues_mu.AssertHeld();
    if (thread.stack != nullptr || !thread.todo.empty()) return;
    if (thread.task->ended() || !(all || IsPoller(thread))) return;
    if (thread.task->busy()) {
      thread.news = true;
    } else {
      concerns = true;
    }
  });
  return concerns;
}

// New work is on the thread's own list. Whether it is a poller to be told.
template <LockingPolicy L>
[[nodiscard]] bool ConcernsPoller(core::Thread<L>& thread)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  core::Proc<L>& proc = *thread.proc;
  if (proc.options.readiness == nullptr) return false;
  proc.queues_mu.AssertHeld();
  if (thread.task->ended() || thread.task->busy()) return false;
  if (!IsPoller(thread) && AnyPolls(proc)) return false;
  thread.news = false;
  return true;
}

// The pollers of a Proc together.
struct Pollers {
  bool readable = false;  // Some poller could read now.
  bool news = false;      // And has got work that nobody was told of.
};

// To be taken after each call, poll and read, by whoever shows readiness of the
// Proc as a whole, and not before the call is over: what comes meanwhile for
// the calling thread is told in no other way. A Proc that no thread has a
// record in is readable, as every new thread's first read returns at once
// (PL-02).
template <LockingPolicy L>
[[nodiscard]] Pollers Survey(core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  const bool all = !AnyPolls(proc);
  Pollers result;
  bool any = false;
  proc.threads.ForEach([&](core::Thread<L>& thread) {
    thread.proc->queues_mu.AssertHeld();
    if (thread.task->ended()) return;
    any = true;
    if (thread.task->busy() || !(all || IsPoller(thread))) return;
    const bool news = std::exchange(thread.news, false);
    if (!IsReadable(thread)) return;
    result.readable = true;
    result.news = result.news || news;
  });
  if (!any) result.readable = true;
  return result;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_POLL_H_
