// SPDX-License-Identifier: Apache-2.0
//
// Priorities: an interface, used through a reference. What the driver asks of
// it is in driver/priority_test.cc.

#include "binderlite/core/priority.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <type_traits>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"

namespace binderlite {
namespace {

// Rows: PR-05 PR-07
TEST(PriorityTest, LimitsAreTheHooksBusiness) {
  class Limited : public Priorities {
   public:
    int Get(std::int32_t pid, std::int32_t tid) override {
      return nice_[{pid, tid}];
    }
    void Set(std::int32_t pid, std::int32_t tid, int nice) override {
      nice_[{pid, tid}] = std::max(nice, -5);
    }

   private:
    std::map<std::pair<std::int32_t, std::int32_t>, int> nice_;
  };
  Limited limited;
  Priorities& priorities = limited;
  priorities.Set(1, 2, -20);
  priorities.Set(1, 3, 19);
  EXPECT_EQ(priorities.Get(1, 2), -5);
  EXPECT_EQ(priorities.Get(1, 3), 19);
  EXPECT_EQ(priorities.Get(2, 2), 0);
}

// Rows: PR-07
TEST(PriorityTest, NoneIsTheDefault) {
  static_assert(std::is_abstract_v<Priorities>);
  EXPECT_EQ(ContextOptions().priorities, nullptr);
  EXPECT_EQ(ProcOptions().nice, 0);
}

}  // namespace
}  // namespace binderlite
