// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group AS (one-way transactions, one at a time a node).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// What M reads: codes, and sizes if there are any; each is freed with the next
// read.
std::string CodesInOrder(World& w) {
  std::string codes;
  std::string free;
  w.Do("M.0 nonblock 1");
  for (;;) {
    const Result result = w.Do("M.0 wr r=256" + free);
    if (result.ret != 0 || result.returns.empty()) break;
    const Return& last = result.last();
    if (last.buffer.empty()) break;
    codes += (codes.empty() ? "" : " ") + std::to_string(last.data.code);
    if (last.data.data_size > 0) {
      codes += '/' + std::to_string(last.data.data_size);
    }
    free = " free:" + last.buffer;
  }
  w.Do("M.0 nonblock 0");
  return codes;
}

SCENARIO(OneAtATime, "AS-01 AS-02 AS-03 AS-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 wr enter", "");
  w.Blocks("M.1 wr r=256");
  w.Gives("M.2 wr enter", "");
  w.Blocks("M.2 wr r=256");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
  // The others complete at once for the sender, and wake nobody.
  w.Gives("C.0 wr r=256 txn:0:6:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Expect(w.Asleep('M', 1), "the other thread sleeps on");
  // The next one goes to whoever waits, not to who freed.
  w.Gives("M.2 wr free:b5", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
  // As long as it is not freed, there is nothing.
  w.Blocks("M.2 wr r=256");
  w.Do("M.2 interrupt");
  // Who frees may take it in the same call.
  w.Gives("M.1 wr r=256 free:b6", "BR_NOOP BR_TRANSACTION");
  // The last one leaves the node idle: the next is the first again.
  w.Gives("M.1 wr free:b7", "");
  w.Blocks("M.1 wr r=256");
  w.Gives("C.0 wr txn:0:8:1", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(NextGoesToTheEndOfTheQueue, "AS-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr txn:0:7:0", "");
  const Result call = w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Expect(call.last().data.code == 7, "the call comes first");
  w.Gives("M.0 wr reply:8:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(NextIsNotForTheBusyThread, "AS-03 RD-14") {
  // Who frees is serving a call, and cannot take the next one.
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1 txn:0:7:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 free:b5");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OneWaysToDifferentNodes, "AS-04") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Gives("C.0 wr txn:1:5:1 txn:1:6:1 txn:2:7:1 txn:2:8:1 txn:0:9:1", "");
  // The first of each node.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");  // 5
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");  // 7
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");  // 9
  w.Blocks("M.0 wr r=256");
  w.Do("M.0 interrupt");
  // A node goes on when its own buffer is freed.
  const Result next = w.Gives("M.0 wr r=256 free:b7", "BR_NOOP BR_TRANSACTION");
  w.Expect(next.last().data.code == 8, "the next of the second node");
}

SCENARIO(OneWaysOfSeveralSenders, "AS-05") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  w.Gives("C.0 wr txn:0:1:1", "");
  w.Gives("D.0 wr txn:0:2:1", "");
  w.Gives("C.1 wr txn:0:3:1", "");
  w.Gives("D.0 wr txn:0:4:1 txn:0:5:1", "");
  w.Gives("C.0 wr txn:0:6:1", "");
  w.Gives("D.1 wr txn:0:7:1", "");
  w.Expect(CodesInOrder(w) == "1 2 3 4 5 6 7", "the order of acceptance");
}

SCENARIO(NeverFreed, "AS-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr enter", "");
  w.Blocks("M.1 wr r=256");
  // Nothing else moves it: an unknown buffer, the end of the reader.
  w.Gives("M.0 wr free:b5+8", "");
  w.Gives("M.0 exit", "");
  w.Expect(w.Asleep('M', 1), "nothing comes");
  w.Gives("M.0 wr free:b5", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OneWayFromAHandler, "AS-08 TX-14") {
  // M, serving A, tells C, which calls A: not a part of A's call.
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  const std::string theirs = std::to_string(GiveManager(w, 'C', 0x10, 0x11));
  w.Blocks("A.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 txn:" + theirs + ":6:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr txn:1:7:0", "");
  w.Expect(w.Asleep('A', 0), "the caller is not disturbed");
  w.Gives("A.1 version", "");
  w.Gives("A.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  // M has only the call to answer.
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("A.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

// What becomes of the node afterwards is a deliberate deviation.
SCENARIO(ChosenThreadExits, "AS-09 DT-07") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=8");
  w.Gives("C.0 wr txn:1:5:1 [ raw:8 ]", "");
  w.Woke("M.1", "BR_NOOP");
  w.Gives("M.2 wr enter", "");
  w.Blocks("M.2 wr r=256");
  w.Gives("M.1 exit", "");
  w.Expect(w.Asleep('M', 2), "nobody else gets it");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
  // Other nodes are not concerned.
  w.Gives("C.0 wr txn:0:6:1", "");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OneWaysDieWithTheTarget, "AS-10") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  w.Gives("M.0 close", "");
  // Nothing but the node that was in one of them.
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(OneWaysOutliveTheSender, "AS-11 DT-16") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  // Two one-ways, the second with a handle, and with a node that dies.
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1 [ hnd:1 bin:0x10:0x11 ]", "");
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  const Result second =
      w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Expect(second.last().data.sender_pid == 0, "no sender");
  w.Expect(second.last().objects.size() == 2, "two handles");
  // A has not been told to release it, and can be called.
  w.Gives("M.0 wr txn:1:7:1", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 txn:2:8:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Gives("M.0 wr free:b6", "");
  w.Gives("A.0 wr r=256 free:b7", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(Superseded, "AS-12 FZ-11 FZ-14 FZ-19") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  StartProcess(w, 'D');
  w.Gives("C.0 freeze M 1 0", "");
  // The first one is not in the node's queue, and so never superseded.
  w.Gives("C.0 wr r=256 txn:0:5:0x41 [ raw:1 ]",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("C.0 wr r=256 txn:0:5:0x41 [ raw:2 ]",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  // Others, and those that differ in the code, the flags, the sender, the node.
  w.Gives(
      "C.0 wr txn:0:6:1 txn:0:6:0x41 [ raw:1 ] txn:0:5:0x51 [ raw:1 ] "
      "txn:1:5:0x41 [ raw:1 ] txn:1:5:0x41 [ raw:2 ]",
      "");
  w.Gives("D.0 wr txn:0:5:0x41 [ raw:4 ]", "");
  // Takes the place of the second, but at the end.
  w.Gives("C.1 wr r=256 txn:0:5:0x41 [ raw:3 ]",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("C.1 wr r=256 txn:0:6:0x41 [ raw:2 ]",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("D.0 freeze M 0 0", "");
  w.Expect(CodesInOrder(w) == "5/1 5/1 6 5/2 5/1 5/4 5/3 6/2", "what is left");
}

SCENARIO(NotSuperseded, "AS-12") {
  StartManager(w);
  StartProcess(w, 'C');
  // Not frozen.
  w.Gives(
      "C.0 wr txn:0:5:0x41 [ raw:1 ] txn:0:5:0x41 [ raw:2 ] "
      "txn:0:5:0x41 [ raw:3 ]",
      "");
  w.Expect(CodesInOrder(w) == "5/1 5/2 5/3", "all of them");
  // A call with the flag is a call, and an older one without it stays.
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr txn:0:7:1 txn:0:7:1 txn:0:7:0x41", "");
  w.Gives("C.0 wr r=256 txn:0:7:0x40",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE "
          "BR_TRANSACTION_COMPLETE BR_TRANSACTION_PENDING_FROZEN "
          "BR_TRANSACTION_PENDING_FROZEN BR_TRANSACTION_PENDING_FROZEN "
          "BR_FROZEN_REPLY");
  w.Expect(CodesInOrder(w) == "7 7 7", "all of them");
}

SCENARIO(SupersededGivesBack, "AS-12 AS-13") {
  w.Run(R"(
    M.0 up 4096
    M.0 ctxmgrext 0 0 0x100)");
  StartProcess(w, 'C');
  w.Run("C.0 file f1");
  w.Gives("C.0 freeze M 1 0", "");
  // Of the 2048 bytes for one-ways, two keep 1008 and a third one may come: if
  // they were not given back, the fifth would fail.
  for (int i = 0; i < 6; ++i) {
    w.Gives("C.0 wr r=256 txn:0:5:0x41 [ raw:472 fd:f1 ]",
            "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  }
  // The node in the superseded one goes, its owner hears nothing of it.
  w.Gives("C.0 wr txn:0:6:0x41 [ bin:0x10:0x11 ]", "");
  w.Gives("C.0 wr txn:0:6:0x41", "");
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN "
          "BR_TRANSACTION_PENDING_FROZEN");
  w.Expect(w.Do("C.0 nodedebug 0").value == 0, "the node is gone");
  // Two descriptors arrive, no more.
  w.Run("C.0 closefd f1");
  w.Expect(CodesInOrder(w) == "5/496 5/496 6", "what is left");
  w.Run(R"(
    M.0 fdinfo f1
    M.0 fdinfo f1.2
    M.0 fdinfo f1.3)");
}

}  // namespace
}  // namespace binderlite::conformance
