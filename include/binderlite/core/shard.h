// SPDX-License-Identifier: Apache-2.0
//
// Shards: state that every thread of a Context writes and few read, kept apart
// by processor. Threads of different processors then write different cache
// lines; a thread that is moved while it writes only meets another one there,
// so each shard still has to be safe to share.
//
// Lock-free.

#ifndef BINDERLITE_CORE_SHARD_H_
#define BINDERLITE_CORE_SHARD_H_

#include <sched.h>

#include <array>
#include <cstddef>

#include "binderlite/sync/cache_line.h"

namespace binderlite::core {

// One T for each processor, or for a few that have to share when there are more
// than kCount.
template <class T>
class Shards {
 public:
  static constexpr std::size_t kCount = 16;

  // That of the processor that the caller runs on.
  [[nodiscard]] T& mine() {
    return shards_[static_cast<std::size_t>(::sched_getcpu()) % kCount].value;
  }

  template <class F>
  void ForEach(F fn) const {
    for (const Shard& shard : shards_) fn(shard.value);
  }

 private:
  struct alignas(kFalseSharing) Shard {
    T value;
  };
  std::array<Shard, kCount> shards_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_SHARD_H_
