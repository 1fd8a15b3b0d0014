// SPDX-License-Identifier: Apache-2.0
//
// WaitGraph: who waits for whom, as plain data, and Untangle, which finds in it
// what is wrong. debug/wait_graph.h takes it from a Context,
// debug/wait_report.h writes it down.
//
//   finding            is wrong  is there when
//   -----------------  --------  ----------------------------------------------
//   kDeadlock          yes       none of some threads can go on before another
//                                of them does
//   kPossibleDeadlock  yes       the same, if a handler waits for calls that
//                                other threads of its process make meanwhile,
//                                which the driver cannot know
//   kLockHeld          yes       the binder lock could not be had in time
//   kNobodyServes      yes       a call is queued at a Proc without loopers
//   kNoProgress        yes       a thread has stood still for too long
//   kAllBusy           no        calls are queued, and no looper is free
//   kFreezing          no        a thread waits for a Proc to come to rest
//   kFrozen            no        calls wait in a frozen Proc
//   kLowMemory         no        hardly any receive memory is left
//   kOneWaysBehind     no        one-ways wait for one that is not done with
//
// The parts were looked at one after the other, so what is in motion may look
// odd; what has stopped looks as it is. No locks.

#ifndef BINDERLITE_DEBUG_WAITS_H_
#define BINDERLITE_DEBUG_WAITS_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binderlite::debug {

// In place of an index: there is none.
inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

enum class WaitState : std::uint8_t {
  kOutside,        // in no call; serves nothing that the driver knows of
  kIdle,           // a looper that waits for work
  kWaitsForReply,  // has a call out
  kRunsHandler,    // serves a call
  kInDriver,       // in a call of another kind
  kWaitsForLock,   // wants the binder lock
  kHoldsLock,      // has it, and has had it for as long as we waited for it
  kNotSeen,        // could not be looked at
};

[[nodiscard]] constexpr std::string_view ToString(WaitState state) {
  switch (state) {
    case WaitState::kOutside:
      return "outside";
    case WaitState::kIdle:
      return "idle";
    case WaitState::kWaitsForReply:
      return "waits for reply";
    case WaitState::kRunsHandler:
      return "runs handler";
    case WaitState::kInDriver:
      return "in driver";
    case WaitState::kWaitsForLock:
      return "waits for lock";
    case WaitState::kHoldsLock:
      return "holds lock";
    case WaitState::kNotSeen:
      return "not seen";
  }
  return "?";
}

// What the typed API knows of a handler (debug/watchdog.h).
struct HandlerName {
  std::string interface;
  std::uint32_t code = 0;
  std::int32_t caller = 0;  // Its pid; 0: a one-way.
  std::chrono::nanoseconds running{};
  std::chrono::steady_clock::time_point begin{};
};

struct ThreadWaits {
  std::size_t proc = 0;  // Index.
  std::int32_t tid = 0;
  WaitState state = WaitState::kOutside;
  // Of the call that it waits for; otherwise that which it serves; or 0.
  std::uint32_t call = 0;
  // Of the innermost call that it serves, also while it waits in turn; or 0.
  std::uint32_t serves = 0;
  bool looper = false;
  bool polls = false;    // Its OS thread waits in poll, or does other things.
  bool in_call = false;  // Of the driver.
  bool asleep = false;   // In there.
  bool lent = false;     // Served on its caller's OS thread; driver/loan.h.
  std::optional<HandlerName> handler = {};
  // For how long nothing has changed here, nor in what it waits for.
  std::optional<std::chrono::nanoseconds> still = {};
  // In a deadlock, or behind one.
  bool stuck = false;
  bool perhaps_stuck = false;
};

struct ProcWaits {
  std::uint32_t id = 0;
  std::int32_t pid = 0;
  std::string name = {};
  bool seen = true;  // False: its queues could not be looked at.
  bool dead = false;
  bool frozen = false;
  std::uint32_t max_threads = 0;
  std::uint32_t requested = 0;  // Loopers that are being started.
  std::uint32_t started = 0;
  std::size_t queued = 0;  // Calls and one-ways on its queue.
  std::int32_t outstanding = 0;
  std::size_t arena_size = 0;
  std::size_t arena_free = 0;
  std::size_t arena_free_async = 0;
};

enum class CallPlace : std::uint8_t {
  kOnItsWay,    // between two of the following
  kQueued,      // on its Proc's queue, for any looper
  kHandedOver,  // on the list of the thread that has to take it
  kServed,      // a handler has it
};

[[nodiscard]] constexpr std::string_view ToString(CallPlace place) {
  switch (place) {
    case CallPlace::kOnItsWay:
      return "on its way";
    case CallPlace::kQueued:
      return "queued";
    case CallPlace::kHandedOver:
      return "handed over";
    case CallPlace::kServed:
      return "served";
  }
  return "?";
}

struct CallWaits {
  std::uint32_t id = 0;
  bool one_way = false;
  std::uint32_t code = 0;
  std::uint32_t node = 0;  // 0: not known.
  std::int32_t from_pid = 0;
  std::int32_t from_tid = 0;
  std::size_t to = kNone;  // Index of the Proc.
  std::int32_t to_pid = 0;
  std::int32_t to_tid = 0;  // Who has it or has to take it; 0: anyone.
  CallPlace place = CallPlace::kOnItsWay;
  // Since somebody looked first.
  std::optional<std::chrono::nanoseconds> waited = {};
};

// One-ways of a node that wait for another one.
struct NodeWaits {
  std::size_t proc = 0;
  std::uint32_t node = 0;
  std::uint32_t in_hand = 0;  // That one; 0: it is queued, or not known.
  std::size_t behind = 0;
};

// A thread in BINDER_FREEZE, and whose calls it waits for.
struct FreezeWaits {
  std::size_t thread = kNone;  // kNone: not known.
  std::size_t proc = 0;
};

enum class WaitKind : std::uint8_t {
  kServedBy,    // the other has its call
  kHandedTo,    // the other has to take its call
  kQueuedFor,   // the other is one of those that could take its call
  kLock,        // the other has the binder lock
  kFreeze,      // the other serves a call of the Proc that is to come to rest
  kSameProcess  // the other is in its process and makes a call; perhaps
};

[[nodiscard]] constexpr std::string_view ToString(WaitKind kind) {
  switch (kind) {
    case WaitKind::kServedBy:
      return "served by";
    case WaitKind::kHandedTo:
      return "handed to";
    case WaitKind::kQueuedFor:
      return "queued for";
    case WaitKind::kLock:
      return "lock";
    case WaitKind::kFreeze:
      return "freeze";
    case WaitKind::kSameProcess:
      return "same process";
  }
  return "?";
}

// `from` waits for `to`; both are indices of threads.
struct Wait {
  std::size_t from = 0;
  std::size_t to = 0;
  WaitKind kind = WaitKind::kServedBy;
};

// In order of importance.
enum class FindingKind : std::uint8_t {
  kDeadlock,
  kPossibleDeadlock,
  kLockHeld,
  kNobodyServes,
  kNoProgress,
  kAllBusy,
  kFreezing,
  kFrozen,
  kLowMemory,
  kOneWaysBehind,
};

[[nodiscard]] constexpr std::string_view ToString(FindingKind kind) {
  switch (kind) {
    case FindingKind::kDeadlock:
      return "deadlock";
    case FindingKind::kPossibleDeadlock:
      return "possible deadlock";
    case FindingKind::kLockHeld:
      return "binder lock held";
    case FindingKind::kNobodyServes:
      return "nobody serves";
    case FindingKind::kNoProgress:
      return "no progress";
    case FindingKind::kAllBusy:
      return "all busy";
    case FindingKind::kFreezing:
      return "freezing";
    case FindingKind::kFrozen:
      return "frozen";
    case FindingKind::kLowMemory:
      return "low memory";
    case FindingKind::kOneWaysBehind:
      return "one-ways behind";
  }
  return "?";
}
[[nodiscard]] constexpr bool IsWrong(FindingKind kind) {
  return kind <= FindingKind::kNoProgress;
}

struct Finding {
  FindingKind kind = FindingKind::kDeadlock;
  // Of a deadlock, in a circle; of kNoProgress, a chain, from the one who waits
  // to the one that holds everything up; otherwise those concerned.
  std::vector<std::size_t> threads = {};
  std::size_t proc = kNone;
  std::uint32_t call = 0;
  std::size_t count = 0;  // Of calls.
};

struct WaitGraph {
  std::string_view discipline;
  std::string context;
  std::vector<ProcWaits> procs;      // The oldest first.
  std::vector<ThreadWaits> threads;  // By Proc, then by number.
  std::vector<CallWaits> calls;      // Those waited for or queued; by id.
  std::vector<NodeWaits> nodes;
  std::vector<FreezeWaits> freezes;
  // The binder lock could not be had; who has it (kNone: no thread in a call;
  // a Proc is being torn down), and how many want it.
  bool lock_held = false;
  std::size_t lock_holder = kNone;
  int lock_waiters = 0;
  // Something grew faster than it could be looked at.
  bool incomplete = false;

  // By Untangle.
  std::vector<Wait> waits;
  std::vector<Finding> findings;  // The worst first.

  [[nodiscard]] bool wrong() const {
    return !findings.empty() && IsWrong(findings.front().kind);
  }
  [[nodiscard]] std::size_t FindThread(std::size_t proc,
                                       std::int32_t tid) const {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      if (threads[i].proc == proc && threads[i].tid == tid) return i;
    }
    return kNone;
  }
  [[nodiscard]] const CallWaits* FindCall(std::uint32_t id) const {
    const auto at = std::lower_bound(
        calls.begin(), calls.end(), id,
        [](const CallWaits& call, std::uint32_t i) { return call.id < i; });
    return at == calls.end() || at->id != id ? nullptr : &*at;
  }
  // The threads that take calls from the queue of `proc`: its loopers, and
  // those that do as if they were.
  [[nodiscard]] std::vector<std::size_t> ServersOf(std::size_t proc) const {
    std::vector<std::size_t> servers;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const ThreadWaits& t = threads[i];
      if (t.proc == proc &&
          (t.looper || t.state == WaitState::kIdle || t.serves != 0)) {
        servers.push_back(i);
      }
    }
    return servers;
  }
};

namespace waits_internal {

class Untangler {
 public:
  Untangler(WaitGraph& graph, std::optional<std::chrono::nanoseconds> patience)
      : g_(graph), patience_(patience), out_(graph.threads.size()) {}

  void Run() {
    g_.waits.clear();
    g_.findings.clear();
    FindWaits();
    for (const Wait& wait : g_.waits) out_[wait.from].push_back(wait);
    FindStuck(/*perhaps=*/false);
    FindStuck(/*perhaps=*/true);
    FindCircles(FindingKind::kDeadlock, &ThreadWaits::stuck);
    FindCircles(FindingKind::kPossibleDeadlock, &ThreadWaits::perhaps_stuck);
    FindLock();
    FindUnserved();
    FindStill();
    FindTheRest();
    std::stable_sort(
        g_.findings.begin(), g_.findings.end(),
        [](const Finding& a, const Finding& b) { return a.kind < b.kind; });
  }

 private:
  void Add(std::size_t from, std::size_t to, WaitKind kind) {
    if (to != kNone) g_.waits.push_back({from, to, kind});
  }

  void FindWaits() {
    std::map<std::pair<std::size_t, std::int32_t>, std::size_t> by_tid;
    std::map<std::size_t, std::vector<std::size_t>> servers;
    for (std::size_t i = 0; i < g_.threads.size(); ++i) {
      by_tid.emplace(std::pair(g_.threads[i].proc, g_.threads[i].tid), i);
    }
    const auto find = [&by_tid](std::size_t proc, std::int32_t tid) {
      const auto it = by_tid.find({proc, tid});
      return it == by_tid.end() ? kNone : it->second;
    };
    for (std::size_t i = 0; i < g_.threads.size(); ++i) {
      const ThreadWaits& t = g_.threads[i];
      if (t.state == WaitState::kWaitsForLock) {
        Add(i, g_.lock_holder, WaitKind::kLock);
      } else if (t.state == WaitState::kRunsHandler) {
        for (std::size_t k = 0; k < g_.threads.size(); ++k) {
          if (k != i && IsOwnCall(g_.threads[k]) &&
              g_.procs[g_.threads[k].proc].pid == g_.procs[t.proc].pid) {
            Add(i, k, WaitKind::kSameProcess);
          }
        }
      } else if (t.state == WaitState::kWaitsForReply) {
        const CallWaits* const call = g_.FindCall(t.call);
        if (call == nullptr || call->to == kNone) continue;
        if (call->place == CallPlace::kServed) {
          Add(i, find(call->to, call->to_tid), WaitKind::kServedBy);
        } else if (call->place == CallPlace::kHandedOver) {
          Add(i, find(call->to, call->to_tid), WaitKind::kHandedTo);
        } else if (call->place == CallPlace::kQueued) {
          const auto [it, is_new] = servers.try_emplace(call->to);
          if (is_new) it->second = g_.ServersOf(call->to);
          for (const std::size_t k : it->second) {
            Add(i, k, WaitKind::kQueuedFor);
          }
        }
      }
    }
    for (const FreezeWaits& freeze : g_.freezes) {
      if (freeze.thread == kNone) continue;
      for (std::size_t k = 0; k < g_.threads.size(); ++k) {
        if (g_.threads[k].proc == freeze.proc && g_.threads[k].serves != 0) {
          Add(freeze.thread, k, WaitKind::kFreeze);
        }
      }
    }
  }

  // It waits for a call that it makes for itself, not for one that it serves.
  static bool IsOwnCall(const ThreadWaits& t) {
    return t.state == WaitState::kWaitsForReply && t.serves == 0;
  }

  // Whether thread i can go on, if `stuck` is right about the others.
  [[nodiscard]] bool CanGoOn(std::size_t i, bool perhaps,
                             const std::vector<bool>& stuck) const {
    const ThreadWaits& t = g_.threads[i];
    if (t.state == WaitState::kRunsHandler) {
      // One that it may wait for is enough.
      return !perhaps ||
             std::none_of(out_[i].begin(), out_[i].end(),
                          [&](const Wait& w) { return stuck[w.to]; });
    }
    if (t.state != WaitState::kWaitsForReply || out_[i].empty()) return true;
    if (out_[i].front().kind == WaitKind::kQueuedFor &&
        g_.procs[g_.threads[out_[i].front().to].proc].requested > 0) {
      return true;  // A looper is being started.
    }
    return std::any_of(out_[i].begin(), out_[i].end(), [&](const Wait& w) {
      // Who waits for a reply serves what is handed to it meanwhile.
      return !stuck[w.to] ||
             (w.kind == WaitKind::kHandedTo &&
              g_.threads[w.to].state == WaitState::kWaitsForReply);
    });
  }

  // Everybody is, but for those who can go on, and so those who wait for them.
  void FindStuck(bool perhaps) {
    std::vector<bool> stuck(g_.threads.size(), true);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < stuck.size(); ++i) {
        if (stuck[i] && CanGoOn(i, perhaps, stuck)) {
          stuck[i] = false;
          changed = true;
        }
      }
    }
    for (std::size_t i = 0; i < stuck.size(); ++i) {
      ThreadWaits& t = g_.threads[i];
      if (perhaps) {
        t.perhaps_stuck = stuck[i] && !t.stuck;
      } else {
        t.stuck = stuck[i];
      }
    }
  }

  // Each of the stuck waits for another one, so whoever follows them comes back
  // to where he has been.
  void FindCircles(FindingKind kind, bool ThreadWaits::*stuck) {
    std::vector<std::size_t> walk(g_.threads.size(), kNone);
    for (std::size_t start = 0; start < g_.threads.size(); ++start) {
      std::vector<std::size_t> path;
      std::size_t at = start;
      while (at != kNone && g_.threads[at].*stuck && walk[at] == kNone) {
        walk[at] = start;
        path.push_back(at);
        std::size_t next = kNone;
        for (const Wait& wait : out_[at]) {
          if (g_.threads[wait.to].*stuck) {
            next = wait.to;
            break;
          }
        }
        at = next;
      }
      if (at == kNone || !(g_.threads[at].*stuck) || walk[at] != start) {
        continue;
      }
      const auto begin = std::find(path.begin(), path.end(), at);
      if (begin == path.end()) continue;
      path.erase(path.begin(), begin);
      std::rotate(path.begin(), std::min_element(path.begin(), path.end()),
                  path.end());
      g_.findings.push_back({.kind = kind, .threads = std::move(path)});
    }
  }

  void FindLock() {
    if (!g_.lock_held) return;
    Finding finding{.kind = FindingKind::kLockHeld};
    if (g_.lock_holder != kNone) finding.threads.push_back(g_.lock_holder);
    for (std::size_t i = 0; i < g_.threads.size(); ++i) {
      if (g_.threads[i].state == WaitState::kWaitsForLock) {
        finding.threads.push_back(i);
      }
    }
    g_.findings.push_back(std::move(finding));
  }

  void FindUnserved() {
    for (const CallWaits& call : g_.calls) {
      if (call.place != CallPlace::kQueued || call.to == kNone) continue;
      const ProcWaits& proc = g_.procs[call.to];
      if (proc.dead || proc.frozen || proc.requested > 0) continue;
      if (!g_.ServersOf(call.to).empty()) continue;
      g_.findings.push_back({.kind = FindingKind::kNobodyServes,
                             .proc = call.to,
                             .call = call.id,
                             .count = 1});
    }
  }

  // Chains of those that stand still, each but those that others wait for.
  void FindStill() {
    if (!patience_.has_value()) return;
    std::vector<bool> waited_for(g_.threads.size(), false);
    const auto is_still = [this](std::size_t i) {
      const ThreadWaits& t = g_.threads[i];
      return t.still.has_value() && *t.still >= *patience_;
    };
    for (const Wait& wait : g_.waits) {
      if (wait.kind != WaitKind::kSameProcess && is_still(wait.from)) {
        waited_for[wait.to] = true;
      }
    }
    for (std::size_t i = 0; i < g_.threads.size(); ++i) {
      const ThreadWaits& t = g_.threads[i];
      // These have a finding already.
      if (t.stuck || t.perhaps_stuck || !is_still(i) || waited_for[i]) continue;
      Finding finding{.kind = FindingKind::kNoProgress, .call = t.call};
      std::size_t at = i;
      while (at != kNone &&
             std::find(finding.threads.begin(), finding.threads.end(), at) ==
                 finding.threads.end()) {
        finding.threads.push_back(at);
        // Of several, one that stands still as well.
        std::size_t next = kNone;
        for (const Wait& wait : out_[at]) {
          if (wait.kind == WaitKind::kSameProcess) continue;
          if (next == kNone || (!is_still(next) && is_still(wait.to))) {
            next = wait.to;
          }
        }
        at = next;
      }
      g_.findings.push_back(std::move(finding));
    }
  }

  void FindTheRest() {
    for (std::size_t p = 0; p < g_.procs.size(); ++p) {
      const ProcWaits& proc = g_.procs[p];
      const std::vector<std::size_t> servers = g_.ServersOf(p);
      const auto has_time = [this](std::size_t i) {
        const ThreadWaits& t = g_.threads[i];
        return t.state == WaitState::kIdle || t.state == WaitState::kNotSeen ||
               (t.state == WaitState::kOutside && !t.handler.has_value());
      };
      if (proc.queued > 0 && proc.seen && !proc.frozen && !servers.empty() &&
          std::none_of(servers.begin(), servers.end(), has_time)) {
        g_.findings.push_back({.kind = FindingKind::kAllBusy,
                               .threads = servers,
                               .proc = p,
                               .count = proc.queued});
      }
      if (proc.frozen && proc.queued > 0) {
        g_.findings.push_back(
            {.kind = FindingKind::kFrozen, .proc = p, .count = proc.queued});
      }
      // A sixteenth; there is a budget of half of it for one-ways.
      if (proc.arena_size > 0 && !proc.dead &&
          (proc.arena_free < proc.arena_size / 16 ||
           proc.arena_free_async < proc.arena_size / 32)) {
        g_.findings.push_back({.kind = FindingKind::kLowMemory, .proc = p});
      }
    }
    for (const FreezeWaits& freeze : g_.freezes) {
      Finding finding{.kind = FindingKind::kFreezing, .proc = freeze.proc};
      if (freeze.thread != kNone) finding.threads.push_back(freeze.thread);
      finding.count =
          static_cast<std::size_t>(g_.procs[freeze.proc].outstanding);
      g_.findings.push_back(std::move(finding));
    }
    for (const NodeWaits& node : g_.nodes) {
      if (node.behind == 0) continue;
      g_.findings.push_back({.kind = FindingKind::kOneWaysBehind,
                             .proc = node.proc,
                             .call = node.in_hand,
                             .count = node.behind});
    }
  }

  WaitGraph& g_;
  const std::optional<std::chrono::nanoseconds> patience_;
  std::vector<std::vector<Wait>> out_;
};

}  // namespace waits_internal

// Finds who waits for whom, and what is wrong with that. `patience`: threads
// that have stood still for as long are wrong, too.
inline void Untangle(
    WaitGraph& graph,
    std::optional<std::chrono::nanoseconds> patience = std::nullopt) {
  waits_internal::Untangler(graph, patience).Run();
}

}  // namespace binderlite::debug

#endif  // BINDERLITE_DEBUG_WAITS_H_
