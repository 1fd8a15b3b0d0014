// SPDX-License-Identifier: Apache-2.0
//
// Checks api/driver_sink.h: answers of any size, with descriptors, and errors
// with more words than there is room for.

#include "binderlite/api/driver_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "binderlite/api/envelope.h"
#include "support/api_test.h"
#include "support/descriptors.h"

namespace binderlite::testing {
namespace {

class DriverSinkTest : public ModeTest {};
BINDERLITE_BOTH_MODES(DriverSinkTest);

// Payloads of all sizes around that up to which they are copied.
TEST_P(DriverSinkTest, PayloadsOfAnySizeBothWays) {
  const Pair pair = Connect(Worker{.Do = &Answered});
  for (std::size_t size = 0; size < 2 * api_internal::kSmallPayload;
       size += 7) {
    const std::string text(size, 'a');
    ASSERT_EQ(pair.remote->Do(text).value(), text + "!");
  }
  const std::string big(400'000, 'b');
  EXPECT_EQ(pair.remote->Do(big).value(), big + "!");
  EXPECT_EQ(pair.remote->Do.Async(big).Get().value(), big + "!");
  AwaitQuiet();
}

// Opens a file, and has as many words to say of it as the caller likes.
struct Archive {
  static constexpr InterfaceName kName = "test.Archive";
  Method<1, std::tuple<Fd, std::string>(std::string)> Open = {};
};

// A handler's descriptors are closed as soon as it has answered.
TEST_P(DriverSinkTest, DescriptorsInAnswersOfAnySize) {
  const Pair pair = Connect(Archive{.Open = [](std::string words) {
    return std::tuple(Fd(OpenNull()), std::move(words));
  }});
  const int before = CountNulls();
  for (std::size_t size = 0; size < 2 * api_internal::kSmallPayload;
       size += 60) {
    const std::string words(size, 'a');
    const auto answer = pair.remote->Open(words);
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    const auto& [fd, same] = *answer;
    EXPECT_TRUE(IsNull(fd.get()));
    EXPECT_EQ(same, words);
  }
  AwaitQuiet();
  EXPECT_EQ(CountNulls(), before);
}

TEST_P(DriverSinkTest, ErrorsWithAnyNumberOfWords) {
  const Pair pair = Connect(
      Worker{.Do = [](std::string_view words) -> Result<std::string> {
               return Status::Error(7, std::string(words));
             },
             .Make = []() -> Result<Proxy<Worker>> {
               return Status(StatusCode::kRefused, Delivery::kYes,
                             std::string(api_internal::kSmallPayload, 'r'));
             }});
  for (std::size_t size = 0; size < 2 * api_internal::kSmallPayload;
       size += 7) {
    const std::string words(size, 'a');
    const Status status = pair.remote->Do(words).status();
    ASSERT_EQ(status.service_code(), 7);
    // Half of the room is more than enough for the words of most.
    ASSERT_GE(status.message().size(),
              std::min(size, api_internal::kSmallPayload / 2));
    ASSERT_TRUE(words.starts_with(status.message()));
  }
  const Status refused = pair.remote->Make().status();
  EXPECT_EQ(refused, StatusCode::kRefused);
  EXPECT_EQ(refused.message().substr(0, 3), "rrr");
  AwaitQuiet();
}

}  // namespace
}  // namespace binderlite::testing
