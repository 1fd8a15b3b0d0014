// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group DT (ends of threads and of opens).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// --- Threads -----------------------------------------------------------------

SCENARIO(ExitWhileServing, "DT-01 EE-10") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ raw:8 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 exit", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_OK, 0);
  // The buffer is still there, until somebody frees it.
  w.Gives("C.0 wr txn:0:6:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Buffer('M', "b6") == w.Mapping('M') + 8, "behind the old one");
  w.Gives("M.1 wr free:b5 free:b6", "");
  w.Gives("C.0 wr txn:0:7:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Buffer('M', "b7") == w.Mapping('M'), "the first buffer");
  // There is no call to answer any more.
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_FAILED_REPLY");
}

SCENARIO(ExitWhileCalling, "DT-02 TX-19") {
  StartManager(w);
  StartProcess(w, 'C');
  // Once before the call has been read, once after.
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("C.0 exit", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr txn:0:6:0", "");
  w.Gives("M.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 exit", "");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  w.Gives("C.0 wr r=256", "BR_NOOP");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ExitWithUnreadCall, "DT-04 LP-14") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=8");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Woke("M.1", "BR_NOOP");
  // Another thread would have the time, but does not get it.
  w.Gives("M.2 wr enter", "");
  w.Blocks("M.2 wr r=256");
  w.Gives("M.1 exit", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Expect(w.Asleep('M', 2), "nobody else gets it");
  ExpectError(w, "C.0", Br::BR_OK, 0);
}

SCENARIO(ExitWithUnreadNestedCall, "DT-04 DT-02") {
  StartManager(w);
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'C', 0x10, 0x11));
  w.Gives("C.1 wr enter", "");
  w.Blocks("C.1 wr r=256");
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 txn:" + theirs + ":6:0");
  // It waits for its caller's thread, which goes away.
  w.Gives("C.0 exit", "");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Expect(w.Asleep('C', 1), "nobody else gets it");
  w.Gives("M.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(ExitWithUnreadReply, "DT-05") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ raw:8 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 exit", "");
  w.Gives("C.0 wr r=256", "BR_NOOP");
  // Its buffer is never seen, and stays.
  w.Blocks("C.0 wr r=256 txn:0:7:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Expect(w.Buffer('C', "b8") == w.Mapping('C') + 8, "behind the lost one");
}

SCENARIO(ExitWithOtherWork, "DT-06 DN-08") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  // A completion, the end of a death request, an error.
  w.Gives("C.0 wr enter reqdeath:1:0xa", "");
  w.Gives("C.0 wr txn:0:5:1 cleardeath:1:0xa txn:77:6:1", "");
  w.Gives("C.0 exit", "");
  w.Gives("C.0 wr r=256", "BR_NOOP");
  w.Gives("C.1 version", "");
  w.Blocks("C.1 wr r=256");
  // The error does not stop the new record from writing.
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(OsThreadEnds, "DT-09") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("M.1 endthread");
  w.Expect(w.Asleep('C', 0), "the record is still serving");
  // With the last of what keeps the open, it ends.
  w.Gives("M.0 close", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
}

// --- Opens -------------------------------------------------------------------

SCENARIO(CloseOfADuplicate, "DT-10 SG-19 RD-13") {
  StartManager(w);
  StartProcess(w, 'C');
  // One waits for work, one for the answer to a call, one does not wait.
  w.Gives("M.1 wr enter", "");
  w.Gives("M.2 version", "");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.1 wr r=256");
  w.Blocks("M.0 wr r=256");
  w.Gives("M.3 flush", "");
  w.Woke("M.0", "BR_NOOP");
  w.Woke("M.1", "BR_NOOP");
  w.Expect(w.Asleep('C', 0), "other opens are not concerned");
  w.Gives("M.2 wr r=256", "BR_NOOP");
  // Once each.
  w.Blocks("M.2 wr r=256");
  w.Blocks("M.1 wr r=256");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(CloseOfADuplicateWhileCalling, "DT-10") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  // Who waits for an answer gets what is there.
  w.Do("C.1 flush");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Do("C.0 wr r=256");
}

SCENARIO(CloseWhileReading, "DT-11 DT-12 IO-11") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("C.0 wr reqdeath:1:0xd", "");
  w.Blocks("M.0 wr r=256");
  w.Gives("M.1 close", "");
  w.Woke("M.0", "BR_NOOP");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Gives("C.0 wr r=256 txn:0:5:0", "BR_NOOP BR_DEAD_REPLY");
}

SCENARIO(OrderOfRelease, "DT-12 FZ-17 DN-23 AS-10") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  ShareNode(w, 'A', 'C', 0x10, 0x11);
  w.Gives("C.0 wr reqdeath:1:0x2 reqdeath:2:0x1", "");
  // A has queued one-ways and is frozen.
  w.Gives("C.0 freeze A 1 0", "");
  w.Gives("C.0 wr txn:1:5:1 txn:1:6:1", "");
  w.Gives("A.0 close", "");
  // Not frozen any more, but dead.
  w.Gives("C.0 wr r=256 txn:1:7:0",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN "
          "BR_TRANSACTION_PENDING_FROZEN BR_DEAD_REPLY");
  const Result first = w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Expect(first.last().cookie == 1, "the lower address first");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ReleaseTellsQueuedCallsToo, "DT-12 DT-13 TX-22") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'D', 0x10, 0x11);
  w.Gives("C.0 wr reqdeath:1:0xc", "");
  w.Gives("D.0 wr reqdeath:1:0xd", "");
  // C's call is in progress, D's waits.
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("D.0 wr txn:1:6:0", "");
  w.Gives("M.1 close", "");
  for (const char* who : {"C.0", "D.0"}) {
    w.Gives(std::string(who) + " wr r=256",
            "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
    w.Gives(std::string(who) + " wr r=256", "BR_NOOP BR_DEAD_BINDER");
    w.Gives(std::string(who) + " wr r=256 txn:1:7:0", "BR_NOOP BR_DEAD_REPLY");
  }
}

SCENARIO(OwnersHearOfTheEnd, "DT-14 RF-07 RF-23") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  GiveNode(w, 'D', 0x20, 0x21);
  w.Gives("C.0 wr inc:1 rel:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE");
  // Of the first node C has the last count, of the second D has one, too.
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_DECREFS");
  w.Gives("D.0 close", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

// C calls M, which calls A. M dies while A serves.
SCENARIO(DeadInTheMiddle, "DT-15 TX-23") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:" + theirs + ":6:0 [ raw:8 ]", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 close", "");
  // A's call keeps what is left of M, C's thread waits with it.
  w.Expect(w.Asleep('C', 0), "the first caller is not told");
  w.Gives("A.0 wr r=256 free:b6 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
}

SCENARIO(OneWaySenderCloses, "DT-16") {
  StartManager(w);
  StartProcess(w, 'C', "euid=1234");
  w.Gives("C.0 wr txn:0:5:1 [ raw:24 ]", "");
  w.Gives("C.0 close", "");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(
      got.last().data.sender_pid == 0 && got.last().data.sender_euid == 1234,
      "no pid, but the user");
  w.Gives("M.0 wr free:b5", "");
}

SCENARIO(CallerCloses, "DT-17 TX-19") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0 [ bin:0x10:0x11 ]", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256 txn:1:6:1", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("M.0 wr r=256 free:b5 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  // The handle in it went with the buffer.
  w.Gives("M.0 wr r=256 txn:1:8:1", "BR_NOOP BR_FAILED_REPLY");
}

// A's thread calls B, which calls that thread; A dies while it serves.
SCENARIO(NestedCallerDies, "DT-18 DT-17") {
  StartManager(w);
  StartProcess(w, 'A');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Gives("A.0 wr txn:0:5:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 txn:" + theirs + ":6:0");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION");
  w.Gives("A.0 close", "");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  // The outer call can be answered, though nobody hears it.
  w.Gives("M.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_FAILED_REPLY");
}

SCENARIO(DeadNodeStays, "DT-19 RF-30 DN-18") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  w.Gives("A.0 close", "");
  w.Gives("C.0 wr r=256 txn:1:5:1", "BR_NOOP BR_DEAD_REPLY");
  // Its handle is taken, until the last reference is gone.
  w.Expect(GiveNode(w, 'C', 0x10, 0x11) == 2, "the next handle");
  w.Gives("C.0 wr inc:1 rel:1", "");
  w.Gives("C.0 wr r=256 txn:1:6:1", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.0 wr r=256 reqdeath:1:0xd", "BR_NOOP BR_DEAD_BINDER");
  w.Gives("C.0 wr deaddone:0xd dec:1", "");
  w.Expect(GiveNode(w, 'C', 0x30, 0x31) == 1, "the handle is free");
}

SCENARIO(ClosedWhileMapped, "DT-20") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 closefdonly", "");
  // It lives on: still the manager, and what it is sent waits.
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 munmap", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Gives("C.0 wr r=256 txn:0:6:0", "BR_NOOP BR_DEAD_REPLY");
}

}  // namespace
}  // namespace binderlite::conformance
