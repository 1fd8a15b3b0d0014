// SPDX-License-Identifier: Apache-2.0

#include "binderlite/memory/align.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace binderlite::memory {
namespace {

TEST(AlignUpTest, IsTheNextMultiple) {
  for (std::size_t alignment : {1u, 2u, 8u, 4096u}) {
    for (std::size_t size = 0; size <= 2 * alignment; ++size) {
      const std::size_t up = AlignUp(size, alignment);
      EXPECT_EQ(up % alignment, 0u);
      EXPECT_GE(up, size);
      EXPECT_LT(up - size, alignment);
    }
  }
}

// Who adds sizes of others up has to look.
TEST(AlignUpTest, WrapsAroundAtTheEnd) {
  EXPECT_EQ(AlignUp(~std::uint64_t{0}, 8), 0u);
  EXPECT_EQ(AlignUp(~std::uint64_t{7}, 8), ~std::uint64_t{7});
  EXPECT_EQ(AlignUp(std::uint32_t{0xffff'f001}, 4096), 0u);
}

}  // namespace
}  // namespace binderlite::memory
