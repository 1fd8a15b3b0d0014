// SPDX-License-Identifier: Apache-2.0
//
// Scatter-gather: the objects of one payload that bring memory of the sender
// along, or refer to such memory.
//
//   PTR   `length` bytes at `buffer`, copied behind the offsets of the
//         receiver's copy; with HAS_PARENT, the copy's address is also stored
//         in the copy of an earlier PTR
//   FDA   `num_fds` descriptors that lie in the memory of an earlier PTR
//
// Everything is checked before any of this memory is read, and it is read once:
// the copies are collected, and made by Copy at the end.
//
// Which parents are allowed: the PTR that was processed last, or one that it
// hangs from; and within one parent places must be filled from low to high. So
// each place is written once, after the memory around it (OB-26 to OB-31).
//
// No locks. Kernel: binder_validate_ptr, binder_validate_fixup,
// binder_translate_fd_array, binder_do_deferred_txn_copies.

#ifndef BINDERLITE_DRIVER_SCATTER_H_
#define BINDERLITE_DRIVER_SCATTER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/translate.h"
#include "binderlite/memory/align.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"

namespace binderlite::driver {

template <LockingPolicy L>
class Scatter {
 public:
  // `room`: bytes for the memory of PTR objects, behind the offsets.
  Scatter(const Translation<L>& to, std::uint64_t room)
      : to_(to), next_(to.buffer.layout.extra_at()), end_(next_ + room) {}
  Scatter(const Scatter&) = delete;
  Scatter& operator=(const Scatter&) = delete;

  // The PTR that is object number `index` of the payload, at `data_offset`.
  // Rewrites its address to the receiver's. kInvalid: no room, or its parent is
  // not allowed.
  Errc AddBuffer(std::uint64_t index, std::size_t data_offset,
                 BufferObject& object) {
    if (object.length > end_ - next_) return Errc::kInvalid;
    Chunk chunk;
    chunk.index = index;
    chunk.data_offset = data_offset;
    chunk.source = object.buffer;
    chunk.length = static_cast<std::size_t>(object.length);
    chunk.at = static_cast<std::size_t>(next_);
    const std::uint64_t address = to_.buffer.address() + chunk.at;
    // Before its parent is looked at: it is no error to need no room.
    next_ += std::min<std::uint64_t>(memory::AlignUp(object.length, 8),
                                     end_ - next_);
    if ((object.flags & kBufferFlagHasParent) != 0) {
      constexpr std::uint64_t kAddress = sizeof(std::uint64_t);
      const std::size_t parent = FindParent(index, object.parent);
      if (parent == kNone || !MayFill(parent, object.parent_offset)) {
        return Errc::kInvalid;
      }
      const std::size_t length = chunks_[parent].length;
      if (length < kAddress || object.parent_offset > length - kAddress ||
          object.parent_offset % sizeof(std::uint32_t) != 0) {
        return Errc::kInvalid;
      }
      chunk.parent = parent;
      chunk.filled_to = object.parent_offset + kAddress;
      pointers_.push_back(
          {chunks_[parent].at + static_cast<std::size_t>(object.parent_offset),
           address});
    }
    object.buffer = address;
    last_ = chunks_.size();
    last_filled_to_ = 0;
    chunks_.push_back(chunk);
    return Errc::kOk;
  }

  // The FDA that is object number `index`. kInvalid: not within an allowed
  // parent, not aligned, or not readable; else the errors of TranslateFile.
  Errc AddFiles(std::uint64_t index, const FdArrayObject& object) {
    constexpr std::uint64_t kNumber = sizeof(std::uint32_t);
    const std::size_t parent = FindParent(index, object.parent);
    if (parent == kNone || !MayFill(parent, object.parent_offset)) {
      return Errc::kInvalid;
    }
    const Chunk& chunk = chunks_[parent];
    if (object.num_fds > chunk.length / kNumber) return Errc::kInvalid;
    const std::uint64_t size = object.num_fds * kNumber;
    if (object.parent_offset > chunk.length - size) return Errc::kInvalid;
    const std::uint64_t source = chunk.source + object.parent_offset;
    if (object.parent_offset % kNumber != 0 || source % kNumber != 0) {
      return Errc::kInvalid;
    }
    const memory::UserAccess& memory = to_.sender.proc->memory;
    for (std::uint64_t i = 0; i < object.num_fds; ++i) {
      std::uint32_t fd = 0;
      if (!memory.Get(fd, source + i * kNumber)) return Errc::kInvalid;
      const std::size_t at = chunk.at + static_cast<std::size_t>(
                                            object.parent_offset + i * kNumber);
      const Errc error = TranslateFile(to_, fd, at, /*in_array=*/true);
      if (error != Errc::kOk) return error;
    }
    last_ = parent;
    last_filled_to_ = object.parent_offset + size;
    return Errc::kOk;
  }

  // Reads the memory of all PTR objects, and stores the addresses in it.
  // kInvalid: some of it cannot be read (OB-42).
  Errc Copy() {
    const memory::UserAccess& memory = to_.sender.proc->memory;
    for (const Chunk& chunk : chunks_) {
      if (!memory.CopyIn(to_.buffer.data + chunk.at, chunk.source,
                         chunk.length)) {
        return Errc::kInvalid;
      }
    }
    for (const Pointer& pointer : pointers_) {
      std::memcpy(to_.buffer.data + pointer.at, &pointer.address,
                  sizeof(pointer.address));
    }
    return Errc::kOk;
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // The memory of one PTR.
  struct Chunk {
    std::uint64_t index = 0;      // Of the object in the payload.
    std::size_t data_offset = 0;  // Of the object in the data.
    std::uint64_t source = 0;     // In the sender.
    std::size_t length = 0;       // In bytes.
    std::size_t at = 0;           // In the receiver's buffer.
    std::size_t parent = kNone;   // Whose memory has its address.
    std::uint64_t filled_to = 0;  // Of the parent, by its address.
  };
  struct Pointer {
    std::size_t at;
    std::uint64_t address;
  };

  // The chunk of object number `parent`, which must come before `index`.
  std::size_t FindParent(std::uint64_t index, std::uint64_t parent) const {
    if (parent >= index) return kNone;
    const auto found = std::lower_bound(
        chunks_.begin(), chunks_.end(), parent,
        [](const Chunk& chunk, std::uint64_t i) { return chunk.index < i; });
    if (found == chunks_.end() || found->index != parent) return kNone;
    return static_cast<std::size_t>(found - chunks_.begin());
  }

  // Whether `offset` of the memory of `parent` may be filled now.
  bool MayFill(std::size_t parent, std::uint64_t offset) const {
    if (chunks_[parent].data_offset == 0 &&
        !to_.receiver.context->options.quirks.parent_at_offset_zero) {
      return false;  // OB-29
    }
    std::size_t at = last_;
    std::uint64_t filled_to = last_filled_to_;
    while (at != parent) {
      if (at == kNone || chunks_[at].parent == kNone) return false;
      filled_to = chunks_[at].filled_to;
      at = chunks_[at].parent;
    }
    return offset >= filled_to;
  }

  const Translation<L>& to_;
  std::uint64_t next_;  // Where the next chunk goes, from the buffer's start.
  const std::uint64_t end_;
  std::vector<Chunk> chunks_;  // By index.
  std::vector<Pointer> pointers_;
  std::size_t last_ = kNone;          // The chunk that was processed last,
  std::uint64_t last_filled_to_ = 0;  // and how far it has been filled.
};

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_SCATTER_H_
