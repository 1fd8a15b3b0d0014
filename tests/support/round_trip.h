// SPDX-License-Identifier: Apache-2.0
//
// Encode and Decode, for tests: they expect of each value what must be true of
// all, such as that every byte of a payload is written.

#ifndef BINDERLITE_TESTS_SUPPORT_ROUND_TRIP_H_
#define BINDERLITE_TESTS_SUPPORT_ROUND_TRIP_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "binderlite/api/codec.h"
#include "support/payloads.h"

namespace binderlite::testing {

// Calls write(writer) for rooms that do not suffice, and for one that does, and
// expects the same of each. The room is full of other bytes before.
template <class Write>
Payload Compose(const Write& write, ObjectWriter* objects = nullptr) {
  Writer counting({}, objects);
  write(counting);
  EXPECT_FALSE(counting.failed()) << counting.why();
  const std::size_t size = counting.size();

  Payload payload;
  if (size > 0) {
    std::vector<std::byte> small(size - 1, std::byte{0xee});
    Writer short_of_one(small, objects);
    write(short_of_one);
    EXPECT_EQ(short_of_one.size(), size);
    EXPECT_FALSE(short_of_one.fits());
  }
  // Twice with different garbage: every byte has been written.
  for (const std::byte garbage : {std::byte{0xee}, std::byte{0x11}}) {
    const std::unique_ptr<std::byte[]> room(new std::byte[size]);
    std::memset(room.get(), static_cast<int>(garbage), size);
    Writer writer({room.get(), size}, objects);
    write(writer);
    EXPECT_TRUE(writer.fits());
    EXPECT_EQ(writer.size(), size);
    EXPECT_TRUE(std::ranges::equal(writer.offsets(), counting.offsets()));
    if (!payload.data.empty()) {
      EXPECT_TRUE(std::equal(payload.data.begin(), payload.data.end(),
                             room.get(), room.get() + size));
    }
    payload.data.assign(room.get(), room.get() + size);
    payload.offsets.assign(writer.offsets().begin(), writer.offsets().end());
  }
  return payload;
}

template <class T>
Payload Encode(const T& value, ObjectWriter* objects = nullptr) {
  return Compose([&](Writer& writer) { WriteValue(writer, value); }, objects);
}

// Whether a T can be read of `payload`, to the end; if so, which.
template <class T>
bool Decode(const Payload& payload, T& value, ObjectReader* objects = nullptr) {
  const Delivered delivery(payload);
  Reader reader = delivery.reader(objects);
  const bool read = ReadValue(reader, value);
  EXPECT_EQ(read, reader.ok());
  return read;
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_ROUND_TRIP_H_
