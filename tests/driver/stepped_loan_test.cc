// SPDX-License-Identifier: Apache-2.0
//
// Loans under the stepped scheduler: what becomes of a call that is served on
// its caller's thread, and of the looper that is lent for it, when somebody is
// killed, interrupted or closed at any moment.

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "binderlite/driver/loan.h"
#include "binderlite/sync/stepped_primitives.h"
#include "support/component.h"
#include "support/driver_test.h"
#include "support/stepped_driver.h"

namespace binderlite::testing {
namespace {

using sync::SteppedScheduler;

template <class L>
class SteppedLoanTest : public StoryTest<L> {};
BINDERLITE_FOR_ALL_STEPPED_DISCIPLINES(SteppedLoanTest);

enum class Event {
  kNothing,
  kKillLooper,
  kKillService,
  kCloseService,
  kKillCaller,
  kInterruptLooper,
  kFlushService,
  kMost,
};

// As the typed API does it, in one call of the driver.
template <class L>
void FreeAndReply(BasicThread<L>& self, const Incoming& call) {
  const Payload payload(TextOf(call));
  const TransactionData data = payload.Data();
  (void)self.Send({.free_buffer = call.transaction.buffer, .reply = &data});
}

// A service with one looper, two callers of which one is served here if it
// finds the looper waiting, and two things that happen meanwhile. Whatever they
// are, everybody gets an end, and nothing is left.
template <class L>
void CallersAndOneLooper(World<L>& world, SteppedScheduler& scheduler,
                         Event first, Event second) {
  const auto happens = [&](Event event) {
    return first == event || second == event;
  };
  Component<L> service(world.context(), {.name = "service"},
                       [](auto&, BasicThread<L>& self, const Incoming& call) {
                         L::Primitives::SchedulingPoint();
                         FreeAndReply<L>(self, call);
                       });
  BasicThread<L> setup = service.proc().Attach();
  EXPECT_EQ(setup.SetContextMgr(), Errc::kOk);
  service.RunOnCallers();
  Component<L> here(world.context(), {.name = "here"}, nullptr);
  here.LetServe();
  Component<L> there(world.context(), {.name = "there"}, nullptr);
  BasicThread<L> looper = service.proc().Attach();
  int interrupted = 0;
  int flushed = 0;
  scheduler.Spawn("looper", [&] {
    if (looper.EnterLooper() != Errc::kOk) return;
    for (;;) {
      Incoming work;
      const Errc error = looper.NextWork(work);
      if (error == Errc::kInterrupted) {
        ++interrupted;
        continue;
      }
      if (error == Errc::kKilled && happens(Event::kKillLooper)) {
        // The Proc may have been closed.
        (void)looper.ThreadExit();
      }
      if (error != Errc::kOk) return;
      if (work.command == Br::BR_NOOP) ++flushed;
      if (work.is_transaction()) FreeAndReply<L>(looper, work);
    }
  });
  std::vector<CallResult> answers(2);
  const auto call = [&](Component<L>& client, CallResult& answer) {
    BasicThread<L> self = client.proc().Attach();
    std::int32_t version = 0;
    (void)self.Version(version);
    answer = client.Call(self, 0, "x");
  };
  scheduler.Spawn("here", [&] { call(here, answers[0]); });
  scheduler.Spawn("there", [&] { call(there, answers[1]); });
  const auto happen = [&](Event event) {
    switch (event) {
      case Event::kKillLooper:
        return looper.Kill();
      case Event::kKillService:
        return service.proc().Kill();
      case Event::kCloseService:
        return service.proc().Close();
      case Event::kKillCaller:
        return here.proc().Kill();
      case Event::kInterruptLooper:
        return looper.Interrupt();
      case Event::kFlushService:
        return service.proc().Flush();
      default:
        return;
    }
  };
  scheduler.Spawn("first", [&] { happen(first); });
  scheduler.Spawn("second", [&] { happen(second); });
  scheduler.Run();

  if (happens(Event::kKillLooper)) {
    // Calls that nobody is left to take end with the service.
    service.proc().Kill();
    scheduler.Run();
  }
  const bool ends = happens(Event::kKillLooper) ||
                    happens(Event::kKillService) ||
                    happens(Event::kCloseService);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const CallResult& answer = answers[i];
    EXPECT_TRUE(answer == (CallResult{Br::BR_REPLY, "x"}) ||
                (ends && (answer.br == Br::BR_DEAD_REPLY ||
                          answer.br == Br::BR_FAILED_REPLY)) ||
                (i == 0 && happens(Event::kKillCaller) &&
                 answer.error == Errc::kKilled))
        << i << ": " << ::testing::PrintToString(answer);
  }
  EXPECT_LE(interrupted, (first == Event::kInterruptLooper ? 1 : 0) +
                             (second == Event::kInterruptLooper ? 1 : 0));
  // The looper, if it lives, waits again.
  service.proc().Kill();
  here.proc().Kill();
  there.proc().Kill();
  scheduler.Run();
}

TYPED_TEST(SteppedLoanTest, WhateverHappens) {
  for (int first = 0; first < static_cast<int>(Event::kMost); ++first) {
    for (int second = 0; second <= first; ++second) {
      const auto story = [first, second](auto& world, auto& scheduler) {
        CallersAndOneLooper<TypeParam>(world, scheduler,
                                       static_cast<Event>(first),
                                       static_cast<Event>(second));
      };
      this->Tell(Random(75), story);
      this->Tell(Pct(50), story);
      ASSERT_FALSE(this->HasFailure()) << "events " << first << ", " << second;
    }
  }
}

enum class Blow {
  kNothing,
  kKillLooper,
  kKillService,
  kCloseService,
  kKillCallersThread,
  kKillCaller,
  kCloseCaller,
  kInterruptLooper,
  kFlushCaller,
  kStopLooper,
  kMost,
};

// A call that comes back to its caller while that one's OS thread serves it,
// and two things that happen meanwhile.
template <class L>
void ACallThatComesBack(World<L>& world, SteppedScheduler& scheduler,
                        Blow first, Blow second) {
  Component<L> service(
      world.context(), {.name = "service"},
      [](auto& me, BasicThread<L>& self, const Incoming& call) {
        const std::uint32_t handle = HandleIn(call);
        (void)self.Acquire(handle);
        (void)me.Call(self, handle, "back");
        Component<L>::Reply(self, call, "done");
      });
  BasicThread<L> setup = service.proc().Attach();
  EXPECT_EQ(setup.SetContextMgr(), Errc::kOk);
  service.RunOnCallers();
  Component<L> client(world.context(), {.name = "client"},
                      [](auto&, BasicThread<L>& self, const Incoming& call) {
                        L::Primitives::SchedulingPoint();
                        Component<L>::Reply(self, call, "back!");
                      });
  client.LetServe();
  BasicThread<L> looper = service.proc().Attach();
  BasicThread<L> caller = client.proc().Attach();
  std::stop_source stop;
  scheduler.Spawn("looper", [&] {
    if (looper.EnterLooper() != Errc::kOk) return;
    for (;;) {
      Incoming work;
      const Errc error = looper.NextWork(work, stop.get_token());
      if (error == Errc::kInterrupted) continue;
      if (error == Errc::kKilled) (void)looper.ThreadExit();
      if (error != Errc::kOk) return;
      if (work.is_transaction()) Component<L>::Reply(looper, work, "plain");
    }
  });
  CallResult result;
  scheduler.Spawn("caller", [&] {
    std::int32_t version = 0;
    (void)caller.Version(version);
    Payload payload("xxxxxxxx");
    payload.Binder(11, 12);
    result = client.Call(caller, 0, payload);
    if (result.error == Errc::kKilled) (void)caller.ThreadExit();
  });
  const auto strike = [&](Blow blow) {
    switch (blow) {
      case Blow::kKillLooper:
        return looper.Kill();
      case Blow::kKillService:
        return service.proc().Kill();
      case Blow::kCloseService:
        return service.proc().Close();
      case Blow::kKillCallersThread:
        return caller.Kill();
      case Blow::kKillCaller:
        return client.proc().Kill();
      case Blow::kCloseCaller:
        return client.proc().Close();
      case Blow::kInterruptLooper:
        return looper.Interrupt();
      case Blow::kFlushCaller:
        return client.proc().Flush();
      case Blow::kStopLooper:
        (void)stop.request_stop();
        return;
      default:
        return;
    }
  };
  scheduler.Spawn("first", [&] { strike(first); });
  scheduler.Spawn("second", [&] { strike(second); });
  scheduler.Run();
  // Whoever still waits does so for a service without a looper.
  service.proc().Kill();
  scheduler.Run();
  if (first == Blow::kNothing && second == Blow::kNothing) {
    EXPECT_TRUE(result.text == "done" || result.text == "plain")
        << ::testing::PrintToString(result);
  }
  EXPECT_FALSE(result == CallResult()) << "it has not ended";
  client.proc().Kill();
  scheduler.Run();
}

TYPED_TEST(SteppedLoanTest, WhateverHappensToACallThatComesBack) {
  for (int first = 0; first < static_cast<int>(Blow::kMost); ++first) {
    for (int second = first; second < static_cast<int>(Blow::kMost); ++second) {
      const auto story = [first, second](auto& world, auto& scheduler) {
        ACallThatComesBack<TypeParam>(world, scheduler,
                                      static_cast<Blow>(first),
                                      static_cast<Blow>(second));
      };
      this->Tell(Random(30), story);
      this->Tell(Pct(20), story);
      ASSERT_FALSE(this->HasFailure()) << first << " and " << second;
    }
  }
}

}  // namespace
}  // namespace binderlite::testing
