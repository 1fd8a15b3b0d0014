// SPDX-License-Identifier: Apache-2.0
//
// Freezing: BINDER_FREEZE and BINDER_GET_FROZEN_INFO, which stop new calls to a
// Proc, and the notifications about it (core/freeze.h). Handles
// BC_REQUEST_FREEZE_NOTIFICATION, BC_CLEAR_FREEZE_NOTIFICATION and
// BC_FREEZE_NOTIFICATION_DONE.
//
// Freezing stops nobody: a frozen Proc may read, write and send. It refuses new
// calls (driver/queue.h), and its one-ways are marked for their senders
// (driver/transact.h).
//
// Locks, in this order: refs of the Proc that wants to know and, inside it, the
// node, then the queues of either Proc, one at a time.
// Kernel: binder_ioctl_freeze, binder_request_freeze_notification, ...

#ifndef BINDERLITE_DRIVER_FREEZE_H_
#define BINDERLITE_DRIVER_FREEZE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/wait.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// --- Notifications ---------------------------------------------------------

// Handles BC_REQUEST_FREEZE_NOTIFICATION: the present state is reported at
// once, unless the owner is dead. kInvalid: no such handle, or it has a
// registration (FN-01 to FN-03).
template <LockingPolicy L>
Errc RequestFreezeNotification(core::Thread<L>& self, std::uint32_t handle,
                               std::uint64_t cookie) {
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *self.proc;
  auto made = std::make_unique<core::Freeze<L>>(proc.context->counts, cookie);
  sync::MutexLock refs(proc.refs_mu);
  core::Ref<L>* const ref = proc.refs.Find(handle);
  if (ref == nullptr) return Errc::kInvalid;
  sync::MutexLock lock(ref->node->mu);
  if (ref->freeze != nullptr) return Errc::kInvalid;
  core::Freeze<L>& freeze = *made;
  ref->freeze = std::move(made);
  core::Proc<L>* const owner = ref->node->owner;
  if (owner == nullptr) return Errc::kOk;
  {
    sync::MutexLock queues(owner->queues_mu);
    freeze.is_frozen = owner->is_frozen.load(std::memory_order_relaxed);
  }
  sync::MutexLock queues(proc.queues_mu);
  if (!proc.is_dead) EnqueueProc(proc, freeze, wakeup);
  return Errc::kOk;
}

// A registration that is off its Ref is to be confirmed, through the Proc's
// queue (FN-08).
template <LockingPolicy L>
void QueueClearedFreeze(core::Proc<L>& proc, core::Freeze<L>& freeze,
                        Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  freeze.type = core::WorkType::kClearFreezeNotification;
  EnqueueProc(proc, freeze, wakeup);
}

// Handles BC_CLEAR_FREEZE_NOTIFICATION. An unread notification turns into the
// confirmation (FN-09). kInvalid: no registration with this cookie (FN-11).
template <LockingPolicy L>
Errc ClearFreezeNotification(core::Thread<L>& self, std::uint32_t handle,
                             std::uint64_t cookie) {
  std::unique_ptr<core::Freeze<L>> unwanted;  // Destroyed without locks.
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *self.proc;
  sync::MutexLock refs(proc.refs_mu);
  core::Ref<L>* const ref = proc.refs.Find(handle);
  if (ref == nullptr) return Errc::kInvalid;
  sync::MutexLock lock(ref->node->mu);
  if (ref->freeze == nullptr || ref->freeze->cookie != cookie) {
    return Errc::kInvalid;
  }
  sync::MutexLock queues(proc.queues_mu);
  if (proc.is_dead) {
    ref->freeze->Unlink();
    unwanted = std::move(ref->freeze);
    return Errc::kOk;
  }
  core::Freeze<L>& freeze = *ref->freeze.release();  // The list's from now.
  if (freeze.delivered) {
    freeze.cleared = true;
  } else if (freeze.queued()) {
    freeze.type = core::WorkType::kClearFreezeNotification;
  } else {
    QueueClearedFreeze(proc, freeze, wakeup);
  }
  return Errc::kOk;
}

// Handles BC_FREEZE_NOTIFICATION_DONE: the first delivered notification with
// this cookie is acknowledged. kInvalid: there is none (FN-07).
template <LockingPolicy L>
Errc AcknowledgeFreeze(core::Thread<L>& self, std::uint64_t cookie) {
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *self.proc;
  const Quirks& quirks = proc.context->options.quirks;
  sync::MutexLock queues(proc.queues_mu);
  core::Freeze<L>* found = nullptr;
  proc.delivered_freezes.ForEach([&](core::Work& work) {
    auto& freeze = static_cast<core::Freeze<L>&>(work);
    if (found == nullptr && freeze.cookie == cookie) found = &freeze;
  });
  if (found == nullptr) return Errc::kInvalid;
  core::Freeze<L>& freeze = *found;
  freeze.Unlink();
  freeze.delivered = false;
  const bool resend = std::exchange(freeze.resend, false);
  if (freeze.cleared) {
    QueueClearedFreeze(proc, freeze, wakeup);
  } else if (quirks.announce_only_changes_of_freeze
                 ? freeze.is_frozen != freeze.told
                 : resend) {
    EnqueueProc(proc, freeze, wakeup);
  }
  return Errc::kOk;
}

// Tells whoever registered at `node` what has become of its owner.
template <LockingPolicy L>
void AnnounceFreeze(core::Node<L>& node, bool is_frozen, Wakeups<L>& wakeups)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  for (core::Ref<L>* ref = node.first_ref; ref != nullptr;) {
    ref->node->mu.AssertHeld();
    if (core::Freeze<L>* const freeze = ref->freeze.get()) {
      core::Proc<L>& proc = *ref->proc;
      sync::MutexLock queues(proc.queues_mu);
      const bool differs = freeze->is_frozen != is_frozen;
      freeze->is_frozen = is_frozen;
      if (freeze->delivered) {
        freeze->resend = freeze->resend || differs;
      } else if (!freeze->queued() && !proc.is_dead &&
                 (differs || !proc.context->options.quirks
                                  .announce_only_changes_of_freeze)) {
        EnqueueProc(proc, *freeze, wakeups.emplace_back());
      }
    }
    ref = ref->next_of_node;
  }
}

// The same for all nodes of `owner`, in ascending order of their ptr.
template <LockingPolicy L>
void AnnounceFreeze(core::Proc<L>& owner, bool is_frozen) {
  std::vector<core::Pin<core::Node<L>>> nodes;
  {
    sync::MutexLock queues(owner.queues_mu);
    nodes = owner.nodes.List();
  }
  core::SortByKey(nodes);
  for (const core::Pin<core::Node<L>>& pin : nodes) {
    const NodeHold<L> hold(pin);
    Wakeups<L> wakeups;
    core::Node<L>& node = *pin;
    sync::MutexLock lock(node.mu);
    AnnounceFreeze(node, is_frozen, wakeups);
  }
}

// --- BINDER_FREEZE ---------------------------------------------------------

// Whether any thread of `proc` is in the middle of a call, be it its own.
template <LockingPolicy L>
[[nodiscard]] bool HasStacks(const core::Proc<L>& proc)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.queues_mu) {
  bool any = false;
  proc.threads.ForEach([&any](const core::Thread<L>& thread) {
    thread.proc->queues_mu.AssertHeld();
    any = any || thread.stack != nullptr;
  });
  return any;
}

// The thread's name on the list of those that wait for the last transaction of
// a Proc.
template <LockingPolicy L>
class [[nodiscard]] AwaitsOutstanding {
 public:
  AwaitsOutstanding(core::Proc<L>& proc, core::Task<L>& task)
      : proc_(proc), task_(&task) {
    sync::MutexLock lock(proc_.tasks_mu);
    proc_.freezing_tasks.push_back(task_);
    proc_.freezers.fetch_add(1, std::memory_order_seq_cst);
  }
  AwaitsOutstanding(const AwaitsOutstanding&) = delete;
  AwaitsOutstanding& operator=(const AwaitsOutstanding&) = delete;
  ~AwaitsOutstanding() {
    sync::MutexLock lock(proc_.tasks_mu);
    proc_.freezers.fetch_sub(1, std::memory_order_seq_cst);
    auto& tasks = proc_.freezing_tasks;
    // Still pinned by task_.
    tasks.erase(std::find(tasks.begin(), tasks.end(), task_));
  }

 private:
  core::Proc<L>& proc_;
  const core::Pin<core::Task<L>> task_;
};

// Waits until nothing is outstanding at `proc`. kTimedOut, kInterrupted,
// kKilled; after the last one the entry section may not be held.
template <LockingPolicy L>
Errc AwaitNothingOutstanding(Call<L>& call, core::Proc<L>& proc,
                             sync::TimePoint deadline) {
  core::Thread<L>& self = call.thread();
  const AwaitsOutstanding<L> waits(proc, *call.seat().task);
  for (;;) {
    if (proc.outstanding.load() == 0) {
      return Errc::kOk;
    }
    if (self.task->TakeInterrupt()) return Errc::kInterrupted;
    if (L::Primitives::Now() >= deadline) return Errc::kTimedOut;
    SleepOrServe(call, deadline, nullptr);
    if (!call.entry().Reenter(call.stops())) return Errc::kKilled;
  }
}

// Freezes one Proc, or thaws it. kWouldBlock: calls are in progress, also after
// the time it was given to finish them; it stays unfrozen (FZ-01 to FZ-09).
template <LockingPolicy L>
Errc FreezeProc(Call<L>& call, core::Proc<L>& proc, const FreezeInfo& info) {
  const bool enable = info.enable != 0;
  {
    sync::MutexLock queues(proc.queues_mu);
    proc.sync_received = proc.async_received = false;
    // While it waits, too (FZ-09).
    proc.is_frozen.store(enable && !proc.is_dead, std::memory_order_relaxed);
  }
  if (enable) {
    Errc error = Errc::kOk;
    if (info.timeout_ms > 0) {
      error = AwaitNothingOutstanding(
          call, proc,
          L::Primitives::Now() + std::chrono::milliseconds(info.timeout_ms));
      if (error == Errc::kTimedOut) error = Errc::kOk;  // Decided below.
    }
    if (error == Errc::kOk) {
      sync::MutexLock queues(proc.queues_mu);
      if (proc.outstanding.load() != 0 || HasStacks(proc)) {
        error = Errc::kWouldBlock;
      }
    }
    if (error != Errc::kOk) {
      // Maybe killed, and without any lock.
      proc.is_frozen.store(false, std::memory_order_relaxed);
      return error;
    }
  }
  // Without notifications nobody looks at the nodes at all (RF-31).
  if (proc.context->options.quirks.freeze_notifications) {
    AnnounceFreeze(proc, enable);
  }
  return Errc::kOk;
}

// All Procs of `pid`, the one that was opened last first.
template <LockingPolicy L>
[[nodiscard]] std::vector<core::Pin<core::Proc<L>>> ProcsOfPid(
    const core::ProcRegistry<L>& registry, std::uint32_t pid) {
  std::vector<core::Pin<core::Proc<L>>> found =
      registry.Find(static_cast<std::int32_t>(pid));
  std::reverse(found.begin(), found.end());
  return found;
}

// BINDER_FREEZE. Stops at the first Proc that cannot be frozen, and leaves
// those before it frozen (FZ-03). kInvalid: nobody has this pid.
template <LockingPolicy L>
Errc Freeze(Call<L>& call, const FreezeInfo& info) {
  const core::Context<L>& context = *call.thread().proc->context;
  const auto procs = ProcsOfPid(*context.registry, info.pid);
  if (procs.empty()) {
    return context.options.quirks.freeze_of_nobody_succeeds ? Errc::kOk
                                                            : Errc::kInvalid;
  }
  for (const core::Pin<core::Proc<L>>& proc : procs) {
    const Errc error = FreezeProc(call, *proc, info);
    if (error != Errc::kOk) return error;
  }
  return Errc::kOk;
}

// BINDER_GET_FROZEN_INFO: what all Procs of info.pid have received since they
// were frozen. kInvalid: there is none (FZ-15).
template <LockingPolicy L>
Errc GetFrozenInfo(const core::Context<L>& context, FrozenStatusInfo& info) {
  const auto procs = ProcsOfPid(*context.registry, info.pid);
  if (procs.empty()) return Errc::kInvalid;
  info.sync_recv = info.async_recv = 0;
  for (const core::Pin<core::Proc<L>>& pin : procs) {
    const core::Proc<L>& proc = *pin;
    sync::MutexLock queues(proc.queues_mu);
    const bool pending = proc.outstanding.load() != 0 || HasStacks(proc);
    info.sync_recv |= (proc.sync_received ? 1u : 0u) | (pending ? 2u : 0u);
    info.async_recv |= proc.async_received ? 1u : 0u;
  }
  return Errc::kOk;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_FREEZE_H_
