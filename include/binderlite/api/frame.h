// SPDX-License-Identifier: Apache-2.0
//
// Frame: what an OS thread is doing in endpoints; and ThreadSlot, one thread of
// an endpoint, as far as the driver is concerned.
//
// No locks: a Frame is its OS thread's own, and what reports read of a
// ThreadSlot is atomic.

#ifndef BINDERLITE_API_FRAME_H_
#define BINDERLITE_API_FRAME_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "binderlite/api/object.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"

namespace binderlite::api_internal {

// A looper, or a thread of the driver's that a caller's OS thread takes while
// it calls.
template <LockingPolicy L>
struct alignas(64) ThreadSlot {
  explicit ThreadSlot(BasicThread<L> its_thread)
      : thread(std::move(its_thread)) {}

  BasicThread<L> thread;
  // Handlers that run on it: nested calls and calls on their caller's thread
  // make it more than one. Written by whoever runs it.
  std::atomic<int> depth{0};
  // Of the innermost.
  std::atomic<const InterfaceInfo*> interface { nullptr };
  std::atomic<std::uint32_t> code{0};
  std::atomic<std::int32_t> caller{0};
  std::atomic<std::int64_t> since{0};  // steady_clock, nanoseconds.
};

// What an OS thread is doing in endpoints, innermost first: so that a call that
// a handler makes goes out on the thread that it is served on, as the protocol
// wants it (a call back finds its way only so), and that one which closes an
// endpoint from within does not wait for itself.
class Frame {
 public:
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  // Of the calling OS thread; null: it is in none.
  [[nodiscard]] static Frame* Innermost() { return innermost_; }

  const AnyProcess* const process;
  const bool handler;
  // It waits in the driver, or for the end of a call; what else this OS thread
  // has to say goes out on another thread.
  bool in_call = false;
  // A handler that is in Process::Close, or has been.
  bool closes = false;
  Frame* const outer = innermost_;

 protected:
  Frame(const AnyProcess& whose, bool is_handler)
      : process(&whose), handler(is_handler) {
    innermost_ = this;
  }
  ~Frame() { innermost_ = outer; }

 private:
  static inline thread_local Frame* innermost_ = nullptr;
};

// The same, with what it does that on. The only kind of Frame that there is:
// all those of a Process have its locking.
template <LockingPolicy L>
class ThreadFrame final : public Frame {
 public:
  // `as`: where a call is served on its caller's thread, that is not the slot's
  // own.
  ThreadFrame(const AnyProcess& whose, ThreadSlot<L>& on, BasicThread<L>& as,
              bool is_handler)
      : Frame(whose, is_handler), slot(on), thread(as) {}

  ThreadSlot<L>& slot;
  BasicThread<L>& thread;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_FRAME_H_
