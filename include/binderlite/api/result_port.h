// SPDX-License-Identifier: Apache-2.0
//
// Results of asynchronous calls: one-ways to an object of the caller's, its
// reply port, each with the number of its call.
//
// While there is no room for one in the half of the caller's receive memory
// that is for these, it is kept by the callee's endpoint, and sent again with
// growing pauses, until it has gone, the caller is dead, or the endpoint
// closes, which is the callee's death. So that no caller can make an endpoint
// keep more and more, it keeps no more bytes of results than it has receive
// memory. What is beyond that, or could never be received, goes as
// kOutOfMemory, which is sent again like a result. No thread waits for any of
// this.
//
// No locks here.

#ifndef BINDERLITE_API_RESULT_PORT_H_
#define BINDERLITE_API_RESULT_PORT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "binderlite/api/envelope.h"
#include "binderlite/api/handler.h"
#include "binderlite/api/object.h"
#include "binderlite/api/pending.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/stored.h"
#include "binderlite/api/writer.h"
#include "binderlite/sync/locking.h"

namespace binderlite::api_internal {

// The interface of what takes the results of asynchronous calls.
inline constexpr InterfaceInfo kReplyPort = {"binderlite.ReplyPort",
                                             IdOf("binderlite.ReplyPort")};
inline constexpr std::uint32_t kResultCode = 1;

// Sends the result of an asynchronous call, what `write` makes of `what`.
inline Status SendResult(ApiObject& port,
                         void (*write)(Writer&, const void* what),
                         const void* what) {
  const CallOptions options;
  return port.Call({.interface = &kReplyPort,
                    .code = kResultCode,
                    .one_way = true,
                    .options = &options,
                    .write = write,
                    .arguments = what});
}
// Whether nothing more is to be done about a result. Nobody but the caller's
// death can end its call otherwise.
[[nodiscard]] inline bool IsSettled(const Status& sent) {
  return sent.ok() || sent == StatusCode::kDead || sent == StatusCode::kClosed;
}

// A result that its caller had no room for.
template <LockingPolicy L>
class UnsentResult {
 public:
  UnsentResult(Process<L>& process, std::shared_ptr<ApiObject> port)
      : process_(process), port_(std::move(port)), payload_(process) {}
  UnsentResult(const UnsentResult&) = delete;
  UnsentResult& operator=(const UnsentResult&) = delete;
  ~UnsentResult() {
    payload_.Drop();
    process_.unsent_bytes.fetch_sub(bytes_, std::memory_order_relaxed);
  }

  // Keeps what write(writer) writes. False: that cannot be, or must not.
  template <class Write>
  [[nodiscard]] bool Keep(const Write& write, std::uint64_t most) {
    if (payload_.Fill(write) != nullptr) return false;
    const std::uint64_t wanted =
        payload_.data().size() + payload_.offsets().size_bytes() + kOverhead;
    const std::size_t bytes = payload_.data().size();
    const std::size_t before =
        process_.unsent_bytes.fetch_add(bytes, std::memory_order_relaxed);
    bytes_ = bytes;
    return wanted <= most && before + bytes <= process_.options.arena_size;
  }
  // Whether it need not be tried again.
  [[nodiscard]] bool Send() const {
    return IsSettled(SendResult(
        *port_,
        [](Writer& writer, const void* payload) {
          static_cast<const StoredPayload<L>*>(payload)->CopyTo(writer);
        },
        &payload_));
  }

 private:
  // What a payload takes beside its own bytes, at most.
  static constexpr std::size_t kOverhead = 128;

  Process<L>& process_;  // The port's, which keeps it.
  const std::shared_ptr<ApiObject> port_;
  StoredPayload<L> payload_;
  std::size_t bytes_ = 0;
};

// The result of an asynchronous call: a one-way to whoever waits for it.
template <LockingPolicy L>
class PortSink final : public ReplySink {
 public:
  PortSink(Process<L>& process, std::shared_ptr<ApiObject> port,
           std::uint64_t pending)
      : process_(process), port_(std::move(port)), pending_(pending) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    const Answer answer = {pending_, write, result, nullptr};
    const Status sent = Give(answer);
    if (IsSettled(sent)) return;
    if (sent == StatusCode::kOutOfMemory &&
        Keep(answer, sent.shortage().size / 2)) {
      return;
    }
    Fail(Told(sent));
  }
  void Fail(const Status& status) override {
    const Answer answer = {pending_, nullptr, nullptr, &status};
    if (!IsSettled(Give(answer))) {
      (void)Keep(answer, std::numeric_limits<std::uint64_t>::max());
    }
  }

 private:
  struct Answer {
    std::uint64_t pending;
    void (*write)(Writer&, const void* result);
    const void* result;
    const Status* status;
  };
  static void Write(Writer& writer, const void* what) {
    const auto& answer = *static_cast<const Answer*>(what);
    writer.Number(answer.pending);
    writer.Number(std::uint64_t{answer.status != nullptr});
    if (answer.status != nullptr) {
      WriteStatus(writer, *answer.status);
    } else {
      answer.write(writer, answer.result);
    }
  }
  // What the caller is told of a result that could not be sent to it.
  static Status Told(const Status& sent) {
    if (sent == StatusCode::kMalformed) {
      return Status(StatusCode::kMalformed, Delivery::kYes,
                    "the result cannot be sent");
    }
    return sent;
  }
  Status Give(const Answer& answer) {
    return SendResult(*port_, &Write, &answer);
  }
  bool Keep(const Answer& answer, std::uint64_t most) {
    auto unsent = std::make_shared<UnsentResult<L>>(process_, port_);
    const auto write = [&answer](Writer& writer) { Write(writer, &answer); };
    if (!unsent->Keep(write, most) && answer.status == nullptr) return false;
    process_.pending->Repeat([unsent] { return unsent->Send(); });
    return true;
  }

  Process<L>& process_;
  const std::shared_ptr<ApiObject> port_;
  const std::uint64_t pending_;
};

// The end of an asynchronous call comes back here.
template <LockingPolicy L>
class ReplyPortHandler final : public Handler {
 public:
  explicit ReplyPortHandler(std::shared_ptr<PendingCalls<L>> pending)
      : pending_(std::move(pending)) {}
  void Run(const Caller& caller, Reader& arguments, ReplySink& reply) override {
    // Whoever waits for an answer to a result has made that up.
    if (!caller.is_one_way()) {
      return reply.Fail(Status(StatusCode::kRefused, Delivery::kYes));
    }
    std::uint64_t id = 0;
    std::uint64_t failed = 0;
    if (!arguments.Number(id) || !arguments.Number(failed)) return;
    if (failed != 0) {
      pending_->End(id, ReadStatus(arguments));
    } else {
      pending_->End(id, Status(), &arguments);
    }
  }

 private:
  const std::shared_ptr<PendingCalls<L>> pending_;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_RESULT_PORT_H_
