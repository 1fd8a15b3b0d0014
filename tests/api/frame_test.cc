// SPDX-License-Identifier: Apache-2.0
//
// Checks api/frame.h: what an OS thread is doing in endpoints is a chain of its
// own, innermost first, and gone when it is done.

#include "binderlite/api/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using api_internal::AnyProcess;
using api_internal::Frame;

using Process = api_internal::Process<FineGrained<>>;
using ThreadFrame = api_internal::ThreadFrame<FineGrained<>>;
using ThreadSlot = api_internal::ThreadSlot<FineGrained<>>;

class FrameTest : public ModeTest {
 protected:
  // A thread of `endpoint`, and a frame of what is done on it.
  struct Doing {
    Doing(Endpoint& endpoint, bool is_handler)
        : process(*endpoint.internal()),
          frame(process, slot, slot.thread, is_handler) {}
    ~Doing() { process.GiveBack(slot); }
    Process& process;
    ThreadSlot& slot = *process.Take();
    ThreadFrame frame;
  };
};
BINDERLITE_BOTH_MODES(FrameTest);

TEST_P(FrameTest, ChainsFromTheInnermostOutwards) {
  Endpoint a = Open("a");
  Endpoint b = Open("b");
  EXPECT_EQ(Frame::Innermost(), nullptr);
  {
    const Doing outer(a, /*is_handler=*/false);
    EXPECT_EQ(Frame::Innermost(), &outer.frame);
    EXPECT_EQ(outer.frame.outer, nullptr);
    EXPECT_EQ(outer.frame.process, a.internal().get());
    EXPECT_FALSE(outer.frame.handler);
    EXPECT_FALSE(outer.frame.in_call);
    EXPECT_FALSE(outer.frame.closes);
    for (int i = 0; i < 2; ++i) {
      const Doing inner(b, /*is_handler=*/true);
      EXPECT_EQ(Frame::Innermost(), &inner.frame);
      EXPECT_EQ(inner.frame.outer, &outer.frame);
      EXPECT_EQ(inner.frame.process, b.internal().get());
      EXPECT_TRUE(inner.frame.handler);
    }
    EXPECT_EQ(Frame::Innermost(), &outer.frame);
  }
  EXPECT_EQ(Frame::Innermost(), nullptr);
}

TEST_P(FrameTest, IsItsOsThreadsOwn) {
  Endpoint a = Open("a");
  const Doing here(a, /*is_handler=*/false);
  std::jthread([&] {
    EXPECT_EQ(Frame::Innermost(), nullptr);
    const Doing there(a, /*is_handler=*/false);
    EXPECT_EQ(Frame::Innermost(), &there.frame);
    EXPECT_EQ(there.frame.outer, nullptr);
    EXPECT_NE(&there.slot, &here.slot);
  }).join();
  EXPECT_EQ(Frame::Innermost(), &here.frame);
}

// A handler's is its looper's, or goes on from that of its caller.
TEST_P(FrameTest, OfHandlers) {
  struct Seen {
    const AnyProcess* process;
    bool handler;
    bool in_call;
    bool operator==(const Seen&) const = default;
  };
  std::vector<Seen> seen;
  Pair pair = Connect(Worker{.Do = [&](std::string_view what) {
    for (const Frame* frame = Frame::Innermost(); frame != nullptr;
         frame = frame->outer) {
      seen.push_back({frame->process, frame->handler, frame->in_call});
    }
    return Answered(what);
  }});
  AwaitQuiet();
  AwaitLooper(pair.server);
  EXPECT_EQ(pair.remote->Do("x").value(), "x!");
  const AnyProcess* const server = pair.server.internal().get();
  const AnyProcess* const client = pair.client.internal().get();
  std::vector<Seen> expected = {{server, true, false}, {server, false, false}};
  if (here()) expected.push_back({client, false, true});
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(Frame::Innermost(), nullptr);
}

}  // namespace
}  // namespace binderlite::testing
