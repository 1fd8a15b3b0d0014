// SPDX-License-Identifier: Apache-2.0
//
// How far apart things have to be that different processors write, and what
// lies together. Constants, not those of the processor that runs the program:
// the layout of objects depends on them.

#ifndef BINDERLITE_SYNC_CACHE_LINE_H_
#define BINDERLITE_SYNC_CACHE_LINE_H_

#include <cstddef>

namespace binderlite {

// Bytes that move together from one processor to another.
inline constexpr std::size_t kCacheLine = 64;
// Two cache lines: processors fetch them in pairs.
inline constexpr std::size_t kFalseSharing = 2 * kCacheLine;

}  // namespace binderlite

#endif  // BINDERLITE_SYNC_CACHE_LINE_H_
