// SPDX-License-Identifier: Apache-2.0
//
// Thread: the state of a fresh record, and what makes a looper.

#include "binderlite/core/thread.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

// Row: RD-03, what lets the first read of a thread return at once.
TEST(ThreadTest, FreshOneHasNothingToDoAndMayReturn) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto pin = objects.NewThread(*proc, 77);
  Thread<L>& thread = *pin;
  EXPECT_EQ(thread.tid, 77);
  EXPECT_EQ(thread.task->tid, 77);
  EXPECT_EQ(thread.proc, proc.get());
  EXPECT_TRUE(thread.need_return);
  EXPECT_EQ(thread.looper, 0u);
  EXPECT_FALSE(thread.is_dead);
  sync::MutexLock lock(thread.proc->queues_mu);
  EXPECT_TRUE(thread.todo.empty());
  EXPECT_FALSE(thread.process_todo);
  EXPECT_EQ(thread.stack, nullptr);
  EXPECT_EQ(thread.return_error.command(), Br::BR_OK);
  EXPECT_EQ(thread.reply_error.command(), Br::BR_OK);
  EXPECT_EQ(thread.extended_error.id, 0u);
  EXPECT_EQ(thread.extended_error.command,
            static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_EQ(thread.extended_error.param, 0);
}

TEST(ThreadTest, LooperIsWhoRegisteredOrEntered) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto thread = objects.NewThread(*proc, 1);
  for (const std::uint32_t bit :
       {kLooperRegistered, kLooperEntered, kLooperExited, kLooperInvalid,
        kLooperWaiting, kLooperPoll}) {
    thread->looper = bit;
    EXPECT_EQ(thread->is_looper(),
              bit == kLooperRegistered || bit == kLooperEntered);
    thread->looper = bit | kLooperEntered;
    EXPECT_TRUE(thread->is_looper());
  }
}

TEST(ThreadTest, LooperBitsAreTheKernels) {
  EXPECT_EQ(kLooperRegistered, 0x01u);
  EXPECT_EQ(kLooperEntered, 0x02u);
  EXPECT_EQ(kLooperExited, 0x04u);
  EXPECT_EQ(kLooperInvalid, 0x08u);
  EXPECT_EQ(kLooperWaiting, 0x10u);
  EXPECT_EQ(kLooperPoll, 0x20u);
}

TEST(ThreadTest, PinsItsProc) {
  testing::CoreObjects<L> objects;
  auto proc = objects.NewProc();
  auto thread = objects.NewThread(*proc, 1);
  proc.reset();
  EXPECT_EQ(objects.counts().live(ObjectKind::kProc), 1u);
  thread.reset();
  EXPECT_EQ(objects.counts().live(ObjectKind::kProc), 0u);
  EXPECT_EQ(objects.counts().live(ObjectKind::kThread), 0u);
}

}  // namespace
}  // namespace binderlite::core
