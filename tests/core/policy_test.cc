// SPDX-License-Identifier: Apache-2.0
//
// SecurityPolicy: what the default says, and that nothing has to be overridden.
// What the driver makes of the answers is in driver/policy_test.cc.

#include "binderlite/core/policy.h"

#include <gtest/gtest.h>

#include <string>

namespace binderlite {
namespace {

// Rows: SC-07
TEST(PolicyTest, DefaultAllowsEverything) {
  SecurityPolicy policy;
  const Credentials from{.pid = 1, .euid = 2, .label = "from"};
  const Credentials to{.pid = 3, .euid = 4, .label = "to"};
  EXPECT_TRUE(policy.MaySetContextMgr(from));
  EXPECT_TRUE(policy.MayTransact(from, to));
  EXPECT_TRUE(policy.MayTransferBinder(from, to));
  EXPECT_TRUE(policy.MayTransferFile(from, to, 0));
  std::string label = "old";
  EXPECT_EQ(policy.GetLabel(from, label), Errc::kOk);
  EXPECT_EQ(label, "from");
  EXPECT_EQ(policy.GetLabel({}, label), Errc::kOk);
  EXPECT_EQ(label, "");
}

TEST(PolicyTest, OverridingOneMethodIsEnough) {
  class NoManager : public SecurityPolicy {
   public:
    bool MaySetContextMgr(const Credentials& who) override {
      return who.euid == 0;
    }
  };
  NoManager no_manager;
  SecurityPolicy& policy = no_manager;
  EXPECT_FALSE(policy.MaySetContextMgr({.pid = 1, .euid = 7, .label = ""}));
  EXPECT_TRUE(policy.MaySetContextMgr({}));
  EXPECT_TRUE(policy.MayTransact({}, {}));
}

}  // namespace
}  // namespace binderlite
