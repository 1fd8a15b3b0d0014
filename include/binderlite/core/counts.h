// SPDX-License-Identifier: Apache-2.0
//
// LiveCounts and Counted: how many objects of each kind a Context has made and
// destroyed. After everything is closed both numbers are equal, or something
// leaked.
//
// Lock-free, and kept apart by processor, since transactions come and go all
// the time. A LiveCounts must outlive the objects that it counts. Kernel: the
// "active / total" lines of the stats file.

#ifndef BINDERLITE_CORE_COUNTS_H_
#define BINDERLITE_CORE_COUNTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "binderlite/core/shard.h"

namespace binderlite::core {

enum class ObjectKind : std::uint8_t {
  kProc,
  kThread,
  kNode,
  kRef,
  kDeath,
  kTransaction,
  kTransactionComplete,
  kFreeze,
};
inline constexpr std::size_t kObjectKinds = 8;

[[nodiscard]] constexpr std::string_view ToString(ObjectKind kind) {
  constexpr std::array<std::string_view, kObjectKinds> kNames = {
      "proc",
      "thread",
      "node",
      "ref",
      "death",
      "transaction",
      "transaction_complete",
      "freeze"};
  return kNames[static_cast<std::size_t>(kind)];
}

class LiveCounts {
 public:
  void Add(ObjectKind kind) { Bump(mine(kind).created); }
  void Remove(ObjectKind kind) { Bump(mine(kind).deleted); }

  [[nodiscard]] std::uint64_t created(ObjectKind kind) const {
    return Sum(kind, &Count::created);
  }
  [[nodiscard]] std::uint64_t deleted(ObjectKind kind) const {
    return Sum(kind, &Count::deleted);
  }
  // Of a moment at which none is made or destroyed.
  [[nodiscard]] std::uint64_t live(ObjectKind kind) const {
    return created(kind) - deleted(kind);
  }

 private:
  struct Count {
    std::atomic<std::uint64_t> created{0};
    std::atomic<std::uint64_t> deleted{0};
  };
  using Counts = std::array<Count, kObjectKinds>;

  static void Bump(std::atomic<std::uint64_t>& count) {
    count.fetch_add(1, std::memory_order_relaxed);
  }
  Count& mine(ObjectKind kind) {
    return shards_.mine()[static_cast<std::size_t>(kind)];
  }
  std::uint64_t Sum(ObjectKind kind,
                    std::atomic<std::uint64_t> Count::*which) const {
    std::uint64_t sum = 0;
    shards_.ForEach([&](const Counts& counts) {
      sum += (counts[static_cast<std::size_t>(kind)].*which)
                 .load(std::memory_order_relaxed);
    });
    return sum;
  }

  Shards<Counts> shards_;
};

// A member of each counted object.
template <ObjectKind kKind>
class Counted {
 public:
  explicit Counted(LiveCounts& counts) : counts_(counts) { counts_.Add(kKind); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { counts_.Remove(kKind); }

  [[nodiscard]] LiveCounts& counts() const { return counts_; }

 private:
  LiveCounts& counts_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_COUNTS_H_
