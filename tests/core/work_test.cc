// SPDX-License-Identifier: Apache-2.0
//
// WorkList: order, and leaving a list from anywhere.

#include "binderlite/core/work.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <set>
#include <string_view>
#include <vector>

namespace binderlite::core {
namespace {

constexpr WorkType kAllTypes[] = {WorkType::kTransaction,
                                  WorkType::kTransactionComplete,
                                  WorkType::kPendingFrozen,
                                  WorkType::kSpamSuspect,
                                  WorkType::kReturnError,
                                  WorkType::kNode,
                                  WorkType::kDeadBinder,
                                  WorkType::kDeadBinderAndClear,
                                  WorkType::kClearDeathNotification,
                                  WorkType::kFrozenBinder,
                                  WorkType::kClearFreezeNotification};

// Three items on a list that ends empty, as it must.
class WorkListTest : public ::testing::Test {
 protected:
  WorkListTest() {
    for (Work* work : {&a_, &b_, &c_}) list_.PushBack(*work);
  }
  ~WorkListTest() override {
    for (Work* work : {&a_, &b_, &c_}) work->Unlink();
  }

  static std::vector<const Work*> Items(const WorkList& list) {
    std::vector<const Work*> items;
    list.ForEach([&items](const Work& work) { items.push_back(&work); });
    return items;
  }
  using WorkPointers = std::vector<const Work*>;

  Work a_{WorkType::kNode};
  Work b_{WorkType::kTransaction};
  Work c_{WorkType::kDeadBinder};
  WorkList list_;
};

TEST_F(WorkListTest, IsFirstInFirstOut) {
  EXPECT_FALSE(list_.empty());
  EXPECT_EQ(list_.size(), 3u);
  EXPECT_EQ(list_.front(), &a_);
  EXPECT_EQ(list_.PopFront(), &a_);
  EXPECT_FALSE(a_.queued());
  EXPECT_TRUE(b_.queued());
  list_.PushBack(a_);
  EXPECT_EQ(Items(list_), (WorkPointers{&b_, &c_, &a_}));
  EXPECT_EQ(list_.PopFront(), &b_);
  EXPECT_EQ(list_.PopFront(), &c_);
  EXPECT_EQ(list_.PopFront(), &a_);
  EXPECT_TRUE(list_.empty());
}

TEST_F(WorkListTest, EmptyHasNothingToGive) {
  WorkList empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.size(), 0u);
  EXPECT_EQ(empty.front(), nullptr);
  EXPECT_EQ(empty.PopFront(), nullptr);
}

TEST_F(WorkListTest, ItemsLeaveFromAnywhere) {
  b_.Unlink();
  EXPECT_FALSE(b_.queued());
  EXPECT_EQ(Items(list_), (WorkPointers{&a_, &c_}));
  c_.Unlink();
  EXPECT_EQ(Items(list_), (WorkPointers{&a_}));
  a_.Unlink();
  EXPECT_TRUE(list_.empty());
  a_.Unlink();  // Not on a list: nothing happens.
  EXPECT_FALSE(a_.queued());
}

TEST_F(WorkListTest, TakesAllOfAnother) {
  Work d{WorkType::kReturnError};
  WorkList other;
  other.PushBack(d);
  other.TakeAll(list_);
  EXPECT_TRUE(list_.empty());
  EXPECT_EQ(Items(other), (WorkPointers{&d, &a_, &b_, &c_}));
  other.TakeAll(list_);
  EXPECT_EQ(other.size(), 4u);
  list_.TakeAll(other);
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(list_.PopFront(), &d);
}

TEST_F(WorkListTest, ItemsMayLeaveWhileTheyAreVisited) {
  WorkPointers seen;
  list_.ForEach([&](Work& work) {
    seen.push_back(&work);
    if (&work != &b_) work.Unlink();
  });
  EXPECT_EQ(seen, (WorkPointers{&a_, &b_, &c_}));
  EXPECT_EQ(Items(list_), (WorkPointers{&b_}));
}

#ifndef NDEBUG
TEST(WorkDeathTest, AnItemIsOnOneListAtATime) {
  const auto push_twice = [] {
    Work work{WorkType::kNode};
    WorkList one;
    WorkList two;
    one.PushBack(work);
    two.PushBack(work);
  };
  EXPECT_DEATH(push_twice(), "queued");
}

TEST(WorkDeathTest, NothingDiesOnAList) {
  const auto die_queued = [] {
    WorkList list;
    Work work{WorkType::kNode};
    list.PushBack(work);
  };
  EXPECT_DEATH(die_queued(), "queued");
  const auto list_dies = [] {
    Work work{WorkType::kNode};
    WorkList list;
    list.PushBack(work);
  };
  EXPECT_DEATH(list_dies(), "empty");
}
#endif

TEST(WorkTypeTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (const WorkType type : kAllTypes) names.insert(ToString(type));
  EXPECT_EQ(names.size(), std::size(kAllTypes));
  EXPECT_FALSE(names.contains("?"));
  EXPECT_EQ(ToString(static_cast<WorkType>(std::size(kAllTypes))), "?");
}

}  // namespace
}  // namespace binderlite::core
