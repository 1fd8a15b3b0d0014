// SPDX-License-Identifier: Apache-2.0
//
// Transaction and Completion: what they are, and who is at the two ends.

#include "binderlite/core/transaction.h"

#include <gtest/gtest.h>

#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "support/core_objects.h"

namespace binderlite::core {
namespace {

using L = FineGrained<>;

TEST(TransactionTest, OnlyCallsNeedAReply) {
  LiveCounts counts;
  const Transaction<L> call(counts, TransactionKind::kCall, 1);
  const Transaction<L> one_way(counts, TransactionKind::kOneWay, 2);
  const Transaction<L> reply(counts, TransactionKind::kReply, 3);
  EXPECT_TRUE(call.needs_reply());
  EXPECT_FALSE(one_way.needs_reply());
  EXPECT_FALSE(reply.needs_reply());
  EXPECT_EQ(reply.id, 3u);
}

TEST(TransactionTest, IsTheWorkThatItsReceiverReads) {
  LiveCounts counts;
  Transaction<L> call(counts, TransactionKind::kCall, 1);
  WorkList todo;
  todo.PushBack(call);
  Work* const work = todo.PopFront();
  ASSERT_EQ(work->type, WorkType::kTransaction);
  EXPECT_EQ(static_cast<Transaction<L>*>(work), &call);
}

TEST(TransactionTest, KnowsItsEnds) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  const auto caller = objects.NewThread(*proc, 1);
  const auto server = objects.NewThread(*proc, 2);
  Transaction<L> call(objects.counts(), TransactionKind::kCall, 1);
  EXPECT_FALSE(call.sender());
  EXPECT_FALSE(call.IsFrom(*caller));
  EXPECT_FALSE(call.IsServedBy(*server));
  EXPECT_FALSE(call.has_sender());
  call.SetSender(*caller);
  call.to_thread = server.get();
  EXPECT_TRUE(call.has_sender());
  EXPECT_EQ(call.sender().get(), caller.get());
  EXPECT_TRUE(call.IsFrom(*caller));
  EXPECT_FALSE(call.IsFrom(*server));
  EXPECT_TRUE(call.IsServedBy(*server));
  EXPECT_FALSE(call.IsServedBy(*caller));
}

// Whoever asks for the sender pins it; the transaction does not.
TEST(TransactionTest, ItsSenderTakesItsNameOffIt) {
  testing::CoreObjects<L> objects;
  const auto proc = objects.NewProc();
  auto caller = objects.NewThread(*proc, 1);
  Transaction<L> call(objects.counts(), TransactionKind::kCall, 1);
  call.SetSender(*caller);
  {
    const Pin<Thread<L>> sender = call.sender();
    {
      sync::MutexLock lock(call.mu);
      call.ResetSender();
    }
    caller.reset();
    EXPECT_EQ(sender->tid, 1);
    EXPECT_FALSE(call.sender());
    EXPECT_FALSE(call.has_sender());
  }
  EXPECT_EQ(objects.counts().live(ObjectKind::kThread), 0u);
}

TEST(TransactionTest, AllAreCounted) {
  LiveCounts counts;
  {
    const Transaction<L> reply(counts, TransactionKind::kReply, 1);
    const Completion completion(counts);
    EXPECT_EQ(completion.type, WorkType::kTransactionComplete);
    EXPECT_EQ(counts.live(ObjectKind::kTransaction), 1u);
    EXPECT_EQ(counts.live(ObjectKind::kTransactionComplete), 1u);
  }
  EXPECT_EQ(counts.live(ObjectKind::kTransaction), 0u);
  EXPECT_EQ(counts.live(ObjectKind::kTransactionComplete), 0u);
}

}  // namespace
}  // namespace binderlite::core
