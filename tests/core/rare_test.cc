// SPDX-License-Identifier: Apache-2.0
//
// Checks core/rare.h: what it holds, and that nothing takes up little.

#include "binderlite/core/rare.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace binderlite::core {
namespace {

TEST(RareVectorTest, IsEmptyAndSmallAtFirst) {
  RareVector<int> numbers;
  EXPECT_EQ(sizeof(numbers), sizeof(void*));
  EXPECT_TRUE(numbers.empty());
  EXPECT_EQ(numbers.size(), 0u);
  EXPECT_EQ(numbers.begin(), numbers.end());
  numbers.clear();
  EXPECT_TRUE(numbers.empty());
}

TEST(RareVectorTest, HoldsWhatIsPutIn) {
  RareVector<std::unique_ptr<int>> numbers;
  for (int i = 0; i < 10; ++i) numbers.push_back(std::make_unique<int>(i));
  ASSERT_EQ(numbers.size(), 10u);
  int expected = 0;
  for (const std::unique_ptr<int>& number : numbers) {
    EXPECT_EQ(*number, expected++);
  }
  EXPECT_EQ(*numbers[9], 9);
  RareVector<std::unique_ptr<int>> others;
  others.swap(numbers);
  EXPECT_TRUE(numbers.empty());
  EXPECT_EQ(others.size(), 10u);
  others.clear();
  EXPECT_TRUE(others.empty());
}

}  // namespace
}  // namespace binderlite::core
