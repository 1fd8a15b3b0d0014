// SPDX-License-Identifier: Apache-2.0
//
// DriverEntry: the entry section around one call (policy section "entry"): the
// binder lock where the discipline has one, nothing otherwise. RAII: leaves on
// destruction.

#ifndef BINDERLITE_DRIVER_ENTRY_H_
#define BINDERLITE_DRIVER_ENTRY_H_

#include "absl/base/thread_annotations.h"
#include "binderlite/core/context.h"
#include "binderlite/sync/locking.h"

namespace binderlite::driver {

// Held or not is known at run time only, which the static analysis cannot
// follow; no field is guarded by the entry lock, so nothing is lost.
template <LockingPolicy L>
class DriverEntry {
 public:
  explicit DriverEntry(core::Context<L>& context) : lock_(context.entry) {}
  DriverEntry(const DriverEntry&) = delete;
  DriverEntry& operator=(const DriverEntry&) = delete;
  ~DriverEntry() { Leave(); }

  // Begins a call. False: killed first; the section is not entered.
  [[nodiscard]] bool Enter(const sync::StopSignals& stops) {
    held_ = L::LockOnEntry(lock_, stops);
    return held_ && !stops.requested();
  }

  // Begins clean-up, which nothing may stop.
  void EnterToCleanUp() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    lock_.Lock();
    held_ = true;
  }

  // Before a wait.
  void Leave() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (held_) lock_.Unlock();
    held_ = false;
  }

  // After a wait. False: killed; whether the section is entered again is up to
  // the discipline, and the caller must get by without.
  [[nodiscard]] bool Reenter(const sync::StopSignals& stops) {
    if (stops.requested() && !L::kKilledNeedsEntryLock) return false;
    held_ = L::LockAfterWait(lock_, stops);
    return held_ && !stops.requested();
  }

 private:
  typename L::EntryLock& lock_;
  bool held_ = false;
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_ENTRY_H_
