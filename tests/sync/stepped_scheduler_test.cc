// SPDX-License-Identifier: Apache-2.0
//
// SteppedScheduler: who runs when, what is reported, and the virtual clock.

#include "binderlite/sync/stepped_scheduler.h"

#include <chrono>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/sync/stepped_primitives.h"
#include "gtest/gtest.h"

namespace binderlite::sync {
namespace {

using P = SteppedPrimitives;
using std::chrono::hours;
using std::chrono::seconds;

// Actors that write their letter, a few times each.
void SpawnWriters(SteppedScheduler& scheduler, std::string& text, int actors,
                  int times) {
  for (int k = 0; k < actors; ++k) {
    const char letter = static_cast<char>('a' + k);
    scheduler.Spawn(std::string(1, letter), [&text, letter, times] {
      for (int i = 0; i < times; ++i) {
        if (i > 0) P::SchedulingPoint();
        text += letter;
      }
    });
  }
}

TEST(SteppedSchedulerTest, NothingToDo) {
  SteppedScheduler scheduler;
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(scheduler.Run().ToString(), "all finished");
}

TEST(SteppedSchedulerTest, CooperativeRunsOneAfterTheOther) {
  std::string text;
  SteppedScheduler scheduler;
  SpawnWriters(scheduler, text, 3, 3);
  EXPECT_EQ(text, "");
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(text, "aaabbbccc");
  EXPECT_TRUE(scheduler.finished("b"));
}

TEST(SteppedSchedulerTest, SameSeedSameSchedule) {
  const auto run = [](std::unique_ptr<SteppedStrategy> strategy) {
    std::string text;
    SteppedScheduler scheduler(std::move(strategy));
    SpawnWriters(scheduler, text, 3, 10);
    EXPECT_TRUE(scheduler.Run().all_finished);
    return std::pair(text, scheduler.replay());
  };
  std::set<std::string> texts;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto [text, replay] = run(std::make_unique<RandomStrategy>(seed));
    texts.insert(text);
    EXPECT_EQ(text.size(), 30u);
    EXPECT_EQ(run(std::make_unique<RandomStrategy>(seed)).first, text);
    EXPECT_EQ(run(std::make_unique<ReplayStrategy>(replay)),
              std::pair(text, replay));
  }
  EXPECT_GT(texts.size(), 5u);
}

TEST(SteppedSchedulerTest, ReplayChoosesTheActor) {
  std::string text;
  SteppedScheduler scheduler(std::make_unique<ReplayStrategy>("s1:1,0,1,1"));
  SpawnWriters(scheduler, text, 3, 2);
  EXPECT_TRUE(scheduler.Run().all_finished);
  // Of a, b and c, b starts; it goes on to its end; of a and c, c starts; a
  // preempts it; then the schedule is over and nobody is preempted any more.
  EXPECT_EQ(text, "bbcaac");
  EXPECT_EQ(scheduler.replay(), "s1:1,0,1*2");
}

TEST(SteppedSchedulerTest, DeadlockIsReportedByName) {
  P::StopMutex first;
  P::StopMutex second;
  std::stop_source rescue;
  // Each takes one, then lets the other run, then wants the other one.
  SteppedScheduler scheduler(std::make_unique<ReplayStrategy>("s1:0,1,1,1"));
  const auto actor = [&rescue](P::StopMutex& mine, P::StopMutex& yours) {
    const StopSignals signals(rescue.get_token());
    if (!mine.Lock(signals)) return;
    if (yours.Lock(signals)) yours.Unlock();
    mine.Unlock();
  };
  scheduler.Spawn("alice", [&] { actor(first, second); });
  scheduler.Spawn("bob", [&] { actor(second, first); });
  const SteppedScheduler::RunResult result = scheduler.Run();
  EXPECT_FALSE(result.all_finished);
  EXPECT_EQ(result.ToString(), "blocked: alice in StopMutex, bob in StopMutex");
  EXPECT_TRUE(scheduler.blocked("alice"));
  EXPECT_FALSE(scheduler.finished("alice"));
  EXPECT_EQ(first.waiters(), 1);

  rescue.request_stop();
  EXPECT_FALSE(scheduler.blocked("alice"));
  EXPECT_TRUE(scheduler.Run().all_finished);
}

TEST(SteppedSchedulerTest, SaysWhereEachOneIsBlocked) {
  P::Mutex mu;
  P::Parker parker;
  SteppedScheduler scheduler;
  const int sleeper = scheduler.Spawn("sleeper", [&] {
    MutexLock lock(mu);
    EXPECT_EQ(parker.Park(StopSignals(), kNoDeadline), WaitResult::kWoken);
  });
  scheduler.Spawn("locker", [&] { MutexLock lock(mu); });
  scheduler.Spawn("joiner", [&] { scheduler.Join(sleeper); });
  EXPECT_EQ(scheduler.Run().ToString(),
            "blocked: sleeper in Parker, locker in Mutex, joiner in join");
  EXPECT_TRUE(parker.parked());
  parker.Wake();
  EXPECT_FALSE(parker.parked());
  EXPECT_TRUE(scheduler.Run().all_finished);
}

TEST(SteppedSchedulerTest, RunGoesOnAfterTheOutsideDidSomething) {
  P::Mutex mu;
  std::string text;
  SteppedScheduler scheduler;
  mu.Lock();
  scheduler.Spawn("a", [&] {
    MutexLock lock(mu);
    text += 'a';
  });
  EXPECT_EQ(scheduler.Run().ToString(), "blocked: a in Mutex");
  mu.Unlock();
  scheduler.Spawn("b", [&] { text += 'b'; });
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(text, "ab");
}

TEST(SteppedSchedulerTest, ActorsSpawnActors) {
  std::string text;
  SteppedScheduler scheduler;
  scheduler.Spawn("outer", [&] {
    scheduler.Spawn("inner", [&] { text += 'i'; });
    text += 'o';
    P::SchedulingPoint();
    text += 'o';
  });
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(text, "ooi");
  EXPECT_TRUE(scheduler.finished("inner"));
}

TEST(SteppedSchedulerTest, NamesMayBeShared) {
  P::Parker parker;
  SteppedScheduler scheduler;
  scheduler.Spawn("twin", [] {});
  scheduler.Spawn("twin", [&] {
    EXPECT_EQ(parker.Park(StopSignals(), kNoDeadline), WaitResult::kWoken);
  });
  scheduler.Run();
  EXPECT_FALSE(scheduler.finished("twin"));
  EXPECT_FALSE(scheduler.blocked("twin"));
  parker.Wake();
  scheduler.Run();
  EXPECT_TRUE(scheduler.finished("twin"));
}

TEST(SteppedSchedulerTest, TheFunctorDiesWithItsActor) {
  SteppedScheduler scheduler;
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  scheduler.Spawn("a", [held = std::move(held)] {});
  EXPECT_FALSE(watch.expired());
  scheduler.Run();
  EXPECT_TRUE(watch.expired());
}

TEST(SteppedSchedulerTest, SchedulersNest) {
  SteppedScheduler outer;
  {
    SteppedScheduler inner;
    EXPECT_EQ(&SteppedScheduler::Current(), &inner);
    inner.AdvanceClock(hours(1));
  }
  EXPECT_EQ(&SteppedScheduler::Current(), &outer);
  EXPECT_EQ(P::Now(), TimePoint(hours(1)));
}

TEST(SteppedSchedulerTest, ClockStandsStillWhileAnyoneCanMove) {
  SteppedScheduler scheduler;
  const TimePoint start = P::Now();
  P::Parker parker;
  std::string text;
  scheduler.Spawn("sleeper", [&] {
    EXPECT_EQ(parker.Park(StopSignals(), start + seconds(1)),
              WaitResult::kDeadline);
    EXPECT_EQ(P::Now(), start + seconds(1));
    text += 's';
  });
  scheduler.Spawn("worker", [&] {
    for (int i = 0; i < 100; ++i) P::SchedulingPoint();
    EXPECT_EQ(P::Now(), start);
    text += 'w';
  });
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(text, "ws");
  EXPECT_EQ(P::Now(), start + seconds(1));
}

TEST(SteppedSchedulerTest, DeadlinesPassInTheirOrder) {
  SteppedScheduler scheduler;
  const TimePoint start = P::Now();
  P::Parker parkers[3];
  std::string text;
  for (int k = 0; k < 3; ++k) {
    scheduler.Spawn("sleeper", [&, k] {
      EXPECT_EQ(parkers[k].Park(StopSignals(), start + hours(3 - k)),
                WaitResult::kDeadline);
      EXPECT_EQ(P::Now(), start + hours(3 - k));
      text += static_cast<char>('a' + k);
    });
  }
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(text, "cba");
}

TEST(SteppedSchedulerTest, AdvanceClockWakesTheLate) {
  SteppedScheduler scheduler;
  const TimePoint start = P::Now();
  P::Parker parker;
  WaitResult result = WaitResult::kWoken;
  scheduler.Spawn("sleeper", [&] {
    result = parker.Park(StopSignals(), start + seconds(10));
  });
  scheduler.Spawn("clock", [&] {
    P::SchedulingPoint();
    scheduler.AdvanceClock(seconds(30));
  });
  EXPECT_TRUE(scheduler.Run().all_finished);
  EXPECT_EQ(result, WaitResult::kDeadline);
  EXPECT_EQ(P::Now(), start + seconds(30));
}

TEST(SteppedSchedulerTest, EndlessLoopIsCutOff) {
  bool go_on = true;
  SteppedScheduler scheduler(nullptr, {.max_steps = 100});
  scheduler.Spawn("spinner", [&] {
    while (go_on) P::SchedulingPoint();
  });
  EXPECT_EQ(scheduler.Run().ToString(), "blocked: spinner in running");
  scheduler.Abandon();
}

// What is left after Abandon is not touched again; the sanitizers watch.
TEST(SteppedSchedulerTest, AbandonLetsATestEnd) {
  P::Parker parker;
  SteppedScheduler scheduler;
  scheduler.Spawn("finished", [] {});
  scheduler.Spawn("blocked", [&parker] {
    static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
    ADD_FAILURE() << "ran after Abandon";
  });
  scheduler.Run();
  scheduler.Spawn("unstarted", [] { ADD_FAILURE() << "ran after Abandon"; });
  parker.Wake();
  scheduler.Abandon();
  EXPECT_TRUE(scheduler.Run().all_finished);
}

class SteppedSchedulerDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
  }
};

TEST_F(SteppedSchedulerDeathTest, DestroyedWithBlockedActors) {
  const auto leave_one = [] {
    P::Parker parker;
    SteppedScheduler scheduler;
    scheduler.Spawn("sleeper", [&] {
      static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
    });
    scheduler.Run();
  };
  EXPECT_DEATH(leave_one(), "'sleeper' waits in Parker\n *schedule: s1:");
}

TEST_F(SteppedSchedulerDeathTest, OutsideWouldBlock) {
  // Ends while it holds the mutex, or rather does not.
  const auto block = []() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    P::Mutex mu;
    P::Parker parker;
    SteppedScheduler scheduler;
    scheduler.Spawn("holder", [&] {
      MutexLock lock(mu);
      static_cast<void>(parker.Park(StopSignals(), kNoDeadline));
    });
    scheduler.Run();
    mu.Lock();
  };
  EXPECT_DEATH(block(), "outside would block in Mutex");
}

TEST_F(SteppedSchedulerDeathTest, RunByAnActor) {
  const auto run = [] {
    SteppedScheduler scheduler;
    scheduler.Spawn("actor", [&] { scheduler.Run(); });
    scheduler.Run();
  };
  EXPECT_DEATH(run(), "Run called by an actor; in 'actor'");
}

TEST_F(SteppedSchedulerDeathTest, UnknownName) {
  SteppedScheduler scheduler;
  EXPECT_DEATH(static_cast<void>(scheduler.finished("nobody")),
               "no actor is called 'nobody'");
}

TEST_F(SteppedSchedulerDeathTest, ScheduleOfAnotherTest) {
  const auto run = [] {
    std::string text;
    SteppedScheduler scheduler(std::make_unique<ReplayStrategy>("s1:0,7"));
    SpawnWriters(scheduler, text, 2, 3);
    scheduler.Run();
  };
  EXPECT_DEATH(run(), "does not fit: choice 7 of 2 at decision 1");
}

TEST_F(SteppedSchedulerDeathTest, ThreadOfNoScheduler) {
  EXPECT_DEATH(P::Now(), "belongs to no SteppedScheduler");
}

}  // namespace
}  // namespace binderlite::sync
