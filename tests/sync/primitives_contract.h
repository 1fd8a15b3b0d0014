// SPDX-License-Identifier: Apache-2.0
//
// What every model of Primitives promises, as a typed test suite. Included by
// the test of each model, which instantiates it with an environment:
//
//   struct Environment {
//     using P = ...;
//     // Returns when `done()` is true; the other threads get to run.
//     template <class F> void Until(const F& done);
//     // Lets other threads run, if there are real ones.
//     void Yield();
//   };
//
// Locks: those under test. Fails by a hang only where a model loses a wake-up.

#ifndef BINDERLITE_TESTS_SYNC_PRIMITIVES_CONTRACT_H_
#define BINDERLITE_TESTS_SYNC_PRIMITIVES_CONTRACT_H_

#include <atomic>
#include <chrono>
#include <optional>
#include <stop_token>
#include <type_traits>

#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/primitives.h"
#include "binderlite/sync/stop.h"
#include "gtest/gtest.h"

namespace binderlite::sync {

template <class Environment>
class PrimitivesContract : public testing::Test {
 protected:
  static_assert(Primitives<typename Environment::P>);

  Environment environment_;
};

TYPED_TEST_SUITE_P(PrimitivesContract);

TYPED_TEST_P(PrimitivesContract, MutexExcludes) {
  using P = typename TypeParam::P;
  struct State {
    typename P::Mutex mu;
    int value ABSL_GUARDED_BY(mu) = 0;
  } state;
  const auto add = [&state] {
    for (int i = 0; i < 200; ++i) {
      MutexLock lock(state.mu);
      state.mu.AssertHeld();
      const int seen = state.value;
      P::SchedulingPoint();
      state.value = seen + 1;
    }
  };
  {
    typename P::Worker a("a", add);
    typename P::Worker b("b", add);
  }
  MutexLock lock(state.mu);
  EXPECT_EQ(state.value, 400);
}

TYPED_TEST_P(PrimitivesContract, StopMutexExcludes) {
  using P = typename TypeParam::P;
  struct State {
    typename P::StopMutex mu;
    int value ABSL_GUARDED_BY(mu) = 0;
  } state;
  {
    typename P::Worker a("a", [&state] {
      for (int i = 0; i < 200; ++i) {
        MutexLock lock(state.mu);
        state.mu.AssertHeld();
        const int seen = state.value;
        P::SchedulingPoint();
        state.value = seen + 1;
      }
    });
    typename P::Worker b("b", [&state] {
      const std::stop_source never;
      const StopSignals signals(never.get_token());
      for (int i = 0; i < 200; ++i) {
        if (!state.mu.Lock(signals)) continue;
        const int seen = state.value;
        P::SchedulingPoint();
        state.value = seen + 1;
        state.mu.Unlock();
      }
    });
  }
  MutexLock lock(state.mu);
  EXPECT_EQ(state.value, 400);
  EXPECT_EQ(state.mu.waiters(), 0);
}

TYPED_TEST_P(PrimitivesContract, RequestedStopWinsOverAFreeStopMutex) {
  using P = typename TypeParam::P;
  typename P::StopMutex mu;
  std::stop_source kill;
  kill.request_stop();
  bool locked = mu.Lock(StopSignals(kill.get_token()));
  EXPECT_FALSE(locked);
  if (locked) mu.Unlock();
  locked = mu.Lock(StopSignals());
  EXPECT_TRUE(locked);
  if (locked) mu.Unlock();
}

TYPED_TEST_P(PrimitivesContract, TryLockTakesAFreeStopMutexOnly) {
  using P = typename TypeParam::P;
  typename P::StopMutex mu;
  const bool first = mu.TryLock();
  EXPECT_TRUE(first);
  if (first) {
    {
      typename P::Worker other("other", [&] {
        const bool second = mu.TryLock();
        EXPECT_FALSE(second);
        if (second) mu.Unlock();
      });
    }
    mu.Unlock();
  }
  mu.Lock();
  mu.Unlock();
}

TYPED_TEST_P(PrimitivesContract, BlockedStopMutexLockIsStopped) {
  using P = typename TypeParam::P;
  for (int i = 0; i < 200; ++i) {
    typename P::StopMutex mu;
    std::stop_source kill;
    std::atomic<int> got = -1;
    mu.Lock();
    {
      typename P::Worker waiter("waiter", [&] {
        const bool locked = mu.Lock(StopSignals(kill.get_token()));
        if (locked) mu.Unlock();
        got = locked ? 1 : 0;
      });
      this->environment_.Until([&] { return mu.waiters() == 1; });
      EXPECT_EQ(got, -1);
      // A waiter counts before it sleeps: sometimes give it the time to.
      for (int k = 0; k < i; ++k) this->environment_.Yield();
      kill.request_stop();
      // Ends although the mutex is still held.
      this->environment_.Until([&] { return got != -1; });
    }
    EXPECT_EQ(got, 0);
    EXPECT_EQ(mu.waiters(), 0);
    mu.Unlock();

    // Nothing of the waiter is left in it.
    const std::stop_source never;
    const bool locked = mu.Lock(StopSignals(never.get_token()));
    EXPECT_TRUE(locked);
    if (locked) mu.Unlock();
  }
}

// The stop comes before the release, and the waiter hears of both at once.
TYPED_TEST_P(PrimitivesContract, StopBeforeReleaseWins) {
  using P = typename TypeParam::P;
  for (int i = 0; i < 100; ++i) {
    typename P::StopMutex mu;
    std::stop_source kill;
    std::atomic<bool> locked = false;
    mu.Lock();
    {
      typename P::Worker waiter("waiter", [&] {
        if (!mu.Lock(StopSignals(kill.get_token()))) return;
        locked = true;
        mu.Unlock();
      });
      // Now and then the waiter is to be caught on its way in.
      if (i % 2 == 0) {
        this->environment_.Until([&] { return mu.waiters() == 1; });
      }
      kill.request_stop();
      mu.Unlock();
    }
    EXPECT_FALSE(locked);
  }
}

TYPED_TEST_P(PrimitivesContract, StopMutexReleaseReachesAWaiter) {
  using P = typename TypeParam::P;
  typename P::StopMutex mu;
  const std::stop_source never;
  std::atomic<int> got = 0;
  mu.Lock();
  {
    typename P::Worker plain("plain", [&] {
      MutexLock lock(mu);
      ++got;
    });
    typename P::Worker stoppable("stoppable", [&] {
      if (!mu.Lock(StopSignals(never.get_token()))) return;
      ++got;
      mu.Unlock();
    });
    // One of the two no stop can reach.
    this->environment_.Until(
        [&] { return mu.waiters() == 2 && mu.deaf_waiters() == 1; });
    EXPECT_EQ(got, 0);
    mu.Unlock();
  }
  EXPECT_EQ(got, 2);
  EXPECT_EQ(mu.waiters(), 0);
  EXPECT_EQ(mu.deaf_waiters(), 0);
}

// A waiter that gives up must not take a wake-up with it.
TYPED_TEST_P(PrimitivesContract, StoppedWaiterPassesTheWakeUpOn) {
  using P = typename TypeParam::P;
  for (int i = 0; i < 100; ++i) {
    typename P::StopMutex mu;
    std::stop_source kill;
    std::atomic<bool> patient_done = false;
    mu.Lock();
    {
      typename P::Worker leaver("leaver", [&] {
        if (mu.Lock(StopSignals(kill.get_token()))) mu.Unlock();
      });
      this->environment_.Until([&] { return mu.waiters() == 1; });
      typename P::Worker patient("patient", [&] {
        MutexLock lock(mu);
        patient_done = true;
      });
      this->environment_.Until([&] { return mu.waiters() == 2; });
      typename P::Worker killer("killer", [&] { kill.request_stop(); });
      mu.Unlock();
    }
    EXPECT_TRUE(patient_done);
  }
}

TYPED_TEST_P(PrimitivesContract, ParkerRemembersOneWake) {
  using P = typename TypeParam::P;
  typename P::Parker parker;
  const TimePoint past = P::Now();
  EXPECT_FALSE(parker.parked());
  EXPECT_EQ(parker.Park(StopSignals(), past), WaitResult::kDeadline);
  parker.Wake();
  parker.Wake();
  EXPECT_EQ(parker.Park(StopSignals(), kNoDeadline), WaitResult::kWoken);
  EXPECT_EQ(parker.Park(StopSignals(), past), WaitResult::kDeadline);
}

TYPED_TEST_P(PrimitivesContract, PermitWinsOverAPassedDeadline) {
  using P = typename TypeParam::P;
  typename P::Parker parker;
  parker.Wake();
  EXPECT_EQ(parker.Park(StopSignals(), P::Now()), WaitResult::kWoken);
}

TYPED_TEST_P(PrimitivesContract, StopWinsOverAPermitAndKeepsIt) {
  using P = typename TypeParam::P;
  typename P::Parker parker;
  std::stop_source call;
  call.request_stop();
  const StopSignals stopped(std::stop_token(), call.get_token());
  parker.Wake();
  EXPECT_EQ(parker.Park(stopped, P::Now()), WaitResult::kStopped);
  EXPECT_EQ(parker.Park(stopped, kNoDeadline), WaitResult::kStopped);
  EXPECT_EQ(parker.Park(StopSignals(), P::Now()), WaitResult::kWoken);
  EXPECT_EQ(parker.Park(StopSignals(), P::Now()), WaitResult::kDeadline);
}

TYPED_TEST_P(PrimitivesContract, WakeReachesASleeper) {
  using P = typename TypeParam::P;
  typename P::Parker parker;
  int letter = 0;  // handed over by the wake alone
  std::optional<WaitResult> result;
  {
    typename P::Worker sleeper("sleeper", [&] {
      result = parker.Park(StopSignals(), kNoDeadline);
      ++letter;
    });
    this->environment_.Until([&] { return parker.parked(); });
    letter = 41;
    parker.Wake();
  }
  EXPECT_EQ(result, WaitResult::kWoken);
  EXPECT_EQ(letter, 42);
  EXPECT_FALSE(parker.parked());
}

TYPED_TEST_P(PrimitivesContract, StopReachesASleeper) {
  using P = typename TypeParam::P;
  typename P::Parker parker;
  std::stop_source kill;
  std::stop_source call;
  std::optional<WaitResult> result;
  {
    typename P::Worker sleeper("sleeper", [&] {
      result = parker.Park(StopSignals(kill.get_token(), call.get_token()),
                           kNoDeadline);
    });
    this->environment_.Until([&] { return parker.parked(); });
    call.request_stop();
  }
  EXPECT_EQ(result, WaitResult::kStopped);
  EXPECT_FALSE(parker.parked());
}

// Two threads take turns; each wake-up that got lost would end the game.
TYPED_TEST_P(PrimitivesContract, ParkersPingPong) {
  using P = typename TypeParam::P;
  constexpr int kRounds = 500;
  struct Side {
    typename P::Parker parker;
    std::atomic<int> turn = 0;
  } ping, pong;
  const auto wait_for = [](Side& side, int turn) {
    while (side.turn.load() < turn) {
      static_cast<void>(side.parker.Park(StopSignals(), kNoDeadline));
    }
  };
  {
    typename P::Worker a("a", [&] {
      for (int i = 1; i <= kRounds; ++i) {
        pong.turn = i;
        pong.parker.Wake();
        wait_for(ping, i);
      }
    });
    typename P::Worker b("b", [&] {
      for (int i = 1; i <= kRounds; ++i) {
        wait_for(pong, i);
        ping.turn = i;
        ping.parker.Wake();
      }
    });
  }
  EXPECT_EQ(ping.turn, kRounds);
  EXPECT_EQ(pong.turn, kRounds);
}

TYPED_TEST_P(PrimitivesContract, WorkerRunsItsFunctionAndJoins) {
  using P = typename TypeParam::P;
  bool ran = false;
  {
    typename P::Worker worker("a name of more than fifteen characters",
                              [&ran] { ran = true; });
  }
  EXPECT_TRUE(ran);
}

TYPED_TEST_P(PrimitivesContract, WorkerMakesAWorker) {
  using P = typename TypeParam::P;
  int sum = 0;
  {
    typename P::Worker outer("outer", [&sum] {
      {
        typename P::Worker inner("inner", [&sum] { sum += 1; });
      }
      sum *= 10;
    });
  }
  EXPECT_EQ(sum, 10);
}

TYPED_TEST_P(PrimitivesContract, ClockIsMonotonicAndHasAPast) {
  using P = typename TypeParam::P;
  const TimePoint first = P::Now();
  P::SchedulingPoint();
  EXPECT_GE(P::Now(), first);
  EXPECT_GT(first, TimePoint());
  EXPECT_LT(first, kNoDeadline);
}

REGISTER_TYPED_TEST_SUITE_P(
    PrimitivesContract, MutexExcludes, StopMutexExcludes,
    RequestedStopWinsOverAFreeStopMutex, TryLockTakesAFreeStopMutexOnly,
    BlockedStopMutexLockIsStopped, StopBeforeReleaseWins,
    StopMutexReleaseReachesAWaiter, StoppedWaiterPassesTheWakeUpOn,
    ParkerRemembersOneWake, PermitWinsOverAPassedDeadline,
    StopWinsOverAPermitAndKeepsIt, WakeReachesASleeper, StopReachesASleeper,
    ParkersPingPong, WorkerRunsItsFunctionAndJoins, WorkerMakesAWorker,
    ClockIsMonotonicAndHasAPast);

}  // namespace binderlite::sync

#endif  // BINDERLITE_TESTS_SYNC_PRIMITIVES_CONTRACT_H_
