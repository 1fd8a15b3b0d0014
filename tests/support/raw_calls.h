// SPDX-License-Identifier: Apache-2.0
//
// What reaches the typed API without being made by it:
//
//   RawCaller raw(context);
//   const RawRequest request({.interface_id = ...}, std::string_view("x"));
//   const RawCaller::Answer answer = raw.Send(handle, code, request.bytes());

#ifndef BINDERLITE_TESTS_SUPPORT_RAW_CALLS_H_
#define BINDERLITE_TESTS_SUPPORT_RAW_CALLS_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "binderlite/api/codec.h"
#include "binderlite/api/envelope.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/driver/driver.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"
#include "support/streams.h"

namespace binderlite::testing {

// The payload of a call: a header, then arguments. For objects see Payload
// (support/streams.h).
class RawRequest {
 public:
  template <class... Ts>
  explicit RawRequest(api_internal::RequestHeader header,
                      const Ts&... arguments) {
    header.deadline = std::numeric_limits<std::int64_t>::max();
    Writer writer(room_);
    writer.Bytes(&header, sizeof(header), 8);
    WriteArguments(writer, arguments...);
    EXPECT_TRUE(writer.fits());
    size_ = writer.size();
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::span(room_).first(size_);
  }

 private:
  alignas(8) std::byte room_[128] = {};
  std::size_t size_ = 0;
};

// A Proc without a typed API behind it, with one thread, on which it calls.
class RawCaller {
 public:
  struct Answer {
    // What the call ended with; of a one-way, what was heard of it.
    Br command = Br::BR_OK;
    bool is_status = false;
    Status status = {};
    std::string text = {};  // If it is no status.
  };

  explicit RawCaller(Context& context)
      : proc_(context.Open({.name = "raw"})), thread_(proc_.Attach()) {
    // So that its first read waits, like all others.
    std::int32_t version = 0;
    EXPECT_EQ(thread_.Version(version), Errc::kOk);
  }
  [[nodiscard]] Thread& thread() { return thread_; }

  Answer Send(std::uint32_t handle, std::uint32_t code,
              std::span<const std::byte> bytes,
              std::span<const std::uint64_t> offsets = {},
              std::uint32_t flags = 0) {
    TransactionData data = {};
    data.target.handle = handle;
    data.code = code;
    data.flags = flags | kTfAcceptFds;
    data.buffer = AddressOf(bytes.data());
    data.data_size = bytes.size();
    data.offsets = AddressOf(offsets.data());
    data.offsets_size = offsets.size_bytes();
    EXPECT_EQ(thread_.Transact(data), Errc::kOk);
    Incoming incoming;
    while (thread_.NextWork(incoming) == Errc::kOk) {
      switch (incoming.command) {
        case Br::BR_TRANSACTION_COMPLETE:
          if ((flags & kTfOneWay) == 0) break;
          return {.command = incoming.command};
        case Br::BR_REPLY:
          return Read(incoming.transaction);
        case Br::BR_FAILED_REPLY:
        case Br::BR_DEAD_REPLY:
          return {.command = incoming.command};
        default:
          break;
      }
    }
    ADD_FAILURE() << "nothing was heard of the call";
    return {};
  }

 private:
  Answer Read(const TransactionData& reply) {
    Answer answer{.command = Br::BR_REPLY,
                  .is_status = (reply.flags & kTfStatusCode) != 0};
    {
      Reader reader(api_internal::DataOf(reply));
      if (answer.is_status) {
        answer.status = api_internal::ReadStatus(reader);
      } else {
        (void)ReadArguments(reader, answer.text);
      }
    }
    EXPECT_EQ(thread_.FreeBuffer(reply.buffer), Errc::kOk);
    return answer;
  }

  Proc proc_;
  Thread thread_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_RAW_CALLS_H_
