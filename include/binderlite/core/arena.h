// SPDX-License-Identifier: Apache-2.0
//
// Arena: the receive memory of one Proc. Senders allocate Buffers in it, best
// fit and 8-byte aligned; one-way payloads may take up half of it. Its owner
// reads them in place and frees them by address.
//
// Takes its own mutex (policy section "arena"), which is held for bookkeeping
// only: payloads are copied outside of it, and a delivered or dropped Buffer is
// left without it, by a change of its state. The memory
// stays mapped as long as the Arena lives, also after Unmap, so a sender that
// is still copying never faults.
// Kernel: binder_alloc.

#ifndef BINDERLITE_CORE_ARENA_H_
#define BINDERLITE_CORE_ARENA_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/config.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/spares.h"
#include "binderlite/core/table.h"
#include "binderlite/memory/align.h"
#include "binderlite/memory/mapping.h"
#include "binderlite/memory/range_allocator.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"

namespace binderlite::core {

template <class L>
class Arena {
 public:
  // The largest usable arena; more is mapped to no avail (AL-01).
  static constexpr std::size_t kMaxSize = std::size_t{4} << 20;

  using Layout = typename Buffer<L>::Layout;
  using Purpose = typename Buffer<L>::Purpose;
  using Ranges = memory::BasicRangeAllocator<decltype(Purpose::sender_pid)>;

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  // Nobody carries a buffer of it any more.
  ~Arena() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::vector<std::unique_ptr<Buffer<L>>> all;
    buffers_.ForEach([&all](Buffer<L>& buffer) { all.emplace_back(&buffer); });
  }

  // Maps min(size, kMaxSize) bytes, rounded up to whole pages. kBusy when it
  // has been mapped before, even if unmapped since; kInvalid for size 0;
  // kNoMemory when the address space does not have it.
  Errc Map(std::size_t size) {
    if (size == 0) return Errc::kInvalid;
    if (size > kMaxSize) size = kMaxSize;
    size = memory::AlignUp(size, memory::kPageSize);
    memory::Mapping mapping(size);
    if (mapping.data() == nullptr) return Errc::kNoMemory;
    const auto address = reinterpret_cast<std::uint64_t>(mapping.data());
    return Map(std::move(mapping), address);
  }

  // The same with memory that its owner sees elsewhere: what the driver writes
  // into `mapping` is read from `user_address` on, and all addresses that the
  // driver reports or takes are of that view, which is the owner's to keep and
  // to unmap. kBusy as above. `mapping` has whole pages, at most kMaxSize
  // bytes.
  Errc Map(memory::Mapping mapping, std::uint64_t user_address) {
    const std::size_t size = mapping.size();
    BINDERLITE_ASSERT(size != 0 && size <= kMaxSize);
    sync::MutexLock lock(mu_);
    if (mapping_.data() != nullptr) return Errc::kBusy;
    mapping_ = std::move(mapping);
    user_address_ = user_address;
    ranges_ = Ranges(size);
    free_async_ = size / 2;
    spares_.set_most(MostSpares(size));
    mapped_ = true;
    return Errc::kOk;
  }

  // From now on every allocation fails with kNoProcess.
  void Unmap() {
    sync::MutexLock lock(mu_);
    mapped_ = false;
  }

  // How many Buffers' memory it keeps for the next ones. A burst of small
  // messages needs as many, and to get that from the heap and give it back
  // costs more than the rest of such a message.
  [[nodiscard]] std::size_t most_spares() const {
    sync::MutexLock lock(mu_);
    return MostSpares(mapping_.size());
  }

  struct Allocation {
    Errc error = Errc::kOk;
    Buffer<L>* buffer = nullptr;
    bool spam_suspect = false;  // AL-22
  };

  // A new buffer, which stays the Arena's; it is the caller's to fill. Fails
  // with kNoProcess (not mapped), kInvalid (the sizes do not add up), kNoSpace.
  // `purpose.sender_pid`: who pays for a one-way, for the detection of spam.
  [[nodiscard]] Allocation Allocate(const Layout& layout, bool is_async,
                                    const Purpose& purpose = {}) {
    std::size_t total = 0;
    const bool sums_up = Total(layout, total);
    sync::MutexLock lock(mu_);
    if (!mapped_) return {Errc::kNoProcess, nullptr};
    if (!sums_up) return {Errc::kInvalid, nullptr};
    if (is_async && total > free_async_) return {Errc::kNoSpace, nullptr};
    if (resting_ != nullptr) {
      if (!is_async && total == resting_->size) {
        return {Errc::kOk, WakeUp(layout, purpose)};
      }
      Settle();
    }
    std::int32_t last_sender = 0;
    const auto offset = ranges_.Allocate(total, &last_sender);
    if (!offset.has_value()) return {Errc::kNoSpace, nullptr};
    bool suspect = false;
    if (is_async) {
      free_async_ -= total;
      // The kernel counts it by the pid in its record, which is still that of
      // the buffer whose record it takes over (AL-22).
      suspect = IsSpam(purpose.sender_pid,
                       last_sender == purpose.sender_pid ? total : 0);
    }
    Buffer<L>* const result =
        spares_
            .New(mapping_.data() + *offset, user_address_ + *offset, *offset,
                 total, layout, is_async, purpose)
            .release();
    buffers_.Insert(*result);
    Tally(*result, /*comes=*/true);
    return {Errc::kOk, result, suspect};
  }

  // What `buffer`, which the caller carries, is to say is shorter than what it
  // was made for. It takes up as much as before.
  void Shrink(Buffer<L>& buffer, std::size_t data_size) {
    sync::MutexLock lock(mu_);
    BINDERLITE_ASSERT(data_size <= buffer.layout.data_size);
    buffer.layout.data_size = data_size;
  }

  // The receiver has been told of the buffer and may free it. The buffer is
  // not to be touched after this and the next one.
  void MarkDelivered(Buffer<L>& buffer) { Leave(buffer, State::kDelivered); }

  // The transaction is gone but not its buffer, which nobody can free any
  // more until the Proc is torn down (DT-05).
  void MarkOrphaned(Buffer<L>& buffer) { Leave(buffer, State::kOrphaned); }

  struct Returned {
    bool found = false;
    Buffer<L>* buffer = nullptr;  // The caller's to free.
    // Otherwise it has been freed, and this is left of it: the node that it was
    // sent to, with its local strong count; empty: it was a reply.
    Pin<Node<L>> target;
    bool is_async = false;
  };
  // Handles BC_FREE_BUFFER: frees the delivered buffer at exactly `address`,
  // or, if something is to be done with it before, makes that the caller's, and
  // the caller the only one who may free it.
  [[nodiscard]] Returned ClaimOrFree(std::uint64_t address) {
    Returned returned;
    sync::MutexLock lock(mu_);
    Buffer<L>* const buffer = FindDelivered(address);
    if (buffer == nullptr) return returned;
    returned.found = true;
    if (buffer->clear_on_free || !buffer->held.empty() ||
        !buffer->array_files.empty()) {
      SetState(*buffer, State::kInFlight);
      returned.buffer = buffer;
      return returned;
    }
    returned.is_async = buffer->is_async;
    returned.target = std::move(buffer->target_node);
    Remove(*buffer);
    return returned;
  }

  // Gives the memory back. What the buffer held must have been released.
  void Free(Buffer<L>& buffer) {
    BINDERLITE_ASSERT(buffer.held.empty() && !buffer.target_node);
    sync::MutexLock lock(mu_);
    Remove(buffer);
  }

  // Tears the Arena down with its Proc: no more allocations, and the buffers
  // that nobody carries are dropped. Those in flight stay until their carrier
  // frees them.
  void Retire() {
    std::vector<std::unique_ptr<Buffer<L>>> dropped;
    Spares<Buffer<L>> unused(0);
    sync::MutexLock lock(mu_);
    spares_.EndIn(unused);
    mapped_ = false;
    resting_ = nullptr;
    std::vector<Buffer<L>*> left;
    buffers_.ForEach([&left](Buffer<L>& buffer) {
      State seen = State::kInFlight;
      // Whoever carries it finds out, unless this finds that it has been left.
      if (!buffer.state_.compare_exchange_strong(seen, State::kOutlived)) {
        left.push_back(&buffer);
      }
    });
    for (Buffer<L>* const buffer : left) {
      GiveBack(*buffer);
      buffers_.Erase(*buffer);
      dropped.emplace_back(buffer);
    }
  }

  struct Usage {
    std::size_t size = 0;        // Bytes mapped; 0 before Map.
    std::size_t free_bytes = 0;  // In all holes together.
    std::size_t free_async = 0;  // What is left for one-ways.
    std::size_t holes = 0;
    std::size_t buffers = 0;    // Allocated, in any state.
    std::size_t delivered = 0;  // Of these, freeable by the owner.
    bool mapped = false;
    std::uint64_t address = 0;  // Of the owner's view.
  };
  [[nodiscard]] Usage usage() const {
    sync::MutexLock lock(mu_);
    Usage usage{.size = mapping_.size(),
                .free_bytes = ranges_.free_bytes(),
                .free_async = free_async_,
                .holes = ranges_.hole_count(),
                .buffers = buffers_.size(),
                .mapped = mapped_,
                .address = user_address_};
    if (resting_ != nullptr) {  // It has been the only one.
      usage.free_bytes = usage.size;
      usage.holes = 1;
      usage.buffers = 0;
    }
    buffers_.ForEach([&usage](const Buffer<L>& buffer) {
      if (StateOf(buffer) == State::kDelivered) ++usage.delivered;
    });
    return usage;
  }

  using State = BufferState;

  // What there is to tell of one buffer.
  struct BufferInfo {
    Purpose purpose;
    std::size_t offset = 0;
    Layout layout;
    State state = State::kInFlight;
    bool is_async = false;
  };
  // In no particular order.
  [[nodiscard]] std::vector<BufferInfo> ListBuffers() const {
    std::vector<BufferInfo> all;
    // Room is made without the lock, and then there may be more of them.
    for (bool complete = false; !complete;) {
      all.clear();
      std::size_t count = 0;
      {
        sync::MutexLock lock(mu_);
        count = buffers_.size();
        complete = count <= all.capacity();
        if (complete) List(all);
      }
      if (!complete) all.reserve(count + count / 4);
    }
    return all;
  }

 private:
  // There is room for them in `all`.
  void List(std::vector<BufferInfo>& all) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    buffers_.ForEach([&all](const Buffer<L>& buffer) {
      if (StateOf(buffer) == State::kResting) return;
      all.push_back({buffer.purpose, buffer.offset, buffer.layout,
                     StateOf(buffer), buffer.is_async});
    });
  }

  static State StateOf(const Buffer<L>& buffer) {
    const State state = buffer.state_.load(std::memory_order_acquire);
    return state == State::kOutlived ? State::kInFlight : state;
  }
  static void SetState(Buffer<L>& buffer, State state) {
    buffer.state_.store(state, std::memory_order_release);
  }

  [[nodiscard]] Buffer<L>* FindDelivered(std::uint64_t address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const std::uint64_t offset = address - user_address_;
    if (address < user_address_ || offset >= mapping_.size()) return nullptr;
    Buffer<L>* const buffer = buffers_.Find(static_cast<std::size_t>(offset));
    return buffer != nullptr && StateOf(*buffer) == State::kDelivered ? buffer
                                                                      : nullptr;
  }

  // The end of the buffer, which holds nothing any more. If it is the only one,
  // at the beginning of the memory, which is where the next one goes whatever
  // its size, it rests there: the next call may well have as much to say, and
  // then only the buffer itself changes.
  void Remove(Buffer<L>& buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (buffers_.size() == 1 && buffer.offset == 0 && !buffer.is_async &&
        mapped_) {
      SetState(buffer, State::kResting);
      resting_ = &buffer;
      // What is behind it would be cut off anew by the next one (AL-22).
      ranges_.ForgetMarks();
      return;
    }
    Forget(buffer);
  }

  // A new buffer in the place of the resting one.
  [[nodiscard]] Buffer<L>* WakeUp(const Layout& layout, const Purpose& purpose)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Buffer<L>& place = *std::exchange(resting_, nullptr);
    std::byte* const data = mapping_.data();
    const std::uint64_t address = user_address_;
    const std::size_t size = place.size;
    return &buffers_.Rebuild(place, [&](Buffer<L>* memory) {
      return ::new (memory) Buffer<L>(data, address, 0, size, layout,
                                      /*one_way=*/false, purpose);
    });
  }

  // The resting one is gone in earnest.
  void Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Forget(*std::exchange(resting_, nullptr));
  }

  void Forget(Buffer<L>& buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    GiveBack(buffer);
    buffers_.Erase(buffer);
    spares_.Delete(std::unique_ptr<Buffer<L>>(&buffer));
  }

  // The buffer's memory and, of a one-way, its part of the budget. Its sender
  // is remembered, for the next one there (AL-22).
  void GiveBack(const Buffer<L>& buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ranges_.Free(buffer.offset, buffer.size, buffer.purpose.sender_pid);
    if (buffer.is_async) free_async_ += buffer.size;
    Tally(buffer, /*comes=*/false);
  }

  // Its carrier leaves it. In a retired arena nobody is left to free the
  // buffer: it goes at once. Otherwise no lock is needed: see Retire.
  void Leave(Buffer<L>& buffer, State state) {
    State seen = State::kInFlight;
    if (buffer.state_.compare_exchange_strong(seen, state)) return;
    BINDERLITE_ASSERT(seen == State::kOutlived);
    const std::unique_ptr<Buffer<L>> gone(&buffer);  // After the lock.
    sync::MutexLock lock(mu_);
    GiveBack(buffer);
    buffers_.Erase(buffer);
  }

  // Whether the one-way that has just been paid for is the first one, since
  // there was room, of a sender that takes up too much of it (AL-22).
  // `new_bytes`: those of it that count, too.
  bool IsSpam(std::int32_t sender_pid, std::size_t new_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    constexpr std::size_t kManyBuffers = 50;
    const std::size_t size = mapping_.size();
    if (free_async_ >= size / 10) {
      spam_reported_ = false;
      StopTallying();
      return false;
    }
    if (spam_reported_) return false;
    if (!tallying_) {
      tallying_ = true;
      buffers_.ForEach([this](const Buffer<L>& buffer) {
        mu_.AssertHeld();
        Tally(buffer, /*comes=*/true);
      });
    }
    const Share* const found = shares_.Find(KeyOf(sender_pid));
    const Share share = found != nullptr ? *found : Share();
    const std::size_t buffers = share.buffers + (new_bytes > 0 ? 1 : 0);
    spam_reported_ =
        buffers > kManyBuffers || share.bytes + new_bytes > size / 4;
    if (spam_reported_) StopTallying();
    return spam_reported_;
  }

  // Keeps the shares up to date, for as long as they matter.
  void Tally(const Buffer<L>& buffer, bool comes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!tallying_ || !buffer.is_async) return;
    const std::uint64_t key = KeyOf(buffer.purpose.sender_pid);
    Share& share = shares_[key];
    if (comes) {
      ++share.buffers;
      share.bytes += buffer.size;
    } else {
      share.bytes -= buffer.size;
      if (--share.buffers == 0) shares_.Erase(key);
    }
  }
  void StopTallying() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!tallying_) return;
    tallying_ = false;
    shares_.Clear();
  }

  // Together at most half as large as the arena, unless it is tiny.
  static constexpr std::size_t kFewSpares = 64;
  static std::size_t MostSpares(std::size_t arena_size) {
    return std::max(kFewSpares, arena_size / 2 / sizeof(Buffer<L>));
  }

  // The accounted size; false when the sum does not fit.
  static bool Total(const Layout& layout, std::size_t& total) {
    total = 0;
    constexpr std::size_t kHarmless = std::size_t{1} << 30;
    if ((layout.data_size | layout.offsets_size | layout.extra_size) <
        kHarmless) {
      total = layout.extra_at() + memory::AlignUp(layout.extra_size, 8);
      if (total < 8) total = 8;
      return true;
    }
    for (const std::size_t part :
         {layout.data_size, layout.offsets_size, layout.extra_size}) {
      const std::size_t rounded = memory::AlignUp(part, 8);
      if (rounded < part || total + rounded < total) return false;
      total += rounded;
    }
    if (total < 8) total = 8;
    return true;
  }

  // What a call needs when a buffer is resting is on one line.
  alignas(kCacheLine) mutable typename L::ArenaMutex mu_;
  bool mapped_ ABSL_GUARDED_BY(mu_) = false;
  Buffer<L>* resting_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::uint64_t user_address_ ABSL_GUARDED_BY(mu_) = 0;
  memory::Mapping mapping_ ABSL_GUARDED_BY(mu_);
  Table<Buffer<L>> buffers_ ABSL_GUARDED_BY(mu_);  // By offset.
  Ranges ranges_ ABSL_GUARDED_BY(mu_);
  std::size_t free_async_ ABSL_GUARDED_BY(mu_) = 0;
  bool spam_reported_ ABSL_GUARDED_BY(mu_) = false;
  // What each sender has of the one-ways' memory while little of it is left and
  // nobody has been found to have too much.
  struct Share {
    std::size_t buffers = 0;
    std::size_t bytes = 0;
  };
  bool tallying_ ABSL_GUARDED_BY(mu_) = false;
  KeyedMap<Share> shares_ ABSL_GUARDED_BY(mu_);
  Spares<Buffer<L>> spares_ ABSL_GUARDED_BY(mu_){kFewSpares};
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_ARENA_H_
