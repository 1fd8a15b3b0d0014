// SPDX-License-Identifier: Apache-2.0
//
// Checks driver/given_up.h: who serves a call hears that nobody waits for its
// answer any more.

#include "binderlite/driver/given_up.h"

#include <gtest/gtest.h>

#include <stop_token>

#include "support/await_stop.h"
#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class GivenUpTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(GivenUpTest);

TYPED_TEST(GivenUpTest, NothingIsServed) {
  auto [manager, service, client, handle] = this->Connected();
  EXPECT_FALSE(service.thread().GivenUp().stop_possible());
  client.Write(Commands().Transact(handle));
  EXPECT_FALSE(client.thread().GivenUp().stop_possible());  // It waits itself.
  this->Answer(service, this->Receive(service), 7);
  EXPECT_FALSE(service.thread().GivenUp().stop_possible());
  this->ExpectReply(client, 7);
}

TYPED_TEST(GivenUpTest, NobodyWaitsForOneWays) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle, {}, 1, kTfOneWay));
  const Received call = this->Receive(service);
  EXPECT_FALSE(service.thread().GivenUp().stop_possible());
  service.Write(Commands().Free(call.tr.buffer));
}

TYPED_TEST(GivenUpTest, Answered) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  const std::stop_token token = service.thread().GivenUp();
  EXPECT_TRUE(token.stop_possible());
  EXPECT_EQ(token, service.thread().GivenUp());
  this->Answer(service, call, 7);
  this->ExpectReply(client, 7);
  EXPECT_FALSE(token.stop_requested());
  EXPECT_FALSE(token.stop_possible());  // Nobody is left to request it.
}

TYPED_TEST(GivenUpTest, Abandoned) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  const std::stop_token token = service.thread().GivenUp();
  EXPECT_FALSE(token.stop_requested());
  EXPECT_EQ(client.thread().Abandon(), Errc::kOk);
  AwaitStop(token);
  // Also who asks only now.
  EXPECT_TRUE(service.thread().GivenUp().stop_requested());
  this->Answer(service, call);
  EXPECT_FALSE(service.thread().GivenUp().stop_possible());
}

TYPED_TEST(GivenUpTest, AbandonedBeforeItIsRead) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  EXPECT_EQ(client.thread().Abandon(), Errc::kOk);
  const Received call = this->Receive(service);
  EXPECT_TRUE(service.thread().GivenUp().stop_requested());
  this->Answer(service, call);
}

TYPED_TEST(GivenUpTest, TheSenderExits) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  const std::stop_token token = service.thread().GivenUp();
  EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
  AwaitStop(token);
  this->Answer(service, call);
}

TYPED_TEST(GivenUpTest, TheSendersProcEnds) {
  for (const bool kill : {false, true}) {
    auto [manager, service, client, handle] = this->Connected();
    client.Write(Commands().Transact(handle));
    const Received call = this->Receive(service);
    const std::stop_token token = service.thread().GivenUp();
    if (kill) {
      client.proc().Kill();
    } else {
      client.proc().Close();
    }
    AwaitStop(token);
    this->Answer(service, call);
    service.proc().Close();
    manager.proc().Close();
  }
}

TYPED_TEST(GivenUpTest, TheServersProcHasEnded) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  (void)this->Receive(service);
  const std::stop_token token = service.thread().GivenUp();
  service.proc().Close();
  EXPECT_TRUE(service.thread().GivenUp().stop_requested());
  EXPECT_FALSE(token.stop_requested());  // Its sender has been told otherwise.
}

// a calls b, b calls c, c calls a back: each hears of its own call only.
TYPED_TEST(GivenUpTest, OnlyTheInnermost) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  a.Write(Commands().Transact(to_b));
  const Received at_b = this->Receive(b);
  const std::stop_token of_b = b.thread().GivenUp();
  b.Write(Commands().Transact(to_c));
  EXPECT_FALSE(b.thread().GivenUp().stop_possible());
  const Received at_c = this->Receive(c);
  const std::stop_token of_c = c.thread().GivenUp();
  EXPECT_NE(of_b, of_c);
  EXPECT_EQ(b.thread().Abandon(), Errc::kOk);
  AwaitStop(of_c);
  EXPECT_FALSE(of_b.stop_requested());
  EXPECT_EQ(b.thread().GivenUp(), of_b);
  EXPECT_EQ(a.thread().Abandon(), Errc::kOk);
  AwaitStop(of_b);
  this->Answer(c, at_c);
  this->Answer(b, at_b);
}

// A callback may use the driver, and the Proc that is told about may go.
TYPED_TEST(GivenUpTest, ACallbackUsesTheDriver) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().Transact(handle));
  const Received call = this->Receive(service);
  Actor<TypeParam> other = service.Spawn();
  std::stop_source told;
  const std::stop_callback on_stop(service.thread().GivenUp(), [&] {
    EXPECT_EQ(other.thread().EnterLooper(), Errc::kOk);
    told.request_stop();
  });
  EXPECT_EQ(client.thread().Abandon(), Errc::kOk);
  AwaitStop(told.get_token());
  this->Answer(service, call);
}

}  // namespace
}  // namespace binderlite::testing
