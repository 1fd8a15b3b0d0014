// SPDX-License-Identifier: Apache-2.0
//
// Errc: values are those of errno, names are those of the errnos.

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
    {Errc::kNoEntry, ENOENT, "ENOENT"},
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

}  // namespace
}  // namespace binderlite
