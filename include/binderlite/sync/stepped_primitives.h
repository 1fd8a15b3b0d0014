// SPDX-License-Identifier: Apache-2.0
//
// SteppedPrimitives: the model of Primitives in which a SteppedScheduler owns
// every interleaving, and Explore, which runs a test once for each of many.
//
// For tests. The objects belong to the scheduler of the thread that uses them,
// an actor's or the outside's; see stepped_scheduler.h for the rules.
// Locks: none; only one of the threads runs at any time.
// Fails: misuse is reported on stderr, with the schedule, and aborts.

#ifndef BINDERLITE_SYNC_STEPPED_PRIMITIVES_H_
#define BINDERLITE_SYNC_STEPPED_PRIMITIVES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "binderlite/sync/primitives.h"
#include "binderlite/sync/spinning.h"
#include "binderlite/sync/stepped_scheduler.h"
#include "binderlite/sync/stepped_strategy.h"
#include "binderlite/sync/stop.h"

namespace binderlite::sync {

// P::Mutex. Knows its owner, so misuse is always found.
class ABSL_LOCKABLE SteppedMutex {
 public:
  SteppedMutex() = default;
  SteppedMutex(const SteppedMutex&) = delete;
  SteppedMutex& operator=(const SteppedMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    const void* const self = SteppedScheduler::Self();
    if (owner_ == self) Misuse("a Mutex is locked by its owner");
    SteppedScheduler::Wait("Mutex", this, kNoDeadline,
                           [this] { return owner_ == nullptr; });
    owner_ = self;
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() {
    AssertHeld();
    owner_ = nullptr;
  }

  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    if (owner_ != SteppedScheduler::Self()) {
      Misuse("a Mutex is not held by its user");
    }
  }

 private:
  [[noreturn]] static void Misuse(const char* message) {
    SteppedScheduler::Current().Misuse(message);
  }

  const void* owner_ = nullptr;
};

// P::StopMutex. Whoever is chosen gets it: there is no order among waiters.
class ABSL_LOCKABLE SteppedStopMutex {
 public:
  SteppedStopMutex() = default;
  SteppedStopMutex(const SteppedStopMutex&) = delete;
  SteppedStopMutex& operator=(const SteppedStopMutex&) = delete;

  // Never stopped, hence always acquired.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    ++deaf_;
    static_cast<void>(Take(StopSignals()));
    --deaf_;
  }

  [[nodiscard]] bool Lock(const StopSignals& signals)
      ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    return Take(signals);
  }

  [[nodiscard]] bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    if (owner_ != nullptr) return false;
    owner_ = SteppedScheduler::Self();
    return true;
  }

  void Unlock() ABSL_UNLOCK_FUNCTION() {
    AssertHeld();
    owner_ = nullptr;
  }

  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {
    if (owner_ != SteppedScheduler::Self()) {
      Misuse("a StopMutex is not held by its user");
    }
  }

  int waiters() const { return SteppedScheduler::Current().WaitersOf(this); }
  int deaf_waiters() const { return deaf_; }

 private:
  [[noreturn]] static void Misuse(const char* message) {
    SteppedScheduler::Current().Misuse(message);
  }

  bool Take(const StopSignals& signals) {
    const void* const self = SteppedScheduler::Self();
    if (owner_ == self) Misuse("a StopMutex is locked by its owner");
    SteppedScheduler::Wait("StopMutex", this, kNoDeadline, [this, &signals] {
      return owner_ == nullptr || signals.requested();
    });
    if (signals.requested()) return false;
    owner_ = self;
    return true;
  }

  const void* owner_ = nullptr;
  int deaf_ = 0;
};

// P::Parker.
class SteppedParker {
 public:
  SteppedParker() = default;
  SteppedParker(const SteppedParker&) = delete;
  SteppedParker& operator=(const SteppedParker&) = delete;

  // No scheduling point, since stop callbacks may call it.
  void Wake() { permit_ = true; }

  [[nodiscard]] WaitResult Park(const StopSignals& signals,
                                TimePoint deadline) {
    if (occupied_) {
      SteppedScheduler::Current().Misuse("two threads in one Parker");
    }
    occupied_ = true;
    SteppedScheduler::Wait("Parker", this, deadline, [this, &signals] {
      return permit_ || signals.requested();
    });
    occupied_ = false;
    if (signals.requested()) return WaitResult::kStopped;
    return std::exchange(permit_, false) ? WaitResult::kWoken
                                         : WaitResult::kDeadline;
  }

  // Nothing but steps passes here, so there is nothing to look out for.
  [[nodiscard]] WaitResult Park(const StopSignals& signals, TimePoint deadline,
                                Spinners& /*spinners*/) {
    return Park(signals, deadline);
  }

  bool parked() const { return occupied_ && !permit_; }

 private:
  bool occupied_ = false;
  bool permit_ = false;
};

// P::Worker: an actor of the scheduler of the thread that makes it.
class SteppedWorker {
 public:
  template <class F>
  SteppedWorker(std::string name, F f)
      : scheduler_(SteppedScheduler::Current()),
        // Shared, since a std::function wants to be copied and F may not be.
        id_(scheduler_.Spawn(
            std::move(name),
            [f = std::make_shared<F>(std::move(f))] { (*f)(); })) {}
  ~SteppedWorker() { scheduler_.Join(id_); }

  SteppedWorker(const SteppedWorker&) = delete;
  SteppedWorker& operator=(const SteppedWorker&) = delete;

 private:
  SteppedScheduler& scheduler_;
  const int id_;
};

struct SteppedPrimitives {
  using Mutex = SteppedMutex;
  using StopMutex = SteppedStopMutex;
  using Parker = SteppedParker;
  using Worker = SteppedWorker;

  static TimePoint Now() { return SteppedScheduler::Current().Now(); }
  static void SchedulingPoint() {
    SteppedScheduler::Wait("SchedulingPoint", nullptr, kNoDeadline,
                           [] { return true; });
  }
};

static_assert(Primitives<SteppedPrimitives>);

// What Explore tries.
struct ExploreOptions {
  enum class Search { kExhaustive, kRandom, kPct };
  Search search = Search::kExhaustive;
  // At most so many schedules are run.
  int max_schedules = 10'000;
  // kExhaustive: at most so many preemptions in each.
  int preemption_bound = 2;
  // kRandom, kPct: schedule i uses seed + i.
  std::uint64_t seed = 1;
  // kPct: see PctStrategy.
  int pct_depth = 3;
  // If not empty, only this schedule is run.
  std::string replay;
  SteppedOptions stepped;
};

struct ExploreResult {
  int schedules = 0;       // that were run
  bool exhausted = false;  // kExhaustive: these were all, within the bound
  std::string failure;     // what the body said; empty: it never failed
  std::string replay;      // the schedule that failed

  bool ok() const { return failure.empty(); }
};

// Calls `body(SteppedScheduler&)` once for each schedule. The body sets up the
// actors, runs them, checks what came of it and returns a std::string: empty if
// all is well, else what is wrong, which ends the exploration. Actors that are
// unfinished when the body returns are a failure too, and are abandoned.
//
// Apart from the schedule the body must do the same each time: no clock but
// P::Now(), no random numbers, no order that depends on addresses.
template <class Body>
ExploreResult Explore(const ExploreOptions& options, Body&& body) {
  ExploreResult result;
  std::size_t decisions = 100;  // a first guess, for PCT
  const auto run = [&](std::unique_ptr<SteppedStrategy> strategy) {
    SteppedScheduler scheduler(std::move(strategy), options.stepped);
    ++result.schedules;
    result.failure = body(scheduler);
    if (result.ok()) result.failure = scheduler.stranded();
    const SteppedScheduler::RunResult end = scheduler.LastResult();
    if (result.ok() && !end.all_finished) result.failure = end.ToString();
    if (!end.all_finished) scheduler.Abandon();
    if (!result.ok()) result.replay = scheduler.replay();
    decisions = std::max<std::size_t>(scheduler.decisions(), 1);
    return result.ok();
  };

  if (!options.replay.empty()) {
    run(std::make_unique<ReplayStrategy>(options.replay));
    return result;
  }
  if (options.search == ExploreOptions::Search::kExhaustive) {
    ExhaustiveSearch search(options.preemption_bound);
    while (result.schedules < options.max_schedules) {
      if (!run(search.NewStrategy())) break;
      if (!search.Advance()) {
        result.exhausted = true;
        break;
      }
    }
    return result;
  }
  for (int i = 0; i < options.max_schedules; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    std::unique_ptr<SteppedStrategy> strategy;
    if (options.search == ExploreOptions::Search::kPct) {
      strategy =
          std::make_unique<PctStrategy>(seed, options.pct_depth, decisions);
    } else {
      strategy = std::make_unique<RandomStrategy>(seed);
    }
    if (!run(std::move(strategy))) break;
  }
  return result;
}

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_STEPPED_PRIMITIVES_H_
