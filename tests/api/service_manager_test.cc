// SPDX-License-Identifier: Apache-2.0
//
// Checks api/service_manager.h: anybody can be the manager.

#include "binderlite/api/service_manager.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
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

}  // namespace
}  // namespace binderlite::testing
