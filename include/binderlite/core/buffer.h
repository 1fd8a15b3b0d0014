// SPDX-License-Identifier: Apache-2.0
//
// Buffer: one payload in the receive arena of a Proc, with the references that
// it keeps alive: the node it was sent to and the objects inside it.
//
//   allocated --sender fills it--> in flight --read by its Proc--> delivered
//       delivered --BC_FREE_BUFFER--> freed
//       in flight, transaction dropped --> orphaned, freed with the Proc
//       in flight, Proc torn down --> abandoned, freed by its carrier
//
// The references are kept beside the payload, not read back from it, so a
// receiver that scribbles over its arena harms nobody's counts.
//
// No locks: until it is delivered a Buffer belongs to the thread that builds
// or carries its Transaction, afterwards to whoever took it off its Arena.
// Kernel: binder_buffer.

#ifndef BINDERLITE_CORE_BUFFER_H_
#define BINDERLITE_CORE_BUFFER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "binderlite/core/pin.h"
#include "binderlite/core/rare.h"
#include "binderlite/core/table.h"
#include "binderlite/fwd.h"
#include "binderlite/memory/align.h"
#include "binderlite/sync/cache_line.h"

namespace binderlite::core {

// What one translated object inside a payload keeps alive in the receiver.
template <class L>
struct HeldObject {
  Pin<Node<L>> node;         // Set: a count on the receiver's own node.
  std::uint32_t handle = 0;  // Otherwise: a count on the receiver's handle.
  bool strong = false;
};

enum class BufferState : std::uint8_t {
  kInFlight,   // Its carrier's.
  kDelivered,  // Its Proc may free it.
  kOrphaned,   // Nobody's, until the arena goes.
  kOutlived,   // In flight, and the arena has gone already.
  kResting,    // Freed, and kept by the arena for the next one.
};

template <class L>
class Arena;

template <class L>
class alignas(kCacheLine) Buffer : public TableLink<Buffer<L>> {
 public:
  // All sizes in bytes. `size` is what the arena accounts for: the sum of the
  // three parts, each rounded up to 8, at least 8.
  struct Layout {
    std::size_t data_size = 0;
    std::size_t offsets_size = 0;
    std::size_t extra_size = 0;

    [[nodiscard]] std::size_t offsets_at() const {
      return memory::AlignUp(data_size, 8);
    }
    [[nodiscard]] std::size_t extra_at() const {
      return offsets_at() + memory::AlignUp(offsets_size, 8);
    }
  };

  // The transaction that it is made for: ids and the sender's pid.
  struct Purpose {
    std::uint32_t id = 0;
    std::uint32_t node_id = 0;  // 0: a reply.
    std::int32_t sender_pid = 0;
  };

  Buffer(std::byte* payload, std::uint64_t user_address, std::size_t where,
         std::size_t total, const Layout& parts, bool one_way,
         const Purpose& what_for = {})
      : data(payload),
        layout(parts),
        is_async(one_way),
        user_address_(user_address),
        offset(where),
        size(total),
        purpose(what_for) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Where its owner reads it, and what it hands back to free the buffer.
  [[nodiscard]] std::uint64_t address() const { return user_address_; }
  // Its place in the arena's table.
  [[nodiscard]] std::uint64_t table_key() const { return offset; }

  // What the receiver looks at comes first.
  std::byte* const data;  // Where the driver writes it.
  Layout layout;          // Changed by Arena::Shrink alone.
  // The node this was sent to, with a local strong count; empty in a reply.
  Pin<Node<L>> target_node;
  const bool is_async;         // Paid for from the one-way half of the arena.
  bool clear_on_free = false;  // TF_CLEAR_BUF

 private:
  friend class Arena<L>;

  std::atomic<BufferState> state_{BufferState::kInFlight};
  const std::uint64_t user_address_;

 public:
  const std::size_t offset;  // From the start of the arena.
  const std::size_t size;
  const Purpose purpose;
  RareVector<HeldObject<L>> held;
  // Descriptors that came in arrays: freeing the buffer closes them (OB-22).
  RareVector<int> array_files;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_BUFFER_H_
