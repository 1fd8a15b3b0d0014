// SPDX-License-Identifier: Apache-2.0
//
// RangeAllocator: which hole is taken, how it is split and merged. By hand, by
// all orders of freeing and allocating a few ranges, and by long random runs,
// the latter two against a model that looks at every cell.
//
// Rows: AL-08 AL-09 AL-10 AL-11

#include "binderlite/memory/range_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace binderlite::memory {
namespace {

// The same by looking at every 8-byte cell, each time.
class Model {
 public:
  explicit Model(std::size_t size) : used_(size / 8, false) {}

  std::optional<std::size_t> Allocate(std::size_t size) {
    std::optional<std::pair<std::size_t, std::size_t>> best;  // size, offset
    for (const auto& hole : Holes()) {
      if (hole.first >= size && (!best || hole < *best)) best = hole;
    }
    if (!best) return std::nullopt;
    Fill(best->second, size, true);
    return best->second;
  }

  void Free(std::size_t offset, std::size_t size) { Fill(offset, size, false); }

  // (size, offset) of each hole, by offset.
  std::vector<std::pair<std::size_t, std::size_t>> Holes() const {
    std::vector<std::pair<std::size_t, std::size_t>> holes;
    for (std::size_t i = 0; i < used_.size();) {
      std::size_t end = i;
      while (end < used_.size() && !used_[end]) ++end;
      if (end != i) holes.emplace_back((end - i) * 8, i * 8);
      i = end + 1;
    }
    return holes;
  }

 private:
  void Fill(std::size_t offset, std::size_t size, bool used) {
    for (std::size_t i = offset / 8; i < (offset + size) / 8; ++i) {
      ASSERT_NE(used_[i], used);
      used_[i] = used;
    }
  }

  std::vector<bool> used_;
};

// Everything that can be seen of the holes is as in the model.
void ExpectSame(const RangeAllocator& ranges, const Model& model) {
  std::size_t bytes = 0;
  std::size_t largest = 0;
  const auto holes = model.Holes();
  for (const auto& [size, offset] : holes) {
    bytes += size;
    largest = std::max(largest, size);
  }
  ASSERT_EQ(ranges.hole_count(), holes.size());
  ASSERT_EQ(ranges.free_bytes(), bytes);
  ASSERT_EQ(ranges.largest_hole(), largest);
}

void ExpectUntouched(const RangeAllocator& ranges) {
  EXPECT_EQ(ranges.hole_count(), 1u);
  EXPECT_EQ(ranges.free_bytes(), ranges.size());
  EXPECT_EQ(ranges.largest_hole(), ranges.size());
}

TEST(RangeAllocatorTest, NewOneIsOneHole) {
  RangeAllocator ranges(4096);
  EXPECT_EQ(ranges.size(), 4096u);
  ExpectUntouched(ranges);
}

TEST(RangeAllocatorTest, SizeZeroHasNoHole) {
  RangeAllocator ranges;
  EXPECT_EQ(ranges.size(), 0u);
  EXPECT_EQ(ranges.hole_count(), 0u);
  EXPECT_EQ(ranges.largest_hole(), 0u);
  EXPECT_EQ(ranges.free_bytes(), 0u);
  EXPECT_EQ(ranges.Allocate(8), std::nullopt);
}

// Row: AL-08
TEST(RangeAllocatorTest, FirstIsAtZeroAndSplitsAreExact) {
  RangeAllocator ranges(64);
  EXPECT_EQ(ranges.Allocate(8), 0u);
  EXPECT_EQ(ranges.Allocate(24), 8u);
  EXPECT_EQ(ranges.Allocate(8), 32u);
  EXPECT_EQ(ranges.free_bytes(), 24u);
  EXPECT_EQ(ranges.hole_count(), 1u);
}

// Row: AL-08. Holes of 32, 16 and 24 bytes, and the rest.
TEST(RangeAllocatorTest, TakesTheSmallestHoleThatIsLargeEnough) {
  RangeAllocator ranges(1024);
  for (std::size_t size : {32u, 8u, 16u, 8u, 24u, 8u}) {
    ASSERT_TRUE(ranges.Allocate(size).has_value());
  }
  ranges.Free(0, 32);
  ranges.Free(40, 16);
  ranges.Free(64, 24);
  ASSERT_EQ(ranges.hole_count(), 4u);
  EXPECT_EQ(ranges.Allocate(24), 64u);  // exactly
  EXPECT_EQ(ranges.Allocate(24), 0u);   // the next larger, leaves 8
  EXPECT_EQ(ranges.Allocate(8), 24u);   // what was left
  EXPECT_EQ(ranges.Allocate(8), 40u);
  EXPECT_EQ(ranges.Allocate(16), 96u);  // too large for the 8 left: the rest
}

TEST(RangeAllocatorTest, OfEqualHolesTakesTheLowest) {
  RangeAllocator ranges(8 * 8);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(ranges.Allocate(8).has_value());
  for (std::size_t offset : {40u, 8u, 24u}) ranges.Free(offset, 8);
  EXPECT_EQ(ranges.Allocate(8), 8u);
  EXPECT_EQ(ranges.Allocate(8), 24u);
  EXPECT_EQ(ranges.Allocate(8), 40u);
  EXPECT_EQ(ranges.Allocate(8), std::nullopt);
}

// Row: AL-09. Each way in which a freed range can meet its neighbours.
TEST(RangeAllocatorTest, MergesWithNeitherNeighbour) {
  RangeAllocator ranges(24);
  ASSERT_EQ(ranges.Allocate(8), 0u);
  ASSERT_EQ(ranges.Allocate(8), 8u);
  ASSERT_EQ(ranges.Allocate(8), 16u);
  ranges.Free(8, 8);
  EXPECT_EQ(ranges.hole_count(), 1u);
  EXPECT_EQ(ranges.largest_hole(), 8u);
}

TEST(RangeAllocatorTest, MergesWithTheHoleBefore) {
  RangeAllocator ranges(24);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ranges.Allocate(8).has_value());
  ranges.Free(0, 8);
  ranges.Free(8, 8);
  EXPECT_EQ(ranges.hole_count(), 1u);
  EXPECT_EQ(ranges.Allocate(16), 0u);
}

TEST(RangeAllocatorTest, MergesWithTheHoleBehind) {
  RangeAllocator ranges(24);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ranges.Allocate(8).has_value());
  ranges.Free(16, 8);
  ranges.Free(8, 8);
  EXPECT_EQ(ranges.hole_count(), 1u);
  EXPECT_EQ(ranges.Allocate(16), 8u);
}

TEST(RangeAllocatorTest, MergesWithBoth) {
  RangeAllocator ranges(24);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(ranges.Allocate(8).has_value());
  ranges.Free(0, 8);
  ranges.Free(16, 8);
  EXPECT_EQ(ranges.hole_count(), 2u);
  ranges.Free(8, 8);
  ExpectUntouched(ranges);
  EXPECT_EQ(ranges.Allocate(24), 0u);
}

// Row: AL-10
// The mark that whoever gets the hole at `offset`, of `size` bytes, is told.
std::int32_t MarkAt(RangeAllocator& ranges, std::size_t offset,
                    std::size_t size) {
  std::int32_t mark = -1;
  EXPECT_EQ(ranges.Allocate(size, &mark), offset);
  return mark;
}

// Rows: AL-22
TEST(RangeAllocatorTest, MarksOfHoles) {
  RangeAllocator ranges(64);
  EXPECT_EQ(MarkAt(ranges, 0, 16), 0) << "never used";
  EXPECT_EQ(MarkAt(ranges, 16, 16), 0);
  EXPECT_EQ(MarkAt(ranges, 32, 32), 0);
  // Into no other hole; given out and left again.
  ranges.Free(16, 16, 7);
  EXPECT_EQ(MarkAt(ranges, 16, 16), 7);
  ranges.Free(16, 16, 8);
  EXPECT_EQ(MarkAt(ranges, 16, 8), 8);
  EXPECT_EQ(MarkAt(ranges, 24, 8), 0) << "what is left of a hole";
  // It takes in the hole behind,
  ranges.Free(24, 8, 1);
  ranges.Free(16, 8, 2);
  EXPECT_EQ(MarkAt(ranges, 16, 16), 2);
  // joins the one before,
  ranges.Free(0, 16, 3);
  ranges.Free(16, 16, 4);
  EXPECT_EQ(MarkAt(ranges, 0, 32), 3);
  // and both.
  ranges.Free(0, 32, 5);
  EXPECT_EQ(MarkAt(ranges, 0, 16), 5);
  EXPECT_EQ(MarkAt(ranges, 16, 16), 0);
  ranges.Free(32, 32, 6);
  ranges.Free(0, 16, 9);
  ranges.Free(16, 16, 10);
  EXPECT_EQ(MarkAt(ranges, 0, 64), 9);
}

TEST(RangeAllocatorTest, HolesThatOnlyTogetherSufficeDoNot) {
  RangeAllocator ranges(32);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ranges.Allocate(8).has_value());
  ranges.Free(0, 8);
  ranges.Free(16, 8);
  EXPECT_EQ(ranges.free_bytes(), 16u);
  EXPECT_EQ(ranges.Allocate(16), std::nullopt);
  EXPECT_EQ(ranges.free_bytes(), 16u);
  EXPECT_EQ(ranges.hole_count(), 2u);
  EXPECT_EQ(ranges.Allocate(8), 0u);
}

// Row: AL-11
TEST(RangeAllocatorTest, WholeSizeAtOnce) {
  RangeAllocator ranges(4 << 20);
  EXPECT_EQ(ranges.Allocate((4 << 20) + 8), std::nullopt);
  ExpectUntouched(ranges);
  EXPECT_EQ(ranges.Allocate(4 << 20), 0u);
  EXPECT_EQ(ranges.hole_count(), 0u);
  EXPECT_EQ(ranges.largest_hole(), 0u);
  EXPECT_EQ(ranges.free_bytes(), 0u);
  EXPECT_EQ(ranges.Allocate(8), std::nullopt);
  ranges.Free(0, 4 << 20);
  ExpectUntouched(ranges);
}

TEST(RangeAllocatorTest, CanBeReplacedByAssignment) {
  RangeAllocator ranges;
  ranges = RangeAllocator(64);
  EXPECT_EQ(ranges.Allocate(64), 0u);
  ranges = RangeAllocator(128);
  ExpectUntouched(ranges);
}

// Row: AL-09. Five ranges of different sizes, without and with a rest behind
// them, freed in each of the 120 orders; and with some of them never freed, so
// that the others end beside ranges in use.
TEST(RangeAllocatorTest, AllOrdersOfFreeingFive) {
  constexpr std::array<std::size_t, 5> kSizes = {8, 40, 16, 8, 24};
  constexpr std::size_t kTotal = 96;
  for (const std::size_t rest : {0u, 8u, 64u}) {
    std::array<std::size_t, 5> order = {0, 1, 2, 3, 4};
    int orders = 0;
    do {
      RangeAllocator ranges(kTotal + rest);
      Model model(kTotal + rest);
      std::array<std::size_t, 5> offsets{};
      for (std::size_t i = 0; i < kSizes.size(); ++i) {
        const auto offset = ranges.Allocate(kSizes[i]);
        ASSERT_EQ(offset, model.Allocate(kSizes[i]));
        ASSERT_TRUE(offset.has_value());
        offsets[i] = *offset;
      }
      for (std::size_t i : order) {
        ranges.Free(offsets[i], kSizes[i]);
        model.Free(offsets[i], kSizes[i]);
        ASSERT_NO_FATAL_FAILURE(ExpectSame(ranges, model));
      }
      ExpectUntouched(ranges);
      ASSERT_EQ(ranges.Allocate(kTotal + rest), 0u);
      ++orders;
    } while (std::next_permutation(order.begin(), order.end()));
    EXPECT_EQ(orders, 120);
  }
}

// Every sequence of six steps, each of which allocates one of three sizes or
// frees one of the live ranges, on a space that some of them exhaust.
class Exhaustive {
 public:
  int sequences() const { return sequences_; }
  int refusals() const { return refusals_; }

  void Run(int steps) {
    if (steps == 0) {
      ++sequences_;
      return;
    }
    for (std::size_t size : {8u, 16u, 32u}) {
      trace_.push_back({size, kAllocate});
      ASSERT_NO_FATAL_FAILURE(Check(steps));
      trace_.pop_back();
    }
    for (std::size_t i = 0; i < live_; ++i) {
      trace_.push_back({0, i});
      ASSERT_NO_FATAL_FAILURE(Check(steps));
      trace_.pop_back();
    }
  }

 private:
  static constexpr std::size_t kAllocate = ~std::size_t{0};
  struct Step {
    std::size_t size;   // to allocate
    std::size_t index;  // of the live range to free
  };

  // Does all steps so far from the beginning, as nothing can be undone.
  void Check(int steps) {
    const std::size_t live_before = live_;
    RangeAllocator ranges(64);
    Model model(64);
    std::vector<std::pair<std::size_t, std::size_t>> live;  // offset, size
    bool refused = false;
    for (const Step& step : trace_) {
      if (step.index == kAllocate) {
        const auto offset = ranges.Allocate(step.size);
        ASSERT_EQ(offset, model.Allocate(step.size));
        refused = !offset.has_value();
        if (!refused) live.emplace_back(*offset, step.size);
      } else {
        const auto [offset, size] = live[step.index];
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(step.index));
        ranges.Free(offset, size);
        model.Free(offset, size);
      }
    }
    if (refused) ++refusals_;
    ASSERT_NO_FATAL_FAILURE(ExpectSame(ranges, model));
    live_ = live.size();
    ASSERT_NO_FATAL_FAILURE(Run(steps - 1));
    live_ = live_before;
  }

  std::vector<Step> trace_;
  std::size_t live_ = 0;
  int sequences_ = 0;
  int refusals_ = 0;
};

TEST(RangeAllocatorTest, AllShortSequences) {
  Exhaustive exhaustive;
  ASSERT_NO_FATAL_FAILURE(exhaustive.Run(6));
  EXPECT_GT(exhaustive.sequences(), 3 * 3 * 3 * 3 * 3 * 3);
  EXPECT_GT(exhaustive.refusals(), 0);
}

// Grows and shrinks, with many sizes alike and few large ones.
TEST(RangeAllocatorTest, RandomRunsMatchTheModel) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr std::size_t kSize = 4096;
    RangeAllocator ranges(kSize);
    Model model(kSize);
    std::vector<std::pair<std::size_t, std::size_t>> live;
    int refusals = 0;
    for (int step = 0; step < 2000; ++step) {
      const bool grow = random() % 8 < (step / 250 % 2 == 0 ? 6 : 3);
      if (live.empty() || grow) {
        const std::size_t most = random() % 16 == 0 ? 64 : 6;
        const std::size_t size = 8 * (1 + random() % most);
        const auto offset = ranges.Allocate(size);
        ASSERT_EQ(offset, model.Allocate(size));
        if (offset) {
          live.emplace_back(*offset, size);
        } else {
          ++refusals;
        }
      } else {
        std::swap(live[random() % live.size()], live.back());
        const auto [offset, size] = live.back();
        live.pop_back();
        ranges.Free(offset, size);
        model.Free(offset, size);
      }
      ASSERT_NO_FATAL_FAILURE(ExpectSame(ranges, model));
    }
    EXPECT_GT(refusals, 0);
    for (const auto& [offset, size] : live) ranges.Free(offset, size);
    ExpectUntouched(ranges);
  }
}

// Thousands of holes, all as small as can be.
TEST(RangeAllocatorTest, ManyHoles) {
  constexpr std::size_t kRanges = 10000;
  RangeAllocator ranges(kRanges * 8);
  for (std::size_t i = 0; i < kRanges; ++i) {
    ASSERT_EQ(ranges.Allocate(8), i * 8);
  }
  EXPECT_EQ(ranges.hole_count(), 0u);
  for (std::size_t i = 0; i < kRanges; i += 2) ranges.Free(i * 8, 8);
  EXPECT_EQ(ranges.hole_count(), kRanges / 2);
  EXPECT_EQ(ranges.largest_hole(), 8u);
  EXPECT_EQ(ranges.Allocate(16), std::nullopt);
  for (std::size_t i = 1; i < kRanges; i += 2) ranges.Free(i * 8, 8);
  ExpectUntouched(ranges);
}

// Nothing but exceeding capacity() makes it grow, which is its only use of the
// heap.
TEST(RangeAllocatorTest, FewRangesNeedNoHeapAfterTheConstructor) {
  RangeAllocator ranges(64 * 8);
  const std::size_t capacity = ranges.capacity();
  ASSERT_GE(capacity, 64u);
  std::size_t bytes = 0;
  for (int round = 0; round < 3; ++round) {
    while (ranges.Allocate(8)) bytes += 8;
    for (std::size_t i = 0; i < 64; i += 2) ranges.Free(i * 8, 8);
    for (std::size_t i = 1; i < 64; i += 2) ranges.Free(i * 8, 8);
  }
  EXPECT_EQ(ranges.capacity(), capacity);
  EXPECT_EQ(bytes, 3u * 64 * 8);
  ExpectUntouched(ranges);
}

// Free() cannot fail, since Allocate() has made room for every hole that it may
// leave behind. An odd count, so that there is the greatest number of them.
TEST(RangeAllocatorTest, OnlyAllocateGrowsTheCapacity) {
  constexpr std::size_t kRanges = 1001;
  RangeAllocator ranges(kRanges * 8);
  ASSERT_LT(ranges.capacity(), kRanges);
  int growths = 0;
  for (std::size_t i = 0; i < kRanges; ++i) {
    const std::size_t before = ranges.capacity();
    ASSERT_EQ(ranges.Allocate(8), i * 8);
    ASSERT_GE(ranges.capacity(), i + 1);
    if (ranges.capacity() != before) ++growths;
  }
  EXPECT_LE(growths, 5) << "not in doubling steps";
  const std::size_t before = ranges.capacity();
  for (std::size_t i = 0; i < kRanges; i += 2) ranges.Free(i * 8, 8);
  EXPECT_EQ(ranges.hole_count(), kRanges / 2 + 1);
  EXPECT_EQ(ranges.capacity(), before);
}

TEST(RangeAllocatorTest, ReserveMakesRoomAhead) {
  constexpr std::size_t kRanges = 1001;
  RangeAllocator ranges(kRanges * 8);
  ranges.Reserve(kRanges);
  const std::size_t capacity = ranges.capacity();
  ASSERT_GE(capacity, kRanges);
  for (std::size_t i = 0; i < kRanges; ++i) {
    ASSERT_EQ(ranges.Allocate(8), i * 8);
  }
  EXPECT_EQ(ranges.capacity(), capacity);
}

#ifndef NDEBUG
TEST(RangeAllocatorDeathTest, BrokenPreconditions) {
  EXPECT_DEATH(RangeAllocator(12), "kAlignment");
  RangeAllocator ranges(64);
  EXPECT_DEATH((void)ranges.Allocate(0), "size != 0");
  EXPECT_DEATH((void)ranges.Allocate(12), "kAlignment");
  EXPECT_DEATH(ranges.Free(0, 8), "live_ != 0");
  ASSERT_EQ(ranges.Allocate(16), 0u);
  ASSERT_EQ(ranges.Allocate(16), 16u);
  EXPECT_DEATH(ranges.Free(0, 72), "size_");
  EXPECT_DEATH(ranges.Free(72, 8), "size_");
  EXPECT_DEATH(ranges.Free(16, 24), "next->offset");
  ranges.Free(0, 16);
  EXPECT_DEATH(ranges.Free(0, 16), "next->offset");
  EXPECT_DEATH(ranges.Free(8, 16), "offset");
}
#endif

}  // namespace
}  // namespace binderlite::memory
