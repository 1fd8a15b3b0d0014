// SPDX-License-Identifier: Apache-2.0
//
// Component: a Proc with a handler for calls, and loopers, each a worker of the
// policy's primitives, that serve them with it; the same handler serves calls
// on their callers' threads if that is asked for. So one test can be run both
// ways.

#ifndef BINDERLITE_TESTS_SUPPORT_COMPONENT_H_
#define BINDERLITE_TESTS_SUPPORT_COMPONENT_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "binderlite/driver/driver.h"
#include "support/gates.h"
#include "support/streams.h"

namespace binderlite::testing {

// How a call ended: BR_REPLY or what it failed with; or the call's own error.
struct CallResult {
  Br br = Br::BR_NOOP;
  std::string text = {};
  Errc error = Errc::kOk;

  friend bool operator==(const CallResult&, const CallResult&) = default;
  friend void PrintTo(const CallResult& answer, std::ostream* out) {
    *out << ToString(answer.br) << " \"" << answer.text << "\" "
         << ToString(answer.error);
  }
};

inline std::string TextOf(const Incoming& work) {
  return std::string(reinterpret_cast<const char*>(work.transaction.buffer),
                     static_cast<std::size_t>(work.transaction.data_size));
}

// The handle in object `index` of what was received.
inline std::uint32_t HandleIn(const Incoming& work, std::size_t index = 0) {
  std::uint64_t offset = 0;
  std::memcpy(&offset,
              reinterpret_cast<const void*>(work.transaction.offsets +
                                            index * sizeof(offset)),
              sizeof(offset));
  FlatObject object = {};
  std::memcpy(&object,
              reinterpret_cast<const void*>(work.transaction.buffer + offset),
              sizeof(object));
  return object.handle;
}

template <class L>
class Component {
 public:
  // Frees the buffer and replies, or does what a test wants instead.
  using Handler =
      std::function<void(Component&, BasicThread<L>& self, const Incoming&)>;

  Component(BasicContext<L>& context, ProcOptions options, Handler handler)
      : proc_(context.Open(std::move(options))),
        handler_(std::move(handler)),
        here_(std::make_shared<Here>(*this)) {}
  Component(const Component&) = delete;
  Component& operator=(const Component&) = delete;
  ~Component() { Stop(); }

  // Ends its loopers, and its Proc. Waits for handlers that run on callers'
  // threads, of which there must be none if nobody else can run.
  void Stop() {
    proc_.Kill();
    loopers_.clear();
    here_->Stop();
  }
  // The same, and waits until the Proc is torn down.
  void StopAndWait() {
    Stop();
    while (!proc_.released()) std::this_thread::yield();
  }

  [[nodiscard]] BasicProc<L>& proc() { return proc_; }
  // Has calls to `ptr` served on their callers' threads, and lets its own be.
  void RunOnCallers(std::uint64_t ptr = 0) {
    LetServe();
    proc_.RunOnCallers(ptr);
  }
  void LetServe() { proc_.SetCallHandler(here_); }

  // One more looper; its number.
  std::int32_t StartLooper() {
    BasicThread<L>& thread = threads_.emplace_back(proc_.Attach());
    loopers_.emplace_back("looper", [this, &thread] { Loop(thread); });
    return thread.tid();
  }
  // The same, and waits until it waits.
  std::int32_t StartLooper(GateHooks& gates) {
    const std::int32_t tid = StartLooper();
    gates.WaitFor(Point::kParking, tid);
    return tid;
  }

  // Calls as `self`, which serves what comes back meanwhile.
  CallResult Call(BasicThread<L>& self, std::uint32_t handle,
                  const Payload& payload, std::uint32_t code = 0) {
    TransactionData data = payload.Data(code);
    data.target.handle = handle;
    const Errc sent = self.Transact(data);
    if (sent != Errc::kOk) return {.error = sent};
    return Await(self);
  }
  CallResult Call(BasicThread<L>& self, std::uint32_t handle,
                  const std::string& text, std::uint32_t code = 0) {
    return Call(self, handle, Payload(text), code);
  }
  CallResult Await(BasicThread<L>& self) {
    for (;;) {
      Incoming work;
      const Errc error = self.NextWork(work);
      if (error != Errc::kOk) return {.error = error};
      if (work.is_transaction()) {
        handler_(*this, self, work);
      } else if (work.command == Br::BR_REPLY) {
        CallResult answer{.br = work.command, .text = TextOf(work)};
        const Errc freed = self.FreeBuffer(work.transaction.buffer);
        EXPECT_TRUE(freed == Errc::kOk || freed == Errc::kKilled ||
                    freed == Errc::kClosed);
        return answer;
      } else if (work.command == Br::BR_DEAD_REPLY ||
                 work.command == Br::BR_FAILED_REPLY ||
                 work.command == Br::BR_FROZEN_REPLY) {
        return {.br = work.command};
      }
    }
  }

  // Frees the buffer of `call` and answers it.
  static void Reply(BasicThread<L>& self, const Incoming& call,
                    const std::string& text) {
    (void)self.FreeBuffer(call.transaction.buffer);
    (void)self.Reply(Payload(text).Data());
  }

  // How many calls have been served on their callers' threads.
  [[nodiscard]] int served_here() const { return served_here_.load(); }

  // Told before the handler is called in this way.
  std::function<void(const ServedHere&)> on_served_here;

 private:
  // Outlives its component where a call that is on its way has it.
  class Here : public CallHandler<L> {
   public:
    explicit Here(Component& of) : component_(&of) {}

    void OnCall(BasicThread<L>& self, const Incoming& call,
                const ServedHere& here) override {
      running_.fetch_add(1);
      if (Component* const of = component_.load()) {
        of->served_here_.fetch_add(1);
        if (of->on_served_here) of->on_served_here(here);
        of->handler_(*of, self, call);
      }
      running_.fetch_sub(1);
    }
    void Stop() {
      component_.store(nullptr);
      while (running_.load() != 0) std::this_thread::yield();
    }

   private:
    std::atomic<Component*> component_;
    std::atomic<int> running_{0};
  };

  void Loop(BasicThread<L>& self) {
    if (self.EnterLooper() != Errc::kOk) return;
    for (;;) {
      Incoming work;
      const Errc error = self.NextWork(work);
      if (error == Errc::kInterrupted) continue;
      if (error != Errc::kOk) return;
      if (work.is_transaction()) handler_(*this, self, work);
      if (work.command == Br::BR_INCREFS) (void)self.IncRefsDone(work.node);
      if (work.command == Br::BR_ACQUIRE) (void)self.AcquireDone(work.node);
    }
  }

  BasicProc<L> proc_;
  const Handler handler_;
  const std::shared_ptr<Here> here_;
  std::atomic<int> served_here_{0};
  std::deque<BasicThread<L>> threads_;
  std::deque<typename L::Primitives::Worker> loopers_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_COMPONENT_H_
