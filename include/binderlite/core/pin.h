// SPDX-License-Identifier: Apache-2.0
//
// Pin and Pinned: how an object is kept in memory while it is used outside
// the lock under which it was found. A Pin says nothing about the object's
// protocol state: a pinned Node may have been deleted by its owner, a pinned
// Proc may be dead; whoever comes back with a Pin takes the lock again and
// looks.
//
// Lock-free. The last Pin destroys the object, so a Pin is never dropped while
// a driver mutex is held unless another Pin is known to exist.
// Kernel: the tmp_ref counts of nodes, threads and procs.

#ifndef BINDERLITE_CORE_PIN_H_
#define BINDERLITE_CORE_PIN_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "binderlite/config.h"

namespace binderlite::core {

template <class T>
class Pin;

// Base of everything that can be pinned; T is the derived class.
template <class T>
class Pinned {
 public:
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 protected:
  Pinned() = default;
  ~Pinned() = default;

 private:
  friend class Pin<T>;
  std::atomic<std::uint32_t> pins_{0};
};

// A counted pointer to a T.
template <class T>
class Pin {
 public:
  Pin() = default;
  explicit Pin(T* object) : object_(object) {
    if (object_ != nullptr) Add(*object_);
  }
  Pin(const Pin& other) : Pin(other.object_) {}
  Pin(Pin&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Pin& operator=(Pin other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Pin() {
    if (object_ != nullptr) Drop(*object_);
  }

  [[nodiscard]] T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

  // What has been counted goes on to be, for whoever calls Adopt with it.
  [[nodiscard]] T* Detach() { return std::exchange(object_, nullptr); }
  [[nodiscard]] static Pin Adopt(T* detached) {
    Pin pin;
    pin.object_ = detached;
    return pin;
  }

  void reset() { Pin().swap(*this); }
  void swap(Pin& other) noexcept { std::swap(object_, other.object_); }

  friend bool operator==(const Pin& a, const Pin& b) {
    return a.object_ == b.object_;
  }

 private:
  static void Add(Pinned<T>& object) {
    object.pins_.fetch_add(1, std::memory_order_relaxed);
  }
  static void Drop(Pinned<T>& object) {
    if (object.pins_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete static_cast<T*>(&object);
    }
  }

  T* object_ = nullptr;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_PIN_H_
