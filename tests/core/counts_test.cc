// SPDX-License-Identifier: Apache-2.0
//
// LiveCounts and Counted.

#include "binderlite/core/counts.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace binderlite::core {
namespace {

TEST(LiveCountsTest, KindsAreCountedApart) {
  LiveCounts counts;
  counts.Add(ObjectKind::kNode);
  counts.Add(ObjectKind::kNode);
  counts.Remove(ObjectKind::kNode);
  counts.Add(ObjectKind::kTransactionComplete);
  for (std::size_t i = 0; i < kObjectKinds; ++i) {
    const auto kind = static_cast<ObjectKind>(i);
    const bool is_node = kind == ObjectKind::kNode;
    const bool is_complete = kind == ObjectKind::kTransactionComplete;
    EXPECT_EQ(counts.created(kind), is_node ? 2u : is_complete ? 1u : 0u);
    EXPECT_EQ(counts.deleted(kind), is_node ? 1u : 0u);
    EXPECT_EQ(counts.live(kind), is_node || is_complete ? 1u : 0u);
  }
}

TEST(LiveCountsTest, CountedCountsItsLife) {
  LiveCounts counts;
  std::optional<Counted<ObjectKind::kRef>> counted(std::in_place, counts);
  EXPECT_EQ(counts.live(ObjectKind::kRef), 1u);
  counted.reset();
  EXPECT_EQ(counts.live(ObjectKind::kRef), 0u);
  EXPECT_EQ(counts.created(ObjectKind::kRef), 1u);
}

TEST(LiveCountsTest, SharesAreCountedWithAllOthers) {
  constexpr ObjectKind kKind = ObjectKind::kTransaction;
  LiveCounts counts;
  {
    LiveCounts::Share one(counts);
    LiveCounts::Share other(counts);
    std::optional<CountedByShare<kKind>> made(std::in_place, counts, &one);
    const CountedByShare<kKind> everybodys(counts);
    EXPECT_EQ(counts.created(kKind), 2u);
    made->EndsWith(other);
    made.reset();
    EXPECT_EQ(counts.deleted(kKind), 1u);
    EXPECT_EQ(counts.live(kKind), 1u);
  }
  EXPECT_EQ(counts.created(kKind), 2u) << "what a share has counted stays";
  EXPECT_EQ(counts.deleted(kKind), 2u);
  // The next ones go on where those have stopped.
  LiveCounts::Share next(counts);
  const CountedByShare<ObjectKind::kTransactionComplete> more(counts, &next);
  EXPECT_EQ(counts.live(ObjectKind::kTransactionComplete), 1u);
  EXPECT_EQ(counts.created(kKind), 2u);
}

// More than ever live at once, each of which takes what another has left.
TEST(LiveCountsTest, SharesThatComeAndGo) {
  constexpr ObjectKind kKind = ObjectKind::kTransactionComplete;
  constexpr int kEach = 3000;
  LiveCounts counts;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&counts] {
        for (int j = 0; j < kEach; ++j) {
          LiveCounts::Share share(counts);
          CountedByShare<kKind> counted(counts, &share);
          counted.EndsWith(share);
        }
      });
    }
  }
  EXPECT_EQ(counts.created(kKind), 4u * kEach);
  EXPECT_EQ(counts.deleted(kKind), 4u * kEach);
}

TEST(LiveCountsTest, NoneIsMissedByFourThreads) {
  constexpr int kEach = 20000;
  LiveCounts counts;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&counts] {
        for (int j = 0; j < kEach; ++j) {
          const Counted<ObjectKind::kThread> counted(counts);
        }
      });
    }
  }
  EXPECT_EQ(counts.created(ObjectKind::kThread), 4u * kEach);
  EXPECT_EQ(counts.deleted(ObjectKind::kThread), 4u * kEach);
}

TEST(LiveCountsTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kObjectKinds; ++i) {
    names.insert(ToString(static_cast<ObjectKind>(i)));
  }
  EXPECT_EQ(names.size(), kObjectKinds);
  EXPECT_EQ(ToString(ObjectKind::kTransactionComplete), "transaction_complete");
}

}  // namespace
}  // namespace binderlite::core
