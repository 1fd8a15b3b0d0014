// SPDX-License-Identifier: Apache-2.0
//
// Checks api/remote.h: references to objects elsewhere that come, go and come
// again, while others watch.

#include "binderlite/api/remote.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/api_test.h"
#include "support/gates.h"
#include "support/latch.h"
#include "support/worker.h"

namespace binderlite::testing {
namespace {

class RemoteTest : public ModeTest {};
BINDERLITE_BOTH_MODES(RemoteTest);

TEST_P(RemoteTest, IsNoLocalObject) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto service = Serve(server, Worker{});
  const Object object = Give(service, server, client).object();
  EXPECT_FALSE(object.internal()->is_local());
}

// The handle of a reference that goes is used by the next one at once; its
// death is still heard of.
TEST_P(RemoteTest, ComesAndGoesWhileOthersWatch) {
  for (int round = 0; round < 20; ++round) {
    Endpoint server = Open("server");
    Endpoint client = Open("client");
    const auto service =
        Serve(server,
              Worker{
                  .Do = [](std::string_view what) { return std::string(what); },
              });
    const auto source =
        Serve(server, Worker{.Make = [&] { return Proxy<Worker>(service); }});
    const auto remote = Give(source, server, client);
    std::atomic<int> told = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
          for (int n = 0; n < 20; ++n) {
            const auto made = remote->Make();
            ASSERT_TRUE(made.ok());
            const DeathWatch watch =
                (*made).WatchDeath([&](DeathReason) { ++told; });
            ASSERT_EQ((*made)->Do("x").value(), "x");
          }
        });
      }
    }
    EXPECT_EQ(told, 0);
    Latch death;
    const auto last = remote->Make().value();
    const DeathWatch watch =
        last.WatchDeath([&](DeathReason) { death.Arrive(); });
    AwaitQuiet();
    server.Close();
    death.Await();
  }
}

// An asynchronous call needs nobody to hold its proxy.
TEST_P(RemoteTest, CallsThatAreOutKeepTheirCallee) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Latch latch;
  auto service = Serve(server, Worker{.Do = [&](std::string_view what) {
                         latch.ArriveAndWait();
                         return std::string(what);
                       }});
  auto remote = Give(service, server, client);
  auto answered = remote->Do.Async("x");
  auto dead = remote->Do.Async("x");
  remote = {};
  service = {};
  latch.Await();
  latch.Open();
  EXPECT_EQ(answered.Get().value(), "x");
  server.Close();
  const Status status = dead.Get().status();
  EXPECT_TRUE(status.ok() || status == StatusCode::kDead);
  EXPECT_EQ(client.pending_calls(), 0u);
}

// The manager dies while a reference to it is made: that one is dead, and the
// next one is of the next manager, whose death is heard of.
TEST(ManagerTest, DiesWhileItIsLookedFor) {
  GateHooks hooks;
  std::atomic<std::int32_t> looks{0};
  Endpoint first;
  hooks.Observe([&](Point point, std::int32_t pid, std::int32_t) {
    if (point != Point::kEntering) return;
    std::int32_t expected = pid;
    if (looks.compare_exchange_strong(expected, 0)) first.Close();
  });
  BinderOptions options;
  options.context.hooks = &hooks;
  options.service_manager = false;
  Binder binder(std::move(options));
  first = binder.Open("first");
  Endpoint second = binder.Open("second");
  Endpoint client = binder.Open("client");
  const auto service = first.Create(Echo());
  ASSERT_TRUE(first.BecomeManager(service).ok());
  // Once before, so that there is a thread for it.
  EXPECT_TRUE(client.Manager());
  looks = client.pid();
  const Object manager = client.Manager();
  ASSERT_EQ(looks, 0);
  Latch dead;
  const DeathWatch watch = manager.WatchDeath([&](DeathReason reason) {
    EXPECT_EQ(reason, DeathReason::kDied);
    dead.Arrive();
  });
  dead.Await();
  const auto successor = second.Create(Echo());
  ASSERT_TRUE(second.BecomeManager(successor).ok());
  const Object next = client.Manager();
  EXPECT_NE(next, manager);
  EXPECT_EQ(Proxy<Worker>(next)->Do("x").value(), "x");
  Latch dead_too;
  const DeathWatch next_watch =
      next.WatchDeath([&](DeathReason) { dead_too.Arrive(); });
  second.Close();
  dead_too.Await();
}

}  // namespace
}  // namespace binderlite::testing
