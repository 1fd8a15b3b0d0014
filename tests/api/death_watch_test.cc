// SPDX-License-Identifier: Apache-2.0
//
// Checks api/death_watch.h: who hears of the end of an object's endpoint, and
// of its own, how often, and until when.

#include "binderlite/api/death_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

class DeathWatchTest : public ApiTest {};

TEST_F(DeathWatchTest, TellsOnce) {
  Latch told;
  std::atomic<DeathReason> why = DeathReason::kOwnEndpointClosed;
  Pair pair = Connect(Worker{});
  DeathWatch watch;
  EXPECT_FALSE(watch);
  watch = pair.remote.WatchDeath([&](DeathReason reason) {
    why = reason;
    told.Arrive();
  });
  EXPECT_TRUE(watch);
  EXPECT_TRUE(watch.status().ok());
  pair.server.Close();
  told.Await();
  EXPECT_EQ(why, DeathReason::kDied);
  std::ostringstream printed;
  printed << why.load() << ", " << DeathReason::kOwnEndpointClosed;
  EXPECT_EQ(printed.str(), "died, own endpoint closed");
  pair.client.Close();
  EXPECT_EQ(told.arrived(), 1);
}

// The watch keeps the object, whatever becomes of the proxy.
TEST_F(DeathWatchTest, NeedsNoProxy) {
  Latch told;
  Pair pair = Connect(Worker{});
  const DeathWatch watch =
      pair.remote.WatchDeath([&](DeathReason) { told.Arrive(); });
  pair.remote = {};
  pair.server.Close();
  told.Await();
}

TEST_F(DeathWatchTest, OfWhatIsDeadAlready) {
  Pair pair = Connect(Worker{});
  pair.server.Close();
  for (int i = 1; i <= 3; ++i) {
    Latch told;
    const DeathWatch watch =
        pair.remote.WatchDeath([&](DeathReason) { told.Arrive(); });
    told.Await();
  }
}

TEST_F(DeathWatchTest, OurOwnEnd) {
  std::atomic<int> told = 0;
  Pair pair = Connect(Worker{});
  const DeathWatch watch = pair.remote.WatchDeath([&](DeathReason reason) {
    EXPECT_EQ(reason, DeathReason::kOwnEndpointClosed);
    ++told;
  });
  pair.client.Close();
  EXPECT_EQ(told, 1);
}

TEST_F(DeathWatchTest, EndsWithItsCallback) {
  Latch inside;
  std::atomic<bool> ended = false;
  Pair pair = Connect(Worker{});
  std::optional<DeathWatch> watch(pair.remote.WatchDeath([&](DeathReason) {
    inside.ArriveAndWait();
    ended = true;
  }));
  DeathWatch none = pair.remote.WatchDeath([](DeathReason) { ADD_FAILURE(); });
  none.End();
  EXPECT_FALSE(none);
  pair.server.Close();
  inside.Await();
  std::jthread opener([&] { inside.Open(); });
  watch.reset();
  EXPECT_TRUE(ended);
}

TEST_F(DeathWatchTest, DestroyedByItsCallback) {
  Latch told;
  Pair pair = Connect(Worker{});
  auto watch = std::make_unique<DeathWatch>();
  *watch = pair.remote.WatchDeath([&](DeathReason) {
    watch.reset();
    told.Arrive();
  });
  pair.server.Close();
  told.Await();
}

TEST_F(DeathWatchTest, OfNothingAndOfOnesOwn) {
  EXPECT_EQ(Proxy<Worker>().WatchDeath([](DeathReason) {}).status(),
            StatusCode::kNoSuchObject);
  Endpoint server = Open("server");
  const auto service = server.Create(Worker{});
  const DeathWatch watch =
      Proxy<Worker>(service).WatchDeath([](DeathReason) { ADD_FAILURE(); });
  EXPECT_TRUE(watch.status().ok());
  server.Close();
}

TEST_F(DeathWatchTest, AgainstTheEndOfBothSides) {
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> told = 0;
    Pair pair = Connect(Worker{});
    std::jthread a([&] { pair.server.Close(); });
    std::jthread b([&] {
      std::vector<DeathWatch> watches;
      for (int i = 0; i < 10; ++i) {
        watches.push_back(pair.remote.WatchDeath([&](DeathReason) { ++told; }));
      }
    });
    if (round % 2 == 0) pair.client.Close();
    a.join();
    b.join();
    EXPECT_LE(told, 10);
  }
}

}  // namespace
}  // namespace binderlite::testing
