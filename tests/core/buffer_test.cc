// SPDX-License-Identifier: Apache-2.0
//
// Buffer: where its three parts are.

#include "binderlite/core/buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "binderlite/core/node.h"
#include "binderlite/sync/locking.h"

namespace binderlite::core {
namespace {

using TestBuffer = Buffer<FineGrained<>>;

TEST(BufferTest, PartsAreEightAlignedAndDoNotOverlap) {
  struct Case {
    TestBuffer::Layout layout;
    std::size_t offsets_at;
    std::size_t extra_at;
  };
  for (const Case& c : {Case{{0, 0, 0}, 0, 0}, Case{{1, 0, 0}, 8, 8},
                        Case{{8, 8, 0}, 8, 16}, Case{{9, 8, 1}, 16, 24},
                        Case{{0, 16, 40}, 0, 16}, Case{{24, 9, 1}, 24, 40}}) {
    EXPECT_EQ(c.layout.offsets_at(), c.offsets_at);
    EXPECT_EQ(c.layout.extra_at(), c.extra_at);
  }
}

TEST(BufferTest, KnowsWhereItIsForWhom) {
  std::array<std::byte, 32> bytes = {};
  const TestBuffer buffer(bytes.data() + 8, 0x7008, 8, 24, {.data_size = 17},
                          /*one_way=*/true);
  EXPECT_EQ(buffer.data, bytes.data() + 8);
  EXPECT_EQ(buffer.address(), 0x7008u);
  EXPECT_EQ(buffer.offset, 8u);
  EXPECT_EQ(buffer.size, 24u);
  EXPECT_EQ(buffer.layout.data_size, 17u);
  EXPECT_TRUE(buffer.is_async);
  EXPECT_FALSE(buffer.target_node);
  EXPECT_TRUE(buffer.held.empty());
}

}  // namespace
}  // namespace binderlite::core
