// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group RF (reference counting).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

const char kDone[] = "BR_NOOP BR_TRANSACTION_COMPLETE";
const char kNewNode[] = "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE";

// M holds the node 0x10:0x11 of C strongly, as handle 1, and C has
// acknowledged that.
void Start(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Quietly(R"(
    C.0 wr r=256 txn:0:9000:1 [ bin:0x10:0x11 ]
    C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11
    M.0 wr r=256
    M.0 wr acq:1 free:b9000)");
}

// --- What the owner is told --------------------------------------------------

SCENARIO(OneRefForEverything, "RF-02 RF-12 RF-13") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ wbin:0x10:0x11 bin:0x10:0x11 ]", kNewNode);
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).handle == 1, "1");
  w.Expect(Received(w, got, 1).handle == 1, "1, too");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  // A weak count next to strong ones, which keeps the handle.
  w.Gives("M.0 wr acq:1 acq:1 inc:1 inc:1 free:b5", "");
  w.Gives("M.0 wr rel:1 dec:1", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr rel:1", "");
  w.Woke("C.0", "BR_NOOP BR_RELEASE");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr dec:1", "");
  w.Woke("C.0", "BR_NOOP BR_DECREFS");
}

SCENARIO(OwnerIsToldBeforeItsCompletion, "RF-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0 [ bin:0x10:0x11 ]", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5", "");
  // Nobody else gets it.
  w.Gives("C.1 version", "");
  w.Blocks("C.1 wr r=256 enter");
  w.Gives("M.0 wr r=256 reply:6:0", kDone);
  const Result got = w.Gives("C.0 wr r=256",
                             "BR_NOOP BR_INCREFS BR_ACQUIRE "
                             "BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Expect(got.nth(1).ptr == 0x10 && got.nth(1).cookie == 0x11 &&
               got.nth(2).ptr == 0x10 && got.nth(2).cookie == 0x11,
           "its ptr and cookie");
}

SCENARIO(NodeThatNobodyKeeps, "RF-04") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:1 [ bin:0x10:0x11 wbin:0x20:0x21 ]", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256", kDone);
  w.Run("C.0 nodedebug 0");
  // It may have another cookie now.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x99 ]", kNewNode);
}

SCENARIO(NodeThatIsGoneByTheReply, "RF-04 RF-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b5 reply:6:0", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Run("C.0 nodedebug 0");
}

SCENARIO(OwnerHoldsUntilDone, "RF-06 RF-08 RF-09") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kNewNode);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // Nobody else holds it any more, but it has not been acknowledged.
  w.Gives("M.0 wr free:b5", "");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  // Not by these either: another ptr, another cookie.
  w.Gives("C.0 wr acqdone:0x18:0x11 acqdone:0x10:0x12 incdone:0x10:0x12 enter",
          "");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Run("C.0 nodedebug 0");
  // Each waits for its own.
  w.Gives("C.0 wr r=256 acqdone:0x10:0x11", "BR_NOOP BR_RELEASE");
  w.Gives("C.0 wr acqdone:0x10:0x11", "");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Gives("C.0 wr r=256 incdone:0x10:0x11", "BR_NOOP BR_DECREFS");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  w.Run("C.0 nodedebug 0");
}

SCENARIO(IncrefsDoneFirst, "RF-08 RF-11") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kNewNode);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  // While it is held strongly, there is no weak side to let go.
  w.Blocks("C.0 wr r=256 incdone:0x10:0x11");
  w.Do("C.0 interrupt");
  w.Gives("C.0 wr r=256 acqdone:0x10:0x11", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(NodeStillHeldWhenItIsSentAgain, "RF-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kNewNode);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  // It is the same node still, so nothing is said.
  Refused(w, "C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x12 ]", EINVAL);
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x11 ]", kDone);
}

SCENARIO(ReleaseGoesToAnyThread, "RF-07 RF-11") {
  Start(w);
  w.Gives("M.0 wr rel:1", "");
  // C.1 has never had to do with it.
  w.Gives("C.1 version", "");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Run("C.0 nodedebug 0");
  w.Fails("M.0 noderef 1", EINVAL);
}

SCENARIO(AcquireFollowsIncrefs, "RF-11 RF-05 RF-07") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ wbin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr incdone:0x10:0x11", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr inc:1 free:b5", "");
  // Only what is new.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr acqdone:0x10:0x11", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b6", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE");
  w.Gives("M.0 wr dec:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DECREFS");
}

SCENARIO(DownAndUpAgain, "RF-10") {
  Start(w);
  // There is something queued for C, which has nothing to say.
  w.Gives("M.0 wr inc:1 rel:1", "");
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 dec:1 free:b5", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(DoneForUnknownNodes, "RF-09") {
  Start(w);
  // All of it is ignored, and what follows is carried out.
  w.Gives(
      "C.0 wr r=256 incdone:0x66:0x67 acqdone:0x66:0x67 incdone:0x10:0x12 "
      "acqdone:0x10:0x12 incdone:0x10:0x11 acqdone:0x10:0x11 txn:0:5:1",
      kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr rel:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(TwoHolders, "RF-23") {
  Start(w);
  StartProcess(w, 'D');
  w.Blocks("D.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b5 reply:6:0 [ hnd:1 ]", kDone);
  w.Gives("D.0 wr acq:1 free:b6", "");
  // C is not told that there is another one.
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr rel:1", "");
  w.Expect(w.Asleep('C', 0), "C is not told that M is gone");
  w.Do("C.0 interrupt");
  w.Gives("D.0 wr rel:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

// --- What the holder does ----------------------------------------------------

SCENARIO(WeakIsNotPromoted, "RF-14") {
  Start(w);
  w.Gives("M.0 wr inc:1 rel:1 acq:1 acq:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE");
  Refused(w, "M.0 wr r=256 txn:1:5:1", EINVAL);
  // It has not been counted: one release too many changes nothing.
  w.Gives("M.0 wr rel:1 dec:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DECREFS");
  // 0 is taken by the node.
  w.Gives("C.0 wr inc:0", "");
  Refused(w, "C.0 wr r=256 txn:0:6:1 [ hnd:0 ]", EINVAL);
  w.Gives("C.0 wr r=256 acq:0 txn:0:7:1 [ hnd:0 ]", kDone);
}

SCENARIO(CountsThatAreIgnored, "RF-15") {
  Start(w);
  w.Gives("M.0 wr inc:7 acq:7 rel:7 dec:7 dec:1 dec:1 inc:0x80000000", "");
  w.Gives("M.0 wr inc:1 rel:1 rel:1 rel:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE");
  w.Gives("M.0 wr dec:1 dec:1 rel:1", "");
  w.Gives("C.0 wr r=256 dec:0 rel:0", "BR_NOOP BR_DECREFS");
  // The rest of the commands is carried out.
  w.Gives("C.0 wr r=256 rel:5 txn:0:6:1", kDone);
}

SCENARIO(HandleZero, "RF-16 RF-18 RF-19") {
  StartProcess(w, 'C');
  // Without a manager, and without a handle 0.
  w.Gives("C.0 wr acq:0 inc:0 rel:0 dec:0", "");
  StartManager(w);
  // None of it has been counted.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ whnd:0 ]", EINVAL);
  w.Gives("C.0 wr r=256 acq:0 txn:0:6:1 [ hnd:0 ]", kDone);
  w.Gives("C.0 wr reqdeath:0:0xa", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  // Without a manager, it is the old one's: two, then one again.
  w.Gives("C.0 wr acq:0 rel:0", "");
  StartProcess(w, 'N');
  w.Gives("N.0 ctxmgr", "");
  // 0 is taken, so the new one's is 1; 0 is still let go as 0.
  w.Gives("C.0 wr acq:0", "");
  const Result got = w.Gives("C.0 wr r=256 txn:0:7:1 [ hnd:0 hnd:1 ]", kDone);
  const Result dead = w.Gives("N.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, dead, 0).type == ObjectType::kHandle, "the dead one");
  w.Expect(Received(w, dead, 1).type == ObjectType::kBinder, "the living one");
  w.Gives("C.0 wr rel:0", "");
  Refused(w, "C.0 wr r=256 txn:0:8:1 [ hnd:0 ]", EINVAL);
  // Both again, by way of the node: 1 it is.
  w.Gives("C.0 wr acq:0 rel:1", "");
  w.Gives("C.0 wr r=256 txn:0:9:1 [ hnd:1 ]", kDone);
  w.Gives("C.0 wr rel:1", "");
  // Now that it is free, it is taken.
  w.Gives("C.0 wr r=256 inc:0 txn:0:10:1 [ whnd:0 ]", kDone);
  w.Gives("C.0 wr dec:0", "");
  Refused(w, "C.0 wr r=256 txn:0:11:1 [ whnd:0 ]", EINVAL);
}

SCENARIO(ManagerAcquiresItself, "RF-17") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Fails("M.0 wr r=256 enter acq:0 enter", EINVAL);
  w.Fails("M.0 wr r=256 inc:0", EINVAL);
  // Not so letting go, and not so another open of the same process.
  w.Gives("M.0 wr rel:0 dec:0", "");
  w.Run("M.0@1 up");
  w.Gives("M.0@1 wr acq:0 inc:0", "");
  w.Gives("M.0@1 wr rel:0 dec:0", "");
}

SCENARIO(OneWayKeepsItsNode, "RF-20 TG-09") {
  Start(w);
  w.Gives("M.0 wr r=256 txn:1:5:1", kDone);
  w.Gives("M.0 wr r=256 txn:1:6:1 rel:1", kDone);
  w.Fails("M.0 noderef 1", EINVAL);
  const Result got = w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(got.last().data.target.ptr == 0x10, "0x10");
  w.Gives("C.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Gives("C.0 wr r=256 free:b6", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(LastCountTakesEverythingAlong, "RF-21 DN-13 FN-12") {
  StartManager(w);
  StartProcess(w, 'C');
  for (int node : {1, 2, 3}) {
    GiveNode(w, 'C', 0x10u * static_cast<unsigned>(node), 1);
  }
  // 1: a death that is not known yet; 2: queued; 3: delivered.
  w.Gives("C.0 wr reqdeath:1:0xa reqdeath:2:0xb reqdeath:3:0xc", "");
  w.Gives("C.0 wr rel:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr rel:2", "");
  const Result got = w.Gives("C.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
  w.Expect(got.last().cookie == 0xc, "only of 3");
  w.Gives("C.0 wr rel:3 deaddone:0xc", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(CleanupTakesTheRestAlong, "RF-22 DN-13") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 wbin:0x20:0x21 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_INCREFS BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11 incdone:0x20:0x21", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr reqdeath:1:0xa reqdeath:2:0xb", "");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS BR_DECREFS");
  w.Gives("C.0 close", "");
  w.Blocks("M.0 wr r=256");
  // Both numbers are free.
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:6:1 [ bin:0x30:0x31 bin:0x40:0x41 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_INCREFS BR_ACQUIRE "
          "BR_TRANSACTION_COMPLETE");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, w.last_completed(), 0).handle == 1, "1");
  w.Expect(Received(w, w.last_completed(), 1).handle == 2, "2");
}

SCENARIO(WeakWithoutTheOwnerKnowing, "RF-25 RF-28") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  // Who is to be told, ends without having read it.
  w.Gives("C.1 wr txn:0:5:1 [ bin:0x10:0x11 ]", "");
  w.Gives("C.1 exit", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5", "");
  w.Run("C.0 nodedebug 0");
  w.Blocks("C.0 wr r=256");
  // Weak counts are taken all the same, and sent.
  w.Gives("M.0 wr inc:1", "");
  w.Blocks("D.0 wr r=256 txn:0:6:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b6 reply:7:0 [ whnd:1 ]", kDone);
  w.Woke("D.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Expect(Received(w, w.last_completed(), 0).type == ObjectType::kWeakHandle,
           "a weak handle");
  w.Expect(w.Asleep('C', 0), "C is told nothing");
  w.Gives("M.0 wr rel:1", "");
  w.Run("C.1 nodedebug 0");
  w.Gives("M.0 wr dec:1", "");
  w.Gives("D.0 wr free:b7", "");
  w.Run("C.1 nodedebug 0");
}

SCENARIO(ToldWithTheNextChange, "RF-28") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.1 wr txn:0:5:1 [ bin:0x10:0x11 ]", "");
  w.Gives("C.1 exit", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5", "");
  // It is not told when the node is sent once more, or let go.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x11 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr rel:1 free:b6", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("C.1 version", "");
  w.Run("C.1 nodedebug 0");
  w.Gives("C.1 wr r=256 txn:0:7:1 [ bin:0x10:0x12 ]", kNewNode);
}

SCENARIO(ReleasedMoreThanItHolds, "RF-26") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kNewNode);
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // What the buffer holds is let go explicitly, twice.
  w.Gives("M.0 wr rel:1 rel:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x20:0x21 ]", kNewNode);
  w.Gives("C.0 wr incdone:0x20:0x21 acqdone:0x20:0x21", "");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).handle == 1, "1");
  w.Gives("M.0 wr acq:1 free:b6", "");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Gives("M.0 wr rel:1", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(BufferOutlivesItsHandle, "RF-26") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]", kNewNode);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr rel:1", "");
  // The number means another node when the buffer is freed, and it is that
  // one which is let go.
  w.Gives("C.1 wr txn:0:6:0 [ bin:0x20:0x21 ]", "");
  w.Gives("M.1 version", "");
  const Result got = w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).handle == 1, "1");
  w.Gives("M.0 wr free:b5", "");
  Refused(w, "M.0 wr r=256 txn:1:7:1", EINVAL);
  w.Gives("M.0 wr free:b6", "");
}

SCENARIO(NodeWorkMoves, "RF-27") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ wbin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr incdone:0x10:0x11", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // Any thread of C could take this.
  w.Gives("M.0 wr free:b5", "");
  // A first strong reference makes it the sender's.
  w.Gives("C.1 wr txn:0:6:1 [ bin:0x10:0x11 ]", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_ACQUIRE BR_TRANSACTION_COMPLETE");
}

SCENARIO(NodeWorkStays, "RF-27") {
  Start(w);
  w.Gives("M.0 wr rel:1", "");
  // The owner has been told of strong references before, so this is not news.
  w.Gives("C.1 wr txn:0:5:1 [ bin:0x10:0x11 ]", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Gives("C.1 wr r=256", kDone);
}

SCENARIO(ThousandHandles, "RF-29 RF-01") {
  StartManager(w);
  StartProcess(w, 'C');
  const bool quiet = w.SetQuiet(true);
  std::uint64_t ptr = 0x1000;
  std::uint32_t expected = 1;
  bool all = true;
  const auto send = [&](int count, std::uint32_t step) {
    std::string line = "C.0 wr r=16384 txn:0:5:1 [";
    for (int i = 0; i < count; ++i, ptr += 8) {
      line += " bin:" + std::to_string(ptr) + ":1";
    }
    w.Do(line + " ]");
    const Result got = w.Do("M.0 wr r=256");
    std::string keep = "M.0 wr";
    for (int i = 0; i < count; ++i, expected += step) {
      const std::uint32_t handle =
          Received(w, got, static_cast<std::size_t>(i)).handle;
      all = all && handle == expected;
      keep += " acq:" + std::to_string(handle);
    }
    w.Do(keep);
    if (got.returns.empty()) return;
    w.Do("M.0 wr free:" + got.last().buffer);
  };
  for (int i = 0; i < 4; ++i) send(250, 1);
  w.Expect(all, "1 to 1000");
  for (int i = 0; i < 4; ++i) {
    std::string release = "M.0 wr";
    for (int k = 1; k < 250; k += 2) {
      release += " rel:" + std::to_string(250 * i + k);
    }
    w.Do(release);
  }
  expected = 1;
  for (int i = 0; i < 2; ++i) send(250, 2);
  w.Expect(all, "1, 3, 5 to 999");
  expected = 1001;
  send(3, 1);
  w.Expect(all, "1001 to 1003");
  w.SetQuiet(quiet);
}

SCENARIO(HandlesOfTheDead, "RF-30 DN-18") {
  Start(w);
  w.Gives("M.0 wr acq:1 inc:1", "");
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256 txn:1:5:1", "BR_NOOP BR_DEAD_REPLY");
  // Two strong counts and a weak one, as if it lived.
  w.Gives("M.0 wr rel:1", "");
  w.Gives("M.0 wr r=256 txn:1:5:1", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("M.0 wr rel:1", "");
  Refused(w, "M.0 wr r=256 txn:1:5:1", EINVAL);
  w.Gives("M.0 wr inc:1 dec:1 dec:1", "");
  // Its number is free now.
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:6:1 [ bin:0x30:0x31 ]", kNewNode);
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).handle == 1, "1");
}

// A node that no handle refers to, but a buffer of its owner holds.
SCENARIO(NodeOfNobodyIsLookedAt, "RF-31") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'B');
  w.Gives("A.0 wr r=256 txn:0:2:1 [ bin:0x50:0x51 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 txn:1:3:1", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 close", "");
  w.Run("A.1 wr r=256");  // Its first read returns at once.
  const auto nothing = [&w] {
    w.Blocks("A.1 wr r=256");
    w.Do("A.1 interrupt");
  };
  nothing();
  for (const char* look :
       {"A.0 wr incdone:0x50:0x51", "A.0 wr incdone:0x50:0x51",
        "A.0 wr incdone:0x50:0x99", "A.0 wr acqdone:0x50:0x51",
        "B.0 freeze A 0 0"}) {
    w.Gives(look, "");
    w.Gives("A.1 wr r=8", "BR_NOOP");
    nothing();
  }
  w.Gives("A.0 wr free:b3", "");
  w.Gives("A.1 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

}  // namespace
}  // namespace binderlite::conformance
