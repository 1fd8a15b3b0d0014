// SPDX-License-Identifier: Apache-2.0

#include "binderlite/sync/cache_line.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>

namespace binderlite {
namespace {

TEST(CacheLineTest, ObjectsCanBeAlignedToThem) {
  EXPECT_TRUE(std::has_single_bit(kCacheLine));
  EXPECT_TRUE(std::has_single_bit(kFalseSharing));
  EXPECT_EQ(kFalseSharing % kCacheLine, 0u);
}

// What is apart by kFalseSharing is apart on this processor.
TEST(CacheLineTest, AreAsFarApartAsThisProcessorNeeds) {
  const long here = ::sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
  if (here <= 0) GTEST_SKIP() << "the system does not know";
  EXPECT_EQ(kFalseSharing % static_cast<unsigned long>(here), 0u);
}

}  // namespace
}  // namespace binderlite
