// SPDX-License-Identifier: Apache-2.0
//
// TakeWaitGraph: who waits for whom in a Context (debug/waits.h), while it
// works, and above all while it does not.
//
//   const auto graph = binderlite::debug::TakeWaitGraph(context);
//   if (graph.wrong()) std::puts(ToText(graph).c_str());
//
// Takes each lock for a moment, one after the other, as TakeSnapshot does, but
// the binder lock, where there is one, only if it can be had within
// GraphOptions::patience: whoever stalls with it is what is to be found. What
// can be told without it is told then: who wants it, who has it, who sleeps.
//
// Under a lock numbers are copied into room made before; when there was too
// little, everything is taken again. Nothing is written or called there.

#ifndef BINDERLITE_DEBUG_WAIT_GRAPH_H_
#define BINDERLITE_DEBUG_WAIT_GRAPH_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/wait_report.h"
#include "binderlite/debug/waits.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/entry.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite::debug {

struct GraphOptions {
  // How long to try to get the binder lock, all in all.
  std::chrono::nanoseconds patience = std::chrono::milliseconds(20);
};

namespace wait_graph_internal {

// Items that are collected under a lock: into room made before, or not.
template <class T>
class Batch {
 public:
  // Empties it, and makes room; without locks.
  void Prepare() {
    items_.clear();
    items_.reserve(std::max<std::size_t>(16, wanted_ + wanted_ / 4));
    wanted_ = 0;
  }
  void Add(const T& item) {
    ++wanted_;
    if (items_.size() < items_.capacity()) items_.push_back(item);
  }
  [[nodiscard]] bool complete() const { return wanted_ == items_.size(); }
  [[nodiscard]] const std::vector<T>& items() const { return items_; }
  // The driver's tables have no order.
  template <class Key>
  void SortBy(Key key) {
    std::sort(items_.begin(), items_.end(),
              [&key](const T& a, const T& b) { return key(a) < key(b); });
  }

 private:
  std::vector<T> items_;
  std::size_t wanted_ = 0;
};

// Plain numbers, as they are copied under locks.
struct TaskFact {
  const void* task = nullptr;
  std::int32_t tid = 0;
  bool busy = false;
  bool parked = false;
  core::LockStage stage = core::LockStage::kAway;
};

struct CallFact {
  std::uint32_t id = 0;
  core::TransactionKind kind = core::TransactionKind::kCall;
  std::uint32_t code = 0;
  std::uint32_t node = 0;
  std::int32_t from_pid = 0;
  std::int32_t from_tid = 0;
  std::uint32_t to_proc = 0;
  std::int32_t to_pid = 0;
  std::int32_t to_tid = 0;
  CallPlace place = CallPlace::kOnItsWay;
};

struct ThreadFact {
  std::int32_t tid = 0;
  std::uint32_t looper = 0;
  bool waiting = false;
  bool lent = false;
  std::uint32_t waits = 0;   // The top of its stack, if that is its own.
  std::uint32_t serves = 0;  // The innermost that is not.
};

struct NodeFact {
  std::uint32_t id = 0;
  std::size_t behind = 0;
};

template <class L>
struct ProcFacts {
  Batch<TaskFact> tasks;
  Batch<const void*> freezers;
  Batch<ThreadFact> threads;
  Batch<CallFact> calls;
  Batch<core::Pin<core::Node<L>>> pins;
  Batch<NodeFact> nodes;
  bool seen = false;
  bool dead = false;
  std::size_t queued = 0;

  void Prepare() {
    tasks.Prepare();
    freezers.Prepare();
    threads.Prepare();
    calls.Prepare();
    pins.Prepare();
    nodes.Prepare();
    queued = 0;
  }
  [[nodiscard]] bool complete() const {
    return tasks.complete() && freezers.complete() && threads.complete() &&
           calls.complete() && pins.complete() && nodes.complete();
  }
};

// The caller's lock keeps it where it is.
template <LockingPolicy L>
CallFact FactOf(const core::Transaction<L>& t, CallPlace place) {
  CallFact fact{.id = t.id,
                .kind = t.kind,
                .code = t.code,
                .from_pid = t.sender_pid,
                .from_tid = t.sender_tid,
                .to_proc = t.to_proc->id,
                .to_pid = t.to_proc->options.pid,
                .to_tid = t.steered_to,
                .place = place};
  sync::MutexLock lock(t.mu);
  if (const core::Thread<L>* to = t.to_thread.load(std::memory_order_acquire)) {
    fact.to_tid = to->tid;
    if (place == CallPlace::kOnItsWay) fact.place = CallPlace::kServed;
  }
  return fact;
}

// The caller holds the lock of the list. How many calls there are on it.
template <LockingPolicy L>
std::size_t TakeList(const core::WorkList& list, std::int32_t tid,
                     Batch<CallFact>& calls) {
  std::size_t count = 0;
  list.ForEach([&](const core::Work& work) {
    if (work.type != core::WorkType::kTransaction) return;
    const auto& t = static_cast<const core::Transaction<L>&>(work);
    if (t.kind == core::TransactionKind::kReply) return;
    ++count;
    CallFact fact =
        FactOf<L>(t, tid == 0 ? CallPlace::kQueued : CallPlace::kHandedOver);
    fact.to_tid = tid;
    // What is queued has its buffer, and goes with the list.
    if (t.buffer != nullptr) fact.node = t.buffer->purpose.node_id;
    calls.Add(fact);
  });
  return count;
}

template <LockingPolicy L>
void TakeThread(const core::Thread<L>& thread, ProcFacts<L>& facts)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  ThreadFact fact{
      .tid = thread.tid,
      .looper = thread.looper.load(std::memory_order_relaxed),
      .lent = thread.lent.load(std::memory_order_relaxed),
  };
  (void)TakeList<L>(thread.todo, thread.tid, facts.calls);
  const core::Transaction<L>* const top = thread.stack;
  for (const core::Transaction<L>* t = top; t != nullptr;
       t = t->Below(thread)) {
    if (t->IsServedBy(thread)) {
      if (fact.serves == 0) fact.serves = t->id;
    } else {
      if (t == top) fact.waits = t->id;
      facts.calls.Add(FactOf<L>(*t, CallPlace::kOnItsWay));
    }
  }
  {
    sync::MutexLock waiters(thread.proc->waiters_mu);
    fact.waiting = thread.is_waiting;
  }
  facts.threads.Add(fact);
}

// With the entry section, if there is one.
template <LockingPolicy L>
void TakeQueues(const core::Proc<L>& proc, ProcFacts<L>& facts) {
  {
    sync::MutexLock queues(proc.queues_mu);
    facts.dead = proc.is_dead;
    facts.queued = TakeList<L>(proc.todo, /*tid=*/0, facts.calls);
    proc.threads.ForEach([&facts](const core::Thread<L>& thread) {
      thread.proc->queues_mu.AssertHeld();
      TakeThread<L>(thread, facts);
    });
    proc.nodes.ForEach([&facts](core::Node<L>& node) {
      facts.pins.Add(core::Pin<core::Node<L>>(&node));
    });
  }
  for (const core::Pin<core::Node<L>>& pin : facts.pins.items()) {
    const core::Node<L>& node = *pin;
    sync::MutexLock lock(node.mu);
    if (!node.async_todo.empty()) {
      facts.nodes.Add({node.id, node.async_todo.size()});
    }
  }
}

// Without it: the waiting list has a lock of its own then.
template <LockingPolicy L>
void TakeIdle(const core::Proc<L>& proc, ProcFacts<L>& facts) {
  sync::MutexLock waiters(proc.waiters_mu);
  const core::Thread<L>* thread = proc.first_waiting;
  while (thread != nullptr) {
    thread->proc->waiters_mu.AssertHeld();
    facts.threads.Add({.tid = thread->tid,
                       .looper = thread->looper.load(std::memory_order_relaxed),
                       .waiting = true});
    thread = thread->next_waiting;
  }
}

template <LockingPolicy L>
class Taker {
 public:
  Taker(core::Context<L>& context, const GraphOptions& options)
      : context_(context), until_(L::Primitives::Now() + options.patience) {}

  WaitGraph Take() {
    g_.discipline = L::kName;
    g_.context = context_.options.name;
    Batch<core::Pin<core::Proc<L>>> procs;
    for (int i = 0; i < kTries && (i == 0 || !procs.complete()); ++i) {
      procs.Prepare();
      sync::MutexLock lock(context_.mu);
      context_.procs.ForEach([&procs](core::Proc<L>& proc) {
        procs.Add(core::Pin<core::Proc<L>>(&proc));
      });
    }
    if (!procs.complete()) g_.incomplete = true;
    procs.SortBy([](const auto& proc) { return proc->id; });
    for (const auto& proc : procs.items()) {
      index_.emplace(proc->id, index_.size());
    }
    for (const auto& proc : procs.items()) TakeProc(*proc);
    Settle();
    if constexpr (L::kHasBinderLock) {
      g_.lock_waiters = context_.entry.waiters();
    }
    Untangle(g_);
    return std::move(g_);
  }

 private:
  // How often to make more room for what has grown meanwhile.
  static constexpr int kTries = 4;

  void TakeProc(core::Proc<L>& proc) {
    ProcFacts<L> facts;
    for (int i = 0; i < kTries && (i == 0 || !facts.complete()); ++i) {
      facts.Prepare();
      {
        sync::MutexLock lock(proc.tasks_mu);
        proc.tasks.ForEach([&facts](const core::Task<L>& task) {
          facts.tasks.Add(
              {.task = &task,
               .tid = task.tid,
               .busy = task.busy(),
               .parked = task.parker.parked(),
               .stage = task.lock_stage.load(std::memory_order_relaxed)});
        });
        for (const auto& task : proc.freezing_tasks) {
          facts.freezers.Add(&*task);
        }
      }
      driver::DriverEntry<L> entry(context_);
      facts.seen =
          entry.EnterToLook(g_.lock_held ? sync::TimePoint::min() : until_);
      if (facts.seen) {
        TakeQueues<L>(proc, facts);
      } else {
        g_.lock_held = true;
        TakeIdle<L>(proc, facts);
      }
    }
    if (!facts.complete()) g_.incomplete = true;
    Write(proc, facts);
  }

  // From here on no lock but that of the arena.
  void Write(core::Proc<L>& proc, ProcFacts<L>& facts) {
    const std::size_t index = g_.procs.size();
    const auto usage = proc.arena.usage();
    const auto counters = proc.counters.snapshot();
    g_.procs.push_back({.id = proc.id,
                        .pid = proc.options.pid,
                        .name = proc.options.name,
                        .seen = facts.seen,
                        .dead = facts.dead,
                        .frozen = proc.is_frozen.load(),
                        .max_threads = counters.max,
                        .requested = counters.requested,
                        .started = counters.started,
                        .queued = facts.queued,
                        .outstanding = proc.outstanding.load(),
                        .arena_size = usage.mapped ? usage.size : 0,
                        .arena_free = usage.free_bytes,
                        .arena_free_async = usage.free_async});
    for (const CallFact& call : facts.calls.items()) See(call);
    facts.tasks.SortBy([](const TaskFact& task) { return task.tid; });
    facts.nodes.SortBy([](const NodeFact& node) { return node.id; });
    WriteThreads(index, facts);
    if (facts.nodes.items().empty() && served_here_ == 0) return;
    // Which one-ways it has in its hands, and to which nodes calls went.
    std::map<std::uint32_t, std::uint32_t> in_hand;
    for (const auto& buffer : proc.arena.ListBuffers()) {
      node_of_[buffer.purpose.id] = buffer.purpose.node_id;
      if (buffer.is_async &&
          buffer.state == core::Arena<L>::State::kDelivered) {
        in_hand[buffer.purpose.node_id] = buffer.purpose.id;
      }
    }
    for (const NodeFact& node : facts.nodes.items()) {
      g_.nodes.push_back({.proc = index,
                          .node = node.id,
                          .in_hand = in_hand[node.id],
                          .behind = node.behind});
    }
  }

  void WriteThreads(std::size_t index, const ProcFacts<L>& facts) {
    std::map<std::int32_t, ThreadFact> records;
    for (const ThreadFact& record : facts.threads.items()) {
      records.emplace(record.tid, record);
    }
    served_here_ = 0;
    for (const TaskFact& task : facts.tasks.items()) {
      const auto it = records.find(task.tid);
      ThreadWaits t{.proc = index,
                    .tid = task.tid,
                    .in_call = task.busy,
                    .asleep = task.parked};
      if (it != records.end()) {
        const ThreadFact& record = it->second;
        constexpr std::uint32_t kLooper =
            core::kLooperRegistered | core::kLooperEntered;
        t.looper = (record.looper & kLooper) != 0 &&
                   (record.looper & core::kLooperExited) == 0;
        t.polls = (record.looper & core::kLooperPoll) != 0;
        t.lent = record.lent;
        t.serves = record.serves;
        t.call = record.waits != 0 ? record.waits : record.serves;
        if (record.serves != 0) {
          ++served_here_;
          served_by_[record.serves] = {index, task.tid};
        }
      }
      t.state = StateOf(task, it == records.end() ? nullptr : &it->second,
                        facts.seen);
      if (t.state == WaitState::kHoldsLock) g_.lock_holder = g_.threads.size();
      tasks_.emplace(task.task, g_.threads.size());
      g_.threads.push_back(std::move(t));
    }
    for (const void* freezer : facts.freezers.items()) {
      freezers_.push_back({freezer, index});
    }
  }

  static WaitState StateOf(const TaskFact& task, const ThreadFact* record,
                           bool seen) {
    if (task.stage == core::LockStage::kWants) return WaitState::kWaitsForLock;
    if (!seen && task.stage == core::LockStage::kHolds) {
      return WaitState::kHoldsLock;
    }
    if (record != nullptr) {
      if (record->waits != 0) return WaitState::kWaitsForReply;
      if (record->serves != 0) return WaitState::kRunsHandler;
      if (record->waiting) return WaitState::kIdle;
    }
    if (!seen) return WaitState::kNotSeen;
    return task.busy ? WaitState::kInDriver : WaitState::kOutside;
  }

  // What a Proc's own lists say of a call is better than what its sender's
  // stack does, which may be older or newer.
  void See(const CallFact& fact) {
    const auto [it, is_new] = calls_.try_emplace(fact.id);
    CallWaits& call = it->second;
    const bool better = is_new || fact.place == CallPlace::kQueued ||
                        fact.place == CallPlace::kHandedOver;
    if (!better) return;
    const auto to = index_.find(fact.to_proc);
    call = {.id = fact.id,
            .one_way = fact.kind == core::TransactionKind::kOneWay,
            .code = fact.code,
            .node = fact.node,
            .from_pid = fact.from_pid,
            .from_tid = fact.from_tid,
            .to = to == index_.end() ? kNone : to->second,
            .to_pid = fact.to_pid,
            .to_tid = fact.to_tid,
            .place = fact.place};
  }

  // When all Procs have been looked at.
  void Settle() {
    for (auto& [id, call] : calls_) {
      if (const auto by = served_by_.find(id);
          by != served_by_.end() && call.place != CallPlace::kQueued) {
        call.to = by->second.first;
        call.to_tid = by->second.second;
        call.place = CallPlace::kServed;
      }
      if (const auto node = node_of_.find(id);
          node != node_of_.end() && call.node == 0) {
        call.node = node->second;
      }
      g_.calls.push_back(call);
    }
    for (const auto& [task, proc] : freezers_) {
      const auto it = tasks_.find(task);
      g_.freezes.push_back({it == tasks_.end() ? kNone : it->second, proc});
    }
  }

  core::Context<L>& context_;
  const sync::TimePoint until_;
  WaitGraph g_;
  std::map<std::uint32_t, std::size_t> index_;  // Of Procs, by id.
  std::map<std::uint32_t, CallWaits> calls_;
  std::map<std::uint32_t, std::pair<std::size_t, std::int32_t>> served_by_;
  std::map<std::uint32_t, std::uint32_t> node_of_;
  std::map<const void*, std::size_t> tasks_;
  std::vector<std::pair<const void*, std::size_t>> freezers_;
  int served_here_ = 0;
};

}  // namespace wait_graph_internal

// Who waits for whom, at this moment. From any thread that is in no call of the
// driver, at any time.
template <LockingPolicy L>
[[nodiscard]] WaitGraph TakeWaitGraph(core::Context<L>& context,
                                      const GraphOptions& options = {}) {
  return wait_graph_internal::Taker<L>(context, options).Take();
}
template <LockingPolicy L>
[[nodiscard]] WaitGraph TakeWaitGraph(BasicContext<L>& context,
                                      const GraphOptions& options = {}) {
  return TakeWaitGraph(context.state(), options);
}

// Whether anybody may be waiting for anything: cheap, and takes no lock but
// that of the list of Procs. Not of one-ways that are in their receiver's
// hands.
template <LockingPolicy L>
[[nodiscard]] bool MayWait(core::Context<L>& context) {
  if (context.entry.waiters() > 0) return true;
  sync::MutexLock lock(context.mu);
  bool may = false;
  context.procs.ForEach([&may](const core::Proc<L>& proc) {
    may = may || proc.outstanding.load() > 0 ||
          proc.freezers.load(std::memory_order_relaxed) > 0;
  });
  return may;
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_WAIT_GRAPH_H_
