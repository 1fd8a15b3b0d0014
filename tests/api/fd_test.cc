// SPDX-License-Identifier: Apache-2.0
//
// Fd: who closes a descriptor, and when.

#include "binderlite/api/fd.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

#include "support/descriptors.h"

namespace binderlite {
namespace {

using testing::IsOpen;
using testing::OpenNull;

static_assert(!std::is_copy_constructible_v<Fd>);
static_assert(!std::is_copy_assignable_v<Fd>);
static_assert(!std::is_convertible_v<int, Fd>);

TEST(FdTest, ClosesWhatItHas) {
  const int number = OpenNull();
  {
    const Fd fd(number);
    EXPECT_TRUE(fd);
    EXPECT_EQ(fd.get(), number);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(FdTest, None) {
  Fd none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), -1);
  EXPECT_EQ(none.release(), -1);
  EXPECT_FALSE(Fd(-1));
}

TEST(FdTest, ReleaseGivesAway) {
  Fd fd(OpenNull());
  const int number = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(IsOpen(number));
  const Fd closed(number);
}

TEST(FdTest, Moves) {
  const int first = OpenNull();
  const int second = OpenNull();
  Fd a(first);
  Fd b(std::move(a));
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(b.get(), first);
  a = Fd(second);
  EXPECT_EQ(a.get(), second);
  b = std::move(a);
  EXPECT_FALSE(IsOpen(first));
  EXPECT_TRUE(IsOpen(second));
  EXPECT_EQ(b.get(), second);
  Fd& same = b;
  b = std::move(same);
  EXPECT_EQ(b.get(), second);
  EXPECT_TRUE(IsOpen(second));
}

}  // namespace
}  // namespace binderlite
