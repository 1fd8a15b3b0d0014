// SPDX-License-Identifier: Apache-2.0
//
// UserAccess: direct, and through a UserMemory.

#include "binderlite/memory/user_memory.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace binderlite::memory {
namespace {

std::uint64_t AddressOf(const void* p) {
  return reinterpret_cast<std::uint64_t>(p);
}

TEST(UserAccessTest, CopiesDirectly) {
  const UserAccess access;
  const char from[] = "0123456789";
  char to[sizeof(from)] = {};
  EXPECT_TRUE(access.CopyIn(to, AddressOf(from) + 2, 3));
  EXPECT_STREQ(to, "234");
  EXPECT_TRUE(access.CopyOut(AddressOf(to) + 1, "x", 1));
  EXPECT_STREQ(to, "2x4");
}

TEST(UserAccessTest, GetsAndPutsValues) {
  const UserAccess access;
  std::uint32_t value = 7;
  std::uint32_t got = 0;
  EXPECT_TRUE(access.Get(got, AddressOf(&value)));
  EXPECT_EQ(got, 7u);
  EXPECT_TRUE(access.Put(AddressOf(&value), std::uint32_t{8}));
  EXPECT_EQ(value, 8u);
}

TEST(UserAccessTest, NullAndItsPageFault) {
  const UserAccess access;
  std::uint32_t value = 7;
  for (const std::uint64_t address :
       {std::uint64_t{0}, std::uint64_t{1}, UserAccess::kFirstValid - 1}) {
    EXPECT_FALSE(access.Get(value, address));
    EXPECT_FALSE(access.Put(address, value));
  }
  EXPECT_EQ(value, 7u);
}

TEST(UserAccessTest, RangesThatWrapFault) {
  const UserAccess access;
  std::uint64_t value = 7;
  EXPECT_FALSE(access.Get(value, ~std::uint64_t{0} - 3));
  EXPECT_FALSE(access.Put(~std::uint64_t{0} - 3, value));
  EXPECT_FALSE(access.CopyIn(&value, AddressOf(&value), SIZE_MAX));
  EXPECT_EQ(value, 7u);
}

TEST(UserAccessTest, NothingIsCopiedFromAnywhere) {
  const UserAccess access;
  EXPECT_TRUE(access.CopyIn(nullptr, 0, 0));
  EXPECT_TRUE(access.CopyOut(0, nullptr, 0));
}

// Addresses are offsets into a vector; the rest faults.
class VectorMemory : public UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    ++calls;
    if (from > bytes.size() || bytes.size() - from < size) return false;
    std::memcpy(to, bytes.data() + from, size);
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    ++calls;
    if (to > bytes.size() || bytes.size() - to < size) return false;
    std::memcpy(bytes.data() + to, from, size);
    return true;
  }

  std::vector<unsigned char> bytes{1, 0, 0, 0, 2, 0, 0, 0};
  int calls = 0;
};

TEST(UserAccessTest, UserMemoryDecidesAboutEveryAddress) {
  VectorMemory memory;
  const UserAccess access(&memory);
  std::uint32_t value = 0;
  EXPECT_TRUE(access.Get(value, 0));  // Also about those in the first page.
  EXPECT_EQ(value, 1u);
  EXPECT_TRUE(access.Put(4, std::uint32_t{3}));
  EXPECT_EQ(memory.bytes[4], 3u);
  EXPECT_FALSE(access.Get(value, 5));
  EXPECT_FALSE(access.Put(5, value));
  EXPECT_EQ(memory.calls, 4);
}

TEST(UserAccessTest, UserMemoryIsNotAskedForNothing) {
  VectorMemory memory;
  const UserAccess access(&memory);
  EXPECT_TRUE(access.CopyIn(nullptr, 1000, 0));
  EXPECT_TRUE(access.CopyOut(1000, nullptr, 0));
  EXPECT_EQ(memory.calls, 0);
}

}  // namespace
}  // namespace binderlite::memory
