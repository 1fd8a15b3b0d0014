// SPDX-License-Identifier: Apache-2.0
//
// Checks api/transport.h: calls of references, asynchronous ones, of which
// there may be many, and what becomes of both when either side dies.

#include "binderlite/api/transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using namespace std::chrono_literals;

class TransportTest : public ModeTest {};
BINDERLITE_BOTH_MODES(TransportTest);

TEST_P(TransportTest, CallsAndOneWays) {
  Latch noted;
  const Pair pair = Connect(Worker{
      .Do = &Answered, .Note = [&](std::string_view) { noted.Arrive(); }});
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  EXPECT_TRUE(pair.remote->Note("x").ok());
  noted.Await();
  AwaitQuiet();
}

// --- Asynchronous -----------------------------------------------------------

TEST_P(TransportTest, AThreadForNoneOfTenThousand) {
  constexpr int kCalls = 10'000;
  Latch latch;
  // One looper each. Otherwise there may be another one whenever that is busy
  // and the next is not waiting yet.
  const EndpointOptions options = {.arena_size = 1 << 24, .max_loopers = 1};
  Pair pair = Connect(WaitsAt(latch), options, options);
  EXPECT_TRUE(pair.remote->Do.Async("y").Get().ok());  // All threads are there.
  const int threads = CountThreads();
  std::vector<Future<std::string>> futures;
  futures.push_back(pair.remote->Do.Async("x"));
  for (int i = 1; i < kCalls; ++i) {
    futures.push_back(pair.remote->Do.Async(std::to_string(i)));
  }
  latch.Await();
  EXPECT_EQ(pair.client.pending_calls(), std::size_t{kCalls});
  EXPECT_LE(CountThreads(), threads);
  latch.Open();
  EXPECT_EQ(futures[0].Get().value(), "x!");
  for (int i = 1; i < kCalls; ++i) {
    const auto result = futures[static_cast<std::size_t>(i)].Get();
    ASSERT_TRUE(result.ok()) << result.status().ToString();
    ASSERT_EQ(*result, std::to_string(i) + "!");
  }
  EXPECT_EQ(pair.client.pending_calls(), 0u);
  AwaitQuiet();
}

TEST_P(TransportTest, AsynchronousCallsAreGivenUp) {
  Latch latch;
  Pair pair = Connect(WaitsAt(latch));
  std::stop_source stop;
  auto delivered = pair.remote->Do.Async({.stop = stop.get_token()}, "x");
  latch.Await();
  auto queued = pair.remote->Do.Async({.stop = stop.get_token()}, "x");
  auto in_time = pair.remote->Do.Async(Within(1ms), "x");
  EXPECT_EQ(in_time.Get().status(), StatusCode::kDeadline);
  EXPECT_FALSE(delivered.ready());
  stop.request_stop();
  EXPECT_TRUE(delivered.ready());
  EXPECT_EQ(delivered.Get().status(), StatusCode::kCancelled);
  EXPECT_EQ(queued.Get().status(), StatusCode::kCancelled);
  EXPECT_EQ(pair.client.pending_calls(), 0u);
  latch.Open();
  EXPECT_EQ(pair.remote->Do.Async("y").Get().value(), "y!");
  EXPECT_EQ(pair.remote->Do("y").value(), "y!");
  AwaitQuiet();
}

TEST_P(TransportTest, TheCalleeDiesWithCallsOut) {
  Latch latch;
  Pair pair = Connect(WaitsAt(latch));
  std::vector<Future<std::string>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(pair.remote->Do.Async("x"));
  latch.Await();
  {
    std::jthread close([&] { pair.server.Close(); });
    for (auto& future : futures) {
      const Status status = future.Get().status();
      EXPECT_EQ(status, StatusCode::kDead);
      EXPECT_EQ(status.delivery(), Delivery::kUnknown);
    }
    latch.Open();
  }
  EXPECT_EQ(pair.client.pending_calls(), 0u);
  AwaitQuiet();
}

// --- Deaths at every point --------------------------------------------------

// Kills itself at a point.
class KillingTest : public ModeTest {
 protected:
  // Has the callee, or the caller, killed when a thread of it is at `point`
  // while `call` runs.
  void KillAt(Point point, bool callee) {
    auto [server, client, service, remote] = Connect(Worker{.Do = &Answered});
    Endpoint watcher = Open("watcher");
    const auto mine = client.Create(Worker{.Do = &Answered});
    const auto of_victim =
        callee ? Give(service, server, watcher) : Give(mine, client, watcher);
    Latch told;
    const DeathWatch watch = of_victim.WatchDeath([&](DeathReason reason) {
      EXPECT_EQ(reason, DeathReason::kDied);
      told.Arrive();
    });
    ASSERT_TRUE(watch.status().ok());
    AwaitQuiet();
    Endpoint& victim = callee ? server : client;
    victim_ = victim.pid();
    point_ = point;
    kill_ = [&victim] { victim.proc().Kill(); };
    armed_ = true;
    const auto result = remote->Do("x");
    const auto later = remote->Do.Async("x").Get();
    // A point that no call of the victim meets.
    if (armed_.exchange(false)) victim.proc().Kill();
    told.Await();
    if (callee) {
      EXPECT_TRUE(result.ok() || result.status() == StatusCode::kDead ||
                  result.status() == StatusCode::kFailed)
          << result.status().ToString();
      EXPECT_EQ(of_victim->Do("x").status(), StatusCode::kDead);
    } else {
      EXPECT_TRUE(result.ok() || result.status() == StatusCode::kClosed)
          << result.status().ToString();
      EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
    }
    EXPECT_EQ(of_victim->Do.Async("x").Get().status(), StatusCode::kDead);
    EXPECT_EQ(remote->Do.Async("x").Get().status(),
              callee ? StatusCode::kDead : StatusCode::kClosed);
    (void)later.ok();
    client.Close();
    server.Close();
    watcher.Close();
  }
  void OnPoint(Point point, std::int32_t pid) {
    if (armed_ && point == point_ && pid == victim_ && armed_.exchange(false)) {
      kill_();
    }
  }

 private:
  std::atomic<bool> armed_ = false;
  std::atomic<Point> point_ = Point::kEntering;
  std::atomic<std::int32_t> victim_ = 0;
  std::function<void()> kill_;
};
BINDERLITE_BOTH_MODES(KillingTest);

TEST_P(KillingTest, DeathsReachTheOthers) {
  ObservePoints([this](Point point, std::int32_t pid) { OnPoint(point, pid); });
  for (int point = 0; point <= static_cast<int>(Point::kReleasing); ++point) {
    for (const bool callee : {false, true}) {
      SCOPED_TRACE(std::string(ToString(static_cast<Point>(point))) +
                   (callee ? ", callee" : ", caller"));
      KillAt(static_cast<Point>(point), callee);
    }
  }
}

}  // namespace
}  // namespace binderlite::testing
