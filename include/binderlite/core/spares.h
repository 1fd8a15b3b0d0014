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

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace binderlite::core {

// Unused memory is linked by itself: however much there may be of it, as long
// as there is none it takes no room.
template <class T>
class Spares {
 public:
  // How many it keeps.
  explicit Spares(std::size_t most) : most_(most) {}
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;
  ~Spares() {
    while (first_ != nullptr) {
      std::allocator<T>().deallocate(static_cast<T*>(Pop()), 1);
    }
  }

  template <class... Args>
  [[nodiscard]] std::unique_ptr<T> New(Args&&... args) {
    if (first_ == nullptr) {
      return std::make_unique<T>(std::forward<Args>(args)...);
    }
    return std::unique_ptr<T>(::new (Pop()) T(std::forward<Args>(args)...));
  }

  // `object` may be null.
  void Delete(std::unique_ptr<T> object) {
    if (object == nullptr || count_ >= most_) return;
    T* const gone = object.release();
    std::destroy_at(gone);
    Push(gone);
  }

  [[nodiscard]] std::size_t count() const { return count_; }

  // From now on. What it has already it goes on to have.
  void set_most(std::size_t most) { most_ = most; }

  // Leaves `keep` here, if there are as many, and the rest, as far as there is
  // room, there.
  void MoveTo(Spares& other, std::size_t keep) {
    while (count_ > keep && other.count_ < other.most_) other.Push(Pop());
  }

  // Gives all of it to `other`, which has none, and keeps nothing any more.
  void EndIn(Spares& other) {
    std::swap(first_, other.first_);
    std::swap(count_, other.count_);
    most_ = 0;
  }

 private:
  // What the memory of a T holds meanwhile.
  struct Block {
    Block* next;
  };
  // NOLINTNEXTLINE(misc-redundant-expression): not for every T.
  static_assert(sizeof(T) >= sizeof(Block) && alignof(T) >= alignof(Block));

  void Push(void* memory) {
    first_ = ::new (memory) Block{first_};
    ++count_;
  }
  [[nodiscard]] void* Pop() {
    --count_;
    return std::exchange(first_, first_->next);
  }

  Block* first_ = nullptr;
  std::size_t count_ = 0;
  std::size_t most_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_SPARES_H_
