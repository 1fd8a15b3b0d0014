// SPDX-License-Identifier: Apache-2.0
//
// Checks core/seat.h: who sits where.

#include "binderlite/core/seat.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/task.h"
#include "binderlite/core/thread.h"
#include "binderlite/sync/locking.h"
#include "support/core_objects.h"

namespace binderlite::testing {
namespace {

using L = FineGrained<>;
using Place = core::Seat<L>::Place;

class SeatTest : public ::testing::Test {
 protected:
  static void Serve(core::Seat<L>& /*seat*/, core::Loan<L> /*loan*/) {}

  core::Pin<core::Thread<L>> NewThread(std::int32_t tid) {
    core::Pin<core::Task<L>> task(
        new core::Task<L>(tid, proc_->kill.get_token()));
    return core::Pin<core::Thread<L>>(
        new core::Thread<L>(context_->counts, *proc_, *task));
  }

  core::Pin<core::Context<L>> context_{new core::Context<L>({})};
  core::Pin<core::Proc<L>> proc_{
      new core::Proc<L>(*context_, context_->counts, 1, {})};
  core::Pin<core::Thread<L>> first_ = NewThread(1);
  core::Pin<core::Thread<L>> second_ = NewThread(2);
  core::Seat<L> seat_{*first_->task, first_->task->kill_signals(), &Serve};
};

TEST_F(SeatTest, HoldsThoseWhoHaveAPlace) {
  EXPECT_FALSE(seat_.Holds(*first_));
  {
    const Place first(seat_, *first_);
    EXPECT_TRUE(seat_.Holds(*first_));
    EXPECT_FALSE(seat_.Holds(*second_));
    const Place second(seat_, *second_);
    EXPECT_TRUE(seat_.Holds(*first_));
    EXPECT_TRUE(seat_.Holds(*second_));
  }
  EXPECT_FALSE(seat_.Holds(*first_));
}

TEST_F(SeatTest, TheLatestPlaceOfAThreadCounts) {
  Place first(seat_, *first_);
  first.base_id = 1;
  const Place other(seat_, *second_);
  EXPECT_EQ(&seat_.PlaceOf(*first_), &first);
  {
    Place again(seat_, *first_);
    again.base_id = 2;
    EXPECT_EQ(seat_.PlaceOf(*first_).base_id, 2u);
  }
  EXPECT_EQ(seat_.PlaceOf(*first_).base_id, 1u);
  EXPECT_EQ(seat_.PlaceOf(*second_).base_id, 0u);
}

TEST_F(SeatTest, AnyOfStartsWithTheLatest) {
  const Place first(seat_, *first_);
  const Place second(seat_, *second_);
  const Place again(seat_, *first_);
  std::vector<std::int32_t> seen;
  EXPECT_FALSE(seat_.AnyOf([&](core::Thread<L>& thread) {
    seen.push_back(thread.tid);
    return false;
  }));
  EXPECT_EQ(seen, (std::vector<std::int32_t>{1, 2, 1}));
  EXPECT_TRUE(seat_.AnyOf(
      [](const core::Thread<L>& thread) { return thread.tid == 2; }));
}

}  // namespace
}  // namespace binderlite::testing
