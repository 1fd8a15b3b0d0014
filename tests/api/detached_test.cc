// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/detached.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "binderlite/api/future.h"
#include "binderlite/api/status.h"

namespace binderlite::testing {
namespace {

Detached Steps(std::shared_ptr<int> held, Future<void> first,
               Future<void> second, int& steps) {
  *held = ++steps;
  (void)co_await std::move(first);
  *held = ++steps;
  (void)co_await std::move(second);
  *held = ++steps;
}

// It begins with its call, goes on when it can, and holds what it has got until
// its end, which is its last step.
TEST(DetachedTest, RunsByItself) {
  const auto first = std::make_shared<api_internal::FutureState<void>>();
  const auto second = std::make_shared<api_internal::FutureState<void>>();
  const auto held = std::make_shared<int>(0);
  int steps = 0;
  Steps(held, Future<void>(first), Future<void>(second), steps);
  EXPECT_EQ(steps, 1);
  first->Set(Status());
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(held.use_count(), 2);
  second->Set(Status(StatusCode::kDead));
  EXPECT_EQ(*held, 3);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(DetachedTest, EndsInItsCall) {
  const auto held = std::make_shared<int>(0);
  int steps = 0;
  const auto set = [] {
    const auto state = std::make_shared<api_internal::FutureState<void>>();
    state->Set(Status());
    return Future<void>(state);
  };
  Steps(held, set(), set(), steps);
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace binderlite::testing
