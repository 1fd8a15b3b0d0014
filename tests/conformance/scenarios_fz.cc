// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the groups FZ (freezing) and FN (freeze notifications).

#include <cerrno>
#include <string>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

const char kDone[] = "BR_NOOP BR_TRANSACTION_COMPLETE";
const char kPending[] = "BR_NOOP BR_TRANSACTION_PENDING_FROZEN";
const char kFrozenReply[] = "BR_NOOP BR_FROZEN_REPLY";
const char kFrozen[] = "BR_NOOP BR_FROZEN_BINDER";
const char kCleared[] = "BR_NOOP BR_CLEAR_FREEZE_NOTIFICATION_DONE";

// M, and C with handles 1 to `count` to nodes of M and a second thread.
void Start(World& w, int count = 1) {
  StartManager(w);
  StartProcess(w, 'C');
  for (int i = 1; i <= count; ++i) {
    GiveNode(w, 'C', 0x10u * static_cast<unsigned>(i), 1);
  }
  w.Quietly("C.1 version");
}

// A read of C.0 that gives BR_FROZEN_BINDER with that cookie and state.
void Tell(World& w, std::uint64_t cookie, std::uint32_t state) {
  const Result got = w.Gives("C.0 wr r=256", kFrozen);
  w.Expect(
      !got.returns.empty() && got.last().cookie == cookie &&
          got.last().value == state,
      "cookie " + std::to_string(cookie) + ", state " + std::to_string(state));
}

// --- FZ ----------------------------------------------------------------------

SCENARIO(FreezeAndThaw, "FZ-01 FZ-04 FZ-05 FZ-10 FZ-15 FZ-16") {
  Start(w);
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 0 async 0");
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:1:5:0", kFrozenReply);
  const ExtendedError seen = w.Do("C.0 exterr").extended_error;
  w.Expect(seen.command == static_cast<std::uint32_t>(Br::BR_FROZEN_REPLY) &&
               seen.param == 0,
           "BR_FROZEN_REPLY, 0");
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 1 async 0");
  w.Gives("C.0 wr r=256 txn:0:6:1", kPending);
  // What waits to be read counts as pending.
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 3 async 1");
  // It is in the way of freezing once more, which even thaws then.
  w.Fails("C.0 freeze M 1 0", EAGAIN);
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 2 async 0");
  w.Blocks("C.0 wr r=256 txn:1:7:0");
  // Not frozen, and thawed all the same.
  w.Gives("C.1 freeze M 0 0", "");
  w.Gives("C.1 freeze M 0 1000", "");
}

SCENARIO(FreezeTwice, "FZ-16 FZ-01 FZ-15") {
  Start(w);
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:1:5:0", kFrozenReply);
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 1 async 0");
  // Not by asking.
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 1 async 0");
  w.Gives("C.0 freeze M 1 0", "");
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 0 async 0");
  w.Gives("C.0 wr r=256 txn:1:6:0", kFrozenReply);
  w.Gives("C.0 freeze M 0 0", "");
  // Any number but 0.
  w.Gives("C.0 freeze M 7 0", "");
  w.Gives("C.0 wr r=256 txn:1:6:0", kFrozenReply);
  w.Gives("C.0 freeze M 0 0", "");
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 0 async 0");
}

SCENARIO(FreezeNobody, "FZ-02 FZ-15") {
  w.Run("A.0 up");
  w.Fails("A.0 freeze 99999999 1 0", EINVAL);
  w.Fails("A.0 freeze 99999999 0 0", EINVAL);
  w.Fails("A.0 freeze 0 1 0", EINVAL);
  w.Fails("A.0 frozeninfo 99999999", EINVAL);
  w.Fails("A.0 freeze A bad", EFAULT);
  w.Fails("A.0 frozeninfo A bad", EFAULT);
}

// M has handles 1 and 2 to nodes of the two opens of A, of which @1 is younger.
void TwoOpens(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Quietly(R"(
    A.0 up
    A.0 wr txn:0:5:1 [ bin:0x10:0x11 ]
    M.0 wr r=256
    M.0 wr acq:1 free:b5
    A.0 wr r=256 incdone:0x10:0x11 acqdone:0x10:0x11
    A.1@1 up
    A.1@1 wr txn:0:6:1 [ bin:0x20:0x21 ]
    M.0 wr r=256
    M.0 wr acq:2 free:b6
    A.1@1 wr r=256 incdone:0x20:0x21 acqdone:0x20:0x21
    A.2 version)");
}

SCENARIO(AllOpensFreeze, "FZ-01 FZ-03 FZ-15") {
  TwoOpens(w);
  w.Gives("C.0 freeze A 1 0", "");
  w.Gives("M.0 wr r=256 txn:1:7:0", kFrozenReply);
  Tells(w, w.Gives("C.0 frozeninfo A", ""), "sync 1 async 0");
  w.Gives("M.0 wr r=256 txn:2:8:1", kPending);
  // Each has noted one of it.
  Tells(w, w.Gives("C.0 frozeninfo A", ""), "sync 3 async 1");
  w.Gives("C.0 freeze A 0 0", "");
  w.Gives("M.0 wr r=256 txn:1:9:1", kDone);
}

SCENARIO(TheOlderOpenIsBusy, "FZ-03") {
  TwoOpens(w);
  w.Gives("M.0 wr r=256 txn:1:7:1", kDone);
  w.Fails("C.0 freeze A 1 0", EAGAIN);
  // The younger one has been frozen before, and stays so.
  w.Gives("M.0 wr r=256 txn:2:8:0", kFrozenReply);
  w.Gives("M.0 wr r=256 txn:1:9:1", kDone);
}

SCENARIO(TheYoungerOpenIsBusy, "FZ-03") {
  TwoOpens(w);
  w.Gives("M.0 wr r=256 txn:2:7:1", kDone);
  w.Fails("C.0 freeze A 1 0", EAGAIN);
  // The older one has not come to its turn.
  w.Gives("M.0 wr r=256 txn:1:8:1", kDone);
  w.Gives("M.0 wr r=256 txn:2:9:1", kDone);
}

SCENARIO(OpensOfAllContextsFreeze, "FZ-03") {
  TwoOpens(w);
  // In another context something is going on.
  w.Run(R"(
    H.0 open hwbinder
    H.0 mmap 4096
    H.0 ctxmgr
    A.2@2 open hwbinder
    A.2@2 mmap 4096
    A.2@2 wr txn:0:7:0)");
  w.Fails("C.0 freeze A 1 0", EAGAIN);
  w.Gives("M.0 wr r=256 txn:1:8:1", kDone);
  w.Gives("M.0 wr r=256 txn:2:9:1", kDone);
}

SCENARIO(FreezeTheBusy, "FZ-05 FZ-07") {
  Start(w);
  // A call that has not been read.
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  // One that is being served.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  w.Gives("M.0 wr free:b5", "");
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  // The caller: nothing has been sent to it, but it waits.
  w.Fails("C.1 freeze C 1 0", EAGAIN);
  w.Gives("M.0 wr r=256 reply:6:0", kDone);
  w.Gives("C.1 freeze M 1 0", "");
  // A reply that has not been read.
  w.Fails("C.1 freeze C 1 0", EAGAIN);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.1 freeze C 1 0", "");
  w.Gives("C.1 freeze M 0 0", "");
  w.Gives("C.1 freeze C 0 0", "");
  // It had been left unfrozen by all those that failed.
  w.Gives("C.0 wr r=256 txn:1:7:1 txn:1:8:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE");
  // One-ways count until they are read, and so do those that wait for them.
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  w.Gives("M.0 wr r=256 free:b7", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 freeze M 1 0", "");
}

SCENARIO(FailedFreezeLeavesNothing, "FZ-05 FZ-15") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:1:5:1", kDone);
  w.Fails("C.0 freeze M 1 0", EAGAIN);
  // Whether it is frozen or not, what is pending is told.
  Tells(w, w.Gives("C.0 frozeninfo M", ""), "sync 2 async 0");
  w.Gives("C.0 wr r=256 txn:1:6:1", kDone);
  w.Gives("C.0 wr txn:0:7:0", "");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 2 async 0");
}

SCENARIO(FreezeWaits, "FZ-06 FZ-09") {
  Start(w);
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Blocks("C.1 freeze M 1 100000");
  // For others it is frozen already.
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:6:0", kFrozenReply);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Asleep('C', 1), "still served");
  w.Gives("M.0 wr r=256 reply:7:0", kDone);
  w.Woke("C.1", "");
  w.Expect(!w.Asleep('C', 1), "frozen");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 1");
  w.Gives("D.0 wr r=256 txn:0:8:0", kFrozenReply);
}

SCENARIO(FreezeGivesUp, "FZ-06") {
  Start(w);
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Do("C.1 freeze M 1 300");
  w.Gives("C.2 wait 1500", "");
  w.Expect(w.completed().size() == 1 && w.completed()[0].result.error == EAGAIN,
           "EAGAIN");
  StartProcess(w, 'D');
  w.Blocks("D.0 wr r=256 txn:0:6:0");
}

SCENARIO(FreezeIsInterrupted, "FZ-08") {
  Start(w);
  w.Gives("C.0 wr txn:1:5:0", "");
  w.Blocks("C.1 freeze M 1 100000");
  w.Do("C.1 interrupt");
  w.Expect(w.completed().size() == 1 && w.completed()[0].result.error == EINTR,
           "EINTR");
  StartProcess(w, 'D');
  w.Blocks("D.0 wr r=256 txn:0:6:0");
}

SCENARIO(ReplyToTheFrozen, "FZ-12 FZ-09 FZ-07") {
  Start(w);
  StartProcess(w, 'D');
  w.Blocks("C.0 wr r=256 txn:1:5:0 [ bin:0x50:0x51 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // It has nothing to finish but waits itself: that is not waited for.
  w.Fails("D.0 freeze C 1 100000", EAGAIN);
  // Now it is being called.
  w.Gives("M.1 wr txn:1:6:0", "");
  w.Blocks("D.0 freeze C 1 100000");
  w.Gives("M.1 wr r=256 txn:1:7:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("M.0 wr r=256 reply:8:0 [ raw:8 ]", kDone);
  w.Woke("C.0",
         "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr r=256 reply:9:0", kDone);
}

SCENARIO(ReplyToWhoFrozeItself, "FZ-12 FZ-13") {
  // It calls while it is frozen.
  Start(w);
  w.Gives("C.1 freeze C 1 0", "");
  w.Blocks("C.0 wr r=256 txn:1:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ raw:8 ]", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr r=256 txn:1:7:1", kDone);
}

SCENARIO(OneWayToTheFrozen, "FZ-11 FZ-13 FZ-14 FZ-15") {
  Start(w);
  w.Gives("C.0 freeze M 1 0", "");
  // Not an error, so that the commands behind it are carried out.
  w.Gives("C.0 wr r=256 txn:1:5:1 txn:1:6:1",
          "BR_NOOP BR_TRANSACTION_PENDING_FROZEN "
          "BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("C.0 exterr", "");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 2 async 1");
  // The frozen one reads, frees and sends as ever.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 2 async 1");
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 0 async 1");
  w.Blocks("M.0 wr r=256 free:b6");
  w.Gives("C.1 freeze M 0 0", "");
  Tells(w, w.Gives("C.1 frozeninfo M", ""), "sync 0 async 0");
  w.Gives("C.0 wr r=256 txn:1:7:1", kDone);
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(OneWayToAFrozenReader, "FZ-14 FZ-11") {
  Start(w);
  w.Blocks("M.0 wr r=256");
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:1:5:1", kPending);
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(FrozenServes, "FZ-13") {
  Start(w);
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:5:1 [ bin:0x50:0x51 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5", "");
  w.Gives("C.0 freeze M 1 0", "");
  // It sends one-ways and calls, and gets its replies.
  w.Gives("M.0 wr r=256 txn:1:6:1", kDone);
  w.Blocks("M.0 wr r=256 txn:1:7:0");
  w.Gives("D.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("D.1 version", "");
  w.Gives("D.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("D.1 wr r=256 reply:8:0", kDone);
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(UpdatesWhileFrozen, "FZ-19 AS-12") {
  Start(w, 2);
  StartProcess(w, 'D');
  GiveNode(w, 'D', 0x10, 1);
  // Not frozen: nothing is replaced.
  w.Gives("C.0 wr txn:1:1:0x41 txn:1:2:0x41 txn:1:2:0x41", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b1", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b2", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b2.2", "");
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_TRANSACTION_COMPLETE "
          "BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 freeze M 1 0", "");
  // The first goes to the Proc, so that it is not found there.
  w.Gives("C.0 wr r=256 txn:1:5:0x41 [ raw:1 ]", kPending);
  w.Gives("C.0 wr r=256 txn:1:5:0x41 [ raw:2 bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_PENDING_FROZEN");
  w.Gives("C.0 wr r=256 txn:1:6:0x41 [ raw:3 ]", kPending);
  // Another code, other flags, another node, no such flag, another sender.
  w.Gives("C.0 wr r=256 txn:1:5:0x45 [ raw:4 ]", kPending);
  w.Gives("C.0 wr r=256 txn:2:5:0x41 [ raw:5 ]", kPending);
  w.Gives("C.0 wr r=256 txn:1:5:0x01 [ raw:6 ]", kPending);
  w.Gives("D.0 wr r=256 txn:1:5:0x41 [ raw:8 ]", kPending);
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  w.Blocks("C.1 wr r=256 enter");
  w.Do("C.1 interrupt");
  // This one replaces the second and goes to the end.
  w.Gives("C.0 wr r=256 txn:1:5:0x41 [ raw:7 ]", kPending);
  w.Gives("C.1 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  std::string free;
  for (unsigned size : {1u, 5u, 3u, 4u, 6u, 8u, 7u}) {
    const Result got = w.Gives("M.0 wr r=256" + free, "BR_NOOP BR_TRANSACTION");
    if (got.returns.empty()) continue;
    w.Expect(got.last().data.data_size == size,
             std::to_string(size) + " bytes");
    free = " free:" + got.last().buffer;
    // The first is freed after the other node's has been read, which comes
    // without that.
    if (size == 1) free = "";
    if (size == 5) free = " free:b5";
  }
}

SCENARIO(FreezeItself, "FZ-20 FZ-10") {
  TwoOpens(w);
  // The sender of A is frozen as well as its receiver; M mediates.
  w.Blocks("A.2 wr r=256 txn:0:7:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b7 reply:8:0 [ hnd:2 ]", kDone);
  w.Gives("A.2 wr acq:1 free:b8", "");
  w.Gives("A.0 freeze A 1 0", "");
  w.Gives("A.2 wr r=256 txn:1:9:0", kFrozenReply);
  w.Gives("A.2 wr r=256 txn:1:9:1", kPending);
  w.Gives("A.2 wr r=256 txn:0:10:1", kDone);
  w.Gives("A.1@1 version", "");
  w.Gives("A.1@1 wr r=256", "BR_NOOP BR_TRANSACTION");
}

// --- FN ----------------------------------------------------------------------

SCENARIO(FreezeRequest, "FN-01 FN-04") {
  Start(w, 2);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.1 freeze M 1 0", "");
  Tell(w, 0xa, 1);
  // It starts with what is the case.
  w.Gives("C.0 wr freezedone:0xa reqfreeze:2:0xb", "");
  Tell(w, 0xb, 1);
  w.Gives("C.0 wr freezedone:0xb", "");
  w.Gives("C.1 freeze M 0 0", "");
  Tell(w, 0xa, 0);
  Tell(w, 0xb, 0);
  w.Gives("C.0 wr freezedone:0xa freezedone:0xb", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(FreezeRequestGoesToAnyThread, "FN-01 FN-08") {
  Start(w);
  w.Blocks("C.1 wr r=256 enter");
  w.Gives("C.0 wr enter reqfreeze:1:0xa", "");
  w.Woke("C.1", kFrozen);
  w.Blocks("C.1 wr r=256");
  w.Gives("C.0 wr freezedone:0xa", "");
  // Likewise, although the thread is a looper.
  w.Gives("C.0 wr clearfreeze:1:0xa", "");
  w.Woke("C.1", kCleared);
}

SCENARIO(FreezeRequestForTheDead, "FN-02 FN-13") {
  Start(w);
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  w.Blocks("C.0 wr r=256");
  w.Fails("C.1 wr reqfreeze:1:0xa", EINVAL);
  w.Gives("C.1 wr clearfreeze:1:0xa", "");
  w.Woke("C.0", kCleared);
}

SCENARIO(FreezeRequestsRefused, "FN-03") {
  Start(w, 2);
  w.Fails("C.0 wr r=256 enter reqfreeze:9:0xa enter", EINVAL);
  w.Gives("C.0 wr r=256 reqfreeze:1:0xa", kFrozen);
  w.Fails("C.0 wr r=256 reqfreeze:1:0xa", EINVAL);
  w.Fails("C.0 wr r=256 reqfreeze:1:0xb", EINVAL);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Fails("C.0 wr r=256 reqfreeze:1:0xb", EINVAL);
  // The same cookie on another handle is no matter.
  w.Gives("C.0 wr r=256 reqfreeze:2:0xa", kFrozen);
}

SCENARIO(EqualStates, "FN-04") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  // It is told whether or not there is news.
  w.Gives("C.1 freeze M 0 0", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.1 freeze M 1 0", "");
  Tell(w, 0xa, 1);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.1 freeze M 1 0", "");
  Tell(w, 0xa, 1);
}

SCENARIO(ChangesWhileUnread, "FN-05") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  w.Gives("C.1 freeze M 1 0", "");
  Tell(w, 0xa, 1);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.1 freeze M 0 0", "");
  w.Gives("C.1 freeze M 1 0", "");
  w.Gives("C.1 freeze M 0 0", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ChangesWhileUnacknowledged, "FN-06") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.1 freeze M 1 0", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("C.1 wr freezedone:0xa", "");
  w.Woke("C.0", kFrozen);
  w.Expect(w.last_completed().last().value == 1, "frozen");
  // There and back again is told, too.
  w.Gives("C.1 freeze M 0 0", "");
  w.Gives("C.1 freeze M 1 0", "");
  w.Gives("C.0 wr freezedone:0xa", "");
  Tell(w, 0xa, 1);
  // An equal state is not.
  w.Gives("C.1 freeze M 1 0", "");
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(FreezeDoneRefused, "FN-07") {
  Start(w);
  w.Fails("C.0 wr r=256 enter freezedone:0xa enter", EINVAL);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  w.Fails("C.0 wr freezedone:0xa", EINVAL);
  Tell(w, 0xa, 0);
  w.Fails("C.0 wr freezedone:0xb", EINVAL);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Fails("C.0 wr freezedone:0xa", EINVAL);
}

SCENARIO(ClearFreeze, "FN-08 FN-16") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  // Asked again, with the same cookie, before that has been read.
  w.Gives("C.0 wr clearfreeze:1:0xa reqfreeze:1:0xa", "");
  w.Gives("C.1 freeze M 1 0", "");
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_CLEAR_FREEZE_NOTIFICATION_DONE BR_FROZEN_BINDER");
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ClearUnreadFreeze, "FN-09") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa clearfreeze:1:0xa", "");
  w.Gives("C.0 wr r=256", kCleared);
  w.Blocks("C.0 wr r=256");
  w.Fails("C.1 wr freezedone:0xa", EINVAL);
}

SCENARIO(ClearUnacknowledgedFreeze, "FN-10") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr clearfreeze:1:0xa", "");
  w.Blocks("C.0 wr r=256");
  // A change is not told any more.
  w.Gives("C.1 freeze M 1 0", "");
  w.Expect(w.Asleep('C', 0), "nothing");
  w.Gives("C.1 wr freezedone:0xa", "");
  w.Woke("C.0", kCleared);
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ClearFreezeAfterAChange, "FN-10 FN-06") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.1 freeze M 1 0", "");
  w.Gives("C.0 wr clearfreeze:1:0xa", "");
  w.Gives("C.0 wr r=256 freezedone:0xa", kCleared);
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ClearFreezeRefused, "FN-11") {
  Start(w, 2);
  w.Fails("C.0 wr r=256 enter clearfreeze:9:0xa enter", EINVAL);
  w.Fails("C.0 wr r=256 clearfreeze:1:0xa", EINVAL);
  w.Gives("C.0 wr r=256 reqfreeze:1:0xa", kFrozen);
  w.Fails("C.0 wr r=256 clearfreeze:1:0xb", EINVAL);
  w.Gives("C.0 wr clearfreeze:1:0xa", "");
  w.Fails("C.0 wr r=256 clearfreeze:1:0xa", EINVAL);
  w.Gives("C.0 wr r=256 freezedone:0xa", kCleared);
  w.Fails("C.0 wr r=256 clearfreeze:1:0xa", EINVAL);
}

SCENARIO(ReleasedWithAFreezeRequest, "FN-12 RF-21") {
  Start(w, 3);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa reqfreeze:2:0xb", "");
  Tell(w, 0xb, 0);
  w.Gives("C.0 wr reqfreeze:3:0xc", "");
  // Quiet, delivered and queued.
  w.Gives("C.0 wr rel:1 rel:2 rel:3", "");
  w.Blocks("C.0 wr r=256");
  w.Fails("C.1 wr freezedone:0xb", EINVAL);
  w.Fails("C.1 wr freezedone:0xc", EINVAL);
  w.Gives("C.1 freeze M 1 0", "");
  w.Expect(w.Asleep('C', 0), "nothing");
}

SCENARIO(WatchedOwnerDies, "FN-13") {
  Start(w, 3);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa reqfreeze:2:0xb", "");
  Tell(w, 0xb, 0);
  w.Gives("C.0 wr reqfreeze:3:0xc", "");
  w.Gives("C.1 freeze M 1 0", "");
  Tell(w, 0xc, 1);
  Tell(w, 0xa, 1);
  w.Gives("M.0 close", "");
  // What was frozen has been thawed by its death, of which nothing is told.
  w.Blocks("C.0 wr r=256");
  // But what had changed before that is.
  w.Gives("C.1 wr freezedone:0xb", "");
  w.Woke("C.0", kFrozen);
  w.Expect(w.last_completed().last().value == 1, "frozen");
  // It is cleared as if it lived.
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.0 wr r=256 clearfreeze:1:0xa", kCleared);
  w.Gives("C.0 wr clearfreeze:3:0xc", "");
  w.Gives("C.0 wr r=256 freezedone:0xc", kCleared);
}

SCENARIO(FailedFreezeIsNotTold, "FN-14") {
  Start(w);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr freezedone:0xa", "");
  w.Gives("C.0 wr r=256 txn:1:5:1", kDone);
  w.Fails("C.1 freeze M 1 0", EAGAIN);
  w.Blocks("C.0 wr r=256");
  w.Blocks("C.1 freeze M 1 100000");
  w.Expect(w.Asleep('C', 0), "not while it is waiting");
  w.Do("C.1 interrupt");
  w.Expect(w.Asleep('C', 0), "not then");
}

SCENARIO(WatchingClientDies, "FN-15") {
  Start(w, 3);
  w.Gives("C.0 wr reqfreeze:1:0xa", "");
  Tell(w, 0xa, 0);
  w.Gives("C.0 wr reqfreeze:2:0xb", "");
  Tell(w, 0xb, 0);
  w.Gives("C.0 wr clearfreeze:2:0xb reqfreeze:3:0xc", "");
  w.Gives("C.0 close", "");
  StartProcess(w, 'D');
  w.Gives("D.0 freeze M 1 0", "");
  w.Gives("D.0 freeze M 0 0", "");
  w.Gives("M.0 wr r=256",
          "BR_NOOP BR_RELEASE BR_DECREFS BR_RELEASE BR_DECREFS BR_RELEASE "
          "BR_DECREFS");
}

}  // namespace
}  // namespace binderlite::conformance
