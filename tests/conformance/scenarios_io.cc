// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the groups IO (opens and requests) and WR (the write half).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// --- IO ----------------------------------------------------------------------

SCENARIO(Opens, "IO-01") {
  // Two opens of one process: own nodes, handles, threads, one context.
  w.Run(R"(
    A.0 up
    A.0@1 up
    A.0 ctxmgr
    A.0@1 version)");
  w.Fails("A.0@1 ctxmgr", EBUSY);
  // Nothing that happens to one open is seen through the other.
  w.Gives("A.0@1 wr acq:0", "");
  w.Gives("A.0@1 wr r=256 txn:1:7:0", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("A.0 exterr", "");
  w.Gives("A.0@1 exterr", "");
  w.Gives("A.0 close", "");
  w.Gives("A.0@1 ctxmgr", "");
}

SCENARIO(MappingKeepsOpen, "DT-11") {
  // A Proc ends with the last of its descriptors and mappings.
  w.Run(R"(
    A.0 up
    A.0 ctxmgr
    A.0 closefdonly
    B.0 up)");
  w.Fails("B.0 ctxmgr", EBUSY);
  w.Run("A.0 munmap");
  w.Gives("B.0 ctxmgr", "");
}

SCENARIO(Version, "IO-02 IO-03") {
  w.Run("A.0 up");
  w.Gives("A.0 version", "");
  w.Fails("A.0 version ro", EINVAL);
  w.Fails("A.0 version bad", EINVAL);
  w.Fails("A.0 version null", EINVAL);
}

SCENARIO(MaxThreadsArgument, "IO-04 IO-05") {
  w.Run("A.0 up");
  w.Gives("A.0 maxthreads 3", "");
  w.Fails("A.0 maxthreads bad", EINVAL);
  // Still 3.
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
}

SCENARIO(MaxThreadsIsUnsigned, "IO-04") {
  w.Run("A.0 up");
  w.Gives("A.0 maxthreads 0xffffffff", "");
  w.Gives("A.1 wr r=256 enter", "BR_SPAWN_LOOPER");
}

SCENARIO(ContextManager, "IO-06 IO-07 RF-24") {
  w.Run("M.0 up");
  w.Gives("M.0 ctxmgr", "");
  w.Fails("M.0 ctxmgr", EBUSY);
  w.Fails("M.0 ctxmgrext 1 2 0", EBUSY);
  w.Run("C.0 up");
  w.Fails("C.0 ctxmgr", EBUSY);
  w.Fails("C.0 ctxmgrext 1 2 0", EBUSY);
  // The argument does not matter.
  w.Fails("C.0 ctxmgr bad", EBUSY);
  // Node 0 with cookie 0, and no refcount work for its owner.
  w.Blocks("C.0 wr r=256 acq:0 inc:0 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 free:b5 reply:6:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Run("C.0 wr free:b6 rel:0 dec:0");
  w.Gives("M.0 wr acqdone:0:0 incdone:0:0", "");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(ContextManagerIgnoresArgument, "IO-06") {
  w.Run("M.0 up");
  w.Gives("M.0 ctxmgr bad", "");
}

SCENARIO(ContextManagerOtherUid, "IO-08") {
  w.Run(R"(
    M.0 up
    M.0 ctxmgr
    U new euid=1001
    U.0 up)");
  w.Fails("U.0 ctxmgr", EBUSY);
  w.Gives("M.0 close", "");
  w.Fails("U.0 ctxmgr", EPERM);
  w.Fails("U.0 ctxmgrext 1 2 0", EPERM);
  w.Run("M.0 open");
  w.Gives("M.0 ctxmgr", "");
}

SCENARIO(ContextManagerExt, "IO-09 IO-10") {
  w.Run("M.0 up");
  w.Fails("M.0 ctxmgrext bad", EINVAL);
  w.Fails("M.0 ctxmgrext null", EINVAL);
  w.Gives("M.0 ctxmgrext 0x20 0x21 0x100", "");
  w.Gives("M.0 nodedebug 0", "");
  w.Run(R"(
    C.0 up
    C.0 file f1)");
  // Its flags hold: descriptors are accepted.
  w.Run("C.0 version");
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ fd:f1 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(ContextManagerExtKnownNode, "IO-09") {
  // A node that exists already keeps its cookie and flags.
  StartManager(w);
  StartProcess(w, 'A');
  w.Gives("A.0 wr r=256 txn:0:5:1 [ bin:0x30:0x31 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("A.0 wr incdone:0x30:0x31 acqdone:0x30:0x31", "");
  // Another one takes the node from M, so that it outlives M.
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:6:0");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr reply:7:0 [ hnd:1 ]", "");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr acq:1 free:b7", "");
  w.Gives("M.0 close", "");
  w.Gives("A.0 ctxmgrext 0x30 0x99 0x100", "");
  w.Run("A.0 nodedebug 0");
  w.Run("C.0 file f1");
  w.Gives("C.0 wr r=256 txn:0:8:0 [ fd:f1 ]", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.0 wr txn:0:9:1", "");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(ManagerDies, "IO-11 TG-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256 txn:0:5:0", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("C.0 exterr", "");
  StartProcess(w, 'N');
  w.Gives("N.0 ctxmgr", "");
  w.Blocks("C.0 wr r=256 txn:0:6:0");
  w.Gives("N.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(ThreadExit, "IO-12 IO-13 DT-08") {
  w.Run("A.0 up");
  // As the first request of a thread.
  w.Gives("A.0 exit", "");
  w.Gives("A.0 wr r=256", "BR_NOOP");
  w.Blocks("A.0 wr r=256 enter");
}

SCENARIO(ThreadExitThenFresh, "IO-12 DT-08 RD-03") {
  w.Run("A.0 up");
  w.Gives("A.0 version", "");
  w.Gives("A.0 exit bad", "");
  w.Gives("A.0 wr r=256", "BR_NOOP");
  w.Blocks("A.0 wr r=256");
}

SCENARIO(UnknownRequests, "IO-14 IO-29") {
  w.Run("A.0 up");
  w.Fails("A.0 ioctl 0xc0046263", EINVAL);
  w.Fails("A.1 idletimeout 1", EINVAL);
  w.Fails("A.2 idlepriority 1", EINVAL);
  // The right number with another size.
  w.Fails("A.3 ioctl 0xc0086209", EINVAL);
  // Each has used up the thread's free pass.
  w.Blocks("A.0 wr r=256");
  w.Blocks("A.1 wr r=256");
  w.Blocks("A.2 wr r=256");
  w.Blocks("A.3 wr r=256");
}

SCENARIO(WriteReadArgument, "IO-15 IO-16") {
  w.Run("A.0 up");
  w.Fails("A.0 wr argnull", EFAULT);
  w.Fails("A.0 wr argbad", EFAULT);
  w.Gives("A.0 wr", "");
  w.Blocks("A.0 wr r=256");
  // An empty one is enough to use up the pass.
  w.Do("A.0 interrupt");
  w.Gives("A.1 wr", "");
  w.Blocks("A.1 wr r=256");
}

SCENARIO(NodeDebugInfo, "IO-17 IO-18") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("M.0 nodedebug 0", "");  // its node 0 is never listed
  GiveNode(w, 'C', 0x30, 0x31);
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Run(R"(
    M.0 nodedebug 0
    M.0 nodedebug 0x10
    M.0 nodedebug 0x11
    M.0 nodedebug 0x20
    M.0 nodedebug 0x30
    M.0 nodedebug 0xffffffffffffffff)");
  w.Fails("M.0 nodedebug bad", EFAULT);
  // What the owner has been told, not counts.
  w.Gives("C.0 wr inc:1 rel:1", "");
  w.Gives("M.0 nodedebug 0x20", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE");
  w.Gives("M.0 nodedebug 0x20", "");
}

SCENARIO(NodeInfoForRef, "IO-19 IO-20 IO-21 IO-22") {
  StartManager(w);
  StartProcess(w, 'C');
  // The manager gets nodes of C: a strong and a weak one.
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 wbin:0x20:0x21 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Run("M.0 noderef 1");
  w.Gives("M.0 wr acq:1 acq:1 inc:1", "");
  w.Run("M.0 noderef 1");
  w.Fails("M.0 noderef 2", EINVAL);
  w.Fails("M.0 noderef 3", EINVAL);
  w.Fails("M.0 noderef 1 1", EINVAL);
  w.Fails("M.0 noderef bad", EFAULT);
  w.Run("D.0 up");
  w.Fails("D.0 noderef 1", EPERM);
  w.Fails("D.0 noderef 1 1", EINVAL);
}

SCENARIO(SpamDetectionArgument, "IO-23") {
  w.Run("A.0 up");
  w.Gives("A.0 spam 1", "");
  w.Gives("A.0 spam 0", "");
  w.Fails("A.0 spam bad", EFAULT);
}

SCENARIO(ExtendedError, "IO-24 IO-25 TX-24 EE-01 EE-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 exterr", "");
  w.Gives("C.0 wr r=256 txn:77:1:0", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.0 exterr", "");
  w.Gives("C.0 exterr", "");
  w.Gives("C.0 wr r=256 txn:0:1:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 exterr", "");
  w.Gives("C.0 wr r=256 txn:77:1:0", "BR_NOOP BR_FAILED_REPLY");
  // It is gone although the answer could not be written.
  w.Fails("C.0 exterr bad", EFAULT);
  w.Gives("C.0 exterr", "");
  // Of each thread its own.
  w.Gives("C.0 wr r=256 txn:77:1:0", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.1 exterr", "");
  w.Gives("C.0 exterr", "");
}

SCENARIO(PlainReadWrite, "IO-27") {
  w.Run("A.0 up");
  w.Fails("A.0 read", EINVAL);
  w.Fails("A.0 write", EINVAL);
}

SCENARIO(EveryRequestUsesThePass, "IO-29 RD-04") {
  w.Run("A.0 up");
  w.Gives("A.1 maxthreads 1", "");
  w.Blocks("A.1 wr r=256");
  w.Fails("A.2 maxthreads bad", EINVAL);
  w.Blocks("A.2 wr r=256");
  w.Gives("A.3 exterr", "");
  w.Blocks("A.3 wr r=256");
  w.Fails("A.4 freeze 99999999 1 0", EINVAL);
  w.Blocks("A.4 wr r=256");
  // Thread exit destroys the record, so the next one has a pass again.
  w.Gives("A.5 version", "");
  w.Gives("A.5 exit", "");
  w.Gives("A.5 wr r=256", "BR_NOOP");
}

// --- WR ----------------------------------------------------------------------

SCENARIO(WriteResumes, "WR-01 WR-13") {
  StartManager(w);
  StartProcess(w, 'C');
  // The first command is stepped over.
  w.Gives("C.0 wr wc=8 acq:55 txn:0:5:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr wc=8 acq:55", "");
}

SCENARIO(WriteInOrder, "WR-02") {
  StartManager(w);
  StartProcess(w, 'C');
  // In another order, the transaction would not find the handle.
  w.Gives("C.0 wr acq:0 inc:0 dec:0 rel:0 txn:0:5:1 acq:0 rel:0", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(UnknownCommand, "WR-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Fails("C.0 wr r=256 txn:0:5:1 word:0x12345678 txn:0:6:1", EINVAL);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 free:b5");
  // The right number with the wrong size.
  w.Fails("C.0 wr r=256 word:0x40086305", EINVAL);
  // A return command.
  w.Fails("C.0 wr r=256 word:0x720c", EINVAL);
  // What was queued for it before is still there.
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(UnknownCommandReadConsumed, "WR-03") {
  w.Run("A.0 up");
  w.Fails("A.0 wr r=256 rc=8 enter word:1", EINVAL);
}

SCENARIO(UnsupportedCommands, "WR-04") {
  w.Run("A.0 up");
  w.Fails("A.0 wr r=256 enter attempt:0", EINVAL);
  w.Fails("A.0 wr r=256 acqresult:0", EINVAL);
}

SCENARIO(FailedTransactionStopsTheWrite, "WR-05 WR-06") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:77:5:0 txn:0:6:1", "");
  // Nothing is executed until the error has been read.
  w.Gives("C.0 wr txn:0:7:1", "");
  w.Gives("C.0 wr enter word:1", "");
  w.Gives("C.0 wr r=256 txn:0:8:1", "BR_NOOP BR_FAILED_REPLY");
  w.Gives("C.0 wr r=256 txn:0:9:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 free:b9");
}

SCENARIO(FaultInACommand, "WR-07 WR-08") {
  StartManager(w);
  StartProcess(w, 'C');
  // The stream ends where memory does, and write_size claims more.
  w.Fails("C.0 wr ws=4 txn:0:5:1", EFAULT);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Fails("C.0 wr ws=4 enter acq:0 cut:4", EFAULT);
  w.Fails("C.0 wr enter acq:0 cut:4", EFAULT);
  w.Fails("C.0 wr enter txn:0:5:1 cut:8", EFAULT);
  w.Fails("C.0 wr enter acq:0 cut:6", EFAULT);
  w.Fails("C.0 wr wbad", EFAULT);
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(WriteConsumedBehindTheEnd, "WR-09") {
  w.Run("A.0 up");
  w.Gives("A.0 wr wc=100 word:1", "");
}

SCENARIO(CopyBackFaults, "WR-10") {
  w.Run("A.0 up");
  // EINVAL from the command, but nowhere to say how far it came.
  w.Fails("A.0 wr argro word:1", EFAULT);
  w.Fails("A.0 wr argro enter", EFAULT);
}

SCENARIO(WriteThenNothingToRead, "WR-11 RD-02 SG-08") {
  w.Run("A.0 up");
  w.Gives("A.0 version", "");
  w.Gives("A.0 nonblock 1", "");
  w.Fails("A.0 wr r=256 enter acq:55", EAGAIN);
  w.Gives("A.0 nonblock 0", "");
  w.Blocks("A.0 wr r=256 inc:55");
  w.Do("A.0 interrupt");
}

SCENARIO(FailedReply, "WR-12 WR-05 TX-20") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // The reply names a handle that M does not have.
  w.Gives("M.0 wr r=256 reply:6:0 [ hnd:44 ] enter",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("M.0 exterr", "");
  w.Gives("C.0 exterr", "");
}

}  // namespace
}  // namespace binderlite::conformance
