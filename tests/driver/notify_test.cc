// SPDX-License-Identifier: Apache-2.0
//
// Death notifications: registering, the news of a death, acknowledging it,
// clearing, and how all these cross each other.

#include "binderlite/driver/notify.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using Cookies = std::vector<std::uint64_t>;
using ErrorList = std::vector<UserError>;
using WorkTypes = std::vector<core::WorkType>;

constexpr std::uint64_t kDeath = 0xdead;
constexpr std::uint64_t kOther = 0x07e7;

template <class L>
class NotifyTest : public DriverTest<L> {
 protected:
  using Pair = typename DriverTest<L>::Pair;

  // A pair whose client has registered for the death of the service's node.
  Pair Watched(std::uint64_t cookie = kDeath) {
    Pair pair = this->Connected();
    pair.client.Write(Commands().RequestDeath(pair.handle, cookie));
    (void)this->gates().TakeErrors();
    return pair;
  }

  // One more service with a node that the client has a handle to.
  std::uint32_t Another(Pair& pair, Peer<L>& service, std::uint64_t ptr) {
    return this->Give(pair.manager, service, pair.client, ptr, ptr + 1);
  }

  // Reads BR_DEAD_BINDER, nothing else, and returns its cookie.
  static std::uint64_t ReadDeath(Actor<L>& actor) {
    const Result read = actor.Read();
    EXPECT_EQ(read.codes(), (BrList{Br::BR_NOOP, Br::BR_DEAD_BINDER}));
    return read.Get(Br::BR_DEAD_BINDER).cookie;
  }
  // The same for BR_CLEAR_DEATH_NOTIFICATION_DONE.
  static std::uint64_t ReadCleared(Actor<L>& actor) {
    const Result read = actor.Read();
    EXPECT_EQ(read.codes(),
              (BrList{Br::BR_NOOP, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE}));
    return read.Get(Br::BR_CLEAR_DEATH_NOTIFICATION_DONE).cookie;
  }
  static void ExpectNothing(Actor<L>& actor) {
    const Result read = actor.Read();
    EXPECT_EQ(read.error, Errc::kWouldBlock)
        << ::testing::PrintToString(read.codes());
  }
  // Checks what the driver complained about since the last time.
  void ExpectBadDeaths(std::size_t count) {
    EXPECT_EQ(this->gates().TakeErrors(),
              ErrorList(count, UserError::kBadDeath));
  }

  std::uint64_t LiveDeaths() {
    return this->Snapshot().live(core::ObjectKind::kDeath);
  }
  // Whether the handle exists, and whether it has a registration.
  bool HasHandle(Peer<L>& holder, std::uint32_t handle) {
    for (const debug::RefSnapshot& ref : this->SnapshotOf(holder).refs) {
      if (ref.handle == handle) return true;
    }
    return false;
  }
  bool IsRegistered(Peer<L>& holder, std::uint32_t handle) {
    for (const debug::RefSnapshot& ref : this->SnapshotOf(holder).refs) {
      if (ref.handle == handle) return ref.death;
    }
    return false;
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(NotifyTest);

// --- Registering -----------------------------------------------------------

// Rows: DN-01
TYPED_TEST(NotifyTest, RequestIsRegisteredAndMakesNoOutput) {
  auto pair = this->Connected();
  auto& [manager, service, client, strong] = pair;
  // A weak handle will do as well.
  service.Write(Commands().OneWay(0, Payload().WeakBinder(0x9000, 9)));
  const Received at_manager = manager.Read().Get(Br::BR_TRANSACTION);
  const std::uint32_t weak = at_manager.object(0).handle;
  client.Write(Commands().RequestDeath(strong, kDeath));
  manager.Write(Commands().RequestDeath(weak, kOther));
  EXPECT_TRUE(this->IsRegistered(client, strong));
  EXPECT_TRUE(this->IsRegistered(manager, weak));
  this->ExpectNothing(client);
  this->ExpectNothing(manager);
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  EXPECT_EQ(this->ReadDeath(manager), kOther);
}

// Rows: DN-02
TYPED_TEST(NotifyTest, UnknownHandleAndSecondRequestAreIgnored) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands()
                   .RequestDeath(77, kOther)
                   .RequestDeath(handle, kOther)
                   .RequestDeath(handle, kDeath)
                   .EnterLooper());
  this->ExpectBadDeaths(3);
  EXPECT_EQ(this->SnapshotOf(client).threads.front().looper,
            core::kLooperEntered);  // What follows is executed.
  EXPECT_EQ(this->LiveDeaths(), 1u);
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  this->ExpectNothing(client);
}

// Rows: DN-24
TYPED_TEST(NotifyTest, CookiesAreOpaque) {
  auto pair = this->Watched(0);
  auto& [manager, service, client, handle] = pair;
  constexpr std::uint64_t kLargest = ~std::uint64_t{0};
  client.Write(Commands()
                   .RequestDeath(this->Another(pair, service, 0x3000), kLargest)
                   .RequestDeath(this->Another(pair, service, 0x4000), 0));
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), 0u);
  EXPECT_EQ(this->ReadDeath(client), kLargest);
  EXPECT_EQ(this->ReadDeath(client), 0u);
  (void)this->gates().TakeErrors();
  client.Write(Commands().DeadDone(0).DeadDone(kLargest).DeadDone(0));
  this->ExpectBadDeaths(0);
  client.Write(Commands().ClearDeath(handle, 0));
  EXPECT_EQ(this->ReadCleared(client), 0u);
}

// --- Deaths ----------------------------------------------------------------

// Rows: DN-03
TYPED_TEST(NotifyTest, DeathIsToldOnceToAnyThread) {
  auto [manager, service, client, handle] = this->Watched();
  Actor other = client.Spawn();
  auto waiting = this->Block(client, other);
  this->Close(service);
  const Result read = waiting->Join();
  EXPECT_EQ(read.codes(), (BrList{Br::BR_NOOP, Br::BR_DEAD_BINDER}));
  EXPECT_EQ(read.Get(Br::BR_DEAD_BINDER).cookie, kDeath);
  this->ExpectNothing(other);
  this->ExpectNothing(client);
}

// Rows: DN-03
TYPED_TEST(NotifyTest, DeathWaitsInTheProcsQueue) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  EXPECT_EQ(this->SnapshotOf(client).todo,
            (WorkTypes{core::WorkType::kDeadBinder}));
  Actor other = client.Spawn();
  EXPECT_EQ(this->ReadDeath(other), kDeath);
}

// Rows: DN-04
TYPED_TEST(NotifyTest, RequestOnADeadNodeIsAnsweredAtOnceThroughTheProc) {
  auto [manager, service, client, handle] = this->Connected();
  this->Close(service);
  client.Write(Commands().EnterLooper());
  Actor other = client.Spawn();
  client.Write(Commands().RequestDeath(handle, kDeath));
  EXPECT_EQ(this->SnapshotOf(client).todo,
            (WorkTypes{core::WorkType::kDeadBinder}));
  EXPECT_EQ(this->ReadDeath(other), kDeath);
  this->ExpectNothing(client);
}

// Rows: DN-05
TYPED_TEST(NotifyTest, ThreadThatServesACallDoesNotHearOfDeaths) {
  auto pair = this->Watched();
  auto& [manager, service, client, handle] = pair;
  const std::uint32_t second = this->Another(pair, service, 0x3000);
  client.Write(Commands().RequestDeath(second, kOther));
  const std::uint32_t to_client =
      this->Give(manager, client, manager, 0x5000, 5);
  manager.Write(Commands().Transact(to_client));
  const Received call = client.Read().Get(Br::BR_TRANSACTION);
  this->Close(service);
  this->ExpectNothing(client);
  // Another thread hears of the first one, a later read of the second.
  Actor other = client.Spawn();
  EXPECT_EQ(this->ReadDeath(other), kDeath);
  this->ExpectNothing(client);
  EXPECT_EQ(client.Do(Commands().Free(call.tr.buffer).Reply()).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(this->ReadDeath(client), kOther);
}

// Rows: DN-06
TYPED_TEST(NotifyTest, DeliveredDeathStaysUntilItIsAcknowledged) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  EXPECT_EQ(this->SnapshotOf(client).delivered_deaths, 0u);
  (void)this->ReadDeath(client);
  EXPECT_EQ(this->SnapshotOf(client).delivered_deaths, 1u);
  EXPECT_TRUE(this->IsRegistered(client, handle));
  (void)this->gates().TakeErrors();
  client.Write(Commands().RequestDeath(handle, kOther));  // So it is refused.
  this->ExpectBadDeaths(1);
  client.Write(Commands().DeadDone(kDeath));
  EXPECT_EQ(this->SnapshotOf(client).delivered_deaths, 0u);
  EXPECT_TRUE(this->IsRegistered(client, handle));
  this->ExpectBadDeaths(0);
  this->ExpectNothing(client);
}

// Rows: DN-07
TYPED_TEST(NotifyTest, AcknowledgingWhatWasNotDeliveredIsIgnored) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands().DeadDone(kDeath));  // Not even dead.
  this->ExpectBadDeaths(1);
  this->Close(service);
  client.Write(Commands().DeadDone(kDeath));  // Not read.
  this->ExpectBadDeaths(1);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  (void)this->gates().TakeErrors();
  client.Write(Commands().DeadDone(kOther));
  this->ExpectBadDeaths(1);
  EXPECT_EQ(this->SnapshotOf(client).delivered_deaths, 1u);
  client.Write(Commands().DeadDone(kDeath).DeadDone(kDeath));
  this->ExpectBadDeaths(1);  // Once is enough.
}

// Rows: DN-07
TYPED_TEST(NotifyTest, OfEqualCookiesTheFirstDeliveredIsAcknowledged) {
  auto pair = this->Watched();
  auto& [manager, service, client, first] = pair;
  const std::uint32_t second = this->Another(pair, service, 0x3000);
  client.Write(Commands().RequestDeath(second, kDeath));
  this->Close(service);
  (void)this->ReadDeath(client);
  (void)this->ReadDeath(client);
  // Only the second one is cleared: it is confirmed by the second "done".
  client.Write(Commands().ClearDeath(second, kDeath).DeadDone(kDeath));
  this->ExpectNothing(client);
  client.Write(Commands().DeadDone(kDeath));
  EXPECT_EQ(this->ReadCleared(client), kDeath);
}

// Rows: DN-16
TYPED_TEST(NotifyTest, DeathsOfOneProcComeInOrderOfItsNodes) {
  auto pair = this->Watched();  // Node 0x1000.
  auto& [manager, service, client, handle] = pair;
  for (const std::uint64_t ptr : {0x5000u, 0x200u, 0x3000u}) {
    client.Write(
        Commands().RequestDeath(this->Another(pair, service, ptr), ptr));
  }
  // A handle without a registration is not mentioned.
  (void)this->Another(pair, service, 0x4000);
  this->Close(service);
  Cookies cookies;
  for (int i = 0; i < 4; ++i) cookies.push_back(this->ReadDeath(client));
  EXPECT_EQ(cookies, (Cookies{0x200, kDeath, 0x3000, 0x5000}));
  this->ExpectNothing(client);
}

// Rows: DN-18
TYPED_TEST(NotifyTest, DeadHandleStaysUntilReleased) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  (void)this->ReadDeath(client);
  client.Write(Commands().DeadDone(kDeath));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.Do(Commands().Transact(handle)).codes(),
              (BrList{Br::BR_NOOP, Br::BR_DEAD_REPLY}));
    EXPECT_TRUE(this->HasHandle(client, handle));
  }
  client.Write(Commands().Release(handle));
  EXPECT_FALSE(this->HasHandle(client, handle));
  EXPECT_EQ(client.Do(Commands().Transact(handle)).codes(),
            (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
}

// Rows: DN-22
TYPED_TEST(NotifyTest, TheEndOfAllThreadsIsNoDeath) {
  auto [manager, service, client, handle] = this->Watched();
  Actor other = service.Spawn();
  ASSERT_EQ(other.thread().ThreadExit(), Errc::kOk);
  ASSERT_EQ(service.thread().ThreadExit(), Errc::kOk);
  EXPECT_TRUE(this->SnapshotOf(service).threads.empty());
  this->ExpectNothing(client);
  client.Write(Commands().Transact(handle));
  Actor late = service.Spawn();
  EXPECT_TRUE(late.Read().Has(Br::BR_TRANSACTION));
}

// --- Clearing --------------------------------------------------------------

// Rows: DN-08
TYPED_TEST(NotifyTest, LooperIsToldItselfThatItCleared) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands().EnterLooper().ClearDeath(handle, kDeath));
  EXPECT_FALSE(this->IsRegistered(client, handle));
  Actor other = client.Spawn();
  this->ExpectNothing(other);
  EXPECT_EQ(this->ReadCleared(client), kDeath);
  this->ExpectNothing(client);
  EXPECT_EQ(this->LiveDeaths(), 0u);
  this->Close(service);
  this->ExpectNothing(client);
}

// Rows: DN-08
TYPED_TEST(NotifyTest, WhoIsNoLooperClearsThroughTheProc) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands().ClearDeath(handle, kDeath));
  EXPECT_FALSE(this->IsRegistered(client, handle));
  Actor other = client.Spawn();
  EXPECT_EQ(this->ReadCleared(other), kDeath);
  this->ExpectNothing(client);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

// Rows: DN-09
TYPED_TEST(NotifyTest, UnreadDeathIsToldAlthoughItWasCleared) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  client.Write(Commands().ClearDeath(handle, kDeath));
  EXPECT_FALSE(this->IsRegistered(client, handle));
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  this->ExpectNothing(client);
  client.Write(Commands().DeadDone(kDeath));
  EXPECT_EQ(this->ReadCleared(client), kDeath);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

// Rows: DN-10
TYPED_TEST(NotifyTest, ClearOfADeliveredDeathWaitsForItsAcknowledgement) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  client.Write(Commands().ClearDeath(handle, kDeath));
  EXPECT_FALSE(this->IsRegistered(client, handle));
  this->ExpectNothing(client);
  client.Write(Commands().DeadDone(kDeath));
  EXPECT_EQ(this->ReadCleared(client), kDeath);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

// Rows: DN-11
TYPED_TEST(NotifyTest, ClearAfterTheAcknowledgementIsConfirmedAtOnce) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
  client.Write(Commands().DeadDone(kDeath));
  this->ExpectNothing(client);
  client.Write(Commands().ClearDeath(handle, kDeath));
  EXPECT_EQ(this->ReadCleared(client), kDeath);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

// Rows: DN-12
TYPED_TEST(NotifyTest, WrongClearsAreIgnored) {
  auto pair = this->Watched();
  auto& [manager, service, client, handle] = pair;
  const std::uint32_t bare = this->Another(pair, service, 0x3000);
  (void)this->gates().TakeErrors();
  client.Write(Commands()
                   .ClearDeath(handle, kOther)
                   .ClearDeath(bare, kDeath)
                   .ClearDeath(77, kDeath));
  this->ExpectBadDeaths(3);
  this->ExpectNothing(client);
  EXPECT_TRUE(this->IsRegistered(client, handle));
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), kDeath);
}

// Rows: DN-14
TYPED_TEST(NotifyTest, DeathAfterTheClearIsNotTold) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(Commands().ClearDeath(handle, kDeath));
  this->Close(service);
  EXPECT_EQ(this->ReadCleared(client), kDeath);
  this->ExpectNothing(client);
}

// Rows: DN-15
TYPED_TEST(NotifyTest, NewRequestNeedNotWaitForTheClear) {
  auto [manager, service, client, handle] = this->Watched();
  client.Write(
      Commands().ClearDeath(handle, kDeath).RequestDeath(handle, kOther));
  this->ExpectBadDeaths(0);
  EXPECT_EQ(this->LiveDeaths(), 2u);
  this->Close(service);
  const Result read = client.Read();
  EXPECT_EQ(read.codes(),
            (BrList{Br::BR_NOOP, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE,
                    Br::BR_DEAD_BINDER}));
  EXPECT_EQ(read.Get(Br::BR_CLEAR_DEATH_NOTIFICATION_DONE).cookie, kDeath);
  EXPECT_EQ(read.Get(Br::BR_DEAD_BINDER).cookie, kOther);
}

// --- Registrations that vanish ---------------------------------------------

// Rows: DN-13 RF-21
TYPED_TEST(NotifyTest, RegistrationVanishesWithItsHandle) {
  enum class State { kArmed, kQueued, kDelivered, kAcknowledged };
  auto pair = this->Connected();
  auto& [manager, unused, client, spare] = pair;
  for (const bool weak : {false, true}) {
    for (const State state : {State::kArmed, State::kQueued, State::kDelivered,
                              State::kAcknowledged}) {
      SCOPED_TRACE(static_cast<int>(state));
      Peer<TypeParam>& service = this->Open();
      const std::uint32_t handle = this->Another(pair, service, 0x3000);
      EXPECT_EQ(handle, spare + 1);  // Free again each time.
      Commands drop;
      drop.Release(handle);
      if (weak) {
        client.Write(Commands().IncRefs(handle).Release(handle));
        drop = Commands().DecRefs(handle);
      }
      client.Write(Commands().RequestDeath(handle, kDeath));
      if (state >= State::kQueued) this->Close(service);
      if (state >= State::kDelivered) {
        EXPECT_EQ(this->ReadDeath(client), kDeath);
      }
      if (state >= State::kAcknowledged) {
        client.Write(Commands().DeadDone(kDeath));
      }
      client.Write(drop);
      EXPECT_FALSE(this->HasHandle(client, handle));
      EXPECT_EQ(this->LiveDeaths(), 0u);
      if (state == State::kArmed) this->Close(service);
      this->ExpectNothing(client);
      (void)this->gates().TakeErrors();
      client.Write(Commands().DeadDone(kDeath));
      this->ExpectBadDeaths(1);
      this->ExpectNothing(client);
    }
  }
}

// A cleared registration has left its handle, whose end does not concern it.
TYPED_TEST(NotifyTest, ClearIsConfirmedAlsoWhenTheHandleGoes) {
  auto pair = this->Watched();
  auto& [manager, service, client, handle] = pair;
  client.Write(Commands().ClearDeath(handle, kDeath).Release(handle));
  EXPECT_FALSE(this->HasHandle(client, handle));
  EXPECT_EQ(this->ReadCleared(client), kDeath);

  Peer<TypeParam>& mortal = this->Open();
  const std::uint32_t dead = this->Another(pair, mortal, 0x3000);
  client.Write(Commands().RequestDeath(dead, kOther));
  this->Close(mortal);
  client.Write(Commands().ClearDeath(dead, kOther).Release(dead));
  EXPECT_EQ(this->ReadDeath(client), kOther);
  client.Write(Commands().DeadDone(kOther));
  EXPECT_EQ(this->ReadCleared(client), kOther);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

// Rows: DN-19
TYPED_TEST(NotifyTest, RegistrationsOfADyingClientAreDropped) {
  auto [manager, service, client, handle] = this->Watched();
  this->Close(client);
  EXPECT_EQ(this->LiveDeaths(), 0u);
  const std::vector<Received> read = service.ReadAll();
  EXPECT_EQ(Codes(read), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  this->Close(service);
  this->ExpectNothing(manager);
}

// Rows: DN-20
TYPED_TEST(NotifyTest, UnreadNewsOfADyingClientIsDiscarded) {
  auto pair = this->Watched();
  auto& [manager, service, client, queued] = pair;
  const std::uint32_t queued_cleared = this->Another(pair, service, 0x3000);
  client.Write(Commands().RequestDeath(queued_cleared, 2));
  // In front of the others: what is read before the client dies.
  const std::uint32_t delivered = this->Another(pair, service, 0x100);
  const std::uint32_t delivered_cleared = this->Another(pair, service, 0x200);
  client.Write(
      Commands().RequestDeath(delivered, 3).RequestDeath(delivered_cleared, 4));
  Peer<TypeParam>& living = this->Open();
  const std::uint32_t cleared = this->Another(pair, living, 0x4000);
  client.Write(Commands().RequestDeath(cleared, 5));
  this->Close(service);
  EXPECT_EQ(this->ReadDeath(client), 3u);
  EXPECT_EQ(this->ReadDeath(client), 4u);
  client.Write(Commands()
                   .ClearDeath(queued_cleared, 2)
                   .ClearDeath(delivered_cleared, 4)
                   .ClearDeath(cleared, 5));
  EXPECT_EQ(this->LiveDeaths(), 5u);
  this->Close(client);
  EXPECT_EQ(this->LiveDeaths(), 0u);
}

}  // namespace
}  // namespace binderlite::testing
