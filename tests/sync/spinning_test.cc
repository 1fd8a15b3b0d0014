// SPDX-License-Identifier: Apache-2.0
//
// Spinners: the budget; and that a Parker which looks out before it sleeps
// keeps the contract of Park. That it is any good is shown by bench/roundtrip.

#include "binderlite/sync/spinning.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "binderlite/sync/abseil_primitives.h"

namespace binderlite::sync {
namespace {

constexpr int kMany = 1000;
constexpr WaitOptions kForEver = {.spin = std::chrono::hours(1), .yields = 0};

TEST(SpinnersTest, NoMorePlacesThanSpareProcessors) {
  Spinners spinners(WaitOptions(), 4);
  EXPECT_EQ(spinners.limit(), 3);
  {
    std::optional<Spinners::Place> places[4];
    for (auto& place : places) place.emplace(spinners);
    EXPECT_EQ(spinners.spinning(), 0);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(places[i]->Take());
    EXPECT_TRUE(places[0]->Take()) << "it has one";
    EXPECT_EQ(spinners.spinning(), 3);
    EXPECT_FALSE(places[3]->Take());
    places[1].reset();
    EXPECT_TRUE(places[3]->Take());
    EXPECT_EQ(spinners.spinning(), 3);
  }
  EXPECT_EQ(spinners.spinning(), 0);
}

TEST(SpinnersTest, OneProcessorHasNoneToSpare) {
  Spinners spinners(WaitOptions(), 1);
  Spinners::Place place(spinners);
  EXPECT_FALSE(place.Take());
}

TEST(SpinnersTest, AsksTheSystem) {
  EXPECT_EQ(Spinners().limit(),
            static_cast<int>(std::thread::hardware_concurrency()) - 1);
  EXPECT_EQ(Spinners().options(), WaitOptions());
}

TEST(SpinnersTest, ACrowdIsThatOfAProcessor) {
  Spinners spinners(WaitOptions(), 4);
  EXPECT_FALSE(spinners.crowded(1));
  spinners.JoinCrowd(1);
  spinners.JoinCrowd(1);
  EXPECT_TRUE(spinners.crowded(1));
  EXPECT_FALSE(spinners.crowded(2));
  spinners.LeaveCrowd(1);
  EXPECT_TRUE(spinners.crowded(1));
  spinners.LeaveCrowd(1);
  EXPECT_FALSE(spinners.crowded(1));
}

// Places are never given twice, whoever comes and goes.
TEST(SpinnersTest, ManyThreads) {
  Spinners spinners(WaitOptions(), 3);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < kMany; ++k) {
          Spinners::Place place(spinners);
          if (!place.Take()) continue;
          const int now = inside.fetch_add(1) + 1;
          int seen = most.load();
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          inside.fetch_sub(1);
        }
      });
    }
  }
  EXPECT_GE(most.load(), 1);
  EXPECT_LE(most.load(), 2);
  EXPECT_EQ(spinners.spinning(), 0);
}

// One who looks out for an hour returns for one of these reasons, or not at
// all.
TEST(ParkerThatLooksOutTest, EndsForEveryReasonThatEndsASleep) {
  Spinners spinners(kForEver, 2);
  std::optional<WaitResult> result;
  const auto look_out = [&](AbseilParker& parker, const StopSignals& signals,
                            TimePoint deadline, auto and_then) {
    result.reset();
    {
      AbseilWorker worker(
          "worker", [&] { result = parker.Park(signals, deadline, spinners); });
      while (deadline == kNoDeadline && spinners.spinning() == 0) {
        std::this_thread::yield();
      }
      and_then();
    }
    EXPECT_FALSE(parker.parked());
    EXPECT_EQ(spinners.spinning(), 0);
    return result;
  };
  AbseilParker woken;
  EXPECT_EQ(look_out(woken, StopSignals(), kNoDeadline, [&] { woken.Wake(); }),
            WaitResult::kWoken);
  EXPECT_EQ(woken.Park(StopSignals(), TimePoint::min()), WaitResult::kDeadline)
      << "the permit was taken";
  AbseilParker stopped;
  std::stop_source kill;
  EXPECT_EQ(look_out(stopped, StopSignals(kill.get_token()), kNoDeadline,
                     [&] { kill.request_stop(); }),
            WaitResult::kStopped);
  AbseilParker late;
  const TimePoint deadline =
      AbseilPrimitives::Now() + std::chrono::milliseconds(1);
  EXPECT_EQ(look_out(late, StopSignals(), deadline, [] {}),
            WaitResult::kDeadline);
  EXPECT_GE(AbseilPrimitives::Now(), deadline);
}

TEST(ParkerThatLooksOutTest, SleepsWhenItMayNotOrHasDoneSo) {
  for (const auto& [options, processors] :
       std::vector<std::pair<WaitOptions, int>>{
           {WaitOptions::ParkAtOnce(), 2},
           {kForEver, 1},
           {{.spin = std::chrono::nanoseconds(1), .yields = 0}, 2},
           {{.spin = std::chrono::nanoseconds(1), .yields = 3}, 2},
           {{.spin = std::chrono::nanoseconds(0), .yields = 3}, 2}}) {
    Spinners spinners(options, processors);
    AbseilParker parker;
    for (int i = 0; i < 3; ++i) {
      std::optional<WaitResult> result;
      {
        AbseilWorker worker("worker", [&] {
          result = parker.Park(StopSignals(), kNoDeadline, spinners);
        });
        while (!parker.parked()) std::this_thread::yield();
        EXPECT_EQ(spinners.spinning(), 0);
        parker.Wake();
      }
      EXPECT_EQ(result, WaitResult::kWoken);
    }
  }
}

// A stop wins over a permit, which then stays, whatever it was doing.
TEST(ParkerThatLooksOutTest, StopAndWakeAtOnce) {
  for (int i = 0; i < kMany; ++i) {
    Spinners spinners({.spin = std::chrono::microseconds(i % 20), .yields = 1},
                      2);
    AbseilParker parker;
    std::stop_source kill;
    std::optional<WaitResult> first;
    {
      AbseilWorker worker("worker", [&] {
        first =
            parker.Park(StopSignals(kill.get_token()), kNoDeadline, spinners);
      });
      AbseilWorker stopper("stopper", [&] { kill.request_stop(); });
      parker.Wake();
    }
    const WaitResult second = parker.Park(StopSignals(), TimePoint::min());
    if (first == WaitResult::kWoken) {
      EXPECT_EQ(second, WaitResult::kDeadline);
    } else {
      EXPECT_EQ(first, WaitResult::kStopped);
      EXPECT_EQ(second, WaitResult::kWoken);
    }
  }
}

// Two who hand a turn to and fro never lose it.
TEST(ParkerThatLooksOutTest, PingPong) {
  Spinners spinners;
  AbseilParker here;
  AbseilParker there;
  AbseilWorker other("other", [&] {
    for (int i = 0; i < kMany; ++i) {
      while (there.Park(StopSignals(), kNoDeadline, spinners) !=
             WaitResult::kWoken) {
      }
      here.Wake();
    }
  });
  for (int i = 0; i < kMany; ++i) {
    there.Wake();
    while (here.Park(StopSignals(), kNoDeadline, spinners) !=
           WaitResult::kWoken) {
    }
  }
}

constexpr int kManyProcessors = 64;

// Who would spin for ever sleeps, if there are others who could use its
// processor.
TEST(ParkerThatLooksOutTest, DoesNotSpinInACrowd) {
  Spinners spinners(kForEver, 4);
  for (int cpu = 0; cpu < kManyProcessors; ++cpu) spinners.JoinCrowd(cpu);
  AbseilParker parker;
  std::jthread sleeper([&] {
    EXPECT_EQ(parker.Park(StopSignals(), kNoDeadline, spinners),
              WaitResult::kWoken);
  });
  while (!parker.parked()) std::this_thread::yield();
  parker.Wake();
}

// However a wait ends, it leaves no crowd behind.
TEST(ParkerThatLooksOutTest, LeavesTheCrowd) {
  Spinners spinners({.spin = std::chrono::nanoseconds(0), .yields = 2}, 4);
  for (int i = 0; i < kMany; ++i) {
    AbseilParker parker;
    std::stop_source stop;
    std::jthread sleeper([&] {
      const StopSignals signals(stop.get_token());
      const TimePoint soon =
          AbseilPrimitives::Now() + std::chrono::microseconds(i % 50);
      (void)parker.Park(signals, i % 2 == 0 ? kNoDeadline : soon, spinners);
    });
    if (i % 3 == 0) {
      while (i % 2 == 0 && !parker.parked()) std::this_thread::yield();
    }
    std::jthread waker([&] { parker.Wake(); });
    if (i % 5 == 0) stop.request_stop();
    sleeper.join();
    waker.join();
    for (int cpu = 0; cpu < kManyProcessors; ++cpu) {
      ASSERT_FALSE(spinners.crowded(cpu)) << i;
    }
  }
}

}  // namespace
}  // namespace binderlite::sync
