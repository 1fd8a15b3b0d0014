// SPDX-License-Identifier: Apache-2.0
//
// Node: an object that a Proc owns and others hold handles to.
//
// What counts, and who is told:
//
//   internal_strong  Procs whose Ref to this node has a strong count
//   refs             Procs with any Ref to this node; their weak interest
//   local_strong/    counts of the owner's own side: payloads that name the
//   local_weak       node, and acknowledgements that are outstanding
//   holds            threads that work with the node right now
//   has_strong/weak  what the owner has been told (BR_ACQUIRE, BR_INCREFS)
//   pending_*        told, not yet acknowledged (BC_ACQUIRE_DONE, ...)
//
// Whenever what is counted and what the owner was told differ, the node's
// work is queued to the owner; reading it tells the difference. The node goes
// away when nothing counts it and the owner believes so, too.
//
// `mu` (policy section "node") guards everything but the owner's knowledge of
// it. The work's list is guarded by the queues mutex of the owner; while the
// owner lives, `erased` changes under both.
// Kernel: binder_node. libbinder: BBinder.

#ifndef BINDERLITE_CORE_NODE_H_
#define BINDERLITE_CORE_NODE_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/table.h"
#include "binderlite/core/work.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/flags.h"

namespace binderlite::core {

template <class L>
class Node : public TableLink<Node<L>>, public Work, public Pinned<Node<L>> {
 public:
  // `flags` are those of the flat object that made the node known.
  Node(LiveCounts& live, Proc<L>& the_owner, std::uint32_t debug_id,
       std::uint64_t node_ptr, std::uint64_t node_cookie, std::uint32_t flags)
      : Work(WorkType::kNode),
        ptr(node_ptr),
        cookie(node_cookie),
        counted_(live),
        owner(&the_owner),
        id(debug_id),
        min_priority(static_cast<std::uint8_t>(flags & kFlatPriorityMask)),
        accepts_fds((flags & kFlatAcceptsFds) != 0),
        wants_security_context((flags & kFlatTxnSecurityCtx) != 0) {}

  ~Node() { BINDERLITE_ASSERT(first_ref == nullptr); }

  // Its entry in the owner's todo lists; links guarded by the owner's queues
  // mutex. A queued one is pinned by the owner's table of nodes.
  [[nodiscard]] Work& work() { return *this; }
  // Its place in that table.
  [[nodiscard]] std::uint64_t table_key() const { return ptr; }
  // Those of its Context.
  [[nodiscard]] LiveCounts& counts() const { return counted_.counts(); }

  // There are many nodes, so members are in an order that leaves no gaps.
  const std::uint64_t ptr;     // The owner's name for it.
  const std::uint64_t cookie;  // Opaque; must match ptr in every command.

 private:
  Counted<ObjectKind::kNode> counted_;

 public:
  mutable typename L::NodeMutex mu;

  // Null once the owner is dead; never set again.
  Proc<L>* owner ABSL_GUARDED_BY(mu);

  // Refs to this node, the youngest first; linked through Ref::next_of_node.
  Ref<L>* first_ref ABSL_GUARDED_BY(mu) = nullptr;

  // One-way transactions: at most one is on its way to the owner or in the
  // owner's hands (has_async); the others wait here in order of acceptance.
  WorkList async_todo ABSL_GUARDED_BY(mu);

  int internal_strong ABSL_GUARDED_BY(mu) = 0;
  int local_strong ABSL_GUARDED_BY(mu) = 0;
  int local_weak ABSL_GUARDED_BY(mu) = 0;
  int holds ABSL_GUARDED_BY(mu) = 0;

  const std::uint32_t id;
  const std::uint8_t min_priority;
  const bool accepts_fds;
  const bool wants_security_context;
  // Its calls may be served on their caller's thread; see driver/loan.h.
  std::atomic<bool> on_callers{false};

  bool has_async ABSL_GUARDED_BY(mu) = false;
  // No longer in the owner's table: counts may not rise again.
  bool erased ABSL_GUARDED_BY(mu) = false;
  bool has_strong ABSL_GUARDED_BY(mu) = false;
  bool pending_strong ABSL_GUARDED_BY(mu) = false;
  bool has_weak ABSL_GUARDED_BY(mu) = false;
  bool pending_weak ABSL_GUARDED_BY(mu) = false;
  // The context manager's node is never announced to its owner.
  bool is_manager ABSL_GUARDED_BY(mu) = false;

  [[nodiscard]] bool StronglyHeld() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return internal_strong > 0 || local_strong > 0;
  }
  // Weak counts, those who work with it, and the handles of others.
  [[nodiscard]] bool WeaklyHeld() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return local_weak > 0 || holds > 0 || first_ref != nullptr;
  }
  [[nodiscard]] bool Held() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return StronglyHeld() || WeaklyHeld();
  }
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_NODE_H_
