// SPDX-License-Identifier: Apache-2.0

#include "binderlite/sync/locking.h"

#include <gtest/gtest.h>

#include <set>
#include <stop_token>
#include <string_view>
#include <type_traits>

#include "binderlite/sync/stepped_primitives.h"

namespace binderlite::sync {
namespace {

using Always = BinderLock<Relock::kAlways>;
using UnlessKilled = BinderLock<Relock::kUnlessKilled>;
using Interruptible = BinderLock<Relock::kInterruptible>;

static_assert(LockingPolicy<FineGrained<>>);
static_assert(LockingPolicy<Always>);
static_assert(LockingPolicy<UnlessKilled>);
static_assert(LockingPolicy<Interruptible>);
static_assert(LockingPolicy<FineGrained<SteppedPrimitives>>);
static_assert(LockingPolicy<BinderLock<Relock::kAlways, SteppedPrimitives>>);
static_assert(!LockingPolicy<int>);

struct WithoutArena : FineGrained<> {
  using ArenaMutex = int;
};
static_assert(!LockingPolicy<WithoutArena>);

// Which sections are real locks is the whole difference between disciplines.
template <class M>
constexpr bool kReal = !std::is_same_v<M, NoMutex>;
static_assert(kReal<FineGrained<>::RefsMutex> &&
              kReal<FineGrained<>::NodeMutex> &&
              kReal<FineGrained<>::QueuesMutex> &&
              kReal<FineGrained<>::TransactionMutex> &&
              kReal<FineGrained<>::ArenaMutex> &&
              !kReal<FineGrained<>::WaitersMutex> &&
              !kReal<FineGrained<>::CountersMutex>);
static_assert(!kReal<Always::RefsMutex> && !kReal<Always::QueuesMutex> &&
              kReal<Always::WaitersMutex> && !kReal<Always::CountersMutex> &&
              kReal<Always::ArenaMutex>);
static_assert(kReal<UnlessKilled::CountersMutex>);
static_assert(!kReal<Interruptible::CountersMutex>);

TEST(LockingTest, NamesAreDistinct) {
  const std::set<std::string_view> names = {FineGrained<>::kName, Always::kName,
                                            UnlessKilled::kName,
                                            Interruptible::kName};
  EXPECT_EQ(names.size(), 4u);
}

StopSignals Requested() {
  std::stop_source source;
  source.request_stop();
  return StopSignals(source.get_token());
}

// A killed thread that enters: the table at the top of the header.
TEST(LockingTest, OnlyTheInterruptibleEntryHeedsAKill) {
  const StopSignals killed = Requested();
  const auto TakesIt = []<class L>(std::type_identity<L>,
                                   const StopSignals& stops) {
    typename L::EntryLock lock;
    const bool taken = L::LockOnEntry(lock, stops);
    if (taken) [&lock]() ABSL_NO_THREAD_SAFETY_ANALYSIS { lock.Unlock(); }();
    return taken;
  };
  EXPECT_TRUE(TakesIt(std::type_identity<Always>(), killed));
  EXPECT_TRUE(TakesIt(std::type_identity<UnlessKilled>(), killed));
  EXPECT_FALSE(TakesIt(std::type_identity<Interruptible>(), killed));
  EXPECT_FALSE(TakesIt(std::type_identity<FineGrained<>>(), killed));
  const StopSignals never;
  EXPECT_TRUE(TakesIt(std::type_identity<Interruptible>(), never));
  EXPECT_TRUE(TakesIt(std::type_identity<FineGrained<>>(), never));
}

// And one that comes back from a wait.
TEST(LockingTest, AllButTheOldestRelockHeedAKill) {
  const StopSignals killed = Requested();
  const auto TakesIt = []<class L>(std::type_identity<L>,
                                   const StopSignals& stops) {
    typename L::EntryLock lock;
    const bool taken = L::LockAfterWait(lock, stops);
    if (taken) [&lock]() ABSL_NO_THREAD_SAFETY_ANALYSIS { lock.Unlock(); }();
    return taken;
  };
  EXPECT_TRUE(TakesIt(std::type_identity<Always>(), killed));
  EXPECT_FALSE(TakesIt(std::type_identity<UnlessKilled>(), killed));
  EXPECT_FALSE(TakesIt(std::type_identity<Interruptible>(), killed));
  EXPECT_FALSE(TakesIt(std::type_identity<FineGrained<>>(), killed));
  EXPECT_TRUE(Always::kKilledNeedsEntryLock);
  EXPECT_FALSE(UnlessKilled::kKilledNeedsEntryLock);
}

}  // namespace
}  // namespace binderlite::sync
