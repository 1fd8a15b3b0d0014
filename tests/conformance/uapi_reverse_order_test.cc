// SPDX-License-Identifier: Apache-2.0
//
// wire/ against <linux/android/binder.h>, our headers first: the compile-time
// checks, and that code which uses the names of both still means what it says.

// The order is what is being tested.
// clang-format off
#include "binderlite/wire/commands.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

#include <linux/android/binder.h>

#include "uapi_checks.h"
// clang-format on

#include <gtest/gtest.h>

#include <cstdint>

// As a client may: both vocabularies unqualified in one scope.
using namespace binderlite;  // NOLINT

namespace {

TEST(UapiReverseOrderTest, BothVocabulariesInOneScope) {
  binder_version theirs{};
  Version ours{};
  theirs.protocol_version = BINDER_CURRENT_PROTOCOL_VERSION;
  ours.protocol_version = kProtocolVersion;
  EXPECT_EQ(theirs.protocol_version, ours.protocol_version);
  EXPECT_EQ(ToBc(BC_REPLY_SG), Bc::BC_REPLY_SG);
  EXPECT_EQ(ToBr(BR_ONEWAY_SPAM_SUSPECT), Br::BR_ONEWAY_SPAM_SUSPECT);
  EXPECT_EQ(std::uint32_t{BINDER_WRITE_READ},
            static_cast<std::uint32_t>(Ioctl::kWriteRead));
  EXPECT_EQ(std::uint32_t{TF_ACCEPT_FDS}, kTfAcceptFds);
}

}  // namespace
