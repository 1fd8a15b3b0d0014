// SPDX-License-Identifier: Apache-2.0
//
// RareVector: a vector that is nearly always empty, and then takes up no more
// than a pointer.
//
// No locks: belongs to whatever it is a part of.

#ifndef BINDERLITE_CORE_RARE_H_
#define BINDERLITE_CORE_RARE_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace binderlite::core {

template <class T>
class RareVector {
 public:
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
    if (items_ == nullptr) items_ = std::make_unique<std::vector<T>>();
    items_->push_back(std::move(item));
  }
  void clear() { items_.reset(); }
  void swap(RareVector& other) noexcept { items_.swap(other.items_); }

 private:
  std::unique_ptr<std::vector<T>> items_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_RARE_H_
