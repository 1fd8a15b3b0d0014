// SPDX-License-Identifier: Apache-2.0

#include "binderlite/driver/outcome.h"

#include <gtest/gtest.h>

namespace binderlite::driver {
namespace {

TEST(OutcomeTest, SuccessByDefault) {
  const Outcome outcome;
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.reply, Br::BR_OK);
  EXPECT_EQ(outcome.error, Errc::kOk);
}

TEST(OutcomeTest, FailuresAreTheReplyThatTheSenderReads) {
  constexpr Outcome kFailed = Outcome::Failed(Errc::kNoSpace);
  EXPECT_FALSE(kFailed.ok());
  EXPECT_EQ(kFailed.reply, Br::BR_FAILED_REPLY);
  EXPECT_EQ(kFailed.error, Errc::kNoSpace);
  // Dead without an errno is a failure as well (TX-16).
  constexpr Outcome kDead = Outcome::Dead(Errc::kOk);
  EXPECT_FALSE(kDead.ok());
  EXPECT_EQ(kDead.reply, Br::BR_DEAD_REPLY);
  EXPECT_EQ(kDead.error, Errc::kOk);
}

}  // namespace
}  // namespace binderlite::driver
