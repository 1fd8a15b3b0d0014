// SPDX-License-Identifier: Apache-2.0
//
// The extended error of a thread: {command, errno} for each way in which a
// transaction or a reply can fail, and what leaves it alone. Across
// driver/transact.h, driver/translate.h and driver/ioctl.h.

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/driver/ioctl.h"
#include "binderlite/driver/transact.h"
#include "binderlite/wire/flags.h"
#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using Error = std::pair<Br, std::int32_t>;

const Error kNoError = {Br::BR_OK, 0};

template <class L>
class ExtendedErrorTest : public DriverTest<L> {
 protected:
  static ExtendedError Take(Actor<L>& actor) {
    ExtendedError error = {};
    EXPECT_EQ(actor.thread().GetExtendedError(error), Errc::kOk);
    return error;
  }

  // Runs a transaction or reply of `actor` that must fail at once; returns
  // what is to be known about it.
  static Error Fail(Actor<L>& actor, const Commands& bad) {
    const Result result = actor.Do(bad);
    EXPECT_EQ(result.error, Errc::kOk);
    const Error error = actor.TakeError();
    EXPECT_TRUE(result.Has(error.first)) << "told one thing, read another";
    EXPECT_FALSE(result.Has(Br::BR_TRANSACTION_COMPLETE));
    return error;
  }

  // Sends a call and a one-way; both must fail in the same way.
  static Error FailTransact(Actor<L>& actor, std::uint32_t handle,
                            const Payload& payload = {}) {
    const Error call = Fail(actor, Commands().Transact(handle, payload));
    EXPECT_EQ(Fail(actor, Commands().OneWay(handle, payload)), call);
    return call;
  }

  // Has `service` read a call of `client`.
  static void Serve(Actor<L>& client, Actor<L>& service, std::uint32_t handle) {
    client.Write(Commands().Transact(handle));
    const Received call = service.Read().Get(Br::BR_TRANSACTION);
    service.Write(Commands().Free(call.tr.buffer));
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ExtendedErrorTest);

// Rows: EE-01
TYPED_TEST(ExtendedErrorTest, Success) {
  auto [manager, service, client, handle] = this->Connected();
  std::uint32_t last = 0;
  client.Write(Commands().OneWay(handle));
  for (int i = 0; i < 2; ++i) {
    if (i == 1) client.Write(Commands().Transact(handle));
    const ExtendedError error = this->Take(client);
    EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
    EXPECT_EQ(error.param, 0);
    EXPECT_GT(error.id, last);  // A number of its own.
    last = error.id;
  }
  // It is that of the transaction.
  ASSERT_EQ(this->ThreadOf(client, client).stack.size(), 1u);
  EXPECT_EQ(this->ThreadOf(client, client).stack[0].id, last);

  // The same for replies.
  const Received one_way = service.Read().Get(Br::BR_TRANSACTION);
  service.Write(Commands().Free(one_way.tr.buffer));
  (void)service.Read().Get(Br::BR_TRANSACTION);
  service.Write(Commands().Reply());
  const ExtendedError error = this->Take(service);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_EQ(error.param, 0);
  EXPECT_GT(error.id, last);
}

// Rows: EE-01
TYPED_TEST(ExtendedErrorTest, SuccessAfterAFailure) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(0xbad));
  (void)client.Read();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.TakeError(), kNoError);
}

// Rows: EE-02
TYPED_TEST(ExtendedErrorTest, UnusableTarget) {
  auto [manager, service, client, handle] = this->Connected();
  const Error want = {Br::BR_FAILED_REPLY, -EINVAL};
  EXPECT_EQ(this->FailTransact(client, 0xbad), want);  // Unknown.
  EXPECT_EQ(this->FailTransact(client, 0xffffffff), want);
  client.Write(Commands().IncRefs(handle).Release(handle));  // Weak.
  EXPECT_EQ(this->FailTransact(client, handle), want);
  EXPECT_EQ(this->FailTransact(manager, 0), want);     // Itself.
  auto& sibling = this->Open({.pid = manager.pid()});  // As good as that.
  EXPECT_EQ(this->FailTransact(sibling, 0), want);
}

// Rows: EE-03
TYPED_TEST(ExtendedErrorTest, DeadTarget) {
  auto [manager, service, client, handle] = this->Connected();
  const Error want = {Br::BR_DEAD_REPLY, -EINVAL};
  this->Close(service);
  EXPECT_EQ(this->FailTransact(client, handle), want);
  this->Close(manager);
  EXPECT_EQ(this->FailTransact(client, 0), want);
}

// Rows: EE-04
TYPED_TEST(ExtendedErrorTest, UnmappedTarget) {
  const Error want = {Br::BR_DEAD_REPLY, -ESRCH};
  auto& client = this->Open();
  auto& manager = this->OpenManager({.arena_size = 0});
  EXPECT_EQ(this->FailTransact(client, 0), want);
  EXPECT_EQ(manager.proc().Map(4096), Errc::kOk);
  client.Write(Commands().OneWay(0));
  EXPECT_EQ(client.TakeError(), kNoError);
  (void)client.ReadAll();
  manager.proc().Unmap();
  EXPECT_EQ(this->FailTransact(client, 0), want);
}

// Rows: EE-06
TYPED_TEST(ExtendedErrorTest, NoSpace) {
  const Error want = {Br::BR_FAILED_REPLY, -ENOSPC};
  auto& client = this->Open();
  auto& manager = this->OpenManager({.arena_size = 8192});
  const Payload half(std::string(4096, 'x'));
  const Payload more(std::string(4097, 'x'));
  const Payload all(std::string(8193, 'x'));
  EXPECT_EQ(this->FailTransact(client, 0, all), want);
  // One-ways have half of it, and then the others what they leave.
  EXPECT_EQ(this->Fail(client, Commands().OneWay(0, more)), want);
  client.Write(Commands().OneWay(0, half));
  (void)client.ReadAll();
  EXPECT_EQ(this->Fail(client, Commands().Transact(0, more)), want);
  EXPECT_EQ(this->Fail(client, Commands().OneWay(0)), want);
  client.Write(Commands().Transact(0, half));
  EXPECT_EQ(client.TakeError(), kNoError);
  EXPECT_EQ(this->SnapshotOf(manager).arena_free, 0u);
}

// Rows: EE-07
TYPED_TEST(ExtendedErrorTest, Misuse) {
  auto [manager, service, client, handle] = this->Connected();
  const Error want = {Br::BR_FAILED_REPLY, -EPROTO};
  // A reply to nothing.
  EXPECT_EQ(this->Fail(client, Commands().Reply()), want);
  // A reply while a call of its own is outstanding.
  this->Serve(client, service, handle);
  service.Write(Commands().Transact(0));
  EXPECT_EQ(
      service.Do(Commands().Reply()).codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_FAILED_REPLY}));
  EXPECT_EQ(service.TakeError(), want);
  // A second call.
  EXPECT_EQ(
      client.Do(Commands().Transact(handle)).codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_FAILED_REPLY}));
  EXPECT_EQ(client.TakeError(), want);
}

// A call by a thread that was handed one, and interrupted before it ran.
// Rows: EE-07
TYPED_TEST(ExtendedErrorTest, CallBeforeReadingOne) {
  auto [manager, service, client, handle] = this->Connected();
  auto waiting = this->Block(service, service);
  this->gates().Close(Point::kWoken, service.tid());
  client.Write(Commands().Transact(handle));
  service.thread().Interrupt();
  this->gates().Open(Point::kWoken, service.tid());
  EXPECT_EQ(waiting->Join().error, Errc::kInterrupted);
  service.Write(Commands().Transact(0));
  EXPECT_EQ(service.TakeError(), (Error{Br::BR_FAILED_REPLY, -EPROTO}));
}

// File descriptors, and with them -EPERM and -EBADF, are to come.
// Rows: EE-08
TYPED_TEST(ExtendedErrorTest, BadObjects) {
  auto [manager, service, client, handle] = this->Connected();
  FlatObject unknown = {};
  unknown.hdr.type = 0x12345678;
  FlatObject good = {};
  good.hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
  good.binder = 0x10;
  const std::uint64_t word = 0;
  Payload unaligned;
  unaligned.Bytes(&word, 2).Bytes(&good, sizeof(good)).Offset(2);
  Payload cut;
  cut.Bytes(&good, sizeof(good) - 1).Offset(0);
  const Error invalid = {Br::BR_FAILED_REPLY, -EINVAL};
  for (const Payload& bad :
       {Payload().Binder(0x10, 1).Binder(0x10, 2), Payload().Handle(0xbad),
        Payload().WeakHandle(0xbad), Payload().Handle(0),
        Payload().Object(unknown), unaligned, cut}) {
    EXPECT_EQ(this->FailTransact(client, handle, bad), invalid);
  }
  client.Write(Commands().IncRefs(handle).Acquire(handle));
  TransactionData data = {};
  data.target.handle = handle;
  data.offsets_size = 7;
  const std::uint64_t offsets[] = {0};
  data.offsets = AddressOf(offsets);
  EXPECT_EQ(this->Fail(client, Commands().Put(Bc::BC_TRANSACTION, data)),
            invalid);
  TransactionDataSg sg = {};
  sg.data.target.handle = handle;
  sg.buffers_size = 7;
  EXPECT_EQ(this->Fail(client, Commands().Put(Bc::BC_TRANSACTION_SG, sg)),
            invalid);

  const Error fault = {Br::BR_FAILED_REPLY, -EFAULT};
  Payload overlapping;
  overlapping.Object(good).Offset(8);
  Payload outside;
  outside.Bytes(&good, sizeof(good)).Offset(32);
  for (const Payload& bad : {overlapping, outside}) {
    EXPECT_EQ(this->FailTransact(client, handle, bad), fault);
  }
  data.offsets_size = 8;
  data.offsets = 0;
  EXPECT_EQ(this->Fail(client, Commands().Put(Bc::BC_TRANSACTION, data)),
            fault);
  data.offsets_size = 0;
  data.data_size = 8;
  data.buffer = 0;
  EXPECT_EQ(this->Fail(client, Commands().Put(Bc::BC_TRANSACTION, data)),
            fault);
  // All of it has left no trace.
  EXPECT_TRUE(this->SnapshotOf(client).nodes.empty());
  EXPECT_EQ(this->SnapshotOf(service).buffers, 0u);
}

// Rows: EE-10
TYPED_TEST(ExtendedErrorTest, DeathAfterAcceptance) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  this->Close(service);
  EXPECT_EQ(
      client.Read().codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  EXPECT_EQ(client.TakeError(), kNoError);
}

// Rows: EE-11
TYPED_TEST(ExtendedErrorTest, FailedReplies) {
  auto [manager, service, client, handle] = this->Connected();
  TransactionData unreadable = {};
  unreadable.data_size = 8;
  const Payload bad_object = Payload().Handle(0xbad);
  const Payload too_large(std::string(2u << 20, 'x'));
  const struct {
    Commands reply;
    Error want;
  } cases[] = {
      {Commands().Reply(bad_object), {Br::BR_FAILED_REPLY, -EINVAL}},
      {Commands().Reply(too_large), {Br::BR_FAILED_REPLY, -ENOSPC}},
      {Commands().Put(Bc::BC_REPLY, unreadable),
       {Br::BR_FAILED_REPLY, -EFAULT}},
      {Commands().Reply(), {Br::BR_DEAD_REPLY, -ESRCH}},
  };
  for (const auto& c : cases) {
    this->Serve(client, service, handle);
    if (c.want.first == Br::BR_DEAD_REPLY) client.proc().Unmap();
    const std::uint32_t call_id = this->ThreadOf(client, client).stack[0].id;
    EXPECT_EQ(service.Do(c.reply).codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
    const ExtendedError here = this->Take(service);
    EXPECT_EQ(here.command, static_cast<std::uint32_t>(Br::BR_OK));
    EXPECT_EQ(here.param, 0);
    EXPECT_GT(here.id, call_id);
    EXPECT_EQ(client.Read().codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, c.want.first}));
    const ExtendedError there = this->Take(client);
    EXPECT_EQ(there.command, static_cast<std::uint32_t>(c.want.first));
    EXPECT_EQ(there.param, c.want.second);
    EXPECT_EQ(there.id, here.id);  // That of the reply.
  }
}

// What the caller has found out by itself meanwhile is not overwritten.
// Rows: EE-11
TYPED_TEST(ExtendedErrorTest, FailedReplyToWhoHasFailed) {
  auto [manager, service, client, handle] = this->Connected();
  this->Serve(client, service, handle);
  client.Write(Commands().OneWay(0xbad));
  const Payload too_large(std::string(2u << 20, 'x'));
  service.Write(Commands().Reply(too_large));
  EXPECT_EQ(client.TakeError(), (Error{Br::BR_FAILED_REPLY, -EINVAL}));
}

// A reply that fails once its caller has died fails what that caller was
// working on as well, and that is a call of the replier: it hears of both, in
// order. Rows: EE-11
TYPED_TEST(ExtendedErrorTest, FailedReplyThatComesBack) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t back =
      this->Give(manager, client, service, this->kPtr, this->kCookie);
  client.Write(Commands().Transact(handle));
  (void)service.Read();
  service.Write(Commands().Transact(back));
  (void)client.Read();
  this->Close(service);
  EXPECT_EQ(
      client.Do(Commands().Reply()).codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
}

// Rows: EE-12
TYPED_TEST(ExtendedErrorTest, CommandsThatHaveNoPartInIt) {
  auto [manager, service, client, handle] = this->Connected();
  const std::vector<Commands> others = {
      Commands().Acquire(handle).Release(handle),
      Commands().IncRefs(handle).DecRefs(handle),
      Commands().Acquire(0xbad).Release(0xbad).IncRefs(0xbad).DecRefs(0xbad),
      Commands().AcquireDone(1, 2).IncRefsDone(1, 2),
      Commands().RequestDeath(handle, 1).RequestDeath(handle, 1),
      Commands().ClearDeath(handle, 2).ClearDeath(handle, 1).DeadDone(3),
      Commands().RequestDeath(0xbad, 1).ClearDeath(0xbad, 1),
      Commands().Free(0).Free(1),
      Commands().EnterLooper().RegisterLooper().ExitLooper(),
  };
  for (const bool failed : {false, true}) {
    for (const Commands& other : others) {
      client.Write(failed ? Commands().OneWay(0xbad)
                          : Commands().OneWay(handle));
      (void)client.ReadAll();
      client.Write(other);
      (void)client.ReadAll();
      const ExtendedError error = this->Take(client);
      EXPECT_NE(error.id, 0u);
      EXPECT_EQ(error.command, static_cast<std::uint32_t>(
                                   failed ? Br::BR_FAILED_REPLY : Br::BR_OK));
      EXPECT_EQ(error.param, failed ? -EINVAL : 0);
    }
  }
  // Nor do they make one where there is none, fail as they may.
  for (const Commands& other : others) client.Write(other);
  EXPECT_EQ(client.Do(Commands().Raw(0)).error, Errc::kInvalid);
  EXPECT_EQ(manager.Do(Commands().Acquire(0)).error, Errc::kInvalid);
  (void)client.ReadAll();
  EXPECT_EQ(this->Take(client).id, 0u);
  EXPECT_EQ(this->Take(manager).command, static_cast<std::uint32_t>(Br::BR_OK));
}

}  // namespace
}  // namespace binderlite::testing
