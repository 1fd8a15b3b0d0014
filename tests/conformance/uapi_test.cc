// SPDX-License-Identifier: Apache-2.0
//
// wire/ against <linux/android/binder.h>, the kernel's header first: the
// compile-time checks, and structures written by one side and read by the
// other. uapi_reverse_order_test.cc is the same with our headers first.

// The order is what is being tested.
// clang-format off
#include <linux/android/binder.h>

#include "binderlite/wire/commands.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

#include "uapi_checks.h"
// clang-format on

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace binderlite {
namespace {

TEST(UapiTest, KernelReadsOurTransactionData) {
  TransactionData ours{};
  ours.target.handle = 1;
  ours.cookie = 2;
  ours.code = 3;
  ours.flags = kTfOneWay;
  ours.sender_pid = -5;
  ours.sender_euid = 6;
  ours.data_size = 7;
  ours.offsets_size = 8;
  ours.buffer = 9;
  ours.offsets = 10;
  const auto theirs = std::bit_cast<binder_transaction_data>(ours);
  EXPECT_EQ(theirs.target.handle, 1u);
  EXPECT_EQ(theirs.cookie, 2u);
  EXPECT_EQ(theirs.code, 3u);
  EXPECT_EQ(theirs.flags, std::uint32_t{TF_ONE_WAY});
  EXPECT_EQ(theirs.sender_pid, -5);
  EXPECT_EQ(theirs.sender_euid, 6u);
  EXPECT_EQ(theirs.data_size, 7u);
  EXPECT_EQ(theirs.offsets_size, 8u);
  EXPECT_EQ(theirs.data.ptr.buffer, 9u);
  EXPECT_EQ(theirs.data.ptr.offsets, 10u);
}

TEST(UapiTest, KernelReadsOurCommandStream) {
  std::vector<unsigned char> stream;
  const auto put = [&stream](const auto& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    stream.insert(stream.end(), bytes, bytes + sizeof(value));
  };
  put(Bc::BC_ENTER_LOOPER);
  put(Bc::BC_REQUEST_DEATH_NOTIFICATION);
  put(HandleCookie{.handle = 3, .cookie = 0x1122334455667788});
  put(Bc::BC_FREE_BUFFER);

  std::size_t at = 0;
  const auto next = [&stream, &at](auto* value) {
    ASSERT_LE(at + sizeof(*value), stream.size());
    std::memcpy(value, stream.data() + at, sizeof(*value));
    at += sizeof(*value);
  };
  std::uint32_t code = 0;
  next(&code);
  EXPECT_EQ(code, std::uint32_t{BC_ENTER_LOOPER});
  next(&code);
  EXPECT_EQ(code, std::uint32_t{BC_REQUEST_DEATH_NOTIFICATION});
  EXPECT_EQ(_IOC_SIZE(code), sizeof(binder_handle_cookie));
  binder_handle_cookie cookie{};
  next(&cookie);
  // Copies: members of packed structures cannot be bound to references.
  EXPECT_EQ(std::uint32_t{cookie.handle}, 3u);
  EXPECT_EQ(std::uint64_t{cookie.cookie}, 0x1122334455667788u);
  next(&code);
  EXPECT_EQ(code, std::uint32_t{BC_FREE_BUFFER});
  EXPECT_EQ(at, stream.size());
}

TEST(UapiTest, WeReadTheKernelsFlatObject) {
  flat_binder_object theirs{};
  theirs.hdr.type = BINDER_TYPE_HANDLE;
  theirs.flags = FLAT_BINDER_FLAG_ACCEPTS_FDS | 5;
  theirs.handle = 77;
  theirs.cookie = 99;
  const auto ours = std::bit_cast<FlatObject>(theirs);
  EXPECT_EQ(static_cast<ObjectType>(ours.hdr.type), ObjectType::kHandle);
  EXPECT_EQ(ours.flags & kFlatPriorityMask, 5u);
  EXPECT_EQ(ours.flags & kFlatAcceptsFds, kFlatAcceptsFds);
  EXPECT_EQ(ours.handle, 77u);
  EXPECT_EQ(ours.cookie, 99u);
}

TEST(UapiTest, IoctlCodeIsTheKernelsEncoding) {
  for (std::uint32_t nr : {0u, 1u, 127u, 255u}) {
    for (std::size_t size : {0u, 1u, 64u, 16383u}) {
      EXPECT_EQ(IoctlCode(IoctlDir::kReadWrite, 'b', nr, size),
                _IOC(_IOC_READ | _IOC_WRITE, 'b', nr, size));
      EXPECT_EQ(IoctlCode(IoctlDir::kRead, 'r', nr, size),
                _IOC(_IOC_READ, 'r', nr, size));
      EXPECT_EQ(IoctlCode(IoctlDir::kWrite, 'c', nr, size),
                _IOC(_IOC_WRITE, 'c', nr, size));
      EXPECT_EQ(IoctlCode(IoctlDir::kNone, 'c', nr, size),
                _IOC(_IOC_NONE, 'c', nr, size));
    }
  }
}

}  // namespace
}  // namespace binderlite
