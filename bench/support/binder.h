// SPDX-License-Identifier: Apache-2.0
//
// binderlite as a subject: an echo service behind handle 0 with any number of
// loopers, called with the driver's typed operations (TypedBinder) or with byte
// streams (StreamBinder), on both sides the same. Each client is a Proc of its
// own. ok() is false if the service could not be set up; calls fail then.

#ifndef BINDERLITE_BENCH_SUPPORT_BINDER_H_
#define BINDERLITE_BENCH_SUPPORT_BINDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "binderlite/binderlite.h"
#include "payload.h"
#include "subject.h"

namespace binderlite::bench {

[[nodiscard]] inline TransactionData DataOf(const Bytes& payload) {
  TransactionData data = {};
  data.data_size = payload.size();
  data.buffer = reinterpret_cast<std::uint64_t>(payload.data());
  return data;
}

[[nodiscard]] inline const void* BytesOf(const TransactionData& data) {
  return reinterpret_cast<const void*>(data.buffer);
}

[[nodiscard]] inline std::size_t SizeOf(const TransactionData& data) {
  return static_cast<std::size_t>(data.data_size);
}

// Whether `reply` is what an echo service says to `payload`.
[[nodiscard]] inline bool Answers(const TransactionData& reply,
                                  const Bytes& payload) {
  return SizeOf(reply) == payload.size() &&
         IsFilled(BytesOf(reply), payload.size(),
                  ValueOf(payload.data(), payload.size()));
}

// With threads that wait as `options` say.
[[nodiscard]] inline ContextOptions Waiting(const sync::WaitOptions& options) {
  ContextOptions context;
  context.spinners = std::make_shared<sync::Spinners>(options);
  return context;
}

// Writes commands, one after the other.
class CommandWriter {
 public:
  template <class T>
  void Put(Bc code, const T& value) {
    std::memcpy(bytes_.data() + size_, &code, sizeof(code));
    std::memcpy(bytes_.data() + size_ + sizeof(code), &value, sizeof(value));
    size_ += sizeof(code) + sizeof(value);
  }
  // Those written, as the first half of a BINDER_WRITE_READ.
  [[nodiscard]] WriteRead Take() {
    WriteRead args = {};
    args.write_size = std::exchange(size_, 0);
    args.write_buffer = reinterpret_cast<std::uint64_t>(bytes_.data());
    return args;
  }

 private:
  std::array<std::byte, 256> bytes_ = {};
  std::size_t size_ = 0;
};

// Calls see(code, payload) for each return command that a BINDER_WRITE_READ
// reads.
template <class L, class F>
Errc Exchange(BasicThread<L>& self, WriteRead args, const std::stop_token& stop,
              F see) {
  std::array<std::byte, 256> in;
  args.read_size = in.size();
  args.read_buffer = reinterpret_cast<std::uint64_t>(in.data());
  const Errc error = self.WriteRead(args, stop);
  if (error != Errc::kOk) return error;
  for (std::size_t at = 0; at < args.read_consumed;) {
    Br code = {};
    std::memcpy(&code, in.data() + at, sizeof(code));
    at += sizeof(code);
    see(code, in.data() + at);
    at += PayloadSize(code);
  }
  return Errc::kOk;
}

// Typed operations.
struct Typed {
  template <class L>
  static void Serve(BasicThread<L>& self, const std::stop_token& stop) {
    Bytes answer;
    TransactionData reply = {};
    Outgoing out;
    Incoming work;
    if (self.EnterLooper() != Errc::kOk) return;
    while (self.Exchange(out, work, stop) == Errc::kOk) {
      out = {};
      if (work.command != Br::BR_TRANSACTION) continue;
      AnswerTo(BytesOf(work.transaction), SizeOf(work.transaction), answer);
      reply = DataOf(answer);
      out = {.free_buffer = work.transaction.buffer, .reply = &reply};
    }
  }

  template <class L>
  class Caller {
   public:
    explicit Caller(BasicThread<L>& self) : self_(self) {}

    bool Call(const Bytes& payload) {
      const TransactionData data = DataOf(payload);
      Outgoing out = {.free_buffer = last_buffer_, .call = &data};
      last_buffer_ = 0;
      Incoming work;
      do {
        if (self_.Exchange(out, work) != Errc::kOk ||
            work.command == Br::BR_DEAD_REPLY ||
            work.command == Br::BR_FAILED_REPLY) {
          return false;
        }
        out = {};
      } while (work.command != Br::BR_REPLY);
      last_buffer_ = work.transaction.buffer;
      return Answers(work.transaction, payload);
    }

   private:
    BasicThread<L>& self_;
    std::uint64_t last_buffer_ = 0;
  };
};

// The same, but that the handler runs on the caller's thread.
template <class L>
class OnCaller : public CallHandler<L> {
 public:
  void OnCall(BasicThread<L>& self, const Incoming& call,
              const ServedHere& /*here*/) override {
    Bytes& answer = answers_[static_cast<std::size_t>(self.tid()) % kMost];
    AnswerTo(BytesOf(call.transaction), SizeOf(call.transaction), answer);
    const TransactionData reply = DataOf(answer);
    (void)self.Send({.free_buffer = call.transaction.buffer, .reply = &reply});
  }

 private:
  // One for each looper.
  static constexpr std::size_t kMost = 64;
  std::array<Bytes, kMost> answers_;
};

// Byte streams, in the way of libbinder: what is to be freed goes with the next
// command, and a command and the wait for its outcome are one ioctl.
struct Streams {
  template <class L>
  static void Serve(BasicThread<L>& self, const std::stop_token& stop) {
    if (self.EnterLooper() != Errc::kOk) return;
    Bytes answer;
    CommandWriter out;
    for (;;) {
      std::optional<TransactionData> call;
      const Errc error = Exchange(
          self, out.Take(), stop, [&](Br code, const std::byte* payload) {
            if (code != Br::BR_TRANSACTION) return;
            std::memcpy(&call.emplace(), payload, sizeof(TransactionData));
          });
      if (error != Errc::kOk) return;
      if (!call) continue;
      AnswerTo(BytesOf(*call), SizeOf(*call), answer);
      out.Put(Bc::BC_FREE_BUFFER, call->buffer);
      out.Put(Bc::BC_REPLY, DataOf(answer));
    }
  }

  template <class L>
  class Caller {
   public:
    explicit Caller(BasicThread<L>& self) : self_(self) {}

    bool Call(const Bytes& payload) {
      if (last_buffer_ != 0) out_.Put(Bc::BC_FREE_BUFFER, last_buffer_);
      last_buffer_ = 0;
      out_.Put(Bc::BC_TRANSACTION, DataOf(payload));
      bool over = false;
      bool ok = false;
      while (!over) {
        const Errc error = Exchange(
            self_, out_.Take(), {}, [&](Br code, const std::byte* bytes) {
              if (code == Br::BR_REPLY) {
                TransactionData reply = {};
                std::memcpy(&reply, bytes, sizeof(reply));
                last_buffer_ = reply.buffer;
                ok = Answers(reply, payload);
                over = true;
              } else if (code == Br::BR_DEAD_REPLY ||
                         code == Br::BR_FAILED_REPLY) {
                over = true;
              }
            });
        if (error != Errc::kOk) return false;
      }
      return ok;
    }

   private:
    BasicThread<L>& self_;
    CommandWriter out_;
    std::uint64_t last_buffer_ = 0;
  };
};

struct TypedOnCaller : Typed {};

template <class L, class Way>
class Binder {
 public:
  explicit Binder(const Setup& setup, const sync::WaitOptions& waiting = {})
      : context_(Waiting(waiting)),
        proc_(context_.Open({.name = "echo"})),
        places_(setup) {
    for (int i = 0; i < setup.loopers; ++i)
      threads_.push_back(proc_.Attach(i + 1));
    ok_ = threads_[0].SetContextMgr() == Errc::kOk;
    if constexpr (std::is_same_v<Way, TypedOnCaller>) {
      proc_.SetCallHandler(handler_);
      proc_.RunOnCallers(0);
    }
    for (BasicThread<L>& thread : threads_) {
      loopers_.emplace_back([this, &thread](const std::stop_token& stop) {
        places_.PlaceServer();
        Way::Serve(thread, stop);
      });
    }
  }
  Binder(const Binder&) = delete;
  Binder& operator=(const Binder&) = delete;

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] BasicContext<L>& context() { return context_; }

  class Client {
   public:
    explicit Client(Binder& binder)
        : ok_(binder.ok_),
          proc_(binder.context_.Open({.name = "client"})),
          thread_(proc_.Attach()) {
      if constexpr (std::is_same_v<Way, TypedOnCaller>) {
        proc_.SetCallHandler(binder.handler_);
      }
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    bool Call(const Bytes& payload) { return ok_ && caller_.Call(payload); }

   private:
    bool ok_;
    BasicProc<L> proc_;
    BasicThread<L> thread_;
    typename Way::template Caller<L> caller_{thread_};
  };

 private:
  const std::shared_ptr<OnCaller<L>> handler_ = std::make_shared<OnCaller<L>>();
  BasicContext<L> context_;
  BasicProc<L> proc_;
  Setup places_;
  bool ok_ = false;
  std::vector<BasicThread<L>> threads_;
  // Last: stopped and joined before the rest goes.
  std::vector<std::jthread> loopers_;
};

template <class L>
using TypedBinder = Binder<L, Typed>;
template <class L>
using OnCallerBinder = Binder<L, TypedOnCaller>;
template <class L>
using StreamBinder = Binder<L, Streams>;

// The same with Abseil's deadlock detection on.
template <class S>
class Detecting : private WithDeadlockDetection, public S {
 public:
  using S::S;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_BINDER_H_
