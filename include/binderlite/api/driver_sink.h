// SPDX-License-Identifier: Apache-2.0
//
// DriverSink: the answer to a call that came through the driver. A small one
// goes out with the next read of the thread that has served the call, which is
// one entry into the driver less; a large one is written where the caller will
// read it.
//
// Never blocks. No locks but the driver's.

#ifndef BINDERLITE_API_DRIVER_SINK_H_
#define BINDERLITE_API_DRIVER_SINK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/api/envelope.h"
#include "binderlite/api/handler.h"
#include "binderlite/api/objects.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/config.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite::api_internal {

// A reply that is yet to go out.
struct ReplyRoom {
  TransactionData data = {};
  std::vector<std::uint64_t> offsets;
  alignas(8) std::byte payload[kSmallPayload];
};

// The answer to a call that came through the driver.
template <LockingPolicy L>
class DriverSink final : public ReplySink {
 public:
  // `thread` serves the call. What can wait for its next read is put into
  // `outgoing`, and kept in `room`.
  DriverSink(BasicThread<L>& thread, ObjectWriter& objects, Outgoing& outgoing,
             ReplyRoom& room)
      : thread_(thread), objects_(objects), outgoing_(outgoing), room_(room) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    BINDERLITE_ASSERT(!answered_);
    Writer writer(room_.payload, &objects_);
    write(writer, result);
    if (writer.failed()) {
      Fail(Status(StatusCode::kMalformed, Delivery::kYes,
                  std::string("the result cannot be sent: ") + writer.why()));
      return;
    }
    if (writer.fits()) {
      Leave(writer, 0);
      if (HasDescriptors()) {
        outgoing_.reply = nullptr;
        (void)thread_.Reply(room_.data);
      }
      return;
    }
    Reservation<L> reservation;
    const Errc error = thread_.ReserveReply(writer.size(), reservation,
                                            writer.offsets().size_bytes());
    if (error == Errc::kNoSpace) {
      Fail(Status::OutOfMemory({.wanted = writer.size()}));
      return;
    }
    answered_ = true;
    if (error != Errc::kOk) return;  // Nobody waits for it any more.
    Writer in_place(reservation.data(), &objects_);
    write(in_place, result);
    BINDERLITE_ASSERT(in_place.size() == writer.size());
    TransactionData data = {};
    Point(data, reservation.data().data(), in_place);
    (void)thread_.Reply(std::move(reservation), data);
  }
  void Fail(const Status& status) override {
    BINDERLITE_ASSERT(!answered_);
    Writer writer(room_.payload);
    WriteStatus(writer, status);
    if (!writer.fits()) {  // Its words are too many.
      Writer shorter(room_.payload);
      WriteStatus(shorter, Shortened(status));
      Leave(shorter, kTfStatusCode);
      return;
    }
    Leave(writer, kTfStatusCode);
  }
  [[nodiscard]] bool answered() const { return answered_; }

 private:
  static Status Shortened(const Status& status) {
    constexpr std::size_t kEnough = kSmallPayload / 2;
    std::string words(status.message().substr(0, kEnough));
    return status.code() == StatusCode::kServiceError
               ? Status::Error(status.service_code(), std::move(words))
               : Status(status.code(), status.delivery(), std::move(words));
  }
  // Whether what is left has some: they are the handler's, and closed when it
  // has answered, so it cannot wait for the next read.
  [[nodiscard]] bool HasDescriptors() const {
    for (const std::uint64_t offset : room_.offsets) {
      ObjectHeader header;
      std::memcpy(&header, room_.payload + offset, sizeof(header));
      if (header.type == static_cast<std::uint32_t>(ObjectType::kFd)) {
        return true;
      }
    }
    return false;
  }
  // It goes out with the next read.
  void Leave(const Writer& writer, std::uint32_t flags) {
    answered_ = true;
    const auto offsets = writer.offsets();
    room_.offsets.assign(offsets.begin(), offsets.end());
    room_.data = {};
    Point(room_.data, room_.payload, writer);
    room_.data.offsets = reinterpret_cast<std::uint64_t>(room_.offsets.data());
    room_.data.flags = flags;
    outgoing_.reply = &room_.data;
  }

  BasicThread<L>& thread_;
  ObjectWriter& objects_;
  Outgoing& outgoing_;
  ReplyRoom& room_;
  bool answered_ = false;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_DRIVER_SINK_H_
