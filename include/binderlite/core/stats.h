// SPDX-License-Identifier: Apache-2.0
//
// CommandCounts and CommandTotals: how often each BC_ and BR_ command was
// written and read. A thread counts its own commands without contention; sums
// are made when somebody asks, from the live threads and from what the gone
// ones left to their Proc and Context.
//
// Counts wrap around at 2^32, as the kernel's do. Lock-free.
// Kernel: binder_stats.

#ifndef BINDERLITE_CORE_STATS_H_
#define BINDERLITE_CORE_STATS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "binderlite/wire/commands.h"

namespace binderlite::core {

// By number (CommandNumber).
struct CommandTotals {
  std::array<std::uint32_t, kBcNumbers> bc = {};
  std::array<std::uint32_t, kBrNumbers> br = {};

  void Add(const CommandTotals& other) {
    for (std::size_t i = 0; i < bc.size(); ++i) bc[i] += other.bc[i];
    for (std::size_t i = 0; i < br.size(); ++i) br[i] += other.br[i];
  }
};

// One writer at a time, any number of readers.
class CommandCounts {
 public:
  void Count(Bc command) { Bump(bc_, CommandNumber(command)); }
  void Count(Br command) { Bump(br_, CommandNumber(command)); }

  [[nodiscard]] CommandTotals totals() const {
    CommandTotals totals;
    for (std::size_t i = 0; i < bc_.size(); ++i) {
      totals.bc[i] = bc_[i].load(std::memory_order_relaxed);
    }
    for (std::size_t i = 0; i < br_.size(); ++i) {
      totals.br[i] = br_[i].load(std::memory_order_relaxed);
    }
    return totals;
  }

 private:
  template <class Counts>
  static void Bump(Counts& counts, int number) {
    const auto i = static_cast<std::size_t>(number);
    if (i >= counts.size()) return;
    counts[i].store(counts[i].load(std::memory_order_relaxed) + 1,
                    std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint32_t>, kBcNumbers> bc_ = {};
  std::array<std::atomic<std::uint32_t>, kBrNumbers> br_ = {};
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_STATS_H_
