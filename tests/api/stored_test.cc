// SPDX-License-Identifier: Apache-2.0

#include "binderlite/api/stored.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/api/codec.h"
#include "binderlite/api/endpoint.h"
#include "support/api_test.h"
#include "support/descriptors.h"

namespace binderlite::testing {
namespace {

using StoredPayload = api_internal::StoredPayload<FineGrained<>>;

class StoredTest : public ApiTest {
 protected:
  StoredTest() {
    worker_ = endpoint_.Create(Worker{});
    object_ = static_cast<Object>(worker_);
  }
  const api_internal::Process<FineGrained<>>& process() {
    return *endpoint_.internal();
  }

  Endpoint endpoint_ = Open("endpoint");
  Service<Worker> worker_;
  Object object_;
};

TEST_F(StoredTest, ReadsWhatWasWritten) {
  for (const std::size_t size : {0u, 10u, 600u, 100'000u}) {
    StoredPayload payload(process());
    ASSERT_EQ(payload.Fill([&](Writer& writer) {
      WriteArguments(writer, std::string(size, 'a'), object_, 7);
    }),
              nullptr);
    Reader reader(payload.data(), payload.offsets(), &payload);
    std::string text;
    Object object;
    int number = 0;
    ASSERT_TRUE(ReadArguments(reader, text, object, number));
    EXPECT_EQ(text.size(), size);
    EXPECT_EQ(object, object_);
    EXPECT_EQ(number, 7);
  }
}

// As often as it takes, with all that there is in it.
TEST_F(StoredTest, IsCopiedToAnotherPayload) {
  const int before = CountNulls();
  {
    const Fd fd(OpenNull());
    StoredPayload payload(process());
    ASSERT_EQ(payload.Fill([&](Writer& writer) {
      WriteArguments(writer, std::string("text"), object_, fd,
                     std::string("more"));
    }),
              nullptr);
    for (int i = 0; i < 2; ++i) {
      StoredPayload copy(process());
      // A copy is of what a driver would send: numbers, not objects.
      alignas(8) std::array<std::byte, 512> room{};
      Writer writer(room);
      payload.CopyTo(writer);
      ASSERT_FALSE(writer.failed()) << writer.why();
      EXPECT_EQ(writer.size(), payload.data().size());
      ASSERT_EQ(writer.offsets().size(), payload.offsets().size());
      for (std::size_t k = 0; k < writer.offsets().size(); ++k) {
        EXPECT_EQ(writer.offsets()[k], payload.offsets()[k]);
      }
    }
    payload.Drop();
    payload.Drop();
  }
  EXPECT_EQ(CountNulls(), before);
}

TEST_F(StoredTest, RefusesWhatCannotBeSent) {
  Endpoint other = Open("other");
  const auto foreign = other.Create(Worker{});
  StoredPayload payload(process());
  EXPECT_NE(payload.Fill([&](Writer& writer) {
    WriteArguments(writer, static_cast<Object>(foreign));
  }),
            nullptr);
  const int before = CountNulls();
  const Fd fd(OpenNull());
  StoredPayload descriptors(process());
  EXPECT_NE(descriptors.Fill([&](Writer& writer) {
    writer.Descriptor(fd.get());
    writer.Descriptor(9999);
  }),
            nullptr);
  EXPECT_EQ(CountNulls(), before + 1);
}

}  // namespace
}  // namespace binderlite::testing
