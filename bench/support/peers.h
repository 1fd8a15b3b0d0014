// SPDX-License-Identifier: Apache-2.0
//
// What a hand-over between threads costs in plain C++: a call without one, a
// turn that two threads give each other in all the usual ways (PingPong), and a
// queue of calls that many clients share (CallQueue). Payloads are copied once
// each way, as binder does.

#ifndef BINDERLITE_BENCH_SUPPORT_PEERS_H_
#define BINDERLITE_BENCH_SUPPORT_PEERS_H_

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "payload.h"
#include "subject.h"

namespace binderlite::bench {

inline void Copy(Bytes& to, const Bytes& from) {
  to.resize(from.size());
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

// Whether `answer` is what an echo service says to `payload`.
[[nodiscard]] inline bool Answers(const Bytes& answer, const Bytes& payload) {
  return answer.size() == payload.size() &&
         IsFilled(answer.data(), answer.size(),
                  ValueOf(payload.data(), payload.size()));
}

inline void FutexWait(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word),
            FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
inline void FutexWake(std::atomic<std::uint32_t>& word, int threads) {
  ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word),
            FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

// --- A call without a thread
// ---------------------------------------------------

// The caller runs the handler. Both copies are made, so that it differs from
// the others in the hand-over only.
class Direct {
 public:
  explicit Direct(const Setup& /*setup*/) {}

  class Client {
   public:
    explicit Client(Direct& /*service*/) {}
    bool Call(const Bytes& payload) {
      Copy(there_, payload);
      // Through a pointer that the compiler cannot see through, as the handler
      // of a service is.
      auto handler = &AnswerTo;
      benchmark::DoNotOptimize(handler);
      handler(there_.data(), there_.size(), answer_);
      Copy(back_, answer_);
      return Answers(back_, payload);
    }

   private:
    Bytes there_;
    Bytes answer_;
    Bytes back_;
  };
};

// --- Two threads and a turn
// ----------------------------------------------------

class SpinTurn {
 public:
  void Give(std::uint32_t to) { turn_.store(to, std::memory_order_release); }
  void Await(std::uint32_t mine) {
    // With both threads on one processor spinning needs help to be finite.
    for (int spins = 0; turn_.load(std::memory_order_acquire) != mine;) {
      if (++spins % (1 << 14) == 0) std::this_thread::yield();
    }
  }

 private:
  std::atomic<std::uint32_t> turn_{0};
};

class FutexTurn {
 public:
  void Give(std::uint32_t to) {
    turn_.store(to, std::memory_order_release);
    FutexWake(turn_, 1);
  }
  void Await(std::uint32_t mine) {
    for (;;) {
      const std::uint32_t turn = turn_.load(std::memory_order_acquire);
      if (turn == mine) return;
      FutexWait(turn_, turn);
    }
  }

 private:
  std::atomic<std::uint32_t> turn_{0};
};

class AtomicTurn {
 public:
  void Give(std::uint32_t to) {
    turn_.store(to, std::memory_order_release);
    turn_.notify_one();
  }
  void Await(std::uint32_t mine) {
    for (;;) {
      const std::uint32_t turn = turn_.load(std::memory_order_acquire);
      if (turn == mine) return;
      turn_.wait(turn, std::memory_order_acquire);
    }
  }

 private:
  std::atomic<std::uint32_t> turn_{0};
};

class AwaitTurn {
 public:
  void Give(std::uint32_t to) {
    absl::MutexLock lock(&mu_);
    turn_ = to;
  }
  void Await(std::uint32_t mine) {
    const auto is_mine = [this, mine] {
      mu_.AssertReaderHeld();
      return turn_ == mine;
    };
    absl::MutexLock lock(&mu_, absl::Condition(&is_mine));
  }

 private:
  absl::Mutex mu_;
  std::uint32_t turn_ ABSL_GUARDED_BY(mu_) = 0;
};

class CondvarTurn {
 public:
  void Give(std::uint32_t to) {
    {
      const std::lock_guard lock(mu_);
      turn_ = to;
    }
    given_.notify_one();
  }
  void Await(std::uint32_t mine) {
    std::unique_lock lock(mu_);
    given_.wait(lock, [&] { return turn_ == mine; });
  }

 private:
  std::mutex mu_;
  std::condition_variable given_;
  std::uint32_t turn_ = 0;
};

// A payload and the turn that says it is there, numbered. What fits into one
// cache line is in one, as whoever writes this by hand would have it.
template <class Turn>
class Handover {
 public:
  explicit Handover(std::size_t size)
      : size_(size),
        offset_(sizeof(Turn) + size <= kLine
                    ? sizeof(Turn)
                    : (sizeof(Turn) + kLine - 1) / kLine * kLine),
        memory_(static_cast<std::byte*>(
            ::operator new (offset_ + size, std::align_val_t{kLine}))),
        turn_(new (memory_) Turn) {}
  ~Handover() {
    turn_->~Turn();
    ::operator delete (memory_, std::align_val_t{kLine});
  }
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  void Put(const Bytes& payload) {
    if (size_ != 0) std::memcpy(data(), payload.data(), size_);
  }
  [[nodiscard]] std::byte* data() const { return memory_ + offset_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Turn& turn() const { return *turn_; }

 private:
  static constexpr std::size_t kLine = 64;

  const std::size_t size_;
  const std::size_t offset_;
  std::byte* const memory_;
  Turn* const turn_;
};

// One client and one server.
template <class Turn>
class PingPong {
 public:
  explicit PingPong(const Setup& setup)
      : there_(setup.bytes), back_(setup.bytes), server_([this, setup] {
          setup.PlaceServer();
          Serve();
        }) {}
  ~PingPong() {
    stop_ = true;
    there_.turn().Give(calls_ + 1);
    server_.join();
  }
  PingPong(const PingPong&) = delete;
  PingPong& operator=(const PingPong&) = delete;

  class Client {
   public:
    explicit Client(PingPong& service) : service_(service) {}
    bool Call(const Bytes& payload) {
      const std::uint32_t call = ++service_.calls_;
      service_.there_.Put(payload);
      service_.there_.turn().Give(call);
      service_.back_.turn().Await(call);
      return payload.size() == service_.back_.size() &&
             IsFilled(service_.back_.data(), payload.size(),
                      ValueOf(payload.data(), payload.size()));
    }

   private:
    PingPong& service_;
  };

 private:
  void Serve() {
    Bytes answer(there_.size());
    for (std::uint32_t call = 1;; ++call) {
      there_.turn().Await(call);
      if (stop_) return;
      AnswerTo(there_.data(), there_.size(), answer);
      back_.Put(answer);
      back_.turn().Give(call);
    }
  }

  Handover<Turn> there_;
  Handover<Turn> back_;
  // Of the client.
  alignas(64) std::uint32_t calls_ = 0;
  bool stop_ = false;
  alignas(64) std::thread server_;
};

// --- Many clients, many servers, one queue
// -------------------------------------

// A call in a queue. The queue does not look inside.
template <class Done>
struct QueuedCall {
  Bytes there;
  Bytes back;
  Done done;
};

// Sleeps in the kernel; wakes only who said that he sleeps.
class FutexDone {
 public:
  void Reset() { state_.store(kPending, std::memory_order_relaxed); }
  void Set() {
    if (state_.exchange(kDone, std::memory_order_acq_rel) == kAsleep) {
      FutexWake(state_, 1);
    }
  }
  void Wait() {
    std::uint32_t pending = kPending;
    if (!state_.compare_exchange_strong(pending, kAsleep,
                                        std::memory_order_acq_rel)) {
      return;
    }
    while (state_.load(std::memory_order_acquire) != kDone) {
      FutexWait(state_, kAsleep);
    }
  }

 private:
  static constexpr std::uint32_t kPending = 0;
  static constexpr std::uint32_t kAsleep = 1;
  static constexpr std::uint32_t kDone = 2;
  std::atomic<std::uint32_t> state_{kPending};
};

// A mutex, and a futex for servers that find nothing.
class FutexQueue {
 public:
  using Done = FutexDone;
  using Item = QueuedCall<Done>;

  void Push(Item* item) {
    bool wake = false;
    {
      const std::lock_guard lock(mu_);
      items_.push_back(item);
      pushed_.fetch_add(1, std::memory_order_release);
      wake = sleepers_ > 0;
    }
    if (wake) FutexWake(pushed_, 1);
  }
  Item* Pop() {
    std::unique_lock lock(mu_);
    while (items_.empty()) {
      const std::uint32_t seen = pushed_.load(std::memory_order_acquire);
      ++sleepers_;
      lock.unlock();
      FutexWait(pushed_, seen);
      lock.lock();
      --sleepers_;
    }
    Item* const item = items_.front();
    items_.pop_front();
    return item;
  }

 private:
  std::mutex mu_;
  std::deque<Item*> items_;
  int sleepers_ = 0;
  std::atomic<std::uint32_t> pushed_{0};
};

class AwaitDone {
 public:
  void Reset() {
    absl::MutexLock lock(&mu_);
    done_ = false;
  }
  void Set() {
    absl::MutexLock lock(&mu_);
    done_ = true;
  }
  void Wait() { absl::MutexLock lock(&mu_, absl::Condition(&done_)); }

 private:
  absl::Mutex mu_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
};

class AwaitQueue {
 public:
  using Done = AwaitDone;
  using Item = QueuedCall<Done>;

  void Push(Item* item) {
    absl::MutexLock lock(&mu_);
    items_.push_back(item);
  }
  Item* Pop() {
    const auto has_some = [this] {
      mu_.AssertReaderHeld();
      return !items_.empty();
    };
    absl::MutexLock lock(&mu_, absl::Condition(&has_some));
    Item* const item = items_.front();
    items_.pop_front();
    return item;
  }

 private:
  absl::Mutex mu_;
  std::deque<Item*> items_ ABSL_GUARDED_BY(mu_);
};

template <class Queue>
class CallQueue {
 public:
  explicit CallQueue(const Setup& setup) : setup_(setup) {
    for (int i = 0; i < setup.loopers; ++i) {
      servers_.emplace_back([this] {
        setup_.PlaceServer();
        Serve();
      });
    }
  }
  ~CallQueue() {
    for (std::size_t i = 0; i < servers_.size(); ++i) queue_.Push(nullptr);
    for (std::thread& server : servers_) server.join();
  }
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  class Client {
   public:
    explicit Client(CallQueue& service) : queue_(service.queue_) {}
    bool Call(const Bytes& payload) {
      Copy(item_.there, payload);
      item_.done.Reset();
      queue_.Push(&item_);
      item_.done.Wait();
      return Answers(item_.back, payload);
    }

   private:
    Queue& queue_;
    typename Queue::Item item_;
  };

 private:
  void Serve() {
    Bytes answer;
    while (typename Queue::Item* const item = queue_.Pop()) {
      AnswerTo(item->there.data(), item->there.size(), answer);
      Copy(item->back, answer);
      item->done.Set();
    }
  }

  Setup setup_;
  Queue queue_;
  std::vector<std::thread> servers_;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_PEERS_H_
