// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the groups PL (poll and non-blocking calls), PR (priorities) and
// SC (security contexts).

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

const char kDone[] = "BR_NOOP BR_TRANSACTION_COMPLETE";

// A poll that returns at once, and whether there is something to read.
void Polls(World& w, const std::string& who, bool readable) {
  const Result got = w.Do(who + " poll");
  w.Expect(got.ret == (readable ? 1 : 0) &&
               got.value == (readable ? static_cast<unsigned>(POLLIN) : 0),
           readable ? "readable" : "not readable");
}

// --- PL ----------------------------------------------------------------------

SCENARIO(PollFirst, "PL-01 PL-02") {
  w.Run("A.0 up");
  // The first thing that the driver hears of the thread.
  Polls(w, "A.0", true);
  w.Gives("A.0 wr r=256", "BR_NOOP");
  Polls(w, "A.0", false);
  Polls(w, "A.1", true);
  // Not twice.
  Polls(w, "A.1", true);
  w.Gives("A.1 version", "");
  Polls(w, "A.1", false);
  w.Gives("A.2 version", "");
  Polls(w, "A.2", false);
  w.Blocks("A.2 poll -1");
}

SCENARIO(PollForWork, "PL-01 PL-08") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Run("C.1 version");
  Polls(w, "C.0", false);
  // Its own work, which another thread does not see.
  w.Gives("C.0 wr txn:0:5:1", "");
  Polls(w, "C.0", true);
  Polls(w, "C.1", false);
  w.Gives("C.0 wr r=256", kDone);
  Polls(w, "C.0", false);
  // That of the Proc is seen by all.
  w.Run("M.1 version");
  Polls(w, "M.0", true);
  Polls(w, "M.1", true);
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  Polls(w, "M.0", false);
}

SCENARIO(PollAndDeferredWork, "PL-03 PL-11") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 nonblock 1", "");
  w.Fails("C.0 wr r=256 txn:0:5:0", EAGAIN);
  Polls(w, "C.0", false);
  w.Blocks("C.0 poll -1");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0", kDone);
  w.Expect(!w.Asleep('C', 0), "readable now");
  Polls(w, "C.0", true);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  Polls(w, "C.0", false);
  // A new node's work is deferred like that.
  w.Gives("C.0 wr txn:0:7:0 [ bin:0x10:0x11 ]", "");
  Polls(w, "C.0", false);
}

SCENARIO(WorkWakesAllWhoPoll, "PL-04 PL-09") {
  StartManager(w);
  StartProcess(w, 'C');
  // M.3 serves a call, and has no use for others.
  w.Run("M.3 version");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.3 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Run("M.1 version");
  w.Blocks("M.0 poll -1");
  w.Blocks("M.1 poll -1");
  w.Blocks("M.3 poll -1");
  w.Gives("C.1 wr txn:0:6:1", "");
  w.Expect(!w.Asleep('M', 0) && !w.Asleep('M', 1), "both are awake");
  w.Expect(w.Asleep('M', 3), "the busy one is not");
  Polls(w, "M.0", true);
  Polls(w, "M.1", true);
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  Polls(w, "M.0", false);
}

SCENARIO(BusyThreadPolls, "PL-09") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr txn:0:6:1", "");
  w.Run("M.1 version");
  Polls(w, "M.0", false);
  Polls(w, "M.1", true);
  // The reply, and then what had to wait.
  w.Gives("M.0 wr reply:7:0", "");
  Polls(w, "M.0", true);
  w.Gives("M.0 wr r=256", kDone);
  Polls(w, "M.0", true);
}

SCENARIO(ReaderComesBeforeWhoPolls, "PL-05") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Run("M.1 version");
  w.Blocks("M.0 poll -1");
  w.Blocks("M.1 wr r=256 enter");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Asleep('M', 0), "who polls sleeps on");
}

SCENARIO(WhoPollsDoesNotSleepInRead, "PL-04 PL-05") {
  StartManager(w);
  StartProcess(w, 'C');
  // It has polled before; that does not keep it from getting work.
  Polls(w, "M.0", false);
  w.Blocks("M.0 wr r=256");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OwnWorkIsReadable, "PL-06 PL-01") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 1);
  w.Gives("C.0 wr enter", "");
  w.Gives("C.0 epolladd et", "");
  const auto edge = [&](const char* who, bool there) {
    const Result got = w.Do(std::string(who) + " epollwait 0");
    w.Expect(got.ret == (there ? 1 : 0), there ? "an edge" : "no edge");
  };
  edge("C.0", false);
  // A one-way, a failure, a death that is cleared: what the thread queues for
  // itself without reading is signalled.
  w.Gives("C.0 wr txn:0:5:1", "");
  edge("C.0", true);
  edge("C.0", false);
  w.Gives("C.0 wr r=256", kDone);
  w.Gives("C.0 wr txn:77:5:1", "");
  edge("C.0", true);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.0 wr reqdeath:1:0xa cleardeath:1:0xa", "");
  edge("C.0", true);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE");
  // A reply.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 epolladd et", "");
  edge("M.0", false);
  w.Gives("M.0 wr reply:7:0", "");
  edge("M.0", true);
  edge("M.0", false);
}

SCENARIO(ThreadExitsWhilePolled, "PL-07") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 epolladd", "");
  w.Gives("M.0 exit", "");
  // That is noticed; a thread that the driver does not know is readable.
  w.Expect(w.Do("M.0 epollwait 0").ret == 1, "notified");
  w.Gives("M.0 wr r=256", "BR_NOOP");
  w.Expect(w.Do("M.0 epollwait 0").ret == 0, "nothing to read");
  // Detached: what comes for the new one is not seen.
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Expect(w.Do("M.0 epollwait 0").ret == 0, "detached");
  w.Gives("M.0 epollend", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 epolladd", "");
  w.Gives("M.1 exit", "");
  w.Gives("M.1 epollend", "");
}

SCENARIO(PollWithSmallBuffers, "PL-13 RD-08") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("M.0 epolladd", "");
  for (int i = 0; i < 3; ++i) {
    w.Gives("M.0 wr r=72", "BR_NOOP");
    Polls(w, "M.0", true);
    w.Expect(w.Do("M.0 epollwait 0").ret == 1, "readable");
  }
  w.Gives("M.0 wr r=80", "BR_NOOP BR_TRANSACTION");
  Polls(w, "M.0", false);
  w.Expect(w.Gives("M.0 epollwait 0", "").ret == 0, "not readable");
}

SCENARIO(NonBlockingByFcntl, "PL-10") {
  w.Run(R"(
    A.0 up
    A.0 version
    A.1 version)");
  w.Blocks("A.1 wr r=256");
  w.Gives("A.0 nonblock 1", "");
  // From the next call on.
  w.Expect(w.Asleep('A', 1), "who sleeps, sleeps");
  w.Fails("A.0 wr r=256", EAGAIN);
  w.Gives("A.0 nonblock 0", "");
  w.Blocks("A.0 wr r=256");
}

SCENARIO(ClosedWhilePolled, "PL-12") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Run("M.1 version");
  w.Gives("M.1 epolladd", "");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Expect(w.Do("M.1 epollwait 0").ret == 1, "readable");
  // With its descriptor it is gone from the set.
  w.Gives("M.0 close", "");
  w.Expect(w.Do("M.1 epollwait 0").ret == 0, "gone");
  w.Gives("M.1 epollend", "");
}

// --- PR ----------------------------------------------------------------------

// A claim about the nice value of a thread.
void Nice(World& w, const std::string& who, int value) {
  const Result got = w.Gives(who + " nice", "");
  w.Expect(static_cast<std::int64_t>(got.value) == value,
           "nice " + std::to_string(value));
}

SCENARIO(NiceOfACall, "PR-02 PR-04 PR-06") {
  // Node 0 promises its callers at least 10.
  w.Gives("M.0 nice 15", "");
  StartManager(w, "0 0 10");
  StartProcess(w, 'C');
  // Better than that: as it is.
  w.Gives("C.0 nice 5", "");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Nice(w, "M.0", 5);
  // With the reply, what it had before.
  w.Gives("M.0 wr reply:6:0", "");
  Nice(w, "M.0", 15);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("M.0 wr r=256 free:b5", kDone);
  // Worse: the least that was promised.
  w.Gives("C.0 nice 18", "");
  w.Gives("C.0 wr txn:0:7:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Nice(w, "M.0", 10);
  // Restored although the reply fails.
  w.Gives("M.0 wr reply:8:0 [ hnd:77 ]", "");
  Nice(w, "M.0", 15);
}

SCENARIO(NiceOfAWait, "PR-01") {
  w.Gives("M.0 nice 3", "");
  StartManager(w);
  w.Gives("M.0 nice 12", "");
  // That of who opened it, from the moment it waits for work.
  w.Blocks("M.0 wr r=256");
  w.Do("M.0 interrupt");
  Nice(w, "M.0", 3);
  // A thread that waits for a reply does not wait for work.
  StartProcess(w, 'C');
  w.Gives("C.0 nice 12", "");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Do("C.0 interrupt");
  Nice(w, "C.0", 12);
  w.Gives("C.0 nonblock 1", "");
  w.Gives("C.1 version", "");
  w.Gives("C.1 nice 7", "");
  w.Fails("C.1 wr r=256", EAGAIN);
  Nice(w, "C.1", 0);
}

SCENARIO(NiceOfAOneWay, "PR-03 PR-06") {
  w.Gives("M.0 nice 15", "");
  StartManager(w, "0 0 10");
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1", "");
  // Worse than what the node promises: that much. The sender's does not count.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Nice(w, "M.0", 10);
}

SCENARIO(NiceOfAOneWayToTheBetter, "PR-03") {
  w.Gives("M.0 nice 5", "");
  StartManager(w, "0 0 10");
  StartProcess(w, 'C');
  w.Gives("C.0 nice 2", "");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("M.0 nice 8", "");
  // It gets what it waits with, which is good enough.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Nice(w, "M.0", 5);
}

SCENARIO(NiceOfTheUnprivileged, "PR-05") {
  StartManager(w);
  w.Run("U new euid=1001");
  w.Gives("U.0 nice 15", "");
  StartProcess(w, 'U');
  w.Gives("U.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11:10 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:1:6:0", "");
  w.Gives("U.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // It may not do better.
  Nice(w, "U.0", 15);
  w.Gives("U.0 wr reply:7:0", "");
  Nice(w, "U.0", 15);
}

// --- SC ----------------------------------------------------------------------

SCENARIO(NobodyHasLabels, "SC-01 SC-04") {
  // Where no security module gives labels, a node that wants them cannot be
  // called.
  StartManager(w, "0 0 0x1000");
  StartProcess(w, 'C');
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 ]", EINVAL);
  w.Run("C.0 nodedebug 0");
  w.Blocks("M.0 wr r=256");
}

}  // namespace
}  // namespace binderlite::conformance
