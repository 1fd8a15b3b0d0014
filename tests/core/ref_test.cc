// SPDX-License-Identifier: Apache-2.0
//
// HandleSet, against a std::set that does the same slowly, and RefTable.

#include "binderlite/core/ref.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "binderlite/sync/locking.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

// --- HandleSet -------------------------------------------------------------

std::uint32_t LowestFree(const std::set<std::uint32_t>& used,
                         std::uint32_t from) {
  for (const std::uint32_t number : used) {
    if (number < from) continue;
    if (number != from) break;
    ++from;
  }
  return from;
}

TEST(HandleSetTest, EmptyOneStartsWhereItIsTold) {
  const HandleSet<> set;
  EXPECT_EQ(set.LowestFree(0), 0u);
  EXPECT_EQ(set.LowestFree(1), 1u);
  EXPECT_FALSE(set.Contains(0));
  EXPECT_FALSE(set.Contains(1000000));
}

TEST(HandleSetTest, NumberZeroIsSkippedOnRequest) {
  HandleSet<> set;
  set.Insert(1);
  EXPECT_EQ(set.LowestFree(0), 0u);
  EXPECT_EQ(set.LowestFree(1), 2u);
  // A first word of which only number 0 is free is as good as full.
  for (std::uint32_t i = 2; i < 64; ++i) set.Insert(i);
  EXPECT_EQ(set.LowestFree(0), 0u);
  EXPECT_EQ(set.LowestFree(1), 64u);
  set.Insert(0);
  EXPECT_EQ(set.LowestFree(0), 64u);
  EXPECT_EQ(set.LowestFree(1), 64u);
}

// Rows: RF-01
TEST(HandleSetTest, OrderIsThatOfTheModelThroughAHundredThousand) {
  constexpr std::uint32_t kCount = 100000;
  HandleSet<> set;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(set.LowestFree(1), i + 1);
    set.Insert(i + 1);
  }
  EXPECT_EQ(set.LowestFree(0), 0u);
  set.Insert(0);
  EXPECT_EQ(set.LowestFree(0), kCount + 1);
  // What is erased comes back lowest first, wherever it is.
  const std::set<std::uint32_t> erased = {0,    1,    63,    64,    65,    4095,
                                          4096, 4097, 65535, 65536, kCount};
  for (auto it = erased.rbegin(); it != erased.rend(); ++it) set.Erase(*it);
  for (const std::uint32_t number : erased) {
    EXPECT_FALSE(set.Contains(number));
    ASSERT_EQ(set.LowestFree(0), number);
    set.Insert(number);
    EXPECT_TRUE(set.Contains(number));
  }
  EXPECT_EQ(set.LowestFree(0), kCount + 1);
}

// Rows: RF-01
TEST(HandleSetTest, LongRandomRunsAgreeWithTheModel) {
  for (const std::uint32_t range : {3u, 65u, 200u, 5000u, 20000u}) {
    std::mt19937 engine(range);
    const auto Below = [&engine](std::uint32_t end) {
      return static_cast<std::uint32_t>(engine() % end);
    };
    HandleSet<> set;
    std::set<std::uint32_t> model;
    for (int step = 0; step < 6000; ++step) {
      if (Below(3) != 0) {
        // Insert where the driver would, now and then somewhere else.
        std::uint32_t number = LowestFree(model, Below(2));
        if (Below(2) == 0) number = Below(range);
        set.Insert(number);
        model.insert(number);
      } else {
        const std::uint32_t number = Below(range);
        set.Erase(number);
        model.erase(number);
      }
      ASSERT_EQ(set.LowestFree(0), LowestFree(model, 0));
      ASSERT_EQ(set.LowestFree(1), LowestFree(model, 1));
      const std::uint32_t asked = Below(range);
      ASSERT_EQ(set.Contains(asked), model.contains(asked));
    }
  }
}

TEST(HandleSetTest, ErasingWhatIsNotThereChangesNothing) {
  HandleSet<> set;
  set.Erase(77);
  set.Insert(0);
  set.Erase(1);
  EXPECT_TRUE(set.Contains(0));
  EXPECT_EQ(set.LowestFree(0), 1u);
}

// --- RefTable --------------------------------------------------------------

class RefTableTest : public ::testing::Test {
 protected:
  using L = FineGrained<>;

  Pin<Node<L>> NewNode(std::uint64_t ptr) {
    return objects_.NewNode(*owner_, ptr, ptr + 1);
  }
  Ref<L>& Insert(Node<L>& node, bool is_manager = false) {
    return table_.Insert(*holder_, node, objects_.context().NextId(),
                         is_manager);
  }
  std::uint64_t live_refs() { return objects_.counts().live(ObjectKind::kRef); }

  testing::CoreObjects<L> objects_;
  const Pin<Proc<L>> owner_ = objects_.NewProc();
  const Pin<Proc<L>> holder_ = objects_.NewProc();
  RefTable<L> table_;
};

TEST_F(RefTableTest, FindsByHandleAndByNode) {
  const auto one = NewNode(0x10);
  const auto two = NewNode(0x20);
  Ref<L>& ref = Insert(*one);
  EXPECT_EQ(ref.handle, 1u);
  EXPECT_EQ(ref.node, one);
  EXPECT_EQ(ref.proc, holder_.get());
  EXPECT_EQ(table_.Find(1), &ref);
  EXPECT_EQ(table_.Find(*one), &ref);
  EXPECT_EQ(table_.Find(0), nullptr);
  EXPECT_EQ(table_.Find(2), nullptr);
  EXPECT_EQ(table_.Find(*two), nullptr);
  EXPECT_EQ(table_.size(), 1u);
}

TEST_F(RefTableTest, HandleZeroIsForTheManagerAlone) {
  const auto manager = NewNode(0);
  const auto later = NewNode(0x10);
  EXPECT_EQ(Insert(*manager, /*is_manager=*/true).handle, 0u);
  EXPECT_EQ(Insert(*later, /*is_manager=*/true).handle, 1u);
}

TEST_F(RefTableTest, ExtractedHandlesAreFree) {
  std::vector<Pin<Node<L>>> nodes;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    nodes.push_back(NewNode(i * 8));
    (void)Insert(*nodes.back());
  }
  EXPECT_EQ(table_.limit(), 6u);
  std::unique_ptr<Ref<L>> taken = table_.Extract(3);
  EXPECT_EQ(taken->node, nodes[2]);
  EXPECT_EQ(table_.Find(3), nullptr);
  EXPECT_EQ(table_.Find(*nodes[2]), nullptr);
  EXPECT_EQ(table_.size(), 4u);
  EXPECT_EQ(live_refs(), 5u);
  taken.reset();
  EXPECT_EQ(live_refs(), 4u);

  std::vector<std::uint32_t> handles;
  table_.ForEach([&](const Ref<L>& ref) { handles.push_back(ref.handle); });
  EXPECT_EQ(handles, (std::vector<std::uint32_t>{1, 2, 4, 5}));
  EXPECT_EQ(Insert(*nodes[2]).handle, 3u);
}

TEST_F(RefTableTest, RefKeepsItsNodeInMemory) {
  auto node = NewNode(0x10);
  Ref<L>& ref = Insert(*node);
  node.reset();
  EXPECT_EQ(objects_.counts().live(ObjectKind::kNode), 1u);
  EXPECT_EQ(ref.node->ptr, 0x10u);
  table_.Extract(1).reset();
  EXPECT_EQ(objects_.counts().live(ObjectKind::kNode), 0u);
}

}  // namespace
}  // namespace binderlite::core
