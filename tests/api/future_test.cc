// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/future.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "binderlite/api/detached.h"
#include "binderlite/api/status.h"

namespace binderlite::testing {
namespace {

using api_internal::FutureCompletion;
using api_internal::FutureState;

struct Promised {
  std::shared_ptr<FutureState<std::string>> state =
      std::make_shared<FutureState<std::string>>();
  Future<std::string> future{state};
};

TEST(FutureTest, GetWaits) {
  Promised p;
  EXPECT_TRUE(p.future.valid());
  EXPECT_FALSE(p.future.ready());
  EXPECT_FALSE(p.future.WaitFor(std::chrono::nanoseconds(1)));
  std::jthread setter([&] { p.state->Set(std::string("text")); });
  EXPECT_EQ(p.future.Get().value(), "text");
  EXPECT_FALSE(p.future.valid());
  EXPECT_FALSE(Future<int>().valid());
}

TEST(FutureTest, CallsBackOnceNowOrLater) {
  int calls = 0;
  const auto callback = [&calls](const Result<std::string>& result) {
    EXPECT_EQ(result.value(), "text");
    ++calls;
  };
  Promised late;
  std::move(late.future).Then(callback);
  EXPECT_EQ(calls, 0);
  late.state->Set(std::string("text"));
  EXPECT_EQ(calls, 1);
  Promised early;
  early.state->Set(std::string("text"));
  EXPECT_TRUE(early.future.ready());
  std::move(early.future).Then(callback);
  EXPECT_EQ(calls, 2);
}

// What a callback holds goes when it has been called.
TEST(FutureTest, LetsGoOfTheCallback) {
  Promised p;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> weak = held;
  std::move(p.future).Then([held](const Result<std::string>&) {});
  held.reset();
  EXPECT_FALSE(weak.expired());
  p.state->Set(Status(StatusCode::kDead));
  EXPECT_TRUE(weak.expired());
}

Detached Await(Future<std::string> future, std::string& result) {
  auto got = co_await std::move(future);
  result = got.ok() ? *got : got.status().ToString();
}

TEST(FutureTest, ResumesACoroutine) {
  std::string result;
  Promised late;
  Await(std::move(late.future), result);
  EXPECT_EQ(result, "");
  late.state->Set(std::string("text"));
  EXPECT_EQ(result, "text");
  Promised early;
  early.state->Set(Status(StatusCode::kDead));
  Await(std::move(early.future), result);
  EXPECT_EQ(result, "dead");
}

// The coroutine is over, and its frame gone, while await_suspend returns.
TEST(FutureTest, ResumesWhileItSuspends) {
  for (int i = 0; i < 500; ++i) {
    std::string result;
    Promised p;
    {
      const auto state = std::move(p.state);
      std::jthread setter([state] { state->Set(std::string("text")); });
      Await(std::move(p.future), result);
    }
    ASSERT_EQ(result, "text");
  }
}

TEST(FutureTest, ACompletionReadsTheResult) {
  Promised p;
  FutureCompletion<std::string>(p.state).Done(Status(), nullptr);
  EXPECT_EQ(p.future.Get().status(), StatusCode::kMalformed);
  auto state = std::make_shared<FutureState<void>>();
  Future<void> none(state);
  FutureCompletion<void>(state).Done(Status(StatusCode::kClosed), nullptr);
  EXPECT_EQ(none.Get(), StatusCode::kClosed);
}

}  // namespace
}  // namespace binderlite::testing
