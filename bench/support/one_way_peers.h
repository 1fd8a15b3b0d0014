// SPDX-License-Identifier: Apache-2.0
//
// One-way messages in plain C++: bounded rings of slots that the sender copies
// into and the receiver reads in place, on std::condition_variable and on
// absl::Mutex::Await. And Receiver, the thread that all one-way subjects have.

#ifndef BINDERLITE_BENCH_SUPPORT_ONE_WAY_PEERS_H_
#define BINDERLITE_BENCH_SUPPORT_ONE_WAY_PEERS_H_

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "payload.h"
#include "subject.h"

namespace binderlite::bench {

// What a receiver has seen.
class Received {
 public:
  // By the receiver only.
  void See(const void* data, std::size_t size) {
    if (!IsFilled(data, size, static_cast<unsigned char>(mine_))) {
      torn_.store(true, std::memory_order_relaxed);
    }
    count_.store(++mine_, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t count() const {
    return count_.load(std::memory_order_acquire);
  }
  // A message was torn, lost or out of order.
  [[nodiscard]] bool torn() const {
    return torn_.load(std::memory_order_relaxed);
  }

 private:
  alignas(64) std::uint64_t mine_ = 0;
  std::atomic<std::uint64_t> count_{0};
  std::atomic<bool> torn_{false};
};

// When(room, change): waits until room() holds, calls change() and tells the
// other side; both are called with the lock held.
class CondvarRing {
 public:
  template <class Room, class Change>
  void When(Room room, Change change) {
    {
      std::unique_lock lock(mu_);
      changed_.wait(lock, room);
      change();
    }
    changed_.notify_one();
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
};

class AwaitRing {
 public:
  template <class Room, class Change>
  void When(Room room, Change change) {
    absl::MutexLock lock(&mu_, absl::Condition(&room));
    change();
  }

 private:
  absl::Mutex mu_;
};

// A ring with one lock, which guards how many slots are taken; a slot itself
// belongs to one side at a time.
template <class Lock>
class LockedRing {
 public:
  explicit LockedRing(const Setup& setup)
      : slots_(OneWayBound(setup.bytes), Bytes(setup.bytes)),
        receiver_([this, setup] {
          setup.PlaceServer();
          Receive();
        }) {}
  ~LockedRing() {
    lock_.When([this] { return taken_ < slots_.size(); },
               [this] {
                 stop_ = true;
                 ++taken_;
               });
    receiver_.join();
  }
  LockedRing(const LockedRing&) = delete;
  LockedRing& operator=(const LockedRing&) = delete;

  bool Send(const Bytes& payload) {
    bool waited = false;
    lock_.When(
        [&] {
          if (taken_ < slots_.size()) return true;
          waited = true;
          return false;
        },
        [&] { full_ += waited ? 1 : 0; });
    Bytes& slot = slots_[next_in_];
    std::copy(payload.begin(), payload.end(), slot.begin());
    next_in_ = (next_in_ + 1) % slots_.size();
    lock_.When([] { return true; }, [this] { ++taken_; });
    return !received_.torn();
  }
  [[nodiscard]] std::uint64_t received() const { return received_.count(); }
  [[nodiscard]] std::uint64_t full() const { return full_; }

 private:
  void Receive() {
    for (std::size_t next_out = 0;;) {
      bool stopped = false;
      lock_.When([this] { return taken_ > 0; }, [&] { stopped = stop_; });
      if (stopped) return;
      const Bytes& slot = slots_[next_out];
      received_.See(slot.data(), slot.size());
      next_out = (next_out + 1) % slots_.size();
      lock_.When([] { return true; }, [this] { --taken_; });
    }
  }

  std::vector<Bytes> slots_;
  Lock lock_;
  std::size_t taken_ = 0;
  std::uint64_t full_ = 0;
  bool stop_ = false;
  std::size_t next_in_ = 0;
  Received received_;
  std::thread receiver_;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_ONE_WAY_PEERS_H_
