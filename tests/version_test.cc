// SPDX-License-Identifier: Apache-2.0
//
// The version's string and numbers, which are written side by side, agree.

#include "binderlite/version.h"

#include <gtest/gtest.h>

#include <string>

namespace binderlite {
namespace {

TEST(VersionTest, StringIsMadeOfTheNumbers) {
  EXPECT_EQ(kVersionString, std::to_string(kVersionMajor) + "." +
                                std::to_string(kVersionMinor) + "." +
                                std::to_string(kVersionPatch));
}

}  // namespace
}  // namespace binderlite
