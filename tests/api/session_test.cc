// SPDX-License-Identifier: Apache-2.0
//
// Checks api/session.h: which thread of the driver a call goes out on: that of
// the handler that makes it, or a free one, also from where a call is already
// out.

#include "binderlite/api/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using api_internal::Frame;

using Process = api_internal::Process<FineGrained<>>;
using Session = api_internal::Session<FineGrained<>>;
using ThreadFrame = api_internal::ThreadFrame<FineGrained<>>;
using ThreadSlot = api_internal::ThreadSlot<FineGrained<>>;

class SessionTest : public ApiTest {
 protected:
  Process& process() { return *endpoint_.internal(); }
  // The thread that is taken next.
  ThreadSlot* NextFree() {
    ThreadSlot* const slot = process().Take();
    process().GiveBack(*slot);
    return slot;
  }

 private:
  Endpoint endpoint_ = Open("endpoint");
};

TEST_F(SessionTest, TakesAThreadForNow) {
  ThreadSlot* const free = NextFree();
  {
    Session session(process());
    EXPECT_EQ(&session.frame(), Frame::Innermost());
    EXPECT_EQ(session.frame().process, &process());
    EXPECT_FALSE(session.frame().handler);
    EXPECT_EQ(&session.thread(), &free->thread);
    EXPECT_NE(NextFree(), free);
  }
  EXPECT_EQ(Frame::Innermost(), nullptr);
  EXPECT_EQ(NextFree(), free);
}

TEST_F(SessionTest, GoesOnWhereItsHandlerIs) {
  Endpoint other = Open("other");
  ThreadSlot* const mine = process().Take();
  ThreadSlot* const others = other.internal()->Take();
  {
    ThreadFrame frame(process(), *mine, mine->thread, /*is_handler=*/true);
    Session session(process());
    EXPECT_EQ(&session.frame(), &frame);
    // Also from within a handler of another endpoint.
    ThreadFrame inner(*other.internal(), *others, others->thread,
                      /*is_handler=*/true);
    Session again(process());
    EXPECT_EQ(&again.frame(), &frame);
    Session in_other(*other.internal());
    EXPECT_EQ(&in_other.frame(), &inner);
    EXPECT_EQ(Frame::Innermost(), &inner);  // Nobody needed one more.
  }
  process().GiveBack(*mine);
  other.internal()->GiveBack(*others);
}

TEST_F(SessionTest, TakesAnotherWhileACallIsOut) {
  ThreadSlot* const outer = process().Take();
  ThreadSlot* const inner = process().Take();
  {
    ThreadFrame waits(process(), *outer, outer->thread, /*is_handler=*/false);
    waits.in_call = true;
    {
      Session session(process());
      EXPECT_NE(&session.frame(), &waits);
      EXPECT_NE(&session.thread(), &outer->thread);
    }
    // A handler that is served meanwhile.
    ThreadFrame handler(process(), *inner, inner->thread, /*is_handler=*/true);
    Session session(process());
    EXPECT_EQ(&session.frame(), &handler);
    handler.in_call = true;
    Session third(process());
    EXPECT_NE(&third.frame(), &handler);
    EXPECT_NE(&third.frame(), &waits);
  }
  process().GiveBack(*inner);
  process().GiveBack(*outer);
}

// --- Through calls ----------------------------------------------------------

class NestingTest : public ModeTest {};
BINDERLITE_BOTH_MODES(NestingTest);

TEST_P(NestingTest, NestedCallsInBothDirections) {
  Endpoint a = Open({.name = "a", .max_loopers = 1});
  Endpoint b = Open({.name = "b", .max_loopers = 1});
  const auto bounce = [](Proxy<Worker>* other, Service<Worker>* self) {
    return [other, self](const Proxy<Worker>&, int left) -> Result<int> {
      if (left == 0) return 0;
      const Result<int> rest = (*other)->Bounce(Proxy<Worker>(*self), left - 1);
      if (!rest.ok()) return rest.status();
      return *rest + 1;
    };
  };
  Proxy<Worker> a_to_b;
  Proxy<Worker> b_to_a;
  Service<Worker> at_a;
  Service<Worker> at_b;
  at_a = Serve(a, Worker{.Bounce = bounce(&a_to_b, &at_a)});
  at_b = Serve(b, Worker{.Bounce = bounce(&b_to_a, &at_b)});
  a_to_b = Give(at_b, b, a);
  b_to_a = Give(at_a, a, b);
  EXPECT_EQ(a_to_b->Bounce({}, 100).value(), 100);
  std::jthread from_a([&] { EXPECT_EQ(a_to_b->Bounce({}, 100).value(), 100); });
  std::jthread from_b([&] { EXPECT_EQ(b_to_a->Bounce({}, 100).value(), 100); });
  from_a.join();
  from_b.join();
  AwaitQuiet();
}

// An object that is sent may go while its sender's thread is in the driver for
// that, and make calls as it goes.
TEST_P(NestingTest, CallsFromDestructorsOfWhatIsSent) {
  Pair pair = Connect(Worker{.Do = &Answered, .Take = [](Proxy<Worker>) {}});
  const auto& remote = pair.remote;
  constexpr int kTimes = 40;
  std::atomic<int> answered = 0;
  for (int i = 0; i < kTimes; ++i) {
    auto calls = std::make_shared<AtItsEnd>(
        [&] { answered += remote->Do("x").ok() ? 1 : 0; });
    EXPECT_TRUE(remote
                    ->Take(pair.client.Create(Worker{
                        .Do = [calls = std::move(calls)](
                                  std::string_view) { return std::string(); }}))
                    .ok());
  }
  AwaitState([&] {
    Touch();
    return answered == kTimes;
  });
  AwaitQuiet();
}

}  // namespace
}  // namespace binderlite::testing
