// SPDX-License-Identifier: Apache-2.0
//
// Payloads with file descriptors: what becomes of them when they are read, when
// they cannot be, when nobody reads them, when their buffer is freed; and that
// of a payload that is refused nothing stays behind.

#include "binderlite/driver/payload.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/call_test.h"
#include "support/files.h"

namespace binderlite::testing {
namespace {

constexpr int kFirst = TestFiles::kFirst;
constexpr int kNoFd = 77;  // Not in any table of these tests.
constexpr std::uint32_t kSuperseding = kTfOneWay | kTfUpdateTxn;

// How a payload gets to its receiver.
enum class Way { kCall, kOneWay, kReply };
constexpr std::array kWays = {Way::kCall, Way::kOneWay, Way::kReply};

std::string ToText(Way way) {
  constexpr std::array kTexts = {"call", "one-way", "reply"};
  return kTexts[static_cast<std::size_t>(way)];
}

std::uint32_t FdOf(const Received& r, std::size_t i) {
  return r.ObjectAt<FdObject>(i).fd;
}

// Number `i` of the descriptors in the memory of the PTR at offsets[object].
int FdIn(const Received& r, std::size_t object, std::size_t i) {
  const auto memory = r.ObjectAt<BufferObject>(object);
  std::int32_t fd = -1;
  std::memcpy(&fd,
              reinterpret_cast<const void*>(memory.buffer + i * sizeof(fd)),
              sizeof(fd));
  return fd;
}

// Eight bytes of data, so that no object is at offset 0; then a PTR to
// `numbers`, and an FDA that says that they are descriptors.
struct FdArrayPayload {
  explicit FdArrayPayload(std::vector<std::int32_t> numbers)
      : fds(std::move(numbers)) {
    const std::uint64_t size = fds.size() * sizeof(fds[0]);
    payload.Bytes("01234567", 8).Ptr(fds.data(), size).FdArray(fds.size(), 0);
    room = (size + 7) & ~std::uint64_t{7};
  }
  FdArrayPayload(const FdArrayPayload&) = delete;
  FdArrayPayload& operator=(const FdArrayPayload&) = delete;

  std::vector<std::int32_t> fds;
  Payload payload;
  std::uint64_t room = 0;
};

// Before all else, since the Context and the Procs need it to the end.
struct Tables {
  TestFiles senders;
  TestFiles receivers;
};

template <class L>
class PayloadTest : protected Tables, public CallTest<L> {
 protected:
  // The client has `senders`, the service `receivers`; the client has a handle
  // to a node that accepts descriptors, and the service one back.
  struct World {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
    std::uint32_t back;
  };
  World Build(std::uint32_t flags = kFlatAcceptsFds) {
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& service = this->Open({.name = "service", .files = &receivers});
    Peer<L>& client = this->Open({.name = "client", .files = &senders});
    const std::uint32_t handle =
        this->Give(manager, service, client, this->kPtr, this->kCookie, flags);
    const std::uint32_t back =
        this->Give(manager, client, service, 0x5000, 1, kFlatAcceptsFds);
    return {manager, service, client, handle, back};
  }

  // Sends the payload from the client's side, `way`. For a reply the service
  // has called the client before.
  void Send(World& w, Way way, const Payload& payload, std::uint64_t room = 0,
            std::uint32_t flags = 0) {
    switch (way) {
      case Way::kCall:
        w.client.Write(
            Commands().TransactSg(w.handle, payload, room, 0, flags));
        break;
      case Way::kOneWay:
        w.client.Write(Commands().TransactSg(w.handle, payload, room, 0,
                                             flags | kTfOneWay));
        break;
      case Way::kReply:
        w.service.Write(Commands().Transact(w.back, {}, 0, kTfAcceptFds));
        w.client.Write(Commands()
                           .Free(this->Receive(w.client).tr.buffer)
                           .ReplySg(payload, room, 0, flags));
        break;
    }
  }
  // Has `actor`, of the service, read what was sent.
  Received Get(Actor<L>& actor, Way way) {
    return actor.Read().Get(way == Way::kReply ? kReply : kTransaction);
  }
  Received Pass(World& w, Way way, const Payload& payload,
                std::uint64_t room = 0, std::uint32_t flags = 0) {
    Send(w, way, payload, room, flags);
    return Get(w.service, way);
  }
  // Ends what Pass has begun, but for the buffer.
  void Finish(World& w, Way way) {
    if (way == Way::kCall) w.service.Write(Commands().Reply());
    this->Settle(w.service);
    this->Settle(w.client);
  }

  // The payload is refused with `why`, as a call and as a one-way, and nothing
  // is left of it.
  void ExpectRefused(World& w, const Payload& payload, Errc why,
                     std::uint64_t room = 0) {
    const std::string before = this->State();
    this->ExpectFails(w.client, Commands().TransactSg(w.handle, payload, room),
                      kFailed, why);
    this->ExpectFails(
        w.client, Commands().TransactSg(w.handle, payload, room, 0, kTfOneWay),
        kFailed, why);
    EXPECT_EQ(this->State(), before);
    EXPECT_EQ(receivers.size(), 0u);
  }
  // The same for a reply: its caller hears of it.
  void ExpectReplyRefused(World& w, const Payload& payload, Errc why,
                          std::uint64_t room = 0,
                          std::uint32_t call_flags = kTfAcceptFds) {
    const std::string before = this->State();
    w.service.Write(Commands().Transact(w.back, {}, 0, call_flags));
    w.client.Write(Commands()
                       .Free(this->Receive(w.client).tr.buffer)
                       .ReplySg(payload, room));
    EXPECT_EQ(w.client.ReadCodes(), BrList{kComplete});
    EXPECT_EQ(w.client.TakeError(), kNoError);
    EXPECT_EQ(w.service.ReadCodes(), (BrList{kComplete, kFailed}));
    EXPECT_EQ(w.service.TakeError(),
              (std::pair{kFailed, -static_cast<std::int32_t>(why)}));
    EXPECT_EQ(this->State(), before);
    EXPECT_EQ(receivers.size(), 0u);
  }
  // Nobody has the file but the test and the client.
  void ExpectNotInFlight(TestFile& file, int clients) {
    senders.Remove(clients);
    file.Close();
    EXPECT_TRUE(file.gone());
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(PayloadTest);

// --- Descriptors that arrive ------------------------------------------------

// Rows: OB-13 OB-44
TYPED_TEST(PayloadTest, ADescriptorIsMadeWhenItIsRead) {
  auto w = this->Build();
  const TestFile file;
  const int fd = this->senders.Add(file);
  FdObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFd);
  object.pad_flags = 0x1234;
  object.pad_binder = ~std::uint64_t{0};
  object.fd = static_cast<std::uint32_t>(fd);
  object.cookie = 0xfeed'0000'beef;
  Payload payload;
  payload.Bytes("odd", 3).Object(object);
  const std::vector<std::byte> sent = payload.data();
  for (const Way way : kWays) {
    SCOPED_TRACE(ToText(way));
    this->Send(w, way, payload);
    EXPECT_EQ(this->receivers.size(), 0u);
    const Received got = this->Get(w.service, way);
    const auto arrived = got.template ObjectAt<FdObject>(0);
    EXPECT_EQ(arrived.hdr.type, static_cast<std::uint32_t>(ObjectType::kFd));
    EXPECT_EQ(arrived.pad_flags, 0x1234u);
    EXPECT_EQ(arrived.pad_binder, std::uint64_t{kFirst});  // All of the union.
    EXPECT_EQ(arrived.cookie, 0xfeed'0000'beefu);
    EXPECT_TRUE(this->receivers.Has(kFirst, file));
    EXPECT_TRUE(this->senders.Has(fd, file));
    EXPECT_EQ(payload.data(), sent);
    w.service.Write(Commands().Free(got.tr.buffer));
    this->Finish(w, way);
    this->receivers.Remove(kFirst);
  }
}

// Rows: OB-13
TYPED_TEST(PayloadTest, SeveralDescriptorsTakeTheLowestNumbersInOrder) {
  auto w = this->Build();
  const std::array<TestFile, 3> files;
  Payload payload;
  for (const TestFile& file : files) payload.Fd(this->senders.Add(file));
  payload.Fd(kFirst);  // The first one once more.
  const int hole = this->receivers.Add(files[0]);
  (void)this->receivers.Add(files[0]);
  this->receivers.Remove(hole);
  const Received got = this->Pass(w, Way::kCall, payload);
  for (std::size_t i = 0; i < 4; ++i) {
    const int fd = static_cast<int>(FdOf(got, i));
    EXPECT_EQ(fd, i == 0 ? kFirst : kFirst + static_cast<int>(i) + 1);
    EXPECT_TRUE(this->receivers.Has(fd, files[i % 3])) << i;
  }
  EXPECT_EQ(this->receivers.size(), 5u);
}

// Rows: OB-13
TYPED_TEST(PayloadTest, OnlyTheReadingThreadsCallMakesDescriptors) {
  auto w = this->Build();
  const TestFile file;
  const Payload payload = Payload().Fd(this->senders.Add(file));
  Actor<TypeParam> worker = w.service.Spawn();
  this->StrandCall(w.service, worker, w.client,
                   Commands().Transact(w.handle, payload));
  this->ExpectNothing(w.service);
  EXPECT_EQ(this->receivers.size(), 0u);
  // No room for the item: it is not touched.
  EXPECT_EQ(worker.Read(32).codes(), BrList{kNoop});
  EXPECT_EQ(this->receivers.size(), 0u);
  EXPECT_EQ(FdOf(this->Receive(worker), 0), std::uint32_t{kFirst});
}

// Rows: OB-17
TYPED_TEST(PayloadTest, SenderClosesItRightAway) {
  auto w = this->Build();
  for (const Way way : kWays) {
    SCOPED_TRACE(ToText(way));
    TestFile file;
    const int fd = this->senders.Add(file);
    this->Send(w, way, Payload().Fd(fd));
    this->senders.Remove(fd);
    file.Close();
    EXPECT_FALSE(file.gone());
    const Received got = this->Get(w.service, way);
    EXPECT_TRUE(this->receivers.Has(kFirst, file));
    w.service.Write(Commands().Free(got.tr.buffer));
    this->Finish(w, way);
    this->receivers.Remove(kFirst);
    EXPECT_TRUE(file.gone());
  }
}

// Rows: OB-21
TYPED_TEST(PayloadTest, FreeingTheBufferLeavesDescriptorsOpen) {
  auto w = this->Build();
  const TestFile file;
  const Payload payload = Payload().Fd(this->senders.Add(file));
  for (const Way way : kWays) {
    const Received got = this->Pass(w, way, payload);
    // It blocks as ever: nothing has been closed.
    EXPECT_EQ(w.service.Do(Commands().Free(got.tr.buffer)).error,
              Errc::kWouldBlock);
    this->Finish(w, way);
  }
  EXPECT_EQ(this->receivers.size(), 3u);
  // Nor does the end of the Proc close what has been read.
  (void)this->Pass(w, Way::kOneWay, payload);
  this->Close(w.service);
  EXPECT_EQ(this->receivers.size(), 4u);
  EXPECT_EQ(this->receivers.TakeClosed(), std::vector<int>{});
}

// Rows: OB-13
TYPED_TEST(PayloadTest, WithoutByteStreams) {
  auto w = this->Build();
  const TestFile file;
  TransactionData data = {};
  const Payload payload = Payload().Fd(this->senders.Add(file));
  data = payload.Data(7);
  data.target.handle = w.handle;
  EXPECT_EQ(w.client.thread().Transact(data), Errc::kOk);
  Incoming incoming;
  EXPECT_EQ(w.service.thread().NextWork(incoming), Errc::kOk);
  EXPECT_EQ(incoming.command, kTransaction);
  Received got;
  got.tr = incoming.transaction;
  EXPECT_EQ(FdOf(got, 0), std::uint32_t{kFirst});
  EXPECT_TRUE(this->receivers.Has(kFirst, file));
}

// --- Descriptors that are refused -------------------------------------------

// Rows: OB-14 OB-35
TYPED_TEST(PayloadTest, NodeThatDoesNotAcceptThem) {
  auto w = this->Build(/*flags=*/0);
  TestFile file;
  const int fd = this->senders.Add(file);
  // The flag of the call is about its reply.
  this->ExpectFails(
      w.client,
      Commands().Transact(w.handle, Payload().Fd(fd), 0, kTfAcceptFds), kFailed,
      Errc::kNotPermitted);
  for (const int any : {fd, kNoFd, -1}) {
    this->ExpectRefused(w, Payload().Fd(any), Errc::kNotPermitted);
    const FdArrayPayload array({any});
    this->ExpectRefused(w, array.payload, Errc::kNotPermitted, array.room);
  }
  EXPECT_EQ(this->senders.gets(), 0);
  this->ExpectNotInFlight(file, fd);
}

// Rows: OB-15 OB-35 TX-20
TYPED_TEST(PayloadTest, ReplyToACallThatDoesNotAcceptThem) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  for (const int any : {fd, kNoFd}) {
    this->ExpectReplyRefused(w, Payload().Fd(any), Errc::kNotPermitted, 0, 0);
    const FdArrayPayload array({any});
    this->ExpectReplyRefused(w, array.payload, Errc::kNotPermitted, array.room,
                             ~kTfAcceptFds & ~kTfOneWay);
  }
  // Other than for a call, the flags of nodes are none of it.
  auto plain = this->Give(w.manager, w.client, w.service, 0x6000, 1);
  w.service.Write(Commands().Transact(plain, {}, 0, kTfAcceptFds));
  w.client.Write(Commands()
                     .Free(this->Receive(w.client).tr.buffer)
                     .Reply(Payload().Fd(fd)));
  (void)w.service.Read().Get(kReply);
  EXPECT_TRUE(this->receivers.Has(kFirst, file));
  this->receivers.Remove(kFirst);
  this->ExpectNotInFlight(file, fd);
}

// Rows: OB-16 OB-34 OB-43
TYPED_TEST(PayloadTest, DescriptorThatIsNotOpen) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  for (const int bad : {kNoFd, -1, -2147483647 - 1}) {
    SCOPED_TRACE(bad);
    this->ExpectRefused(w, Payload().Fd(bad), Errc::kBadFile);
    this->ExpectRefused(w, Payload().Fd(fd).Fd(fd).Fd(bad), Errc::kBadFile);
    this->ExpectReplyRefused(w, Payload().Fd(fd).Fd(bad), Errc::kBadFile);
    for (std::size_t i = 0; i < 4; ++i) {
      FdArrayPayload array({fd, fd, fd, fd});
      array.fds[i] = bad;
      this->ExpectRefused(w, array.payload, Errc::kBadFile, array.room);
      this->ExpectReplyRefused(w, array.payload, Errc::kBadFile, array.room);
    }
  }
  // The receiver's are not the sender's.
  const int there = this->receivers.Add(file);
  this->senders.Remove(fd);
  this->ExpectFails(w.client,
                    Commands().Transact(w.handle, Payload().Fd(there)), kFailed,
                    Errc::kBadFile);
  this->receivers.Remove(there);
  file.Close();
  EXPECT_TRUE(file.gone());
}

// Rows: OB-16
TYPED_TEST(PayloadTest, DescriptorThatCannotBeHeld) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  this->senders.FailGets(Errc::kNoMemory);
  this->ExpectRefused(w, Payload().Fd(fd), Errc::kNoMemory);
  this->senders.FailGets(Errc::kOk);
  this->ExpectNotInFlight(file, fd);
}

// An object of each kind, and then one that is refused: what came before it is
// undone, wherever that is.
//
// Rows: OB-34 OB-43
TYPED_TEST(PayloadTest, FailureBehindEachObject) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  const FdArrayPayload array({fd, fd});
  Payload payload;
  payload.Bytes("01234567", 8)
      .Ptr(array.fds.data(), 8)
      .FdArray(2, 0)
      .Fd(fd)
      .Binder(0x7000, 1)
      .PtrIn("children", 8, 0, 8);  // No room for it in its parent.
  this->ExpectRefused(w, payload, Errc::kInvalid, 16);
  this->ExpectReplyRefused(w, payload, Errc::kInvalid, 16);
  // Each good part by itself, then a descriptor that is none.
  for (std::size_t count = 0; count <= 4; ++count) {
    Payload part = payload;
    part.offsets().resize(count);
    part.Fd(kNoFd);
    this->ExpectRefused(w, part, Errc::kBadFile, 16);
    this->ExpectReplyRefused(w, part, Errc::kBadFile, 16);
  }
  this->ExpectNothing(w.client);
  this->ExpectNotInFlight(file, fd);
}

// --- A full table -----------------------------------------------------------

// Rows: OB-18
TYPED_TEST(PayloadTest, FullTableWhenACallIsRead) {
  auto w = this->Build();
  std::array<TestFile, 2> files;
  const std::array fds = {this->senders.Add(files[0]),
                          this->senders.Add(files[1])};
  this->receivers.SetLimit(1);
  Actor<TypeParam> other = w.client.Spawn();
  Payload payload;
  payload.Fd(fds[0]).Binder(0x7000, 1).Fd(fds[1]);
  w.client.Write(Commands().Transact(w.handle, payload, 1));
  other.Write(Commands().Transact(w.handle, {}, 2));
  // The reader goes on with the next one, as if there had been none.
  const Result result = w.service.Read();
  EXPECT_EQ(result.codes(), (BrList{kNoop, kTransaction}));
  EXPECT_EQ(result.Get(kTransaction).tr.code, 2u);
  // The one slot that there was is free again.
  EXPECT_EQ(this->receivers.TakeClosed(), std::vector<int>{kFirst});
  EXPECT_EQ(this->receivers.size(), 0u);
  EXPECT_EQ(this->SnapshotOf(w.service).buffers, 1u);
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_TRUE(this->ThreadOf(w.client, w.client).stack.empty());
  EXPECT_TRUE(this->SnapshotOf(w.client).nodes.size() == 1u);
  this->ExpectNotInFlight(files[0], fds[0]);
  this->ExpectNotInFlight(files[1], fds[1]);
}

// Rows: OB-18
TYPED_TEST(PayloadTest, FullTableAndNothingElseToRead) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  this->receivers.SetLimit(0);
  const std::string before = this->State();
  w.client.Write(Commands().Transact(w.handle, Payload().Fd(fd)));
  this->ExpectNothing(w.service);
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_EQ(w.client.TakeError(), kNoError);  // It had been accepted.
  EXPECT_EQ(this->State(), before);
  // A thread that waits keeps on waiting.
  auto waiting = this->Block(w.service, w.service);
  const int delivered =
      this->gates().Visits(Point::kDelivering, w.service.tid());
  this->gates().Close(Point::kDelivering, w.service.tid());
  waiting->GoOn();
  (void)RunWriteRead(w.client.thread(),
                     Commands().Transact(w.handle, Payload().Fd(fd)), 0);
  this->gates().WaitFor(Point::kDelivering, w.service.tid(), delivered + 1);
  // Counted while it stands at the gate: before that, a wake-up for nothing
  // would have been enough.
  const int parked = this->gates().Visits(Point::kParking, w.service.tid());
  this->gates().Open(Point::kDelivering, w.service.tid());
  this->gates().WaitFor(Point::kParking, w.service.tid(), parked + 1);
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kFailed}));
  w.service.proc().Flush();
  EXPECT_EQ(waiting->Join().codes(), BrList{kNoop});
  this->ExpectNotInFlight(file, fd);
}

// Rows: OB-18
TYPED_TEST(PayloadTest, FullTableWhenAOneWayIsRead) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  this->receivers.SetLimit(0);
  const auto free_async = this->SnapshotOf(w.service).arena_free_async;
  w.client.Write(Commands()
                     .OneWay(w.handle, Payload().Fd(fd), 1)
                     .OneWay(w.handle, Payload().Fd(fd), 2)
                     .OneWay(w.handle, {}, 3));
  // Each makes room for the next one of the node.
  const Received got = this->Receive(w.service);
  EXPECT_EQ(got.tr.code, 3u);
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kComplete, kComplete}));
  w.service.Write(Commands().Free(got.tr.buffer));
  EXPECT_FALSE(this->NodeOf(w.service, this->kPtr).has_async);
  EXPECT_EQ(this->SnapshotOf(w.service).arena_free_async, free_async);
  this->ExpectNotInFlight(file, fd);
}

// Rows: OB-18 OB-22
TYPED_TEST(PayloadTest, FullTableInTheMiddleOfAnArray) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  const FdArrayPayload array({fd, fd, fd});
  this->receivers.SetLimit(2);
  const std::string before = this->State();
  w.client.Write(Commands().TransactSg(w.handle, array.payload, array.room));
  this->ExpectNothing(w.service);
  EXPECT_EQ(this->receivers.TakeClosed(),
            (std::vector<int>{kFirst, kFirst + 1}));
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_EQ(this->State(), before);
  this->ExpectNotInFlight(file, fd);
}

// Rows: OB-19
TYPED_TEST(PayloadTest, FullTableWhenAReplyIsRead) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  this->receivers.SetLimit(1);
  w.service.Write(Commands().EnterLooper().RequestDeath(w.back, 5));
  this->Send(w, Way::kReply, Payload().Fd(fd).Fd(fd));
  // Something behind the reply: the read ends before it.
  w.service.Write(Commands().ClearDeath(w.back, 5));
  EXPECT_EQ(w.client.ReadCodes(), BrList{kComplete});
  EXPECT_EQ(w.service.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_EQ(w.service.ReadCodes(),
            BrList{Br::BR_CLEAR_DEATH_NOTIFICATION_DONE});
  EXPECT_EQ(this->receivers.size(), 0u);
  EXPECT_EQ(this->SnapshotOf(w.service).buffers, 0u);
  EXPECT_TRUE(this->ThreadOf(w.service, w.service).stack.empty());
  this->ExpectNotInFlight(file, fd);
}

// --- Descriptors that never arrive ------------------------------------------

// Rows: OB-20
TYPED_TEST(PayloadTest, ReceiverDiesBeforeItReads) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  const Payload payload = Payload().Fd(fd);
  Actor<TypeParam> worker = w.service.Spawn();
  Actor<TypeParam> caller = w.client.Spawn();
  // In the hands of a thread, on the Proc's list, behind another at its node.
  this->StrandCall(w.service, worker, caller,
                   Commands().Transact(w.handle, payload));
  w.client.Write(Commands()
                     .OneWay(w.handle, payload)
                     .OneWay(w.handle, payload)
                     .Transact(w.handle, payload));
  this->senders.Remove(fd);
  file.Close();
  EXPECT_FALSE(file.gone());
  this->Close(w.service);
  EXPECT_TRUE(file.gone());
  EXPECT_EQ(this->receivers.size(), 0u);
}

// Rows: OB-20 AS-09
TYPED_TEST(PayloadTest, ReceivingThreadExitsBeforeItReads) {
  auto w = this->Build();
  for (const std::uint32_t flags : {0u, kTfOneWay}) {
    TestFile file;
    const int fd = this->senders.Add(file);
    Actor<TypeParam> worker = w.service.Spawn();
    this->StrandCall(w.service, worker, w.client,
                     Commands().Transact(w.handle, Payload().Fd(fd), 0, flags));
    EXPECT_EQ(worker.thread().ThreadExit(), Errc::kOk);
    this->ExpectNotInFlight(file, fd);
    EXPECT_EQ(this->receivers.size(), 0u);
    this->Settle(w.client);
  }
}

// Rows: OB-20
TYPED_TEST(PayloadTest, CallerIsGoneBeforeItReadsTheReply) {
  for (const bool proc : {false, true}) {
    TestFile file;
    const int fd = this->senders.Add(file);
    auto w = this->Build();
    this->Send(w, Way::kReply, Payload().Fd(fd));
    if (proc) {
      this->Close(w.service);
    } else {
      EXPECT_EQ(w.service.thread().ThreadExit(), Errc::kOk);
    }
    this->ExpectNotInFlight(file, fd);
    EXPECT_EQ(this->receivers.size(), 0u);
    this->Close(w.manager);
  }
}

// Rows: OB-20 TX-19
TYPED_TEST(PayloadTest, CallerIsGoneBeforeTheReplyIsBuilt) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  w.service.Write(Commands().Transact(w.back, {}, 0, kTfAcceptFds));
  (void)this->Receive(w.client);
  EXPECT_EQ(w.service.thread().ThreadExit(), Errc::kOk);
  w.client.Write(Commands().Reply(Payload().Fd(fd)));
  EXPECT_EQ(w.client.ReadCodes(), BrList{kComplete});
  this->ExpectNotInFlight(file, fd);
  EXPECT_EQ(this->receivers.size(), 0u);
}

// Rows: OB-20
TYPED_TEST(PayloadTest, TargetIsDeadOrFrozen) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  const auto pid = static_cast<std::uint32_t>(w.service.pid());
  EXPECT_EQ(w.manager.thread().Freeze({pid, 1, 0}), Errc::kOk);
  const std::string before = this->State();
  w.client.Write(Commands().Transact(w.handle, Payload().Fd(fd)));
  EXPECT_EQ(w.client.ReadCodes(), BrList{Br::BR_FROZEN_REPLY});
  EXPECT_EQ(this->State(), before);
  EXPECT_EQ(w.manager.thread().Freeze({pid, 0, 0}), Errc::kOk);
  w.service.proc().Unmap();
  this->ExpectFails(w.client, Commands().Transact(w.handle, Payload().Fd(fd)),
                    kDead, Errc::kNoProcess);
  this->Close(w.service);
  this->ExpectFails(w.client, Commands().Transact(w.handle, Payload().Fd(fd)),
                    kDead, Errc::kInvalid);
  this->ExpectNotInFlight(file, fd);
}

// Rows: AS-13 OB-20
TYPED_TEST(PayloadTest, OneWayThatIsSuperseded) {
  auto w = this->Build();
  std::array<TestFile, 3> files;
  const auto pid = static_cast<std::uint32_t>(w.service.pid());
  EXPECT_EQ(w.manager.thread().Freeze({pid, 1, 0}), Errc::kOk);
  for (TestFile& file : files) {
    const int fd = this->senders.Add(file);
    w.client.Write(
        Commands().Transact(w.handle, Payload().Fd(fd), 3, kSuperseding));
    this->senders.Remove(fd);
    file.Close();
  }
  EXPECT_FALSE(files[0].gone());
  EXPECT_TRUE(files[1].gone());
  EXPECT_FALSE(files[2].gone());
  for (const std::size_t i : {0u, 2u}) {
    const Received got = this->Receive(w.service);
    EXPECT_TRUE(this->receivers.Has(static_cast<int>(FdOf(got, 0)), files[i]));
    w.service.Write(Commands().Free(got.tr.buffer));
  }
}

// Rows: OB-20 CC-13
TYPED_TEST(PayloadTest, EverybodyIsKilled) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->senders.Add(file);
  const FdArrayPayload array({fd, fd});
  w.client.Write(
      Commands().TransactSg(w.handle, array.payload, array.room, 0, kTfOneWay));
  EXPECT_EQ(w.client.ReadCodes(), BrList{kComplete});
  this->Send(w, Way::kReply, Payload().Fd(fd));
  this->senders.Remove(fd);
  file.Close();
  w.client.proc().Kill();
  w.service.proc().Kill();
  while (!w.client.proc().released() || !w.service.proc().released()) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(file.gone());
}

// --- Arrays of descriptors --------------------------------------------------

// Rows: OB-22
TYPED_TEST(PayloadTest, FreeingTheBufferClosesArrays) {
  auto w = this->Build();
  std::array<TestFile, 3> files;
  std::vector<std::int32_t> fds;
  for (TestFile& file : files) fds.push_back(this->senders.Add(file));
  FdArrayPayload array(fds);
  array.payload.Fd(fds[0]);  // Stays.
  for (const Way way : kWays) {
    SCOPED_TRACE(ToText(way));
    const Received got = this->Pass(w, way, array.payload, array.room);
    for (std::size_t i = 0; i < files.size(); ++i) {
      const int fd = FdIn(got, 0, i);
      EXPECT_EQ(fd, kFirst + static_cast<int>(i));
      EXPECT_TRUE(this->receivers.Has(fd, files[i]));
    }
    EXPECT_EQ(this->receivers.size(), 4u);
    EXPECT_EQ(this->receivers.TakeClosed(), std::vector<int>{});
    w.service.Write(Commands().Free(got.tr.buffer));
    EXPECT_EQ(this->receivers.TakeClosed(),
              (std::vector<int>{kFirst, kFirst + 1, kFirst + 2}));
    EXPECT_TRUE(this->receivers.Has(kFirst + 3, files[0]));
    // Freed once.
    w.service.Write(Commands().Free(got.tr.buffer));
    EXPECT_EQ(this->receivers.TakeClosed(), std::vector<int>{});
    this->Finish(w, way);
    this->receivers.Remove(kFirst + 3);
  }
}

// Rows: OB-22
TYPED_TEST(PayloadTest, ClosingArraysEndsAWait) {
  auto w = this->Build();
  const TestFile file;
  const FdArrayPayload array({this->senders.Add(file)});
  const FdArrayPayload empty({});
  Received got = this->Pass(w, Way::kOneWay, array.payload, array.room);
  EXPECT_EQ(w.service.Do(Commands().Free(got.tr.buffer)).codes(),
            BrList{kNoop});
  this->ExpectNothing(w.service);  // Just once.
  // In a call that only writes it is over before the next one.
  got = this->Pass(w, Way::kOneWay, array.payload, array.room);
  w.service.Write(Commands().Free(got.tr.buffer));
  this->ExpectNothing(w.service);
  // Without a descriptor there is nothing to it.
  got = this->Pass(w, Way::kOneWay, empty.payload, empty.room);
  EXPECT_EQ(w.service.Do(Commands().Free(got.tr.buffer)).error,
            Errc::kWouldBlock);
}

// Rows: OB-22
TYPED_TEST(PayloadTest, ClosedNumbersAreFreeAtOnce) {
  auto w = this->Build();
  std::array<TestFile, 2> files;
  const FdArrayPayload array({this->senders.Add(files[0])});
  const Payload next = Payload().Fd(this->senders.Add(files[1]));
  w.client.Write(
      Commands()
          .TransactSg(w.handle, array.payload, array.room, 0, kTfOneWay)
          .OneWay(w.handle, next));
  const Received first = this->Receive(w.service);
  EXPECT_TRUE(this->receivers.Has(kFirst, files[0]));
  this->receivers.SetLimit(1);
  const Result result = w.service.Do(Commands().Free(first.tr.buffer));
  EXPECT_EQ(FdOf(result.Get(kTransaction), 0), std::uint32_t{kFirst});
  EXPECT_TRUE(this->receivers.Has(kFirst, files[1]));
}

// Rows: OB-22 AL-21
TYPED_TEST(PayloadTest, EndOfTheProcLeavesArraysOpen) {
  auto w = this->Build();
  const TestFile file;
  const FdArrayPayload array({this->senders.Add(file)});
  (void)this->Pass(w, Way::kCall, array.payload, array.room);
  this->Close(w.service);
  EXPECT_TRUE(this->receivers.Has(kFirst, file));
  EXPECT_EQ(this->receivers.TakeClosed(), std::vector<int>{});
}

// --- The table of the process -----------------------------------------------

template <class L>
class ProcessFilesTest : public PayloadTest<L> {
 protected:
  typename PayloadTest<L>::World BuildPlain() {
    auto pair = this->Connected(kFlatAcceptsFds);
    return {pair.manager, pair.service, pair.client, pair.handle, 0};
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ProcessFilesTest);

// Rows: OB-13 OB-17 OB-20 OB-21
TYPED_TEST(ProcessFilesTest, ThereAndGone) {
  auto w = this->BuildPlain();
  TestFile file;
  w.client.Write(Commands()
                     .OneWay(w.handle, Payload().Fd(file.fd()))
                     .OneWay(w.handle, Payload().Fd(file.fd())));
  file.Close();
  const Received got = this->Receive(w.service);
  const int fd = static_cast<int>(FdOf(got, 0));
  // The lowest number that is free now: the sender's own was not, then.
  for (int lower = 0; lower < fd; ++lower) {
    EXPECT_NE(::fcntl(lower, F_GETFD), -1) << lower;
  }
  EXPECT_TRUE(file.Is(fd));
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  this->Close(w.service);  // With the second one unread.
  EXPECT_FALSE(file.gone());
  EXPECT_EQ(::close(fd), 0);
  EXPECT_TRUE(file.gone());
}

// Rows: OB-16
TYPED_TEST(ProcessFilesTest, NotOpen) {
  auto w = this->BuildPlain();
  const int closed = [] {
    const TestFile file;
    return file.fd();
  }();
  this->ExpectRefused(w, Payload().Fd(closed), Errc::kBadFile);
  this->ExpectRefused(w, Payload().Fd(-1), Errc::kBadFile);
}

// Rows: OB-22
TYPED_TEST(ProcessFilesTest, ArraysAreClosed) {
  auto w = this->BuildPlain();
  TestFile file;
  const FdArrayPayload array({file.fd(), file.fd()});
  const Received got = this->Pass(w, Way::kOneWay, array.payload, array.room);
  file.Close();
  EXPECT_TRUE(file.Is(FdIn(got, 0, 0)));
  EXPECT_TRUE(file.Is(FdIn(got, 0, 1)));
  EXPECT_FALSE(file.gone());
  w.service.Write(Commands().Free(got.tr.buffer));
  EXPECT_TRUE(file.gone());
}

// --- No lock is held --------------------------------------------------------

// At each access to a table another thread makes calls of the same two Procs
// and looks at everything, and the access waits for it.
//
// Rows: CC-09
class FileLockTest : protected Tables, public RaceTest {};

TEST_F(FileLockTest, TablesMayTakeTheirTime) {
  using L = FineGrained<>;
  Peer<L>& manager = OpenManager({.name = "manager"});
  Peer<L>& service = Open({.files = &receivers});
  Peer<L>& client = Open({.files = &senders});
  const std::uint32_t handle =
      Give(manager, service, client, kPtr, kCookie, kFlatAcceptsFds);
  const std::uint32_t back = Give(manager, client, service, 0x5000, 1);
  const TestFile file;
  const int fd = senders.Add(file);
  Actor<L> of_service = service.Spawn();
  Actor<L> of_client = client.Spawn();
  int accesses = 0;
  const auto busy = [&] {
    ++accesses;
    const std::jthread other([&] {
      // To each of them: allocates in its arena, looks at its nodes, handles,
      // threads and lists.
      for (const auto& [from, to, target] :
           {std::tuple{&of_client, &of_service, handle},
            std::tuple{&of_service, &of_client, back}}) {
        (void)RunWriteRead(
            from->thread(),
            Commands().Transact(target, Payload().Binder(0x7000, 1), 9), 0);
        // Queued somewhere; it is not this test's business where.
        (void)RunWriteRead(to->thread(), {}, kReadSize);
        (void)RunWriteRead(from->thread(), Commands().Acquire(target), 0);
        (void)RunWriteRead(from->thread(), Commands().Release(target), 0);
        EXPECT_EQ(from->thread().ThreadExit(), Errc::kOk);
        EXPECT_EQ(to->thread().ThreadExit(), Errc::kOk);
      }
      (void)Snapshot();
    });
  };
  const FdArrayPayload array({fd});
  senders.Observe(busy);
  receivers.Observe(busy);
  client.Write(
      Commands().TransactSg(handle, array.payload, array.room, 0, kTfOneWay));
  EXPECT_EQ(accesses, 1);  // Get
  std::uint64_t buffer = 0;
  while (buffer == 0) {
    for (const Received& r : service.Read().received) {
      if (r.br == kTransaction && (r.tr.flags & kTfOneWay) != 0) {
        buffer = r.tr.buffer;
      }
    }
  }
  EXPECT_EQ(accesses, 2);  // Install
  service.Write(Commands().Free(buffer));
  EXPECT_EQ(accesses, 3);  // Close
  receivers.SetLimit(1);
  senders.Observe(nullptr);
  const FdArrayPayload two({fd, fd});
  client.Write(
      Commands().TransactSg(handle, two.payload, two.room, 0, kTfOneWay));
  (void)service.Read();
  EXPECT_EQ(accesses, 6);  // Install, Install in vain, Close
  receivers.Observe(nullptr);
}

// --- TF_CLEAR_BUF -----------------------------------------------------------

std::vector<std::byte> BytesAt(std::uint64_t address, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(address);
  return {bytes, bytes + size};
}

// Rows: AL-20
TYPED_TEST(PayloadTest, ClearedWhenFreed) {
  auto w = this->Build();
  Payload payload("0123456789");
  payload.Handle(w.handle).Ptr("memory that is scattered", 24);
  payload.Bytes("the end", 8);
  for (const Way way : kWays) {
    SCOPED_TRACE(ToText(way));
    const Received got = this->Pass(w, way, payload, 24, kTfClearBuf);
    EXPECT_NE(got.tr.flags & kTfClearBuf, 0u);
    const std::size_t size = payload.data().size() + 2 * 8 + 24;
    ASSERT_NE(BytesAt(got.tr.buffer, size), std::vector<std::byte>(size));
    EXPECT_EQ(BytesAt(got.tr.buffer + size - 24, 3)[0], std::byte{'m'});
    w.service.Write(Commands().Free(got.tr.buffer));
    EXPECT_EQ(BytesAt(got.tr.buffer, size), std::vector<std::byte>(size));
    this->Finish(w, way);
  }
}

// Rows: AL-20
TYPED_TEST(PayloadTest, NotClearedWithoutBeingAsked) {
  auto w = this->Build();
  // What the call asks for is not for its reply.
  for (const Way way : {Way::kCall, Way::kOneWay}) {
    const Received got = this->Pass(w, way, Payload("still there"));
    w.service.Write(Commands().Free(got.tr.buffer));
    EXPECT_EQ(got.text(), "still there");
    this->Finish(w, way);
  }
  w.client.Write(Commands().Transact(w.handle, {}, 0, kTfClearBuf));
  w.service.Write(Commands()
                      .Free(this->Receive(w.service).tr.buffer)
                      .Reply(Payload("still there")));
  const Received got = w.client.Read().Get(kReply);
  w.client.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(got.text(), "still there");
}

// Rows: AL-20
TYPED_TEST(PayloadTest, ClearedWhenItCannotBeDelivered) {
  auto w = this->Build();
  const TestFile file;
  const int fd = this->senders.Add(file);
  this->receivers.SetLimit(0);
  Payload payload("a secret");
  payload.Fd(fd);
  w.client.Write(Commands().Transact(w.handle, payload, 0, kTfClearBuf));
  // The only buffer begins where the arena does.
  const std::uint64_t at = w.service.proc().state().arena.usage().address;
  EXPECT_EQ(BytesAt(at, 1)[0], std::byte{'a'});
  this->ExpectNothing(w.service);
  EXPECT_EQ(BytesAt(at, 40), std::vector<std::byte>(40));
}

}  // namespace
}  // namespace binderlite::testing
