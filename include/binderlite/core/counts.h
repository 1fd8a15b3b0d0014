// SPDX-License-Identifier: Apache-2.0
//
// LiveCounts and Counted: how many objects of each kind a Context has made and
// destroyed. After everything is closed both numbers are equal, or something
// leaked.
//
// Lock-free, and kept apart by processor; transactions, which come and go all
// the time, by the thread that makes or ends them. A LiveCounts must outlive
// the objects that it counts. Kernel: the "active / total" lines of the stats
// file.

#ifndef BINDERLITE_CORE_COUNTS_H_
#define BINDERLITE_CORE_COUNTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "binderlite/core/shard.h"
#include "binderlite/sync/cache_line.h"

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
  // What one thread at a time counts, which takes no locked instructions.
  class Share;

  LiveCounts() = default;
  LiveCounts(const LiveCounts&) = delete;
  LiveCounts& operator=(const LiveCounts&) = delete;
  ~LiveCounts() {
    for (Slot* slot = slots_.load(std::memory_order_acquire);
         slot != nullptr;) {
      delete std::exchange(slot, slot->next);
    }
  }

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

  // The kinds that come and go with each call.
  static constexpr ObjectKind kFirstFrequent = ObjectKind::kTransaction;
  static constexpr std::size_t kFrequent = 2;
  [[nodiscard]] static constexpr std::size_t FrequentIndex(ObjectKind kind) {
    return static_cast<std::size_t>(kind) -
           static_cast<std::size_t>(kFirstFrequent);
  }

  // What a Share has counted, and all those that had the slot before. Never
  // destroyed before the end. On a line of its own: others are others' to
  // write.
  struct alignas(kCacheLine) Slot {
    std::array<Count, kFrequent> counts;
    std::atomic<bool> taken{true};
    Slot* next = nullptr;
  };
  [[nodiscard]] Slot& TakeSlot() {
    if (free_slots_.load(std::memory_order_relaxed) > 0) {
      for (Slot* slot = slots_.load(std::memory_order_acquire); slot != nullptr;
           slot = slot->next) {
        if (!slot->taken.exchange(true, std::memory_order_acquire)) {
          free_slots_.fetch_sub(1, std::memory_order_relaxed);
          return *slot;
        }
      }
    }
    auto* const made = new Slot;
    made->next = slots_.load(std::memory_order_relaxed);
    while (!slots_.compare_exchange_weak(made->next, made,
                                         std::memory_order_acq_rel)) {
    }
    return *made;
  }
  void LeaveSlot(Slot& slot) {
    slot.taken.store(false, std::memory_order_release);
    free_slots_.fetch_add(1, std::memory_order_relaxed);
  }

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
    const std::size_t frequent = FrequentIndex(kind);
    if (frequent >= kFrequent) return sum;
    for (const Slot* slot = slots_.load(std::memory_order_acquire);
         slot != nullptr; slot = slot->next) {
      sum += (slot->counts[frequent].*which).load(std::memory_order_relaxed);
    }
    return sum;
  }

  Shards<Counts> shards_;
  std::atomic<Slot*> slots_{nullptr};
  std::atomic<int> free_slots_{0};
};

class LiveCounts::Share {
 public:
  explicit Share(LiveCounts& all) : all_(all), slot_(all.TakeSlot()) {}
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() { all_.LeaveSlot(slot_); }

  // Of transactions and completions only.
  void Add(ObjectKind kind) { Bump(slot_.counts[FrequentIndex(kind)].created); }
  void Remove(ObjectKind kind) {
    Bump(slot_.counts[FrequentIndex(kind)].deleted);
  }

 private:
  static void Bump(std::atomic<std::uint64_t>& count) {
    count.store(count.load(std::memory_order_relaxed) + 1,
                std::memory_order_relaxed);
  }

  LiveCounts& all_;
  Slot& slot_;
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

// The same for those that come and go with each call.
template <ObjectKind kKind>
class CountedByShare {
 public:
  // `made_by`: counts that it has been made; null: `counts` itself.
  explicit CountedByShare(LiveCounts& counts,
                          LiveCounts::Share* made_by = nullptr)
      : counts_(counts) {
    if (made_by != nullptr) {
      made_by->Add(kKind);
    } else {
      counts_.Add(kKind);
    }
  }
  CountedByShare(const CountedByShare&) = delete;
  CountedByShare& operator=(const CountedByShare&) = delete;
  ~CountedByShare() {
    if (ends_with_ != nullptr) {
      ends_with_->Remove(kKind);
    } else {
      counts_.Remove(kKind);
    }
  }

  // It ends at once, and `share` counts that.
  void EndsWith(LiveCounts::Share& share) { ends_with_ = &share; }

  [[nodiscard]] LiveCounts& counts() const { return counts_; }

 private:
  LiveCounts& counts_;
  LiveCounts::Share* ends_with_ = nullptr;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_COUNTS_H_
