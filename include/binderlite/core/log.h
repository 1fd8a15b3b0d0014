// SPDX-License-Identifier: Apache-2.0
//
// TransactionLog: what became of the last 32 transactions of a Context. An
// entry is written when a transaction begins and again when it has been queued
// or has failed; in between it is incomplete.
//
// No lock, and nobody ever waits. Each processor has 32 slots of its own, so
// that writers rarely share a cache line; the last 32 of all are among them. Of
// two writers that meet in one slot, 32 transactions apart, the later one in
// time gives way, and a reader that cannot get at an entry in one piece reports
// it as incomplete. All of it is atomic; a slot's sequence number is odd while
// it is written.
// Kernel: binder_transaction_log.

#ifndef BINDERLITE_CORE_LOG_H_
#define BINDERLITE_CORE_LOG_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "binderlite/core/shard.h"
#include "binderlite/core/transaction.h"

namespace binderlite::core {

struct LogEntry {
  std::uint32_t id = 0;
  TransactionKind kind = TransactionKind::kCall;
  std::int32_t from_pid = 0;
  std::int32_t from_tid = 0;
  // 0 while the target is not known; the thread only if it had to be that one.
  std::int32_t to_pid = 0;
  std::int32_t to_tid = 0;
  std::uint32_t node = 0;  // The target's id; 0 in replies.
  std::uint32_t handle = 0;
  std::uint64_t data_size = 0;
  std::uint64_t offsets_size = 0;
  // How it failed; 0: it did not.
  std::uint32_t return_error = 0;  // A Br.
  std::int32_t param = 0;          // Negative errno.
  bool complete = false;

  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

class TransactionLog {
 public:
  static constexpr std::size_t kEntries = 32;

  // The entry of one transaction, from its begin to its end.
  class Ticket;

  // `order`: its place among all, above 0. The entries are read in this order.
  [[nodiscard]] Ticket Begin(std::uint64_t order, const LogEntry& entry);
  void Finish(const Ticket& ticket, LogEntry entry);
  // An entry that is complete from the start.
  void Add(std::uint64_t order, const LogEntry& entry);

  // Calls fn(order, entry) for all that are kept, which may be more than the
  // last kEntries, in no particular order. debug/log.h sorts them out.
  template <class F>
  void ForEach(F fn) const {
    rings_.ForEach([&fn](const Ring& ring) {
      for (const Slot& slot : ring.slots) {
        Words words = {};
        const bool whole = slot.Read(words);
        if (words[kOrder] == 0) continue;
        LogEntry entry = Unpack(words);
        entry.complete &= whole;
        fn(words[kOrder], entry);
      }
    });
  }

 private:
  static constexpr std::size_t kWords = 8;
  static constexpr std::size_t kOrder = 0;
  using Words = std::array<std::uint64_t, kWords>;

  struct Slot {
    // False: it changed meanwhile, again and again.
    [[nodiscard]] bool Read(Words& result) const {
      constexpr int kTries = 3;
      for (int i = 0; i < kTries; ++i) {
        const std::uint32_t before = sequence.load(std::memory_order_acquire);
        for (std::size_t w = 0; w < kWords; ++w) {
          // Acquire, so that what is read next is not older than this.
          result[w] = words[w].load(std::memory_order_acquire);
        }
        if (before % 2 == 0 &&
            sequence.load(std::memory_order_relaxed) == before) {
          return true;
        }
      }
      return false;
    }

    std::atomic<std::uint32_t> sequence{0};
    std::array<std::atomic<std::uint64_t>, kWords> words = {};
  };

  struct Ring {
    std::atomic<std::size_t> next{0};
    std::array<Slot, kEntries> slots;
  };

  [[nodiscard]] Slot& Next() {
    Ring& ring = rings_.mine();
    return ring
        .slots[ring.next.fetch_add(1, std::memory_order_relaxed) % kEntries];
  }

  static void Write(Slot& slot, std::uint64_t order, const LogEntry& entry) {
    std::uint32_t sequence = slot.sequence.load(std::memory_order_relaxed);
    if (sequence % 2 != 0 ||
        !slot.sequence.compare_exchange_strong(sequence, sequence + 1,
                                               std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
      return;
    }
    // A newer one may have the slot by now.
    if (slot.words[kOrder].load(std::memory_order_relaxed) <= order) {
      const Words words = Pack(order, entry);
      // In a row, so that they are never put together in memory. Release, so
      // that who reads one of them sees the odd number, too.
      [&]<std::size_t... w>(std::index_sequence<w...>) {
        (slot.words[w].store(words[w], std::memory_order_release), ...);
      }
      (std::make_index_sequence<kWords>());
    }
    slot.sequence.store(sequence + 2, std::memory_order_release);
  }

  static constexpr std::uint64_t Join(std::uint32_t high, std::uint32_t low) {
    return std::uint64_t{high} << 32 | low;
  }
  static constexpr std::uint64_t Join(std::int32_t high, std::int32_t low) {
    return Join(static_cast<std::uint32_t>(high),
                static_cast<std::uint32_t>(low));
  }
  static constexpr std::uint32_t High(std::uint64_t word) {
    return static_cast<std::uint32_t>(word >> 32);
  }
  static constexpr std::uint32_t Low(std::uint64_t word) {
    return static_cast<std::uint32_t>(word);
  }

  static constexpr std::uint32_t kComplete = 0x100;

  static Words Pack(std::uint64_t order, const LogEntry& e) {
    const std::uint32_t kind = static_cast<std::uint32_t>(e.kind) |
                               (e.complete ? kComplete : std::uint32_t{0});
    return {order,
            Join(e.id, kind),
            Join(e.from_pid, e.from_tid),
            Join(e.to_pid, e.to_tid),
            Join(e.node, e.handle),
            e.data_size,
            e.offsets_size,
            Join(e.return_error, static_cast<std::uint32_t>(e.param))};
  }
  static LogEntry Unpack(const Words& w) {
    return {.id = High(w[1]),
            .kind = static_cast<TransactionKind>(Low(w[1]) & 0xff),
            .from_pid = static_cast<std::int32_t>(High(w[2])),
            .from_tid = static_cast<std::int32_t>(Low(w[2])),
            .to_pid = static_cast<std::int32_t>(High(w[3])),
            .to_tid = static_cast<std::int32_t>(Low(w[3])),
            .node = High(w[4]),
            .handle = Low(w[4]),
            .data_size = w[5],
            .offsets_size = w[6],
            .return_error = High(w[7]),
            .param = static_cast<std::int32_t>(Low(w[7])),
            .complete = (Low(w[1]) & kComplete) != 0};
  }

  Shards<Ring> rings_;
};

class TransactionLog::Ticket {
 private:
  friend class TransactionLog;
  Ticket(Slot& slot, std::uint64_t order) : slot_(&slot), order_(order) {}
  Slot* slot_;
  std::uint64_t order_;
};

inline TransactionLog::Ticket TransactionLog::Begin(std::uint64_t order,
                                                    const LogEntry& entry) {
  Slot& slot = Next();
  Write(slot, order, entry);
  return {slot, order};
}

inline void TransactionLog::Finish(const Ticket& ticket, LogEntry entry) {
  entry.complete = true;
  Write(*ticket.slot_, ticket.order_, entry);
}

inline void TransactionLog::Add(std::uint64_t order, const LogEntry& entry) {
  Finish({Next(), order}, entry);
}

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_LOG_H_
