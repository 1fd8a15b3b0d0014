// SPDX-License-Identifier: Apache-2.0
//
// Pin: the object lives exactly as long as somebody has one.

#include "binderlite/core/pin.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace binderlite::core {
namespace {

// Counts its destructions.
class Thing : public Pinned<Thing> {
 public:
  explicit Thing(std::atomic<int>& destroyed) : destroyed_(destroyed) {}
  ~Thing() { ++destroyed_; }

  int value = 7;

 private:
  std::atomic<int>& destroyed_;
};

TEST(PinTest, EmptyByDefault) {
  const Pin<Thing> none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.get(), nullptr);
  EXPECT_FALSE(Pin<Thing>(nullptr));
}

TEST(PinTest, TheLastOneDestroys) {
  std::atomic<int> destroyed{0};
  Pin<Thing> first(new Thing(destroyed));
  EXPECT_EQ(first->value, 7);
  EXPECT_EQ((*first).value, 7);
  {
    const Pin<Thing> copy = first;
    EXPECT_TRUE(copy == first);
    first.reset();
    EXPECT_FALSE(first);
    EXPECT_EQ(copy->value, 7);
    EXPECT_EQ(destroyed, 0);
  }
  EXPECT_EQ(destroyed, 1);
}

TEST(PinTest, AnObjectCanBePinnedAnew) {
  std::atomic<int> destroyed{0};
  auto* const thing = new Thing(destroyed);
  Pin<Thing> first(thing);
  Pin<Thing> second(thing);
  first.reset();
  EXPECT_EQ(destroyed, 0);
  second.reset();
  EXPECT_EQ(destroyed, 1);
}

TEST(PinTest, MovingTakesThePinAlong) {
  std::atomic<int> destroyed{0};
  Pin<Thing> from(new Thing(destroyed));
  Thing* const thing = from.get();
  Pin<Thing> to(std::move(from));
  EXPECT_EQ(to.get(), thing);
  EXPECT_EQ(from.get(), nullptr);  // NOLINT(bugprone-use-after-move)
  to.reset();
  EXPECT_EQ(destroyed, 1);
}

TEST(PinTest, AssignmentDropsWhatWasPinned) {
  std::atomic<int> destroyed{0};
  std::atomic<int> other_destroyed{0};
  Pin<Thing> pin(new Thing(destroyed));
  const Pin<Thing> other(new Thing(other_destroyed));
  pin = other;
  EXPECT_EQ(destroyed, 1);
  EXPECT_TRUE(pin == other);
  const Pin<Thing>& itself = pin;
  pin = itself;
  EXPECT_TRUE(pin == other);
  pin = Pin<Thing>();
  EXPECT_EQ(other_destroyed, 0);
}

TEST(PinTest, SwapExchanges) {
  std::atomic<int> destroyed{0};
  Pin<Thing> full(new Thing(destroyed));
  Thing* const thing = full.get();
  Pin<Thing> empty;
  empty.swap(full);
  EXPECT_EQ(empty.get(), thing);
  EXPECT_FALSE(full);
  EXPECT_FALSE(empty == full);
  EXPECT_EQ(destroyed, 0);
}

TEST(PinTest, OfFourThreadsTheLastOneDestroys) {
  std::atomic<int> destroyed{0};
  std::vector<Pin<Thing>> pins(4, Pin<Thing>(new Thing(destroyed)));
  std::atomic<int> ready{0};
  const auto Use = [&](Pin<Thing>& pin) {
    ++ready;
    while (ready < 4) std::this_thread::yield();
    for (int i = 0; i < 10000; ++i) {
      Pin<Thing> copy = pin;
      pin = std::move(copy);
    }
    EXPECT_EQ(destroyed, 0);
    EXPECT_EQ(pin->value, 7);
    pin.reset();
  };
  {
    std::vector<std::jthread> threads;
    for (Pin<Thing>& pin : pins) threads.emplace_back(Use, std::ref(pin));
  }
  EXPECT_EQ(destroyed, 1);
}

}  // namespace
}  // namespace binderlite::core
