// SPDX-License-Identifier: Apache-2.0
//
// Freeze: an item of work that remembers a cookie and a state. (What becomes of
// it is told by tests/driver/freeze_test.cc.)

#include "binderlite/core/freeze.h"

#include <gtest/gtest.h>

#include "binderlite/sync/locking.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

TEST(FreezeTest, IsNewsOfAFreezeWithItsCookie) {
  LiveCounts counts;
  Freeze<L> freeze(counts, 0xfedcba9876543210);
  EXPECT_EQ(freeze.cookie, 0xfedcba9876543210u);
  EXPECT_EQ(freeze.type, WorkType::kFrozenBinder);
  EXPECT_FALSE(freeze.is_frozen || freeze.delivered || freeze.resend ||
               freeze.cleared || freeze.queued());
  WorkList todo;
  todo.PushBack(freeze);
  EXPECT_EQ(static_cast<Freeze<L>*>(todo.PopFront()), &freeze);
}

TEST(FreezeTest, IsCounted) {
  LiveCounts counts;
  {
    const Freeze<L> freeze(counts, 1);
    EXPECT_EQ(counts.live(ObjectKind::kFreeze), 1u);
    EXPECT_EQ(counts.live(ObjectKind::kDeath), 0u);
  }
  EXPECT_EQ(counts.live(ObjectKind::kFreeze), 0u);
}

}  // namespace
}  // namespace binderlite::core
