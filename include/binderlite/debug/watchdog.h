// SPDX-License-Identifier: Apache-2.0
//
// Watchdog: says when something hangs, and what. And the wait graph of a
// Binder, with the names of the handlers that run in its endpoints.
//
//   bl::Binder binder;
//   bl::Watchdog watchdog(binder);  // From now on stderr tells of it.
//   ...
//   std::puts(ToText(bl::debug::TakeWaitGraph(binder)).c_str());
//
// Here and not in api/, though it is about endpoints: it needs the graph, which
// is debug/, and a program without it pays for nothing but a list.
//
// It looks every now and then, and compares with what it saw before. A thread
// stands still if it waits or serves, and neither it nor anybody whose end it
// waits for has begun with anything else since; who stands still for `patience`
// makes an incident. A looper without work does not, nor does who waits for a
// handler that makes one call after the other.
//
//   nothing is out, nothing runs   one look costs a lock, and one an endpoint
//   otherwise                      it costs a wait graph
//   stuck                          the callback, once, and once more whenever
//                                  who holds things up is another one
//
// Locks: `mu_`, with which nothing is called; taken by nobody else.

#ifndef BINDERLITE_DEBUG_WATCHDOG_H_
#define BINDERLITE_DEBUG_WATCHDOG_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/binder.h"
#include "binderlite/api/endpoint_list.h"
#include "binderlite/api/process.h"
#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/debug/wait_graph.h"
#include "binderlite/debug/wait_report.h"
#include "binderlite/debug/waits.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite {

namespace debug {

// Adds to `graph` the names of the handlers that run in `endpoints`.
template <LockingPolicy L>
void NameHandlers(WaitGraph& graph, BasicEndpointList<L>& endpoints) {
  std::map<std::uint32_t, std::size_t> procs;
  for (std::size_t i = 0; i < graph.procs.size(); ++i) {
    procs.emplace(graph.procs[i].id, i);
  }
  for (const auto& process : endpoints.Get()) {
    const auto proc = procs.find(process->proc.state().id);
    if (proc == procs.end()) continue;
    for (RunningCall& call : process->Running()) {
      const std::size_t thread = graph.FindThread(proc->second, call.tid);
      if (thread == kNone) continue;
      graph.threads[thread].handler = {.interface = std::move(call.interface),
                                       .code = call.code,
                                       .caller = call.caller,
                                       .running = call.since,
                                       .begin = call.begin};
    }
  }
}

// Who waits for whom among the endpoints of `binder`.
template <LockingPolicy L>
[[nodiscard]] WaitGraph TakeWaitGraph(BasicBinder<L>& binder,
                                      const GraphOptions& options = {}) {
  WaitGraph graph = TakeWaitGraph(binder.context(), options);
  NameHandlers(graph, *binder.endpoints());
  Untangle(graph);
  return graph;
}

}  // namespace debug

// What a Watchdog is made with.
struct WatchdogOptions {
  // For how long a thread may stand still.
  std::chrono::nanoseconds patience = std::chrono::seconds(10);
  // How often to look; zero: four times in `patience`.
  std::chrono::nanoseconds interval{};
  // False: it looks only when somebody calls Check.
  bool own_thread = true;
  // The clock; empty: the steady one.
  std::function<sync::TimePoint()> now = {};
  // Told of incidents, by the thread that looks; must not destroy the Watchdog.
  // Empty: the graph's text goes to stderr.
  std::function<void(const debug::WaitGraph&)> on_stuck = {};
  // How it looks.
  debug::GraphOptions graph = {};
};

// Looks by itself for as long as it lives. See the head of this file.
template <LockingPolicy L = FineGrained<>>
class BasicWatchdog {
 public:
  // Keeps neither `context` nor `endpoints` open. `endpoints`: null: there are
  // no names.
  explicit BasicWatchdog(
      BasicContext<L>& context, WatchdogOptions options = {},
      std::shared_ptr<BasicEndpointList<L>> endpoints = nullptr)
      : options_(std::move(options)),
        context_(&context.state()),
        endpoints_(std::move(endpoints)) {
    if (options_.own_thread) {
      worker_.emplace("bl:watchdog", [this] { Run(); });
    }
  }
  explicit BasicWatchdog(BasicBinder<L>& binder, WatchdogOptions options = {})
      : BasicWatchdog(binder.context(), std::move(options),
                      binder.endpoints()) {}
  BasicWatchdog(const BasicWatchdog&) = delete;
  BasicWatchdog& operator=(const BasicWatchdog&) = delete;
  ~BasicWatchdog() {
    stop_.request_stop();
    worker_.reset();
  }

  // Looks now. Whether something is stuck.
  bool Check() {
    if (!MayBeStuck()) {
      sync::MutexLock lock(mu_);
      Forget();
      return false;
    }
    debug::WaitGraph graph = Look();
    const Causes causes = CausesIn(graph);
    {
      sync::MutexLock lock(mu_);
      if (causes == told_) return !causes.empty();
      told_ = causes;
    }
    if (causes.empty()) return false;
    if (options_.on_stuck) {
      options_.on_stuck(graph);
    } else {
      std::fprintf(stderr, "binderlite: %s", ToText(graph).c_str());
    }
    return true;
  }

  // The graph, with names, and with how long things have lasted since they were
  // first looked at.
  [[nodiscard]] debug::WaitGraph Look() {
    debug::WaitGraph graph = debug::TakeWaitGraph(*context_, options_.graph);
    if (endpoints_ != nullptr) debug::NameHandlers(graph, *endpoints_);
    const sync::TimePoint now =
        options_.now ? options_.now() : std::chrono::steady_clock::now();
    {
      sync::MutexLock lock(mu_);
      Remember(graph, now);
    }
    Untangle(graph, options_.patience);
    return graph;
  }

 private:
  using Numbers = std::vector<std::int64_t>;
  // Who holds things up, in some order.
  using Causes = std::set<Numbers>;
  using ThreadKey = std::pair<std::uint32_t, std::int32_t>;  // Proc's id, tid.
  struct Seen {
    Numbers doing;  // It, and all that it waits for.
    sync::TimePoint since;
  };

  void Run() {
    const std::chrono::nanoseconds interval =
        options_.interval > options_.interval.zero() ? options_.interval
                                                     : options_.patience / 4;
    const sync::StopSignals stops(stop_.get_token());
    while (parker_.Park(stops, std::chrono::steady_clock::now() + interval) !=
           sync::WaitResult::kStopped) {
      (void)Check();
    }
  }

  [[nodiscard]] bool MayBeStuck() {
    if (debug::MayWait(*context_)) return true;
    if (endpoints_ == nullptr) return false;
    const auto all = endpoints_->Get();
    return std::any_of(all.begin(), all.end(), [](const auto& process) {
      return !process->Running().empty();
    });
  }

  void Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    calls_.clear();
    threads_.clear();
    lock_since_.reset();
    told_.clear();
  }

  // What a thread is doing, in numbers that are others when it is something
  // else.
  static void AppendDoing(const debug::WaitGraph& g, std::size_t i,
                          Numbers& numbers) {
    const debug::ThreadWaits& t = g.threads[i];
    numbers.push_back(g.procs[t.proc].id);
    numbers.push_back(t.tid);
    numbers.push_back(static_cast<std::int64_t>(t.state));
    numbers.push_back(t.call);
    numbers.push_back(t.handler.has_value()
                          ? t.handler->begin.time_since_epoch().count()
                          : 0);
  }

  // Whether it would be worth a word if it went on like that.
  static bool MayStandStill(const debug::WaitGraph& g, std::size_t i) {
    const debug::ThreadWaits& t = g.threads[i];
    switch (t.state) {
      case debug::WaitState::kWaitsForReply:
      case debug::WaitState::kRunsHandler:
        return true;
      case debug::WaitState::kWaitsForLock:
      case debug::WaitState::kHoldsLock:
        return g.lock_held;  // Otherwise that is how it is with locks.
      default:
        return t.handler.has_value() ||
               std::any_of(g.freezes.begin(), g.freezes.end(),
                           [i](const auto& f) { return f.thread == i; });
    }
  }

  // Compares with what was, and says in `g` how long it has been so.
  void Remember(debug::WaitGraph& g, sync::TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::map<std::uint32_t, sync::TimePoint> calls;
    for (debug::CallWaits& call : g.calls) {
      const auto before = calls_.find(call.id);
      const sync::TimePoint since =
          before == calls_.end() ? now : before->second;
      calls.emplace(call.id, since);
      call.waited = now - since;
    }
    calls_ = std::move(calls);

    std::vector<std::vector<std::size_t>> waits_for(g.threads.size());
    for (const debug::Wait& wait : g.waits) {
      if (wait.kind == debug::WaitKind::kSameProcess) continue;
      waits_for[wait.from].push_back(wait.to);
    }
    std::map<ThreadKey, Seen> threads;
    for (std::size_t i = 0; i < g.threads.size(); ++i) {
      debug::ThreadWaits& t = g.threads[i];
      if (!MayStandStill(g, i)) continue;
      Seen seen{{}, now};
      std::vector<bool> visited(g.threads.size(), false);
      std::vector<std::size_t> to_visit = {i};
      while (!to_visit.empty()) {
        const std::size_t at = to_visit.back();
        to_visit.pop_back();
        if (visited[at]) continue;
        visited[at] = true;
        AppendDoing(g, at, seen.doing);
        to_visit.insert(to_visit.end(), waits_for[at].begin(),
                        waits_for[at].end());
      }
      const ThreadKey key(g.procs[t.proc].id, t.tid);
      const auto before = threads_.find(key);
      if (before != threads_.end() && before->second.doing == seen.doing) {
        seen.since = before->second.since;
      }
      t.still = now - seen.since;
      threads.emplace(key, std::move(seen));
    }
    threads_ = std::move(threads);

    if (!g.lock_held) {
      lock_since_.reset();
    } else if (!lock_since_.has_value()) {
      lock_since_ = now;
    }
    lock_overdue_ =
        lock_since_.has_value() && now - *lock_since_ >= options_.patience;
  }

  // Why things are stuck, for too long. Whoever waits behind that adds nothing.
  [[nodiscard]] Causes CausesIn(const debug::WaitGraph& g) {
    Causes causes;
    const auto overdue = [this, &g](std::size_t i) {
      return g.threads[i].still.has_value() &&
             *g.threads[i].still >= options_.patience;
    };
    for (const debug::Finding& f : g.findings) {
      Numbers cause = {static_cast<std::int64_t>(f.kind)};
      switch (f.kind) {
        case debug::FindingKind::kDeadlock:
        case debug::FindingKind::kPossibleDeadlock:
          if (!std::all_of(f.threads.begin(), f.threads.end(), overdue)) {
            continue;
          }
          for (const std::size_t i : f.threads) AppendDoing(g, i, cause);
          break;
        case debug::FindingKind::kNoProgress:
          AppendDoing(g, f.threads.back(), cause);
          break;
        case debug::FindingKind::kNobodyServes: {
          const debug::CallWaits* const call = g.FindCall(f.call);
          if (call == nullptr || !call->waited.has_value() ||
              *call->waited < options_.patience) {
            continue;
          }
          cause.push_back(g.procs[f.proc].id);
          break;
        }
        case debug::FindingKind::kLockHeld: {
          sync::MutexLock lock(mu_);
          if (!lock_overdue_) continue;
          if (g.lock_holder != debug::kNone) {
            AppendDoing(g, g.lock_holder, cause);
          }
          break;
        }
        default:
          continue;  // Nothing wrong.
      }
      causes.insert(std::move(cause));
    }
    return causes;
  }

  const WatchdogOptions options_;
  const core::Pin<core::Context<L>> context_;
  const std::shared_ptr<BasicEndpointList<L>> endpoints_;

  sync::AbseilPrimitives::Mutex mu_;
  // Since when there have been calls, and threads have done what they do.
  std::map<std::uint32_t, sync::TimePoint> calls_ ABSL_GUARDED_BY(mu_);
  std::map<ThreadKey, Seen> threads_ ABSL_GUARDED_BY(mu_);
  std::optional<sync::TimePoint> lock_since_ ABSL_GUARDED_BY(mu_);
  bool lock_overdue_ ABSL_GUARDED_BY(mu_) = false;
  Causes told_ ABSL_GUARDED_BY(mu_);

  std::stop_source stop_;
  sync::AbseilPrimitives::Parker parker_;
  std::optional<sync::AbseilPrimitives::Worker>
      worker_;  // Uses all the others.
};

// Of the default locking.
using Watchdog = BasicWatchdog<>;

}  // namespace binderlite

#endif  // BINDERLITE_DEBUG_WATCHDOG_H_
