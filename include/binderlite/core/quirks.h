// SPDX-License-Identifier: Apache-2.0
//
// Quirks: where the drivers that are out there answer differently, which one a
// Context follows. The default is the C driver of Linux 6.12; Rust() is the
// driver written in Rust, Linux61() the C driver of Debian's 6.1 kernel. Each
// member names the rows of docs/semantics.md that it belongs to.
//
// Constants only.

#ifndef BINDERLITE_CORE_QUIRKS_H_
#define BINDERLITE_CORE_QUIRKS_H_

namespace binderlite {

struct Quirks {
  // The first read of a new thread waits for work, and a poll that is its first
  // contact finds nothing, instead of returning at once (RD-03, PL-02).
  bool first_read_waits = false;
  // A thread that is no looper never gets work of its Proc (RD-18).
  bool only_loopers_get_proc_work = false;
  // An interrupted wait that finds work of its own returns the work and not
  // EINTR (SG-05).
  bool work_beats_interrupt = false;
  // BR_RELEASE and BR_DECREFS are withheld until everything asked for has been
  // acknowledged (RF-08).
  bool releases_wait_for_all_acknowledgements = false;
  // A BufferObject at offset 0 of the data may be a parent (OB-29).
  bool parent_at_offset_zero = false;
  // Handle 0 works although the manager has the caller's pid (TG-05).
  bool call_manager_of_same_pid = false;
  // The extended error of an unknown handle is ENOENT, that of a misuse of the
  // stack EINVAL (TG-02, TX-07, TX-08, TX-10, EE-02, EE-07).
  bool rust_error_numbers = false;
  // A new sync call is refused while the thread has an unread one (TX-12).
  bool refuse_call_with_unread_call = true;
  // A call to a dead or frozen target leaves the extended error at BR_OK
  // (TG-04, FZ-10, EE-03).
  bool no_extended_error_for_the_dead = false;
  // The caller of a reply that could not be built always reads BR_FAILED_REPLY,
  // also when its own mapping is gone (TX-20).
  bool reply_failure_is_never_death = false;
  // BINDER_FREEZE of a pid that nobody has succeeds (FZ-02).
  bool freeze_of_nobody_succeeds = false;
  // Freezing the frozen and thawing the thawed is not announced, and a change
  // that was changed back before the acknowledgement is none (FN-04, FN-06).
  bool announce_only_changes_of_freeze = false;
  // The sender of a one-way to a frozen Proc is told so (FZ-11); and that stops
  // its write like an error.
  bool pending_frozen_is_reported = true;
  bool pending_frozen_stops_write = false;
  // The commands for freeze notifications exist (FN-01).
  bool freeze_notifications = true;
  // The address of the offsets of a payload without objects is 0 (RD-25).
  bool no_offsets_address_without_objects = false;

  [[nodiscard]] static constexpr Quirks Linux612() { return {}; }
  [[nodiscard]] static constexpr Quirks Linux61() {
    Quirks quirks;
    quirks.pending_frozen_is_reported = false;
    quirks.freeze_notifications = false;
    return quirks;
  }
  [[nodiscard]] static constexpr Quirks Rust() {
    return {.first_read_waits = true,
            .only_loopers_get_proc_work = true,
            .work_beats_interrupt = true,
            .releases_wait_for_all_acknowledgements = true,
            .parent_at_offset_zero = true,
            .call_manager_of_same_pid = true,
            .rust_error_numbers = true,
            .refuse_call_with_unread_call = false,
            .no_extended_error_for_the_dead = true,
            .reply_failure_is_never_death = true,
            .freeze_of_nobody_succeeds = true,
            .announce_only_changes_of_freeze = true,
            .pending_frozen_is_reported = true,
            .pending_frozen_stops_write = true,
            .freeze_notifications = true,
            .no_offsets_address_without_objects = true};
  }
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_QUIRKS_H_
