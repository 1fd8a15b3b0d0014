// SPDX-License-Identifier: Apache-2.0
//
// CallTest: DriverTest with the steps that tests of transactions are made of:
// to receive a call, to answer it, to read the reply.
//
// RaceTest: the same under FineGrained alone, for what can only happen where
// calls run in parallel.

#ifndef BINDERLITE_TESTS_SUPPORT_CALL_TEST_H_
#define BINDERLITE_TESTS_SUPPORT_CALL_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/debug/snapshot.h"
#include "support/driver_test.h"
#include "support/gates.h"
#include "support/streams.h"

namespace binderlite::testing {

using core::WorkType;

inline constexpr Br kNoop = Br::BR_NOOP;
inline constexpr Br kComplete = Br::BR_TRANSACTION_COMPLETE;
inline constexpr Br kTransaction = Br::BR_TRANSACTION;
inline constexpr Br kReply = Br::BR_REPLY;
inline constexpr Br kFailed = Br::BR_FAILED_REPLY;
inline constexpr Br kDead = Br::BR_DEAD_REPLY;
inline constexpr std::pair<Br, std::int32_t> kNoError = {Br::BR_OK, 0};

// A call of `actor`, in a thread of its own, that stalls where a transaction is
// built but not queued; with the binder lock, if there is one.
template <class L>
class Stalled {
 public:
  Stalled(GateHooks& gates, Actor<L>& actor, Commands commands)
      : gates_(gates), tid_(actor.tid()), commands_(std::move(commands)) {
    const int before = gates.Visits(Point::kSending, tid_);
    gates.Close(Point::kSending, tid_);
    runner_ = std::jthread([this, &actor] {
      result_ = RunWriteRead(actor.thread(), commands_, kReadSize);
    });
    gates.WaitFor(Point::kSending, tid_, before + 1);
  }
  Stalled(const Stalled&) = delete;
  Stalled& operator=(const Stalled&) = delete;
  ~Stalled() { gates_.Open(Point::kSending, tid_); }

  // Has it go on; what it has done then.
  Result GoOn() {
    gates_.Open(Point::kSending, tid_);
    runner_.join();
    return std::move(result_);
  }

 private:
  GateHooks& gates_;
  const std::int32_t tid_;
  const Commands commands_;
  Result result_;
  std::jthread runner_;
};

template <class L>
class CallTest : public DriverTest<L> {
 protected:
  explicit CallTest(ContextOptions options = {})
      : DriverTest<L>(std::move(options)) {}

  // The call that is there for `actor`.
  static Received Receive(Actor<L>& actor) {
    return actor.Read().Get(kTransaction);
  }
  // Has `actor` answer `call`; it reads that the reply is on its way.
  static void Answer(Actor<L>& actor, const Received& call,
                     std::uint32_t code = 0) {
    const Result result =
        actor.Do(Commands().Free(call.tr.buffer).Reply({}, code));
    EXPECT_EQ(result.codes(), (BrList{kNoop, kComplete}));
  }
  // Has `actor` read `before` and then a reply with `code`, which it frees.
  static void ExpectReply(Actor<L>& actor, std::uint32_t code,
                          BrList before = {kComplete}) {
    before.push_back(kReply);
    const Result result = actor.Read();
    BrList codes = result.codes();
    if (!codes.empty()) codes.erase(codes.begin());
    EXPECT_EQ(codes, before);
    const Received reply = result.Get(kReply);
    EXPECT_EQ(reply.tr.code, code);
    actor.Write(Commands().Free(reply.tr.buffer));
  }
  static void ExpectNothing(Actor<L>& actor) {
    EXPECT_EQ(actor.Read().error, Errc::kWouldBlock);
  }

  debug::NodeSnapshot NodeOf(Peer<L>& owner, std::uint64_t ptr) {
    for (const debug::NodeSnapshot& n : this->SnapshotOf(owner).nodes) {
      if (n.ptr == ptr) return n;
    }
    ADD_FAILURE() << "no node " << ptr;
    return {};
  }

  // Takes `steps`, and only then lets `actor`, which waits, go on if they woke
  // it: the state is not checked while it changes.
  template <class F>
  void HoldWhile(Actor<L>& actor, F steps) {
    this->gates().Close(Point::kWoken, actor.tid());
    steps();
    this->gates().Open(Point::kWoken, actor.tid());
  }

  // Hands a call to `actor`, which waits for work, and interrupts it before it
  // has seen it: the call stays on the actor's own list (SG-05).
  void StrandCall(Peer<L>& service, Actor<L>& actor, Actor<L>& caller,
                  const Commands& call) {
    auto waiting = this->Block(service, actor);
    HoldWhile(actor, [&] {
      caller.Write(call);
      actor.thread().Interrupt();
    });
    EXPECT_EQ(waiting->Join().error, Errc::kInterrupted);
  }

  // Three Procs of which each holds a handle to a node of the next: a to b's,
  // b to c's, c to a's.
  struct Ring {
    Peer<L>& a;
    Peer<L>& b;
    Peer<L>& c;
    std::uint32_t to_a;
    std::uint32_t to_b;
    std::uint32_t to_c;
  };
  Ring MakeRing() {
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& a = this->Open({.name = "a"});
    Peer<L>& b = this->Open({.name = "b"});
    Peer<L>& c = this->Open({.name = "c"});
    return {a,
            b,
            c,
            this->Give(manager, a, c, 0xa0, 1),
            this->Give(manager, b, a, 0xb0, 1),
            this->Give(manager, c, b, 0xc0, 1)};
  }
  // The same, each with a looper.
  Ring MakeRingOfLoopers() {
    const Ring ring = MakeRing();
    for (Peer<L>* const peer : {&ring.a, &ring.b, &ring.c}) {
      peer->Write(Commands().EnterLooper());
    }
    return ring;
  }

  // Has `actor` enter the driver in a thread of its own, while somebody stalls
  // there: it waits for the binder lock or, where there is none, has come and
  // gone.
  [[nodiscard]] std::jthread Enter(Actor<L>& actor) {
    std::jthread enters([&actor] {
      std::int32_t version = 0;
      EXPECT_EQ(actor.thread().Version(version), Errc::kOk);
    });
    if (L::kHasBinderLock) {
      core::Context<L>& context = this->context().state();
      while (context.entry.waiters() == 0) std::this_thread::yield();
    } else {
      enters.join();
    }
    return enters;
  }
};

// What only happens where calls run in parallel.
class RaceTest : public CallTest<FineGrained<>> {
 protected:
  // Runs `commands` as `actor` in a thread of its own, up to the point where a
  // transaction is built but not queued; calls `meanwhile`; returns what the
  // call does then.
  template <class F>
  Result AtSending(Actor<FineGrained<>>& actor, const Commands& commands,
                   F meanwhile) {
    Stalled<FineGrained<>> stalled(gates(), actor, commands);
    meanwhile();
    Result result = stalled.GoOn();
    actor.Check();
    return result;
  }
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_CALL_TEST_H_
