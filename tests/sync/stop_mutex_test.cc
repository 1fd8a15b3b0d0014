// SPDX-License-Identifier: Apache-2.0

#include "binderlite/sync/stop_mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stop_token>
#include <thread>

namespace binderlite::sync {
namespace {

TEST(StopMutexLockTest, HoldsForItsScope) {
  StopMutex mu;
  const std::stop_source stop;
  {
    const StopMutexLock lock(mu, stop.get_token());
    EXPECT_TRUE(lock.held());
    mu.AssertHeld();
  }
  // Free again: this would not return otherwise.
  const StopMutexLock again(mu, stop.get_token());
  EXPECT_TRUE(again.held());
}

TEST(StopMutexLockTest, GivesUpAndReleasesNothing) {
  StopMutex mu;
  std::stop_source stop;
  const StopMutexLock owner(mu, StopSignals());
  std::jthread waiter([&] {
    const StopMutexLock lock(mu, stop.get_token());
    EXPECT_FALSE(lock.held());
  });
  while (mu.waiters() == 0) std::this_thread::yield();
  stop.request_stop();
  waiter.join();
  mu.AssertHeld();  // Still the owner's.
  EXPECT_EQ(mu.waiters(), 0);
}

TEST(ParkerTest, OnItsOwn) {
  Parker parker;
  std::stop_source stop;
  parker.Wake();
  EXPECT_EQ(parker.Park(stop.get_token(), kNoDeadline), WaitResult::kWoken);
  EXPECT_EQ(parker.Park(stop.get_token(), TimePoint::min()),
            WaitResult::kDeadline);
  std::jthread stopper([&stop] { stop.request_stop(); });
  EXPECT_EQ(parker.Park(stop.get_token(), kNoDeadline), WaitResult::kStopped);
}

}  // namespace
}  // namespace binderlite::sync
