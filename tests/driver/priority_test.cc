// SPDX-License-Identifier: Apache-2.0
//
// The nice values that threads have while they wait and while they serve.

#include "binderlite/driver/priority.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/core/priority.h"
#include "binderlite/wire/flags.h"
#include "support/call_test.h"
#include "support/files.h"

namespace binderlite::testing {
namespace {

class FakePriorities : public Priorities {
 public:
  int Get(std::int32_t pid, std::int32_t tid) override {
    const std::lock_guard lock(mu_);
    return nice_[{pid, tid}];
  }
  void Set(std::int32_t pid, std::int32_t tid, int nice) override {
    const std::lock_guard lock(mu_);
    nice_[{pid, tid}] = nice;
    ++sets_;
  }
  // How often one has been set, also to what it was.
  [[nodiscard]] int sets() {
    const std::lock_guard lock(mu_);
    return sets_;
  }

 private:
  std::mutex mu_;
  std::map<std::pair<std::int32_t, std::int32_t>, int> nice_;
  int sets_ = 0;
};

// Before all else, since the Context and the Procs need it to the end.
struct PrioritySeams {
  FakePriorities priorities;
  TestFiles files;
};

template <class L>
class PriorityTest : protected PrioritySeams, public CallTest<L> {
 protected:
  PriorityTest() : CallTest<L>({.priorities = &priorities}) {}

  struct World {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
  };
  // The service has a node with this least priority.
  World Build(int least = 0, std::uint32_t flags = 0) {
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& service = this->Open({.name = "service", .nice = 3});
    Peer<L>& client = this->Open({.name = "client", .nice = 4});
    return {manager, service, client,
            this->Give(manager, service, client, this->kPtr, this->kCookie,
                       flags | static_cast<std::uint8_t>(least))};
  }

  int NiceOf(Peer<L>& peer, Actor<L>& actor) {
    return priorities.Get(peer.pid(), actor.tid());
  }
  int NiceOf(Peer<L>& peer) { return NiceOf(peer, peer); }
  void SetNice(Peer<L>& peer, Actor<L>& actor, int nice) {
    priorities.Set(peer.pid(), actor.tid(), nice);
  }
  void SetNice(Peer<L>& peer, int nice) { SetNice(peer, peer, nice); }
};
BINDERLITE_FOR_ALL_DISCIPLINES(PriorityTest);

// Rows: PR-01
TYPED_TEST(PriorityTest, WhoWaitsForAnyWorkHasTheProcsOwn) {
  auto w = this->Build(/*least=*/19);
  Actor<TypeParam> other = w.service.Spawn();
  this->SetNice(w.service, -7);
  this->SetNice(w.service, other, -8);
  // Also who finds something at once, and who does not want to wait.
  w.client.Write(Commands().OneWay(w.handle));
  const Received got = this->Receive(w.service);
  EXPECT_EQ(this->NiceOf(w.service), 3);
  this->SetNice(w.service, -7);
  this->ExpectNothing(w.service);
  EXPECT_EQ(this->NiceOf(w.service), 3);
  this->SetNice(w.service, -7);
  w.service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(this->NiceOf(w.service), -7);
  auto waiting = this->Block(w.service, w.service);
  EXPECT_EQ(this->NiceOf(w.service), 3);
  EXPECT_EQ(this->NiceOf(w.service, other), -8);
  w.service.proc().Flush();
  EXPECT_EQ(waiting->Join().codes(), BrList{kNoop});
  EXPECT_EQ(this->NiceOf(w.service), 3);
}

// Rows: PR-01
TYPED_TEST(PriorityTest, WhoWaitsForAReplyKeepsIts) {
  auto w = this->Build();
  this->SetNice(w.client, -7);
  auto waiting = this->Block(w.client, w.client, Commands().Transact(w.handle));
  EXPECT_EQ(this->NiceOf(w.client), -7);
  this->Answer(w.service, this->Receive(w.service));
  EXPECT_EQ(waiting->Join().codes(), (BrList{kNoop, kComplete, kReply}));
  EXPECT_EQ(this->NiceOf(w.client), -7);
}

struct NiceCase {
  int caller;
  int least;
  int before;  // Of the receiver, as it waits.
  int serving;
};

// Rows: PR-02 PR-04 PR-06
TYPED_TEST(PriorityTest, Calls) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  std::uint64_t ptr = 0;
  for (const NiceCase& c :
       {NiceCase{-5, 0, 10, -5}, NiceCase{5, 0, 10, 0}, NiceCase{0, 0, 10, 0},
        NiceCase{5, 10, -20, 5}, NiceCase{15, 10, -20, 10},
        NiceCase{19, 19, 0, 19}, NiceCase{0, -20, 19, -20},
        NiceCase{-19, -20, 0, -20}, NiceCase{-20, -10, 0, -20},
        NiceCase{7, 127, 0, 7}, NiceCase{7, -128, 0, -128}}) {
    SCOPED_TRACE(std::to_string(c.caller) + " at " + std::to_string(c.least));
    Peer<TypeParam>& service = this->Open({.nice = c.before});
    const std::uint32_t handle =
        this->Give(manager, service, client, ++ptr, 1,
                   0xabcd00u | static_cast<std::uint8_t>(c.least));
    this->SetNice(client, c.caller);
    client.Write(Commands().Transact(handle));
    // It is the priority at the time of the call that counts.
    this->SetNice(client, 1);
    const Received call = this->Receive(service);
    EXPECT_EQ(this->NiceOf(service), c.serving);
    EXPECT_EQ(this->NiceOf(client), 1);
    service.Write(Commands().Free(call.tr.buffer));
    EXPECT_EQ(this->NiceOf(service), c.serving);
    service.Write(Commands().Reply());
    EXPECT_EQ(this->NiceOf(service), c.before);
    this->Settle(service);
    // The reply brings no priority along.
    this->ExpectReply(client, 0);
    EXPECT_EQ(this->NiceOf(client), 1);
  }
}

// Rows: PR-03 PR-06
TYPED_TEST(PriorityTest, OneWays) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  std::uint64_t ptr = 0;
  // The sender's is none of it.
  for (const NiceCase& c :
       {NiceCase{-20, 0, 10, 0}, NiceCase{19, 0, 10, 0}, NiceCase{-20, 0, 0, 0},
        NiceCase{-20, 0, -5, -5}, NiceCase{0, -10, -5, -10},
        NiceCase{0, -10, -11, -11}, NiceCase{0, 19, 19, 19}}) {
    SCOPED_TRACE(std::to_string(c.before) + " at " + std::to_string(c.least));
    Peer<TypeParam>& service = this->Open({.nice = c.before});
    const std::uint32_t handle = this->Give(manager, service, client, ++ptr, 1,
                                            static_cast<std::uint8_t>(c.least));
    this->SetNice(client, c.caller);
    client.Write(Commands().OneWay(handle));
    EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
    const int sets = this->priorities.sets();
    const Received got = this->Receive(service);
    EXPECT_EQ(this->NiceOf(service), c.serving);
    EXPECT_EQ(this->priorities.sets() - sets, c.before > c.least ? 2 : 1);
    // It stays like that until the thread waits again.
    service.Write(Commands().Free(got.tr.buffer));
    EXPECT_EQ(this->NiceOf(service), c.serving);
  }
}

// Rows: PR-06
TYPED_TEST(PriorityTest, TheLeastIsThatOfTheObjectThatMadeTheNode) {
  auto w = this->Build(-5);
  // Passed on and back with other flags.
  this->Give(w.manager, w.service, w.manager, this->kPtr, this->kCookie, 19);
  this->SetNice(w.client, 15);
  w.client.Write(Commands().Transact(w.handle));
  (void)this->Receive(w.service);
  EXPECT_EQ(this->NiceOf(w.service), -5);
}

// Rows: PR-06 IO-09
TYPED_TEST(PriorityTest, TheContextManagersLeast) {
  Peer<TypeParam>& manager = this->Open();
  FlatObject object = {};
  object.flags = static_cast<std::uint8_t>(-3);
  EXPECT_EQ(manager.thread().SetContextMgrExt(object), Errc::kOk);
  Peer<TypeParam>& client = this->Open();
  this->SetNice(client, 8);
  client.Write(Commands().Transact(0));
  (void)this->Receive(manager);
  EXPECT_EQ(this->NiceOf(manager), -3);
}

// Rows: PR-04
TYPED_TEST(PriorityTest, RestoredWhateverBecomesOfTheReply) {
  auto w = this->Build();
  Payload bad;
  bad.Handle(99);
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    Actor<TypeParam> caller = w.client.Spawn();
    this->SetNice(w.client, caller, -9);
    caller.Write(Commands().Transact(w.handle));
    (void)this->Receive(w.service);
    EXPECT_EQ(this->NiceOf(w.service), -9);
    switch (i) {
      case 0:  // It cannot be built.
        w.service.Write(Commands().Reply(bad));
        EXPECT_EQ(caller.ReadCodes(), (BrList{kComplete, kFailed}));
        break;
      case 1:  // There is nobody for it.
        EXPECT_EQ(caller.thread().ThreadExit(), Errc::kOk);
        w.service.Write(Commands().Reply());
        break;
      default:  // There is nobody any more.
        this->Close(w.client);
        w.service.Write(Commands().Reply());
        break;
    }
    EXPECT_EQ(this->NiceOf(w.service), 3);
    EXPECT_EQ(w.service.ReadCodes(), BrList{kComplete});
  }
  // A reply to nothing changes nothing.
  const int sets = this->priorities.sets();
  this->ExpectFails(w.service, Commands().Reply(), kFailed, Errc::kProtocol);
  EXPECT_EQ(this->priorities.sets(), sets);
}

// Rows: PR-02 PR-04
TYPED_TEST(PriorityTest, NestedCalls) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  this->SetNice(a, -10);
  a.Write(Commands().Transact(to_b));
  const Received outer = this->Receive(b);
  EXPECT_EQ(this->NiceOf(b), -10);
  // It calls on as what it is now; and comes back to where it was.
  b.Write(Commands().Transact(to_c));
  const Received inner = this->Receive(c);
  EXPECT_EQ(this->NiceOf(c), -10);
  this->SetNice(c, -12);
  c.Write(Commands().Transact(to_a));
  const Received back = a.Read().Get(kTransaction);
  EXPECT_EQ(this->NiceOf(a), -12);
  this->Answer(a, back);
  EXPECT_EQ(this->NiceOf(a), -10);
  this->ExpectReply(c, 0);
  EXPECT_EQ(this->NiceOf(c), -12);
  this->Answer(c, inner);
  EXPECT_EQ(this->NiceOf(c), 0);
  this->ExpectReply(b, 0);
  EXPECT_EQ(this->NiceOf(b), -10);
  this->Answer(b, outer);
  EXPECT_EQ(this->NiceOf(b), 0);
  this->ExpectReply(a, 0, {});  // The rest came with the nested call.
  EXPECT_EQ(this->NiceOf(a), -10);
}

// Rows: PR-02
TYPED_TEST(PriorityTest, ACallThatIsNotReadChangesNothing) {
  auto w = this->Build(0, kFlatAcceptsFds);
  const TestFile file;
  Peer<TypeParam>& full = this->Open({.files = &this->files, .nice = 6});
  const std::uint32_t handle =
      this->Give(w.manager, full, w.client, 0x9000, 1, kFlatAcceptsFds);
  this->files.SetLimit(0);
  w.client.Write(Commands().Transact(handle, Payload().Fd(file.fd())));
  this->ExpectNothing(full);
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kFailed}));
  EXPECT_EQ(this->NiceOf(full), 6);
}

}  // namespace
}  // namespace binderlite::testing
