// SPDX-License-Identifier: Apache-2.0
//
// LiveCounts and Counted: how many objects of each kind a Context has made and
// destroyed. After everything is closed both numbers are equal, or something
// leaked.
//
// Lock-free; a LiveCounts must outlive the objects that it counts.
// Kernel: the "active / total" lines of the stats file.

#ifndef BINDERLITE_CORE_COUNTS_H_
#define BINDERLITE_CORE_COUNTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

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
  void Add(ObjectKind kind) { at(kind).created.fetch_add(1, kRelaxed); }
  void Remove(ObjectKind kind) { at(kind).deleted.fetch_add(1, kRelaxed); }

  [[nodiscard]] std::uint64_t created(ObjectKind kind) const {
    return counts_[static_cast<std::size_t>(kind)].created.load(kRelaxed);
  }
  [[nodiscard]] std::uint64_t deleted(ObjectKind kind) const {
    return counts_[static_cast<std::size_t>(kind)].deleted.load(kRelaxed);
  }
  [[nodiscard]] std::uint64_t live(ObjectKind kind) const {
    return created(kind) - deleted(kind);
  }

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  struct Count {
    std::atomic<std::uint64_t> created{0};
    std::atomic<std::uint64_t> deleted{0};
  };
  Count& at(ObjectKind kind) { return counts_[static_cast<std::size_t>(kind)]; }
  std::array<Count, kObjectKinds> counts_;
};

// A member of each counted object.
template <ObjectKind kKind>
class Counted {
 public:
  explicit Counted(LiveCounts& counts) : counts_(counts) { counts_.Add(kKind); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { counts_.Remove(kKind); }

 private:
  LiveCounts& counts_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_COUNTS_H_
