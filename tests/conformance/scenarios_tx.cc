// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group TX (transactions, replies, nesting).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

SCENARIO(OneWayAccepted, "TX-06 EE-01") {
  StartManager(w);
  StartProcess(w, 'C');
  // The completion does not wait for anything, and no call is outstanding.
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "C.0", Br::BR_OK, 0);
  w.Gives("C.0 wr txn:0:6:0", "");
  const Result one_way = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(one_way.last().data.sender_pid == 0, "no sender");
  // Not to be answered: the next one is the call.
  w.Gives("M.0 wr r=256 reply:7:0", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(ReplyToNothing, "TX-07 EE-07") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 wr r=256 reply:5:0", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "M.0", Br::BR_FAILED_REPLY, EPROTO);
  // Another thread's call.
  w.Blocks("C.0 wr r=256 txn:0:6:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256 reply:7:0", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "M.1", Br::BR_FAILED_REPLY, EPROTO);
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_FAILED_REPLY");
}

SCENARIO(ReplyWhileCalling, "TX-08 TX-13 TX-17 EE-07") {
  StartManager(w);
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'C', 0x10, 0x11));
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // C waits for its reply, and gets the nested call.
  w.Gives("M.0 wr txn:" + theirs + ":6:0", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:7:0",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "M.0", Br::BR_FAILED_REPLY, EPROTO);
  w.Blocks("M.0 wr r=256");
  // The inner answer first, then the outer one.
  w.Gives("C.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("M.0", "BR_NOOP BR_REPLY");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_REPLY");
}

SCENARIO(SecondCallOfAThread, "TX-10 TX-11 EE-07") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("C.0 wr r=256 txn:0:6:0",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EPROTO);
  // One-ways are allowed, and so are calls of another thread.
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.1 wr txn:0:8:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_REPLY");
  w.Gives("C.0 wr txn:0:10:0", "");
}

// A thread that was waiting with a buffer in which there is no room for a
// transaction has been chosen for one, but has not got it yet.
SCENARIO(CallWithUnreadTransaction, "TX-12 SG-07 LP-14 RD-08 EE-07") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x30, 0x31));
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=8");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Woke("M.1", "BR_NOOP");
  // It is for this thread only.
  w.Blocks("M.0 wr r=256");
  w.Gives("M.1 wr r=8 txn:" + theirs + ":6:0", "BR_NOOP");
  ExpectError(w, "M.1", Br::BR_FAILED_REPLY, EPROTO);
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_FAILED_REPLY");
  // Once it has been read, a nested call is fine.
  w.Gives("M.1 wr txn:" + theirs + ":7:0", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OneWayWithUnreadTransaction, "TX-12 SG-07") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x30, 0x31));
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=8");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Woke("M.1", "BR_NOOP");
  w.Gives("M.1 wr txn:" + theirs + ":6:1", "");
  ExpectError(w, "M.1", Br::BR_OK, 0);
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

// C calls M, which calls A, which calls C: back to the thread where it began,
// although another one is waiting.
SCENARIO(NestedCallFindsItsWayBack, "TX-13 TX-17") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'C', 'A', 0x10, 0x11);
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Gives("C.1 wr enter", "");
  w.Blocks("C.1 wr r=256");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:" + theirs + ":6:0", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("A.0 wr txn:1:7:0", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION");
  w.Expect(w.Asleep('C', 1), "the other thread sleeps on");
  // C's thread, which is now serving, calls M: it is M.0 that must serve it.
  w.Gives("C.0 wr txn:0:8:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION");
  // Back again, innermost first.
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr r=256 reply:10:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("A.0 wr r=256 reply:11:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_REPLY");
  w.Gives("M.0 wr r=256 reply:12:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_REPLY");
}

SCENARIO(NestedOneWayIsNotSteered, "TX-14 TX-11") {
  StartManager(w);
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'C', 0x10, 0x11));
  w.Gives("C.1 wr enter", "");
  w.Blocks("C.1 wr r=256");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:" + theirs + ":6:1", "");
  w.Woke("C.1", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Asleep('C', 0), "the caller sleeps on");
  // Without a thread that waits, it waits itself.
  w.Gives("M.0 wr txn:" + theirs + ":7:1", "");
  w.Gives("C.1 wr free:b6", "");
  w.Expect(w.Asleep('C', 0), "the caller sleeps on");
  w.Gives("C.2 version", "");
  w.Gives("C.2 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(NestedCallAfterTheCallerHasGone, "TX-15 DT-02") {
  StartManager(w);
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'C', 0x10, 0x11));
  w.Gives("C.1 wr enter", "");
  w.Blocks("C.1 wr r=256");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 exit", "");
  w.Gives("C.0 version", "");
  w.Gives("M.0 wr txn:" + theirs + ":6:0", "");
  w.Woke("C.1", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(RefusedWhenQueued, "TX-18 FZ-10 EE-05") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:0:5:0", "BR_NOOP BR_FROZEN_REPLY");
  // No completion remains, and no call.
  w.Gives("C.0 nonblock 1", "");
  w.Fails("C.0 wr r=256", EAGAIN);
  w.Gives("C.0 wr txn:1:6:0", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("A.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  // The frozen process has nothing to read.
  w.Gives("C.0 freeze M 0 0", "");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(ReplyToAThreadThatHasGone, "TX-19 DT-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 exit", "");
  w.Gives("C.0 version", "");
  w.Gives("M.0 wr r=256 reply:6:0 [ raw:64 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Blocks("C.0 wr r=256");
  // There is no buffer: the next one is the first.
  w.Gives("C.1 version", "");
  w.Blocks("C.1 wr r=256 txn:0:7:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.1", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Expect(w.Buffer('C', "b8") == w.Mapping('C'), "the first buffer");
}

// Two calls of one thread fail before it has read that the first one did.
SCENARIO(SecondReplyError, "TX-21 DT-01") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 version", "");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 exit", "");
  w.Gives("C.0 wr txn:0:6:0", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 exit", "");
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY "
          "BR_TRANSACTION_COMPLETE");
  // The second is never answered.
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  // But it is not outstanding any more.
  w.Blocks("C.0 wr r=256 txn:0:7:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(TargetDies, "TX-22 EE-10 DT-12") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.1 version", "");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("C.1 wr r=256 txn:0:6:0");
  // One call is being served, one waits.
  w.Gives("M.0 close", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Woke("C.1", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_OK, 0);
  ExpectError(w, "C.1", Br::BR_OK, 0);
  w.Gives("C.0 wr r=256 txn:0:7:0", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, EINVAL);
}

// C calls M, which calls A; M's thread exits while A serves.
SCENARIO(MiddleOfTheChainExits, "TX-23 DT-03") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:" + theirs + ":6:0", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 exit", "");
  w.Expect(w.Asleep('C', 0), "the first caller is not told");
  w.Gives("A.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  ExpectError(w, "A.0", Br::BR_OK, 0);
  ExpectError(w, "C.0", Br::BR_OK, 0);
}

SCENARIO(MiddleExitsThenTheEndDies, "TX-23 DT-03") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:" + theirs + ":6:0", "");
  w.Gives("M.0 exit", "");
  w.Expect(w.Asleep('C', 0), "the first caller is not told");
  w.Gives("A.0 close", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
}

SCENARIO(RoomForBuffers, "TX-25 TX-26 AL-07 AL-08") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives(
      "C.0 wr txn:0:5:1 [ raw:8 ] txn:0:6:1 [ raw:3 sg bs=64 ] "
      "txn:0:7:1 txn:0:8:1 txn:0:9:1 [ sg ] txn:0:10:1",
      "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  for (const char* step : {"5", "6", "7", "8", "9"}) {
    w.Gives(std::string("M.0 wr r=256 free:b") + step,
            "BR_NOOP BR_TRANSACTION");
  }
  const std::uint64_t start = w.Mapping('M');
  const auto at = [&](const char* name) { return w.Buffer('M', name) - start; };
  w.Expect(at("b5") == 0, "the first buffer");
  w.Expect(at("b6") == 8, "behind 8 bytes");
  w.Expect(at("b7") == 8 + 8 + 64, "behind 3 bytes and 64 of the buffers");
  w.Expect(at("b8") == 88 && at("b9") == 96 && at("b10") == 104,
           "8 bytes for an empty one");
}

SCENARIO(EmptyBuffersAreToBeFreed, "TX-26 AL-12") {
  // 16 bytes of what is for one-ways remain, which two empty ones use up.
  w.Run(R"(
    M.0 up 4096
    M.0 ctxmgr)");
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:4:1 [ raw:2032 ]", "");
  w.Gives("C.0 wr r=256 txn:0:5:1 txn:0:6:1 txn:0:7:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE "
          "BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, ENOSPC);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b4", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr r=256 txn:0:8:1 [ raw:2040 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256 free:b6", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(CallsInParallel, "TX-27 LP-13") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  for (const char* thread : {"M.1", "M.2", "M.3"}) {
    w.Gives(std::string(thread) + " wr enter", "");
    w.Blocks(std::string(thread) + " wr r=256");
  }
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Woke("M.3", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
  // Nor does a call wait for another to the same node.
  w.Gives("C.2 wr txn:1:7:0", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.2 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(CallOvertakesOneWays, "TX-28 AS-07 AS-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1 txn:0:7:1", "");
  w.Gives("C.1 wr txn:0:8:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");  // 5
  const Result call = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(call.last().data.code == 8, "the call");
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");  // 6
}

SCENARIO(OneQueueForEverything, "TX-29 FN-01 DN-03") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("M.0 wr reqdeath:" + theirs + ":0xd", "");
  // A one-way, a node, a freeze notification, a death, a call.
  w.Gives("C.0 wr txn:0:5:1 rel:1", "");
  w.Gives("M.0 wr reqfreeze:" + theirs + ":0xf", "");
  w.Gives("A.0 close", "");
  w.Gives("C.0 wr txn:0:6:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS BR_FROZEN_BINDER");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

}  // namespace
}  // namespace binderlite::conformance
