// SPDX-License-Identifier: Apache-2.0
//
// Spares: memory of objects that are gone, kept for the next ones of their
// type, so that what comes and goes with every call needs no heap once it is
// warm. What it makes may also be deleted in the ordinary way, and what was
// made in the ordinary way may be left to it.
//
// No locks: belongs to one thread, or to what guards it.

#ifndef BINDERLITE_CORE_SPARES_H_
#define BINDERLITE_CORE_SPARES_H_

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace binderlite::core {

// Keeps at most kMost.
template <class T, std::size_t kMost>
class Spares {
 public:
  Spares() = default;
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;
  ~Spares() {
    while (count_ > 0) Release(blocks_[--count_]);
  }

  template <class... Args>
  [[nodiscard]] std::unique_ptr<T> New(Args&&... args) {
    if (count_ == 0) return std::make_unique<T>(std::forward<Args>(args)...);
    return std::unique_ptr<T>(::new (blocks_[--count_])
                                  T(std::forward<Args>(args)...));
  }

  // `object` may be null.
  void Delete(std::unique_ptr<T> object) {
    if (object == nullptr || count_ == kMost) return;
    T* const gone = object.release();
    std::destroy_at(gone);
    blocks_[count_++] = gone;
  }

  [[nodiscard]] std::size_t count() const { return count_; }

  // Leaves `keep` here, if there are as many, and the rest, as far as there is
  // room, there.
  template <std::size_t kOthersMost>
  void MoveTo(Spares<T, kOthersMost>& other, std::size_t keep) {
    while (count_ > keep && other.count_ < kOthersMost) {
      other.blocks_[other.count_++] = blocks_[--count_];
    }
  }

 private:
  template <class U, std::size_t kOthersMost>
  friend class Spares;

  // What delete does with the memory of a T, which has no operator of its own.
  static void Release(void* block) {
    std::allocator<T>().deallocate(static_cast<T*>(block), 1);
  }

  std::array<void*, kMost> blocks_ = {};
  std::size_t count_ = 0;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_SPARES_H_
