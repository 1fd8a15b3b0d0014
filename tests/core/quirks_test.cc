// SPDX-License-Identifier: Apache-2.0
//
// Quirks: the default is Linux 6.12, and the other drivers are what they are
// said to be. (What each one does is in tests/driver/quirks_test.cc.)

#include "binderlite/core/quirks.h"

#include <gtest/gtest.h>

namespace binderlite {
namespace {

TEST(QuirksTest, LinuxIsTheDefault) {
  constexpr Quirks kDefault;
  constexpr Quirks kLinux = Quirks::Linux612();
  for (const Quirks& quirks : {kDefault, kLinux}) {
    EXPECT_TRUE(quirks.refuse_call_with_unread_call);
    EXPECT_TRUE(quirks.pending_frozen_is_reported);
    EXPECT_TRUE(quirks.freeze_notifications);
    EXPECT_FALSE(quirks.first_read_waits || quirks.only_loopers_get_proc_work ||
                 quirks.work_beats_interrupt ||
                 quirks.releases_wait_for_all_acknowledgements ||
                 quirks.parent_at_offset_zero ||
                 quirks.call_manager_of_same_pid || quirks.rust_error_numbers ||
                 quirks.no_extended_error_for_the_dead ||
                 quirks.reply_failure_is_never_death ||
                 quirks.freeze_of_nobody_succeeds ||
                 quirks.announce_only_changes_of_freeze ||
                 quirks.pending_frozen_stops_write ||
                 quirks.no_offsets_address_without_objects);
  }
}

TEST(QuirksTest, OlderLinuxKnowsLessOfFreezing) {
  constexpr Quirks kOld = Quirks::Linux61();
  EXPECT_FALSE(kOld.pending_frozen_is_reported);
  EXPECT_FALSE(kOld.freeze_notifications);
  EXPECT_TRUE(kOld.refuse_call_with_unread_call);
  EXPECT_FALSE(kOld.first_read_waits);
}

TEST(QuirksTest, RustDiffersInEverythingElse) {
  constexpr Quirks kRust = Quirks::Rust();
  EXPECT_TRUE(
      kRust.first_read_waits && kRust.only_loopers_get_proc_work &&
      kRust.work_beats_interrupt &&
      kRust.releases_wait_for_all_acknowledgements &&
      kRust.parent_at_offset_zero && kRust.call_manager_of_same_pid &&
      kRust.rust_error_numbers && kRust.no_extended_error_for_the_dead &&
      kRust.reply_failure_is_never_death && kRust.freeze_of_nobody_succeeds &&
      kRust.announce_only_changes_of_freeze &&
      kRust.pending_frozen_is_reported && kRust.pending_frozen_stops_write &&
      kRust.freeze_notifications && kRust.no_offsets_address_without_objects);
  EXPECT_FALSE(kRust.refuse_call_with_unread_call);
}

}  // namespace
}  // namespace binderlite
