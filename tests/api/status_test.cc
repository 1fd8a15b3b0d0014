// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/status.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace binderlite::testing {
namespace {

TEST(StatusTest, OkByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.delivery(), Delivery::kYes);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.service_code(), 0);
  EXPECT_EQ(status.shortage().size, 0u);
  EXPECT_EQ(status.ToString(), "ok");
}

TEST(StatusTest, SaysWhy) {
  EXPECT_EQ(Status(StatusCode::kDead).ToString(), "dead");
  EXPECT_EQ(Status(StatusCode::kDead).delivery(), Delivery::kNo);
  EXPECT_EQ(Status(StatusCode::kFailed, Delivery::kUnknown, "why").ToString(),
            "failed: why");
  const Status error = Status::Error(42, "no such user");
  EXPECT_EQ(error, StatusCode::kServiceError);
  EXPECT_EQ(error.service_code(), 42);
  EXPECT_EQ(error.delivery(), Delivery::kYes);
  EXPECT_EQ(error.ToString(), "service error 42: no such user");
  enum class Trouble : std::uint8_t { kNoSuchUser = 42 };
  EXPECT_EQ(Status::Error(Trouble::kNoSuchUser).service_code(), 42);
  EXPECT_EQ(error.service_code<Trouble>(), Trouble::kNoSuchUser);
  const Status copy = error;
  EXPECT_EQ(copy.message(), "no such user");
}

TEST(StatusTest, OutOfMemoryWithNumbers) {
  const Status status =
      Status::OutOfMemory({.wanted = 100, .free = 20, .size = 64});
  EXPECT_EQ(status.delivery(), Delivery::kNo);
  EXPECT_EQ(status.ToString(),
            "out of receive memory (100 bytes wanted, 20 of 64 free)");
  const Status result =
      Status::OutOfMemory({.free = 20, .size = 64}, Delivery::kYes);
  EXPECT_EQ(result.delivery(), Delivery::kYes);
  EXPECT_EQ(result.ToString(), "out of receive memory (20 of 64 free)");
}

TEST(StatusTest, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(StatusCode::kFailed); ++code) {
    EXPECT_NE(ToString(static_cast<StatusCode>(code)), "?");
  }
  EXPECT_EQ(ToString(static_cast<StatusCode>(200)), "?");
}

TEST(ResultTest, AValueOrAStatus) {
  Result<std::string> value = "text";
  ASSERT_TRUE(value.ok());
  EXPECT_TRUE(value.status().ok());
  EXPECT_EQ(*value, "text");
  EXPECT_EQ(value->size(), 4u);
  EXPECT_EQ(value.value(), "text");
  EXPECT_EQ(std::move(value).value_or("other"), "text");
  Result<std::string> none = Status::Error(1);
  EXPECT_FALSE(none);
  EXPECT_EQ(none.status(), StatusCode::kServiceError);
  EXPECT_EQ(std::move(none).value_or("other"), "other");
  Result<std::unique_ptr<int>> moved = std::make_unique<int>(3);
  EXPECT_EQ(**std::move(moved), 3);
}

TEST(ResultDeathTest, ValueOfNone) {
  const Result<int> none = Status(StatusCode::kDead);
  EXPECT_DEATH((void)none.value(), "a call that failed: dead");
}

TEST(StatusTest, Prints) {
  std::ostringstream out;
  out << Status::Error(42, "no such user") << "; " << StatusCode::kDead;
  EXPECT_EQ(out.str(), "service error 42: no such user; dead");
}

}  // namespace
}  // namespace binderlite::testing
