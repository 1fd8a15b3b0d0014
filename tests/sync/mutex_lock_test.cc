// SPDX-License-Identifier: Apache-2.0
//
// MutexLock, ReleasableMutexLock and NoMutex.

#include "binderlite/sync/mutex_lock.h"

#include <string>
#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "gtest/gtest.h"

namespace binderlite::sync {
namespace {

// Writes down what is done to it.
class ABSL_LOCKABLE LoggingMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    log_ += 'L';
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    log_ += 'U';
  }
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}
  const std::string& log() const { return log_; }

 private:
  std::string log_;
};

struct OnlyLocks {
  void Lock() {}
  void Unlock() {}
};

static_assert(BasicMutex<LoggingMutex>);
static_assert(BasicMutex<NoMutex>);
static_assert(!BasicMutex<OnlyLocks>, "AssertHeld is missing");
static_assert(!BasicMutex<int>);
static_assert(!std::is_copy_constructible_v<MutexLock<NoMutex>>);
static_assert(!std::is_copy_assignable_v<MutexLock<NoMutex>>);
static_assert(!std::is_copy_constructible_v<ReleasableMutexLock<NoMutex>>);
static_assert(!std::is_convertible_v<NoMutex&, MutexLock<NoMutex>>);

TEST(MutexLockTest, OwnsForItsLifetime) {
  LoggingMutex mu;
  {
    MutexLock lock(mu);
    EXPECT_EQ(mu.log(), "L");
  }
  EXPECT_EQ(mu.log(), "LU");
}

TEST(ReleasableMutexLockTest, DestructorUnlocks) {
  LoggingMutex mu;
  {
    ReleasableMutexLock lock(mu);
    EXPECT_EQ(mu.log(), "L");
  }
  EXPECT_EQ(mu.log(), "LU");
}

TEST(ReleasableMutexLockTest, ReleaseUnlocksOnce) {
  LoggingMutex mu;
  {
    ReleasableMutexLock lock(mu);
    lock.Release();
    EXPECT_EQ(mu.log(), "LU");
  }
  EXPECT_EQ(mu.log(), "LU");
}

TEST(NoMutexTest, TakesNoRoom) {
  struct Plain {
    int value;
  };
  struct Guarded {
    [[no_unique_address]] NoMutex mu;
    int value;
  };
  EXPECT_TRUE(std::is_empty_v<NoMutex>);
  EXPECT_EQ(sizeof(Guarded), sizeof(Plain));
}

TEST(NoMutexTest, NeverBlocks) {
  struct State {
    NoMutex mu;
    int value ABSL_GUARDED_BY(mu) = 0;
  } state;
  MutexLock outer(state.mu);
  state.mu.AssertHeld();
  ++state.value;
  EXPECT_EQ(state.value, 1);
  const auto again = [&state]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    // Twice by one thread, which a real mutex would not survive.
    MutexLock inner(state.mu);
    return ++state.value;
  };
  EXPECT_EQ(again(), 2);
}

}  // namespace
}  // namespace binderlite::sync
