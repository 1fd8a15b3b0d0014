// SPDX-License-Identifier: Apache-2.0
//
// Table: a hash table of objects that bring their own link and their own key,
// so that finding one takes no more memory than a pointer in the object and
// one or two in the table. A Table owns nothing; a PinTable keeps what is in it
// pinned. KeyedMap is for values that are no objects of their own.
//
// No locks: belongs to whatever guards it, and so do the links. What is put in
// may make it grow, and allocate.

#ifndef BINDERLITE_CORE_TABLE_H_
#define BINDERLITE_CORE_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "binderlite/core/pin.h"

namespace binderlite::core {

// The key of a number that may be negative; keys are in the order of numbers.
[[nodiscard]] constexpr std::uint64_t KeyOf(std::int32_t number) {
  return static_cast<std::uint64_t>(std::int64_t{number} +
                                    (std::int64_t{1} << 31));
}

template <class T>
class Table;

// Base of what can be in a Table; T is the derived class, and has a member
// function `std::uint64_t table_key() const`, whose result never changes. An
// object is in one Table at a time.
template <class T>
class TableLink {
 public:
  TableLink(const TableLink&) = delete;
  TableLink& operator=(const TableLink&) = delete;

 protected:
  TableLink() = default;
  ~TableLink() = default;

 private:
  friend class Table<T>;
  T* next_ = nullptr;
};

template <class T>
class Table {
 public:
  Table() = default;
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // `object` is in no table. Others may have the same key.
  void Insert(T& object) {
    if (size_ == heads_.size()) Grow();
    Push(object);
    ++size_;
  }

  // `object` is in the table.
  void Erase(T& object) {
    T** link = &heads_[HeadOf(object.table_key())];
    while (*link != &object) link = &NextOf(**link);
    *link = std::exchange(NextOf(object), nullptr);
    --size_;
  }

  // One that has this key; nullptr when there is none.
  [[nodiscard]] T* Find(std::uint64_t key) const {
    if (size_ == 0) return nullptr;
    T* object = heads_[HeadOf(key)];
    while (object != nullptr && object->table_key() != key) {
      object = NextOf(*object);
    }
    return object;
  }

  // Destroys `object`, which is in the table, and has make(T*) construct
  // another one with the same key in its memory.
  template <class F>
  T& Rebuild(T& object, F make) {
    T* const next = NextOf(object);
    std::destroy_at(&object);
    T* const made = make(&object);
    NextOf(*made) = next;
    return *made;
  }

  // Calls fn(T&) for each, in no particular order.
  template <class F>
  void ForEach(F fn) const {
    for (T* object : heads_) {
      for (; object != nullptr; object = NextOf(*object)) fn(*object);
    }
  }

  // Takes all of them out, and calls fn(T&) for each, which may destroy it.
  template <class F>
  void TakeAll(F fn) {
    std::vector<T*> all;
    all.swap(heads_);
    size_ = 0;
    for (T* object : all) {
      while (object != nullptr) {
        T& taken = *object;
        object = std::exchange(NextOf(taken), nullptr);
        fn(taken);
      }
    }
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  static T*& NextOf(TableLink<T>& object) { return object.next_; }

  [[nodiscard]] std::size_t HeadOf(std::uint64_t key) const {
    // Spreads what lies close together, or a power of two apart.
    constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
    const std::uint64_t hash = (key ^ (key >> 32)) * kGolden;
    return static_cast<std::size_t>(hash >> 32) & (heads_.size() - 1);
  }
  void Push(T& object) {
    NextOf(object) = std::exchange(heads_[HeadOf(object.table_key())], &object);
  }
  void Grow() {
    std::vector<T*> old(heads_.empty() ? 16 : 2 * heads_.size());
    old.swap(heads_);
    for (T* object : old) {
      while (object != nullptr) Push(*std::exchange(object, NextOf(*object)));
    }
  }

  std::vector<T*> heads_;  // A power of two of them, or none.
  std::size_t size_ = 0;
};

// Objects that are pinned for as long as they are in it, one of each key.
template <class T>
class PinTable {
 public:
  PinTable() = default;
  PinTable(const PinTable&) = delete;
  PinTable& operator=(const PinTable&) = delete;
  ~PinTable() { (void)TakeAll(); }

  // nullptr when there is none.
  [[nodiscard]] T* Find(std::uint64_t key) const { return objects_.Find(key); }

  // What is there under the key of `object`, or else that itself, which is in
  // the table from now on.
  [[nodiscard]] Pin<T> FindOrInsert(const Pin<T>& object) {
    if (T* const found = Find(object->table_key())) return Pin<T>(found);
    objects_.Insert(*Pin<T>(object).Detach());
    return object;
  }

  // Takes `object` out; empty when it is not in.
  [[nodiscard]] Pin<T> Extract(T& object) {
    if (Find(object.table_key()) != &object) return {};
    objects_.Erase(object);
    return Pin<T>::Adopt(&object);
  }

  // All of them, in no particular order; after the second one they are in the
  // table no longer.
  [[nodiscard]] std::vector<Pin<T>> List() const {
    std::vector<Pin<T>> all;
    all.reserve(size());
    objects_.ForEach([&all](T& object) { all.emplace_back(&object); });
    return all;
  }
  [[nodiscard]] std::vector<Pin<T>> TakeAll() {
    std::vector<Pin<T>> all;
    all.reserve(size());
    objects_.TakeAll(
        [&all](T& object) { all.push_back(Pin<T>::Adopt(&object)); });
    return all;
  }

  // Calls fn(T&) for each, in no particular order.
  template <class F>
  void ForEach(F fn) const {
    objects_.ForEach(fn);
  }

  [[nodiscard]] std::size_t size() const { return objects_.size(); }
  [[nodiscard]] bool empty() const { return objects_.empty(); }

 private:
  Table<T> objects_;
};

// In ascending order of their keys.
template <class T>
void SortByKey(std::vector<Pin<T>>& objects) {
  std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) {
    return a->table_key() < b->table_key();
  });
}

// Values by number.
template <class V>
class KeyedMap {
 public:
  KeyedMap() = default;
  KeyedMap(const KeyedMap&) = delete;
  KeyedMap& operator=(const KeyedMap&) = delete;
  ~KeyedMap() { Clear(); }

  // nullptr when there is none.
  [[nodiscard]] V* Find(std::uint64_t key) const {
    Entry* const entry = entries_.Find(key);
    return entry == nullptr ? nullptr : &entry->value;
  }

  // That of `key`; V() if it is new.
  V& operator[](std::uint64_t key) {
    if (V* const found = Find(key)) return *found;
    auto made = std::make_unique<Entry>(key);
    entries_.Insert(*made);
    return made.release()->value;
  }

  // There may be none.
  void Erase(std::uint64_t key) {
    const std::unique_ptr<Entry> gone(entries_.Find(key));
    if (gone != nullptr) entries_.Erase(*gone);
  }

  void Clear() {
    entries_.TakeAll(
        [](Entry& entry) { const std::unique_ptr<Entry> gone(&entry); });
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry : TableLink<Entry> {
    explicit Entry(std::uint64_t number) : key(number) {}
    [[nodiscard]] std::uint64_t table_key() const { return key; }
    const std::uint64_t key;
    V value = {};
  };

  Table<Entry> entries_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_TABLE_H_
