// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: the driver's state as plain data, for tests, tools and people:
// TakeSnapshot reads it, CheckInvariants says what is wrong with it, ToJson
// writes it down.
//
// Takes the entry section and then each lock for a moment, one after the other.
// While calls are in progress the parts need not fit together, so invariants
// are to be checked when none is (waiting threads are no hindrance).
// Kernel: the state and stats files of binder's debugfs.

#ifndef BINDERLITE_DEBUG_SNAPSHOT_H_
#define BINDERLITE_DEBUG_SNAPSHOT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "binderlite/core/arena.h"
#include "binderlite/core/context.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/ref.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/entry.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::debug {

struct NodeSnapshot {
  std::uint32_t id = 0;
  std::uint64_t ptr = 0;
  std::uint64_t cookie = 0;
  bool has_strong = false;
  bool has_weak = false;
  bool pending_strong = false;
  bool pending_weak = false;
  int local_strong = 0;
  int local_weak = 0;
  int internal_strong = 0;
  int holds = 0;
  int refs = 0;  // Refs linked to it.
  bool has_async = false;
  std::size_t waiting_one_ways = 0;
};

struct RefSnapshot {
  std::uint32_t handle = 0;
  std::uint32_t node_id = 0;
  bool node_dead = false;
  int strong = 0;
  int weak = 0;
  bool death = false;
  bool freeze = false;
};

struct StackEntry {
  std::uint32_t id = 0;
  bool incoming = false;
};

struct ThreadSnapshot {
  std::int32_t tid = 0;
  std::uint32_t looper = 0;
  bool need_return = false;
  bool process_todo = false;
  bool waiting = false;  // On the waiting list.
  bool owes_look = false;
  std::vector<core::WorkType> todo;
  std::vector<StackEntry> stack;  // The top first.
};

struct ProcSnapshot {
  std::uint32_t id = 0;
  std::int32_t pid = 0;
  std::string name;
  bool dead = false;
  bool frozen = false;
  std::uint32_t max_threads = 0;
  std::uint32_t requested = 0;
  std::uint32_t started = 0;
  std::uint32_t ready = 0;
  std::int32_t outstanding = 0;
  std::vector<core::WorkType> todo;
  std::size_t delivered_deaths = 0;
  std::size_t delivered_freezes = 0;
  std::vector<ThreadSnapshot> threads;
  std::vector<NodeSnapshot> nodes;
  std::vector<RefSnapshot> refs;
  std::size_t arena_size = 0;
  std::size_t arena_free = 0;
  std::size_t arena_free_async = 0;
  std::size_t arena_holes = 0;
  std::size_t buffers = 0;
  std::size_t delivered_buffers = 0;
};

struct CountSnapshot {
  std::uint64_t created = 0;
  std::uint64_t deleted = 0;
};

struct Snapshot {
  std::string_view discipline;
  std::string context;
  std::vector<ProcSnapshot> procs;  // The oldest first.
  std::array<CountSnapshot, core::kObjectKinds> counts;
  // Transactions found on lists and stacks, by the id of the Proc they went to.
  std::map<std::uint32_t, int> transactions;
  std::set<std::uint32_t> live_nodes;  // In tables, or behind handles.

  [[nodiscard]] std::uint64_t live(core::ObjectKind kind) const {
    const CountSnapshot& count = counts[static_cast<std::size_t>(kind)];
    return count.created - count.deleted;
  }
};

// --- Taking ----------------------------------------------------------------

namespace snapshot_internal {

// All transactions that can be reached, each once, and the Proc each went to.
// By the time this is read they may be gone.
template <LockingPolicy L>
using Seen = std::map<const core::Transaction<L>*, std::uint32_t>;

template <LockingPolicy L>
void See(const core::Transaction<L>* t, Seen<L>& seen) {
  // Parents, too, also those that were cut off their receiver's stack. They
  // live as long as this one, which the caller's lock keeps where it is.
  for (; t != nullptr && seen.emplace(t, t->to_proc->id).second;
       t = t->from_parent) {
  }
}

template <LockingPolicy L>
void SeeList(const core::WorkList& list, Seen<L>& seen,
             std::vector<core::WorkType>* types) {
  list.ForEach([&](const core::Work& work) {
    if (types != nullptr) types->push_back(work.type);
    if (work.type == core::WorkType::kTransaction) {
      See<L>(static_cast<const core::Transaction<L>*>(&work), seen);
    }
  });
}

template <LockingPolicy L>
ThreadSnapshot TakeThread(const core::Thread<L>& thread, Seen<L>& seen)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(thread.proc->queues_mu) {
  ThreadSnapshot s;
  s.tid = thread.tid;
  s.looper = thread.looper.load();
  s.need_return = thread.need_return.load();
  s.process_todo = thread.process_todo;
  SeeList<L>(thread.todo, seen, &s.todo);
  for (const core::Transaction<L>* t = thread.stack; t != nullptr;) {
    See<L>(t, seen);
    const bool incoming = t->IsServedBy(thread);
    s.stack.push_back({t->id, incoming});
    t = incoming ? t->to_parent : t->from_parent;
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
  s.waiting_one_ways = node.async_todo.size();
  SeeList<L>(node.async_todo, seen, nullptr);
  for (const core::Ref<L>* ref = node.first_ref; ref != nullptr;) {
    ref->node->mu.AssertHeld();
    ++s.refs;
    ref = ref->next_of_node;
  }
  return s;
}

template <LockingPolicy L>
RefSnapshot TakeRef(const core::Ref<L>& ref)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(ref.proc->refs_mu) {
  RefSnapshot s{.handle = ref.handle, .node_id = ref.node->id};
  s.strong = ref.strong;
  s.weak = ref.weak;
  sync::MutexLock lock(ref.node->mu);
  s.node_dead = ref.node->owner == nullptr;
  s.death = ref.death != nullptr;
  s.freeze = ref.freeze != nullptr;
  return s;
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
    SeeList<L>(proc.todo, seen, &s.todo);
    s.delivered_deaths = proc.delivered_deaths.size();
    s.delivered_freezes = proc.delivered_freezes.size();
    for (const auto& [tid, pin] : proc.threads) {
      const core::Thread<L>& thread = *pin;
      thread.proc->queues_mu.AssertHeld();
      s.threads.push_back(TakeThread<L>(thread, seen));
    }
    for (const auto& [ptr, node] : proc.nodes) nodes.push_back(node);
  }
  std::map<std::uint64_t, const core::Node<L>*> by_ptr;
  for (const auto& node : nodes) by_ptr[node->ptr] = node.get();
  for (const auto& [ptr, node] : by_ptr) {
    s.nodes.push_back(TakeNode<L>(*node, seen));
  }
  {
    sync::MutexLock refs(proc.refs_mu);
    proc.refs.ForEach([&s](const core::Ref<L>& ref) {
      ref.proc->refs_mu.AssertHeld();
      s.refs.push_back(TakeRef<L>(ref));
    });
  }
  const auto usage = proc.arena.usage();
  s.arena_size = usage.size;
  s.arena_free = usage.free_bytes;
  s.arena_free_async = usage.free_async;
  s.arena_holes = usage.holes;
  s.buffers = usage.buffers;
  s.delivered_buffers = usage.delivered;
  return s;
}

}  // namespace snapshot_internal

template <LockingPolicy L>
[[nodiscard]] Snapshot TakeSnapshot(core::Context<L>& context) {
  Snapshot s;
  s.discipline = L::kName;
  s.context = context.options.name;
  driver::DriverEntry<L> entry(context);
  entry.EnterToCleanUp();
  std::vector<core::Pin<core::Proc<L>>> procs;
  {
    sync::MutexLock lock(context.mu);
    procs = context.procs;
  }
  snapshot_internal::Seen<L> seen;
  for (const auto& proc : procs) {
    s.procs.push_back(snapshot_internal::TakeProc<L>(*proc, seen));
    for (const NodeSnapshot& node : s.procs.back().nodes) {
      s.live_nodes.insert(node.id);
    }
    for (const RefSnapshot& ref : s.procs.back().refs) {
      s.live_nodes.insert(ref.node_id);
    }
  }
  for (const auto& [transaction, proc_id] : seen) ++s.transactions[proc_id];
  for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
    const auto kind = static_cast<core::ObjectKind>(i);
    s.counts[i] = {context.counts.created(kind), context.counts.deleted(kind)};
  }
  return s;
}

template <LockingPolicy L>
[[nodiscard]] Snapshot TakeSnapshot(BasicContext<L>& context) {
  return TakeSnapshot(context.state());
}

// --- Checking --------------------------------------------------------------

// What contradicts itself in the state, one sentence each; empty: nothing.
[[nodiscard]] inline std::vector<std::string> CheckInvariants(
    const Snapshot& s) {
  std::vector<std::string> wrong;
  const auto Expect = [&wrong](bool holds, const ProcSnapshot& proc,
                               std::string what) {
    if (!holds) {
      wrong.push_back("pid " + std::to_string(proc.pid) + ": " +
                      std::move(what));
    }
  };
  struct Held {
    int refs = 0;
    int strong = 0;
  };
  std::map<std::uint32_t, Held> held;
  std::size_t refs = 0;
  // Registrations for deaths: on their Refs, cleared, read by their Procs. The
  // last ones may be of either kind.
  std::size_t deaths = 0;
  std::size_t cleared = 0;
  std::size_t delivered = 0;
  // The same for freezing.
  std::size_t freezes = 0;
  std::size_t cleared_freezes = 0;
  std::size_t delivered_freezes = 0;
  const auto CountCleared = [&](const std::vector<core::WorkType>& todo) {
    for (const core::WorkType type : todo) {
      if (type == core::WorkType::kDeadBinderAndClear ||
          type == core::WorkType::kClearDeathNotification) {
        ++cleared;
      } else if (type == core::WorkType::kClearFreezeNotification) {
        ++cleared_freezes;
      }
    }
  };
  for (const ProcSnapshot& proc : s.procs) {
    CountCleared(proc.todo);
    delivered += proc.delivered_deaths;
    delivered_freezes += proc.delivered_freezes;
    for (const RefSnapshot& ref : proc.refs) {
      ++refs;
      ++held[ref.node_id].refs;
      if (ref.strong > 0) ++held[ref.node_id].strong;
      if (ref.death) ++deaths;
      if (ref.freeze) ++freezes;
      Expect(ref.strong >= 0 && ref.weak >= 0 && ref.strong + ref.weak > 0,
             proc,
             "handle " + std::to_string(ref.handle) + " has counts " +
                 std::to_string(ref.strong) + "/" + std::to_string(ref.weak));
    }
  }
  for (const ProcSnapshot& proc : s.procs) {
    for (const NodeSnapshot& node : proc.nodes) {
      const std::string name = "node " + std::to_string(node.id);
      const Held& holders = held[node.id];
      Expect(node.refs == holders.refs, proc,
             name + " links " + std::to_string(node.refs) + " refs, " +
                 std::to_string(holders.refs) + " name it");
      Expect(node.internal_strong == holders.strong, proc,
             name + " counts " + std::to_string(node.internal_strong) +
                 " strong holders, there are " +
                 std::to_string(holders.strong));
      Expect(node.holds == 0, proc, name + " is still held");
      Expect(node.local_strong >= 0 && node.local_weak >= 0, proc,
             name + " has negative counts");
      Expect(node.has_async || node.waiting_one_ways == 0, proc,
             name + " has one-ways waiting behind nothing");
      Expect(node.refs > 0 || node.local_strong > 0 || node.local_weak > 0 ||
                 node.has_strong || node.has_weak,
             proc, name + " is counted by nobody");
      Expect((node.has_strong || !node.pending_strong) &&
                 (node.has_weak || !node.pending_weak),
             proc, name + " waits for an acknowledgement it did not ask for");
    }
    std::uint32_t waiting = 0;
    for (const ThreadSnapshot& thread : proc.threads) {
      if (thread.waiting) ++waiting;
      CountCleared(thread.todo);
      Expect(!thread.process_todo || !thread.todo.empty(), proc,
             "thread " + std::to_string(thread.tid) +
                 " is to process an empty list");
    }
    Expect(waiting == proc.ready, proc,
           std::to_string(waiting) + " threads wait, ready counter says " +
               std::to_string(proc.ready));
    Expect(proc.requested <= 1, proc, "more than one thread requested");
    const auto found = s.transactions.find(proc.id);
    const int reachable = found == s.transactions.end() ? 0 : found->second;
    Expect(proc.outstanding == reachable, proc,
           std::to_string(proc.outstanding) + " transactions outstanding, " +
               std::to_string(reachable) + " reachable");
    Expect(proc.buffers > 0 || proc.arena_size == 0 ||
               (proc.arena_free == proc.arena_size && proc.arena_holes == 1 &&
                proc.arena_free_async == proc.arena_size / 2),
           proc, "the arena has no buffers and is not free");
    Expect(!proc.dead || !proc.frozen, proc, "dead and frozen");
    Expect(!proc.dead || (proc.threads.empty() && proc.nodes.empty() &&
                          proc.refs.empty() && proc.todo.empty()),
           proc, "dead, but not empty");
  }
  const auto ExpectLive = [&](core::ObjectKind kind, std::uint64_t want) {
    if (s.live(kind) != want) {
      wrong.push_back(std::to_string(s.live(kind)) + " live objects of kind " +
                      std::string(ToString(kind)) + ", found " +
                      std::to_string(want));
    }
  };
  ExpectLive(core::ObjectKind::kRef, refs);
  ExpectLive(core::ObjectKind::kNode, s.live_nodes.size());
  int reachable = 0;
  for (const auto& [id, count] : s.transactions) reachable += count;
  ExpectLive(core::ObjectKind::kTransaction,
             static_cast<std::uint64_t>(reachable));
  // What has been delivered may or may not be on its Ref as well.
  const auto ExpectBetween = [&](core::ObjectKind kind, std::size_t found,
                                 std::size_t more) {
    const std::uint64_t live = s.live(kind);
    if (live >= found && live <= found + more) return;
    wrong.push_back(std::to_string(live) + " live objects of kind " +
                    std::string(ToString(kind)) + ", found " +
                    std::to_string(found) + " and " + std::to_string(more) +
                    " delivered");
  };
  ExpectBetween(core::ObjectKind::kDeath, deaths + cleared, delivered);
  ExpectBetween(core::ObjectKind::kFreeze, freezes + cleared_freezes,
                delivered_freezes);
  return wrong;
}

// --- Writing ---------------------------------------------------------------

namespace snapshot_internal {

// Just enough JSON: objects and arrays of numbers, booleans and strings.
class Json {
 public:
  void Open(char bracket) {
    Comma();
    text_ += bracket;
    first_ = true;
  }
  void Close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void Key(std::string_view key) {
    Value(key);
    text_ += ':';
    first_ = true;
  }
  void Value(std::string_view value) {
    Comma();
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr std::string_view kHex = "0123456789abcdef";
        text_ += "\\u00";
        text_ += kHex[static_cast<unsigned char>(c) >> 4];
        text_ += kHex[static_cast<unsigned char>(c) & 15];
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void Value(T value) {
    Comma();
    if constexpr (std::is_same_v<T, bool>) {
      text_ += value ? "true" : "false";
    } else {
      text_ += std::to_string(value);
    }
  }
  template <class T>
  void Field(std::string_view key, const T& value) {
    Key(key);
    Value(value);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void Comma() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  std::string text_;
  bool first_ = true;
};

inline void WriteTodo(Json& json, const std::vector<core::WorkType>& todo) {
  json.Key("todo");
  json.Open('[');
  for (const core::WorkType type : todo) json.Value(ToString(type));
  json.Close(']');
}

inline void WriteThread(Json& json, const ThreadSnapshot& thread) {
  json.Open('{');
  json.Field("tid", thread.tid);
  json.Field("looper", thread.looper);
  json.Field("need_return", thread.need_return);
  json.Field("waiting", thread.waiting);
  WriteTodo(json, thread.todo);
  json.Key("stack");
  json.Open('[');
  for (const StackEntry& entry : thread.stack) {
    json.Open('{');
    json.Field("id", entry.id);
    json.Field("incoming", entry.incoming);
    json.Close('}');
  }
  json.Close(']');
  json.Close('}');
}

inline void WriteNode(Json& json, const NodeSnapshot& node) {
  json.Open('{');
  json.Field("id", node.id);
  json.Field("ptr", node.ptr);
  json.Field("cookie", node.cookie);
  json.Field("has_strong", node.has_strong);
  json.Field("has_weak", node.has_weak);
  json.Field("local_strong", node.local_strong);
  json.Field("local_weak", node.local_weak);
  json.Field("internal_strong", node.internal_strong);
  json.Field("refs", node.refs);
  json.Field("has_async", node.has_async);
  json.Field("waiting_one_ways", node.waiting_one_ways);
  json.Close('}');
}

inline void WriteRef(Json& json, const RefSnapshot& ref) {
  json.Open('{');
  json.Field("handle", ref.handle);
  json.Field("node", ref.node_id);
  json.Field("dead", ref.node_dead);
  json.Field("strong", ref.strong);
  json.Field("weak", ref.weak);
  json.Field("death", ref.death);
  json.Field("freeze", ref.freeze);
  json.Close('}');
}

inline void WriteProc(Json& json, const ProcSnapshot& proc) {
  json.Open('{');
  json.Field("pid", proc.pid);
  json.Field("name", proc.name);
  json.Field("dead", proc.dead);
  json.Field("frozen", proc.frozen);
  json.Field("max_threads", proc.max_threads);
  json.Field("requested", proc.requested);
  json.Field("started", proc.started);
  json.Field("ready", proc.ready);
  json.Field("outstanding", proc.outstanding);
  json.Field("arena_size", proc.arena_size);
  json.Field("arena_free", proc.arena_free);
  json.Field("arena_free_async", proc.arena_free_async);
  json.Field("buffers", proc.buffers);
  json.Field("delivered_buffers", proc.delivered_buffers);
  json.Field("delivered_deaths", proc.delivered_deaths);
  json.Field("delivered_freezes", proc.delivered_freezes);
  WriteTodo(json, proc.todo);
  json.Key("threads");
  json.Open('[');
  for (const ThreadSnapshot& thread : proc.threads) WriteThread(json, thread);
  json.Close(']');
  json.Key("nodes");
  json.Open('[');
  for (const NodeSnapshot& node : proc.nodes) WriteNode(json, node);
  json.Close(']');
  json.Key("refs");
  json.Open('[');
  for (const RefSnapshot& ref : proc.refs) WriteRef(json, ref);
  json.Close(']');
  json.Close('}');
}

}  // namespace snapshot_internal

// The snapshot as one line of JSON.
[[nodiscard]] inline std::string ToJson(const Snapshot& s) {
  snapshot_internal::Json json;
  json.Open('{');
  json.Field("discipline", s.discipline);
  json.Field("context", s.context);
  json.Key("objects");
  json.Open('{');
  for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
    json.Key(ToString(static_cast<core::ObjectKind>(i)));
    json.Open('{');
    json.Field("created", s.counts[i].created);
    json.Field("deleted", s.counts[i].deleted);
    json.Close('}');
  }
  json.Close('}');
  json.Key("procs");
  json.Open('[');
  for (const ProcSnapshot& proc : s.procs) {
    snapshot_internal::WriteProc(json, proc);
  }
  json.Close(']');
  json.Close('}');
  return json.text();
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_SNAPSHOT_H_
