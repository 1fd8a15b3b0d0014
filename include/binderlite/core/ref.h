// SPDX-License-Identifier: Apache-2.0
//
// Ref and RefTable: the handles of a Proc. A Ref joins one handle of one Proc
// to one Node, with a strong and a weak count; a Proc has at most one Ref to a
// node. When both counts are zero the handle is free again.
//
// The table and the counts are guarded by the refs mutex of the Proc; what is
// linked from the node's side (next_of_node, the registrations for death and
// freezing) by the node's mutex.
// Kernel: binder_ref. libbinder: BpBinder.

#ifndef BINDERLITE_CORE_REF_H_
#define BINDERLITE_CORE_REF_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/core/counts.h"
#include "binderlite/core/death.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/table.h"
#include "binderlite/fwd.h"

namespace binderlite::core {

template <class L>
class Ref : public TableLink<Ref<L>> {
 public:
  Ref(Proc<L>& holder, Node<L>& target, std::uint32_t debug_id,
      std::uint32_t the_handle)
      : id(debug_id), handle(the_handle), proc(&holder), node(&target) {
    node->counts().Add(ObjectKind::kRef);
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { node->counts().Remove(ObjectKind::kRef); }

  // Its place in the table that finds it by its node.
  [[nodiscard]] std::uint64_t table_key() const { return KeyOf(*node); }
  [[nodiscard]] static std::uint64_t KeyOf(const Node<L>& node) {
    return reinterpret_cast<std::uintptr_t>(&node);
  }

  const std::uint32_t id;
  const std::uint32_t handle;
  Proc<L>* const proc;  // The holder, which outlives its Refs.
  const Pin<Node<L>> node;

  int strong ABSL_GUARDED_BY(proc->refs_mu) = 0;
  int weak ABSL_GUARDED_BY(proc->refs_mu) = 0;

  std::unique_ptr<Death<L>> death ABSL_GUARDED_BY(node->mu);
  std::unique_ptr<Freeze<L>> freeze ABSL_GUARDED_BY(node->mu);
  Ref* next_of_node ABSL_GUARDED_BY(node->mu) = nullptr;
  Ref* prev_of_node ABSL_GUARDED_BY(node->mu) = nullptr;
};

// A set of small numbers that finds its lowest gap in a few steps. A template
// for the sake of those who include it and need none of what it is made of.
template <class = void>
class HandleSet {
 public:
  // The lowest number >= `from` that is not in the set; `from` is 0 or 1.
  [[nodiscard]] std::uint32_t LowestFree(std::uint32_t from) const {
    for (std::size_t s = 0; s < full_.size(); ++s) {
      // A word that only lacks number 0 is no help when that may not be used,
      // so the first word is looked at whatever its summary says.
      std::uint64_t open = ~full_[s];
      while (open != 0) {
        const auto bit = static_cast<std::size_t>(std::countr_zero(open));
        open &= open - 1;
        const std::size_t w = s * 64 + bit;
        if (w >= words_.size()) break;
        std::uint64_t gaps = ~words_[w];
        if (w == 0 && from == 1) gaps &= ~std::uint64_t{1};
        if (gaps != 0) {
          return static_cast<std::uint32_t>(
              w * 64 + static_cast<std::size_t>(std::countr_zero(gaps)));
        }
      }
    }
    const auto next = static_cast<std::uint32_t>(words_.size() * 64);
    return next < from ? from : next;
  }

  [[nodiscard]] bool Contains(std::uint32_t number) const {
    const std::size_t w = number / 64;
    return w < words_.size() && ((words_[w] >> (number % 64)) & 1) != 0;
  }

  void Insert(std::uint32_t number) {
    const std::size_t w = number / 64;
    if (w >= words_.size()) words_.resize(w + 1);
    if (w / 64 >= full_.size()) full_.resize(w / 64 + 1);
    words_[w] |= std::uint64_t{1} << (number % 64);
    if (words_[w] == ~std::uint64_t{0}) {
      full_[w / 64] |= std::uint64_t{1} << (w % 64);
    }
  }

  void Erase(std::uint32_t number) {
    const std::size_t w = number / 64;
    if (w >= words_.size()) return;
    words_[w] &= ~(std::uint64_t{1} << (number % 64));
    full_[w / 64] &= ~(std::uint64_t{1} << (w % 64));
  }

 private:
  std::vector<std::uint64_t> words_;  // One bit a number.
  std::vector<std::uint64_t> full_;   // One bit a word without a gap.
};

// The handles of one Proc; guarded by its refs mutex.
template <class L>
class RefTable {
 public:
  // nullptr when there is no such handle.
  [[nodiscard]] Ref<L>* Find(std::uint32_t handle) const {
    return handle < slots_.size() ? slots_[handle].get() : nullptr;
  }
  [[nodiscard]] Ref<L>* Find(const Node<L>& node) const {
    return by_node_.Find(Ref<L>::KeyOf(node));
  }

  // A new Ref without counts, under the lowest free handle. Handle 0 is for
  // the context manager's node alone. `node` must not be in the table.
  Ref<L>& Insert(Proc<L>& holder, Node<L>& node, std::uint32_t debug_id,
                 bool is_manager) {
    const std::uint32_t handle = used_.LowestFree(is_manager ? 0 : 1);
    used_.Insert(handle);
    if (handle >= slots_.size()) slots_.resize(std::size_t{handle} + 1);
    slots_[handle] = std::make_unique<Ref<L>>(holder, node, debug_id, handle);
    by_node_.Insert(*slots_[handle]);
    return *slots_[handle];
  }

  // Takes the Ref out; it is to be destroyed without locks.
  [[nodiscard]] std::unique_ptr<Ref<L>> Extract(std::uint32_t handle) {
    used_.Erase(handle);
    std::unique_ptr<Ref<L>> ref = std::move(slots_[handle]);
    by_node_.Erase(*ref);
    return ref;
  }

  [[nodiscard]] std::size_t size() const { return by_node_.size(); }

  // Calls fn(Ref&) for each, in ascending order of handles.
  template <class F>
  void ForEach(F fn) const {
    for (const auto& slot : slots_) {
      if (slot != nullptr) fn(*slot);
    }
  }

  // All handles in use are below it.
  [[nodiscard]] std::uint32_t limit() const {
    return static_cast<std::uint32_t>(slots_.size());
  }

 private:
  std::vector<std::unique_ptr<Ref<L>>> slots_;  // By handle.
  Table<Ref<L>> by_node_;
  HandleSet<> used_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_REF_H_
