// SPDX-License-Identifier: Apache-2.0
//
// Task: kill, interrupt, one call at a time.

#include "binderlite/core/task.h"

#include <gtest/gtest.h>

#include <stop_token>
#include <thread>

#include "binderlite/sync/locking.h"
#include "binderlite/sync/stop.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

// Returns once somebody sleeps in the parker.
void AwaitParked(const L::Primitives::Parker& parker) {
  while (!parker.parked()) std::this_thread::yield();
}

TEST(TaskTest, KillStopsItsTokenForEver) {
  std::stop_source proc;
  Task<L> task(7, proc.get_token());
  EXPECT_EQ(task.tid, 7);
  const std::stop_token before = task.kill_signals().kill();
  EXPECT_FALSE(before.stop_requested());
  task.Kill();
  task.Kill();
  EXPECT_TRUE(before.stop_requested());
  EXPECT_TRUE(task.kill_signals().kill().stop_requested());
  EXPECT_FALSE(proc.stop_requested());
}

TEST(TaskTest, KillOfTheProcKillsAllItsTasks) {
  std::stop_source proc;
  Task<L> one(1, proc.get_token());
  Task<L> two(2, proc.get_token());
  proc.request_stop();
  EXPECT_TRUE(one.kill_signals().kill().stop_requested());
  EXPECT_TRUE(two.kill_signals().kill().stop_requested());
  const Task<L> late(3, proc.get_token());
  EXPECT_TRUE(late.kill_signals().kill().stop_requested());
}

TEST(TaskTest, IsForgottenByItsProcWhenItGoes) {
  std::stop_source proc;
  std::stop_token token;
  {
    const Task<L> task(1, proc.get_token());
    token = task.kill_signals().kill();
  }
  proc.request_stop();  // Does not reach for what is gone.
  EXPECT_FALSE(token.stop_requested());
}

// Who listens for it as well as who relies on it: see StopSignals::KillWakes.
TEST(TaskTest, KillWakesTheSleeper) {
  for (const bool listens : {false, true}) {
    std::stop_source proc;
    Task<L> task(1, proc.get_token());
    const sync::StopSignals signals =
        listens ? sync::StopSignals(task.kill_signals().kill())
                : task.kill_signals();
    EXPECT_EQ(signals.KillWakes(&task.parker), !listens);
    sync::WaitResult result = sync::WaitResult::kDeadline;
    std::jthread sleeper(
        [&] { result = task.parker.Park(signals, sync::kNoDeadline); });
    AwaitParked(task.parker);
    proc.request_stop();
    sleeper.join();
    EXPECT_EQ(result, sync::WaitResult::kStopped);
  }
}

// One that sleeps elsewhere, as who runs a thread that is lent does, has to
// listen.
TEST(TaskTest, KillWakesWhoSleepsElsewhere) {
  std::stop_source proc;
  Task<L> task(1, proc.get_token());
  Task<L> other(2, std::stop_token());
  EXPECT_FALSE(task.kill_signals().KillWakes(&other.parker));
  sync::WaitResult result = sync::WaitResult::kDeadline;
  std::jthread sleeper([&] {
    result = other.parker.Park(task.kill_signals(), sync::kNoDeadline);
  });
  AwaitParked(other.parker);
  task.Kill();
  sleeper.join();
  EXPECT_EQ(result, sync::WaitResult::kStopped);
}

TEST(TaskTest, AStopOfOneCallWakesTheSleeper) {
  std::stop_source proc;
  std::stop_source call;
  Task<L> task(1, proc.get_token());
  const sync::StopSignals both = task.kill_signals().With(call.get_token());
  EXPECT_TRUE(both.KillWakes(&task.parker));
  sync::WaitResult result = sync::WaitResult::kDeadline;
  std::jthread sleeper(
      [&] { result = task.parker.Park(both, sync::kNoDeadline); });
  AwaitParked(task.parker);
  call.request_stop();
  sleeper.join();
  EXPECT_EQ(result, sync::WaitResult::kStopped);
  EXPECT_FALSE(task.kill_signals().requested());
}

TEST(TaskTest, InterruptIsTakenOnce) {
  std::stop_source proc;
  Task<L> task(1, proc.get_token());
  EXPECT_FALSE(task.TakeInterrupt());
  task.Interrupt();
  task.Interrupt();
  EXPECT_TRUE(task.TakeInterrupt());
  EXPECT_FALSE(task.TakeInterrupt());
  EXPECT_FALSE(task.kill_signals().kill().stop_requested());
}

TEST(TaskTest, InterruptWakesTheSleeper) {
  std::stop_source proc;
  Task<L> task(1, proc.get_token());
  bool interrupted = false;
  std::jthread sleeper([&] {
    while (!interrupted) {  // A parker may wake for nothing.
      EXPECT_EQ(task.parker.Park(sync::StopSignals(), sync::kNoDeadline),
                sync::WaitResult::kWoken);
      interrupted = task.TakeInterrupt();
    }
  });
  AwaitParked(task.parker);
  task.Interrupt();
  sleeper.join();
  EXPECT_FALSE(task.TakeInterrupt());
}

TEST(TaskTest, OneCallAtATime) {
  std::stop_source proc;
  Task<L> task(1, proc.get_token());
  EXPECT_TRUE(task.Begin());
  EXPECT_FALSE(task.Begin());
  task.End();
  EXPECT_TRUE(task.Begin());
}

}  // namespace
}  // namespace binderlite::core
