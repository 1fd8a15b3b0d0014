// SPDX-License-Identifier: Apache-2.0
//
// What the driver counts: commands written and read, by thread, Proc and
// Context; transactions that are not over.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/core/stats.h"
#include "support/call_test.h"
#include "support/exchange.h"

namespace binderlite::testing {
namespace {

using Counts = std::map<std::string_view, std::uint32_t>;

// What there is more in `after`, by name.
Counts Difference(const core::CommandTotals& before,
                  const core::CommandTotals& after) {
  Counts counts;
  for (std::size_t i = 0; i < kBcNumbers; ++i) {
    const std::uint32_t more = after.bc[i] - before.bc[i];
    if (more != 0) counts[wire_internal::kBcWords[i].name] = more;
  }
  for (std::size_t i = 0; i < kBrNumbers; ++i) {
    const std::uint32_t more = after.br[i] - before.br[i];
    if (more != 0) counts[wire_internal::kBrWords[i].name] = more;
  }
  return counts;
}

template <class L>
class StatisticsTest : public CallTest<L> {
 protected:
  // What `steps` add to the counts of `peer`, and to those of the Context.
  template <class F>
  Counts CountsOf(Peer<L>& peer, F steps) {
    const debug::Snapshot before = this->Snapshot();
    const core::CommandTotals of_peer = this->SnapshotOf(peer).commands;
    steps();
    Counts counts = Difference(of_peer, this->SnapshotOf(peer).commands);
    EXPECT_EQ(Difference(before.commands, this->Snapshot().commands), counts);
    return counts;
  }
  std::int32_t OutstandingAt(Peer<L>& peer) {
    return this->SnapshotOf(peer).outstanding;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(StatisticsTest);

// Rows: WR-14
TYPED_TEST(StatisticsTest, CommandsAreCountedBeforeTheyAreExecuted) {
  auto [manager, service, client, handle] = this->Connected();
  // Ignored ones, and one that fails, after which nothing is looked at.
  EXPECT_EQ(this->CountsOf(
                client,
                [&client = client] {
                  client.Write(Commands()
                                   .Acquire(99)
                                   .Free(1)
                                   .DeadDone(1)
                                   .EnterLooper()
                                   .EnterLooper());
                  client.Do(Commands().ExitLooper().Transact(99).IncRefs(99),
                            /*read_size=*/0);
                }),
            (Counts{{"BC_ACQUIRE", 1},
                    {"BC_FREE_BUFFER", 1},
                    {"BC_DEAD_BINDER_DONE", 1},
                    {"BC_ENTER_LOOPER", 2},
                    {"BC_EXIT_LOOPER", 1},
                    {"BC_TRANSACTION", 1}}));
  (void)client.Read();
  // Commands that do not exist, or not with this size, by their number; a
  // payload that is missing.
  EXPECT_EQ(this->CountsOf(
                client,
                [&client = client] {
                  for (const std::uint32_t code :
                       {IoctlCode(IoctlDir::kNone, 'c', 16, 4),
                        IoctlCode(IoctlDir::kNone, 'c', 99, 0),
                        static_cast<std::uint32_t>(Bc::BC_ATTEMPT_ACQUIRE)}) {
                    EXPECT_EQ(client.Do(Commands().Raw(code)).error,
                              Errc::kInvalid);
                  }
                  EXPECT_EQ(client.Do(Commands().Put(Bc::BC_RELEASE)).error,
                            Errc::kFault);
                }),
            (Counts{{"BC_DEAD_BINDER_DONE", 1},
                    {"BC_ATTEMPT_ACQUIRE", 1},
                    {"BC_RELEASE", 1}}));
}

// Rows: WR-14 RD-28
TYPED_TEST(StatisticsTest, CountsOutliveThreadsAndProcs) {
  Peer<TypeParam>& peer = this->Open();
  Actor<TypeParam> worker = peer.Spawn();
  EXPECT_EQ(this->CountsOf(peer,
                           [&] {
                             worker.Write(Commands().EnterLooper());
                             EXPECT_EQ(worker.thread().ThreadExit(), Errc::kOk);
                           }),
            (Counts{{"BC_ENTER_LOOPER", 1}}));
  peer.Write(Commands().ExitLooper());
  this->Close(peer);
  const core::CommandTotals total = this->Snapshot().commands;
  EXPECT_EQ(Difference({}, total),
            (Counts{{"BC_ENTER_LOOPER", 1}, {"BC_EXIT_LOOPER", 1}}));
}

// Rows: RD-28
TYPED_TEST(StatisticsTest, ReturnsAreCountedWhenTheyAreWritten) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(this->CountsOf(client, [&client = client] { (void)client.Read(); }),
            Counts());
  client.Write(Commands().OneWay(handle).OneWay(handle));
  EXPECT_EQ(this->CountsOf(client, [&client = client] { (void)client.Read(); }),
            (Counts{{"BR_TRANSACTION_COMPLETE", 2}}));
  EXPECT_EQ(this->CountsOf(service, [&s = service] { (void)s.Read(); }),
            (Counts{{"BR_TRANSACTION", 1}}));
}

// The BR_NOOP that it replaces, as all others, is not.
// Rows: RD-28
TYPED_TEST(StatisticsTest, ASpawnIsCounted) {
  Peer<TypeParam>& peer = this->Open();
  EXPECT_EQ(peer.thread().SetMaxThreads(1), Errc::kOk);
  Actor<TypeParam> looper = peer.Fresh();
  EXPECT_EQ(this->CountsOf(peer,
                           [&] {
                             EXPECT_EQ(
                                 looper.Do(Commands().EnterLooper()).codes(),
                                 BrList{Br::BR_SPAWN_LOOPER});
                           }),
            (Counts{{"BC_ENTER_LOOPER", 1}, {"BR_SPAWN_LOOPER", 1}}));
}

// Rows: RD-28
TYPED_TEST(StatisticsTest, WithALabelItIsTheSameCommand) {
  Peer<TypeParam>& manager = this->Open();
  FlatObject node = {};
  node.flags = kFlatTxnSecurityCtx;
  EXPECT_EQ(manager.thread().SetContextMgrExt(node), Errc::kOk);
  Peer<TypeParam>& client = this->Open({.label = "u:r:client"});
  client.Write(Commands().OneWay(0));
  EXPECT_EQ(this->CountsOf(manager,
                           [&] {
                             Exchange read;
                             EXPECT_EQ(read.Run(manager), Errc::kOk);
                             EXPECT_EQ(read.word(4),
                                       static_cast<std::uint32_t>(
                                           Br::BR_TRANSACTION_SEC_CTX));
                           }),
            (Counts{{"BR_TRANSACTION", 1}}));
}

// Rows: RD-28
TYPED_TEST(StatisticsTest, WhatFaultsIsNotCounted) {
  Peer<TypeParam>& manager = this->OpenManager({.memory = &this->memory()});
  Peer<TypeParam>& client = this->Open();
  client.Write(Commands().OneWay(0));
  EXPECT_EQ(
      this->CountsOf(manager,
                     [&] {
                       Exchange read;
                       // The last byte of the command.
                       this->memory().FaultWrites(read.args.read_buffer + 8 +
                                                  sizeof(TransactionData) - 1);
                       EXPECT_EQ(read.Run(manager), Errc::kFault);
                       this->memory().Heal();
                     }),
      Counts());
}

// Rows: WR-14 RD-28
TYPED_TEST(StatisticsTest, WithoutByteStreamsItIsTheSame) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_EQ(this->CountsOf(client,
                           [&client = client, handle = handle] {
                             BasicThread<TypeParam>& thread = client.thread();
                             TransactionData data = {};
                             data.target.handle = handle;
                             data.flags = kTfOneWay;
                             EXPECT_EQ(thread.Transact(data), Errc::kOk);
                             EXPECT_EQ(thread.Transact(data, 8), Errc::kOk);
                             Incoming incoming;
                             EXPECT_EQ(thread.NextWork(incoming), Errc::kOk);
                             EXPECT_EQ(thread.NextWork(incoming), Errc::kOk);
                             EXPECT_EQ(thread.IncRefs(handle), Errc::kOk);
                             EXPECT_EQ(thread.DecRefs(handle), Errc::kOk);
                             EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
                           }),
            (Counts{{"BC_TRANSACTION", 1},
                    {"BC_TRANSACTION_SG", 1},
                    {"BC_INCREFS", 1},
                    {"BC_DECREFS", 1},
                    {"BC_ENTER_LOOPER", 1},
                    {"BR_TRANSACTION_COMPLETE", 2}}));
}

// Rows: TX-30
TYPED_TEST(StatisticsTest, ACallIsOutstandingUntilItIsAnswered) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(this->OutstandingAt(service), 1);
  EXPECT_EQ(this->OutstandingAt(client), 0);
  const Received call = this->Receive(service);
  service.Write(Commands().Free(call.tr.buffer));
  EXPECT_EQ(this->OutstandingAt(service), 1);
  service.Write(Commands().Reply());
  EXPECT_EQ(this->OutstandingAt(service), 0);
  EXPECT_EQ(this->OutstandingAt(client), 1) << "its reply";
  (void)client.Read();
  EXPECT_EQ(this->OutstandingAt(client), 0);
}

// Rows: TX-30
TYPED_TEST(StatisticsTest, AOneWayIsOutstandingUntilItIsRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle).OneWay(handle));
  EXPECT_EQ(this->OutstandingAt(service), 2);
  const Received first = this->Receive(service);
  EXPECT_EQ(this->OutstandingAt(service), 1);
  service.Write(Commands().Free(first.tr.buffer));
  (void)this->Receive(service);
  EXPECT_EQ(this->OutstandingAt(service), 0);
}

// Rows: TX-30
TYPED_TEST(StatisticsTest, WhatFailsIsNotOutstanding) {
  auto [manager, service, client, handle] = this->Connected();
  // Not built, not queued, not answered.
  client.Write(Commands().Transact(handle, Payload().Handle(99)));
  (void)client.Read();
  EXPECT_EQ(manager.thread().Freeze(
                {static_cast<std::uint32_t>(service.pid()), 1, 0}),
            Errc::kOk);
  client.Write(Commands().Transact(handle));
  (void)client.Read();
  EXPECT_EQ(this->OutstandingAt(service), 0);
  EXPECT_EQ(manager.thread().Freeze(
                {static_cast<std::uint32_t>(service.pid()), 0, 0}),
            Errc::kOk);
  Actor<TypeParam> worker = service.Spawn();
  client.Write(Commands().Transact(handle));
  (void)this->Receive(worker);
  EXPECT_EQ(this->OutstandingAt(service), 1);
  EXPECT_EQ(worker.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->OutstandingAt(service), 0);
  EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kDead}));
  // The caller is gone, and the call goes on.
  Actor<TypeParam> caller = client.Spawn();
  caller.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  EXPECT_EQ(caller.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->OutstandingAt(service), 1);
  service.Write(Commands().Reply());
  EXPECT_EQ(this->OutstandingAt(service), 0);
  EXPECT_EQ(this->OutstandingAt(client), 0);
}

}  // namespace
}  // namespace binderlite::testing
