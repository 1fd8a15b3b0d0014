// SPDX-License-Identifier: Apache-2.0
//
// Checks api/service_manager.h: anybody can be the manager.

#include "binderlite/api/service_manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

TEST(ServiceManagerTest, AManagerOfOnesOwn) {
  BinderOptions options;
  options.service_manager = false;
  Binder binder(std::move(options));
  Endpoint client = binder.Open("client");
  EXPECT_EQ(client.List().status(), StatusCode::kDead);
  EXPECT_EQ(client.Find<Worker>("x").status(), StatusCode::kDead);
  EXPECT_EQ(client.WatchPresence("x", [](std::string_view, const Object&) {})
                .status(),
            StatusCode::kDead);
  Endpoint manager = binder.Open("manager");
  std::vector<std::string> asked;
  const auto service = manager.Create(
      ServiceManager{.Add = [&](std::string_view name,
                                const Object&) { asked.emplace_back(name); },
                     .Get = [&](std::string_view) { return Object(); },
                     .List = [] { return std::vector<std::string>{"only"}; }});
  ASSERT_TRUE(manager.BecomeManager(service).ok());
  EXPECT_FALSE(client.BecomeManager(client.Create(Worker{})).ok());
  EXPECT_TRUE(client.Publish("mine", client.Create(Worker{})).ok());
  EXPECT_EQ(asked, std::vector<std::string>{"mine"});
  EXPECT_EQ(client.List().value(), std::vector<std::string>{"only"});
  EXPECT_EQ(manager.List().value(), std::vector<std::string>{"only"});
  EXPECT_EQ(client.Find<Worker>("x").status(), StatusCode::kNoSuchObject);
}

TEST(ServiceManagerTest, WatchesAreMovedAndEnded) {
  Binder binder;
  Endpoint client = binder.Open("client");
  Latch came;
  PresenceWatch a;
  {
    PresenceWatch b = client.WatchPresence(
        "x", [&](std::string_view, const Object&) { came.Arrive(); });
    a = std::move(b);
  }
  EXPECT_TRUE(client.Publish("x", client.Create(Worker{})).ok());
  came.Await();
  a.End();
  a.End();
}

// The callback holds what goes right after the watch.
TEST(ServiceManagerTest, TheEndOfAWatchWaitsForItsCallback) {
  Binder binder;
  Endpoint client = binder.Open("client");
  EXPECT_TRUE(client.Publish("x", client.Create(Worker{})).ok());
  Latch in;
  std::atomic<bool> ended{false};
  std::jthread releaser;
  {
    const PresenceWatch watch =
        client.WatchPresence("x", [&](std::string_view, const Object&) {
          in.ArriveAndWait();
          EXPECT_FALSE(ended);
        });
    in.Await();
    // It may still be on its way to the end of the watch when this runs.
    releaser = std::jthread([&in] { in.Open(); });
  }
  ended = true;
}

TEST(ServiceManagerTest, AWatchCanEndItself) {
  Binder binder;
  Endpoint client = binder.Open("client");
  Latch done;
  std::optional<PresenceWatch> watch;
  watch.emplace(client.WatchPresence("x", [&](std::string_view, const Object&) {
    watch.reset();
    done.Arrive();
  }));
  EXPECT_TRUE(client.Publish("x", client.Create(Worker{})).ok());
  done.Await();
  EXPECT_FALSE(watch.has_value());
}

TEST(ServiceManagerTest, WithoutLoopersNobodyWaits) {
  Binder binder;
  Endpoint client = binder.Open({.name = "client", .loopers = 0});
  EXPECT_EQ(client.Wait<Worker>("x").status(), StatusCode::kFailed);
}

// Whoever has known the old one finds the new one, and what is in it.
TEST(ServiceManagerTest, AnotherManagerTakesOver) {
  Binder binder({.service_manager = false});
  std::optional<ServiceRegistry> first(std::in_place, binder.context());
  Endpoint server = binder.Open("server");
  Endpoint client = binder.Open("client");
  const auto service = server.Create(Echo());
  ASSERT_TRUE(server.Publish("worker", service).ok());
  const Object old = client.Manager();
  Latch died;
  const DeathWatch watch = old.WatchDeath([&](DeathReason) { died.Arrive(); });
  ASSERT_TRUE(watch.status().ok());
  first.reset();
  died.Await();
  EXPECT_EQ(Proxy<ServiceManager>(old)->List().status(), StatusCode::kDead);
  EXPECT_EQ(client.Find<Worker>("worker").status(), StatusCode::kDead);
  // The looper that has told of the death has yet to make room.
  while (client.Manager() == old) std::this_thread::yield();
  const Object none = client.Manager();
  EXPECT_EQ(none.Ping(), StatusCode::kDead);

  const ServiceRegistry second(binder.context());
  ASSERT_TRUE(second.status().ok()) << second.status();
  ASSERT_TRUE(server.Publish("worker", service).ok());
  const auto found = client.Wait<Worker>("worker");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->Do("x").value(), "x");
  EXPECT_EQ(Proxy<ServiceManager>(client.Manager())->List.Async().Get().value(),
            std::vector<std::string>{"worker"});
  EXPECT_FALSE(client.Manager() == old);
  EXPECT_FALSE(client.Manager() == none);
  EXPECT_EQ(none.Ping(), StatusCode::kDead);
  EXPECT_EQ(Proxy<ServiceManager>(old)->List().status(), StatusCode::kDead);
  EXPECT_EQ(Proxy<ServiceManager>(old)->List.Async().Get().status(),
            StatusCode::kDead);
}

}  // namespace
}  // namespace binderlite::testing
