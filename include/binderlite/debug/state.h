// SPDX-License-Identifier: Apache-2.0
//
// Snapshot: the driver's state as plain data, for tests, tools and people.
// debug/snapshot.h takes it from a Context, debug/invariants.h says what is
// wrong with it, debug/json.h and debug/dump.h write it down. No locks.
// Kernel: what the files of binder's debugfs tell.

#ifndef BINDERLITE_DEBUG_STATE_H_
#define BINDERLITE_DEBUG_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/core/counts.h"
#include "binderlite/core/log.h"
#include "binderlite/core/stats.h"
#include "binderlite/core/transaction.h"
#include "binderlite/core/work.h"
#include "binderlite/wire/commands.h"

namespace binderlite::debug {

struct TransactionSnapshot {
  std::uint32_t id = 0;
  core::TransactionKind kind = core::TransactionKind::kCall;
  std::int32_t from_pid = 0;
  std::int32_t from_tid = 0;
  // The thread that serves it or has to; 0: any. Both 0: the receiver is gone.
  std::int32_t to_pid = 0;
  std::int32_t to_tid = 0;
  std::uint32_t code = 0;
  std::uint32_t flags = 0;
  int priority = 0;
};

// An item of a todo list.
struct WorkSnapshot {
  core::WorkType type = core::WorkType::kTransaction;
  TransactionSnapshot transaction = {};  // kTransaction
  Br error = Br::BR_OK;                  // kReturnError
  std::uint32_t node_id = 0;             // kNode
  std::uint64_t node_ptr = 0;
  std::uint64_t node_cookie = 0;
};

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
  int refs = 0;                       // Refs linked to it.
  std::vector<std::int32_t> holders;  // Their pids, the youngest Ref first.
  bool has_async = false;
  std::size_t waiting_one_ways = 0;
  std::vector<TransactionSnapshot> one_ways;  // These.
};

struct RefSnapshot {
  std::uint32_t handle = 0;
  std::uint32_t node_id = 0;
  bool node_dead = false;
  int strong = 0;
  int weak = 0;
  bool death = false;
  bool freeze = false;
  std::uint32_t id = 0;
};

struct StackEntry {
  std::uint32_t id = 0;
  bool incoming = false;  // Served by the thread; otherwise its own call.
  TransactionSnapshot transaction = {};
};

struct ThreadSnapshot {
  std::int32_t tid = 0;
  std::uint32_t looper = 0;
  bool need_return = false;
  bool process_todo = false;
  bool waiting = false;  // On the waiting list.
  bool owes_look = false;
  std::vector<core::WorkType> todo;
  std::vector<WorkSnapshot> work;  // The same with all that there is to it.
  std::vector<StackEntry> stack;   // The top first.
};

struct BufferSnapshot {
  std::uint32_t id = 0;       // Of the transaction that it came with.
  std::uint32_t node_id = 0;  // To which it was sent; 0: a reply.
  std::size_t offset = 0;     // In the arena.
  std::size_t data_size = 0;
  std::size_t offsets_size = 0;
  std::size_t extra_size = 0;
  bool active = false;  // The transaction is not over.
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
  std::vector<WorkSnapshot> work;  // The same with all that there is to it.
  std::size_t delivered_deaths = 0;
  std::size_t delivered_freezes = 0;
  std::vector<ThreadSnapshot> threads;  // By number.
  std::vector<NodeSnapshot> nodes;      // By ptr.
  std::vector<RefSnapshot> refs;        // By handle.
  std::size_t arena_size = 0;
  std::size_t arena_free = 0;
  std::size_t arena_free_async = 0;
  std::size_t arena_holes = 0;
  std::size_t buffers = 0;
  std::size_t delivered_buffers = 0;
  std::vector<BufferSnapshot> buffer_list;  // By offset.
  core::CommandTotals commands;
};

struct CountSnapshot {
  std::uint64_t created = 0;
  std::uint64_t deleted = 0;
};

struct Snapshot {
  std::string_view discipline;
  std::string context;
  std::vector<ProcSnapshot> procs;       // The oldest first.
  std::vector<NodeSnapshot> dead_nodes;  // Behind handles; by id.
  std::array<CountSnapshot, core::kObjectKinds> counts;
  core::CommandTotals commands;  // Of all Procs that there have been.
  std::vector<core::LogEntry> log;
  std::vector<core::LogEntry> failed_log;
  // Transactions found on lists and stacks, by the id of the Proc they went to.
  std::map<std::uint32_t, int> transactions;
  std::set<std::uint32_t> live_nodes;  // In tables, or behind handles.

  [[nodiscard]] std::uint64_t live(core::ObjectKind kind) const {
    const CountSnapshot& count = counts[static_cast<std::size_t>(kind)];
    return count.created - count.deleted;
  }
};

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_STATE_H_
