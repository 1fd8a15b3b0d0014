// SPDX-License-Identifier: Apache-2.0
//
// Work and WorkList: the items from which return commands are made, and the
// queues in which they wait. A Work is a member or a base of the object that
// it announces (a Transaction, a Node, a Death, ...), so queueing allocates
// nothing, and taking an item off whatever list it is on is O(1).
//
// No locks here: a list and the links of the items on it are guarded by the
// queues mutex of the Proc that owns the list, or by the node mutex for a
// node's list of waiting one-way transactions. A list owns nothing: who takes
// an item off also takes over the object behind it.
// Kernel: binder_work.

#ifndef BINDERLITE_CORE_WORK_H_
#define BINDERLITE_CORE_WORK_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "binderlite/config.h"

namespace binderlite::core {

enum class WorkType : std::uint8_t {
  kTransaction,             // BR_TRANSACTION or BR_REPLY; base of a Transaction
  kTransactionComplete,     // BR_TRANSACTION_COMPLETE; a Completion
  kPendingFrozen,           // BR_TRANSACTION_PENDING_FROZEN; a Completion
  kSpamSuspect,             // BR_ONEWAY_SPAM_SUSPECT; a Completion
  kReturnError,             // the command in the ReturnError it is a member of
  kNode,                    // BR_INCREFS, BR_ACQUIRE, BR_RELEASE, BR_DECREFS
  kDeadBinder,              // BR_DEAD_BINDER
  kDeadBinderAndClear,      // the same, and then kClearDeathNotification
  kClearDeathNotification,  // BR_CLEAR_DEATH_NOTIFICATION_DONE
  kFrozenBinder,            // BR_FROZEN_BINDER
  kClearFreezeNotification,  // BR_CLEAR_FREEZE_NOTIFICATION_DONE
};

[[nodiscard]] constexpr std::string_view ToString(WorkType type) {
  switch (type) {
    case WorkType::kTransaction:
      return "transaction";
    case WorkType::kTransactionComplete:
      return "transaction complete";
    case WorkType::kPendingFrozen:
      return "transaction pending frozen";
    case WorkType::kSpamSuspect:
      return "one-way spam suspect";
    case WorkType::kReturnError:
      return "error";
    case WorkType::kNode:
      return "node work";
    case WorkType::kDeadBinder:
      return "dead binder";
    case WorkType::kDeadBinderAndClear:
      return "cleared dead binder";
    case WorkType::kClearDeathNotification:
      return "cleared death notification";
    case WorkType::kFrozenBinder:
      return "frozen binder";
    case WorkType::kClearFreezeNotification:
      return "cleared freeze notification";
  }
  return "?";
}

// A link in a circular list; a Work is one, and so is a list's head.
class WorkLink {
 public:
  WorkLink() = default;
  WorkLink(const WorkLink&) = delete;
  WorkLink& operator=(const WorkLink&) = delete;

  // Whether the item is on any list.
  [[nodiscard]] bool queued() const { return next_ != nullptr; }

  // Takes the item off its list, if it is on one.
  void Unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }

 protected:
  ~WorkLink() = default;

 private:
  friend class WorkList;
  WorkLink* prev_ = nullptr;
  WorkLink* next_ = nullptr;
};

class Work : public WorkLink {
 public:
  explicit Work(WorkType work_type) : type(work_type) {}
  ~Work() { BINDERLITE_ASSERT(!queued()); }

  WorkType type;
};

class WorkList {
 public:
  WorkList() { head_.prev_ = head_.next_ = &head_; }
  WorkList(const WorkList&) = delete;
  WorkList& operator=(const WorkList&) = delete;
  ~WorkList() { BINDERLITE_ASSERT(empty()); }

  [[nodiscard]] bool empty() const { return head_.next_ == &head_; }

  [[nodiscard]] Work* front() {
    return empty() ? nullptr : static_cast<Work*>(head_.next_);
  }

  // `work` must not be on a list.
  void PushBack(Work& work) {
    BINDERLITE_ASSERT(!work.queued());
    WorkLink& link = work;
    link.prev_ = head_.prev_;
    link.next_ = &head_;
    head_.prev_->next_ = &link;
    head_.prev_ = &link;
  }

  // The same, before all others.
  void PushFront(Work& work) {
    BINDERLITE_ASSERT(!work.queued());
    WorkLink& link = work;
    link.prev_ = &head_;
    link.next_ = head_.next_;
    head_.next_->prev_ = &link;
    head_.next_ = &link;
  }

  // The oldest item, now off the list; nullptr when there is none.
  [[nodiscard]] Work* PopFront() {
    Work* work = front();
    if (work != nullptr) work->Unlink();
    return work;
  }

  // The youngest one likewise.
  [[nodiscard]] Work* PopBack() {
    if (empty()) return nullptr;
    Work* work = static_cast<Work*>(head_.prev_);
    work->Unlink();
    return work;
  }

  // Moves everything from `other` to the end of this list.
  void TakeAll(WorkList& other) {
    while (Work* work = other.PopFront()) PushBack(*work);
  }

  // Calls fn(Work&) for each item, oldest first; fn may unlink its item.
  template <class F>
  void ForEach(F fn) {
    for (WorkLink* link = head_.next_; link != &head_;) {
      WorkLink* next = link->next_;
      fn(static_cast<Work&>(*link));
      link = next;
    }
  }

  template <class F>
  void ForEach(F fn) const {
    for (const WorkLink* link = head_.next_; link != &head_;
         link = link->next_) {
      fn(static_cast<const Work&>(*link));
    }
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t count = 0;
    ForEach([&count](const Work&) { ++count; });
    return count;
  }

 private:
  struct Head : WorkLink {};
  Head head_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_WORK_H_
