// SPDX-License-Identifier: Apache-2.0
//
// Checks api/registry.h: services by name, and who hears of them.

#include "binderlite/api/registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

TEST(RegistryTest, PublishesAndFinds) {
  Binder binder;
  Endpoint server = binder.Open("server");
  Endpoint client = binder.Open("client");
  const auto service = server.Create(Echo());
  EXPECT_EQ(client.Find<Worker>("w").status(), StatusCode::kNoSuchObject);
  EXPECT_TRUE(server.Publish("w", service).ok());
  EXPECT_TRUE(server.Publish("w", service).ok());  // Its own once more.
  EXPECT_EQ(client.Publish("w", client.Create(Echo())).service_code(),
            kAlreadyThere);
  EXPECT_EQ(server.Publish("", service).service_code(), kBadName);
  EXPECT_EQ(server.Publish(std::string(128, 'n'), service).service_code(),
            kBadName);
  EXPECT_EQ(server.Publish("null", Object()), StatusCode::kNoSuchObject);
  EXPECT_EQ(client.Find<Worker>("w").value()->Do("x").value(), "x");
  EXPECT_EQ(client.Find<PostOffice>("w").status(), StatusCode::kWrongInterface);
  EXPECT_EQ(client.List().value(), std::vector<std::string>{"w"});
  server.Close();
  while (client.Find<Worker>("w").ok()) {
  }
  const auto again = client.Create(Echo());
  while (client.Publish("w", again) == StatusCode::kServiceError) {
    std::this_thread::yield();  // Until the registry has heard of its end.
  }
}

TEST(RegistryTest, Permissions) {
  BinderOptions options;
  options.registry.may = [](const Caller& caller, ServiceOperation what,
                            std::string_view name) {
    return name != "secret" || what != ServiceOperation::kGet ||
           caller.euid() == 5;
  };
  Binder binder(std::move(options));
  Endpoint a = binder.Open({.name = "a", .euid = 5});
  Endpoint b = binder.Open("b");
  EXPECT_TRUE(a.Publish("secret", a.Create(Echo())).ok());
  EXPECT_TRUE(a.Find<Worker>("secret").ok());
  EXPECT_EQ(b.Find<Worker>("secret").status(), StatusCode::kRefused);
}

TEST(RegistryTest, TellsOfComingAndGoing) {
  Binder binder;
  Endpoint client = binder.Open("client");
  Latch came;
  Latch went;
  PresenceWatch watch = client.WatchPresence(
      "w", [&](std::string_view name, const Object& service) {
        EXPECT_EQ(name, "w");
        (service ? came : went).Arrive();
      });
  EXPECT_TRUE(watch.status().ok());
  for (int i = 1; i <= 3; ++i) {
    Endpoint server = binder.Open("server");
    ASSERT_TRUE(server.Publish("w", server.Create(Echo())).ok());
    came.Await(i);
    server.Close();
    went.Await(i);
  }
  watch.End();
  Endpoint server = binder.Open("server");
  ASSERT_TRUE(server.Publish("w", server.Create(Echo())).ok());
  EXPECT_EQ(came.arrived(), 3);
}

// A watcher whose memory is full, as its only looper is busy, hears of it
// later.
TEST(RegistryTest, TellsThoseWhoHaveNoRoomLater) {
  for (const bool gone : {false, true}) {
    Latch busy;
    Latch heard;
    std::vector<bool> present;
    Binder binder;
    Endpoint client = binder.Open(
        {.name = "client", .arena_size = 8192, .loopers = 1, .max_loopers = 1});
    Endpoint server = binder.Open("server");
    const auto sink = client.Create(
        Worker{.Note = [&](std::string_view) { busy.ArriveAndWait(); }});
    ASSERT_TRUE(client.Publish("sink", sink).ok());
    const auto to_sink = server.Find<Worker>("sink").value();
    const PresenceWatch watch =
        client.WatchPresence("w", [&](std::string_view, const Object& what) {
          present.push_back(static_cast<bool>(what));
          heard.Arrive();
        });
    ASSERT_TRUE(watch.status().ok());
    const auto fill = [&] {
      Status status;
      while (status.ok()) status = to_sink->Note("some words");
      EXPECT_EQ(status, StatusCode::kOutOfMemory);
    };
    Endpoint owner = binder.Open("owner");
    const auto service = owner.Create(Echo());
    if (gone) {
      EXPECT_TRUE(owner.Publish("w", service).ok());
      heard.Await(1);
      fill();
      owner.Close();
    } else {
      fill();
      EXPECT_TRUE(owner.Publish("w", service).ok());
    }
    busy.Open();
    heard.Await(gone ? 2 : 1);
    EXPECT_EQ(present, gone ? (std::vector<bool>{true, false})
                            : std::vector<bool>{true});
  }
}

TEST(RegistryTest, WaitsForAService) {
  Binder binder;
  Endpoint client = binder.Open("client");
  Endpoint server = binder.Open("server");
  const auto service = server.Create(Echo());
  std::jthread publisher([&] { (void)server.Publish("w", service).ok(); });
  EXPECT_EQ(client.Wait<Worker>("w").value()->Do("x").value(), "x");
  EXPECT_EQ(
      client.Wait<Worker>("no", Within(std::chrono::milliseconds(1))).status(),
      StatusCode::kDeadline);
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(client.Wait<Worker>("no", {.stop = stop.get_token()}).status(),
            StatusCode::kCancelled);
}

TEST(RegistryTest, WaitingEndsWithTheEndpoint) {
  Binder binder;
  Endpoint client = binder.Open("client");
  std::jthread waiter([&] {
    EXPECT_EQ(client.Wait<Worker>("no").status(), StatusCode::kClosed);
  });
  client.Close();
}

TEST(RegistryTest, OnlyOneManager) {
  Binder binder;
  const ServiceRegistry second(binder.context());
  EXPECT_EQ(second.status(), StatusCode::kFailed);
}

// What a watcher hears last is how it is.
TEST(RegistryTest, TheLastWordIsTrue) {
  Binder binder;
  Endpoint client = binder.Open("client");
  for (int round = 0; round < 50; ++round) {
    const std::string name = "w" + std::to_string(round);
    Latch last;
    std::atomic<bool> present = false;
    const PresenceWatch watch = client.WatchPresence(
        name, [&](std::string_view, const Object& service) {
          present = static_cast<bool>(service);
          if (!service) last.Arrive();
        });
    Endpoint server = binder.Open("server");
    const auto service = server.Create(Echo());
    std::jthread publisher([&] { (void)server.Publish(name, service).ok(); });
    publisher.join();
    server.Close();
    last.Await();
    EXPECT_FALSE(present);
  }
}

}  // namespace
}  // namespace binderlite::testing
