// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group OB (object translation): binders and handles, and what
// is refused. Descriptors and scatter-gather objects are in scenarios_ob_sg.cc.

#include <cerrno>

#include "binderlite/wire/flags.h"
#include "scenario.h"

namespace binderlite::conformance {
namespace {

// A call of `from`.0 with that payload to the manager, which is answered at
// once. What the manager has received; its buffer stays.
Result CallManager(World& w, const std::string& from, const std::string& code,
                   const std::string& payload) {
  w.Do(from + ".0 wr r=256 txn:0:" + code + ":1 [ " + payload + " ]");
  return w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

// A call of `to`.0 to the manager, who replies with that payload. What `to`.0
// has received.
Result ReplyFromManager(World& w, const std::string& to,
                        const std::string& payload) {
  w.Blocks(to + ".0 wr r=256 txn:0:70:0");
  const Result call = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("M.0 wr r=256 free:" + call.last().buffer + " reply:71:0 [ " + payload +
       " ]");
  for (const Completion& completion : w.completed()) {
    if (completion.step.process == to[0]) return completion.result;
  }
  w.Expect(false, "the caller gets the reply");
  return {};
}

// --- Binders and handles -----------------------------------------------------

SCENARIO(NewNode, "OB-01 OB-12 RF-01") {
  StartManager(w);
  StartProcess(w, 'C');
  // Bits that mean nothing in the object's flags.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11:0xffffef7f ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  const Object object = Received(w, got, 0);
  // Handle 0 is free, but for a context manager only.
  w.Expect(object.type == ObjectType::kHandle, "a handle");
  w.Expect(object.ptr == 1 && object.cookie == 0, "1 and nothing else");
  w.Expect(object.flags == 0xffffef7f, "the flags are as sent");
  w.Run("M.0 noderef 1");
  // Each as low as it can be.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x20:0x21 bin:0x30:0x31 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_INCREFS BR_ACQUIRE "
          "BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr acq:1", "");
  const Result two = w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, two, 0).ptr == 2, "2");
  w.Expect(Received(w, two, 1).ptr == 3, "3");
  w.Gives("M.0 wr acq:3 rel:1 free:b6", "");
  // 1 and 2 are free again, 3 is not.
  w.Do("C.0 wr r=256 txn:0:7:1 [ bin:0x40:0x41 bin:0x50:0x51 bin:0x60:0x61 ]");
  const Result three = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, three, 0).ptr == 1, "1 again");
  w.Expect(Received(w, three, 1).ptr == 2, "2 again");
  w.Expect(Received(w, three, 2).ptr == 4, "4");
}

SCENARIO(NodeFlagsAreFixed, "OB-01 OB-02 OB-14") {
  StartManager(w);
  StartProcess(w, 'C');
  CallManager(w, "C", "5", "bin:0x10:0x11 bin:0x20:0x21:0x100");
  w.Gives("M.0 wr acq:1 acq:2 free:b5", "");
  // The other way round: what the node was created with holds.
  const Result again =
      CallManager(w, "C", "6", "bin:0x10:0x11:0x100 bin:0x20:0x21");
  w.Expect(Received(w, again, 0).handle == 1, "the same handle");
  w.Expect(Received(w, again, 0).flags == 0x100, "the flags are as sent");
  w.Expect(Received(w, again, 1).handle == 2, "the same handle");
  w.Run("M.0 file f1");
  Refused(w, "M.0 wr r=256 txn:1:7:1 [ fd:f1 ]", EPERM);
  w.Gives("M.0 wr r=256 txn:2:8:1 [ fd:f1 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  // One more of the count of M's handle, until the buffer is gone.
  w.Gives("C.0 wr acqdone:0x10:0x11 incdone:0x10:0x11", "");
  w.Gives("M.0 wr rel:1", "");
  w.Run("C.1 version");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("C.1 wr r=256");
  w.Do("C.1 interrupt");
  w.Gives("M.0 wr free:b6", "");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(KnownNodeOtherCookie, "OB-03") {
  StartManager(w);
  StartProcess(w, 'C');
  CallManager(w, "C", "5", "bin:0x10:0x11");
  Refused(w, "C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x12 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:6:1 [ wbin:0x10:0x12 ]", EINVAL);
  // Forgotten with its last reference, it may have another cookie.
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256 acqdone:0x10:0x11 incdone:0x10:0x11",
          "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x10:0x12 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
}

SCENARIO(WeakBinder, "OB-04 RF-05 RF-14") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ wbin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_TRANSACTION_COMPLETE");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).type == ObjectType::kWeakHandle &&
               Received(w, got, 0).handle == 1,
           "a weak handle");
  // It may be counted and watched, but neither promoted nor called.
  w.Gives("M.0 wr inc:1 acq:1 reqdeath:1:0xa", "");
  w.Fails("M.0 noderef 1", EINVAL);
  Refused(w, "M.0 wr r=256 txn:1:6:0", EINVAL);
  Refused(w, "M.0 wr r=256 txn:1:6:1", EINVAL);
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_DEAD_BINDER");
}

SCENARIO(HandleComesHome, "OB-05") {
  StartManager(w);
  StartProcess(w, 'C');
  CallManager(w, "C", "5", "bin:0x10:0x11");
  w.Gives("C.0 wr acqdone:0x10:0x11 incdone:0x10:0x11", "");
  w.Gives("M.0 wr acq:1 free:b5", "");
  const Result home = ReplyFromManager(w, "C", "hnd:1:0x123");
  w.Expect(Received(w, home, 0).type == ObjectType::kBinder, "a binder");
  w.Expect(Received(w, home, 0).ptr == 0x10 &&
               Received(w, home, 0).cookie == 0x11 &&
               Received(w, home, 0).flags == 0x123,
           "ptr and cookie of the node, flags as sent");
  // It has got no handle to its own node.
  w.Gives("C.0 wr acq:1", "");
  Refused(w, "C.0 wr r=256 txn:1:6:1", EINVAL);
  // The buffer holds the node.
  w.Gives("M.0 wr rel:1", "");
  w.Run("C.1 version");
  w.Blocks("C.1 wr r=256 enter");
  w.Do("C.1 interrupt");
  w.Gives("C.0 wr free:b71", "");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

SCENARIO(HandlePassedOn, "OB-06") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  CallManager(w, "C", "5", "bin:0x10:0x11 bin:0x20:0x21");
  w.Gives("M.0 wr acq:1 acq:2 free:b5", "");
  // A new one, then the same once more.
  const Result one = ReplyFromManager(w, "D", "hnd:2:0x5");
  w.Expect(Received(w, one, 0).type == ObjectType::kHandle &&
               Received(w, one, 0).ptr == 1 &&
               Received(w, one, 0).cookie == 0 &&
               Received(w, one, 0).flags == 5,
           "a handle of its own");
  const Result two = ReplyFromManager(w, "D", "hnd:1 hnd:2");
  w.Expect(Received(w, two, 0).handle == 2, "the next");
  w.Expect(Received(w, two, 1).handle == 1, "the same");
  // M's are as they were, of count one; D's outlive them.
  w.Gives("M.0 wr r=256 txn:2:7:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr rel:2", "");
  Refused(w, "M.0 wr r=256 txn:2:7:1", EINVAL);
  w.Gives("D.0 wr acq:1 free:b71 free:b71.2", "");
  w.Gives("D.0 wr r=256 txn:1:8:1", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  const Result call = w.Gives("C.0 wr r=256 free:b7", "BR_NOOP BR_TRANSACTION");
  w.Expect(
      call.last().data.target.ptr == 0x20 && call.last().data.cookie == 0x21,
      "the node that was meant");
}

SCENARIO(WeakHandles, "OB-07") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  CallManager(w, "C", "5", "bin:0x10:0x11 wbin:0x20:0x21");
  w.Gives("M.0 wr acq:1 inc:2 free:b5", "");
  // A weak handle may be made of a strong one and of a weak one.
  const Result home = ReplyFromManager(w, "C", "whnd:1:0x9 whnd:2");
  for (const std::size_t i : {0u, 1u}) {
    w.Expect(Received(w, home, i).type == ObjectType::kWeakBinder, "weak");
    w.Expect(Received(w, home, i).ptr == 0x10 * (i + 1) &&
                 Received(w, home, i).cookie == 0x10 * (i + 1) + 1,
             "ptr and cookie of the node");
  }
  w.Expect(Received(w, home, 0).flags == 9, "flags as sent");
  const Result third = ReplyFromManager(w, "D", "whnd:2 whnd:1");
  for (const std::size_t i : {0u, 1u}) {
    w.Expect(Received(w, third, i).type == ObjectType::kWeakHandle &&
                 Received(w, third, i).ptr == i + 1,
             "a weak handle of its own");
  }
  Refused(w, "D.0 wr r=256 txn:2:8:1", EINVAL);
}

SCENARIO(HandlesThatCannotBeSent, "OB-08 OB-09") {
  StartManager(w);
  StartProcess(w, 'C');
  // 0 in a payload is as unknown as any until C has it.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ hnd:0 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ whnd:0 ]", EINVAL);
  w.Gives("C.0 wr inc:0", "");
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ hnd:0 ]", EINVAL);
  w.Gives("C.0 wr acq:0", "");
  const Result got = CallManager(w, "C", "6", "hnd:0 whnd:0");
  w.Expect(Received(w, got, 0).type == ObjectType::kBinder &&
               Received(w, got, 0).ptr == 0,
           "the manager's own node");
  w.Expect(Received(w, got, 1).type == ObjectType::kWeakBinder, "weak");
  // Unknown, and weak only.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ hnd:7 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ whnd:7 ]", EINVAL);
  w.Gives("C.0 wr rel:0", "");
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ hnd:0 ]", EINVAL);
  w.Gives("C.0 wr r=256 txn:0:7:1 [ whnd:0 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
}

SCENARIO(HandleToTheDeadPassedOn, "OB-10 TG-04") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  CallManager(w, "D", "5", "bin:0x10:0x11");
  w.Gives("M.0 wr acq:1 free:b5", "");
  w.Gives("D.0 close", "");
  const Result dead = ReplyFromManager(w, "C", "hnd:1");
  w.Expect(Received(w, dead, 0).type == ObjectType::kHandle &&
               Received(w, dead, 0).handle == 1,
           "a handle");
  w.Gives("C.0 wr r=256 txn:1:6:0", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("C.0 wr r=256 reqdeath:1:0xa", "BR_NOOP BR_DEAD_BINDER");
}

SCENARIO(ManagersNodeReceived, "OB-11") {
  StartManager(w);
  StartProcess(w, 'C');
  const Result first = ReplyFromManager(w, "C", "bin:0:0");
  w.Expect(Received(w, first, 0).type == ObjectType::kHandle &&
               Received(w, first, 0).ptr == 0,
           "0, which is free");
  w.Gives("C.0 wr acq:0 free:b71", "");
  w.Gives("M.0 close", "");
  // 0 remains what it was, so the next manager's has another number.
  StartProcess(w, 'N');
  w.Gives("N.0 ctxmgr", "");
  w.Blocks("C.0 wr r=256 txn:0:72:0");
  w.Gives("N.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("N.0 wr r=256 reply:73:0 [ bin:0:0 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  const Result second = w.last_completed();
  w.Expect(Received(w, second, 0).handle == 1, "1");
}

SCENARIO(SameBinderTwice, "OB-48") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, got, 0).handle == 1, "1");
  w.Expect(Received(w, got, 1).handle == 1, "1, too");
  // It counts two.
  w.Gives("C.0 wr acqdone:0x10:0x11 incdone:0x10:0x11", "");
  w.Gives("M.0 wr rel:1", "");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

// --- The payload -------------------------------------------------------------

SCENARIO(PayloadAroundObjects, "OB-44 OB-46 OB-47") {
  StartManager(w);
  StartProcess(w, 'C');
  // What is sent stays as it is; the trace would say otherwise.
  const Result got =
      CallManager(w, "C", "5",
                  "raw:5 bin:0x10:0x11 raw:11 wbin:0x20:0x21 raw:3 nooff "
                  "bin:0x30:0x31 raw:2");
  Tells(w, got, "x9ca3aab1b8");
  const Return& transaction = got.last();
  w.Expect(transaction.objects.size() == 2, "two objects");
  w.Expect(transaction.data.data_size % 8 == 2, "an odd size");
  w.Expect(transaction.data.offsets ==
               transaction.data.buffer + transaction.data.data_size + 6,
           "the offsets follow, aligned");
  // Only those that have an offset are translated.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ nooff bin:0x40:0x41 raw:8 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Do("M.0 wr r=256 free:b5");
}

SCENARIO(OffsetsThatAreRefused, "OB-36 OB-38 OB-39 OB-40") {
  StartManager(w);
  StartProcess(w, 'C');
  const auto refused = [&](const std::string& payload, int error) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ " + payload + " ]", error);
  };
  // Not a multiple of 8.
  refused("bin:0x10:0x11 os=12", EINVAL);
  refused("bin:0x10:0x11 os=4", EINVAL);
  refused("bin:0x10:0x11 os=9", EINVAL);
  // Not 4-aligned.
  refused("raw:64 off:2", EINVAL);
  refused("raw:12 off:4", EINVAL);
  refused("raw:8 off:1 bin:0x10:0x11", EINVAL);
  // Behind the data.
  refused("bin:0x10:0x11 off:4096", EFAULT);
  refused("bin:0x10:0x11 off:0xfffffffffffffffc", EFAULT);
  refused("raw:64 off:0xfffffffffffffff9", EFAULT);
  refused("raw:8 off:12", EFAULT);
  // Before the end of the one before.
  refused("bin:0x10:0x11 bin:0x20:0x21 off:24", EFAULT);
  refused("bin:0x10:0x11 off:0", EFAULT);
  refused("bin:0x10:0x11 off:20", EFAULT);
  // Cut off by the end of the data.
  refused("bin:0x10:0x11 ds=20", EINVAL);
  refused("bin:0x10:0x11 ds=3", EINVAL);
  refused("bin:0x10:0x11 ds=0", EINVAL);
  refused("raw:8 off:8", EINVAL);
  refused("raw:8 off:4", EINVAL);
  // Nobody has noticed anything.
  w.Blocks("M.0 wr r=256");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ bin:0x50:0x51 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, w.last_completed(), 0).handle == 1,
           "no handle has been used up");
}

SCENARIO(UnknownObject, "OB-41") {
  StartManager(w);
  StartProcess(w, 'C');
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ obj:0x12345678:40 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ obj:0:40 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 obj:0x73622a84:40 ]",
          EINVAL);
  w.Blocks("M.0 wr r=256");
}

SCENARIO(PayloadThatFaults, "OB-42") {
  StartManager(w, "0 0 0x100");
  StartProcess(w, 'C');
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ raw:8 dbad ]", EFAULT);
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 obad ]", EFAULT);
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 ptr:8:bad ]", EINVAL);
  // An empty one is not looked at.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 dbad ds=0 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256 free:b5");
}

SCENARIO(FailureUndoesWhatWasTranslated, "OB-43") {
  StartManager(w, "0 0 0x100");
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  // M has nodes of C (1) and D (2), and C one of D.
  CallManager(w, "C", "5", "bin:0x10:0x11");
  w.Gives("C.0 wr acqdone:0x10:0x11 incdone:0x10:0x11", "");
  w.Gives("M.0 wr acq:1 free:b5", "");
  CallManager(w, "D", "6", "bin:0x20:0x21");
  w.Gives("D.0 wr acqdone:0x20:0x21 incdone:0x20:0x21", "");
  w.Gives("M.0 wr acq:2 free:b6", "");
  ReplyFromManager(w, "C", "hnd:2");
  w.Gives("C.0 wr acq:1 free:b71", "");
  w.Run("C.0 file f1");
  // Known and new nodes, both kinds of handles, a descriptor; then a bad one.
  Refused(w,
          "C.0 wr r=256 txn:0:7:0 [ bin:0x10:0x11 bin:0x30:0x31 wbin:0x40:0x41 "
          "hnd:1 whnd:1 fd:f1 ptr:64 hnd:55 ]",
          EINVAL);
  Tells(w, w.Do("M.0 noderef 1"), "strong 1 ");
  Tells(w, w.Do("M.0 noderef 2"), "strong 2 ");
  w.Fails("M.0 noderef 3", EINVAL);
  w.Fails("M.0 noderef 4", EINVAL);
  w.Run("C.0 nodedebug 0");
  w.Run("C.0 nodedebug 0x10");
  // Neither the target nor the owner is told anything.
  w.Blocks("M.0 wr r=256");
  w.Blocks("C.0 wr r=256");
  w.Gives("D.0 wr r=256 txn:0:8:1 [ bin:0x60:0x61 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
  w.Expect(Received(w, w.last_completed(), 0).handle == 3, "3");
}

SCENARIO(FailedReplyUndoesWhatWasTranslated, "OB-43 OB-03") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ bin:0x10:0x11 bin:0x10:0x12 ]",
          "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("C.0 exterr", "");
  w.Run("M.0 nodedebug 0");
  w.Expect(GiveNode(w, 'C', 0x10, 0x12) == 1, "1 is free, 0x10 unknown");
}

}  // namespace
}  // namespace binderlite::conformance
