// SPDX-License-Identifier: Apache-2.0
//
// Quirks: each one changes an answer, and nothing else does.

#include "binderlite/core/quirks.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "support/call_test.h"

namespace binderlite::testing {
namespace {

using Locking = FineGrained<>;
using Error = std::pair<Br, std::int32_t>;

constexpr Br kFrozenBinder = Br::BR_FROZEN_BINDER;

// A driver with `quirks`; what a fixture can do, as an object.
class Driver : public CallTest<Locking> {
 public:
  explicit Driver(const Quirks& quirks)
      : CallTest<Locking>(ContextOptions{.quirks = quirks}) {}

  using CallTest<Locking>::Receive;
  using CallTest<Locking>::Answer;
  using CallTest<Locking>::HoldWhile;
  using CallTest<Locking>::Open;
  using CallTest<Locking>::OpenManager;
  using CallTest<Locking>::Connected;
  using CallTest<Locking>::Give;
  using CallTest<Locking>::Settle;
  using CallTest<Locking>::Block;
  using CallTest<Locking>::Close;
  using CallTest<Locking>::StrandCall;

  static Errc Freeze(Actor<Locking>& by, std::int32_t pid, bool enable = true) {
    return by.thread().Freeze(
        {static_cast<std::uint32_t>(pid), enable ? 1u : 0u, 0});
  }

 private:
  void TestBody() override {}
};

// Rows: RD-03
TEST(QuirksTest, FirstReadWaits) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    return driver.Open().Fresh().Read().error;
  };
  EXPECT_EQ(Answer({}), Errc::kOk);
  EXPECT_EQ(Answer({.first_read_waits = true}), Errc::kWouldBlock);
}

// Rows: RD-18
TEST(QuirksTest, OnlyLoopersGetProcWork) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    Peer<Locking>& manager = driver.OpenManager();
    Peer<Locking>& client = driver.Open();
    manager.Write(Commands().EnterLooper());
    Actor<Locking> other = manager.Spawn();
    client.Write(Commands().OneWay(0));
    const BrList codes = other.ReadCodes();
    if (codes.empty()) {
      EXPECT_EQ(manager.ReadCodes(), BrList{kTransaction});
    }
    // Its own work it always gets.
    EXPECT_EQ(client.ReadCodes(), BrList{kComplete});
    return codes;
  };
  EXPECT_EQ(Answer({}), BrList{kTransaction});
  EXPECT_EQ(Answer({.only_loopers_get_proc_work = true}), BrList{});
}

// Rows: SG-05
TEST(QuirksTest, WorkBeatsInterrupt) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    auto waiting = driver.Block(service, service);
    driver.HoldWhile(service,
                     [&, &service = service, &client = client, to = handle] {
                       client.Write(Commands().Transact(to));
                       service.thread().Interrupt();
                     });
    return waiting->Join().error;
  };
  EXPECT_EQ(Answer({}), Errc::kInterrupted);
  EXPECT_EQ(Answer({.work_beats_interrupt = true}), Errc::kOk);
}

// Rows: RF-08
TEST(QuirksTest, ReleasesWaitForAllAcknowledgements) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    Peer<Locking>& manager = driver.OpenManager();
    Peer<Locking>& owner = driver.Open();
    owner.Write(Commands().OneWay(0, Payload().Binder(1, 2)));
    const Received got = driver.Receive(manager);
    EXPECT_EQ(owner.ReadCodes(),
              (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE, kComplete}));
    owner.Write(Commands().AcquireDone(1, 2));
    manager.Write(Commands().Free(got.tr.buffer));
    BrList codes = owner.ReadCodes();
    codes.push_back(kNoop);
    owner.Write(Commands().IncRefsDone(1, 2));
    for (const Br br : owner.ReadCodes()) codes.push_back(br);
    return codes;
  };
  EXPECT_EQ(Answer({}), (BrList{Br::BR_RELEASE, kNoop, Br::BR_DECREFS}));
  EXPECT_EQ(Answer({.releases_wait_for_all_acknowledgements = true}),
            (BrList{kNoop, Br::BR_RELEASE, Br::BR_DECREFS}));
}

// Rows: OB-29
TEST(QuirksTest, ParentAtOffsetZero) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    Peer<Locking>& manager = driver.OpenManager();
    Peer<Locking>& client = driver.Open();
    std::array<std::uint64_t, 2> bytes = {};
    BufferObject parent = {};
    parent.hdr.type = static_cast<std::uint32_t>(ObjectType::kPtr);
    parent.buffer = AddressOf(bytes.data());
    parent.length = sizeof(bytes);
    BufferObject child = parent;
    child.flags = kBufferFlagHasParent;
    const Payload payload = Payload().Object(parent).Object(child);
    TransactionDataSg data = {payload.Data(0, kTfOneWay), 2 * sizeof(bytes)};
    client.Write(Commands().Put(Bc::BC_TRANSACTION_SG, data));
    return std::pair(manager.ReadCodes(), client.TakeError());
  };
  EXPECT_EQ(Answer({}), std::pair(BrList{}, Error(kFailed, -EINVAL)));
  EXPECT_EQ(Answer({.parent_at_offset_zero = true}),
            std::pair(BrList{kTransaction}, kNoError));
}

// Rows: TG-05
TEST(QuirksTest, CallManagerOfSamePid) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    Peer<Locking>& manager = driver.OpenManager({.pid = 7});
    Peer<Locking>& client = driver.Open({.pid = 7});
    client.Write(Commands().OneWay(0));
    // A call of the manager itself is never possible (TG-08).
    manager.Write(Commands().OneWay(0));
    EXPECT_EQ(manager.TakeError(), Error(kFailed, -EINVAL));
    return client.TakeError();
  };
  EXPECT_EQ(Answer({}), Error(kFailed, -EINVAL));
  EXPECT_EQ(Answer({.call_manager_of_same_pid = true}), kNoError);
}

// Rows: TG-02 TX-07 TX-10 EE-02 EE-07
TEST(QuirksTest, RustErrorNumbers) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    std::vector<std::int32_t> params;
    const auto Try = [&params, &client = client](const Commands& commands) {
      client.Write(commands);
      const Error error = client.TakeError();
      EXPECT_EQ(error.first, kFailed);
      params.push_back(error.second);
      EXPECT_EQ(client.ReadAll().back().br, kFailed);
    };
    Try(Commands().Transact(99));
    Try(Commands().Reply());
    client.Write(Commands().Transact(handle));
    client.Write(Commands().Transact(handle));
    params.push_back(client.TakeError().second);
    return params;
  };
  EXPECT_EQ(Answer({}), (std::vector<std::int32_t>{-EINVAL, -EPROTO, -EPROTO}));
  EXPECT_EQ(Answer({.rust_error_numbers = true}),
            (std::vector<std::int32_t>{-ENOENT, -EINVAL, -EINVAL}));
}

// Rows: TX-12 SG-07
TEST(QuirksTest, RefuseCallWithUnreadCall) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    driver.StrandCall(service, service, client, Commands().Transact(handle));
    service.Write(Commands().Transact(0));
    return service.TakeError();
  };
  EXPECT_EQ(Answer({}), Error(kFailed, -EPROTO));
  EXPECT_EQ(Answer({.refuse_call_with_unread_call = false}), kNoError);
}

// Rows: TG-04 TG-06 FZ-10 EE-03
TEST(QuirksTest, NoExtendedErrorForTheDead) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    std::vector<Error> errors;
    const auto Try = [&errors, &client = client](std::uint32_t to, Br reply) {
      client.Write(Commands().Transact(to));
      EXPECT_EQ(client.ReadCodes(), BrList{reply});
      errors.push_back(client.TakeError());
    };
    EXPECT_EQ(Driver::Freeze(manager, service.pid()), Errc::kOk);
    Try(handle, Br::BR_FROZEN_REPLY);
    driver.Close(service);
    Try(handle, kDead);
    driver.Close(manager);
    Try(0, kDead);
    return errors;
  };
  EXPECT_EQ(Answer({}),
            (std::vector<Error>{
                {Br::BR_FROZEN_REPLY, 0}, {kDead, -EINVAL}, {kDead, -EINVAL}}));
  EXPECT_EQ(Answer({.no_extended_error_for_the_dead = true}),
            (std::vector<Error>{kNoError, kNoError, kNoError}));
}

// Rows: TX-20
TEST(QuirksTest, ReplyFailureIsNeverDeath) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    client.Write(Commands().Transact(handle));
    (void)driver.Receive(service);
    client.proc().Unmap();
    service.Write(Commands().Reply());
    return client.ReadCodes();
  };
  EXPECT_EQ(Answer({}), (BrList{kComplete, kDead}));
  EXPECT_EQ(Answer({.reply_failure_is_never_death = true}),
            (BrList{kComplete, kFailed}));
}

// Rows: FZ-02
TEST(QuirksTest, FreezeOfNobodySucceeds) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    return Driver::Freeze(driver.Open({.pid = 5}), 6);
  };
  EXPECT_EQ(Answer({}), Errc::kInvalid);
  EXPECT_EQ(Answer({.freeze_of_nobody_succeeds = true}), Errc::kOk);
}

// Rows: FN-04 FN-06
TEST(QuirksTest, AnnounceOnlyChangesOfFreeze) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    std::vector<std::size_t> news;
    const auto Read = [&news, &client = client](bool done) {
      const Result result = client.Read();
      news.push_back(result.Has(kFrozenBinder) ? 1 : 0);
      if (done && result.Has(kFrozenBinder)) {
        EXPECT_EQ(client.thread().FreezeNotificationDone(1), Errc::kOk);
      }
    };
    const auto Set = [&by = manager, pid = service.pid()](bool frozen) {
      EXPECT_EQ(Driver::Freeze(by, pid, frozen), Errc::kOk);
    };
    EXPECT_EQ(client.thread().RequestFreezeNotification(handle, 1), Errc::kOk);
    Read(/*done=*/true);
    Set(false);  // No change.
    Read(/*done=*/true);
    Set(true);
    Read(/*done=*/false);
    Set(false);  // Changed, and changed back.
    Set(true);
    EXPECT_EQ(client.thread().FreezeNotificationDone(1), Errc::kOk);
    Read(/*done=*/true);
    Set(false);
    Read(/*done=*/true);
    return news;
  };
  EXPECT_EQ(Answer({}), (std::vector<std::size_t>{1, 1, 1, 1, 1}));
  EXPECT_EQ(Answer({.announce_only_changes_of_freeze = true}),
            (std::vector<std::size_t>{1, 0, 1, 0, 1}));
}

// Rows: FZ-11
TEST(QuirksTest, HowAOneWayToAFrozenProcIsReported) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    EXPECT_EQ(Driver::Freeze(manager, service.pid()), Errc::kOk);
    const Result result = client.Do(Commands().OneWay(handle).OneWay(handle));
    EXPECT_EQ(client.TakeError(), kNoError);
    return result.codes();
  };
  constexpr Br kPendingFrozen = Br::BR_TRANSACTION_PENDING_FROZEN;
  EXPECT_EQ(Answer({}), (BrList{kNoop, kPendingFrozen, kPendingFrozen}));
  EXPECT_EQ(Answer({.pending_frozen_is_reported = false}),
            (BrList{kNoop, kComplete, kComplete}));
  EXPECT_EQ(Answer({.pending_frozen_stops_write = true}),
            (BrList{kNoop, kPendingFrozen}));
}

// Rows: FN-01
TEST(QuirksTest, FreezeNotifications) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    auto [manager, service, client, handle] = driver.Connected();
    std::vector<Errc> errors;
    const HandleCookie watch = {handle, 1};
    const std::uint64_t cookie = 1;
    for (const Commands& commands :
         {Commands().Put(Bc::BC_REQUEST_FREEZE_NOTIFICATION, watch),
          Commands().Put(Bc::BC_FREEZE_NOTIFICATION_DONE, cookie),
          Commands().Put(Bc::BC_CLEAR_FREEZE_NOTIFICATION, watch)}) {
      errors.push_back(client.Do(commands, /*read_size=*/0).error);
      (void)client.Read();
    }
    return errors;
  };
  EXPECT_EQ(Answer({}), (std::vector<Errc>(3, Errc::kOk)));
  EXPECT_EQ(Answer({.freeze_notifications = false}),
            (std::vector<Errc>(3, Errc::kInvalid)));
}

// Rows: RD-25
TEST(QuirksTest, NoOffsetsAddressWithoutObjects) {
  const auto Answer = [](const Quirks& quirks) {
    Driver driver(quirks);
    Peer<Locking>& manager = driver.OpenManager();
    Peer<Locking>& client = driver.Open();
    const Payload without("text");
    const Payload with = Payload("text").Binder(1, 1);
    client.Write(Commands().OneWay(0, with).OneWay(0, without));
    const TransactionData has = driver.Receive(manager).tr;
    EXPECT_EQ(has.offsets, has.buffer + 32);
    manager.Write(Commands().Free(has.buffer));
    const TransactionData none = driver.Receive(manager).tr;
    return none.offsets == 0 ? 0 : none.offsets - none.buffer;
  };
  EXPECT_EQ(Answer({}), 8u);
  EXPECT_EQ(Answer({.no_offsets_address_without_objects = true}), 0u);
}

}  // namespace
}  // namespace binderlite::testing
