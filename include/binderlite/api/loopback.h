// SPDX-License-Identifier: Apache-2.0
//
// Loopback: calls of an endpoint's own objects, which the driver does not make.
// They go straight to the handler, on the calling thread, one-way ones too, and
// end when it returns; deadlines and stops are only looked at before. Arguments
// and results are written and read as for any other call, so that nothing
// depends on where an object lives.
//
// No locks but the Process's.

#ifndef BINDERLITE_API_LOOPBACK_H_
#define BINDERLITE_API_LOOPBACK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/api/local.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/transport.h"
#include "binderlite/api/writer.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"

namespace binderlite::api_internal {

// A payload that stays in its endpoint: what the driver makes of one on its
// way, but for memory and counts.
class LoopbackPayload final : public ObjectWriter, public ObjectReader {
 public:
  // Calls write(writer), twice if it is long. Why it cannot be sent, or null.
  template <class Write>
  [[nodiscard]] const char* Fill(Write write) {
    Writer writer(std::as_writable_bytes(std::span(room_)), this);
    write(writer);
    if (writer.failed()) return writer.why();
    size_ = writer.size();
    if (writer.fits()) return Send(room_, writer);
    many_.resize(size_ / sizeof(std::uint64_t) + 1);
    objects_.clear();
    Writer again(std::as_writable_bytes(std::span(many_)), this);
    write(again);
    return Send(many_.data(), again);
  }
  [[nodiscard]] std::span<const std::byte> data() const {
    return std::as_bytes(
               std::span(many_.empty() ? room_ : many_.data(),
                         many_.empty() ? std::size(room_) : many_.size()))
        .first(size_);
  }
  [[nodiscard]] std::span<const std::uint64_t> offsets() const {
    return offsets_;
  }

  // An object is its place in `objects_`.
  [[nodiscard]] bool Flatten(const std::shared_ptr<ApiObject>& object,
                             FlatObject& flat) override {
    flat = FlatObject{};
    flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
    flat.binder = objects_.size();
    objects_.push_back(object);
    return true;
  }
  [[nodiscard]] std::shared_ptr<ApiObject> Unflatten(
      const FlatObject& flat) override {
    return flat.binder < objects_.size() ? objects_[flat.binder] : nullptr;
  }

 private:
  // The receiver gets descriptors of its own.
  [[nodiscard]] const char* Send(std::uint64_t* payload, const Writer& writer) {
    const auto offsets = writer.offsets();
    offsets_.assign(offsets.begin(), offsets.end());
    FileTable files;
    const char* error = nullptr;
    for (const std::uint64_t offset : offsets_) {
      FdObject object;
      auto* const at = reinterpret_cast<std::byte*>(payload) + offset;
      std::memcpy(&object, at, sizeof(object));
      if (object.hdr.type != static_cast<std::uint32_t>(ObjectType::kFd)) {
        continue;
      }
      OpenFile file;
      int fd = -1;
      if (error == nullptr &&
          files.Get(static_cast<int>(object.fd), file) == Errc::kOk) {
        fd = files.Install(file);
      }
      if (fd < 0) error = "a descriptor that is not open";
      object.fd = static_cast<std::uint32_t>(fd);
      std::memcpy(at, &object, sizeof(object));
    }
    if (error != nullptr) const Reader closes(data(), offsets_);
    return error;
  }

  std::uint64_t room_[Conversation::kRoom / sizeof(std::uint64_t)];
  std::vector<std::uint64_t> many_;
  std::size_t size_ = 0;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::shared_ptr<ApiObject>> objects_;
};

// What a handler answers to a call from its own endpoint. `take` gets it:
// take(Status, Reader*), once.
template <class Take>
class LoopbackSink final : public ReplySink {
 public:
  explicit LoopbackSink(Take take) : take_(std::move(take)) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    LoopbackPayload payload;
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
  Take take_;
};

// Calls `object`; the answer goes to `take`, as above.
template <class Take>
void CallLoopback(const LocalObject& object, const Request& request,
                  Take take) {
  Process& process = object.process();
  const CallOptions& options = *request.options;
  if (options.stop.stop_requested()) {
    return take(Status(StatusCode::kCancelled), nullptr);
  }
  if (options.deadline != sync::kNoDeadline &&
      options.deadline <= std::chrono::steady_clock::now()) {
    return take(Status(StatusCode::kDeadline), nullptr);
  }
  LoopbackPayload payload;
  if (const char* const why = payload.Fill([&](Writer& writer) {
        if (request.write != nullptr) request.write(writer, request.arguments);
      })) {
    return take(Status(StatusCode::kMalformed, Delivery::kNo,
                       std::string("the arguments cannot be sent: ") + why),
                nullptr);
  }
  Session session(process);
  Frame& outer = session.frame();
  const Frame frame(&process, outer.slot, outer.thread, /*is_handler=*/true);
  const Process::HandlerScope scope(process, *outer.slot, &object.interface(),
                                    request.code, process.pid());
  if (!scope.may_run()) return take(Closed(Delivery::kNo), nullptr);
  Reader reader(payload.data(), payload.offsets(), &payload);
  const Caller caller(process.pid(), process.options.euid,
                      object.options.wants_label
                          ? std::string_view(process.options.label)
                          : std::string_view(),
                      request.one_way, options.deadline, process.stop());
  LoopbackSink<Take> sink(std::move(take));
  Dispatch(object, request.code, request.interface->id, caller, reader, &sink);
}

inline Status LocalObject::Call(const Request& request) {
  const auto self = shared_from_this();  // The handler may drop the last one.
  Status answer;
  CallLoopback(*this, request, [&](Status status, Reader* result) {
    if (status.ok() && request.read != nullptr && result != nullptr &&
        !request.read(*result, request.result)) {
      status = Status(StatusCode::kMalformed, Delivery::kYes,
                      "the result cannot be read");
    }
    answer = std::move(status);
  });
  return answer;
}

inline void LocalObject::CallLater(const Request& request,
                                   std::unique_ptr<Completion> completion) {
  const auto self = shared_from_this();
  CallLoopback(*this, request, [&](Status status, Reader* result) {
    completion->Done(std::move(status), result);
  });
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_LOOPBACK_H_
