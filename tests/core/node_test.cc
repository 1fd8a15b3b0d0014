// SPDX-License-Identifier: Apache-2.0
//
// Node: what its flags mean, and which counts hold it.

#include "binderlite/core/node.h"

#include <gtest/gtest.h>

#include "binderlite/core/ref.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

TEST(NodeTest, FlagsAreThoseOfTheObjectThatMadeItKnown) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto plain = objects.NewNode(*proc, 0x10, 0x20);
  EXPECT_EQ(plain->ptr, 0x10u);
  EXPECT_EQ(plain->cookie, 0x20u);
  EXPECT_EQ(plain->min_priority, 0);
  EXPECT_FALSE(plain->accepts_fds);
  EXPECT_FALSE(plain->wants_security_context);
  const auto all = objects.NewNode(*proc, 0x18, 0, 0x1000 | 0x100 | 0x7f);
  EXPECT_EQ(all->min_priority, 0x7f);
  EXPECT_TRUE(all->accepts_fds);
  EXPECT_TRUE(all->wants_security_context);
}

TEST(NodeTest, WorkLeadsBackToIt) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto node = objects.NewNode(*proc, 0x10, 0x20);
  Work& work = node->work();
  EXPECT_EQ(work.type, WorkType::kNode);
  EXPECT_EQ(&static_cast<Node<L>&>(work), node.get());
}

TEST(NodeTest, EachCountHoldsItAndTheStrongOnesStrongly) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto pin = objects.NewNode(*proc, 0x10, 0x20);
  Node<L>& node = *pin;
  Ref<L> ref(*proc, node, 1, 1);
  sync::MutexLock lock(node.mu);
  EXPECT_FALSE(node.Held());
  EXPECT_FALSE(node.StronglyHeld());
  for (int* count : {&node.internal_strong, &node.local_strong}) {
    *count = 1;
    EXPECT_TRUE(node.Held());
    EXPECT_TRUE(node.StronglyHeld());
    *count = 0;
  }
  for (int* count : {&node.local_weak, &node.holds}) {
    *count = 1;
    EXPECT_TRUE(node.Held());
    EXPECT_FALSE(node.StronglyHeld());
    *count = 0;
  }
  node.first_ref = &ref;
  EXPECT_TRUE(node.Held());
  EXPECT_FALSE(node.StronglyHeld());
  node.first_ref = nullptr;
  // What the owner believes does not hold it.
  node.has_strong = node.has_weak = true;
  EXPECT_FALSE(node.Held());
}

}  // namespace
}  // namespace binderlite::core
