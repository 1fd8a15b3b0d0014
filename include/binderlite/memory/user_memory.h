// SPDX-License-Identifier: Apache-2.0
//
// UserMemory and UserAccess: the one way in which the driver touches memory of
// its callers (command streams, payloads, argument structs). A Proc may bring
// a UserMemory of its own, which can check addresses, fail any byte, or stall:
// everything that the kernel's copy_from_user and copy_to_user can do.
//
// No locks are taken here. The driver calls it with no mutex of a bounded
// section held; the binder lock, where there is one, is held.

#ifndef BINDERLITE_MEMORY_USER_MEMORY_H_
#define BINDERLITE_MEMORY_USER_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "binderlite/memory/copy.h"

namespace binderlite {

// Addresses are u64 as in the UAPI. Both calls return false for a fault, after
// which the destination's content is unspecified. May be called from every
// thread that uses the Proc, at the same time.
class UserMemory {
 public:
  virtual ~UserMemory() = default;
  [[nodiscard]] virtual bool CopyIn(void* to, std::uint64_t from,
                                    std::size_t size) = 0;
  [[nodiscard]] virtual bool CopyOut(std::uint64_t to, const void* from,
                                     std::size_t size) = 0;
};

namespace memory {

// Direct copying, or the UserMemory it was made with.
class UserAccess {
 public:
  // The first page is never valid, so null pointers fault instead of crashing.
  static constexpr std::uint64_t kFirstValid = 4096;

  explicit UserAccess(UserMemory* memory = nullptr) : memory_(memory) {}

  [[nodiscard]] bool CopyIn(void* to, std::uint64_t from,
                            std::size_t size) const {
    if (size == 0) return true;
    if (memory_ != nullptr) return memory_->CopyIn(to, from, size);
    if (!Valid(from, size)) return false;
    Copy(to, reinterpret_cast<const void*>(from), size);
    return true;
  }

  [[nodiscard]] bool CopyOut(std::uint64_t to, const void* from,
                             std::size_t size) const {
    if (size == 0) return true;
    if (memory_ != nullptr) return memory_->CopyOut(to, from, size);
    if (!Valid(to, size)) return false;
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

  // Reads or writes one trivially copyable value.
  template <class T>
  [[nodiscard]] bool Get(T& value, std::uint64_t from) const {
    return CopyIn(&value, from, sizeof(T));
  }
  template <class T>
  [[nodiscard]] bool Put(std::uint64_t to, const T& value) const {
    return CopyOut(to, &value, sizeof(T));
  }

 private:
  static bool Valid(std::uint64_t address, std::size_t size) {
    return address >= kFirstValid && address + size >= address;
  }

  UserMemory* memory_;
};

}  // namespace memory
}  // namespace binderlite

#endif  // BINDERLITE_MEMORY_USER_MEMORY_H_
