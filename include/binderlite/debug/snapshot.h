// SPDX-License-Identifier: Apache-2.0
//
// TakeSnapshot: reads the driver's state (debug/state.h).
//
// Takes the entry section for one Proc at a time, and in it each lock for a
// moment, one after the other, so that it never keeps the driver from its work
// for long. While calls are in progress the parts need not fit together.

#ifndef BINDERLITE_DEBUG_SNAPSHOT_H_
#define BINDERLITE_DEBUG_SNAPSHOT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "binderlite/core/arena.h"
#include "binderlite/core/context.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/log.h"
#include "binderlite/debug/state.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/entry.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::debug {

namespace snapshot_internal {

// What is put together from all Procs.
template <LockingPolicy L>
struct Seen {
  // All transactions that can be reached, each once, and the Proc each went to.
  // By the time this is read they may be gone.
  std::map<const core::Transaction<L>*, std::uint32_t> transactions;
  // The ids of those that wait to be read.
  std::set<std::uint32_t> queued;
  std::map<std::uint32_t, core::Pin<core::Node<L>>> dead_nodes;
};

template <LockingPolicy L>
void See(const core::Transaction<L>* t, Seen<L>& seen) {
  // Parents, too, also those that were cut off their receiver's stack. They
  // live as long as this one, which the caller's lock keeps where it is, or as
  // the walk.
  if (t == nullptr) return;
  const typename core::Context<L>::ChainWalk walk(*t->to_proc->context);
  for (; t != nullptr && seen.transactions.emplace(t, t->to_proc->id).second;
       t = t->from_parent) {
  }
}

// The caller's lock keeps it where it is.
template <LockingPolicy L>
TransactionSnapshot TakeTransaction(const core::Transaction<L>& t) {
  TransactionSnapshot s{.id = t.id,
                        .kind = t.kind,
                        .from_pid = t.sender_pid,
                        .from_tid = t.sender_tid,
                        .to_pid = t.to_proc->options.pid,
                        .to_tid = t.steered_to,
                        .code = t.code,
                        .flags = t.flags,
                        .priority = t.priority};
  sync::MutexLock lock(t.mu);
  if (const core::Thread<L>* to = t.to_thread.load(std::memory_order_acquire)) {
    s.to_tid = to->tid;
  }
  return s;
}

// The caller holds the lock of the list.
template <LockingPolicy L>
std::vector<WorkSnapshot> TakeList(const core::WorkList& list, Seen<L>& seen) {
  std::vector<WorkSnapshot> items;
  list.ForEach([&](const core::Work& work) {
    WorkSnapshot& s = items.emplace_back(WorkSnapshot{.type = work.type});
    if (work.type == core::WorkType::kTransaction) {
      const auto& t = static_cast<const core::Transaction<L>&>(work);
      See<L>(&t, seen);
      seen.queued.insert(t.id);
      s.transaction = TakeTransaction<L>(t);
    } else if (work.type == core::WorkType::kReturnError) {
      s.error = static_cast<const core::ReturnError&>(work).command();
    } else if (work.type == core::WorkType::kNode) {
      const auto& node = static_cast<const core::Node<L>&>(work);
      s.node_id = node.id;
      s.node_ptr = node.ptr;
      s.node_cookie = node.cookie;
    }
  });
  return items;
}

inline std::vector<core::WorkType> TypesOf(
    const std::vector<WorkSnapshot>& items) {
  std::vector<core::WorkType> types;
  types.reserve(items.size());
  for (const WorkSnapshot& item : items) types.push_back(item.type);
  return types;
}

template <LockingPolicy L>
ThreadSnapshot TakeThread(const core::Thread<L>& thread, Seen<L>& seen)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  ThreadSnapshot s;
  s.tid = thread.tid;
  s.looper = thread.looper.load();
  s.need_return = thread.need_return.load();
  s.process_todo = thread.process_todo;
  s.work = TakeList<L>(thread.todo, seen);
  s.todo = TypesOf(s.work);
  for (const core::Transaction<L>* t = thread.stack; t != nullptr;
       t = t->Below(thread)) {
    See<L>(t, seen);
    const bool incoming = t->IsServedBy(thread);
    s.stack.push_back({t->id, incoming, TakeTransaction<L>(*t)});
    if (!incoming) See<L>(t->early_reply, seen);
  }
  sync::MutexLock waiters(thread.proc->waiters_mu);
  s.waiting = thread.is_waiting;
  s.owes_look = thread.owes_look;
  return s;
}

template <LockingPolicy L>
NodeSnapshot TakeNode(const core::Node<L>& node, Seen<L>& seen) {
  NodeSnapshot s;
  sync::MutexLock lock(node.mu);
  s.id = node.id;
  s.ptr = node.ptr;
  s.cookie = node.cookie;
  s.has_strong = node.has_strong;
  s.has_weak = node.has_weak;
  s.pending_strong = node.pending_strong;
  s.pending_weak = node.pending_weak;
  s.local_strong = node.local_strong;
  s.local_weak = node.local_weak;
  s.internal_strong = node.internal_strong;
  s.holds = node.holds;
  s.has_async = node.has_async;
  for (const WorkSnapshot& item : TakeList<L>(node.async_todo, seen)) {
    s.one_ways.push_back(item.transaction);
  }
  s.waiting_one_ways = s.one_ways.size();
  for (const core::Ref<L>* ref = node.first_ref; ref != nullptr;) {
    ref->node->mu.AssertHeld();
    s.holders.push_back(ref->proc->options.pid);
    ref = ref->next_of_node;
  }
  s.refs = static_cast<int>(s.holders.size());
  return s;
}

template <LockingPolicy L>
RefSnapshot TakeRef(const core::Ref<L>& ref, Seen<L>& seen)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(ref.proc->refs_mu) {
  RefSnapshot s{.handle = ref.handle, .node_id = ref.node->id, .id = ref.id};
  s.strong = ref.strong;
  s.weak = ref.weak;
  sync::MutexLock lock(ref.node->mu);
  s.node_dead = ref.node->owner == nullptr;
  s.death = ref.death != nullptr;
  s.freeze = ref.freeze != nullptr;
  if (s.node_dead) {
    seen.dead_nodes.emplace(s.node_id, core::Pin<core::Node<L>>(ref.node));
  }
  return s;
}

template <LockingPolicy L>
void TakeBuffers(const core::Proc<L>& proc, ProcSnapshot& s) {
  std::set<std::uint32_t> served;
  for (const ThreadSnapshot& thread : s.threads) {
    for (const StackEntry& entry : thread.stack) {
      if (entry.incoming) served.insert(entry.id);
    }
  }
  for (const auto& buffer : proc.arena.ListBuffers()) {
    s.buffer_list.push_back(
        {.id = buffer.purpose.id,
         .node_id = buffer.purpose.node_id,
         .offset = buffer.offset,
         .data_size = buffer.layout.data_size,
         .offsets_size = buffer.layout.offsets_size,
         .extra_size = buffer.layout.extra_size,
         .active = buffer.state == core::Arena<L>::State::kInFlight ||
                   served.contains(buffer.purpose.id)});
  }
  std::sort(s.buffer_list.begin(), s.buffer_list.end(),
            [](const BufferSnapshot& a, const BufferSnapshot& b) {
              return a.offset < b.offset;
            });
  const auto usage = proc.arena.usage();
  s.arena_size = usage.size;
  s.arena_free = usage.free_bytes;
  s.arena_free_async = usage.free_async;
  s.arena_holes = usage.holes;
  s.buffers = usage.buffers;
  s.delivered_buffers = usage.delivered;
}

template <LockingPolicy L>
ProcSnapshot TakeProc(core::Proc<L>& proc, Seen<L>& seen) {
  ProcSnapshot s;
  s.id = proc.id;
  s.pid = proc.options.pid;
  s.name = proc.options.name;
  s.outstanding = proc.outstanding.load();
  const auto counters = proc.counters.snapshot();
  s.max_threads = counters.max;
  s.requested = counters.requested;
  s.started = counters.started;
  s.ready = counters.ready;
  std::vector<core::Pin<core::Node<L>>> nodes;
  {
    sync::MutexLock queues(proc.queues_mu);
    s.dead = proc.is_dead;
    s.frozen = proc.is_frozen.load();
    s.work = TakeList<L>(proc.todo, seen);
    s.todo = TypesOf(s.work);
    s.delivered_deaths = proc.delivered_deaths.size();
    s.delivered_freezes = proc.delivered_freezes.size();
    s.commands = proc.retired_commands;
    proc.threads.ForEach([&s, &seen](const core::Thread<L>& thread) {
      thread.proc->queues_mu.AssertHeld();
      s.threads.push_back(TakeThread<L>(thread, seen));
      s.commands.Add(thread.commands.totals());
    });
    nodes = proc.nodes.List();
  }
  std::sort(s.threads.begin(), s.threads.end(),
            [](const auto& a, const auto& b) { return a.tid < b.tid; });
  core::SortByKey(nodes);
  for (const auto& node : nodes) {
    s.nodes.push_back(TakeNode<L>(*node, seen));
  }
  {
    sync::MutexLock refs(proc.refs_mu);
    proc.refs.ForEach([&s, &seen](const core::Ref<L>& ref) {
      ref.proc->refs_mu.AssertHeld();
      s.refs.push_back(TakeRef<L>(ref, seen));
    });
  }
  TakeBuffers<L>(proc, s);
  return s;
}

// A call that nobody serves and that does not wait to be read has lost its
// receiver.
inline void MarkCut(ProcSnapshot& proc, const std::set<std::uint32_t>& queued,
                    const std::set<std::uint32_t>& served) {
  for (ThreadSnapshot& thread : proc.threads) {
    for (StackEntry& entry : thread.stack) {
      if (!queued.contains(entry.id) && !served.contains(entry.id)) {
        entry.transaction.to_pid = entry.transaction.to_tid = 0;
      }
    }
  }
}

}  // namespace snapshot_internal

template <LockingPolicy L>
[[nodiscard]] Snapshot TakeSnapshot(core::Context<L>& context) {
  Snapshot s;
  s.discipline = L::kName;
  s.context = context.options.name;
  std::vector<core::Pin<core::Proc<L>>> procs;
  {
    sync::MutexLock lock(context.mu);
    procs = context.procs.List();
    s.commands = context.retired_commands;
  }
  core::SortByKey(procs);
  snapshot_internal::Seen<L> seen;
  std::set<std::uint32_t> served;
  for (const auto& proc : procs) {
    driver::DriverEntry<L> entry(context);
    entry.EnterToCleanUp();
    s.procs.push_back(snapshot_internal::TakeProc<L>(*proc, seen));
    const ProcSnapshot& taken = s.procs.back();
    s.commands.Add(taken.commands);
    for (const NodeSnapshot& node : taken.nodes) s.live_nodes.insert(node.id);
    for (const RefSnapshot& ref : taken.refs) s.live_nodes.insert(ref.node_id);
    for (const ThreadSnapshot& thread : taken.threads) {
      for (const StackEntry& call : thread.stack) {
        if (call.incoming) served.insert(call.id);
      }
    }
  }
  for (const auto& [id, node] : seen.dead_nodes) {
    driver::DriverEntry<L> entry(context);
    entry.EnterToCleanUp();
    s.dead_nodes.push_back(snapshot_internal::TakeNode<L>(*node, seen));
  }
  for (ProcSnapshot& proc : s.procs) {
    snapshot_internal::MarkCut(proc, seen.queued, served);
  }
  for (const auto& [transaction, proc_id] : seen.transactions) {
    ++s.transactions[proc_id];
  }
  for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
    const auto kind = static_cast<core::ObjectKind>(i);
    s.counts[i] = {context.counts.created(kind), context.counts.deleted(kind)};
  }
  s.log = ReadLog(context.log);
  s.failed_log = ReadLog(context.failed_log);
  return s;
}

template <LockingPolicy L>
[[nodiscard]] Snapshot TakeSnapshot(BasicContext<L>& context) {
  return TakeSnapshot(context.state());
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_SNAPSHOT_H_
