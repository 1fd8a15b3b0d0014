// SPDX-License-Identifier: Apache-2.0
//
// The flag bits: their values, and that those of one word do not overlap.

#include "binderlite/wire/flags.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <type_traits>

namespace binderlite {
namespace {

TEST(FlagsTest, TransactionFlagsAreTheUapis) {
  EXPECT_EQ(kTfOneWay, 0x01u);
  EXPECT_EQ(kTfRootObject, 0x04u);
  EXPECT_EQ(kTfStatusCode, 0x08u);
  EXPECT_EQ(kTfAcceptFds, 0x10u);
  EXPECT_EQ(kTfClearBuf, 0x20u);
  EXPECT_EQ(kTfUpdateTxn, 0x40u);
}

TEST(FlagsTest, TransactionFlagsAreSixDifferentBits) {
  EXPECT_EQ(std::popcount(kTfOneWay | kTfRootObject | kTfStatusCode |
                          kTfAcceptFds | kTfClearBuf | kTfUpdateTxn),
            6);
}

// Row: OB-01, which words of a FlatObject stay with a node.
TEST(FlagsTest, NodeFlagsAreTheUapisAndDisjoint) {
  EXPECT_EQ(kFlatPriorityMask, 0xffu);
  EXPECT_EQ(kFlatAcceptsFds, 0x100u);
  EXPECT_EQ(kFlatTxnSecurityCtx, 0x1000u);
  EXPECT_EQ(kFlatPriorityMask & (kFlatAcceptsFds | kFlatTxnSecurityCtx), 0u);
}

TEST(FlagsTest, BufferFlagIsTheUapis) { EXPECT_EQ(kBufferFlagHasParent, 1u); }

// The words are 32 bits wide; signed or wider constants would drag conversions
// into every use.
static_assert(std::is_same_v<decltype(kTfOneWay), const std::uint32_t>);
static_assert(std::is_same_v<decltype(kFlatPriorityMask), const std::uint32_t>);
static_assert(
    std::is_same_v<decltype(kBufferFlagHasParent), const std::uint32_t>);

}  // namespace
}  // namespace binderlite
