// SPDX-License-Identifier: Apache-2.0
//
// RangeAllocator: hands out ranges of [0, size) without touching what they
// stand for. It decides where in a receive arena each buffer goes, exactly as
// the kernel does: best fit, split at the requested size, merged with both
// neighbours when freed.
//
// No locks: the arena that owns one serialises its use. No call needs more than
// O(log n) comparisons for n holes, plus moving at most 32 * n bytes. Only
// Allocate() can allocate heap memory, and only while the number of live ranges
// exceeds every earlier one (in doubling steps, see Reserve()); Free() never
// does, so it cannot fail. Breaking a precondition is caught by
// BINDERLITE_ASSERT where it can be noticed: ranges in use are not recorded
// here, so a wrong size that overlaps no hole is not.

#ifndef BINDERLITE_MEMORY_RANGE_ALLOCATOR_H_
#define BINDERLITE_MEMORY_RANGE_ALLOCATOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <vector>

#include "binderlite/config.h"

namespace binderlite::memory {

// Every hole is listed twice, in two flat vectors: by offset, to find the
// neighbours of what is freed, and by (size, offset), to find the smallest that
// is large enough and, of equal ones, the lowest. There are rarely more than
// ten, and for ten nothing is faster than an array; for thousands, moving the
// tail of one is still cheap.
//
// `Mark` is what a hole remembers of what was freed there. (A template, so that
// nothing of it is compiled where it is only included.)
//
// Kernel: the free_buffers tree and the buffers list of binder_alloc.
template <class Mark>
class BasicRangeAllocator {
 public:
  // All offsets and sizes are multiples of this; the caller rounds up.
  static constexpr std::size_t kAlignment = 8;

  // One hole of `size` bytes, or none if 0. `size` is a multiple of kAlignment.
  explicit BasicRangeAllocator(std::size_t size = 0)
      : size_(size), free_bytes_(size) {
    BINDERLITE_ASSERT(size % kAlignment == 0);
    if (size == 0) return;
    Reserve(kInitialRanges);
    by_offset_.push_back({0, size, {}});
    by_size_.push_back({0, size, {}});
  }

  // A moved-from allocator can only be destroyed or assigned to.
  BasicRangeAllocator(const BasicRangeAllocator&) = delete;
  BasicRangeAllocator& operator=(const BasicRangeAllocator&) = delete;
  BasicRangeAllocator(BasicRangeAllocator&&) noexcept = default;
  BasicRangeAllocator& operator=(BasicRangeAllocator&&) noexcept = default;

  // Makes room for that many live ranges, so that the next calls need no heap
  // allocation until there are more of them.
  void Reserve(std::size_t ranges) {
    by_offset_.reserve(ranges + 1);
    by_size_.reserve(ranges + 1);
  }

  // The offset of a range of `size` bytes, which is the caller's until freed;
  // nothing if no hole is large enough, even if all of them together would be
  // (the kernel's ENOSPC). `size` is a multiple of kAlignment and not 0. `mark`
  // becomes that of the hole: what was last freed at its lowest offset left it
  // there; Mark() in memory that has not been in use since it was cut off or
  // joined to a lower hole.
  [[nodiscard]] std::optional<std::size_t> Allocate(std::size_t size,
                                                    Mark* mark = nullptr) {
    BINDERLITE_ASSERT(size != 0 && size % kAlignment == 0);
    const auto fit = FindBySize({0, size, {}});
    if (fit == by_size_.end()) return std::nullopt;
    if (mark != nullptr) *mark = FindByOffset(fit->offset)->mark;
    if (live_ >= capacity()) [[unlikely]] {
      const auto index = fit - by_size_.begin();
      Reserve(2 * (live_ + 1));
      return TakeFrom(by_size_.begin() + index, size);
    }
    return TakeFrom(fit, size);
  }

  // Takes back a range: `offset` as returned by Allocate(), `size` as passed to
  // it. Leaves `mark` in the hole, unless there is a lower one to join.
  void Free(std::size_t offset, std::size_t size, Mark mark = Mark()) noexcept {
    BINDERLITE_ASSERT(live_ != 0);
    BINDERLITE_ASSERT(size != 0 && size % kAlignment == 0);
    BINDERLITE_ASSERT(offset % kAlignment == 0);
    BINDERLITE_ASSERT(offset <= size_ && size <= size_ - offset);
    const auto next = FindByOffset(offset);
    const bool has_next = next != by_offset_.end();
    const bool has_previous = next != by_offset_.begin();
    // Whatever overlaps a hole was not allocated.
    BINDERLITE_ASSERT(!has_next || offset + size <= next->offset);
    BINDERLITE_ASSERT(!has_previous || std::prev(next)->end() <= offset);
    const bool join_next = has_next && next->offset == offset + size;
    const bool join_previous = has_previous && std::prev(next)->end() == offset;

    --live_;
    free_bytes_ += size;
    if (join_previous && join_next) {
      const Hole after = *next;
      const auto previous = std::prev(next);
      const Hole before = *previous;
      previous->size += size + after.size;
      by_size_.erase(FindBySize(after));
      by_offset_.erase(next);
      Replace(before, {before.offset, before.size + size + after.size, {}});
    } else if (join_previous) {
      const auto previous = std::prev(next);
      const Hole before = *previous;
      previous->size += size;
      Replace(before, *previous);
    } else if (join_next) {
      const Hole after = *next;
      *next = {offset, size + after.size, mark};
      Replace(after, *next);
    } else {
      by_offset_.insert(next, {offset, size, mark});
      by_size_.insert(FindBySize({offset, size, {}}), {offset, size, {}});
    }
  }

  // The marks of all holes become Mark().
  void ForgetMarks() {
    for (Hole& hole : by_offset_) hole.mark = Mark();
  }

  // Bytes that are managed, and bytes of all holes together.
  std::size_t size() const { return size_; }
  std::size_t free_bytes() const { return free_bytes_; }
  // The largest size that Allocate() would grant now; 0 if there are no holes.
  std::size_t largest_hole() const {
    return by_size_.empty() ? 0 : by_size_.back().size;
  }
  std::size_t hole_count() const { return by_offset_.size(); }
  // How many ranges can be live before Allocate() needs heap memory: one less
  // than there is room for holes, since n ranges leave at most n + 1.
  std::size_t capacity() const {
    const std::size_t holes =
        std::min(by_offset_.capacity(), by_size_.capacity());
    return holes == 0 ? 0 : holes - 1;
  }

 private:
  struct Hole {
    std::size_t offset;
    std::size_t size;
    Mark mark;  // In by_offset_; that of by_size_ means nothing.

    std::size_t end() const { return offset + size; }
  };
  using Holes = std::vector<Hole>;

  // Live ranges for which no heap allocation follows the constructor's.
  static constexpr std::size_t kInitialRanges = 64;

  static bool SmallerOrLower(const Hole& a, const Hole& b) {
    return a.size != b.size ? a.size < b.size : a.offset < b.offset;
  }

  // The first hole at or behind `offset`.
  typename Holes::iterator FindByOffset(std::size_t offset) {
    return std::lower_bound(
        by_offset_.begin(), by_offset_.end(), offset,
        [](const Hole& hole, std::size_t o) { return hole.offset < o; });
  }

  // The first hole that is `hole` or comes after it by (size, offset).
  typename Holes::iterator FindBySize(const Hole& hole) {
    return std::lower_bound(by_size_.begin(), by_size_.end(), hole,
                            SmallerOrLower);
  }

  // Cuts `size` bytes from the beginning of the hole at `fit` in by_size_.
  std::size_t TakeFrom(typename Holes::iterator fit, std::size_t size) {
    const Hole hole = *fit;
    const auto at = FindByOffset(hole.offset);
    if (hole.size == size) {
      by_offset_.erase(at);
      by_size_.erase(fit);
    } else {
      *at = {hole.offset + size, hole.size - size, {}};
      MoveDown(fit, *at);
    }
    free_bytes_ -= size;
    ++live_;
    return hole.offset;
  }

  // Puts `smaller` into by_size_ instead of the hole at `old`, which came after
  // it.
  void MoveDown(typename Holes::iterator old, const Hole& smaller) {
    const auto to =
        std::lower_bound(by_size_.begin(), old, smaller, SmallerOrLower);
    std::move_backward(to, old, old + 1);
    *to = smaller;
  }

  // Puts `larger` into by_size_ instead of `old`, which comes before it.
  void Replace(const Hole& old, const Hole& larger) {
    const auto from = FindBySize(old);
    const auto behind =
        std::lower_bound(from, by_size_.end(), larger, SmallerOrLower);
    const auto to = std::move(from + 1, behind, from);
    *to = larger;
  }

  std::size_t size_;
  std::size_t free_bytes_;
  std::size_t live_ = 0;  // ranges allocated and not freed
  Holes by_offset_;       // ascending; no two touch each other
  Holes by_size_;         // the same holes, ascending by (size, offset)
};

using RangeAllocator = BasicRangeAllocator<std::int32_t>;

}  // namespace binderlite::memory

#endif  // BINDERLITE_MEMORY_RANGE_ALLOCATOR_H_
