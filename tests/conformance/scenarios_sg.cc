// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group SG (interrupted threads). What happens when work and
// an interrupt wake a thread at the same time cannot be shown in lock step.

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// A signal for a thread that sleeps in a call.
void Interrupt(World& w, const std::string& who) {
  w.Do(who + " interrupt");
  w.Expect(!w.completed().empty() && w.completed()[0].result.error == EINTR,
           who + " is interrupted");
}

SCENARIO(InterruptAfterTheWrite, "SG-01 SG-08 WR-11") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 rc=8 acq:0 txn:0:5:0");
  Interrupt(w, "C.0");
  if (w.completed().empty()) return;
  const Result& result = w.completed()[0].result;
  w.Expect(result.write_consumed == 76 && result.read_consumed == 8,
           "all is written, nothing read");
  // The call is outstanding: the same struct again only reads.
  w.Blocks("C.0 wr r=256 wc=76 acq:0 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(InterruptComesFirst, "SG-02 SG-03") {
  StartManager(w);
  StartProcess(w, 'C');
  for (const char* who : {"M.1", "M.2", "M.3"}) {
    w.Gives(std::string(who) + " wr enter", "");
  }
  // Nothing to read.
  w.Fails("M.1 wr r=256 sig", EINTR);
  // Work for any thread, and of its own.
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("M.2 wr r=256 sig", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.2 wr r=256 reply:6:0 sig", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256 sig", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.1 version", "");
  // A call is made all the same, and only its answer not waited for.
  const Result& call = w.Fails("C.1 wr r=256 txn:0:7:0 sig", EINTR);
  w.Expect(call.write_consumed == 68, "the call is made");
  w.Gives("M.3 wr r=256 sig", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.3 wr reply:8:0", "");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(InterruptDoesNotMatter, "SG-04") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 nonblock 1", "");
  w.Fails("M.0 wr r=256 sig", EAGAIN);
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("M.0 wr r=256 sig", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(InterruptedIsNotWaiting, "SG-09 SG-12 LP-05 LP-08") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 maxthreads 1", "");
  // M.1 is asked to get one more thread, and M.2 comes.
  w.Gives("M.1 wr r=256 enter", "BR_SPAWN_LOOPER");
  w.Gives("M.2 wr register", "");
  w.Gives("M.0 maxthreads 2", "");
  w.Blocks("M.1 wr r=256");
  w.Blocks("M.2 wr r=256");
  Interrupt(w, "M.2");
  // The work goes to M.1, who is the last that waits; a looper as before, so
  // it has to ask for another.
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Woke("M.1", "BR_SPAWN_LOOPER BR_TRANSACTION");
  // Nobody is chosen when nobody waits: the work is for any thread.
  w.Gives("C.1 wr txn:0:6:0", "");
  w.Gives("M.2 wr r=256", "BR_NOOP BR_TRANSACTION");
  // An interrupted thread has no free pass.
  w.Gives("M.2 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Blocks("M.2 wr r=256");
}

SCENARIO(InterruptedLooperIsALooper, "SG-12 LP-05") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.1 wr r=256 enter", "BR_NOOP");
  w.Blocks("M.1 wr r=256");
  Interrupt(w, "M.1");
  w.Gives("M.0 maxthreads 1", "");
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("M.1 wr r=256", "BR_SPAWN_LOOPER BR_TRANSACTION");
  // The count did not change when it was interrupted.
  w.Gives("M.2 wr r=256 enter", "BR_NOOP");
}

SCENARIO(IdleThreadsLeave, "SG-10 SG-23") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  // A call is in progress all the time.
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 txn:" + theirs + ":6:0");
  for (int i = 1; i <= 8; ++i) {
    const std::string who = "M." + std::to_string(i);
    w.Gives(who + " wr enter", "");
    w.Blocks(who + " wr r=256");
  }
  for (int i : {8, 1, 5, 3, 7, 2, 4, 6}) {
    Interrupt(w, "M." + std::to_string(i));
  }
  // Nothing is lost: who comes later gets it.
  w.Gives("C.1 wr txn:0:7:1", "");
  w.Gives("C.2 wr txn:0:8:0", "");
  w.Gives("M.3 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.8 wr r=256");
  // And the call goes on.
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("A.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(InterruptedFreeze, "SG-21 FZ-08 FZ-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.1 version", "");
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("C.1 freeze M 1 60000");
  w.Gives("C.2 wr r=256 txn:0:6:0", "BR_NOOP BR_FROZEN_REPLY");
  Interrupt(w, "C.1");
  // Not frozen after all.
  w.Gives("C.2 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(InterruptedWhileServing, "SG-22 DT-01") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x20, 0x21));
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256");
  Interrupt(w, "M.0");
  // Both levels of the stack survive.
  w.Blocks("M.0 wr r=256 txn:" + theirs + ":6:0");
  Interrupt(w, "M.0");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("A.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("M.0 wr reply:8:0", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  // What kills the thread tells the caller.
  w.Blocks("C.0 wr r=256 txn:0:9:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256");
  Interrupt(w, "M.0");
  w.Gives("M.0 exit", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
}

}  // namespace
}  // namespace binderlite::conformance
