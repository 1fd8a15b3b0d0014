// SPDX-License-Identifier: Apache-2.0
//
// Errc and Outcome: values are those of errno, names are those of the errnos.

#include "binderlite/wire/errc.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <iterator>
#include <set>
#include <string_view>

namespace binderlite {
namespace {

struct Case {
  Errc error;
  int number;
  std::string_view name;
};

constexpr Case kAll[] = {
    {Errc::kOk, 0, "OK"},
    {Errc::kInterrupted, EINTR, "EINTR"},
    {Errc::kWouldBlock, EAGAIN, "EAGAIN"},
    {Errc::kTimedOut, ETIMEDOUT, "ETIMEDOUT"},
    {Errc::kFault, EFAULT, "EFAULT"},
    {Errc::kInvalid, EINVAL, "EINVAL"},
    {Errc::kBusy, EBUSY, "EBUSY"},
    {Errc::kNotPermitted, EPERM, "EPERM"},
    {Errc::kNoMemory, ENOMEM, "ENOMEM"},
    {Errc::kNoSpace, ENOSPC, "ENOSPC"},
    {Errc::kProtocol, EPROTO, "EPROTO"},
    {Errc::kNoProcess, ESRCH, "ESRCH"},
    {Errc::kBadFile, EBADF, "EBADF"},
    {Errc::kClosed, ENODEV, "ENODEV"},
    {Errc::kKilled, ECANCELED, "killed"},
};

TEST(ErrcTest, ValuesAndNamesAreErrnos) {
  for (const Case& c : kAll) {
    EXPECT_EQ(static_cast<int>(c.error), c.number);
    EXPECT_EQ(ToString(c.error), c.name);
  }
  EXPECT_EQ(ToString(static_cast<Errc>(-1)), "E?");
}

TEST(ErrcTest, ValuesAreDistinct) {
  std::set<int> values;
  for (const Case& c : kAll) values.insert(static_cast<int>(c.error));
  EXPECT_EQ(values.size(), std::size(kAll));
}

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
}  // namespace binderlite
