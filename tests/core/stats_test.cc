// SPDX-License-Identifier: Apache-2.0
//
// CommandCounts: each command is counted by its number, whatever its size, and
// totals add up.

#include "binderlite/core/stats.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <thread>

namespace binderlite::core {
namespace {

std::uint32_t Sum(const CommandTotals& totals) {
  std::uint32_t sum = 0;
  for (const std::uint32_t n : totals.bc) sum += n;
  for (const std::uint32_t n : totals.br) sum += n;
  return sum;
}

// Rows: WR-14 RD-28
TEST(CommandCountsTest, ByNumber) {
  CommandCounts counts;
  EXPECT_EQ(Sum(counts.totals()), 0u);
  counts.Count(Bc::BC_FREE_BUFFER);
  counts.Count(Br::BR_TRANSACTION);
  counts.Count(Br::BR_TRANSACTION_SEC_CTX);  // Has the same number.
  counts.Count(Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE);
  // The right number with a wrong size.
  counts.Count(static_cast<Bc>(IoctlCode(IoctlDir::kNone, 'c', 21, 4)));
  const CommandTotals totals = counts.totals();
  EXPECT_EQ(totals.bc[3], 1u);
  EXPECT_EQ(totals.bc[21], 1u);
  EXPECT_EQ(totals.br[2], 2u);
  EXPECT_EQ(totals.br[22], 1u);
  EXPECT_EQ(Sum(totals), 5u);
}

TEST(CommandCountsTest, NumbersThatDoNotExistAreNotCounted) {
  CommandCounts counts;
  counts.Count(static_cast<Bc>(IoctlCode(IoctlDir::kNone, 'c', 22, 0)));
  counts.Count(static_cast<Bc>(IoctlCode(IoctlDir::kNone, 'c', 255, 0)));
  counts.Count(static_cast<Br>(IoctlCode(IoctlDir::kNone, 'r', 23, 0)));
  EXPECT_EQ(Sum(counts.totals()), 0u);
}

TEST(CommandTotalsTest, AddUpAndWrapAround) {
  CommandTotals some;
  some.bc[0] = 2;
  some.br[22] = std::numeric_limits<std::uint32_t>::max();
  CommandTotals more;
  more.bc[0] = 3;
  more.bc[1] = 4;
  more.br[22] = 2;
  some.Add(more);
  EXPECT_EQ(some.bc[0], 5u);
  EXPECT_EQ(some.bc[1], 4u);
  EXPECT_EQ(some.br[22], 1u);
}

TEST(CommandCountsTest, CanBeReadWhileTheyAreWritten) {
  CommandCounts counts;
  const std::jthread writer([&counts] {
    for (int i = 0; i < 10000; ++i) counts.Count(Bc::BC_ACQUIRE);
  });
  std::uint32_t before = 0;
  while (before < 10000) {
    const std::uint32_t now = counts.totals().bc[5];
    ASSERT_GE(now, before);
    before = now;
  }
}

}  // namespace
}  // namespace binderlite::core
