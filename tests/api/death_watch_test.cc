// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/death_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

class DeathWatchTest : public ApiTest {
 protected:
  static Worker Nothing() {
    return {.Do = [](std::string_view what) { return std::string(what); }};
  }
};

TEST_F(DeathWatchTest, TellsOnce) {
  Endpoint client = Open("client");
  Latch told;
  std::atomic<DeathReason> why = DeathReason::kEndpointClosed;
  DeathWatch watch;
  EXPECT_FALSE(watch);
  {
    Endpoint server = Open("server");
    const auto service = server.Create(Nothing());
    const auto remote = Give(service, server, client);
    watch = remote.WatchDeath([&](DeathReason reason) {
      why = reason;
      told.Arrive();
    });
    EXPECT_TRUE(watch);
    EXPECT_TRUE(watch.status().ok());
  }
  told.Await();
  EXPECT_EQ(why, DeathReason::kDied);
  client.Close();
  EXPECT_EQ(told.arrived(), 1);
}

// The watch keeps the object, whatever becomes of the proxy.
TEST_F(DeathWatchTest, NeedsNoProxy) {
  Endpoint client = Open("client");
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  Latch told;
  const DeathWatch watch =
      Give(service, server, client).WatchDeath([&](DeathReason) {
        told.Arrive();
      });
  server.Close();
  told.Await();
}

TEST_F(DeathWatchTest, OfWhatIsDeadAlready) {
  Endpoint client = Open("client");
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  const auto remote = Give(service, server, client);
  server.Close();
  for (int i = 1; i <= 3; ++i) {
    Latch told;
    const DeathWatch watch =
        remote.WatchDeath([&](DeathReason) { told.Arrive(); });
    told.Await();
  }
}

TEST_F(DeathWatchTest, OurOwnEnd) {
  Endpoint client = Open("client");
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  const auto remote = Give(service, server, client);
  std::atomic<int> told = 0;
  const DeathWatch watch = remote.WatchDeath([&](DeathReason reason) {
    EXPECT_EQ(reason, DeathReason::kEndpointClosed);
    ++told;
  });
  client.Close();
  EXPECT_EQ(told, 1);
}

TEST_F(DeathWatchTest, EndsWithItsCallback) {
  Endpoint client = Open("client");
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  const auto remote = Give(service, server, client);
  Latch inside;
  std::atomic<bool> ended = false;
  std::optional<DeathWatch> watch(remote.WatchDeath([&](DeathReason) {
    inside.ArriveAndWait();
    ended = true;
  }));
  DeathWatch none = remote.WatchDeath([](DeathReason) { ADD_FAILURE(); });
  none.End();
  EXPECT_FALSE(none);
  server.Close();
  inside.Await();
  std::jthread opener([&] { inside.Open(); });
  watch.reset();
  EXPECT_TRUE(ended);
}

TEST_F(DeathWatchTest, DestroyedByItsCallback) {
  Endpoint client = Open("client");
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  const auto remote = Give(service, server, client);
  Latch told;
  auto watch = std::make_unique<DeathWatch>();
  *watch = remote.WatchDeath([&](DeathReason) {
    watch.reset();
    told.Arrive();
  });
  server.Close();
  told.Await();
}

TEST_F(DeathWatchTest, OfNothingAndOfOnesOwn) {
  EXPECT_EQ(Proxy<Worker>().WatchDeath([](DeathReason) {}).status(),
            StatusCode::kNoSuchObject);
  Endpoint server = Open("server");
  const auto service = server.Create(Nothing());
  const DeathWatch watch =
      Proxy<Worker>(service).WatchDeath([](DeathReason) { ADD_FAILURE(); });
  EXPECT_TRUE(watch.status().ok());
  server.Close();
}

TEST_F(DeathWatchTest, AgainstTheEndOfBothSides) {
  for (int round = 0; round < 100; ++round) {
    Endpoint client = Open("client");
    Endpoint server = Open("server");
    const auto service = server.Create(Nothing());
    const auto remote = Give(service, server, client);
    std::atomic<int> told = 0;
    std::jthread a([&] { server.Close(); });
    std::jthread b([&] {
      std::vector<DeathWatch> watches;
      for (int i = 0; i < 10; ++i) {
        watches.push_back(remote.WatchDeath([&](DeathReason) { ++told; }));
      }
    });
    if (round % 2 == 0) client.Close();
    a.join();
    b.join();
    EXPECT_LE(told, 10);
  }
}

}  // namespace
}  // namespace binderlite::testing
