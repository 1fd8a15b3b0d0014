// SPDX-License-Identifier: Apache-2.0
//
// Copying payloads: memcpy, but for one case in which the C library's is slow.
//
// On AMD's Zen 3 glibc's memcpy of 4 to 256 KiB takes ten to forty times as
// long if the destination begins 1 to 31 bytes behind the source, counted
// modulo 4096: its loads then seem to depend on the stores before them. An
// arena hands out offsets that are multiples of eight, so one payload in a few
// hundred is so unlucky, and where the sender's buffer and the arena's state
// repeat from call to call, each of them. A loop of plain 64-byte steps does
// not mind.
//
// No locks. The two must not overlap.

#ifndef BINDERLITE_MEMORY_COPY_H_
#define BINDERLITE_MEMORY_COPY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "binderlite/memory/align.h"

namespace binderlite::memory {

// Whether memcpy is not the way to copy this.
[[nodiscard]] inline bool IsUnlucky(const void* to, const void* from,
                                    std::size_t size) {
  constexpr std::size_t kSmall = std::size_t{4} << 10;
  constexpr std::size_t kLarge = std::size_t{256} << 10;
  constexpr std::uintptr_t kClose = 32;
  const std::uintptr_t behind = (reinterpret_cast<std::uintptr_t>(to) -
                                 reinterpret_cast<std::uintptr_t>(from)) %
                                kPageSize;
  return size >= kSmall && size <= kLarge && behind != 0 && behind < kClose;
}

// Copies in steps that the compiler does not make a memcpy of.
inline void CopyInSteps(std::byte* to, const std::byte* from,
                        std::size_t size) {
  constexpr std::size_t kStep = 64;
  for (; size >= kStep; size -= kStep) {
    std::memcpy(to, from, kStep);
    __asm__ __volatile__("" : : : "memory");
    to += kStep;
    from += kStep;
  }
  std::memcpy(to, from, size);
}

inline void Copy(void* to, const void* from, std::size_t size) {
  if (!IsUnlucky(to, from, size)) {
    std::memcpy(to, from, size);
    return;
  }
  CopyInSteps(static_cast<std::byte*>(to), static_cast<const std::byte*>(from),
              size);
}

}  // namespace binderlite::memory

#endif  // BINDERLITE_MEMORY_COPY_H_
