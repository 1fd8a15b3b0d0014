// SPDX-License-Identifier: Apache-2.0
//
// AbseilPrimitives: the common contract, and what only real threads can show.

#include "binderlite/sync/abseil_primitives.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "sync/primitives_contract.h"

namespace binderlite::sync {
namespace {

struct AbseilEnvironment {
  using P = AbseilPrimitives;
  template <class F>
  void Until(const F& done) {
    while (!done()) std::this_thread::yield();
  }
  void Yield() { std::this_thread::yield(); }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Abseil, PrimitivesContract, AbseilEnvironment);

// Abseil before and after its change of names.
struct OldDialect {
  void Lock() { text += 'L'; }
  void Unlock() { text += 'U'; }
  std::string text;
};
struct NewDialect {
  void lock() { text += 'l'; }
  void unlock() { text += 'u'; }
  [[deprecated]] void Lock() { text += 'L'; }
  [[deprecated]] void Unlock() { text += 'U'; }
  std::string text;
};

TEST(AbseilDialectTest, UsesTheNameThatIsNotDeprecated) {
  OldDialect old_one;
  abseil_internal::Lock(old_one);
  abseil_internal::Unlock(old_one);
  EXPECT_EQ(old_one.text, "LU");
  NewDialect new_one;
  abseil_internal::Lock(new_one);
  abseil_internal::Unlock(new_one);
  EXPECT_EQ(new_one.text, "lu");
}

// Four threads fight for the mutex while stops hail down on two of them.
TEST(AbseilStopMutexTest, ExcludesUnderContentionWithStops) {
  constexpr int kRounds = 3000;
  struct State {
    AbseilStopMutex mu;
    int value ABSL_GUARDED_BY(mu) = 0;
  } state;
  std::atomic<int> acquired = 0;
  std::atomic<bool> stopping = true;

  struct Victim {
    AbseilMutex mu;
    std::stop_source source ABSL_GUARDED_BY(mu);

    StopSignals NewSignals() {
      MutexLock lock(mu);
      source = std::stop_source();
      return StopSignals(source.get_token());
    }
    void Stop() {
      std::stop_source current(std::nostopstate);
      {
        MutexLock lock(mu);
        current = source;
      }
      current.request_stop();
    }
  };
  std::array<Victim, 2> victims;

  {
    std::vector<std::unique_ptr<AbseilWorker>> workers;
    for (Victim& victim : victims) {
      workers.push_back(std::make_unique<AbseilWorker>("victim", [&] {
        for (int i = 0; i < kRounds; ++i) {
          if (!state.mu.Lock(victim.NewSignals())) continue;
          ++state.value;
          ++acquired;
          state.mu.Unlock();
        }
      }));
    }
    for (int k = 0; k < 2; ++k) {
      workers.push_back(std::make_unique<AbseilWorker>("plain", [&] {
        for (int i = 0; i < kRounds; ++i) {
          MutexLock lock(state.mu);
          ++state.value;
          ++acquired;
        }
      }));
    }
    AbseilWorker stopper("stopper", [&] {
      while (stopping) {
        for (Victim& victim : victims) victim.Stop();
        std::this_thread::yield();
      }
    });
    workers.clear();
    stopping = false;
  }
  MutexLock lock(state.mu);
  EXPECT_EQ(state.value, acquired);
  EXPECT_GE(state.value, 2 * kRounds);
  EXPECT_EQ(state.mu.waiters(), 0);
}

// Rule L5: the stop is requested while the waiter is on its way out, because
// the mutex was released at the same moment. Nobody may hang or lose the mutex.
TEST(AbseilStopMutexTest, StopWhileTheWaiterLeaves) {
  for (int i = 0; i < 4000; ++i) {
    AbseilStopMutex mu;
    std::stop_source kill;
    mu.Lock();
    std::atomic<bool> go = false;
    {
      AbseilWorker waiter("waiter", [&] {
        if (mu.Lock(StopSignals(kill.get_token()))) mu.Unlock();
      });
      AbseilWorker stopper("stopper", [&] {
        while (!go) std::this_thread::yield();
        kill.request_stop();
      });
      while (mu.waiters() == 0) std::this_thread::yield();
      go = true;
      mu.Unlock();
    }
    EXPECT_EQ(mu.waiters(), 0);
    const bool locked = mu.Lock(StopSignals());
    EXPECT_TRUE(locked);
    if (locked) mu.Unlock();
  }
}

// The same, but the waiter is caught while it spins, not while it sleeps: the
// stop comes before the release, hence it wins.
TEST(AbseilStopMutexTest, StopBeforeReleaseWinsOverASpinner) {
  constexpr int kRounds = 5000;
  AbseilStopMutex mu;
  std::vector<std::stop_source> kill(kRounds);
  std::atomic<int> round = -1;  // that the waiter may begin
  std::atomic<int> done = -1;   // that the waiter has ended
  int acquired = 0;
  {
    AbseilWorker waiter("waiter", [&] {
      for (int i = 0; i < kRounds; ++i) {
        const auto index = static_cast<std::size_t>(i);
        const StopSignals signals(kill[index].get_token());
        while (round < i) std::this_thread::yield();
        if (mu.Lock(signals)) {
          ++acquired;
          mu.Unlock();
        }
        done = i;
      }
    });
    for (int i = 0; i < kRounds; ++i) {
      mu.Lock();
      round = i;
      for (int k = 0; k < i % 40; ++k) abseil_internal::SpinPause();
      kill[static_cast<std::size_t>(i)].request_stop();
      mu.Unlock();
      while (done < i) std::this_thread::yield();
    }
  }
  EXPECT_EQ(acquired, 0);
}

// The mutex is destroyed by the thread that locks it last, while Unlock of the
// thread before may not have returned. For the sanitizers.
TEST(AbseilStopMutexTest, MayBeDestroyedByTheNextOwner) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 5000;
  struct Shared {
    AbseilStopMutex mu;
    int users ABSL_GUARDED_BY(mu) = kThreads;
  };
  std::vector<Shared*> all(kRounds);
  for (Shared*& shared : all) shared = new Shared;
  std::atomic<int> destroyed = 0;
  std::atomic<int> arrived = 0;
  const auto use_all = [&] {
    for (int i = 0; i < kRounds; ++i) {
      // All at the same one at the same time.
      ++arrived;
      while (arrived < (i + 1) * kThreads) std::this_thread::yield();
      Shared* const shared = all[static_cast<std::size_t>(i)];
      shared->mu.Lock();
      const bool last = --shared->users == 0;
      shared->mu.Unlock();
      if (!last) continue;
      delete shared;
      ++destroyed;
    }
  };
  {
    AbseilWorker a("a", use_all);
    AbseilWorker b("b", use_all);
    AbseilWorker c("c", use_all);
  }
  EXPECT_EQ(destroyed, kRounds);
}

#ifndef NDEBUG
TEST(AbseilStopMutexDeathTest, AssertHeldDiesWhenFree) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  AbseilStopMutex mu;
  EXPECT_DEATH(mu.AssertHeld(), "kHeld");
}
#endif

TEST(AbseilParkerTest, StopWhileTheSleeperLeaves) {
  for (int i = 0; i < 1000; ++i) {
    AbseilParker parker;
    std::stop_source kill;
    std::optional<WaitResult> first;
    {
      AbseilWorker sleeper("sleeper", [&] {
        first = parker.Park(StopSignals(kill.get_token()), kNoDeadline);
      });
      while (!parker.parked()) std::this_thread::yield();
      AbseilWorker stopper("stopper", [&] { kill.request_stop(); });
      parker.Wake();
    }
    // Either it was woken, or it was stopped and the permit is still there.
    ASSERT_TRUE(first.has_value());
    const WaitResult second =
        parker.Park(StopSignals(), AbseilPrimitives::Now());
    if (first == WaitResult::kWoken) {
      EXPECT_EQ(second, WaitResult::kDeadline);
    } else {
      EXPECT_EQ(first, WaitResult::kStopped);
      EXPECT_EQ(second, WaitResult::kWoken);
    }
  }
}

// The deadline races with the wake: a wake is never lost to it.
TEST(AbseilParkerTest, DeadlineNeverSwallowsAWake) {
  for (int i = 0; i < 1000; ++i) {
    AbseilParker parker;
    WaitResult result = WaitResult::kStopped;
    const TimePoint deadline =
        AbseilPrimitives::Now() + std::chrono::microseconds(i % 50);
    {
      AbseilWorker waker("waker", [&] { parker.Wake(); });
      result = parker.Park(StopSignals(), deadline);
    }
    if (result == WaitResult::kDeadline) {
      EXPECT_GE(AbseilPrimitives::Now(), deadline);
      EXPECT_EQ(parker.Park(StopSignals(), kNoDeadline), WaitResult::kWoken);
    } else {
      EXPECT_EQ(result, WaitResult::kWoken);
    }
  }
}

// Abseil's clock is another one, and rounds: kDeadline must not come early. A
// lower bound only, which no load on the machine can break.
TEST(AbseilParkerTest, DeadlineIsNotEarly) {
  AbseilParker parker;
  for (int i = 1; i <= 5; ++i) {
    const TimePoint deadline =
        AbseilPrimitives::Now() + std::chrono::milliseconds(1);
    EXPECT_EQ(parker.Park(StopSignals(), deadline), WaitResult::kDeadline);
    EXPECT_GE(AbseilPrimitives::Now(), deadline);
  }
}

TEST(AbseilParkerTest, FarDeadlineDoesNotOverflow) {
  AbseilParker parker;
  std::optional<WaitResult> result;
  {
    AbseilWorker sleeper("sleeper", [&] {
      result =
          parker.Park(StopSignals(), kNoDeadline - std::chrono::nanoseconds(1));
    });
    while (!parker.parked()) std::this_thread::yield();
    parker.Wake();
  }
  EXPECT_EQ(result, WaitResult::kWoken);
  EXPECT_EQ(parker.Park(StopSignals(), TimePoint::min()),
            WaitResult::kDeadline);
}

TEST(AbseilMutexTest, DeadlineLongPastIsPast) {
  AbseilMutex mu;
  MutexLock lock(mu);
  for (const bool ready : {false, true}) {
    const auto is_ready = [ready] { return ready; };
    EXPECT_EQ(mu.AwaitUntil(is_ready, TimePoint::min()), ready);
  }
}

TEST(AbseilWorkerTest, ShowsTheFirstFifteenCharactersOfItsName) {
  std::array<char, 32> name{};
  {
    AbseilWorker worker("binderlite-looper-12", [&name] {
      pthread_getname_np(pthread_self(), name.data(), name.size());
    });
  }
  EXPECT_EQ(std::string(name.data()), "binderlite-loop");
}

TEST(AbseilWorkerTest, TakesAFunctorThatCannotBeCopied) {
  int got = 0;
  {
    AbseilWorker worker(
        "worker", [&got, value = std::make_unique<int>(7)] { got = *value; });
  }
  EXPECT_EQ(got, 7);
}

}  // namespace
}  // namespace binderlite::sync
