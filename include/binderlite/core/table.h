// SPDX-License-Identifier: Apache-2.0
//
// Table: a hash table of objects that bring their own link and their own key,
// so that finding one takes no more memory than a pointer in the object and
// one or two in the table. A Table owns nothing. KeyedMap is a table of values
// that are no objects of their own; it owns them.
//
// No locks: belongs to whatever guards it, and so do the links. Insert may
// allocate, to grow; nothing else does.

#ifndef BINDERLITE_CORE_TABLE_H_
#define BINDERLITE_CORE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace binderlite::core {

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
