// SPDX-License-Identifier: Apache-2.0
//
// Checks memory/copy.h: what it copies, and which way it goes.

#include "binderlite/memory/copy.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace binderlite::memory {
namespace {

constexpr std::size_t kPageSize = 4096;

TEST(CopyTest, TheUnluckyOnes) {
  std::vector<std::byte> memory(4 * kPageSize);
  const std::byte* const from = memory.data();
  EXPECT_FALSE(IsUnlucky(from + 2 * kPageSize, from, kPageSize));
  EXPECT_TRUE(IsUnlucky(from + 2 * kPageSize + 1, from, kPageSize));
  EXPECT_TRUE(IsUnlucky(from + 2 * kPageSize + 31, from, kPageSize));
  EXPECT_FALSE(IsUnlucky(from + 2 * kPageSize + 32, from, kPageSize));
  // Before the source, and small or large ones.
  EXPECT_FALSE(IsUnlucky(from + 2 * kPageSize - 1, from, kPageSize));
  EXPECT_FALSE(IsUnlucky(from + 2 * kPageSize + 8, from, kPageSize - 1));
  EXPECT_FALSE(IsUnlucky(from + 2 * kPageSize + 8, from, 64 * kPageSize + 1));
}

TEST(CopyTest, CopiesEveryByteAndNoMore) {
  constexpr std::size_t kMost = kPageSize + 200;
  std::vector<std::byte> source(2 * kMost);
  for (std::size_t i = 0; i < source.size(); ++i) {
    source[i] = static_cast<std::byte>(i * 7 + i / 251);
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
        std::size_t{65}, kPageSize, kPageSize + 1, kPageSize + 65, kMost}) {
    for (const std::size_t shift : {0u, 1u, 8u, 16u, 40u}) {
      std::vector<std::byte> memory(4 * kPageSize, std::byte{0xee});
      // So that it is `shift` bytes behind the source.
      const auto at = (reinterpret_cast<std::uintptr_t>(source.data()) -
                       reinterpret_cast<std::uintptr_t>(memory.data())) %
                          kPageSize +
                      shift;
      Copy(memory.data() + at, source.data(), size);
      for (std::size_t i = 0; i < memory.size(); ++i) {
        const bool inside = i >= at && i < at + size;
        ASSERT_EQ(memory[i], inside ? source[i - at] : std::byte{0xee})
            << size << " bytes, " << shift << " behind, at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace binderlite::memory
