// SPDX-License-Identifier: Apache-2.0
//
// Reference counting: counts of nodes (core/node.h) and handles (core/ref.h),
// and when the owner of a node hears of them. Handles BC_INCREFS, BC_ACQUIRE,
// BC_RELEASE, BC_DECREFS, BC_INCREFS_DONE and BC_ACQUIRE_DONE, and makes
// BR_INCREFS, BR_ACQUIRE, BR_RELEASE and BR_DECREFS.
//
// Locks, in this order: refs of the Proc that holds the handle, the node, the
// queues of the node's owner. What the counts no longer need is collected in a
// Garbage, which its caller destroys after all locks.
// Kernel: binder_inc_node, binder_dec_node, binder_inc_ref_for_node, ...

#ifndef BINDERLITE_DRIVER_REFCOUNT_H_
#define BINDERLITE_DRIVER_REFCOUNT_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/core/context.h"
#include "binderlite/core/death.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/route.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite::driver {

// What a change of counts leaves behind: objects to destroy and a thread to
// wake. Declare it before the first lock.
template <LockingPolicy L>
struct Garbage {
  core::Pin<core::Node<L>> node;
  std::unique_ptr<core::Ref<L>> ref;
  std::unique_ptr<core::Death<L>> death;
  std::unique_ptr<core::Freeze<L>> freeze;
  Wakeup<L> wakeup;
};

// Which of the two counts.
enum class Strength : bool { kWeak, kStrong };

// --- Nodes -----------------------------------------------------------------

// Adds to the counts that the owner's side holds (`internal` false) or to the
// number of Procs that hold the node (`internal` true; the weak one is the
// list of Refs itself). With `announce_to`, a thread of the owner, the owner
// will hear of it in that thread's next read. kInvalid: the first strong count
// of another Proc can only come with an announcement.
template <LockingPolicy L>
Errc IncNode(core::Node<L>& node, Strength strength, bool internal,
             core::Thread<L>* announce_to)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  if (strength == Strength::kStrong) {
    if (internal) {
      if (announce_to == nullptr && node.internal_strong == 0 &&
          !(node.is_manager && node.has_strong)) {
        return Errc::kInvalid;
      }
      ++node.internal_strong;
    } else {
      ++node.local_strong;
    }
    if (!node.has_strong && announce_to != nullptr) {
      sync::MutexLock queues(announce_to->proc->queues_mu);
      if (!announce_to->is_dead) {
        node.work().Unlink();
        EnqueueDeferred(*announce_to, node.work());
      }
    }
  } else {
    if (!internal) ++node.local_weak;
    if (!node.has_weak && announce_to != nullptr) {
      sync::MutexLock queues(announce_to->proc->queues_mu);
      if (!announce_to->is_dead && !node.work().queued()) {
        EnqueueDeferred(*announce_to, node.work());
      }
    }
  }
  return Errc::kOk;
}

// After counts went down: tells the owner if it has to know, deletes the node
// if nobody does.
template <LockingPolicy L>
void SettleNode(core::Node<L>& node, Garbage<L>& garbage)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  core::Proc<L>* const owner = node.owner;
  if (owner == nullptr) {
    // A dead node goes with its last Ref.
    return;
  }
  if (node.has_strong || node.has_weak) {
    sync::MutexLock queues(owner->queues_mu);
    if (!node.work().queued() && !owner->is_dead) {
      EnqueueProc(*owner, node.work(), garbage.wakeup);
    }
    return;
  }
  if (node.Held() || node.erased) return;
  node.erased = true;
  sync::MutexLock queues(owner->queues_mu);
  node.work().Unlink();
  core::Pin<core::Node<L>> gone = owner->nodes.Extract(node);
  if (gone) garbage.node = std::move(gone);
}

// Takes back what IncNode added. Counts of a dead owner's side went with it.
template <LockingPolicy L>
void DecNode(core::Node<L>& node, Strength strength, bool internal,
             Garbage<L>& garbage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(node.mu) {
  if (strength == Strength::kStrong) {
    int& count = internal ? node.internal_strong : node.local_strong;
    if (count == 0) {
      BINDERLITE_ASSERT(node.owner == nullptr);
      return;
    }
    --count;
    if (node.StronglyHeld()) return;
  } else {
    if (!internal) {
      if (node.local_weak == 0) {
        BINDERLITE_ASSERT(node.owner == nullptr);
        return;
      }
      --node.local_weak;
    }
    if (node.WeaklyHeld()) return;
  }
  SettleNode(node, garbage);
}

// Keeps a node in its owner's table while somebody works with it. When the last
// one lets go of a node that nobody else has, its owner looks at it, also when
// it has nothing to be told (RF-31).
template <LockingPolicy L>
class NodeHold {
 public:
  // Empty when the node has left the table already.
  explicit NodeHold(core::Pin<core::Node<L>> node) : node_(std::move(node)) {
    if (!node_) return;
    bool erased = false;
    {
      sync::MutexLock lock(node_->mu);
      erased = node_->erased;
      if (!erased) ++node_->holds;
    }
    if (erased) node_.reset();
  }
  NodeHold(NodeHold&& other) noexcept = default;
  NodeHold& operator=(NodeHold&&) = delete;
  ~NodeHold() {
    if (!node_) return;
    Garbage<L> garbage;
    sync::MutexLock lock(node_->mu);
    --node_->holds;
    if (!node_->WeaklyHeld()) SettleNode(*node_, garbage);
  }

  explicit operator bool() const { return static_cast<bool>(node_); }
  core::Node<L>& operator*() const { return *node_; }
  core::Node<L>* operator->() const { return node_.get(); }

 private:
  core::Pin<core::Node<L>> node_;
};

// The node that `proc` knows as `ptr`; empty when there is none.
template <LockingPolicy L>
[[nodiscard]] core::Pin<core::Node<L>> FindNode(core::Proc<L>& proc,
                                                std::uint64_t ptr) {
  sync::MutexLock lock(proc.queues_mu);
  return core::Pin<core::Node<L>>(proc.nodes.Find(ptr));
}

// The same, made if necessary. Empty only when the Proc is dead.
template <LockingPolicy L>
[[nodiscard]] NodeHold<L> FindOrMakeNode(core::Proc<L>& proc, std::uint64_t ptr,
                                         std::uint64_t cookie,
                                         std::uint32_t flags) {
  for (;;) {
    core::Pin<core::Node<L>> node = FindNode(proc, ptr);
    if (!node) {
      core::Pin<core::Node<L>> made(
          new core::Node<L>(proc.context->counts, proc, proc.context->NextId(),
                            ptr, cookie, flags));
      sync::MutexLock lock(proc.queues_mu);
      if (proc.is_dead) return NodeHold<L>(core::Pin<core::Node<L>>());
      if (proc.on_callers.Find(ptr) != nullptr) made->on_callers.store(true);
      node = proc.nodes.FindOrInsert(made);
    }
    NodeHold<L> hold(std::move(node));
    if (hold) return hold;  // Else it was deleted meanwhile: once more.
  }
}

// --- Handles ---------------------------------------------------------------

// Destroys a Ref without counts: the handle is free, its registrations vanish
// in whatever state they are (RF-21, DN-13, FN-12). `ref` is in proc's table.
template <LockingPolicy L>
void RemoveRef(core::Proc<L>& proc, core::Ref<L>& ref, bool had_strong,
               Garbage<L>& garbage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(proc.refs_mu)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(ref.node->mu) {
  if (had_strong) {
    DecNode(*ref.node, Strength::kStrong, /*internal=*/true, garbage);
  }
  if (core::Ref<L>* next = ref.next_of_node) {
    next->node->mu.AssertHeld();
    next->prev_of_node = ref.prev_of_node;
  }
  if (core::Ref<L>* prev = ref.prev_of_node) {
    prev->node->mu.AssertHeld();
    prev->next_of_node = ref.next_of_node;
  } else {
    ref.node->first_ref = ref.next_of_node;
  }
  ref.next_of_node = ref.prev_of_node = nullptr;
  DecNode(*ref.node, Strength::kWeak, /*internal=*/true, garbage);
  if (ref.death != nullptr) {
    {
      sync::MutexLock queues(proc.queues_mu);
      ref.death->Unlink();
    }
    garbage.death = std::move(ref.death);
  }
  if (ref.freeze != nullptr) {
    {
      sync::MutexLock queues(proc.queues_mu);
      ref.freeze->Unlink();
    }
    garbage.freeze = std::move(ref.freeze);
  }
  garbage.ref = proc.refs.Extract(ref.handle);
}

struct RefCounted {
  Errc error = Errc::kOk;
  std::uint32_t handle = 0;
};

// Adds a count to proc's Ref to `node`, which is made if there is none. See
// IncNode for `announce_to`. kNoProcess: proc is being torn down; kInvalid: see
// IncNode, or the node has been deleted.
template <LockingPolicy L>
RefCounted IncRefForNode(core::Proc<L>& proc, core::Node<L>& node,
                         Strength strength, core::Thread<L>* announce_to) {
  Garbage<L> garbage;
  sync::MutexLock refs(proc.refs_mu);
  if (proc.refs_closed) return {Errc::kNoProcess, 0};
  core::Ref<L>* ref = proc.refs.Find(node);
  if (ref == nullptr) {
    bool is_manager = false;
    {
      sync::MutexLock lock(node.mu);
      is_manager = node.is_manager;
    }
    core::Context<L>& context = *proc.context;
    ref = &proc.refs.Insert(proc, node, context.NextId(), is_manager);
    sync::MutexLock lock(ref->node->mu);
    ref->next_of_node = ref->node->first_ref;
    if (core::Ref<L>* next = ref->next_of_node) {
      next->node->mu.AssertHeld();
      next->prev_of_node = ref;
    }
    ref->node->first_ref = ref;
  }
  ref->proc->refs_mu.AssertHeld();
  sync::MutexLock lock(ref->node->mu);
  int& count = strength == Strength::kStrong ? ref->strong : ref->weak;
  // A node that left its owner's table while we looked cannot come back.
  Errc error = ref->node->erased ? Errc::kInvalid : Errc::kOk;
  if (error == Errc::kOk && count == 0) {
    error = IncNode(*ref->node, strength, /*internal=*/true, announce_to);
  }
  if (error == Errc::kOk) ++count;
  const std::uint32_t handle = ref->handle;
  if (ref->strong == 0 && ref->weak == 0) {
    RemoveRef(proc, *ref, /*had_strong=*/false, garbage);
  }
  return {error, handle};
}

// Adds to or takes from a count of the handle. kInvalid: no such handle, or a
// strong operation on one without strong counts (RF-14, RF-15).
template <LockingPolicy L>
Errc IncRef(core::Proc<L>& proc, std::uint32_t handle, Strength strength) {
  sync::MutexLock refs(proc.refs_mu);
  core::Ref<L>* ref = proc.refs.Find(handle);
  if (ref == nullptr) return Errc::kInvalid;
  ref->proc->refs_mu.AssertHeld();
  if (strength == Strength::kStrong) {
    if (ref->strong == 0) return Errc::kInvalid;
    ++ref->strong;
    return Errc::kOk;
  }
  if (ref->weak == 0) {
    sync::MutexLock lock(ref->node->mu);
    const Errc error = IncNode<L>(*ref->node, strength, /*internal=*/true,
                                  /*announce_to=*/nullptr);
    if (error != Errc::kOk) return error;
  }
  ++ref->weak;
  return Errc::kOk;
}

template <LockingPolicy L>
Errc DecRef(core::Proc<L>& proc, std::uint32_t handle, Strength strength) {
  Garbage<L> garbage;
  sync::MutexLock refs(proc.refs_mu);
  core::Ref<L>* ref = proc.refs.Find(handle);
  if (ref == nullptr) return Errc::kInvalid;
  ref->proc->refs_mu.AssertHeld();
  int& count = strength == Strength::kStrong ? ref->strong : ref->weak;
  if (count == 0) return Errc::kInvalid;
  --count;
  if (count > 0) return Errc::kOk;
  const bool last = ref->strong == 0 && ref->weak == 0;
  if (!last && strength == Strength::kWeak) return Errc::kOk;
  sync::MutexLock lock(ref->node->mu);
  if (strength == Strength::kStrong) {
    DecNode(*ref->node, Strength::kStrong, /*internal=*/true, garbage);
  }
  if (last) RemoveRef(proc, *ref, /*had_strong=*/false, garbage);
  return Errc::kOk;
}

// The node behind a handle; empty when there is none, or when strength is
// asked for and the handle has only weak counts.
template <LockingPolicy L>
[[nodiscard]] core::Pin<core::Node<L>> NodeOfHandle(core::Proc<L>& proc,
                                                    std::uint32_t handle,
                                                    Strength strength) {
  sync::MutexLock refs(proc.refs_mu);
  core::Ref<L>* ref = proc.refs.Find(handle);
  if (ref == nullptr) return {};
  ref->proc->refs_mu.AssertHeld();
  if (strength == Strength::kStrong && ref->strong == 0) return {};
  return ref->node;
}

// --- Commands --------------------------------------------------------------

// One more count of a handle. Handle 0 means the current manager's node
// (RF-16); kInvalid when that is the caller's own (RF-17). kNoEntry: there is
// none.
template <LockingPolicy L>
Errc TryAcquire(core::Thread<L>& self, std::uint32_t handle,
                Strength strength) {
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  if (handle == 0) {
    const core::Pin<core::Node<L>> manager = context.Manager();
    if (manager) {
      bool own = false;
      {
        sync::MutexLock lock(manager->mu);
        own = manager->owner == &proc;
      }
      if (own) return Errc::kInvalid;
      if (IncRefForNode<L>(proc, *manager, strength, nullptr).error ==
          Errc::kOk) {
        return Errc::kOk;
      }
    }
  }
  return IncRef(proc, handle, strength) == Errc::kOk ? Errc::kOk
                                                     : Errc::kNoEntry;
}

// Handles BC_INCREFS and BC_ACQUIRE. All mistakes but RF-17 are ignored.
template <LockingPolicy L>
Errc Acquire(core::Thread<L>& self, std::uint32_t handle, Strength strength) {
  const Errc error = TryAcquire(self, handle, strength);
  if (error != Errc::kNoEntry) return error;
  const core::Proc<L>& proc = *self.proc;
  proc.context->Complain(UserError::kBadHandle, proc.options.pid, self.tid);
  return Errc::kOk;
}

// Handles BC_RELEASE and BC_DECREFS. Mistakes are ignored.
template <LockingPolicy L>
void Release(core::Thread<L>& self, std::uint32_t handle, Strength strength) {
  if (DecRef(*self.proc, handle, strength) != Errc::kOk) {
    self.proc->context->Complain(UserError::kBadCount, self.proc->options.pid,
                                 self.tid);
  }
}

// Handles BC_INCREFS_DONE and BC_ACQUIRE_DONE: the owner has taken notice, so
// the count held for it goes. Mistakes are ignored (RF-09).
template <LockingPolicy L>
void AcknowledgeNode(core::Thread<L>& self, const PtrCookie& which,
                     Strength strength) {
  Garbage<L> garbage;
  core::Proc<L>& proc = *self.proc;
  core::Context<L>& context = *proc.context;
  const std::int32_t pid = proc.options.pid;
  const NodeHold<L> hold(FindNode(proc, which.ptr));
  if (!hold || hold->cookie != which.cookie) {
    context.Complain(UserError::kBadNode, pid, self.tid);
    return;
  }
  core::Node<L>& node = *hold;
  bool was_pending = false;
  {
    sync::MutexLock lock(node.mu);
    bool& pending =
        strength == Strength::kStrong ? node.pending_strong : node.pending_weak;
    was_pending = std::exchange(pending, false);
    if (was_pending) DecNode(node, strength, /*internal=*/false, garbage);
    if (was_pending && !node.pending_strong && !node.pending_weak &&
        context.options.quirks.releases_wait_for_all_acknowledgements) {
      SettleNode(node, garbage);  // What was withheld is due now.
    }
  }
  if (!was_pending) {
    context.Complain(UserError::kNothingPending, pid, self.tid);
  }
}

// Which commands a node's work makes for its owner, in the order in which they
// are written (RF-11).
struct NodeNews {
  bool incref = false;
  bool acquire = false;
  bool release = false;
  bool decref = false;
};

// Reads the work of `node`, which has been taken off its list: compares what
// counts the node with what the owner knows, and deletes it if it is over.
template <LockingPolicy L>
[[nodiscard]] NodeNews ReadNodeWork(core::Node<L>& node) {
  Garbage<L> garbage;
  NodeNews news;
  sync::MutexLock lock(node.mu);
  if (node.owner == nullptr || node.erased) return news;
  const bool strong = node.StronglyHeld();
  const bool weak = node.Held();
  if (weak && !node.has_weak) {
    node.has_weak = node.pending_weak = true;
    ++node.local_weak;
    news.incref = true;
  }
  if (strong && !node.has_strong) {
    node.has_strong = node.pending_strong = true;
    ++node.local_strong;
    news.acquire = true;
  }
  const bool withheld = (node.pending_strong || node.pending_weak) &&
                        node.owner->context->options.quirks
                            .releases_wait_for_all_acknowledgements;
  if (!strong && node.has_strong && !withheld) {
    node.has_strong = false;
    news.release = true;
  }
  if (!weak && node.has_weak && !withheld) {
    node.has_weak = false;
    news.decref = true;
  }
  if (!weak && !withheld) SettleNode(node, garbage);
  return news;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_REFCOUNT_H_
