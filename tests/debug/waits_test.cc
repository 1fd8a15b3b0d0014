// SPDX-License-Identifier: Apache-2.0
//
// Untangle: what is wrong with who waits for whom, in made-up graphs.

#include "binderlite/debug/waits.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace binderlite::testing {
namespace {

using debug::CallPlace;
using debug::Finding;
using debug::FindingKind;
using debug::kNone;
using debug::ThreadWaits;
using debug::WaitGraph;
using debug::WaitKind;
using debug::WaitState;
using std::chrono::seconds;

// Procs with one looper each, which runs a handler. Thread i is of Proc i.
WaitGraph Loopers(std::size_t count) {
  WaitGraph g;
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::int32_t>(i);
    g.procs.push_back({.pid = 100 + number, .name = std::string(1, 'a')});
    g.procs.back().name[0] = static_cast<char>('a' + i);
    g.threads.push_back({.proc = i,
                         .tid = 10 + number,
                         .state = WaitState::kRunsHandler,
                         .call = 900 + static_cast<std::uint32_t>(i),
                         .serves = 900 + static_cast<std::uint32_t>(i),
                         .looper = true});
  }
  return g;
}

// Thread `from` has a call out to the Proc `to`. It gets the next number.
void CallOut(WaitGraph& g, std::size_t from, std::size_t to,
             CallPlace place = CallPlace::kQueued, std::int32_t to_tid = 0) {
  const auto id = static_cast<std::uint32_t>(g.calls.size() + 1);
  g.threads[from].state = WaitState::kWaitsForReply;
  g.threads[from].call = id;
  g.calls.push_back({.id = id,
                     .from_tid = g.threads[from].tid,
                     .to = to,
                     .to_pid = g.procs[to].pid,
                     .to_tid = to_tid,
                     .place = place});
  if (place == CallPlace::kQueued) ++g.procs[to].queued;
}

std::vector<Finding> WrongIn(const WaitGraph& g) {
  std::vector<Finding> wrong;
  for (const Finding& f : g.findings) {
    if (IsWrong(f.kind)) wrong.push_back(f);
  }
  return wrong;
}

using Threads = std::vector<std::size_t>;

TEST(UntangleTest, AnEmptyGraphIsFine) {
  WaitGraph g;
  Untangle(g, seconds(1));
  EXPECT_FALSE(g.wrong());
  EXPECT_TRUE(g.findings.empty());
}

TEST(UntangleTest, OneThatCallsItselfIsADeadlock) {
  WaitGraph g = Loopers(1);
  CallOut(g, 0, 0);
  Untangle(g);
  ASSERT_EQ(WrongIn(g).size(), 1u);
  EXPECT_EQ(g.findings[0].kind, FindingKind::kDeadlock);
  EXPECT_EQ(g.findings[0].threads, Threads{0});
}

TEST(UntangleTest, EachCircleIsNamedOnce) {
  WaitGraph g = Loopers(7);
  CallOut(g, 0, 1);
  CallOut(g, 1, 0);
  CallOut(g, 2, 3);
  CallOut(g, 3, 4);
  CallOut(g, 4, 2);
  CallOut(g, 5, 4, CallPlace::kServed, 14);  // Behind the second.
  CallOut(g, 6, 5);                          // And behind that one.
  Untangle(g);
  const std::vector<Finding> wrong = WrongIn(g);
  ASSERT_EQ(wrong.size(), 2u);
  EXPECT_EQ(wrong[0].threads, (Threads{0, 1}));
  EXPECT_EQ(wrong[1].threads, (Threads{2, 3, 4}));
  for (const ThreadWaits& t : g.threads) {
    EXPECT_TRUE(t.stuck) << t.tid;
    EXPECT_FALSE(t.perhaps_stuck) << t.tid;
  }
}

TEST(UntangleTest, WhoStartsBehindACircleFindsIt) {
  WaitGraph g = Loopers(3);
  CallOut(g, 0, 1);  // Not in it, though it comes first.
  CallOut(g, 1, 2);
  CallOut(g, 2, 1);
  Untangle(g);
  ASSERT_EQ(WrongIn(g).size(), 1u);
  EXPECT_EQ(g.findings[0].threads, (Threads{1, 2}));
  EXPECT_TRUE(g.threads[0].stuck);
}

TEST(UntangleTest, WhoeverCanTakeTheCallSavesAll) {
  for (const WaitState state :
       {WaitState::kIdle, WaitState::kOutside, WaitState::kInDriver,
        WaitState::kRunsHandler, WaitState::kNotSeen}) {
    WaitGraph g = Loopers(2);
    CallOut(g, 0, 1);
    CallOut(g, 1, 0);
    g.threads.push_back({.proc = 1, .tid = 99, .state = state, .looper = true});
    Untangle(g);
    EXPECT_FALSE(g.wrong()) << ToString(state);
  }
}

TEST(UntangleTest, ALooperThatIsBeingStartedSavesAll) {
  WaitGraph g = Loopers(2);
  CallOut(g, 0, 1);
  CallOut(g, 1, 0);
  g.procs[1].requested = 1;
  Untangle(g);
  EXPECT_FALSE(g.wrong());
}

TEST(UntangleTest, WhatIsHandedToWhoWaitsIsServed) {
  WaitGraph g = Loopers(2);
  CallOut(g, 0, 1, CallPlace::kServed, 11);
  CallOut(g, 1, 0, CallPlace::kHandedOver, 10);
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  EXPECT_EQ(g.waits[1].kind, WaitKind::kHandedTo);
}

TEST(UntangleTest, OnlyThreadsOfTheSameProcessMayBeWaitedForByAHandler) {
  WaitGraph g = Loopers(2);
  // Each has a thread that calls the other.
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    g.threads.push_back({.proc = i, .tid = 20 + static_cast<std::int32_t>(i)});
    CallOut(g, 2 + i, 1 - i);
  }
  Untangle(g);
  ASSERT_EQ(WrongIn(g).size(), 1u);
  EXPECT_EQ(g.findings[0].kind, FindingKind::kPossibleDeadlock);
  EXPECT_EQ(g.findings[0].threads, (Threads{0, 2, 1, 3}));
  // Two opens of one process are one process; two processes are not.
  g.procs.push_back({.pid = 300, .name = "c"});
  g.threads[3].proc = 2;
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  g.procs[2].pid = g.procs[1].pid;
  Untangle(g);
  EXPECT_TRUE(g.wrong());
}

TEST(UntangleTest, AHandlerThatEndsLetsTheOthersGoOn) {
  WaitGraph g = Loopers(3);
  CallOut(g, 0, 1, CallPlace::kServed, 11);
  CallOut(g, 1, 2);
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  EXPECT_FALSE(g.threads[0].stuck);
}

TEST(UntangleTest, WhoStandsStillIsHeldUpBySomebody) {
  WaitGraph g = Loopers(3);
  CallOut(g, 0, 1, CallPlace::kServed, 11);
  CallOut(g, 1, 2);
  for (ThreadWaits& t : g.threads) t.still = seconds(5);
  Untangle(g, seconds(6));
  EXPECT_FALSE(g.wrong());
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  Untangle(g, seconds(5));
  ASSERT_EQ(WrongIn(g).size(), 1u);  // The chain is told from its beginning.
  EXPECT_EQ(g.findings[0].kind, FindingKind::kNoProgress);
  EXPECT_EQ(g.findings[0].threads, (Threads{0, 1, 2}));
}

TEST(UntangleTest, OfSeveralTheOneThatStandsStillHoldsUp) {
  WaitGraph g = Loopers(2);
  g.threads.push_back(g.threads[1]);
  g.threads[2].tid = 99;
  CallOut(g, 0, 1);
  g.threads[0].still = g.threads[2].still = seconds(5);
  g.threads[1].still = seconds(1);
  Untangle(g, seconds(5));
  ASSERT_EQ(WrongIn(g).size(), 1u);
  EXPECT_EQ(g.findings[0].threads, (Threads{0, 2}));
}

TEST(UntangleTest, WhoStandsStillInADeadlockIsNotToldTwice) {
  WaitGraph g = Loopers(2);
  CallOut(g, 0, 1);
  CallOut(g, 1, 0);
  for (ThreadWaits& t : g.threads) t.still = seconds(5);
  Untangle(g, seconds(1));
  EXPECT_EQ(WrongIn(g).size(), 1u);
}

TEST(UntangleTest, NobodyServesADeadOrFrozenProc) {
  WaitGraph g = Loopers(2);
  CallOut(g, 0, 1);
  g.threads[1].looper = false;
  g.threads[1].state = WaitState::kOutside;
  g.threads[1].serves = 0;
  Untangle(g);
  ASSERT_EQ(WrongIn(g).size(), 1u);
  EXPECT_EQ(g.findings[0].kind, FindingKind::kNobodyServes);
  EXPECT_EQ(g.findings[0].proc, 1u);
  g.procs[1].frozen = true;  // That is why.
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  ASSERT_EQ(g.findings.size(), 1u);
  EXPECT_EQ(g.findings[0].kind, FindingKind::kFrozen);
}

TEST(UntangleTest, TheBinderLockComesBeforeWhatIsNotWrong) {
  WaitGraph g = Loopers(3);
  g.lock_held = true;
  g.lock_holder = 2;
  g.threads[2].state = WaitState::kHoldsLock;
  g.threads[0].state = WaitState::kWaitsForLock;
  g.procs[1].arena_size = 3200;
  g.procs[1].arena_free = 199;
  g.procs[1].arena_free_async = 100;
  Untangle(g);
  ASSERT_EQ(g.findings.size(), 2u);
  EXPECT_EQ(g.findings[0].kind, FindingKind::kLockHeld);
  EXPECT_EQ(g.findings[0].threads, (Threads{2, 0}));
  EXPECT_EQ(g.findings[1].kind, FindingKind::kLowMemory);
  EXPECT_EQ(g.findings[1].proc, 1u);
  ASSERT_EQ(g.waits.size(), 1u);
  EXPECT_EQ(g.waits[0].from, 0u);
  EXPECT_EQ(g.waits[0].to, 2u);
}

TEST(UntangleTest, WhatItFoundBeforeIsForgotten) {
  WaitGraph g = Loopers(2);
  CallOut(g, 0, 1);
  CallOut(g, 1, 0);
  Untangle(g);
  EXPECT_TRUE(g.wrong());
  g.threads[0].state = WaitState::kRunsHandler;
  Untangle(g);
  EXPECT_FALSE(g.wrong());
  EXPECT_FALSE(g.threads[1].stuck);
}

TEST(UntangleTest, EverythingHasAName) {
  EXPECT_EQ(ToString(WaitState::kNotSeen), "not seen");
  EXPECT_EQ(ToString(CallPlace::kHandedOver), "handed over");
  EXPECT_EQ(ToString(WaitKind::kSameProcess), "same process");
  EXPECT_EQ(ToString(FindingKind::kOneWaysBehind), "one-ways behind");
  for (int i = 0; i <= static_cast<int>(FindingKind::kOneWaysBehind); ++i) {
    EXPECT_NE(ToString(static_cast<FindingKind>(i)), "?");
    EXPECT_EQ(IsWrong(static_cast<FindingKind>(i)), i <= 4);
  }
}

}  // namespace
}  // namespace binderlite::testing
