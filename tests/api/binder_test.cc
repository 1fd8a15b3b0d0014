// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/binder.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

TEST(BinderTest, TwoHaveNothingToDoWithEachOther) {
  Binder a;
  Binder b;
  Endpoint at_a = a.Open("e");
  Endpoint at_b = b.Open(std::string("e"));
  EXPECT_TRUE(at_a.Publish("x", at_a.Create(Worker{})).ok());
  EXPECT_TRUE(at_a.Find<Worker>("x").ok());
  EXPECT_EQ(at_b.Find<Worker>("x").status(), StatusCode::kNoSuchObject);
}

TEST(BinderTest, OpensByOptions) {
  Binder binder;
  EXPECT_EQ(binder.Open({.name = "e", .pid = 5}).pid(), 5);
  EXPECT_EQ(binder.Open({.name = "e"}).name(), "e");
}

TEST(BinderTest, WithoutAServiceManager) {
  Binder binder({.context = {.name = "quiet"}, .service_manager = false});
  Endpoint endpoint = binder.Open("e");
  EXPECT_EQ(endpoint.List().status(), StatusCode::kDead);
}

}  // namespace
}  // namespace binderlite::testing
