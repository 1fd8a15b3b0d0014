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
};

// A service with one looper, two callers of which one is served here if it
// finds the looper waiting, and something that happens meanwhile. Whatever it
// is, everybody gets an end, and nothing is left.
template <class L>
void CallersAndOneLooper(World<L>& world, SteppedScheduler& scheduler,
                         Event event) {
  Component<L> service(world.context(), {.name = "service"},
                       [](auto&, BasicThread<L>& self, const Incoming& call) {
                         L::Primitives::SchedulingPoint();
                         Component<L>::Reply(self, call, TextOf(call));
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
      if (error == Errc::kKilled && event == Event::kKillLooper) {
        EXPECT_EQ(looper.ThreadExit(), Errc::kOk);
      }
      if (error != Errc::kOk) return;
      if (work.command == Br::BR_NOOP) ++flushed;
      if (work.is_transaction())
        Component<L>::Reply(looper, work, TextOf(work));
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
  scheduler.Spawn("event", [&] {
    switch (event) {
      case Event::kNothing:
        break;
      case Event::kKillLooper:
        looper.Kill();
        break;
      case Event::kKillService:
        service.proc().Kill();
        break;
      case Event::kCloseService:
        service.proc().Close();
        break;
      case Event::kKillCaller:
        here.proc().Kill();
        break;
      case Event::kInterruptLooper:
        looper.Interrupt();
        break;
      case Event::kFlushService:
        service.proc().Flush();
        break;
    }
  });
  scheduler.Run();

  if (event == Event::kKillLooper) {
    // Calls that nobody is left to take end with the service.
    service.proc().Kill();
    scheduler.Run();
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const CallResult& answer = answers[i];
    const bool answered = answer == CallResult{Br::BR_REPLY, "x"};
    switch (event) {
      case Event::kKillLooper:
      case Event::kKillService:
      case Event::kCloseService:
        EXPECT_TRUE(answered || answer.br == Br::BR_DEAD_REPLY ||
                    answer.br == Br::BR_FAILED_REPLY)
            << ::testing::PrintToString(answer);
        break;
      case Event::kKillCaller:
        EXPECT_TRUE(answered || (i == 0 && answer.error == Errc::kKilled))
            << ::testing::PrintToString(answer);
        break;
      default:
        EXPECT_TRUE(answered) << ::testing::PrintToString(answer);
        break;
    }
  }
  EXPECT_LE(interrupted, event == Event::kInterruptLooper ? 1 : 0);
  // The looper, if it lives, waits again.
  service.proc().Kill();
  here.proc().Kill();
  there.proc().Kill();
  scheduler.Run();
}

TYPED_TEST(SteppedLoanTest, WhateverHappens) {
  for (const Event event :
       {Event::kNothing, Event::kKillLooper, Event::kKillService,
        Event::kCloseService, Event::kKillCaller, Event::kInterruptLooper,
        Event::kFlushService}) {
    const auto story = [event](auto& world, auto& scheduler) {
      CallersAndOneLooper<TypeParam>(world, scheduler, event);
    };
    this->Tell(Random(300), story);
    this->Tell(Pct(200), story);
    ASSERT_FALSE(this->HasFailure()) << "event " << static_cast<int>(event);
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
