// SPDX-License-Identifier: Apache-2.0
//
// Shards: one for each processor, none on another's cache line.

#include "binderlite/core/shard.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace binderlite::core {
namespace {

TEST(ShardsTest, NothingIsMissedByFourThreads) {
  constexpr int kEach = 10000;
  Shards<std::atomic<int>> shards;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&shards] {
        for (int i = 0; i < kEach; ++i) ++shards.mine();
      });
    }
  }
  int sum = 0;
  std::size_t count = 0;
  shards.ForEach([&](const std::atomic<int>& shard) {
    sum += shard.load();
    ++count;
  });
  EXPECT_EQ(sum, 4 * kEach);
  EXPECT_EQ(count, Shards<std::atomic<int>>::kCount);
}

TEST(ShardsTest, NoTwoShareACacheLine) {
  const Shards<char> shards = {};
  std::uintptr_t last = 0;
  shards.ForEach([&last](const char& shard) {
    const auto at = reinterpret_cast<std::uintptr_t>(&shard);
    EXPECT_EQ(at % kFalseSharing, 0u);
    EXPECT_GE(at, last + (last == 0 ? 0 : kFalseSharing));
    last = at;
  });
}

}  // namespace
}  // namespace binderlite::core
