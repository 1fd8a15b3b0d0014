// SPDX-License-Identifier: Apache-2.0
//
// Checks api/local.h: how long an object lives, and who is told.

#include "binderlite/api/local.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "binderlite/sync/mutex_lock.h"
#include "support/api_test.h"

namespace binderlite::testing {
namespace {

class LocalTest : public ModeTest {};
BINDERLITE_BOTH_MODES(LocalTest);

// A worker that holds something: alive as long as the object.
struct Holding {
  std::shared_ptr<int> held = std::make_shared<int>(0);
  std::weak_ptr<int> weak = held;
  Worker Make() {
    return {.Do = [held = std::move(held)](std::string_view what) {
      return std::string(what);
    }};
  }
};

// A worker that arrives at `gone` when its object has gone: what a handler
// holds goes last.
Worker Leaving(Latch& gone) {
  const auto arrive = [&gone](std::nullptr_t) { gone.Arrive(); };
  return {.Do = [token = std::shared_ptr<void>(nullptr, arrive)](
                    std::string_view what) { return std::string(what); }};
}

TEST_P(LocalTest, LivesAsLongAsItsService) {
  Endpoint server = Open("server");
  Holding holding;
  auto service = Serve(server, holding.Make());
  const auto copy = std::make_unique<Service<Worker>>(service);
  service = {};
  EXPECT_FALSE(holding.weak.expired());
  *copy = {};
  EXPECT_TRUE(holding.weak.expired());
}

TEST_P(LocalTest, IsKeptByHoldersElsewhere) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Holding holding;
  Latch unreferenced;
  auto service = Serve(server, holding.Make(),
                       {.on_unreferenced = [&] { unreferenced.Arrive(); }});
  auto remote = Give(service, server, client);
  auto second = remote;
  service = {};
  EXPECT_EQ(remote->Do("x").value(), "x");
  remote = {};
  EXPECT_EQ(unreferenced.arrived(), 0);
  EXPECT_EQ(second->Do("x").value(), "x");
  second = {};
  unreferenced.Await();
  AwaitState([&] {
    Touch();
    return holding.weak.expired();
  });
}

TEST_P(LocalTest, ToldAgainWhenItIsGivenAwayAgain) {
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  Holding holding;
  Latch unreferenced;
  const auto service =
      Serve(server, holding.Make(),
            {.on_unreferenced = [&] { unreferenced.Arrive(); }});
  for (int i = 1; i <= 3; ++i) {
    auto remote = Give(service, server, client);
    EXPECT_EQ(remote->Do("x").value(), "x");
    remote = {};
    unreferenced.Await(i);
    EXPECT_EQ(unreferenced.arrived(), i);
  }
}

TEST_P(LocalTest, ToldWhenItsHolderDies) {
  Endpoint server = Open("server");
  Latch unreferenced;
  Holding holding;
  const auto service =
      Serve(server, holding.Make(),
            {.on_unreferenced = [&] { unreferenced.Arrive(); }});
  Proxy<Worker> remote;
  {
    Endpoint client = Open("client");
    remote = Give(service, server, client);
  }
  unreferenced.Await();
  EXPECT_EQ(remote->Do("x").status(), StatusCode::kClosed);
}

// Objects that are made, given away and dropped leave nothing behind.
TEST_P(LocalTest, ManyObjectsThatGo) {
  constexpr int kObjects = 200;
  Latch gone;
  Endpoint server = Open("server");
  Endpoint client = Open("client");
  const auto factory =
      Serve(server, Worker{.Make = [&] {
              return Proxy<Worker>(Serve(server, Leaving(gone)));
            }});
  const auto remote = Give(factory, server, client);
  for (int i = 0; i < kObjects; ++i) {
    ASSERT_EQ(remote->Make().value()->Do("x").value(), "x");
  }
  AwaitState([&] { return SnapshotOf(server).nodes.size() <= 1; });
  AwaitQuiet();
  gone.Await(kObjects);
  auto& state = server.proc().state();
  const sync::MutexLock queues(state.queues_mu);
  EXPECT_LE(state.on_callers.size(), 1u);
}

}  // namespace
}  // namespace binderlite::testing
