// SPDX-License-Identifier: Apache-2.0
//
// SteppedPrimitives: the common contract, and that Explore finds planted bugs
// and clears what is correct.

#include "binderlite/sync/stepped_primitives.h"

#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <stop_token>
#include <string>

#include "gtest/gtest.h"
#include "sync/primitives_contract.h"

namespace binderlite::sync {
namespace {

using P = SteppedPrimitives;
using Search = ExploreOptions::Search;

template <class Strategy, auto... kArguments>
class SteppedEnvironment {
 public:
  using P = SteppedPrimitives;
  template <class F>
  void Until(const F& done) {
    const SteppedScheduler::RunResult result = scheduler_.Run();
    EXPECT_TRUE(done()) << result.ToString();
  }
  void Yield() {}

 private:
  SteppedScheduler scheduler_{std::make_unique<Strategy>(kArguments...)};
};
using SteppedEnvironments =
    testing::Types<SteppedEnvironment<CooperativeStrategy>,
                   SteppedEnvironment<RandomStrategy, 1>,
                   SteppedEnvironment<RandomStrategy, 2>,
                   SteppedEnvironment<PctStrategy, 1, 3, 100>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Stepped, PrimitivesContract,
                               SteppedEnvironments);

std::string RunAll(SteppedScheduler& scheduler) {
  const SteppedScheduler::RunResult result = scheduler.Run();
  return result.all_finished ? "" : result.ToString();
}

// Two actors of `points` + 1 steps each. Says in which order they were taken.
std::string Interleave(SteppedScheduler& scheduler, int points) {
  std::string order;
  for (const char letter : {'a', 'b'}) {
    scheduler.Spawn(std::string(1, letter), [&order, letter, points] {
      order += letter;
      for (int i = 0; i < points; ++i) {
        P::SchedulingPoint();
        order += letter;
      }
    });
  }
  scheduler.Run();
  return order;
}

TEST(ExploreTest, ExhaustiveMeansEveryInterleaving) {
  // Of n + 1 and n + 1 steps: (2n+2)! / ((n+1)! (n+1)!).
  const std::array<int, 4> expected = {2, 6, 20, 70};
  for (int points = 0; points < 4; ++points) {
    std::set<std::string> orders;
    ExploreOptions options;
    options.preemption_bound = ExhaustiveSearch::kUnbounded;
    const ExploreResult result =
        Explore(options, [&](SteppedScheduler& scheduler) {
          orders.insert(Interleave(scheduler, points));
          return std::string();
        });
    EXPECT_TRUE(result.exhausted);
    EXPECT_EQ(result.schedules, expected[static_cast<std::size_t>(points)]);
    EXPECT_EQ(orders.size(), static_cast<std::size_t>(result.schedules));
  }
}

TEST(ExploreTest, StopsAtTheCap) {
  for (const Search search :
       {Search::kExhaustive, Search::kRandom, Search::kPct}) {
    ExploreOptions options;
    options.search = search;
    options.max_schedules = 5;
    int runs = 0;
    const ExploreResult result =
        Explore(options, [&](SteppedScheduler& scheduler) {
          ++runs;
          Interleave(scheduler, 10);
          return std::string();
        });
    EXPECT_EQ(result.schedules, 5);
    EXPECT_EQ(runs, 5);
    EXPECT_FALSE(result.exhausted);
    EXPECT_TRUE(result.ok());
  }
}

// Reads, lets others run, writes: an update is lost unless `mu` is locked.
template <class M>
std::string TwoIncrements(SteppedScheduler& scheduler) {
  struct State {
    M mu;
    int value ABSL_GUARDED_BY(mu) = 0;
  } state;
  for (const char* name : {"a", "b"}) {
    scheduler.Spawn(name, [&state] {
      MutexLock lock(state.mu);
      const int seen = state.value;
      P::SchedulingPoint();
      state.value = seen + 1;
    });
  }
  std::string failure = RunAll(scheduler);
  if (!failure.empty()) return failure;
  MutexLock lock(state.mu);
  return state.value == 2 ? "" : "lost update";
}

TEST(ExploreTest, EverySearchFindsALostUpdateAndItsReplayRepeatsIt) {
  for (const Search search :
       {Search::kExhaustive, Search::kRandom, Search::kPct}) {
    ExploreOptions options;
    options.search = search;
    options.max_schedules = 100;
    const ExploreResult found = Explore(options, TwoIncrements<NoMutex>);
    EXPECT_EQ(found.failure, "lost update");
    EXPECT_FALSE(found.exhausted);
    EXPECT_EQ(found.replay.rfind("s1:", 0), 0u);

    options.replay = found.replay;
    const ExploreResult again = Explore(options, TwoIncrements<NoMutex>);
    EXPECT_EQ(again.schedules, 1);
    EXPECT_EQ(again.failure, found.failure);
    EXPECT_EQ(again.replay, found.replay);
  }
}

TEST(ExploreTest, LockedUpdatesAreNotLost) {
  ExploreOptions options;
  options.preemption_bound = ExhaustiveSearch::kUnbounded;
  for (const ExploreResult& result :
       {Explore(options, TwoIncrements<P::Mutex>),
        Explore(options, TwoIncrements<P::StopMutex>)}) {
    EXPECT_EQ(result.failure, "") << result.replay;
    EXPECT_TRUE(result.exhausted);
    EXPECT_GT(result.schedules, 2);
  }
}

// A sleeper that says it sleeps, and a waker that saves itself the wake-up if
// nobody does. `publish_first` is what makes it right.
std::string SleeperAndWaker(SteppedScheduler& scheduler, bool publish_first) {
  P::Parker parker;
  bool ready = false;
  bool sleeping = false;
  scheduler.Spawn("sleeper", [&] {
    if (publish_first) {
      sleeping = true;
      P::SchedulingPoint();
      if (ready) return;
    } else {
      if (ready) return;
      P::SchedulingPoint();
      sleeping = true;
    }
    static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
  });
  scheduler.Spawn("waker", [&] {
    ready = true;
    P::SchedulingPoint();
    if (sleeping) parker.Wake();
  });
  return RunAll(scheduler);
}

TEST(ExploreTest, FindsALostWakeUpAndItsReplayRepeatsIt) {
  const auto body = [](SteppedScheduler& scheduler) {
    return SleeperAndWaker(scheduler, false);
  };
  ExploreOptions options;
  options.max_schedules = 20;
  const ExploreResult found = Explore(options, body);
  EXPECT_EQ(found.failure, "blocked: sleeper in Parker");

  options.replay = found.replay;
  const ExploreResult again = Explore(options, body);
  EXPECT_EQ(again.schedules, 1);
  EXPECT_EQ(again.failure, found.failure);
}

TEST(ExploreTest, ClearsTheCorrectWakeUp) {
  ExploreOptions options;
  options.preemption_bound = ExhaustiveSearch::kUnbounded;
  const ExploreResult result =
      Explore(options, [](SteppedScheduler& scheduler) {
        return SleeperAndWaker(scheduler, true);
      });
  EXPECT_EQ(result.failure, "") << result.replay;
  EXPECT_TRUE(result.exhausted);
}

// Fails only if a is preempted between its writes and then b between its reads.
std::string NeedsTwoPreemptions(SteppedScheduler& scheduler) {
  int value = 0;
  bool seen = false;
  scheduler.Spawn("a", [&] {
    value = 1;
    P::SchedulingPoint();
    value = 2;
  });
  scheduler.Spawn("b", [&] {
    const int first = value;
    P::SchedulingPoint();
    seen = first == 1 && value == 2;
  });
  std::string failure = RunAll(scheduler);
  return failure.empty() && seen ? "seen" : failure;
}

TEST(ExploreTest, PreemptionBoundBounds) {
  ExploreOptions options;
  options.preemption_bound = 1;
  ExploreResult result = Explore(options, NeedsTwoPreemptions);
  EXPECT_TRUE(result.exhausted);
  EXPECT_EQ(result.failure, "");
  options.preemption_bound = 2;
  result = Explore(options, NeedsTwoPreemptions);
  EXPECT_EQ(result.failure, "seen");
}

// Nobody hangs, whenever the stop comes: before, in and after each wait.
TEST(ExploreTest, StopEndsEveryWait) {
  ExploreOptions options;
  options.preemption_bound = ExhaustiveSearch::kUnbounded;
  std::set<std::string> outcomes;
  const ExploreResult result =
      Explore(options, [&](SteppedScheduler& scheduler) {
        P::StopMutex mu;
        P::Parker parker;
        std::stop_source kill;
        const StopSignals signals(kill.get_token());
        std::string outcome;
        scheduler.Spawn("sleeper", [&] {
          if (!mu.Lock(signals)) return;
          // Wrong in a driver: asleep with the lock.
          if (parker.Park(signals, kNoDeadline) == WaitResult::kStopped) {
            outcome += 's';
          }
          mu.Unlock();
        });
        scheduler.Spawn("victim", [&] {
          if (mu.Lock(signals)) {
            outcome += 'l';
            mu.Unlock();
          } else {
            outcome += 'f';
          }
        });
        scheduler.Spawn("killer", [&] {
          P::SchedulingPoint();
          kill.request_stop();
        });
        std::string failure = RunAll(scheduler);
        if (failure.empty() && mu.waiters() != 0) failure = "waiter left";
        outcomes.insert(outcome);
        return failure;
      });
  EXPECT_EQ(result.failure, "") << result.replay;
  EXPECT_TRUE(result.exhausted);
  // The victim came first, too late, or in vain, and the sleeper likewise.
  EXPECT_EQ(outcomes, (std::set<std::string>{"f", "fs", "l", "ls", "sf"}));
}

TEST(ExploreTest, EarlyDeadlinesRaceWithWakes) {
  for (const bool early : {false, true}) {
    ExploreOptions options;
    options.preemption_bound = ExhaustiveSearch::kUnbounded;
    options.stepped.early_deadlines = early;
    std::set<WaitResult> seen;
    const ExploreResult result =
        Explore(options, [&seen](SteppedScheduler& scheduler) {
          P::Parker parker;
          const TimePoint deadline = P::Now() + std::chrono::seconds(1);
          std::string failure;
          scheduler.Spawn("sleeper", [&] {
            const WaitResult got = parker.Park(StopSignals(), deadline);
            seen.insert(got);
            if (got == WaitResult::kDeadline && P::Now() < deadline) {
              failure = "too early";
            }
          });
          scheduler.Spawn("waker", [&] {
            P::SchedulingPoint();
            parker.Wake();
          });
          const std::string blocked = RunAll(scheduler);
          return blocked.empty() ? failure : blocked;
        });
    EXPECT_EQ(result.failure, "") << result.replay;
    EXPECT_TRUE(result.exhausted);
    EXPECT_EQ(seen.contains(WaitResult::kWoken), true);
    EXPECT_EQ(seen.contains(WaitResult::kDeadline), early);
  }
}

TEST(ExploreTest, UnfinishedActorsAreAFailure) {
  const ExploreResult result =
      Explore(ExploreOptions(), [](SteppedScheduler& scheduler) {
        scheduler.Spawn("forgotten", [] {});
        return std::string();
      });
  EXPECT_EQ(result.failure, "blocked: forgotten in start");
}

TEST(ExploreTest, WorkerThatNeverEndsIsAFailure) {
  const ExploreResult result = Explore(ExploreOptions(), [](SteppedScheduler&) {
    P::Parker parker;
    P::Worker worker("looper", [&parker] {
      static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
    });
    return std::string();
  });
  EXPECT_EQ(result.failure,
            "'looper' is joined and never ends; blocked: looper in Parker");
}

class SteppedPrimitivesDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
  }
  SteppedScheduler scheduler_;
};

// What the analysis would refuse to compile is what these tests are about.
TEST_F(SteppedPrimitivesDeathTest, MutexMisuse) {
  const auto lock_twice = []() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    P::Mutex mu;
    mu.Lock();
    mu.Lock();
  };
  EXPECT_DEATH(lock_twice(), "a Mutex is locked by its owner");
  const auto unlock_free = []() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    P::Mutex mu;
    mu.Unlock();
  };
  EXPECT_DEATH(unlock_free(), "a Mutex is not held by its user");
  const auto assert_free = [] {
    P::Mutex mu;
    mu.AssertHeld();
  };
  EXPECT_DEATH(assert_free(), "a Mutex is not held by its user");
}

TEST_F(SteppedPrimitivesDeathTest, StopMutexMisuse) {
  const auto lock_twice = []() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    P::StopMutex mu;
    mu.Lock();
    mu.Lock();
  };
  EXPECT_DEATH(lock_twice(), "a StopMutex is locked by its owner");
  const auto unlock_other = [this] {
    P::StopMutex mu;
    mu.Lock();
    scheduler_.Spawn("thief",
                     [&mu]() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu.Unlock(); });
    scheduler_.Run();
    mu.Unlock();
  };
  EXPECT_DEATH(unlock_other(),
               "a StopMutex is not held by its user; in 'thief'");
}

TEST_F(SteppedPrimitivesDeathTest, TwoThreadsInOneParker) {
  const auto park_twice = [this] {
    P::Parker parker;
    for (int i = 0; i < 2; ++i) {
      scheduler_.Spawn("sleeper", [&parker] {
        static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
      });
    }
    scheduler_.Run();
  };
  EXPECT_DEATH(park_twice(), "two threads in one Parker");
}

TEST_F(SteppedPrimitivesDeathTest, OutsideWouldSleep) {
  P::Parker parker;
  EXPECT_DEATH(static_cast<void>(parker.Park(StopSignals(), kNoDeadline)),
               "the outside would block in Parker");
}

}  // namespace
}  // namespace binderlite::sync
