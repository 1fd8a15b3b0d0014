// SPDX-License-Identifier: Apache-2.0
//
// Checks driver/abandon.h: a call that is given up, at each stage, and what
// becomes of those who still work for it.

#include "binderlite/driver/abandon.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class AbandonTest : public CallTest<L> {
 protected:
  void Abandon(Actor<L>& actor) {
    EXPECT_EQ(actor.thread().Abandon(), Errc::kOk);
    actor.Check();
  }
  // Nothing of a call is left with the peer.
  void ExpectIdle(Peer<L>& peer) {
    const debug::ProcSnapshot snapshot = this->SnapshotOf(peer);
    EXPECT_EQ(snapshot.buffers, 0u);
    EXPECT_EQ(snapshot.outstanding, 0);
    for (const debug::ThreadSnapshot& thread : snapshot.threads) {
      EXPECT_TRUE(thread.stack.empty());
      EXPECT_TRUE(thread.todo.empty());
    }
  }
  // c calls a, a calls b, b calls c, which has not read that.
  struct Round {
    typename CallTest<L>::Ring ring;
    Received at_a;
    Received at_b;
  };
  Round GoAround() {
    auto ring = this->MakeRing();
    ring.c.Write(Commands().Transact(ring.to_a, {}, 1));
    const Received at_a = this->Receive(ring.a);
    ring.a.Write(Commands().Transact(ring.to_b, {}, 2));
    const Received at_b = this->Receive(ring.b);
    ring.b.Write(Commands().Transact(ring.to_c, {}, 3));
    return {ring, at_a, at_b};
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(AbandonTest);

TYPED_TEST(AbandonTest, NoCall) {
  auto [manager, service, client, handle] = this->Connected();
  this->Abandon(client);
  this->ExpectNothing(client);
  client.Write(Commands().Transact(handle));
  this->Answer(service, this->Receive(service), 7);
  this->ExpectReply(client, 7);
}

TYPED_TEST(AbandonTest, Queued) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle, Payload("x"), 5));
  this->Abandon(client);
  this->ExpectNothing(client);
  const Received call = this->Receive(service);
  EXPECT_EQ(call.tr.code, 5u);
  this->Answer(service, call);
  this->ExpectNothing(client);
  this->ExpectIdle(client);
  this->ExpectIdle(service);
}

TYPED_TEST(AbandonTest, BeingServed) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  this->Abandon(client);
  // The same thread goes on.
  Actor<TypeParam> second = service.Spawn();
  client.Write(Commands().Transact(handle, {}, 6));
  this->Answer(service, call);
  const Received next = this->Receive(second);
  EXPECT_EQ(next.tr.code, 6u);
  this->Answer(second, next, 60);
  this->ExpectReply(client, 60);
  this->ExpectIdle(client);
  this->ExpectIdle(service);
}

TYPED_TEST(AbandonTest, AnsweredNotRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  this->Answer(service, this->Receive(service), 7);
  EXPECT_EQ(this->SnapshotOf(client).buffers, 1u);
  this->Abandon(client);
  this->ExpectNothing(client);
  this->ExpectIdle(client);
}

TYPED_TEST(AbandonTest, FailedNotRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  this->Close(service);
  this->Abandon(client);
  this->ExpectNothing(client);
  this->ExpectIdle(client);
}

// What the thread serves itself is as it was.
TYPED_TEST(AbandonTest, OnlyTheInnermost) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  c.Write(Commands().Transact(to_a, {}, 1));
  const Received at_a = this->Receive(a);
  a.Write(Commands().Transact(to_b, {}, 2));
  const Received at_b = this->Receive(b);
  this->Abandon(a);
  // What b calls now is not on behalf of c's thread any more.
  Actor<TypeParam> idle = c.Spawn();
  b.Write(Commands().Transact(to_c, {}, 3));
  const Received at_c = this->Receive(idle);
  EXPECT_EQ(at_c.tr.code, 3u);
  this->Answer(a, at_a, 10);
  this->ExpectReply(c, 10);
  this->Answer(idle, at_c, 30);
  this->ExpectReply(b, 30);
  this->Answer(b, at_b, 20);
  this->ExpectNothing(a);
  this->ExpectIdle(a);
  this->ExpectIdle(b);
  this->ExpectIdle(c);
}

// The answer comes while there is a call that has come back and has not been
// read: it is read after that.
TYPED_TEST(AbandonTest, AnsweredWhileACallHasComeBack) {
  auto [ring, at_a, at_b] = this->GoAround();
  this->Abandon(ring.a);
  this->Answer(ring.a, at_a, 10);
  const Received at_c = this->Receive(ring.c);
  EXPECT_EQ(at_c.tr.code, 3u);
  // It calls another one meanwhile, whose reply is its own.
  ring.c.Write(Commands().Transact(ring.to_a, {}, 4));
  const Received inner = this->Receive(ring.a);
  EXPECT_EQ(inner.tr.code, 4u);
  this->Answer(ring.a, inner, 40);
  this->ExpectReply(ring.c, 40);
  ring.c.Write(Commands().Free(at_c.tr.buffer).Reply({}, 30));
  EXPECT_EQ(ring.c.ReadCodes(), (BrList{kComplete}));
  this->ExpectReply(ring.c, 10, {});
  this->ExpectReply(ring.b, 30);
  this->Answer(ring.b, at_b, 20);
  this->ExpectIdle(ring.a);
  this->ExpectIdle(ring.b);
  this->ExpectIdle(ring.c);
}

TYPED_TEST(AbandonTest, AnsweredWhileWhatHasComeBackIsServed) {
  auto [ring, at_a, at_b] = this->GoAround();
  const Received at_c = this->Receive(ring.c);
  this->Abandon(ring.a);
  this->Answer(ring.a, at_a, 10);
  this->ExpectNothing(ring.c);
  ring.c.Write(Commands().Free(at_c.tr.buffer).Reply({}, 30));
  std::vector<std::uint32_t> replies;
  for (const Received& r : ring.c.ReadAll()) {
    if (r.br != kReply) continue;
    replies.push_back(r.tr.code);
    ring.c.Write(Commands().Free(r.tr.buffer));
  }
  EXPECT_EQ(replies, std::vector<std::uint32_t>{10});
  this->ExpectReply(ring.b, 30);
  this->Answer(ring.b, at_b, 20);
  this->ExpectIdle(ring.c);
}

// The same if what comes is that there is no answer.
TYPED_TEST(AbandonTest, FailedWhileWhatHasComeBackIsServed) {
  auto [ring, at_a, at_b] = this->GoAround();
  const Received at_c = this->Receive(ring.c);
  this->Abandon(ring.a);
  this->Close(ring.a);
  this->ExpectNothing(ring.c);
  ring.c.Write(Commands().Free(at_c.tr.buffer).Reply({}, 30));
  std::vector<Br> codes;
  for (const Received& r : ring.c.ReadAll()) codes.push_back(r.br);
  EXPECT_EQ(codes, (BrList{kComplete, kDead}));
  this->ExpectReply(ring.b, 30);
  this->ExpectIdle(ring.c);
}

// And nobody waits for the answer any more.
TYPED_TEST(AbandonTest, TheAnswerThatWaitsIsDropped) {
  auto [ring, at_a, at_b] = this->GoAround();
  const Received at_c = this->Receive(ring.c);
  this->Abandon(ring.a);
  this->Answer(ring.a, at_a, 10);
  EXPECT_EQ(ring.c.thread().ThreadExit(), Errc::kOk);
  ring.c.Write(Commands().Free(at_c.tr.buffer));
  EXPECT_EQ(ring.b.ReadCodes(), (BrList{kComplete, kDead}));
  this->Answer(ring.b, at_b, 20);
  this->ExpectIdle(ring.a);
  this->ExpectIdle(ring.b);
}

using AbandonRaceTest = RaceTest;

// The reply is being sent when its call is given up.
TEST_F(AbandonRaceTest, WhileItIsAnswered) {
  auto [manager, service, client, handle] = Connected();
  client.Write(Commands().Transact(handle));
  const Received call = Receive(service);
  const Result result = AtSending(
      service, Commands().Free(call.tr.buffer).Reply({}, 7),
      [&client = client] { EXPECT_EQ(client.thread().Abandon(), Errc::kOk); });
  EXPECT_EQ(result.codes(), (BrList{kNoop, kComplete}));
  ExpectNothing(client);
  EXPECT_EQ(SnapshotOf(client).buffers, 0u);
  client.Write(Commands().Transact(handle));
  Answer(service, Receive(service), 8);
  ExpectReply(client, 8);
}

// A call on its way to the thread that the chain begins with, which has its
// answer by the time that it comes: any thread may have it.
TEST_F(AbandonRaceTest, WhileSomebodyCallsBack) {
  auto [a, b, c, to_a, to_b, to_c] = MakeRing();
  c.Write(Commands().Transact(to_a, {}, 1));
  const Received at_a = Receive(a);
  a.Write(Commands().Transact(to_b, {}, 2));
  const Received at_b = Receive(b);
  b.proc().SetNonblocking(true);
  (void)AtSending(b, Commands().Transact(to_c, {}, 3), [&a = a, &c = c, &at_a] {
    EXPECT_EQ(a.thread().Abandon(), Errc::kOk);
    EXPECT_EQ(RunWriteRead(a.thread(),
                           Commands().Free(at_a.tr.buffer).Reply({}, 10), 0)
                  .error,
              Errc::kOk);
    const Result read = RunWriteRead(c.thread(), Commands(), kReadSize);
    EXPECT_EQ(read.Get(kReply).tr.code, 10u);
    EXPECT_EQ(
        RunWriteRead(c.thread(), Commands().Free(read.Get(kReply).tr.buffer), 0)
            .error,
        Errc::kOk);
  });
  Actor<FineGrained<>> other = c.Spawn();
  const Received at_c = Receive(other);
  EXPECT_EQ(at_c.tr.code, 3u);
  Answer(other, at_c, 30);
  ExpectReply(b, 30);
  Answer(b, at_b, 20);
}

}  // namespace
}  // namespace binderlite::testing
