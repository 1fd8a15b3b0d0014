// SPDX-License-Identifier: Apache-2.0
//
// CheckInvariants: what is wrong with a Snapshot. Meant to be called all the
// time in tests; while calls are in progress the parts of a Snapshot need not
// fit together (waiting threads are no hindrance).
//
// No locks.

#ifndef BINDERLITE_DEBUG_INVARIANTS_H_
#define BINDERLITE_DEBUG_INVARIANTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/core/counts.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/state.h"

namespace binderlite::debug {

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

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_INVARIANTS_H_
