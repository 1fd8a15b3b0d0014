// SPDX-License-Identifier: Apache-2.0
//
// Sinks: where a read puts its return commands. That is bytes in user memory
// (ByteSink), or records (IncomingSink) for callers that need no byte stream.
//
// No locks: a sink belongs to the call that reads, and no mutex may be held
// while it writes to user memory.
// Kernel: binder_thread_read.

#ifndef BINDERLITE_DRIVER_SINK_H_
#define BINDERLITE_DRIVER_SINK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "binderlite/driver/incoming.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// Writes return commands into user memory. Where a command does not fit or
// cannot be written, Put returns false.
class ByteSink {
 public:
  // The room an item may need: the largest command (RD-07).
  static constexpr std::uint64_t kLargest =
      sizeof(std::uint32_t) + sizeof(TransactionDataSecctx);

  ByteSink(const memory::UserAccess& memory, std::uint64_t buffer,
           std::uint64_t size, std::uint64_t consumed)
      : memory_(memory),
        buffer_(buffer),
        size_(size),
        begin_(consumed),
        at_(consumed),
        committed_(consumed) {}

  // The BR_NOOP at the start of a buffer. False: fault.
  [[nodiscard]] bool Begin() { return begin_ != 0 || Put(Br::BR_NOOP); }

  [[nodiscard]] bool HasRoom() const {
    return size_ >= at_ && size_ - at_ >= kLargest;
  }

  // `payload`: what comes behind the command, one value or none.
  template <class... Payload>
  [[nodiscard]] bool Put(Br command, const Payload&... payload) {
    const auto code = static_cast<std::uint32_t>(command);
    constexpr std::size_t kSize = (sizeof(code) + ... + sizeof(Payload));
    if (size_ < at_ || size_ - at_ < kSize) return false;
    if (!memory_.Put(buffer_ + at_, code)) return false;
    if (!(memory_.Put(buffer_ + at_ + sizeof(code), payload) && ...)) {
      return false;
    }
    at_ += kSize;
    return true;
  }

  // Nothing but the BR_NOOP.
  [[nodiscard]] bool empty() const { return at_ == sizeof(std::uint32_t); }

  // Whether BR_SPAWN_LOOPER may take the place of the BR_NOOP: only if this
  // read has written it.
  [[nodiscard]] bool CanSpawn() const { return begin_ == 0; }
  [[nodiscard]] bool PutSpawn() {
    return memory_.Put(buffer_,
                       static_cast<std::uint32_t>(Br::BR_SPAWN_LOOPER));
  }

  // What has been written counts, whatever comes.
  void Commit() { committed_ = at_; }
  // How far the caller is to believe the buffer.
  [[nodiscard]] std::uint64_t consumed() const { return committed_; }

 private:
  const memory::UserAccess& memory_;
  const std::uint64_t buffer_;
  const std::uint64_t size_;
  const std::uint64_t begin_;
  std::uint64_t at_;
  std::uint64_t committed_;
};

// Collects the commands of one item of work: the first one where the caller
// wants it, the others, if there are any, behind `rest`.
class IncomingSink {
 public:
  IncomingSink(Incoming& first, std::vector<Incoming>& rest)
      : first_(first), rest_(rest) {}

  [[nodiscard]] static bool Begin() { return true; }
  [[nodiscard]] bool HasRoom() const { return count_ == 0; }
  template <class... Payload>
  [[nodiscard]] bool Put(Br command, const Payload&... payload) {
    Incoming& next = count_++ == 0 ? first_ : rest_.emplace_back();
    // In place: what is read in larger pieces than it has been written waits
    // for the writes.
    std::construct_at(&next);
    next.command = command;
    (Fill(next, payload), ...);
    return true;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] static bool CanSpawn() { return true; }
  [[nodiscard]] bool PutSpawn() {
    spawn_ = true;
    return true;
  }
  static void Commit() {}
  // What was put last is about a call that had been sent.
  void MarkSent() { (count_ == 1 ? first_ : rest_.back()).was_sent = true; }

  [[nodiscard]] bool spawn() const { return spawn_; }

 private:
  static void Fill(Incoming& next, const TransactionDataSecctx& data) {
    next.transaction = data.data;
    next.label = data.secctx;
  }
  static void Fill(Incoming& next, const TransactionData& data) {
    next.transaction = data;
  }
  static void Fill(Incoming& next, const PtrCookie& node) { next.node = node; }
  static void Fill(Incoming& next, std::uint64_t cookie) {
    next.node.cookie = cookie;
  }
  static void Fill(Incoming& next, const FrozenStateInfo& info) {
    next.node.cookie = info.cookie;
    next.is_frozen = info.is_frozen != 0;
  }
  // The number of BR_ERROR, which is always the same.
  static void Fill(Incoming& /*next*/, std::int32_t /*number*/) {}

  Incoming& first_;
  std::vector<Incoming>& rest_;
  std::size_t count_ = 0;
  bool spawn_ = false;
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_SINK_H_
