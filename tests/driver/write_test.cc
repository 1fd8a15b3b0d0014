// SPDX-License-Identifier: Apache-2.0
//
// How far a stream of commands is run, what stops it, and what it leaves behind
// when it is malformed or cannot be read.

#include "binderlite/driver/write.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/exchange.h"
#include "support/faulty_memory.h"
#include "support/write_read_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class WriteTest : public WriteReadTest<L> {
 protected:
  // One of each command that can be run again and again by a thread that holds
  // `handle`; the last four bytes of none can be done without.
  std::vector<Commands> EachCommand(std::uint32_t handle) {
    TransactionDataSg sg = {};
    sg.data.target.handle = handle;
    sg.data.flags = kTfOneWay;
    return {Commands().Acquire(handle),
            Commands().Release(handle),
            Commands().IncRefs(handle),
            Commands().DecRefs(handle),
            Commands().AcquireDone(this->kPtr, this->kCookie),
            Commands().IncRefsDone(this->kPtr, this->kCookie),
            Commands().Free(0x10),
            Commands().OneWay(handle),
            Commands().Transact(handle),
            Commands().Reply(),
            Commands().Put(Bc::BC_TRANSACTION_SG, sg),
            Commands().Put(Bc::BC_REPLY_SG, sg),
            Commands().EnterLooper(),
            Commands().RegisterLooper(),
            Commands().ExitLooper(),
            Commands().RequestDeath(handle, 1),
            Commands().ClearDeath(handle, 1),
            Commands().DeadDone(1)};
  }

  // Runs BC_ACQUIRE and `second`, with an `obstacle` in the way of the second,
  // or of both when `first_runs` is false; says what must have happened: the
  // first command alone, and of the second nothing at all.
  void RunSpoiled(Peer<L>& client, std::uint32_t handle, const Commands& second,
                  bool first_runs, Errc want,
                  const std::function<void(Exchange&)>& obstacle) {
    const std::string before = this->State();
    Exchange call(Commands().Acquire(handle).Bytes(second.bytes().data(),
                                                   second.bytes().size()));
    call.args.read_consumed = 12;
    obstacle(call);
    EXPECT_EQ(call.Run(client), want);
    EXPECT_EQ(call.args.write_consumed, first_runs ? 8u : 0u);
    if (want != Errc::kWouldBlock) {
      EXPECT_EQ(call.args.read_consumed, 0u);
    }
    this->memory().Heal();
    if (first_runs) client.Write(Commands().Release(handle));
    EXPECT_EQ(this->State(), before);
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(WriteTest);

// Rows: WR-01
TYPED_TEST(WriteTest, WriteStartsWhereItIsToldTo) {
  auto& peer = this->Open();
  Exchange call(Commands().EnterLooper().ExitLooper(), 0);
  call.args.write_consumed = 4;
  EXPECT_EQ(call.Run(peer), Errc::kOk);
  EXPECT_EQ(call.args.write_consumed, 8u);
  EXPECT_EQ(this->LooperOf(peer), core::kLooperExited);
}

// Rows: WR-01 WR-03
TYPED_TEST(WriteTest, WriteGoesOnAfterABadCommand) {
  auto [manager, service, client, handle] = this->Connected();
  Exchange call(Commands().Acquire(handle).Raw(0).Acquire(handle), 0);
  EXPECT_EQ(call.Run(client), Errc::kInvalid);
  EXPECT_EQ(call.Run(client), Errc::kInvalid);  // Stays where it is.
  EXPECT_EQ(call.args.write_consumed, 8u);
  EXPECT_EQ(this->StrongOf(client, handle), 2);
  call.args.write_consumed += 4;
  EXPECT_EQ(call.Run(client), Errc::kOk);
  EXPECT_EQ(call.args.write_consumed, 20u);
  EXPECT_EQ(this->StrongOf(client, handle), 3);
}

// Rows: WR-02
TYPED_TEST(WriteTest, CommandsRunInOrder) {
  auto [manager, service, client, handle] = this->Connected();
  // The other way round, the handle would be gone before it is acquired.
  client.Write(Commands().Acquire(handle).Release(handle));
  EXPECT_EQ(this->StrongOf(client, handle), 1);
  client.Write(Commands().Release(handle).Acquire(handle));
  EXPECT_EQ(this->StrongOf(client, handle), 0);
}

// Rows: WR-02
TYPED_TEST(WriteTest, EachCompletedCommandIsConsumed) {
  auto [manager, service, client, handle] = this->Connected();
  Commands good;
  good.Acquire(handle)
      .RequestDeath(handle, 1)
      .OneWay(handle)
      .EnterLooper()
      .DeadDone(7)
      .Release(handle);
  std::vector<std::size_t> ends = {8, 24, 92, 96, 108, 116};
  for (const std::size_t end : ends) {
    Exchange call(Commands().Bytes(good.bytes().data(), end).Raw(0), 0);
    EXPECT_EQ(call.Run(client), Errc::kInvalid);
    EXPECT_EQ(call.args.write_consumed, end);
    (void)client.ReadAll();
  }
}

// Rows: WR-03
TYPED_TEST(WriteTest, UnknownCommands) {
  auto [manager, service, client, handle] = this->Connected();
  service.Write(Commands());
  std::vector<std::uint32_t> codes = {
      0, 1, 0x63, 0xffffffff,
      // Right numbers with another size, direction or group.
      IoctlCode(IoctlDir::kWrite, 'c', 0, sizeof(TransactionDataSg)),
      IoctlCode(IoctlDir::kWrite, 'c', 17, sizeof(TransactionData)),
      IoctlCode(IoctlDir::kWrite, 'c', 5, 8),
      IoctlCode(IoctlDir::kNone, 'c', 5, 4),
      IoctlCode(IoctlDir::kRead, 'c', 5, 4),
      IoctlCode(IoctlDir::kWrite, 'r', 5, 4),
      IoctlCode(IoctlDir::kWrite, 'c', 12, 4), NumberOf(Br::BR_NOOP),
      NumberOf(Br::BR_TRANSACTION),
      static_cast<std::uint32_t>(Ioctl::kWriteRead)};
  for (std::uint32_t number = 22; number < 256; ++number) {
    codes.push_back(IoctlCode(IoctlDir::kNone, 'c', number, 0));
    codes.push_back(IoctlCode(IoctlDir::kWrite, 'c', number, 4));
  }
  // Work that must not be read on this occasion.
  client.Write(Commands().OneWay(handle));
  for (const std::uint32_t code : codes) {
    SCOPED_TRACE(code);
    this->RunSpoiled(client, handle, Commands().Raw(code).Acquire(handle),
                     /*first_runs=*/true, Errc::kInvalid, [](Exchange&) {});
  }
  // The struct tells the same when it is the driver that copies it.
  Exchange call(Commands().Acquire(handle).Raw(0));
  call.args.read_consumed = 12;
  EXPECT_EQ(call.RunIoctl(client), Errc::kInvalid);
  EXPECT_EQ(call.args.write_consumed, 8u);
  EXPECT_EQ(call.args.read_consumed, 0u);
  EXPECT_EQ(call.word(), kUntouchedWord);
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_TRANSACTION_COMPLETE}));
}

// Rows: WR-04
TYPED_TEST(WriteTest, CommandsThatNobodySupports) {
  auto [manager, service, client, handle] = this->Connected();
  const std::int32_t result = 1;
  const PriDesc desc = {1, handle};
  for (const Commands& bad : {Commands().Put(Bc::BC_ACQUIRE_RESULT, result),
                              Commands().Put(Bc::BC_ATTEMPT_ACQUIRE, desc),
                              Commands().Put(Bc::BC_ACQUIRE_RESULT),
                              Commands().Put(Bc::BC_ATTEMPT_ACQUIRE)}) {
    this->RunSpoiled(client, handle, bad, /*first_runs=*/true, Errc::kInvalid,
                     [](Exchange&) {});
  }
}

// Rows: WR-05
TYPED_TEST(WriteTest, WriteStopsAtAFailedTransaction) {
  auto& peer = this->Open();
  TransactionDataSg sg = {};
  sg.data.target.handle = kBadHandle;
  for (const Commands& bad :
       {Commands().Transact(kBadHandle), Commands().OneWay(kBadHandle),
        Commands().Reply(), Commands().Put(Bc::BC_TRANSACTION_SG, sg),
        Commands().Put(Bc::BC_REPLY_SG, sg)}) {
    const std::size_t size = bad.bytes().size();
    Exchange call(Commands().Bytes(bad.bytes().data(), size).EnterLooper());
    EXPECT_EQ(call.Run(peer), Errc::kOk);
    EXPECT_EQ(call.args.write_consumed, size);
    EXPECT_EQ(call.codes(), (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
    EXPECT_EQ(this->LooperOf(peer), 0u);
  }
}

// Rows: WR-06
TYPED_TEST(WriteTest, NothingRunsWhileAFailureIsUnread) {
  auto& peer = this->Open();
  EXPECT_EQ(peer.Do(Commands().Transact(kBadHandle), 0).write_consumed, 68u);
  EXPECT_EQ(this->ThreadOf(peer, peer).todo,
            (std::vector{core::WorkType::kReturnError}));
  Exchange write(Commands().EnterLooper(), 0);
  EXPECT_EQ(write.Run(peer), Errc::kOk);
  EXPECT_EQ(write.args.write_consumed, 0u);
  // Not even what is malformed is looked at.
  EXPECT_EQ(peer.Do(Commands().Raw(0), 0).error, Errc::kOk);
  // Nor by the call that reads the failure.
  Exchange both(Commands().EnterLooper());
  EXPECT_EQ(both.Run(peer), Errc::kOk);
  EXPECT_EQ(both.args.write_consumed, 0u);
  EXPECT_EQ(both.codes(), (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
  EXPECT_EQ(this->LooperOf(peer), 0u);
  // Nothing is lost: the same struct works now.
  EXPECT_EQ(write.Run(peer), Errc::kOk);
  EXPECT_EQ(write.args.write_consumed, 4u);
  EXPECT_EQ(this->LooperOf(peer), core::kLooperEntered);
}

// Rows: WR-07
TYPED_TEST(WriteTest, CommandsThatCannotBeRead) {
  auto pair = this->ConnectedOverFaultyMemory();
  for (const Commands& command : this->EachCommand(pair.handle)) {
    const std::size_t size = 8 + command.bytes().size();
    for (std::size_t i = 0; i < size; ++i) {
      SCOPED_TRACE("byte " + std::to_string(i) + " of " + std::to_string(size));
      this->RunSpoiled(
          pair.client, pair.handle, command, i >= 8, Errc::kFault,
          [&](Exchange& call) {
            this->memory().FaultReads(AddressOf(call.written.data()) + i);
          });
    }
  }
}

// Rows: WR-08
TYPED_TEST(WriteTest, CommandsThatAreCutOff) {
  auto [manager, service, client, handle] = this->Connected();
  for (const Commands& command : this->EachCommand(handle)) {
    const std::size_t size = 8 + command.bytes().size();
    for (std::size_t cut = 0; cut < size; ++cut) {
      SCOPED_TRACE(std::to_string(cut) + " of " + std::to_string(size));
      const bool between = cut == 0 || cut == 8;
      this->RunSpoiled(client, handle, command, cut >= 8,
                       between ? Errc::kWouldBlock : Errc::kFault,
                       [&](Exchange& call) { call.args.write_size = cut; });
    }
  }
}

// Rows: WR-08
TYPED_TEST(WriteTest, TrailingBytes) {
  auto& peer = this->Open();
  for (std::size_t extra = 1; extra < 4; ++extra) {
    Exchange call(Commands().EnterLooper().ExitLooper(), 0);
    call.args.write_size = 4 + extra;
    EXPECT_EQ(call.Run(peer), Errc::kFault);
    EXPECT_EQ(call.args.write_consumed, 4u);
    EXPECT_EQ(this->LooperOf(peer), core::kLooperEntered);
  }
}

// Rows: WR-09
TYPED_TEST(WriteTest, MoreConsumedThanWritten) {
  auto& peer = this->Open();
  for (const std::uint64_t consumed :
       {std::uint64_t{5}, std::uint64_t{1} << 32, ~std::uint64_t{}}) {
    Exchange call(Commands().EnterLooper());
    call.args.write_consumed = consumed;
    EXPECT_EQ(call.Run(peer), Errc::kWouldBlock);  // Went on to the read.
    EXPECT_EQ(call.args.write_consumed, consumed);
    EXPECT_EQ(this->LooperOf(peer), 0u);
  }
}

// A size says where a stream may end, not where it does; an address may be at
// the very end of all.
TYPED_TEST(WriteTest, WriteOfExtremeSizes) {
  auto& peer = this->Open({.memory = &this->memory()});
  Exchange call(Commands().EnterLooper().ExitLooper(), 0);
  this->memory().FaultReads(AddressOf(call.written.data()) + 8, 4096);
  call.args.write_size = ~std::uint64_t{};
  EXPECT_EQ(call.Run(peer), Errc::kFault);
  EXPECT_EQ(call.args.write_consumed, 8u);
  EXPECT_EQ(this->LooperOf(peer), core::kLooperEntered | core::kLooperExited);
  this->memory().Heal();

  for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{1},
                                      ~std::uint64_t{}, ~std::uint64_t{} - 3}) {
    call.args.write_buffer = address;
    for (const std::uint64_t size : {std::uint64_t{4}, ~std::uint64_t{}}) {
      call.args.write_size = size;
      call.args.write_consumed = 0;
      EXPECT_EQ(call.Run(peer), Errc::kFault);
      EXPECT_EQ(call.args.write_consumed, 0u);
    }
    // Nothing to write: the address does not matter.
    call.args.write_size = 0;
    EXPECT_EQ(call.Run(peer), Errc::kOk);
  }
}

// Rows: WR-10
TYPED_TEST(WriteTest, FaultOfTheStructWins) {
  auto pair = this->ConnectedOverFaultyMemory();
  Exchange call(Commands().Acquire(pair.handle).Raw(0), 0);
  for (std::size_t i = 0; i < sizeof(call.args); ++i) {
    call.args.write_consumed = 0;
    this->memory().FaultWrites(AddressOf(&call.args) + i);
    EXPECT_EQ(call.RunIoctl(pair.client), Errc::kFault);
    this->memory().Heal();
  }
  // The commands before the bad one have run each time.
  EXPECT_EQ(this->StrongOf(pair.client, pair.handle),
            1 + static_cast<int>(sizeof(call.args)));
  call.args.write_consumed = 0;
  EXPECT_EQ(call.RunIoctl(pair.client), Errc::kInvalid);
}

// Rows: WR-11
TYPED_TEST(WriteTest, RepeatedAfterNothingToRead) {
  auto [manager, service, client, handle] = this->Connected();
  Exchange call(Commands().Acquire(handle).Acquire(handle));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(call.RunIoctl(client), Errc::kWouldBlock);
    EXPECT_EQ(call.args.write_consumed, 16u);
    EXPECT_EQ(this->StrongOf(client, handle), 3);
  }
}

// Rows: WR-11 RD-02
TYPED_TEST(WriteTest, RepeatedAfterAnInterrupt) {
  auto [manager, service, client, handle] = this->Connected();
  Exchange call(Commands().Acquire(handle));
  BlockedExchange<TypeParam> blocked(this->gates(), client.proc(),
                                     client.thread(), call);
  client.thread().Interrupt();
  EXPECT_EQ(blocked.Join(), Errc::kInterrupted);
  EXPECT_EQ(call.args.write_consumed, 8u);
  EXPECT_EQ(call.args.read_consumed, 0u);
  EXPECT_EQ(call.word(), NumberOf(Br::BR_NOOP));
  EXPECT_EQ(call.Run(client), Errc::kWouldBlock);
  EXPECT_EQ(this->StrongOf(client, handle), 2);
}

// Rows: WR-12
TYPED_TEST(WriteTest, AFailedReplyIsCompleteForTheReplier) {
  auto pair = this->Connected();
  auto& service = pair.service;
  auto& client = pair.client;
  TransactionData unreadable = {};
  unreadable.data_size = 8;
  const Payload bad_object = Payload().Handle(kBadHandle);
  const Payload too_large(std::string(2u << 20, 'x'));
  const std::vector<std::function<void(Commands&)>> failures = {
      [&](Commands& c) { c.Reply(bad_object); },
      [&](Commands& c) { c.Reply(too_large); },
      [&](Commands& c) { c.Put(Bc::BC_REPLY, unreadable); },
      [&](Commands& c) {
        EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
        c.Reply();
      },
      [&](Commands& c) {
        client.proc().Unmap();
        c.Reply();
      },
  };
  for (const auto& fail : failures) {
    client.Write(Commands().Transact(pair.handle));
    const Received call = service.Read().Get(Br::BR_TRANSACTION);
    service.Write(Commands().Free(call.tr.buffer));
    Commands reply;
    fail(reply);
    Exchange answer(reply.EnterLooper());
    EXPECT_EQ(answer.Run(service), Errc::kOk);
    EXPECT_EQ(answer.args.write_consumed, 68u);
    EXPECT_EQ(answer.codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
    EXPECT_EQ(this->LooperOf(service), 0u);
    this->Settle(client);
  }
}

// Rows: WR-13
TYPED_TEST(WriteTest, FieldsThatAreNotTheDriversToChange) {
  auto [manager, service, client, handle] = this->Connected();
  Exchange call(Commands().OneWay(handle));
  WriteRead want = call.args;
  EXPECT_EQ(call.RunIoctl(client), Errc::kOk);
  want.write_consumed = 68;
  want.read_consumed = 8;
  EXPECT_EQ(std::memcmp(&call.args, &want, sizeof(want)), 0);
}

}  // namespace
}  // namespace binderlite::testing
