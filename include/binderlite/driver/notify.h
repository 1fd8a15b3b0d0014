// SPDX-License-Identifier: Apache-2.0
//
// Death notifications: the commands around core/death.h. Handles
// BC_REQUEST_DEATH_NOTIFICATION, BC_CLEAR_DEATH_NOTIFICATION and
// BC_DEAD_BINDER_DONE.
//
// Locks, in this order: refs and, inside it, the node, then the queues of the
// Proc that wants to know.
// Kernel: binder_ref_death, binder_node_release.

#ifndef BINDERLITE_DRIVER_NOTIFY_H_
#define BINDERLITE_DRIVER_NOTIFY_H_

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/death.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/route.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// Handles BC_REQUEST_DEATH_NOTIFICATION. A node that is dead already is
// reported at once; an unknown handle, or one that has a registration, is
// ignored (DN-01, DN-02, DN-04). Without memory for it the thread reads
// BR_ERROR (DN-21).
template <LockingPolicy L>
void RequestDeath(core::Thread<L>& self, std::uint32_t handle,
                  std::uint64_t cookie) {
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  std::unique_ptr<core::Death<L>> death(
      new (std::nothrow) core::Death<L>(context.counts, cookie));
  if (death == nullptr) {  // DN-21
    QueueReturnError(self, Br::BR_ERROR);
    return;
  }
  {
    sync::MutexLock refs(proc.refs_mu);
    if (core::Ref<L>* ref = proc.refs.Find(handle)) {
      sync::MutexLock lock(ref->node->mu);
      if (ref->death == nullptr) {
        ref->death = std::move(death);
        if (ref->node->owner == nullptr) {
          sync::MutexLock queues(proc.queues_mu);
          EnqueueProc(proc, *ref->death, wakeup);
        }
        return;
      }
    }
  }
  context.Complain(UserError::kBadDeath, proc.options.pid, self.tid);
}

// Queues a cleared registration to be confirmed: to the thread that cleared
// it if it is a looper, to the Proc otherwise, or when the thread's record has
// been released under it.
template <LockingPolicy L>
void QueueCleared(core::Thread<L>& self, core::Death<L>& death,
                  Wakeup<L>& wakeup)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  death.type = core::WorkType::kClearDeathNotification;
  if (self.is_looper() && !self.is_dead) {
    EnqueueThread(self, death);
    return;
  }
  core::Proc<L>& proc = *self.proc;
  proc.queues_mu.AssertHeld();
  EnqueueProc(proc, death, wakeup);
}

// Handles BC_CLEAR_DEATH_NOTIFICATION. Ignored unless the handle has a
// registration with this cookie (DN-08 to DN-12).
template <LockingPolicy L>
void ClearDeath(core::Thread<L>& self, std::uint32_t handle,
                std::uint64_t cookie) {
  Wakeup<L> wakeup;
  std::unique_ptr<core::Death<L>> unwanted;  // Destroyed without locks.
  core::Proc<L>& proc = *self.proc;
  {
    sync::MutexLock refs(proc.refs_mu);
    if (core::Ref<L>* ref = proc.refs.Find(handle)) {
      sync::MutexLock lock(ref->node->mu);
      if (ref->death != nullptr && ref->death->cookie == cookie) {
        sync::MutexLock queues(self.proc->queues_mu);
        if (self.is_dead) {
          ref->death->Unlink();
          unwanted = std::move(ref->death);
          return;
        }
        core::Death<L>& death = *ref->death.release();  // The list's from now.
        if (death.queued()) {
          death.type = core::WorkType::kDeadBinderAndClear;
        } else {
          QueueCleared(self, death, wakeup);
        }
        return;
      }
    }
  }
  proc.context->Complain(UserError::kBadDeath, proc.options.pid, self.tid);
}

// Handles BC_DEAD_BINDER_DONE: the first delivered death with this cookie is
// acknowledged. Ignored when there is none (DN-07).
template <LockingPolicy L>
void AcknowledgeDeath(core::Thread<L>& self, std::uint64_t cookie) {
  Wakeup<L> wakeup;
  bool found = false;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    self.proc->delivered_deaths.ForEach([&](core::Work& work) {
      if (found) return;
      self.proc->queues_mu.AssertHeld();
      auto& death = static_cast<core::Death<L>&>(work);
      if (death.cookie != cookie) return;
      found = true;
      death.Unlink();
      if (death.type == core::WorkType::kDeadBinderAndClear) {
        QueueCleared(self, death, wakeup);
      }
    });
  }
  if (!found) {
    self.proc->context->Complain(UserError::kBadDeath, self.proc->options.pid,
                                 self.tid);
  }
}

// The owner of `node` is gone: every registration is queued to its Proc, that
// of the youngest Ref first (DN-03, DN-17).
template <LockingPolicy L>
void AnnounceDeath(core::Node<L>& node, Wakeups<L>& wakeups)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  for (core::Ref<L>* ref = node.first_ref; ref != nullptr;) {
    ref->node->mu.AssertHeld();
    if (ref->death != nullptr) {
      core::Proc<L>& proc = *ref->proc;
      sync::MutexLock queues(proc.queues_mu);
      if (!ref->death->queued()) {
        EnqueueProc(proc, *ref->death, wakeups.emplace_back());
      }
    }
    ref = ref->next_of_node;
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_NOTIFY_H_
