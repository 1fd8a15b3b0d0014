// SPDX-License-Identifier: Apache-2.0
//
// Proc: the state of a fresh one.

#include "binderlite/core/proc.h"

#include <gtest/gtest.h>

#include "binderlite/core/thread.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

TEST(ProcTest, FreshOneIsOpenAndEmpty) {
  testing::CoreObjects<L> objects;
  const auto pin = objects.NewProc(
      {.pid = 12, .euid = 34, .label = "label", .name = "name"});
  Proc<L>& proc = *pin;
  EXPECT_EQ(proc.context, &objects.context());
  EXPECT_EQ(proc.options.pid, 12);
  EXPECT_EQ(proc.options.euid, 34u);
  EXPECT_EQ(proc.options.label, "label");
  EXPECT_EQ(proc.options.name, "name");
  EXPECT_EQ(proc.users, 1u);  // The open itself.
  EXPECT_FALSE(proc.closed);
  EXPECT_FALSE(proc.release_begun);
  EXPECT_FALSE(proc.released);
  EXPECT_FALSE(proc.nonblocking);
  EXPECT_EQ(proc.outstanding.load(), 0);
  EXPECT_FALSE(proc.kill.stop_requested());
  EXPECT_FALSE(proc.arena.usage().mapped);  // Until somebody maps it.
  sync::MutexLock refs(proc.refs_mu);
  EXPECT_EQ(proc.refs.size(), 0u);
  EXPECT_FALSE(proc.refs_closed);
  sync::MutexLock queues(proc.queues_mu);
  EXPECT_TRUE(proc.todo.empty());
  EXPECT_TRUE(proc.threads.empty());
  EXPECT_TRUE(proc.nodes.empty());
  EXPECT_FALSE(proc.is_dead);
}

TEST(ProcTest, NonblockingIsAnInitialValue) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc({.nonblocking = true});
  EXPECT_TRUE(proc->nonblocking);
}

TEST(ProcTest, PinsItsContext) {
  Pin<Proc<L>> proc;
  LiveCounts* counts = nullptr;
  {
    testing::CoreObjects<L> objects;
    proc = objects.NewProc();
    counts = &objects.counts();
  }
  EXPECT_EQ(counts->live(ObjectKind::kProc), 1u);
  EXPECT_EQ(proc->context->options.name, "binder");
}

}  // namespace
}  // namespace binderlite::core
