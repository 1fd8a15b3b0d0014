// SPDX-License-Identifier: Apache-2.0
//
// Checks api/envelope.h: the head of a call and a Status are in a payload what
// docs/wire-format.md says; what is no Status is not taken for one; and a
// TransactionData says what has been written.

#include "binderlite/api/envelope.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/payloads.h"
#include "support/round_trip.h"

namespace binderlite::testing {
namespace {

using api_internal::ReadStatus;
using api_internal::RequestHeader;
using api_internal::WriteStatus;

constexpr auto kLastCode = static_cast<std::uint32_t>(StatusCode::kFailed);

Payload Sent(const Status& status) {
  return Compose([&](Writer& writer) { WriteStatus(writer, status); });
}
Status Received(const Payload& payload) {
  const Delivered delivery(payload);
  Reader reader = delivery.reader();
  return ReadStatus(reader);
}
// `status`, as whoever has made the call gets it.
Status ThereAndBack(const Status& status) { return Received(Sent(status)); }

template <class T>
T At(const Payload& payload, std::size_t offset) {
  T value;
  std::memcpy(&value, payload.data.data() + offset, sizeof(value));
  return value;
}

TEST(EnvelopeTest, TheHeadOfACall) {
  EXPECT_EQ(sizeof(RequestHeader), 24u);
  EXPECT_EQ(offsetof(RequestHeader, interface_id), 0u);
  EXPECT_EQ(offsetof(RequestHeader, deadline), 8u);
  EXPECT_EQ(offsetof(RequestHeader, pending), 16u);
}

TEST(EnvelopeTest, EveryStatusIsReadAsItWasWritten) {
  for (std::uint32_t code = 1; code <= kLastCode; ++code) {
    const auto is = static_cast<StatusCode>(code);
    SCOPED_TRACE(ToString(is));
    for (const std::string& words :
         {std::string(), std::string("words"), std::string(1000, 'w')}) {
      // What else the callee says of a delivery is of no importance.
      const Status got = ThereAndBack(Status(is, Delivery::kUnknown, words));
      EXPECT_EQ(got.code(), is);
      EXPECT_EQ(got.delivery(), Delivery::kYes);
      // Of kOutOfMemory there are numbers.
      EXPECT_EQ(got.message(), is == StatusCode::kOutOfMemory ? "" : words);
      EXPECT_EQ(got.service_code(), 0);
      EXPECT_EQ(got.shortage().wanted, 0u);
    }
  }
}

TEST(EnvelopeTest, ErrorsOfServices) {
  for (const std::int32_t code :
       {0, 1, -1, 42, std::numeric_limits<std::int32_t>::min(),
        std::numeric_limits<std::int32_t>::max()}) {
    const Status got = ThereAndBack(Status::Error(code, "words"));
    EXPECT_EQ(got.code(), StatusCode::kServiceError);
    EXPECT_EQ(got.service_code(), code);
    EXPECT_EQ(got.message(), "words");
    EXPECT_EQ(got.delivery(), Delivery::kYes);
  }
}

TEST(EnvelopeTest, NumbersOfAShortage) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const Shortage& shortage :
       {Shortage{}, Shortage{.wanted = 1, .free = 2, .size = 3},
        Shortage{.wanted = kMost, .free = kMost - 1, .size = kMost - 2}}) {
    const Status got = ThereAndBack(Status::OutOfMemory(shortage));
    EXPECT_EQ(got.code(), StatusCode::kOutOfMemory);
    EXPECT_EQ(got.shortage().wanted, shortage.wanted);
    EXPECT_EQ(got.shortage().free, shortage.free);
    EXPECT_EQ(got.shortage().size, shortage.size);
    EXPECT_EQ(got.delivery(), Delivery::kYes);
  }
}

// What others rely on who do without this library.
TEST(EnvelopeTest, WhereTheThingsAre) {
  const Payload error = Sent(Status::Error(-7, "words"));
  EXPECT_EQ(At<std::uint32_t>(error, 0), 1u);
  EXPECT_EQ(At<std::int32_t>(error, 4), -7);
  EXPECT_EQ(At<std::uint32_t>(error, 32), 5u);
  EXPECT_EQ(std::memcmp(error.data.data() + 36, "words", 5), 0);
  const Payload shortage =
      Sent(Status::OutOfMemory({.wanted = 10, .free = 20, .size = 30}));
  EXPECT_EQ(At<std::uint32_t>(shortage, 0), 8u);
  EXPECT_EQ(At<std::uint64_t>(shortage, 8), 10u);
  EXPECT_EQ(At<std::uint64_t>(shortage, 16), 20u);
  EXPECT_EQ(At<std::uint64_t>(shortage, 24), 30u);
}

TEST(EnvelopeTest, EveryTruncationIsMalformed) {
  const Payload whole = Sent(Status::Error(42, "words"));
  for (std::size_t size = 0; size < whole.data.size(); ++size) {
    const Status got = Received(whole.Truncated(size));
    EXPECT_EQ(got.code(), StatusCode::kMalformed) << size;
    EXPECT_EQ(got.delivery(), Delivery::kYes);
    EXPECT_EQ(got.service_code(), 0);
  }
}

// An answer that it has failed is never taken for success.
TEST(EnvelopeTest, CodesThatThereAreNot) {
  Payload payload = Sent(Status::Error(42, "words"));
  for (const std::uint32_t code : {std::uint32_t{0}, kLastCode + 1, 0x100u + 1,
                                   std::numeric_limits<std::uint32_t>::max()}) {
    std::memcpy(payload.data.data(), &code, sizeof(code));
    EXPECT_EQ(Received(payload).code(), StatusCode::kMalformed) << code;
  }
}

TEST(EnvelopeTest, ATransactionSaysWhatWasWritten) {
  FakeObjects objects;
  alignas(8) std::array<std::byte, 256> room{};
  Writer writer(room, &objects);
  writer.Number(std::uint64_t{5});
  writer.Object(objects.Make());
  writer.Object(objects.Make());
  ASSERT_TRUE(writer.fits());
  TransactionData data = {};
  data.code = 3;
  api_internal::Point(data, room.data(), writer);
  EXPECT_EQ(data.code, 3u);  // All else stays.
  const auto payload = api_internal::DataOf(data);
  EXPECT_EQ(payload.data(), room.data());
  EXPECT_EQ(payload.size(), writer.size());
  const auto offsets = api_internal::OffsetsOf(data);
  EXPECT_EQ(offsets.data(), writer.offsets().data());
  ASSERT_EQ(offsets.size(), 2u);
  for (const std::uint64_t offset : offsets) {
    ObjectHeader header;
    std::memcpy(&header, payload.data() + offset, sizeof(header));
    EXPECT_EQ(header.type, static_cast<std::uint32_t>(ObjectType::kHandle));
  }
  EXPECT_TRUE(api_internal::DataOf({}).empty());
  EXPECT_TRUE(api_internal::OffsetsOf({}).empty());
}

}  // namespace
}  // namespace binderlite::testing
