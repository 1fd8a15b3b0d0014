// SPDX-License-Identifier: Apache-2.0
//
// Death: an item of work that remembers a cookie. (Its states are told by
// tests/driver/notify_test.cc.)

#include "binderlite/core/death.h"

#include <gtest/gtest.h>

#include "binderlite/sync/locking.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

TEST(DeathTest, IsNewsOfADeathWithItsCookie) {
  LiveCounts counts;
  Death<L> death(counts, 0xfedcba9876543210);
  EXPECT_EQ(death.cookie, 0xfedcba9876543210u);
  EXPECT_EQ(death.type, WorkType::kDeadBinder);
  EXPECT_FALSE(death.queued());
  WorkList todo;
  todo.PushBack(death);
  EXPECT_EQ(static_cast<Death<L>*>(todo.PopFront()), &death);
}

TEST(DeathTest, IsCounted) {
  LiveCounts counts;
  {
    const Death<L> death(counts, 1);
    EXPECT_EQ(counts.live(ObjectKind::kDeath), 1u);
  }
  EXPECT_EQ(counts.live(ObjectKind::kDeath), 0u);
}

}  // namespace
}  // namespace binderlite::core
