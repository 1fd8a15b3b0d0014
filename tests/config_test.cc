// SPDX-License-Identifier: Apache-2.0
//
// BINDERLITE_ASSERT, the default one: active without NDEBUG, inert with it, an
// expression in both cases.

#include "binderlite/config.h"

#include <gtest/gtest.h>

namespace binderlite {
namespace {

// Evaluates its condition where the checks are on, and only there.
#ifdef NDEBUG
constexpr int kEvaluations = 0;
#else
constexpr int kEvaluations = 1;
#endif

// Usable in a constant expression as long as it holds.
constexpr int Checked(int value) {
  BINDERLITE_ASSERT(value > 0);
  return value;
}
static_assert(Checked(1) == 1);

TEST(AssertTest, TrueConditionIsEvaluatedOnceOrNotAtAll) {
  int evaluations = 0;
  BINDERLITE_ASSERT(++evaluations == 1);
  EXPECT_EQ(evaluations, kEvaluations);
}

TEST(AssertTest, IsOneExpression) {
  bool reached = false;
  if (!reached)
    BINDERLITE_ASSERT(true), reached = true;
  else
    FAIL();
  EXPECT_TRUE(reached);
}

TEST(AssertDeathTest, FalseConditionEndsTheProgramAndIsNamed) {
  const int answer = 41;
#ifdef NDEBUG
  BINDERLITE_ASSERT(answer == 42);
  EXPECT_EQ(answer, 41);
#else
  EXPECT_DEATH(BINDERLITE_ASSERT(answer == 42),
               "config_test.cc:[0-9]+: .*answer == 42");
#endif
}

}  // namespace
}  // namespace binderlite
