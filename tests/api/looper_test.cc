// SPDX-License-Identifier: Apache-2.0
//
// Checks api/looper.h: who serves the calls of an endpoint: as many loopers as
// it may have, their callers, or an event loop.

#include "binderlite/api/looper.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

// Whether there is something to be read of `fd`, now or, if need be, later.
bool IsReadable(int fd, bool wait = false) {
  pollfd poll = {.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, wait ? -1 : 0) == 1;
}

class LooperTest : public ModeTest {};
BINDERLITE_BOTH_MODES(LooperTest);

TEST_P(LooperTest, AsManyLoopersAsAreAllowed) {
  constexpr int kMost = 4;
  Latch latch;
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  const Pair pair =
      Connect(Worker{.Do =
                         [&](std::string_view) {
                           const int now = ++inside;
                           int seen = most;
                           while (seen < now &&
                                  !most.compare_exchange_weak(seen, now)) {
                           }
                           latch.ArriveAndWait();
                           --inside;
                           return std::string();
                         }},
              {.max_loopers = kMost});
  std::vector<std::jthread> callers;
  for (int i = 0; i < kMost + 3; ++i) {
    callers.emplace_back([&] { EXPECT_TRUE(pair.remote->Do("").ok()); });
  }
  latch.Await(kMost);
  EXPECT_EQ(pair.server.Running().size(), std::size_t{kMost});
  latch.Open();
  callers.clear();
  EXPECT_EQ(most, kMost);
  AwaitQuiet();
}

TEST_P(LooperTest, WithAnEventLoop) {
  const auto thread = std::this_thread::get_id();
  Latch noted;
  Pair pair =
      Connect(Worker{.Do =
                         [&](std::string_view what) {
                           EXPECT_EQ(std::this_thread::get_id(), thread);
                           return Answered(what);
                         },
                     .Note = [&](std::string_view) { noted.Arrive(); }},
              {.loopers = 0});
  Endpoint& server = pair.server;
  const auto serve = [&] {
    EXPECT_TRUE(IsReadable(server.poll_fd(), /*wait=*/true));
    return server.Dispatch();
  };
  (void)server.Dispatch();
  EXPECT_EQ(server.Dispatch(), 0u);
  std::atomic<bool> done = false;
  std::jthread caller([&] {
    EXPECT_EQ(pair.remote->Do("x").value(), "x!");
    EXPECT_TRUE(pair.remote->Note("x").ok());
    EXPECT_EQ(pair.remote->Do.Async("y").Get().value(), "y!");
    EXPECT_TRUE(pair.remote->Note("last").ok());
    done = true;
  });
  while (noted.arrived() < 2) (void)serve();
  caller.join();
  // It calls, too, and gets its asynchronous results here.
  const auto back = pair.client.Create(Worker{.Do = &Answered});
  const auto to_client = Give(back, pair.client, server);
  EXPECT_EQ(to_client->Do("z").value(), "z!");
  auto later = to_client->Do.Async("z");
  while (!later.ready()) (void)serve();
  EXPECT_EQ(later.Get().value(), "z!");
  EXPECT_TRUE(done);
}

// A call that comes when Dispatch has looked for the last time, but has not
// returned, is heard of.
TEST_P(LooperTest, WhatComesAtTheEndOfDispatch) {
  std::int32_t tid = 0;
  int served = 0;
  Pair<Worker> pair;
  pair = Connect(Worker{.Note =
                            [&](std::string_view) {
                              tid = OnlyHandler(pair.server);
                              ++served;
                            }},
                 {.loopers = 0});
  Endpoint& server = pair.server;
  EXPECT_TRUE(pair.remote->Note("first").ok());
  while (served == 0) {
    EXPECT_TRUE(IsReadable(server.poll_fd(), /*wait=*/true));
    (void)server.Dispatch();
  }
  while (IsReadable(server.poll_fd())) (void)server.Dispatch();
  gates().Close(Point::kLeaving, tid);
  std::jthread dispatcher([&] { (void)server.Dispatch(); });
  gates().WaitUntilHeld(Point::kLeaving, tid);
  EXPECT_TRUE(pair.remote->Note("last").ok());
  gates().Open(Point::kLeaving, tid);
  dispatcher.join();
  // Unless it had something else to do, and looked again.
  while (served < 2) {
    ASSERT_TRUE(IsReadable(server.poll_fd()));
    (void)server.Dispatch();
  }
}

TEST_P(LooperTest, DroppedByAHandlerInDispatch) {
  Pair<Worker> pair;
  pair = Connect(Worker{.Note =
                            [&](std::string_view) {
                              pair.server = Endpoint();
                              pair.service = {};
                            }},
                 {.loopers = 0});
  EXPECT_TRUE(pair.remote->Note("x").ok());
  while (pair.server.internal() != nullptr) {
    EXPECT_TRUE(IsReadable(pair.server.poll_fd(), /*wait=*/true));
    (void)pair.server.Dispatch();
  }
  EXPECT_EQ(pair.remote->Do("x").status(), StatusCode::kDead);
}

// It is a looper that tells those who wait for others, when it is told.
TEST_P(LooperTest, TellsOfTheEndOfAKilledEndpoint) {
  Latch latch;
  Latch told;
  Pair pair = Connect(WaitsAt(latch));
  const DeathWatch watch = pair.remote.WatchDeath([&](DeathReason reason) {
    EXPECT_EQ(reason, DeathReason::kOwnEndpointClosed);
    told.Arrive();
  });
  auto later = pair.remote->Do.Async("x");
  latch.Await();
  pair.client.proc().Kill();
  EXPECT_EQ(later.Get().status(), StatusCode::kClosed);
  told.Await();
  latch.Open();
}

// Who has loopers is served by them.
TEST_P(LooperTest, WithLoopersThereIsNothingToDispatch) {
  Pair pair = Connect(Echo());
  EXPECT_EQ(pair.server.poll_fd(), -1);
  EXPECT_EQ(pair.server.Dispatch(), 0u);
  EXPECT_EQ(*pair.remote->Do("x"), "x");
}

// --- On callers' threads ----------------------------------------------------

class CallerDispatchTest : public ModeTest {};
BINDERLITE_ON_CALLERS(CallerDispatchTest);

TEST_P(CallerDispatchTest, RunsOnTheCallersThread) {
  std::thread::id ran_on;
  Pair pair = Connect(Worker{.Do =
                                 [&](std::string_view what) {
                                   ran_on = std::this_thread::get_id();
                                   return Answered(what);
                                 }},
                      {.max_loopers = 1});
  AwaitQuiet();
  AwaitLooper(pair.server);
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  // Of one that nobody waits for, a looper's.
  EXPECT_EQ(pair.remote->Do.Async("x").Get().value(), "x!");
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

// As a thread that the endpoint does not know.
TEST_P(CallerDispatchTest, FailsAsSomebodyElsesThread) {
  Pair pair = Connect(Worker{.Do = &Answered}, {.loopers = 0});
  Thread foreign = pair.server.proc().Attach();
  std::jthread looper([&foreign] {
    EXPECT_EQ(foreign.EnterLooper(), Errc::kOk);
    Incoming incoming;
    while (foreign.NextWork(incoming) == Errc::kOk) {
    }
  });
  AwaitLooper(pair.server);
  const Status status = pair.remote->Do("x").status();
  EXPECT_EQ(status, StatusCode::kFailed);
  EXPECT_EQ(status.delivery(), Delivery::kUnknown);
  EXPECT_EQ(status.message(), "the callee did not answer");
  pair.server.Close();
}

// --- For event loops --------------------------------------------------------

TEST(ReadySignalTest, IsReadableUntilItIsCleared) {
  api_internal::ReadySignal signal;
  EXPECT_FALSE(IsReadable(signal.fd()));
  signal.Clear();
  EXPECT_FALSE(IsReadable(signal.fd()));
  signal.OnReady();
  signal.OnReady();
  EXPECT_TRUE(IsReadable(signal.fd()));
  signal.Clear();
  EXPECT_FALSE(IsReadable(signal.fd()));
}

}  // namespace
}  // namespace binderlite::testing
