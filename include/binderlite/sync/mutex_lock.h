// SPDX-License-Identifier: Apache-2.0
//
// Scoped ownership of any mutex that has Lock, Unlock and AssertHeld.
//
// Declares the concept BasicMutex, the guards MutexLock and
// ReleasableMutexLock, and NoMutex, the lock that a policy does not need.
// Takes exactly the mutex it is given, in the constructor; the destructor gives
// it back. Cannot fail.

#ifndef BINDERLITE_SYNC_MUTEX_LOCK_H_
#define BINDERLITE_SYNC_MUTEX_LOCK_H_

#include "absl/base/thread_annotations.h"

namespace binderlite::sync {

// What a guard asks of a mutex. Lock blocks until the calling thread owns it,
// Unlock is called by the owner only, and AssertHeld may or may not notice that
// the caller does not own it.
template <class M>
concept BasicMutex = requires(M& mu, const M& const_mu) {
  mu.Lock();
  mu.Unlock();
  const_mu.AssertHeld();
};

// Owns `mu` from construction to destruction.
template <BasicMutex M>
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(M& mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) {
    mu_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }

  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  M& mu_;
};

// Owns `mu` from construction to Release or destruction, whichever is first.
template <BasicMutex M>
class ABSL_SCOPED_LOCKABLE ReleasableMutexLock {
 public:
  explicit ReleasableMutexLock(M& mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu)
      : mu_(&mu) {
    mu.Lock();
  }
  ~ReleasableMutexLock() ABSL_UNLOCK_FUNCTION() {
    if (mu_ != nullptr) mu_->Unlock();
  }

  ReleasableMutexLock(const ReleasableMutexLock&) = delete;
  ReleasableMutexLock& operator=(const ReleasableMutexLock&) = delete;

  // Unlocks early. At most once.
  void Release() ABSL_UNLOCK_FUNCTION() {
    mu_->Unlock();
    mu_ = nullptr;
  }

 private:
  M* mu_;
};

// Stands in for a lock that the locking policy at hand does not need. Never
// blocks, protects nothing, and has no state, so that it costs no room as a
// [[no_unique_address]] member (members of this type side by side excepted).
class ABSL_LOCKABLE NoMutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {}
  void Unlock() ABSL_UNLOCK_FUNCTION() {}
  void AssertHeld() const ABSL_ASSERT_EXCLUSIVE_LOCK() {}
};

}  // namespace binderlite::sync

#endif  // BINDERLITE_SYNC_MUTEX_LOCK_H_
