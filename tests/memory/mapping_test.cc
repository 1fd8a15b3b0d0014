// SPDX-License-Identifier: Apache-2.0
//
// Mapping: memory that reads as zero, belongs to one owner, and may fail.

#include "binderlite/memory/mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

namespace binderlite::memory {
namespace {

constexpr std::size_t kPage = 4096;

TEST(MappingTest, NoneByDefault) {
  const Mapping none;
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.size(), 0u);
  const Mapping empty(0);
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_EQ(empty.size(), 0u);
}

TEST(MappingTest, ReadsAsZeroAndCanBeWritten) {
  const Mapping mapping(4 * kPage);
  ASSERT_NE(mapping.data(), nullptr);
  EXPECT_EQ(mapping.size(), 4 * kPage);
  std::byte* const begin = mapping.data();
  std::byte* const end = begin + mapping.size();
  EXPECT_EQ(std::count(begin, end, std::byte{0}), end - begin);
  std::fill(begin, end, std::byte{0x5a});
  EXPECT_EQ(std::count(begin, end, std::byte{0x5a}), end - begin);
}

TEST(MappingTest, WhatIsTooLargeIsNotThere) {
  const Mapping mapping(std::numeric_limits<std::size_t>::max() - kPage + 1);
  EXPECT_EQ(mapping.data(), nullptr);
  EXPECT_EQ(mapping.size(), 0u);
}

TEST(MappingTest, MovingHandsItOver) {
  Mapping first(kPage);
  std::byte* const data = first.data();
  data[0] = std::byte{1};
  Mapping second(std::move(first));
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(first.size(), 0u);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(second.size(), kPage);
  Mapping third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.data()[0], std::byte{1});
}

TEST(MappingTest, ViewsOfAFileShareItsBytes) {
  const int file = ::memfd_create("mapping test", MFD_CLOEXEC);
  ASSERT_GE(file, 0);
  ASSERT_EQ(::ftruncate(file, kPage), 0);
  const Mapping one(file, kPage);
  const Mapping other(file, kPage);
  ::close(file);  // They keep it.
  ASSERT_NE(one.data(), nullptr);
  ASSERT_NE(other.data(), nullptr);
  EXPECT_NE(one.data(), other.data());
  EXPECT_EQ(one.size(), kPage);
  one.data()[7] = std::byte{1};
  EXPECT_EQ(other.data()[7], std::byte{1});
  EXPECT_EQ(Mapping(-1, kPage).data(), nullptr);
}

// Whether the page at `data` is mapped.
bool IsMapped(std::byte* data) { return ::msync(data, kPage, MS_ASYNC) == 0; }

TEST(MappingTest, GoesWithItsOwner) {
  std::byte* data = nullptr;
  {
    const Mapping mapping(kPage);
    data = mapping.data();
    EXPECT_TRUE(IsMapped(data));
  }
  EXPECT_FALSE(IsMapped(data));
}

}  // namespace
}  // namespace binderlite::memory
