// SPDX-License-Identifier: Apache-2.0
//
// Scenarios about where a call comes from: another process, another user,
// memory that goes away. Rows of the groups IO, RD, LP.

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

SCENARIO(InheritedDescriptor, "IO-26 DT-10") {
  StartManager(w);
  StartProcess(w, 'A');
  w.Run("B.0@1 borrow A");
  // A thread of B in the open of A: with a record of its own, and as A.
  w.Gives("B.0@1 wr r=256", "BR_NOOP");
  w.Blocks("B.0@1 wr r=256 txn:0:5:0");
  const Result call = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(call.last().data.sender_pid == w.pid('A'), "A is calling");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("B.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  // Closing it makes A's threads return, and does not end the open.
  w.Blocks("A.0 wr r=256");
  w.Gives("B.0@1 close", "");
  w.Woke("A.0", "BR_NOOP");
  w.Blocks("A.0 wr r=256 txn:0:7:0");
}

SCENARIO(UserOfTheOpener, "RD-27") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Run("C.0 euid 1234");
  w.Gives("C.0 wr txn:0:5:1", "");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(got.last().data.sender_euid == 0, "the opener's euid");
}

SCENARIO(OffsetsOfNothing, "RD-25") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 [ raw:5 ] txn:0:6:1", "");
  const Result five = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(five.last().data.offsets == five.last().data.buffer + 8,
           "behind the data");
  const Result none = w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Expect(none.last().data.offsets == none.last().data.buffer,
           "behind no data");
}

SCENARIO(SpawnFaults, "LP-16 LP-06") {
  w.Run(R"(
    A.0 up
    A.0 maxthreads 1
    A.1 wr enter)");
  // The read buffer is the last page.
  w.Blocks("A.1 wr r=4096 rtail=4096");
  w.Gives("A.0 hide 1", "");
  w.Gives("A.0 flush", "");
  w.Expect(w.completed().size() == 2 && w.completed()[1].result.error == EFAULT,
           "nowhere to ask for a thread");
  // Nevertheless, it has been asked for.
  w.Gives("A.2 wr r=256 enter", "BR_NOOP");
  w.Gives("A.3 wr r=256 register", "BR_NOOP");
  w.Gives("A.2 wr", "");
  w.Gives("A.0 maxthreads 2", "");
  w.Gives("A.4 wr r=256 enter", "BR_SPAWN_LOOPER");
}

}  // namespace
}  // namespace binderlite::conformance
