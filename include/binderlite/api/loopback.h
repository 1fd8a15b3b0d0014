// SPDX-License-Identifier: Apache-2.0
//
// Loopback: calls of an endpoint's own objects, which the driver does not make.
// They go straight to the handler, on the calling thread, one-way ones too, and
// end when it returns; deadlines and stops are looked at before, and can be by
// the handler. Arguments and results are written and read as for any other
// call, so that nothing depends on where an object lives.
//
// No locks but the Process's.

#ifndef BINDERLITE_API_LOOPBACK_H_
#define BINDERLITE_API_LOOPBACK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "binderlite/api/failure.h"
#include "binderlite/api/frame.h"
#include "binderlite/api/handler.h"
#include "binderlite/api/handler_stop.h"
#include "binderlite/api/local.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/session.h"
#include "binderlite/api/status.h"
#include "binderlite/api/stored.h"
#include "binderlite/api/writer.h"
#include "binderlite/sync/locking.h"

namespace binderlite::api_internal {

// What a handler answers to a call from its own endpoint. `take` gets it:
// take(Status, Reader*), once.
template <LockingPolicy L, class Take>
class LoopbackSink final : public ReplySink {
 public:
  LoopbackSink(const Process<L>& process, Take take)
      : process_(process), take_(std::move(take)) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    StoredPayload<L> payload(process_);
    if (const char* const why =
            payload.Fill([&](Writer& writer) { write(writer, result); })) {
      return Fail(Status(StatusCode::kMalformed, Delivery::kYes,
                         std::string("the result cannot be sent: ") + why));
    }
    Reader reader(payload.data(), payload.offsets(), &payload);
    take_(Status(), &reader);
  }
  void Fail(const Status& status) override { take_(status, nullptr); }

 private:
  const Process<L>& process_;
  Take take_;
};

// Calls `object`; the answer goes to `take`, as above. `later`: the call is an
// asynchronous one, and nobody's end of it is a thread's.
template <LockingPolicy L, class Take>
void CallLoopback(const LocalObject<L>& object, const Request& request,
                  bool later, Take take) {
  Process<L>& process = object.process();
  const CallOptions& options = *request.options;
  if (Status early = options.EndsBeforeItBegins(); !early.ok()) {
    return take(std::move(early), nullptr);
  }
  StoredPayload<L> payload(process);
  if (const char* const why = payload.Fill([&](Writer& writer) {
        if (request.write != nullptr) request.write(writer, request.arguments);
      })) {
    return take(Status(StatusCode::kMalformed, Delivery::kNo,
                       std::string("the arguments cannot be sent: ") + why),
                nullptr);
  }
  Reader reader(payload.data(), payload.offsets(), &payload);
  Session session(process);
  ThreadFrame<L>& outer = session.frame();
  const ThreadFrame<L> frame(process, outer.slot, outer.thread,
                             /*is_handler=*/true);
  typename Process<L>::HandlerScope scope(process, outer.slot, frame);
  if (!scope.may_run()) return take(Closed(Delivery::kNo), nullptr);
  const bool one_way = request.one_way && !later;
  const std::int32_t pid = one_way || later ? 0 : process.pid();
  scope.Show(&object.interface(), request.code, pid);
  HandlerStop<L> stop(
      process, {.deadline = one_way ? sync::kNoDeadline : options.deadline,
                .stop = one_way ? std::stop_token() : options.stop});
  const Caller caller(pid, process.options.euid,
                      object.options.wants_label
                          ? std::string_view{process.options.label}
                          : std::string_view(),
                      one_way, options.deadline, stop);
  if (one_way) {
    // Whatever becomes of it, nobody hears.
    object.Serve(request.code, request.interface->id, caller, reader, nullptr);
    return take(Status(), nullptr);
  }
  LoopbackSink<L, Take> sink(process, std::move(take));
  object.Serve(request.code, request.interface->id, caller, reader, &sink);
}

template <LockingPolicy L>
Status LocalObject<L>::Call(const Request& request) {
  const auto self =
      this->shared_from_this();  // The handler may drop the last one.
  Status answer;
  CallLoopback(*this, request, false, [&](Status status, Reader* result) {
    if (status.ok() && request.read != nullptr && result != nullptr &&
        !request.read(*result, request.result)) {
      status = Status(StatusCode::kMalformed, Delivery::kYes,
                      "the result cannot be read");
    }
    answer = std::move(status);
  });
  return answer;
}

template <LockingPolicy L>
void LocalObject<L>::CallLater(const Request& request,
                               std::unique_ptr<Completion> completion) {
  const auto self = this->shared_from_this();
  CallLoopback(*this, request, true, [&](Status status, Reader* result) {
    completion->Done(std::move(status), result);
  });
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_LOOPBACK_H_
