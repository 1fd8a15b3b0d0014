// SPDX-License-Identifier: Apache-2.0
//
// StopSignals and StopCallbacks.

#include "binderlite/sync/stop.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <type_traits>

#include "gtest/gtest.h"

namespace binderlite::sync {
namespace {

TEST(StopSignalsTest, DefaultNeverStops) {
  const StopSignals signals;
  EXPECT_FALSE(signals.requested());
  EXPECT_FALSE(signals.possible());
}

TEST(StopSignalsTest, EitherTokenStops) {
  std::stop_source kill;
  std::stop_source call;
  const StopSignals only_kill(kill.get_token());
  const StopSignals both(kill.get_token(), call.get_token());
  const StopSignals only_call(std::stop_token(), call.get_token());
  EXPECT_TRUE(only_kill.possible());
  EXPECT_TRUE(both.possible());
  EXPECT_TRUE(only_call.possible());
  EXPECT_FALSE(both.requested());

  call.request_stop();
  EXPECT_TRUE(both.requested());
  EXPECT_TRUE(only_call.requested());
  EXPECT_FALSE(only_kill.requested());

  kill.request_stop();
  EXPECT_TRUE(only_kill.requested());
}

TEST(StopSignalsTest, CopiesShareTheRequest) {
  std::stop_source kill;
  const StopSignals original(kill.get_token());
  const StopSignals copy = original;
  kill.request_stop();
  EXPECT_TRUE(copy.requested());
}

TEST(StopSignalsTest, WithAStopForOneCall) {
  std::stop_source kill;
  std::stop_source call;
  const int parker = 0;
  const int other = 0;
  const StopSignals signals(kill.get_token(), &parker);
  const StopSignals both = signals.With(call.get_token());
  for (const StopSignals& one : {signals, both}) {
    EXPECT_TRUE(one.KillWakes(&parker));
    EXPECT_FALSE(one.KillWakes(&other));
  }
  EXPECT_FALSE(StopSignals(kill.get_token()).KillWakes(&parker));
  call.request_stop();
  EXPECT_TRUE(both.requested());
  EXPECT_FALSE(signals.requested());
  kill.request_stop();
  EXPECT_TRUE(signals.requested());
}

TEST(StopSignalsTest, ImpossibleOnceTheSourceIsGone) {
  std::optional<std::stop_source> source(std::in_place);
  const StopSignals signals(source->get_token());
  EXPECT_TRUE(signals.possible());
  source.reset();
  EXPECT_FALSE(signals.possible());
}

TEST(StopCallbacksTest, RunsOncePerToken) {
  std::stop_source kill;
  std::stop_source call;
  int runs = 0;
  StopCallbacks callbacks(StopSignals(kill.get_token(), call.get_token()),
                          [&runs] { ++runs; });
  EXPECT_EQ(runs, 0);
  call.request_stop();
  EXPECT_EQ(runs, 1);
  kill.request_stop();
  EXPECT_EQ(runs, 2);
  kill.request_stop();
  EXPECT_EQ(runs, 2);
}

TEST(StopCallbacksTest, WithoutTheKill) {
  std::stop_source kill;
  std::stop_source call;
  int calls = 0;
  const StopCallbacks callbacks(
      StopSignals(kill.get_token(), call.get_token()), [&calls] { ++calls; },
      /*kill=*/false);
  kill.request_stop();
  EXPECT_EQ(calls, 0);
  call.request_stop();
  EXPECT_EQ(calls, 1);
}

TEST(StopCallbacksTest, TheSameTokenTwiceRunsOnce) {
  std::stop_source kill;
  int runs = 0;
  StopCallbacks callbacks(StopSignals(kill.get_token(), kill.get_token()),
                          [&runs] { ++runs; });
  kill.request_stop();
  EXPECT_EQ(runs, 1);
}

TEST(StopCallbacksTest, RunsInTheConstructorIfAlreadyRequested) {
  std::stop_source call;
  call.request_stop();
  int runs = 0;
  StopCallbacks callbacks(StopSignals(std::stop_token(), call.get_token()),
                          [&runs] { ++runs; });
  EXPECT_EQ(runs, 1);
}

TEST(StopCallbacksTest, DestructorDeregisters) {
  std::stop_source kill;
  std::stop_source call;
  int runs = 0;
  {
    StopCallbacks callbacks(StopSignals(kill.get_token(), call.get_token()),
                            [&runs] { ++runs; });
  }
  kill.request_stop();
  call.request_stop();
  EXPECT_EQ(runs, 0);
}

TEST(StopCallbacksTest, NotCopied) {
  using Callbacks = StopCallbacks<void (*)()>;
  EXPECT_FALSE(std::is_copy_constructible_v<Callbacks>);
  EXPECT_FALSE(std::is_copy_assignable_v<Callbacks>);
}

// The rule of stop.h under fire: the stop is requested while the waiter enters
// and leaves the mutex that the callback takes. Breaking the rule would hang.
TEST(StopCallbacksTest, CallbackMayTakeAMutexThatIsHeldInside) {
  for (int i = 0; i < 2000; ++i) {
    std::stop_source kill;
    std::mutex mu;
    bool told = false;
    std::atomic<bool> ready = false;
    std::thread stopper([&] {
      while (!ready.load()) std::this_thread::yield();
      kill.request_stop();
    });
    {
      StopCallbacks callbacks(StopSignals(kill.get_token()), [&] {
        const std::lock_guard lock(mu);
        told = true;
      });
      ready = true;
      const std::lock_guard lock(mu);
      // A stop that was requested has told us, or is about to.
      if (told) {
        EXPECT_TRUE(kill.stop_requested());
      }
    }
    // Whatever the callback touched is ours again.
    const bool was_told = told;
    stopper.join();
    EXPECT_EQ(told, was_told);
  }
}

}  // namespace
}  // namespace binderlite::sync
