// SPDX-License-Identifier: Apache-2.0
//
// Codes, names, sizes and numbers of all commands, written out once more and by
// hand. The same against the kernel's own header: tests/conformance/.

#include "binderlite/wire/commands.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace binderlite {
namespace {

template <typename Code>
struct Expected {
  Code code;
  std::string_view name;
  std::uint32_t value;  // direction, size, group letter, number
};

constexpr Expected<Bc> kBcs[] = {
    {Bc::BC_TRANSACTION, "BC_TRANSACTION", 0x40406300},
    {Bc::BC_REPLY, "BC_REPLY", 0x40406301},
    {Bc::BC_ACQUIRE_RESULT, "BC_ACQUIRE_RESULT", 0x40046302},
    {Bc::BC_FREE_BUFFER, "BC_FREE_BUFFER", 0x40086303},
    {Bc::BC_INCREFS, "BC_INCREFS", 0x40046304},
    {Bc::BC_ACQUIRE, "BC_ACQUIRE", 0x40046305},
    {Bc::BC_RELEASE, "BC_RELEASE", 0x40046306},
    {Bc::BC_DECREFS, "BC_DECREFS", 0x40046307},
    {Bc::BC_INCREFS_DONE, "BC_INCREFS_DONE", 0x40106308},
    {Bc::BC_ACQUIRE_DONE, "BC_ACQUIRE_DONE", 0x40106309},
    {Bc::BC_ATTEMPT_ACQUIRE, "BC_ATTEMPT_ACQUIRE", 0x4008630a},
    {Bc::BC_REGISTER_LOOPER, "BC_REGISTER_LOOPER", 0x0000630b},
    {Bc::BC_ENTER_LOOPER, "BC_ENTER_LOOPER", 0x0000630c},
    {Bc::BC_EXIT_LOOPER, "BC_EXIT_LOOPER", 0x0000630d},
    {Bc::BC_REQUEST_DEATH_NOTIFICATION, "BC_REQUEST_DEATH_NOTIFICATION",
     0x400c630e},
    {Bc::BC_CLEAR_DEATH_NOTIFICATION, "BC_CLEAR_DEATH_NOTIFICATION",
     0x400c630f},
    {Bc::BC_DEAD_BINDER_DONE, "BC_DEAD_BINDER_DONE", 0x40086310},
    {Bc::BC_TRANSACTION_SG, "BC_TRANSACTION_SG", 0x40486311},
    {Bc::BC_REPLY_SG, "BC_REPLY_SG", 0x40486312},
    {Bc::BC_REQUEST_FREEZE_NOTIFICATION, "BC_REQUEST_FREEZE_NOTIFICATION",
     0x400c6313},
    {Bc::BC_CLEAR_FREEZE_NOTIFICATION, "BC_CLEAR_FREEZE_NOTIFICATION",
     0x400c6314},
    {Bc::BC_FREEZE_NOTIFICATION_DONE, "BC_FREEZE_NOTIFICATION_DONE",
     0x40086315},
};

constexpr Expected<Br> kBrs[] = {
    {Br::BR_ERROR, "BR_ERROR", 0x80047200},
    {Br::BR_OK, "BR_OK", 0x00007201},
    {Br::BR_TRANSACTION_SEC_CTX, "BR_TRANSACTION_SEC_CTX", 0x80487202},
    {Br::BR_TRANSACTION, "BR_TRANSACTION", 0x80407202},
    {Br::BR_REPLY, "BR_REPLY", 0x80407203},
    {Br::BR_ACQUIRE_RESULT, "BR_ACQUIRE_RESULT", 0x80047204},
    {Br::BR_DEAD_REPLY, "BR_DEAD_REPLY", 0x00007205},
    {Br::BR_TRANSACTION_COMPLETE, "BR_TRANSACTION_COMPLETE", 0x00007206},
    {Br::BR_INCREFS, "BR_INCREFS", 0x80107207},
    {Br::BR_ACQUIRE, "BR_ACQUIRE", 0x80107208},
    {Br::BR_RELEASE, "BR_RELEASE", 0x80107209},
    {Br::BR_DECREFS, "BR_DECREFS", 0x8010720a},
    {Br::BR_ATTEMPT_ACQUIRE, "BR_ATTEMPT_ACQUIRE", 0x8018720b},
    {Br::BR_NOOP, "BR_NOOP", 0x0000720c},
    {Br::BR_SPAWN_LOOPER, "BR_SPAWN_LOOPER", 0x0000720d},
    {Br::BR_FINISHED, "BR_FINISHED", 0x0000720e},
    {Br::BR_DEAD_BINDER, "BR_DEAD_BINDER", 0x8008720f},
    {Br::BR_CLEAR_DEATH_NOTIFICATION_DONE, "BR_CLEAR_DEATH_NOTIFICATION_DONE",
     0x80087210},
    {Br::BR_FAILED_REPLY, "BR_FAILED_REPLY", 0x00007211},
    {Br::BR_FROZEN_REPLY, "BR_FROZEN_REPLY", 0x00007212},
    {Br::BR_ONEWAY_SPAM_SUSPECT, "BR_ONEWAY_SPAM_SUSPECT", 0x00007213},
    {Br::BR_TRANSACTION_PENDING_FROZEN, "BR_TRANSACTION_PENDING_FROZEN",
     0x00007214},
    {Br::BR_FROZEN_BINDER, "BR_FROZEN_BINDER", 0x80107215},
    {Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE, "BR_CLEAR_FREEZE_NOTIFICATION_DONE",
     0x80087216},
};

constexpr Expected<Ioctl> kIoctls[] = {
    {Ioctl::kWriteRead, "BINDER_WRITE_READ", 0xc0306201},
    {Ioctl::kSetIdleTimeout, "BINDER_SET_IDLE_TIMEOUT", 0x40086203},
    {Ioctl::kSetMaxThreads, "BINDER_SET_MAX_THREADS", 0x40046205},
    {Ioctl::kSetIdlePriority, "BINDER_SET_IDLE_PRIORITY", 0x40046206},
    {Ioctl::kSetContextMgr, "BINDER_SET_CONTEXT_MGR", 0x40046207},
    {Ioctl::kThreadExit, "BINDER_THREAD_EXIT", 0x40046208},
    {Ioctl::kVersion, "BINDER_VERSION", 0xc0046209},
    {Ioctl::kGetNodeDebugInfo, "BINDER_GET_NODE_DEBUG_INFO", 0xc018620b},
    {Ioctl::kGetNodeInfoForRef, "BINDER_GET_NODE_INFO_FOR_REF", 0xc018620c},
    {Ioctl::kSetContextMgrExt, "BINDER_SET_CONTEXT_MGR_EXT", 0x4018620d},
    {Ioctl::kFreeze, "BINDER_FREEZE", 0x400c620e},
    {Ioctl::kGetFrozenInfo, "BINDER_GET_FROZEN_INFO", 0xc00c620f},
    {Ioctl::kEnableOnewaySpamDetection, "BINDER_ENABLE_ONEWAY_SPAM_DETECTION",
     0x40046210},
    {Ioctl::kGetExtendedError, "BINDER_GET_EXTENDED_ERROR", 0xc00c6211},
};

template <typename Code, std::size_t kSize>
void ExpectWords(const Expected<Code> (&all)[kSize]) {
  std::set<std::uint32_t> values;
  for (const Expected<Code>& expected : all) {
    SCOPED_TRACE(std::string(expected.name));
    EXPECT_EQ(static_cast<std::uint32_t>(expected.code), expected.value);
    EXPECT_EQ(ToString(expected.code), expected.name);
    EXPECT_EQ(PayloadSize(expected.code), expected.value >> 16 & 0x3fff);
    EXPECT_EQ(CommandNumber(expected.code),
              static_cast<int>(expected.value & 0xff));
    EXPECT_TRUE(values.insert(expected.value).second) << "used twice";
  }
}

TEST(CommandsTest, Bc) { ExpectWords(kBcs); }
TEST(CommandsTest, Br) { ExpectWords(kBrs); }
TEST(CommandsTest, Ioctl) { ExpectWords(kIoctls); }

TEST(CommandsTest, NumbersFitTheirArrays) {
  std::set<int> numbers;
  for (const auto& bc : kBcs) numbers.insert(CommandNumber(bc.code));
  EXPECT_EQ(numbers.size(), kBcNumbers);
  EXPECT_EQ(*numbers.rbegin() + 1, static_cast<int>(kBcNumbers));
  numbers.clear();
  for (const auto& br : kBrs) numbers.insert(CommandNumber(br.code));
  EXPECT_EQ(numbers.size(), kBrNumbers);
  EXPECT_EQ(*numbers.rbegin() + 1, static_cast<int>(kBrNumbers));
}

TEST(ToBcTest, KnownCodes) {
  for (const auto& bc : kBcs) EXPECT_EQ(ToBc(bc.value), bc.code) << bc.name;
}

TEST(ToBrTest, KnownCodes) {
  for (const auto& br : kBrs) EXPECT_EQ(ToBr(br.value), br.code) << br.name;
}

// Row: WR-03. Every code that differs in one bit, and so every wrong direction,
// size, group and number near the right one.
TEST(ToBcTest, NothingElseIsKnown) {
  std::set<std::uint32_t> known;
  for (const auto& bc : kBcs) known.insert(bc.value);
  for (const auto& bc : kBcs) {
    for (int bit = 0; bit < 32; ++bit) {
      const std::uint32_t code = bc.value ^ std::uint32_t{1} << bit;
      EXPECT_EQ(ToBc(code).has_value(), known.contains(code))
          << bc.name << " bit " << bit;
    }
  }
  for (const auto& br : kBrs) EXPECT_EQ(ToBc(br.value), std::nullopt);
  EXPECT_EQ(ToBc(0), std::nullopt);
  EXPECT_EQ(ToBc(0x40406316), std::nullopt);
  EXPECT_EQ(ToBc(0xffffffff), std::nullopt);
}

TEST(ToBrTest, NothingElseIsKnown) {
  std::set<std::uint32_t> known;
  for (const auto& br : kBrs) known.insert(br.value);
  for (const auto& br : kBrs) {
    for (int bit = 0; bit < 32; ++bit) {
      const std::uint32_t code = br.value ^ std::uint32_t{1} << bit;
      EXPECT_EQ(ToBr(code).has_value(), known.contains(code))
          << br.name << " bit " << bit;
    }
  }
  for (const auto& bc : kBcs) EXPECT_EQ(ToBr(bc.value), std::nullopt);
  EXPECT_EQ(ToBr(0), std::nullopt);
  EXPECT_EQ(ToBr(0xffffffff), std::nullopt);
}

TEST(ToStringTest, UnknownCodesHaveAName) {
  EXPECT_EQ(ToString(static_cast<Bc>(0)), "BC_?");
  // The number of BC_TRANSACTION, with another size.
  EXPECT_EQ(ToString(static_cast<Bc>(0x40416300)), "BC_?");
  EXPECT_EQ(ToString(static_cast<Bc>(0xffffffff)), "BC_?");
  EXPECT_EQ(ToString(static_cast<Br>(0)), "BR_?");
  EXPECT_EQ(ToString(static_cast<Br>(0x80417202)), "BR_?");
  EXPECT_EQ(ToString(static_cast<Ioctl>(0)), "BINDER_?");
  EXPECT_EQ(ToString(static_cast<Ioctl>(0xc0316201)), "BINDER_?");
}

TEST(IoctlCodeTest, KeepsEachPartInItsBits) {
  EXPECT_EQ(IoctlCode(IoctlDir::kNone, 0, 0, 0), 0u);
  EXPECT_EQ(IoctlCode(IoctlDir::kReadWrite, '\xff', 0xff, 0x3fff), 0xffffffffu);
  EXPECT_EQ(IoctlCode(IoctlDir::kRead, 0, 0, 0), 0x80000000u);
  EXPECT_EQ(IoctlCode(IoctlDir::kWrite, 0, 0, 0), 0x40000000u);
  EXPECT_EQ(IoctlCode(IoctlDir::kNone, 0, 0, 1), 0x00010000u);
  EXPECT_EQ(IoctlCode(IoctlDir::kNone, 1, 0, 0), 0x00000100u);
  EXPECT_EQ(IoctlCode(IoctlDir::kNone, 0, 1, 0), 0x00000001u);
}

TEST(CommandsTest, AreConstants) {
  static_assert(ToBc(0x40406300) == Bc::BC_TRANSACTION);
  static_assert(!ToBc(0x40406400).has_value());
  static_assert(ToString(Br::BR_NOOP) == "BR_NOOP");
  static_assert(PayloadSize(Bc::BC_CLEAR_DEATH_NOTIFICATION) == 12);
}

}  // namespace
}  // namespace binderlite
