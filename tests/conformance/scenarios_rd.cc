// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the groups RD (the read half) and LP (loopers).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// --- RD ----------------------------------------------------------------------

SCENARIO(ReadStartsWithNoop, "RD-01 RD-03 RD-04 RD-13") {
  w.Run("A.0 up");
  w.Gives("A.0 wr r=256", "BR_NOOP");
  w.Blocks("A.0 wr r=256");
  // Fresh threads, not blocking: still no EAGAIN the first time.
  w.Do("A.1@1 open nb");
  w.Gives("A.1@1 wr r=256", "BR_NOOP");
  w.Fails("A.1@1 wr r=256", EAGAIN);
}

SCENARIO(ReadConsumedOnEntry, "RD-01") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1", "");
  // No BR_NOOP is put in front then.
  w.Gives("C.0 wr r=256 rc=4", "BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256 rc=16", "BR_TRANSACTION");
}

SCENARIO(NothingToRead, "RD-02 RD-05 PL-10") {
  w.Run("A.0 up");
  w.Gives("A.0 version", "");
  w.Gives("A.0 nonblock 1", "");
  w.Fails("A.0 wr r=256", EAGAIN);
  w.Fails("A.0 wr r=256 rc=8", EAGAIN);
  w.Gives("A.0 nonblock 0", "");
  w.Blocks("A.0 wr r=256");
  w.Do("A.0 interrupt");
}

SCENARIO(InterruptedRead, "RD-02 SG-01 SG-09") {
  w.Run("A.0 up");
  w.Gives("A.0 version", "");
  w.Blocks("A.0 wr r=256 enter");
  w.Do("A.0 interrupt");
  w.Expect(w.completed().size() == 1 && w.completed()[0].result.error == EINTR,
           "EINTR");
  w.Blocks("A.0 wr r=256");
}

SCENARIO(OwnQueueFirst, "RD-06 RD-09 AS-01") {
  StartManager(w);
  StartProcess(w, 'C');
  const auto node = GiveNode(w, 'C', 0x10, 0x11);
  w.Expect(node == 1, "the first handle is 1");
  w.Gives("C.0 wr txn:1:5:1", "");
  // M has a completion of its own to read, and work for any of its threads.
  w.Gives("M.0 wr txn:99:6:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(SmallReadBuffers, "RD-07 RD-08") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1", "");
  for (const char* size : {"4", "8", "72", "76", "79"}) {
    // 76 bytes have to be left behind the BR_NOOP, however short the item.
    w.Gives(std::string("M.0 wr r=") + size, "BR_NOOP");
    w.Gives(std::string("C.0 wr r=") + size, "BR_NOOP");
  }
  w.Gives("M.0 wr r=80", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr r=80", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(SmallReadBufferStopsTheLoop, "RD-07") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 txn:0:6:1 txn:0:7:1", "");
  w.Gives("C.0 wr r=80", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=84",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE");
}

SCENARIO(OneTransactionARead, "RD-09") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Gives("M.0 wr r=4096", "BR_NOOP BR_TRANSACTION");
  w.Do("M.1 wr r=4096");
}

SCENARIO(DeadBinderEndsTheRead, "RD-10 DN-03 DN-16") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Gives("C.0 wr reqdeath:2:0xb reqdeath:1:0xa", "");
  w.Gives("M.0 close", "");
  // In the order of the nodes, one a read.
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ClearDoneDoesNotEndTheRead, "RD-10 DN-08") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Gives("C.0 wr reqdeath:1:0xa reqdeath:2:0xb", "");
  w.Gives("C.0 wr r=256 cleardeath:1:0xa cleardeath:2:0xb",
          "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE "
          "BR_CLEAR_DEATH_NOTIFICATION_DONE");
}

SCENARIO(FrozenBinderEndsTheRead, "RD-11 FN-01 FN-08") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Gives("C.0 wr reqfreeze:1:0xa reqfreeze:2:0xb", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_FROZEN_BINDER");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_FROZEN_BINDER");
  w.Gives(
      "C.0 wr r=256 freezedone:0xa freezedone:0xb clearfreeze:1:0xa "
      "clearfreeze:2:0xb",
      "BR_NOOP BR_CLEAR_FREEZE_NOTIFICATION_DONE "
      "BR_CLEAR_FREEZE_NOTIFICATION_DONE");
}

SCENARIO(WorkWithoutOutput, "RD-12 RF-10") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  // To zero and up again: there is work, but nothing to tell.
  w.Gives("C.0 wr inc:1 rel:1", "");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_RELEASE BR_TRANSACTION");
}

SCENARIO(BusyThreadGetsNoProcWork, "RD-14 TX-11") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr txn:0:6:1", "");
  w.Blocks("M.0 wr r=256");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(DeferredCompletion, "RD-15 RD-16 TX-01 TX-05") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("C.0 nonblock 1", "");
  w.Fails("C.0 wr r=256", EAGAIN);
  w.Gives("C.0 poll", "");
  w.Gives("C.0 nonblock 0", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(DeferredAndOthers, "RD-17") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  // The completion of a one-way is not deferred and brings the other along.
  w.Gives("C.0 wr r=256 txn:0:6:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(NonLooperServes, "RD-18 TX-02 TX-03 TX-04") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("M.0 wr r=256");
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ raw:5 ]");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ raw:30 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(MoreWorkWakesAnother, "RD-19") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("C.0 wr txn:0:5:1 txn:1:6:1", "");
  // Two items for any thread, and one who takes only one of them.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(FaultWhileDelivering, "RD-20") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  // Only the BR_NOOP and some more can be written.
  w.Fails("M.0 wr r=256 rtail=32", EFAULT);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("C.0 exterr", "");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(FaultAtTheNoop, "RD-21") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Fails("M.0 wr r=256 rbad", EFAULT);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(TransactionFields, "RD-23 RD-24 RD-26 TX-09") {
  StartManager(w, "0x70 0x71 0");
  w.Run("C new euid=1234");
  StartProcess(w, 'C');
  // Unknown flag bits pass through, those of the reply, too.
  w.Blocks("C.0 wr r=256 txn:0:5:0xdeadbf00 [ raw:24 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:7:0xcafe0f01 [ raw:3 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:16 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(SenderGoneAtDelivery, "RD-23 DT-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("C.0 exit", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(SpamSuspectWithoutDetection, "RD-29 AL-22 AL-23") {
  w.Run(R"(
    M.0 up 4096
    M.0 ctxmgr)");
  StartProcess(w, 'C');
  for (const char* step : {"1", "0"}) {
    w.Do(std::string("C.0 spam ") + step);
    for (int i = 0; i < 5; ++i) {
      w.Do("C.0 wr r=256 txn:0:" + std::to_string(i) + ":1 [ raw:460 ]");
    }
    w.Run(R"(
      M.0 wr r=256
      M.0 wr r=256 free:b0
      M.0 wr r=256 free:b1
      M.0 wr r=256 free:b2
      M.0 wr r=256 free:b3)");
    w.Do("M.0 wr free:b0.2 free:b1.2 free:b2.2 free:b3.2");
  }
}

// --- LP ----------------------------------------------------------------------

SCENARIO(SpawnLooper, "LP-01 LP-02 LP-05 LP-06 LP-09") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 2)");
  // The main looper's first read: no thread waits, so another is asked for.
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
  // Not again before it is there.
  w.Gives("A.2 wr r=256 enter", "BR_NOOP");
  w.Gives("A.3 wr r=256 register", "BR_SPAWN_LOOPER");
  w.Gives("A.4 wr r=256 register", "BR_NOOP");
  w.Gives("A.5 wr r=256 enter", "BR_NOOP");
}

SCENARIO(RegisterUnasked, "LP-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 maxthreads 1", "");
  w.Blocks("M.0 wr r=256 register");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Woke("M.0", "BR_SPAWN_LOOPER BR_TRANSACTION");
  // The counters were left alone: the one that has been asked for still fits.
  w.Gives("M.1 wr r=256 register", "BR_NOOP");
  w.Gives("M.2 wr r=256 enter", "BR_NOOP");
}

SCENARIO(EnterAfterRegister, "LP-04") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 2)");
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
  // Does not count as the one that was asked for.
  w.Gives("A.1 wr register", "");
  w.Gives("A.2 wr r=256 enter", "BR_NOOP");
  w.Gives("A.3 wr r=256 register enter", "BR_SPAWN_LOOPER");
}

SCENARIO(NoThreadsAllowed, "LP-07") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 0)");
  w.Gives("A.1 wr r=256 enter", "BR_NOOP");
}

SCENARIO(NoSpawnWhileOneWaits, "LP-05 TX-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 wr r=256 enter", "BR_NOOP");
  w.Blocks("M.1 wr r=256");
  w.Gives("M.2 wr r=256 enter", "BR_NOOP");
  w.Blocks("M.2 wr r=256");
  w.Gives("M.0 maxthreads 1", "");
  // M.1 is still waiting when M.2 goes, but nobody when M.1 goes.
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Woke("M.1", "BR_SPAWN_LOOPER BR_TRANSACTION");
}

SCENARIO(NoSpawnOnError, "LP-08") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 1
    A.0 nonblock 1)");
  w.Fails("A.0 wr r=256 enter", EAGAIN);
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
}

SCENARIO(NoSpawnForNonLoopers, "LP-05") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 1)");
  w.Gives("A.1 wr r=256", "BR_NOOP");
  w.Gives("A.2 wr r=256 enter exitlooper", "BR_SPAWN_LOOPER");
}

SCENARIO(TinyReadBuffer, "RD-22") {
  StartManager(w);
  w.Run(R"(
    M.1 wr r=1
    M.2 wr r=2
    M.3 wr r=3
    M.3 wr r=4)");
}

SCENARIO(ExitLooper, "LP-10") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 wr r=256 enter", "BR_NOOP");
  w.Blocks("M.1 wr r=256 exitlooper");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(RegisteredThreadExits, "LP-11") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 1)");
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
  w.Gives("A.2 wr r=256 register", "BR_NOOP");
  w.Gives("A.2 exit", "");
  // The pool is not filled up again.
  w.Gives("A.3 wr r=256 enter", "BR_NOOP");
}

SCENARIO(LastToWaitIsFirst, "LP-12 LP-13 LP-14") {
  StartManager(w);
  StartProcess(w, 'C');
  for (const char* thread : {"M.1", "M.2", "M.3"}) {
    w.Gives(std::string(thread) + " wr enter", "");
    w.Blocks(std::string(thread) + " wr r=256");
  }
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Woke("M.3", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.3 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Blocks("M.3 wr r=256");
  w.Gives("C.2 wr txn:0:8:0", "");
  w.Woke("M.3", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(BurstToDistinctThreads, "LP-13 TX-27") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  for (const char* thread : {"M.1", "M.2"}) {
    w.Gives(std::string(thread) + " wr enter", "");
    w.Blocks(std::string(thread) + " wr r=256");
  }
  // Both in one call: the second does not go to whom the first has chosen.
  w.Gives("C.0 wr txn:0:5:1 txn:1:6:1", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
  w.Woke("M.2", "BR_NOOP BR_TRANSACTION");
}

}  // namespace
}  // namespace binderlite::conformance
