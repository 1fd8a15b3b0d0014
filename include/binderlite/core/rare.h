// SPDX-License-Identifier: Apache-2.0
//
// RareVector: a vector that is nearly always empty, and then takes up no more
// than a pointer.
//
// No locks: belongs to whatever it is a part of.

#ifndef BINDERLITE_CORE_RARE_H_
#define BINDERLITE_CORE_RARE_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace binderlite::core {

// (Points to its items by hand: as a unique_ptr would do it, std::vector<T> had
// to be compiled in each file that includes a header with a RareVector<T>.)
template <class T>
class RareVector {
 public:
  RareVector() = default;
  RareVector(const RareVector&) = delete;
  RareVector& operator=(const RareVector&) = delete;
  ~RareVector() { clear(); }

  [[nodiscard]] bool empty() const {
    return items_ == nullptr || items_->empty();
  }
  [[nodiscard]] std::size_t size() const {
    return items_ == nullptr ? 0 : items_->size();
  }
  [[nodiscard]] T* begin() {
    return items_ == nullptr ? nullptr : items_->data();
  }
  [[nodiscard]] T* end() { return begin() + size(); }
  [[nodiscard]] T& operator[](std::size_t index) { return (*items_)[index]; }

  void push_back(T item) {
    if (items_ == nullptr) items_ = new std::vector<T>;
    items_->push_back(std::move(item));
  }
  void clear() { delete std::exchange(items_, nullptr); }
  void swap(RareVector& other) noexcept { std::swap(items_, other.items_); }

 private:
  std::vector<T>* items_ = nullptr;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_RARE_H_
