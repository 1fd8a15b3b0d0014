// SPDX-License-Identifier: Apache-2.0

#include "binderlite/driver/translate.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/call_test.h"
#include "support/faulty_memory.h"

namespace binderlite::testing {
namespace {

constexpr std::uint32_t kBadType = 0x12345678u;

FlatObject MakeObject(ObjectType type, std::uint64_t binder,
                      std::uint64_t cookie = 0, std::uint32_t flags = 0) {
  FlatObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(type);
  object.flags = flags;
  object.binder = binder;
  object.cookie = cookie;
  return object;
}

void ExpectObject(const FlatObject& object, ObjectType type,
                  std::uint64_t binder, std::uint64_t cookie = 0,
                  std::uint32_t flags = 0) {
  EXPECT_EQ(object.hdr.type, static_cast<std::uint32_t>(type));
  EXPECT_EQ(object.binder, binder);  // All of the union.
  EXPECT_EQ(object.cookie, cookie);
  EXPECT_EQ(object.flags, flags);
}

template <class L>
class TranslateTest : public CallTest<L> {
 protected:
  // Sends a one-way from `from` and has `to` read it. Its buffer is kept; so
  // is the node of `handle` busy, until it is freed.
  Received Pass(Actor<L>& from, std::uint32_t handle, const Payload& payload,
                Actor<L>& to) {
    from.Write(Commands().OneWay(handle, payload));
    return this->Receive(to);
  }
  // The same as a call that is answered at once; both buffers are freed.
  void PassAndFree(Actor<L>& from, std::uint32_t handle, const Payload& payload,
                   Actor<L>& to) {
    from.Write(Commands().Transact(handle, payload));
    this->Answer(to, this->Receive(to));
    this->Settle(from);
  }

  // The counts of a handle; zeros when there is none.
  debug::RefSnapshot RefOf(Peer<L>& peer, std::uint32_t handle) {
    for (const debug::RefSnapshot& ref : this->SnapshotOf(peer).refs) {
      if (ref.handle == handle) return ref;
    }
    return {};
  }
  std::size_t Refs(Peer<L>& peer) { return this->SnapshotOf(peer).refs.size(); }
  std::size_t Nodes(Peer<L>& peer) {
    return this->SnapshotOf(peer).nodes.size();
  }
  // Gives `peer` a handle with one weak count and no other, and returns it.
  std::uint32_t Weaken(Actor<L>& peer, std::uint32_t handle) {
    peer.Write(Commands().IncRefs(handle).Release(handle));
    return handle;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(TranslateTest);

// --- What becomes of an object ----------------------------------------------

// Rows: OB-01
TYPED_TEST(TranslateTest, NewBinder) {
  auto [manager, service, client, handle] = this->Connected();
  constexpr std::uint32_t kFlags =
      0xabcd0000u | kFlatTxnSecurityCtx | kFlatAcceptsFds | 0x2a;
  constexpr std::uint64_t kLargePtr = 0xfedc'ba98'7654'3210u;
  Payload payload;
  payload.Binder(kLargePtr, 0x8000, ObjectType::kBinder, kFlags);
  const Received got = this->Pass(client, handle, payload, service);
  ExpectObject(got.object(0), ObjectType::kHandle, 1, 0, kFlags);
  EXPECT_EQ(this->RefOf(service, 1).strong, 1);
  EXPECT_EQ(this->RefOf(service, 1).weak, 0);

  const auto node = driver::FindNode(client.proc().state(), kLargePtr);
  ASSERT_TRUE(node);
  EXPECT_EQ(node->cookie, 0x8000u);
  EXPECT_EQ(node->min_priority, 0x2a);
  EXPECT_TRUE(node->accepts_fds);
  EXPECT_TRUE(node->wants_security_context);
}

// Rows: OB-01
TYPED_TEST(TranslateTest, NewHandleIsTheLowestFreeOne) {
  auto [manager, service, client, handle] = this->Connected();
  Payload four;
  for (std::uint64_t i = 0; i < 4; ++i) four.Binder(0x7000 + i, i);
  const Received got = this->Pass(client, handle, four, service);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(got.object(i).handle, i + 1);
  }
  service.Write(Commands().Acquire(4).Acquire(1).Free(got.tr.buffer));
  Payload three;
  for (std::uint64_t i = 0; i < 3; ++i) three.Binder(0x9000 + i, i);
  const Received next = this->Pass(client, handle, three, service);
  EXPECT_EQ(next.object(0).handle, 2u);
  EXPECT_EQ(next.object(1).handle, 3u);
  EXPECT_EQ(next.object(2).handle, 5u);
}

// Rows: OB-02
TYPED_TEST(TranslateTest, KnownBinder) {
  auto [manager, service, client, handle] = this->Connected();
  Payload first;
  first.Binder(0x7000, 0x8000, ObjectType::kBinder, kFlatAcceptsFds | 7);
  const Received a = this->Pass(client, handle, first, service);
  service.Write(Commands().Acquire(1));
  const std::uint32_t node = this->RefOf(service, 1).node_id;

  Payload second;
  second.Binder(0x7000, 0x8000, ObjectType::kBinder, kFlatTxnSecurityCtx | 9);
  client.Write(Commands().Transact(handle, second));
  const Received b = this->Receive(service);
  ExpectObject(b.object(0), ObjectType::kHandle, 1, 0, kFlatTxnSecurityCtx | 9);
  EXPECT_EQ(this->RefOf(service, 1).strong, 3);
  EXPECT_EQ(this->RefOf(service, 1).node_id, node);
  const auto same = driver::FindNode(client.proc().state(), 0x7000);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->min_priority, 7);
  EXPECT_TRUE(same->accepts_fds);
  EXPECT_FALSE(same->wants_security_context);
  // Each buffer gives back its own count.
  service.Write(Commands().Free(a.tr.buffer));
  EXPECT_EQ(this->RefOf(service, 1).strong, 2);
  service.Write(Commands().Free(b.tr.buffer));
  EXPECT_EQ(this->RefOf(service, 1).strong, 1);
}

// Rows: OB-03
TYPED_TEST(TranslateTest, KnownBinderWithAnotherCookie) {
  auto [manager, service, client, handle] = this->Connected();
  Payload right;
  right.Binder(0x7000, 0x8000);
  (void)this->Pass(client, handle, right, service);
  this->Settle(client);
  const std::string before = this->State();
  for (const ObjectType type : {ObjectType::kBinder, ObjectType::kWeakBinder}) {
    Payload wrong;
    wrong.Binder(0x7000, 0x8001, type);
    // To whomever it goes.
    for (const std::uint32_t target : {handle, 0u}) {
      this->ExpectFails(client, Commands().Transact(target, wrong), kFailed,
                        Errc::kInvalid);
      this->ExpectFails(client, Commands().OneWay(target, wrong), kFailed,
                        Errc::kInvalid);
    }
  }
  EXPECT_EQ(this->State(), before);
}

// Rows: OB-04
TYPED_TEST(TranslateTest, WeakBinder) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  payload.Object(MakeObject(ObjectType::kWeakBinder, 0x7000, 0x8000, 0x1234));
  const Received got = this->Pass(client, handle, payload, service);
  ExpectObject(got.object(0), ObjectType::kWeakHandle, 1, 0, 0x1234);
  EXPECT_EQ(this->RefOf(service, 1).weak, 1);
  EXPECT_EQ(this->RefOf(service, 1).strong, 0);
  EXPECT_EQ(client.ReadCodes(), (BrList{Br::BR_INCREFS, kComplete}));
  client.Write(Commands().IncRefsDone(0x7000, 0x8000));
  // It counts, and it hears of the death; but it is no target.
  service.Write(Commands().IncRefs(1).IncRefs(1).DecRefs(1));
  EXPECT_EQ(this->RefOf(service, 1).weak, 2);
  service.Write(Commands().Free(got.tr.buffer).RequestDeath(1, 0x99));
  EXPECT_EQ(this->RefOf(service, 1).weak, 1);
  this->ExpectFails(service, Commands().Transact(1), kFailed, Errc::kInvalid);
  this->Close(client);
  const Result death = service.Read();
  EXPECT_EQ(death.codes(), (BrList{kNoop, Br::BR_DEAD_BINDER}));
  EXPECT_EQ(death.Get(Br::BR_DEAD_BINDER).cookie, 0x99u);
}

// Rows: OB-05
TYPED_TEST(TranslateTest, HandleOfAReceiversNode) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  // What is in the upper half of the union and the cookie is lost.
  payload.Object(MakeObject(ObjectType::kHandle,
                            0xdead'beef'0000'0000u | handle, 0x5555, 0x77));
  const Received got = this->Pass(client, handle, payload, service);
  ExpectObject(got.object(0), ObjectType::kBinder, this->kPtr, this->kCookie,
               0x77);
  // One for the buffer's target, one for the object.
  EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 2);
  EXPECT_EQ(this->Refs(service), 0u);
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->NodeOf(service, this->kPtr).internal_strong, 0);
  this->ExpectNothing(service);
  service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(service.ReadCodes(), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: OB-06
TYPED_TEST(TranslateTest, HandleOfAThirdPartysNode) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  // Other numbers on both sides.
  (void)this->Give(manager, third, service, 0x5000, 1);
  const std::uint32_t clients =
      this->Give(manager, third, client, 0x6000, 0x6001);
  EXPECT_EQ(clients, 2u);
  Payload payload;
  payload.Object(MakeObject(ObjectType::kHandle,
                            0xdead'beef'0000'0000u | clients, 0x5555, 0x88));
  const Received a = this->Pass(client, handle, payload, service);
  ExpectObject(a.object(0), ObjectType::kHandle, 2, 0, 0x88);
  EXPECT_EQ(this->RefOf(service, 2).strong, 1);
  EXPECT_EQ(this->RefOf(client, clients).strong, 1);
  // Known by now.
  client.Write(Commands().Transact(handle, payload));
  const Received b = this->Receive(service);
  ExpectObject(b.object(0), ObjectType::kHandle, 2, 0, 0x88);
  EXPECT_EQ(this->RefOf(service, 2).strong, 2);
  EXPECT_EQ(this->RefOf(client, clients).strong, 1);
  EXPECT_EQ(this->RefOf(client, clients).node_id,
            this->RefOf(service, 2).node_id);
  this->ExpectNothing(third);
  // It is a handle of its own, and works as one.
  service.Write(Commands().Acquire(2).Free(a.tr.buffer).Free(b.tr.buffer));
  client.Write(Commands().Release(clients));
  this->Answer(service, b);
  service.Write(Commands().OneWay(2));
  EXPECT_EQ(this->Receive(third).tr.target.ptr, 0x6000u);
}

// Rows: OB-07
TYPED_TEST(TranslateTest, WeakHandles) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t strong = this->Give(manager, third, client, 0x5000, 0x51);
  const std::uint32_t weak =
      this->Weaken(client, this->Give(manager, third, client, 0x6000, 0x61));
  this->Settle(third);  // The strong count is gone.
  Payload payload;
  payload.WeakHandle(handle).WeakHandle(strong).WeakHandle(weak);
  const Received got = this->Pass(client, handle, payload, service);
  ExpectObject(got.object(0), ObjectType::kWeakBinder, this->kPtr,
               this->kCookie);
  ExpectObject(got.object(1), ObjectType::kWeakHandle, 1);
  ExpectObject(got.object(2), ObjectType::kWeakHandle, 2);
  EXPECT_EQ(this->NodeOf(service, this->kPtr).local_weak, 1);
  EXPECT_EQ(this->NodeOf(service, this->kPtr).local_strong, 1);
  for (const std::uint32_t h : {1u, 2u}) {
    EXPECT_EQ(this->RefOf(service, h).weak, 1);
    EXPECT_EQ(this->RefOf(service, h).strong, 0);
  }
  service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(this->NodeOf(service, this->kPtr).local_weak, 0);
  EXPECT_EQ(this->Refs(service), 0u);
}

// Rows: OB-08
TYPED_TEST(TranslateTest, HandleThatIsNotOne) {
  auto [manager, service, client, handle] = this->Connected();
  const std::uint32_t weak =
      this->Weaken(client, this->Give(manager, service, client, 0x5000, 0x51));
  this->Settle(service);
  const std::string before = this->State();
  for (const std::uint32_t unknown : {99u, ~0u}) {
    for (const ObjectType type :
         {ObjectType::kHandle, ObjectType::kWeakHandle}) {
      Payload payload;
      payload.Handle(unknown, type);
      this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                        Errc::kInvalid);
      this->ExpectFails(client, Commands().OneWay(handle, payload), kFailed,
                        Errc::kInvalid);
    }
  }
  Payload payload;
  payload.Handle(weak);
  this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                    Errc::kInvalid);
  EXPECT_EQ(this->State(), before);
}

// Rows: OB-09
TYPED_TEST(TranslateTest, HandleZeroInAPayload) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  payload.Handle(0);
  this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                    Errc::kInvalid);
  this->ExpectFails(client, Commands().Transact(0, payload), kFailed,
                    Errc::kInvalid);
  client.Write(Commands().IncRefs(0));
  this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                    Errc::kInvalid);
  client.Write(Commands().Acquire(0));
  const Received third = this->Pass(client, handle, payload, service);
  ExpectObject(third.object(0), ObjectType::kHandle, 0);
  const Received own = this->Pass(client, 0, payload, manager);
  ExpectObject(own.object(0), ObjectType::kBinder, 0, 0);
}

// Rows: OB-10
TYPED_TEST(TranslateTest, HandleToADeadNode) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t dead = this->Give(manager, third, client, 0x5000, 0x51);
  this->Close(third);
  Payload payload;
  payload.Handle(dead).WeakHandle(dead);
  const Received got = this->Pass(client, handle, payload, service);
  ExpectObject(got.object(0), ObjectType::kHandle, 1);
  ExpectObject(got.object(1), ObjectType::kWeakHandle, 1);
  EXPECT_EQ(this->RefOf(service, 1).strong, 1);
  EXPECT_EQ(this->RefOf(service, 1).weak, 1);
  EXPECT_TRUE(this->RefOf(service, 1).node_dead);
  this->ExpectFails(service, Commands().Transact(1), kDead, Errc::kInvalid);
  service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(this->Refs(service), 0u);
}

// Rows: OB-11
TYPED_TEST(TranslateTest, ManagersNodeIsHandleZero) {
  auto [manager, service, client, handle] = this->Connected();
  // From a holder ...
  client.Write(Commands().Acquire(0));
  Payload from_client;
  from_client.Handle(0);
  const Received a = this->Pass(client, handle, from_client, service);
  ExpectObject(a.object(0), ObjectType::kHandle, 0);
  service.Write(Commands().Free(a.tr.buffer));
  EXPECT_EQ(this->Refs(service), 0u);
  // ... and from the manager itself.
  service.Write(Commands().Transact(0));
  const Received call = this->Receive(manager);
  Payload from_manager;
  from_manager.Binder(0, 0);
  manager.Write(Commands().Free(call.tr.buffer).Reply(from_manager));
  const Received b = service.Read().Get(kReply);
  ExpectObject(b.object(0), ObjectType::kHandle, 0);
}

// Rows: OB-11
TYPED_TEST(TranslateTest, ManagersNodeWhenHandleZeroIsTaken) {
  Peer<TypeParam>& first = this->OpenManager();
  Peer<TypeParam>& service = this->Open();
  service.Write(Commands().Acquire(0));
  this->Close(first);
  Peer<TypeParam>& second = this->OpenManager();
  service.Write(Commands().Transact(0));
  const Received call = this->Receive(second);
  Payload own;
  own.Binder(0, 0);
  second.Write(Commands().Free(call.tr.buffer).Reply(own));
  const Received reply = service.Read().Get(kReply);
  ExpectObject(reply.object(0), ObjectType::kHandle, 1);
  EXPECT_TRUE(this->RefOf(service, 0).node_dead);
  EXPECT_FALSE(this->RefOf(service, 1).node_dead);
}

// Rows: OB-12
TYPED_TEST(TranslateTest, NoOtherNodeIsHandleZero) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  // Not even one that looks like the manager's.
  for (std::uint64_t i = 0; i < 70; ++i) payload.Binder(i, 0);
  const Received got = this->Pass(client, handle, payload, service);
  for (std::uint32_t i = 0; i < 70; ++i) {
    EXPECT_EQ(got.object(i).handle, i + 1);
  }
  // Nor one that once was.
  client.Write(Commands().Acquire(0));
  this->Close(manager);
  Payload dead;
  dead.Handle(0);
  client.Write(Commands().Transact(handle, dead));
  EXPECT_EQ(this->Receive(service).object(0).handle, 71u);
}

// --- The bytes around the objects -------------------------------------------

// Rows: OB-44 OB-46 OB-47
TYPED_TEST(TranslateTest, EverythingElseIsCopiedVerbatim) {
  auto [manager, service, client, handle] = this->Connected();
  // Gaps of all sizes, objects that are only 4-byte aligned, an odd end.
  Payload payload;
  std::vector<std::byte>& data = payload.data();
  for (int i = 0; i < 203; ++i) data.push_back(static_cast<std::byte>(i));
  const FlatObject binder = MakeObject(ObjectType::kBinder, 0x7000, 1, 3);
  const FlatObject own = MakeObject(ObjectType::kHandle, handle);
  const std::vector<std::pair<std::size_t, FlatObject>> objects = {
      {4, binder}, {28, own}, {60, binder}, {144, own}};
  for (const auto& [offset, object] : objects) {
    std::memcpy(data.data() + offset, &object, sizeof(object));
    payload.Offset(offset);
  }
  const std::vector<std::byte> sent = data;
  const std::vector<std::uint64_t> offsets = payload.offsets();

  const Received got = this->Pass(client, handle, payload, service);
  ASSERT_EQ(got.tr.data_size, sent.size());
  ASSERT_EQ(got.tr.offsets_size, offsets.size() * 8);
  EXPECT_EQ(got.tr.offsets, got.tr.buffer + 208);
  EXPECT_EQ(std::memcmp(reinterpret_cast<const void*>(got.tr.offsets),
                        offsets.data(), offsets.size() * 8),
            0);
  std::vector<std::byte> expected = sent;
  const FlatObject handle_there = MakeObject(ObjectType::kHandle, 1, 0, 3);
  const FlatObject binder_there =
      MakeObject(ObjectType::kBinder, this->kPtr, this->kCookie);
  for (const auto& [offset, object] : objects) {
    const bool is_binder =
        object.hdr.type == static_cast<std::uint32_t>(ObjectType::kBinder);
    std::memcpy(expected.data() + offset,
                is_binder ? &handle_there : &binder_there, sizeof(object));
  }
  EXPECT_EQ(std::memcmp(reinterpret_cast<const void*>(got.tr.buffer),
                        expected.data(), expected.size()),
            0);
  // The sender's copy is as it was.
  EXPECT_EQ(data, sent);
  EXPECT_EQ(payload.offsets(), offsets);
}

// The driver never writes where it only has to read, whatever happens.
// Rows: OB-44
TYPED_TEST(TranslateTest, SendersMemoryMayBeReadOnly) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open({.memory = &this->memory()});
  Payload good("text");
  good.Binder(0x7000, 1).WeakBinder(0x7008, 2);
  Payload bad = good;
  bad.Handle(99);
  for (Payload* payload : {&good, &bad}) {
    const std::vector<std::byte> sent = payload->data();
    const std::vector<std::uint64_t> offsets = payload->offsets();
    this->memory().FaultWrites(AddressOf(payload->data().data()), sent.size());
    client.Write(Commands().Transact(0, *payload));
    EXPECT_EQ(payload->data(), sent);
    EXPECT_EQ(payload->offsets(), offsets);
    this->memory().Heal();
    if (payload == &good) this->Answer(manager, this->Receive(manager));
    (void)client.ReadAll();
  }
}

// Rows: OB-45
TYPED_TEST(TranslateTest, ReceiverScribblesOverItsBuffer) {
  auto [manager, service, client, handle] = this->Connected();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t to_third = this->Give(manager, third, client, 1, 2);
  const std::string before = this->State();
  for (const int byte : {0x00, 0x01, 0xff}) {
    Payload payload("text");
    payload.Binder(0x7000, 1)
        .WeakBinder(0x7008, 1)
        .Handle(handle)
        .WeakHandle(handle)
        .Handle(to_third)
        .WeakHandle(to_third);
    const Received got = this->Pass(client, handle, payload, service);
    std::memset(reinterpret_cast<void*>(got.tr.buffer), byte,
                static_cast<std::size_t>(got.tr.data_size));
    std::memset(reinterpret_cast<void*>(got.tr.offsets), byte,
                static_cast<std::size_t>(got.tr.offsets_size));
    service.Write(Commands().Free(got.tr.buffer));
    (void)client.ReadAll();  // Its nodes have come and gone.
    this->Settle(service);
    EXPECT_EQ(this->State(), before);
  }
}

// Rows: OB-48
TYPED_TEST(TranslateTest, SameBinderTwice) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  payload.Binder(0x7000, 0x8000).Binder(0x7000, 0x8000);
  const Received got = this->Pass(client, handle, payload, service);
  EXPECT_EQ(got.object(0).handle, got.object(1).handle);
  EXPECT_EQ(this->RefOf(service, got.object(0).handle).strong, 2);
  EXPECT_EQ(client.ReadCodes(),
            (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE, kComplete}));
  EXPECT_EQ(this->NodeOf(client, 0x7000).internal_strong, 1);
  service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(this->Refs(service), 0u);
}

// --- Payloads that are refused ----------------------------------------------

// Sizes that cannot be; the memory behind them is never touched.
// Rows: AL-07 OB-36 OB-37
TYPED_TEST(TranslateTest, HugeAndWrappingSizes) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  constexpr std::uint64_t k2To63 = std::uint64_t{1} << 63;
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  struct Case {
    std::uint64_t data;
    std::uint64_t offsets;
    std::uint64_t buffers;
    Errc why;
  };
  std::vector<Case> cases = {
      // The sum wraps.
      {kHuge - 7, 8, 0, Errc::kInvalid},
      {8, kHuge - 7, 0, Errc::kInvalid},
      {kHuge - 7, 0, 8, Errc::kInvalid},
      {0, kHuge - 15, 16, Errc::kInvalid},
      {k2To63, k2To63, 0, Errc::kInvalid},
      {k2To63, 0, k2To63, Errc::kInvalid},
      {0, k2To63, k2To63, Errc::kInvalid},
      {kHuge - 15, 8, 8, Errc::kInvalid},
      // It does not, and is too much.
      {kHuge - 15, 8, 0, Errc::kNoSpace},
      {k2To63, 8, 8, Errc::kNoSpace},
      {k2To63, k2To63 - 8, 0, Errc::kNoSpace},
      {std::uint64_t{1} << 32, std::uint64_t{1} << 32, 0, Errc::kNoSpace},
      {std::uint64_t{1} << 20, 8, 0, Errc::kNoSpace},
      {std::uint64_t{1} << 20, 0, 8, Errc::kNoSpace},
      // It just fits; there is no memory to be read.
      {std::uint64_t{1} << 20, 0, 0, Errc::kFault},
      {0, std::uint64_t{1} << 20, 0, Errc::kFault},
      {0, (std::uint64_t{1} << 20) - 4, 0, Errc::kFault},
      // It would fit, if it were a multiple of eight.
      {0, 0, (std::uint64_t{1} << 20) - 4, Errc::kInvalid},
      {8, 0, 1, Errc::kInvalid},
      {8, 0, 12, Errc::kInvalid},
  };
  for (const std::uint64_t near : {kHuge, kHuge - 6}) {  // Rounding up wraps.
    cases.push_back({near, 0, 0, Errc::kInvalid});
    cases.push_back({0, near, 0, Errc::kInvalid});
    cases.push_back({0, 0, near, Errc::kInvalid});
    cases.push_back({near, near, near, Errc::kInvalid});
  }
  for (const std::uint64_t size : {kHuge - 7, k2To63, std::uint64_t{1} << 40}) {
    cases.push_back({size, 0, 0, Errc::kNoSpace});
    cases.push_back({0, size, 0, Errc::kNoSpace});
    cases.push_back({0, 0, size, Errc::kNoSpace});
  }
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.data) + " " + std::to_string(c.offsets) +
                 " " + std::to_string(c.buffers));
    TransactionDataSg data = {};
    data.data.target.handle = handle;
    data.data.data_size = c.data;
    data.data.offsets_size = c.offsets;
    data.data.buffer = data.data.offsets = 8;  // Not an address.
    data.buffers_size = c.buffers;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION_SG, data),
                      kFailed, c.why);
    // One-ways have half as much.
    data.data.flags = kTfOneWay;
    const bool fits = c.data + c.offsets + c.buffers == std::uint64_t{1} << 20;
    const bool nearly =
        c.data + c.offsets + c.buffers == (std::uint64_t{1} << 20) - 4;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION_SG, data),
                      kFailed, fits || nearly ? Errc::kNoSpace : c.why);
    EXPECT_EQ(this->State(), before);
  }
}

// Rows: OB-36
TYPED_TEST(TranslateTest, OffsetsThatAreNotAMultipleOfEight) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  Payload payload;
  payload.Binder(0x7000, 1).Binder(0x7008, 2).Handle(handle);
  for (std::uint64_t size = 1; size < 24; ++size) {
    if (size % 8 == 0) continue;
    TransactionData data = payload.Data();
    data.target.handle = handle;
    data.offsets_size = size;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION, data), kFailed,
                      Errc::kInvalid);
    EXPECT_EQ(this->State(), before) << size;
  }
  // The target is unharmed.
  this->PassAndFree(client, handle, payload, service);
}

// Rows: OB-37
TYPED_TEST(TranslateTest, BuffersSizeThatIsNotAMultipleOfEight) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  Payload payload("text");
  payload.Binder(0x7000, 1);
  TransactionDataSg data = {};
  data.data = payload.Data();
  data.data.target.handle = handle;
  for (data.buffers_size = 1; data.buffers_size < 24; ++data.buffers_size) {
    if (data.buffers_size % 8 == 0) continue;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION_SG, data),
                      kFailed, Errc::kInvalid);
    EXPECT_EQ(this->State(), before) << data.buffers_size;
  }
}

// Rows: OB-38 OB-39 OB-40 OB-41
TYPED_TEST(TranslateTest, BadOffsetsAndObjects) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  // 128 bytes, whole objects at 0 and 64, and the bytes of one at 34.
  Payload plenty;
  plenty.Binder(0x7000, 1);
  plenty.data().resize(64);
  const FlatObject object = MakeObject(ObjectType::kBinder, 0x7008, 2);
  plenty.Bytes(&object, sizeof(object));
  plenty.data().resize(128);
  std::memcpy(plenty.data().data() + 34, &object, sizeof(object));
  struct Case {
    std::vector<std::uint64_t> offsets;
    std::size_t data_size;
    Errc why;
  };
  const std::vector<Case> cases = {
      // Not 4-aligned.
      {{34}, 128, Errc::kInvalid},
      {{0, 33}, 128, Errc::kInvalid},
      {{0, 35}, 128, Errc::kInvalid},
      {{1}, 128, Errc::kInvalid},
      {{0, 127}, 128, Errc::kInvalid},
      // Beyond the data; that comes before the alignment.
      {{129}, 128, Errc::kFault},
      {{130}, 128, Errc::kFault},
      {{136}, 128, Errc::kFault},
      {{0, 132}, 128, Errc::kFault},
      {{std::uint64_t{1} << 32}, 128, Errc::kFault},
      {{kHuge}, 128, Errc::kFault},
      {{kHuge - 7}, 128, Errc::kFault},
      {{0, kHuge - 3}, 128, Errc::kFault},
      // Lower than the end of the previous one.
      {{0, 0}, 128, Errc::kFault},
      {{0, 4}, 128, Errc::kFault},
      {{0, 20}, 128, Errc::kFault},
      {{0, 21}, 128, Errc::kFault},
      {{64, 0}, 128, Errc::kFault},
      {{0, 64, 64}, 128, Errc::kFault},
      // Cut off by the end of the data, also all of it.
      {{128}, 128, Errc::kInvalid},
      {{0, 124}, 128, Errc::kInvalid},
      {{0}, 0, Errc::kInvalid},
      {{0}, 3, Errc::kInvalid},
      {{0}, 4, Errc::kInvalid},
      {{0}, 20, Errc::kInvalid},
      {{0}, 23, Errc::kInvalid},
      {{0, 64}, 65, Errc::kInvalid},
      {{0, 64}, 68, Errc::kInvalid},
      {{0, 64}, 87, Errc::kInvalid},
      // No type: zeros.
      {{32}, 128, Errc::kInvalid},
      {{0, 28}, 128, Errc::kInvalid},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::PrintToString(c.offsets) + " in " +
                 std::to_string(c.data_size));
    Payload payload = plenty;
    payload.data().resize(c.data_size);
    payload.offsets() = c.offsets;
    this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                      c.why);
    this->ExpectFails(client, Commands().OneWay(handle, payload), kFailed,
                      c.why);
    EXPECT_EQ(this->State(), before);
  }
  // Types that do not exist, also in place of a good one.
  for (const std::uint32_t type :
       {0u, kBadType, 0x73622a84u, 0x73622affu, ~0u}) {
    Payload payload = plenty;
    payload.offsets() = {0, 64};
    std::memcpy(payload.data().data() + 64, &type, sizeof(type));
    this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                      Errc::kInvalid);
    EXPECT_EQ(this->State(), before);
  }
  // What is good in all this.
  plenty.offsets() = {0, 64};
  this->PassAndFree(client, handle, plenty, service);
}

// --- Faults -----------------------------------------------------------------

// A payload of which every byte can fault, and why that makes it fail: a fault
// within the 40 bytes that the largest object would take makes a bad object.
struct FaultyPayload {
  static constexpr std::size_t kFirst = 16;
  static constexpr std::size_t kSecond = 40;
  static constexpr std::size_t kThird = 116;
  static constexpr std::size_t kSize = 148;
  static constexpr std::size_t kWindow = sizeof(BufferObject);

  FaultyPayload(std::uint32_t handle, std::uint32_t weak) {
    payload.Bytes("0123456789abcde", kFirst);
    payload.Binder(0x7000, 1).Handle(handle);
    payload.data().resize(kThird);
    const FlatObject object = MakeObject(ObjectType::kWeakHandle, weak);
    payload.Offset(payload.data().size()).Bytes(&object, sizeof(object));
    payload.data().resize(kSize);
  }
  static Errc Why(std::size_t byte) {
    for (const std::size_t begin : {kFirst, kSecond, kThird}) {
      if (byte >= begin && byte < begin + kWindow) return Errc::kInvalid;
    }
    return Errc::kFault;
  }

  Payload payload;
};

// Rows: OB-42 OB-43
TYPED_TEST(TranslateTest, EveryByteOfACallFaults) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& service = this->Open();
  Peer<TypeParam>& client = this->Open({.memory = &this->memory()});
  const std::uint32_t handle = this->Give(manager, service, client, 1, 2);
  const std::uint32_t third = this->Give(manager, manager, client, 3, 4);
  FaultyPayload faulty(handle, third);
  Payload& payload = faulty.payload;
  const std::string before = this->State();
  for (std::size_t i = 0; i < payload.data().size(); ++i) {
    SCOPED_TRACE("data byte " + std::to_string(i));
    this->memory().Fault(AddressOf(payload.data().data() + i));
    this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                      faulty.Why(i));
    this->ExpectFails(client, Commands().OneWay(handle, payload), kFailed,
                      faulty.Why(i));
    EXPECT_EQ(this->State(), before);
  }
  for (std::size_t i = 0; i < payload.offsets().size() * 8; ++i) {
    SCOPED_TRACE("offsets byte " + std::to_string(i));
    this->memory().Fault(AddressOf(payload.offsets().data()) + i);
    this->ExpectFails(client, Commands().Transact(handle, payload), kFailed,
                      Errc::kFault);
    EXPECT_EQ(this->State(), before);
  }
  // A byte in front and one behind are none of it.
  this->memory().Fault(AddressOf(payload.data().data()) - 1);
  this->PassAndFree(client, handle, payload, service);
  this->memory().Fault(
      AddressOf(payload.data().data() + payload.data().size()));
  this->PassAndFree(client, handle, payload, service);
}

// Rows: OB-42 OB-43 TX-20
TYPED_TEST(TranslateTest, EveryByteOfAReplyFaults) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open();
  Peer<TypeParam>& service = this->Open({.memory = &this->memory()});
  const std::uint32_t handle = this->Give(manager, service, client, 1, 2);
  const std::uint32_t back = this->Give(manager, client, service, 3, 4);
  const std::uint32_t third = this->Give(manager, manager, service, 5, 6);
  FaultyPayload faulty(back, third);
  Payload& payload = faulty.payload;
  const std::string before = this->State();
  const auto ExpectFault = [&](std::uint64_t address, Errc why) {
    client.Write(Commands().Transact(handle));
    const Received call = this->Receive(service);
    this->memory().Fault(address);
    service.Write(Commands().Free(call.tr.buffer).Reply(payload));
    this->memory().Heal();
    EXPECT_EQ(service.ReadCodes(), BrList{kComplete});
    EXPECT_EQ(service.TakeError(), kNoError);
    EXPECT_EQ(client.ReadCodes(), (BrList{kComplete, kFailed}));
    EXPECT_EQ(client.TakeError(),
              (std::pair{kFailed, -static_cast<std::int32_t>(why)}));
    EXPECT_EQ(this->State(), before);
  };
  for (std::size_t i = 0; i < payload.data().size(); ++i) {
    SCOPED_TRACE("data byte " + std::to_string(i));
    ExpectFault(AddressOf(payload.data().data() + i), faulty.Why(i));
  }
  for (std::size_t i = 0; i < payload.offsets().size() * 8; ++i) {
    SCOPED_TRACE("offsets byte " + std::to_string(i));
    ExpectFault(AddressOf(payload.offsets().data()) + i, Errc::kFault);
  }
}

// Rows: OB-42
TYPED_TEST(TranslateTest, WrongPointers) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload("some text");
  payload.Binder(0x7000, 1);
  for (const std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{8}}) {
    TransactionData data = payload.Data();
    data.target.handle = handle;
    data.buffer = wrong;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION, data), kFailed,
                      Errc::kFault);
    data = payload.Data();
    data.target.handle = handle;
    data.offsets = wrong;
    this->ExpectFails(client, Commands().Put(Bc::BC_TRANSACTION, data), kFailed,
                      Errc::kFault);
    // Nothing is read from where nothing is to be read.
    data = {};
    data.target.handle = handle;
    data.buffer = data.offsets = wrong;
    client.Write(Commands().Put(Bc::BC_TRANSACTION, data));
    this->Answer(service, this->Receive(service));
    this->ExpectReply(client, 0);
  }
}

// --- Undoing ----------------------------------------------------------------

// Rows: OB-43
TYPED_TEST(TranslateTest, FailureAtEveryPosition) {
  Peer<TypeParam>& manager = this->OpenManager({.name = "manager"});
  Peer<TypeParam>& sender = this->Open({.memory = &this->memory()});
  Peer<TypeParam>& receiver = this->Open({.name = "receiver"});
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t to_receiver =
      this->Give(manager, receiver, sender, 0x1000, 1);
  const std::uint32_t to_sender =
      this->Give(manager, sender, receiver, 0x2000, 2);
  const std::uint32_t to_third = this->Give(manager, third, sender, 0x3000, 3);
  const std::uint32_t shared = this->Give(manager, third, sender, 0x3100, 3);
  (void)this->Give(manager, third, receiver, 0x3100, 3);
  const std::uint32_t only_weak =
      this->Weaken(sender, this->Give(manager, third, sender, 0x3200, 3));
  // A node of the sender of which the receiver has a weak handle.
  const std::uint32_t weak_there =
      this->Weaken(receiver, this->Give(manager, sender, receiver, 0x2100, 2));
  EXPECT_EQ(this->RefOf(receiver, weak_there).strong, 0);
  this->Settle(sender);
  this->Settle(third);

  const std::vector<FlatObject> good = {
      MakeObject(ObjectType::kBinder, 0x7000, 7),        // new
      MakeObject(ObjectType::kWeakBinder, 0x7100, 7),    // new
      MakeObject(ObjectType::kHandle, to_receiver),      // the receiver's
      MakeObject(ObjectType::kWeakHandle, to_receiver),  //
      MakeObject(ObjectType::kHandle, to_third),         // new to it
      MakeObject(ObjectType::kWeakHandle, to_third),     //
      MakeObject(ObjectType::kHandle, shared),           // known to it
      MakeObject(ObjectType::kWeakHandle, only_weak),    //
      MakeObject(ObjectType::kBinder, 0x2000, 2),        // known to it
      MakeObject(ObjectType::kBinder, 0x2100, 2),        // weakly so far
      MakeObject(ObjectType::kBinder, 0x7000, 7),        // once more
  };
  const auto Build = [&good] {
    Payload payload("head");
    for (const FlatObject& object : good) payload.Object(object);
    payload.Bytes("tail", 4);
    return payload;
  };
  struct Bad {
    const char* what;
    Errc why;
    std::function<void(Payload&, std::size_t)> spoil;  // The k-th object.
  };
  const auto At = [](Payload& payload, std::size_t k) {
    return payload.data().data() + payload.offsets()[k];
  };
  const auto Replace = [&At](const FlatObject& with) {
    return [&At, with](Payload& payload, std::size_t k) {
      std::memcpy(At(payload, k), &with, sizeof(with));
    };
  };
  const std::vector<Bad> spoilers = {
      {"type", Errc::kInvalid,
       Replace(MakeObject(static_cast<ObjectType>(kBadType), 1))},
      {"unknown handle", Errc::kInvalid,
       Replace(MakeObject(ObjectType::kHandle, 99))},
      {"unknown weak handle", Errc::kInvalid,
       Replace(MakeObject(ObjectType::kWeakHandle, 99))},
      {"only weak", Errc::kInvalid,
       Replace(MakeObject(ObjectType::kHandle, only_weak))},
      {"cookie", Errc::kInvalid,
       Replace(MakeObject(ObjectType::kBinder, 0x2000, 3))},
      {"weak cookie", Errc::kInvalid,
       Replace(MakeObject(ObjectType::kWeakBinder, 0x2000, 3))},
      {"alignment", Errc::kInvalid,
       [](Payload& payload, std::size_t k) { ++payload.offsets()[k]; }},
      {"overlap", Errc::kFault,
       [](Payload& payload, std::size_t k) {
         payload.offsets()[k] =
             k == 0 ? ~std::uint64_t{7} : payload.offsets()[k - 1] + 20;
       }},
      {"beyond", Errc::kFault,
       [](Payload& payload, std::size_t k) {
         payload.offsets()[k] = payload.data().size() + 8;
       }},
      {"truncated", Errc::kInvalid,
       [](Payload& payload, std::size_t k) {
         payload.data().resize(payload.offsets()[k] + 20);
         payload.offsets().resize(k + 1);
       }},
      {"fault", Errc::kInvalid, [this, &At](Payload& payload, std::size_t k) {
         this->memory().Fault(AddressOf(At(payload, k)), 4);
       }}};

  const std::string before = this->State();
  for (const Bad& bad : spoilers) {
    for (std::size_t k = 0; k < good.size(); ++k) {
      SCOPED_TRACE(std::string(bad.what) + " at " + std::to_string(k));
      Payload payload = Build();
      bad.spoil(payload, k);
      this->ExpectFails(sender, Commands().Transact(to_receiver, payload),
                        kFailed, bad.why);
      this->ExpectNothing(sender);  // No BR_INCREFS, no BR_ACQUIRE.
      EXPECT_EQ(this->State(), before);
      this->ExpectFails(sender, Commands().OneWay(to_receiver, payload),
                        kFailed, bad.why);
      EXPECT_EQ(this->State(), before);
      // The same in a reply.
      receiver.Write(Commands().Transact(to_sender));
      const Received call = this->Receive(sender);
      sender.Write(Commands().Free(call.tr.buffer).Reply(payload));
      EXPECT_EQ(sender.ReadCodes(), BrList{kComplete});
      EXPECT_EQ(receiver.ReadCodes(), (BrList{kComplete, kFailed}));
      EXPECT_EQ(receiver.TakeError(),
                (std::pair{kFailed, -static_cast<std::int32_t>(bad.why)}));
      EXPECT_EQ((sender.TakeError()), kNoError);
      EXPECT_EQ(this->State(), before);
      this->memory().Heal();
    }
  }
  for (Peer<TypeParam>* peer : {&receiver, &third, &sender}) {
    this->ExpectNothing(*peer);
  }
  // Unspoilt, it arrives.
  const Received got = this->Pass(sender, to_receiver, Build(), receiver);
  EXPECT_EQ(got.object(0).handle, got.object(10).handle);
  EXPECT_EQ(this->RefOf(receiver, weak_there).strong, 1);
}

// Rows: OB-43
TYPED_TEST(TranslateTest, NoRoomForTheNextOneUndoesNothingElse) {
  auto [manager, service, client, handle] = this->Connected();
  Payload payload;
  payload.data().resize((std::size_t{1} << 20) - 32);
  payload.Binder(0x7000, 1);  // 24 and 8: fits exactly, alone.
  client.Write(Commands().Transact(handle, payload));
  const Received got = this->Receive(service);
  const std::string before = this->State();
  Actor<TypeParam> other = client.Spawn();
  other.Write(Commands().Transact(handle, payload));
  EXPECT_EQ(other.TakeError(), (std::pair{kFailed, -ENOSPC}));
  EXPECT_EQ(other.ReadCodes(), BrList{kFailed});
  EXPECT_EQ(other.thread().ThreadExit(), Errc::kOk);
  EXPECT_EQ(this->State(), before);
  EXPECT_EQ(got.object(0).handle, 1u);
}

// --- Many threads -----------------------------------------------------------

// A node that comes and goes while several threads send it and several free
// what they got: nothing of it is left in the end.
// Rows: OB-02 OB-43
TYPED_TEST(TranslateTest, ParallelSendersOfOneBinder) {
  auto [manager, service, client, handle] = this->Connected();
  const std::string before = this->State();
  constexpr int kSenders = 3;
  constexpr int kReceivers = 2;
  constexpr int kEach = 150;
  std::list<Actor<TypeParam>> senders;
  std::list<Actor<TypeParam>> receivers;
  for (int i = 0; i < kSenders; ++i) senders.push_back(client.Spawn());
  for (int i = 0; i < kReceivers; ++i) receivers.push_back(service.Spawn());
  service.proc().SetNonblocking(false);
  std::vector<std::jthread> serving;
  for (Actor<TypeParam>& receiver : receivers) {
    serving.emplace_back([&receiver](const std::stop_token& stop) {
      Commands commands;
      for (;;) {
        const Result result = RunWriteRead(
            receiver.thread(), std::exchange(commands, {}), kReadSize, stop);
        if (result.error != Errc::kOk) return;
        for (const Received& r : result.received) {
          if (r.br != kTransaction) continue;
          EXPECT_EQ(r.object(0).handle, r.object(1).handle);
          commands.Free(r.tr.buffer).Reply();
        }
      }
    });
  }
  client.proc().SetNonblocking(false);
  {
    std::vector<std::jthread> threads;
    int number = 0;
    for (Actor<TypeParam>& sender : senders) {
      threads.emplace_back([&sender, handle = handle, number] {
        Payload good;
        good.Binder(0x7000, 1).Binder(0x7000, 1);
        Payload bad = good;
        bad.Handle(99);
        for (int i = 0; i < kEach; ++i) {
          const bool fails = (i + number) % 3 == 0;
          Commands commands;
          commands.Transact(handle, fails ? bad : good);
          for (bool done = false; !done;) {
            const Result result = RunWriteRead(
                sender.thread(), std::exchange(commands, {}), kReadSize);
            ASSERT_EQ(result.error, Errc::kOk);
            for (const Received& r : result.received) {
              if (r.br == Br::BR_INCREFS) commands.IncRefsDone(r.ptr, r.cookie);
              if (r.br == Br::BR_ACQUIRE) commands.AcquireDone(r.ptr, r.cookie);
              if (r.br == kReply) commands.Free(r.tr.buffer);
              done |= r.br == (fails ? kFailed : kReply);
            }
          }
          (void)RunWriteRead(sender.thread(), commands, 0);
        }
      });
      ++number;
    }
  }
  serving.clear();
  client.proc().SetNonblocking(true);
  service.proc().SetNonblocking(true);
  for (Actor<TypeParam>& actor : senders) {
    EXPECT_EQ(actor.thread().ThreadExit(), Errc::kOk);
  }
  for (Actor<TypeParam>& actor : receivers) {
    EXPECT_EQ(actor.thread().ThreadExit(), Errc::kOk);
  }
  this->Settle(client);
  EXPECT_EQ(this->State(), before);
}

}  // namespace
}  // namespace binderlite::testing
