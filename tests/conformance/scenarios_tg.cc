// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the groups TG (whom a transaction is for) and EE (extended
// errors).

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// --- TG ----------------------------------------------------------------------

SCENARIO(TargetOfHandle, "TG-01 TG-02") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  const Result& first = w.Do("C.0 wr r=256 txn:1:5:1 txn:2:6:1 txn:3:7:1");
  w.Expect(first.Names() ==
               "BR_NOOP BR_TRANSACTION_COMPLETE "
               "BR_TRANSACTION_COMPLETE BR_FAILED_REPLY",
           "the third handle is unknown");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
  const Result to_m = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(
      to_m.last().data.target.ptr == 0x10 && to_m.last().data.cookie == 0x11,
      "the node of handle 1");
  const Result to_a = w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(
      to_a.last().data.target.ptr == 0x20 && to_a.last().data.cookie == 0x21,
      "the node of handle 2");
}

SCENARIO(TargetOfWeakHandle, "TG-03 EE-02") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("M.0 wr r=256 reply:6:0 [ wbin:0x10:0x11 ]");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Gives("C.0 wr inc:1 free:b6", "");
  w.Gives("C.0 wr r=256 txn:1:7:0", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
  w.Gives("C.0 wr r=256 txn:1:8:1", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
  w.Blocks("M.0 wr r=256");
}

SCENARIO(TargetIsGone, "TG-04 EE-03 DN-18") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256 txn:1:5:0", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, EINVAL);
  w.Gives("C.0 wr r=256 txn:1:6:1", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, EINVAL);
  // The same without a manager.
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, EINVAL);
}

SCENARIO(ManagerOfTheSameProcess, "TG-05 TG-08 EE-02") {
  StartManager(w);
  StartProcess(w, 'C');
  // From the manager's own open, and from another open of its process.
  w.Gives("M.0 wr r=256 txn:0:5:0", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "M.0", Br::BR_FAILED_REPLY, EINVAL);
  w.Run(R"(
    M.0@1 up
    M.0@1 version)");
  w.Gives("M.0@1 wr r=256 txn:0:6:0", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "M.0@1", Br::BR_FAILED_REPLY, EINVAL);
  w.Gives("M.0@1 wr r=256 txn:0:7:1", "BR_NOOP BR_FAILED_REPLY");
  // Only handle 0 is checked so: through another handle, a process reaches
  // itself.
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("C.0 wr txn:1:8:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(SameProcessOtherHandle, "TG-05 TG-01") {
  // Two opens of A: one has a handle to a node of the other.
  StartManager(w);
  StartProcess(w, 'A');
  w.Run(R"(
    A.0@1 up
    A.0@1 version)");
  const std::string theirs = std::to_string(GiveManager(w, 'A', 0x10, 0x11));
  w.Gives("A.1@1 version", "");
  w.Blocks("A.1@1 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("M.0 wr reply:6:0 [ hnd:" + theirs + " ]");
  w.Woke("A.1", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  w.Blocks("A.1@1 wr r=256 txn:1:7:0");
  w.Gives("A.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("A.0 wr r=256 reply:8:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("A.1", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(HandleZeroIsTheManager, "TG-07 RF-16") {
  StartManager(w);
  StartProcess(w, 'C');
  // No reference is needed.
  w.Gives("C.0 wr txn:0:5:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // An old one is of no importance.
  w.Gives("C.0 wr r=256 acq:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256 txn:0:6:1", "BR_NOOP BR_DEAD_REPLY");
  StartProcess(w, 'N');
  w.Gives("N.0 ctxmgr", "");
  w.Gives("C.0 wr txn:0:7:1", "");
  w.Gives("N.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // As descriptor 0 is taken, the new manager is handle 1, too.
  w.Gives("C.0 wr r=256 acq:0 txn:1:8:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE "
          "BR_TRANSACTION_COMPLETE");
  w.Gives("N.0 wr r=256 free:b7", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(BufferHoldsItsNode, "TG-09 RF-20") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Gives("C.0 wr txn:1:5:1 rel:1", "");
  // The only reference is gone, but the node is not released.
  w.Gives("C.0 wr r=256 txn:1:6:1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Do("M.0 nodedebug 0").value == 0x10, "the node is there");
  w.Blocks("M.0 wr r=256");
  w.Do("M.0 interrupt");
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Expect(w.Do("M.0 nodedebug 0").value == 0, "the node is gone");
}

SCENARIO(TargetWithoutMapping, "TG-10 EE-04 AL-05") {
  w.Run(R"(
    M.0 open
    M.0 ctxmgr)");
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:0", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, ESRCH);
  w.Gives("C.0 wr r=256 txn:0:6:1", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, ESRCH);
  w.Gives("M.0 mmap 131072", "");
  w.Gives("C.0 wr r=256 txn:0:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 munmap", "");
  w.Gives("C.0 wr r=256 txn:0:8:1", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, ESRCH);
}

SCENARIO(OrderOfChecks, "TG-12 EE-07 TX-10") {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'C');
  ShareNode(w, 'A', 'C', 0x20, 0x21);
  w.Gives("C.0 wr txn:0:5:0", "");
  // A bad handle and a dead target win over the call in progress.
  w.Gives("C.0 wr r=256 txn:77:6:0",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
  // But it wins over everything that is wrong with the payload or the space.
  w.Gives("M.0 munmap", "");
  w.Gives("C.0 wr r=256 txn:0:7:0 [ hnd:99 ]", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EPROTO);
  w.Gives("A.0 close", "");
  w.Gives("C.0 wr r=256 txn:1:8:0", "BR_NOOP BR_DEAD_REPLY");
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, EINVAL);
  // The call is still there.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:9:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_REPLY");
}

// --- EE ----------------------------------------------------------------------

SCENARIO(ErrorOfFrozen, "EE-05 EE-09 FZ-10 FZ-11") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:0:5:0", "BR_NOOP BR_FROZEN_REPLY");
  ExpectError(w, "C.0", Br::BR_FROZEN_REPLY, 0);
  w.Gives("C.0 wr r=256 txn:0:6:1", "BR_NOOP BR_TRANSACTION_PENDING_FROZEN");
  ExpectError(w, "C.0", Br::BR_OK, 0);
}

SCENARIO(ErrorOfNoSpace, "EE-06 AL-10") {
  w.Run(R"(
    M.0 up 4096
    M.0 ctxmgr)");
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:0 [ raw:4097 ]", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, ENOSPC);
  // Of the half that one-ways may use.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:2056 ]", "BR_NOOP BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, ENOSPC);
  w.Gives("C.0 wr r=256 txn:0:7:1 [ raw:2048 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "C.0", Br::BR_OK, 0);
}

SCENARIO(ErrorOfObjects, "EE-08 OB-08 OB-14 OB-16 OB-39 OB-41 OB-42") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11, 0x100);  // accepts descriptors
  w.Run("C.0 file f1");
  struct Case {
    const char* text;
    int error;
  };
  for (const Case& c : {Case{"txn:0:5:0 [ hnd:44 ]", EINVAL},
                        Case{"txn:0:6:0 [ obj:0x12345678:24 ]", EINVAL},
                        Case{"txn:0:7:0 [ fd:f1 ]", EPERM},
                        Case{"txn:1:8:0 [ fd:nosuch ]", EBADF},
                        Case{"txn:0:9:0 [ raw:8 off:16 ]", EFAULT},
                        Case{"txn:0:10:0 [ raw:8 dbad ]", EFAULT},
                        Case{"txn:0:11:0 [ hnd:1 obad ]", EFAULT}}) {
    w.Gives(std::string("C.0 wr r=256 ") + c.text, "BR_NOOP BR_FAILED_REPLY");
    ExpectError(w, "C.0", Br::BR_FAILED_REPLY, c.error);
  }
}

SCENARIO(ErrorOfFailedReply, "EE-11 TX-20 AL-05") {
  StartManager(w);
  StartProcess(w, 'C');
  // Both name the id of the reply.
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ ds=200000 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, ENOSPC);
  // A descriptor without leave.
  w.Do("M.0 file f1");
  w.Blocks("C.0 wr r=256 txn:0:7:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0 [ fd:f1 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EPERM);
  // Nowhere to put it.
  w.Blocks("C.0 wr r=256 txn:0:9:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("C.1 munmap");
  w.Gives("M.0 wr r=256 reply:10:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  ExpectError(w, "M.0", Br::BR_OK, 0);
  ExpectError(w, "C.0", Br::BR_DEAD_REPLY, ESRCH);
}

SCENARIO(ErrorOfFailedReplyComesLate, "TX-20") {
  // The caller's own error is kept.
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr txn:0:5:0", "");
  w.Gives("C.0 wr txn:77:6:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:7:0 [ ds=200000 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY BR_FAILED_REPLY");
  ExpectError(w, "C.0", Br::BR_OK, 0);
}

SCENARIO(ErrorIsNotTouched, "EE-12") {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  GiveNode(w, 'C', 0x20, 0x21);
  w.Gives("C.0 wr r=256 txn:77:5:0", "BR_NOOP BR_FAILED_REPLY");
  w.Gives(
      "C.0 wr acq:1 rel:1 inc:1 dec:1 acq:77 dec:77 free:0x1000 "
      "reqdeath:1:0xa reqdeath:77:0xa reqfreeze:2:0xb enter incdone:1:1",
      "");
  w.Gives("C.0 wr r=256 cleardeath:1:0xa",
          "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_FROZEN_BINDER");
  w.Fails("C.0 wr clearfreeze:1:0xb", EINVAL);
  w.Fails("C.0 wr word:1", EINVAL);
  ExpectError(w, "C.0", Br::BR_FAILED_REPLY, EINVAL);
}

}  // namespace
}  // namespace binderlite::conformance
