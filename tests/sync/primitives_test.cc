// SPDX-License-Identifier: Apache-2.0
//
// The concept Primitives. What its models do is checked, for each of them, by
// the suite in primitives_contract.h.

#include "binderlite/sync/primitives.h"

#include <functional>
#include <string>

#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "gtest/gtest.h"

namespace binderlite::sync {
namespace {

// Nothing but the signatures.
struct Skeleton {
  using Mutex = NoMutex;
  struct StopMutex {
    void Lock() {}
    bool Lock(const StopSignals&) { return true; }
    bool TryLock() { return true; }
    void Unlock() {}
    void AssertHeld() const {}
    int waiters() const { return 0; }
    int deaf_waiters() const { return 0; }
  };
  struct Parker {
    void Wake() {}
    WaitResult Park(const StopSignals&, TimePoint) {
      return WaitResult::kWoken;
    }
    WaitResult Park(const StopSignals&, TimePoint, Spinners&) {
      return WaitResult::kWoken;
    }
    bool parked() const { return false; }
  };
  struct Worker {
    Worker(const std::string&, const std::function<void()>&) {}
  };
  static TimePoint Now() { return TimePoint(); }
  static void SchedulingPoint() {}
};

struct MutexWithoutAssertHeld : Skeleton {
  struct Mutex {
    void Lock() {}
    void Unlock() {}
  };
};

struct UnstoppableStopMutex : Skeleton {
  using StopMutex = NoMutex;
};

struct ParkerWithoutDeadline : Skeleton {
  struct Parker {
    void Wake() {}
    WaitResult Park(const StopSignals&) { return WaitResult::kWoken; }
    bool parked() const { return false; }
  };
};

struct ParkerWithoutSpinners : Skeleton {
  struct Parker {
    void Wake() {}
    WaitResult Park(const StopSignals&, TimePoint) {
      return WaitResult::kWoken;
    }
    bool parked() const { return false; }
  };
};

struct NamelessWorker : Skeleton {
  struct Worker {
    explicit Worker(const std::function<void()>&) {}
  };
};

struct OtherClock : Skeleton {
  static int Now() { return 0; }
};

TEST(PrimitivesTest, AcceptsWhatHasEverything) {
  EXPECT_TRUE(Primitives<Skeleton>);
}

TEST(PrimitivesTest, RefusesWhatLacksAPart) {
  EXPECT_FALSE(Primitives<int>);
  EXPECT_FALSE(Primitives<MutexWithoutAssertHeld>);
  EXPECT_FALSE(Primitives<UnstoppableStopMutex>);
  EXPECT_FALSE(Primitives<ParkerWithoutDeadline>);
  EXPECT_FALSE(Primitives<ParkerWithoutSpinners>);
  EXPECT_FALSE(Primitives<NamelessWorker>);
  EXPECT_FALSE(Primitives<OtherClock>);
}

}  // namespace
}  // namespace binderlite::sync
