// SPDX-License-Identifier: Apache-2.0
//
// Sizes and addresses that are multiples of something.

#ifndef BINDERLITE_MEMORY_ALIGN_H_
#define BINDERLITE_MEMORY_ALIGN_H_

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace binderlite::memory {

// Of arenas, as binder's. What the system maps may have larger ones.
inline constexpr std::size_t kPageSize = 4096;

// The next multiple of `alignment`, a power of two, from `size` on; wraps
// around to 0 at the end of the type.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T AlignUp(T size, std::type_identity_t<T> alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

}  // namespace binderlite::memory

#endif  // BINDERLITE_MEMORY_ALIGN_H_
