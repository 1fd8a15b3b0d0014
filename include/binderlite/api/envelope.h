// SPDX-License-Identifier: Apache-2.0
//
// Envelope: what is in a payload beside arguments and results: the head of a
// call, and a Status (docs/wire-format.md). And how a payload and a
// TransactionData belong together.
//
// No locks here.

#ifndef BINDERLITE_API_ENVELOPE_H_
#define BINDERLITE_API_ENVELOPE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "binderlite/api/codec.h"
#include "binderlite/api/object.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/wire/structs.h"

namespace binderlite::api_internal {

// Bytes of a payload that is written on the stack and copied by the driver. A
// larger one is measured first, and written where its receiver will read it.
inline constexpr std::size_t kSmallPayload = 512;

// What each call begins with.
struct RequestHeader {
  std::uint64_t interface_id = 0;
  std::int64_t deadline = 0;  // steady_clock, nanoseconds; the largest: none.
  std::uint64_t pending = 0;  // Of an asynchronous call; 0: it is none.
};

// A Status in a payload.
inline void WriteStatus(Writer& writer, const Status& status) {
  writer.Number(static_cast<std::uint32_t>(status.code()));
  writer.Number(status.service_code());
  const Shortage shortage = status.shortage();
  writer.Number(shortage.wanted);
  writer.Number(shortage.free);
  writer.Number(shortage.size);
  WriteText(writer, status.message());
}
// What the callee says of a call. Never ok.
[[nodiscard]] inline Status ReadStatus(Reader& reader) {
  std::uint32_t code = 0;
  std::int32_t service_code = 0;
  Shortage shortage;
  std::string_view words;
  const bool valid =
      reader.Number(code) && reader.Number(service_code) &&
      reader.Number(shortage.wanted) && reader.Number(shortage.free) &&
      reader.Number(shortage.size) && ReadText(reader, words) && code != 0 &&
      code <= static_cast<std::uint32_t>(StatusCode::kFailed);
  if (!valid) {
    return Status(StatusCode::kMalformed, Delivery::kYes,
                  "the callee's error cannot be read");
  }
  std::string message(words);
  switch (static_cast<StatusCode>(code)) {
    case StatusCode::kServiceError:
      return Status::Error(service_code, std::move(message));
    case StatusCode::kOutOfMemory:
      return Status::OutOfMemory(shortage, Delivery::kYes);
    default:
      return Status(static_cast<StatusCode>(code), Delivery::kYes,
                    std::move(message));
  }
}

// The payload that `data` says.
[[nodiscard]] inline std::span<const std::byte> DataOf(
    const TransactionData& data) {
  return {reinterpret_cast<const std::byte*>(data.buffer),
          static_cast<std::size_t>(data.data_size)};
}
[[nodiscard]] inline std::span<const std::uint64_t> OffsetsOf(
    const TransactionData& data) {
  return {reinterpret_cast<const std::uint64_t*>(data.offsets),
          static_cast<std::size_t>(data.offsets_size) / 8};
}
// Has `data` say that its payload is `payload`, which `writer` has written.
inline void Point(TransactionData& data, const std::byte* payload,
                  const Writer& writer) {
  data.buffer = reinterpret_cast<std::uint64_t>(payload);
  data.data_size = writer.size();
  data.offsets = reinterpret_cast<std::uint64_t>(writer.offsets().data());
  data.offsets_size = writer.offsets().size_bytes();
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_ENVELOPE_H_
