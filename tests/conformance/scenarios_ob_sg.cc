// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group OB (object translation): descriptors, scatter-gather
// buffers and descriptor arrays.

#include <cerrno>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

// M, which accepts descriptors, and C with the files f1 to f3.
void Start(World& w) {
  StartManager(w, "0 0 0x100");
  StartProcess(w, 'C');
  w.Quietly("C.0 file f1\nC.0 file f2\nC.0 file f3");
}

const char kDone[] = "BR_NOOP BR_TRANSACTION_COMPLETE";

// Sends it to M, who receives it and frees the buffer.
void Accepted(World& w, const std::string& payload) {
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:8 " + payload + " ]", kDone);
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  if (got.returns.empty()) return;
  w.Gives("M.0 wr free:" + got.last().buffer, "");
}

// --- Descriptors -------------------------------------------------------------

SCENARIO(Descriptor, "OB-13 OB-17 OB-21") {
  Start(w);
  w.Run("M.0 file g1");
  w.Gives("C.0 wr r=256 txn:0:5:1 [ fd:f1 raw:4 fd:f2 fd:f1 ]", kDone);
  // What the sender does with its own afterwards does not matter.
  w.Run(R"(
    C.0 closefd f1
    C.0 closefd f2)");
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // New ones, that are closed by exec, for the same files. Their pad is
  // cleared, their pad_flags and cookie are kept.
  Tells(w, got, " fd:f1:0x5a:0:0x77 ");
  Tells(w, got, " fd:f2:0x5a:0:0x77 ");
  Tells(w, got, " fd:f1.2:0x5a:0:0x77 ");
  // They stay open with the buffer gone.
  w.Blocks("M.0 wr r=256 free:b5");
  Tells(w, w.Do("M.1 fdinfo f1"), " f1");
  Tells(w, w.Do("M.1 fdinfo f1.2"), " f1");
  Tells(w, w.Do("M.1 fdinfo f2"), " f2");
}

SCENARIO(DescriptorsNotAccepted, "OB-14 OB-35") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Run("C.0 file f1");
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ fd:f1 ]", EPERM);
  Refused(w, "C.0 wr r=256 txn:0:5:0x10 [ fd:f1 ]", EPERM);
  // Before it is looked at.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ fd:none ]", EPERM);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:1:0@0:f1 ]", EPERM);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:1:0@0:none ]", EPERM);
  // It takes a descriptor to notice.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:0:0@0 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(DescriptorInAReply, "OB-15") {
  StartManager(w, "0 0 0x100");
  StartProcess(w, 'C');
  w.Run("M.0 file g1");
  // What the node accepts does not count.
  w.Blocks("C.0 wr r=256 txn:0:5:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0x10 [ fd:g1 ]", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Expect(w.Do("C.0 exterr").extended_error.param == -EPERM, "EPERM");
  w.Gives("M.0 exterr", "");
  w.Blocks("C.0 wr r=256 txn:0:7:0x10");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0 [ fd:g1 raw:8 ptr:4 fda:1:1@0:g1 ]", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  Tells(w, w.Do("C.0 fdinfo g1"), " g1");
  Tells(w, w.Do("C.0 fdinfo g1.2"), " g1");
}

SCENARIO(BadDescriptor, "OB-16 OB-34") {
  Start(w);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ fd:none ]", EBADF);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ fd:f1 fd:f2 fd:none ]", EBADF);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:2:0@0:f1,none ]", EBADF);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:2:0@0:none,f1 ]", EBADF);
  w.Blocks("M.0 wr r=256");
}

SCENARIO(NoRoomForDescriptors, "OB-18 OB-13") {
  Start(w);
  // They are installed by who reads, so its table has to have room.
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ fd:f1 ]");
  w.Gives("C.1 wr r=256 txn:0:6:1", kDone);
  w.Gives("M.0 wr r=256 fdroom=0", "BR_NOOP BR_TRANSACTION");
  // The reader has gone on with what was behind it.
  w.Expect(w.completed().size() == 2 &&
               w.completed()[0].result.last().data.code == 6,
           "the next one");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("C.0 exterr", "");
  // Some of them fit.
  w.Blocks("C.0 wr r=256 txn:0:7:0 [ raw:8 ptr:8 fda:2:0@0:f2,f3 fd:f1 ]");
  w.Gives("C.1 wr r=256 txn:0:8:1", kDone);
  w.Gives("M.0 wr r=256 fdroom=1 free:b6", "BR_NOOP BR_TRANSACTION");
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  // Its memory is free again, too: all of it.
  w.Gives("M.0 wr free:b8", "");
  w.Blocks("C.0 wr r=256 txn:0:9:0 [ bs=131072 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(NoRoomForDescriptorsOfAOneWay, "OB-18") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ fd:f1 ]", kDone);
  w.Gives("C.0 wr r=256 txn:0:6:1", kDone);
  // It is lost without anybody being told; the node's next one comes.
  const Result got = w.Gives("M.0 wr r=256 fdroom=0", "BR_NOOP BR_TRANSACTION");
  w.Expect(!got.returns.empty() && got.last().data.code == 6, "6");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(NoRoomForDescriptorsOfAReply, "OB-19") {
  Start(w);
  w.Run(R"(
    M.0 file g1
    M.0 file g2
    C.0 wr txn:0:5:0x10)");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:6:0 [ fd:g1 fd:g2 ]", kDone);
  w.Gives("C.0 wr r=256 fdroom=0",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Gives("C.0 exterr", "");
  w.Run("C.0 wr txn:0:7:0x10");
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr r=256 reply:8:0 [ fd:g1 fd:g2 ]", kDone);
  w.Gives("C.0 wr r=256 fdroom=1",
          "BR_NOOP BR_TRANSACTION_COMPLETE BR_FAILED_REPLY");
  w.Do("C.0 fdinfo g1");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(DescriptorsNeverDelivered, "OB-20") {
  Start(w);
  // Transactions that their receiver never reads, and a reply likewise.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ fd:f1 ]", kDone);
  w.Run("C.1 wr txn:0:6:0 [ fd:f2 ]");
  w.Gives("M.0 close", "");
  w.Gives("C.1 wr r=256", "BR_NOOP BR_TRANSACTION_COMPLETE BR_DEAD_REPLY");
  w.Expect(w.Do("M.0 fdinfo f1").skipped, "no f1");
  w.Expect(w.Do("M.0 fdinfo f2").skipped, "no f2");
  StartProcess(w, 'N');
  w.Gives("N.0 ctxmgr", "");
  w.Run(R"(
    N.0 file h1
    C.2 wr txn:0:7:0x10)");
  w.Gives("N.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("N.0 wr r=256 reply:8:0 [ fd:h1 ]", kDone);
  w.Gives("C.2 exit", "");
  w.Expect(w.Do("C.2 fdinfo h1").skipped, "no h1");
  Tells(w, w.Do("C.0 fdinfo f1"), " f1");
}

// --- Buffers -----------------------------------------------------------------

SCENARIO(ScatterGather, "OB-23 OB-44") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:3 ptr:5 ptr:16 ptr:3 ]", kDone);
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // 8 and three objects of 40, three offsets; each chunk 8-aligned.
  Tells(w, got, "ptr:5@+152(");
  Tells(w, got, "ptr:16@+160(");
  Tells(w, got, "ptr:3@+176(");
  // Room that nobody uses.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:8 ptr:8 bs=4096 ]", kDone);
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(ScatterGatherSpace, "OB-24 OB-25 OB-37") {
  Start(w);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:16 bs=8 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:9 bs=8 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:8 ptr:1 bs=8 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:1 bs=0 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:0xffffffffffffffff bs=8 ]", EINVAL);
  // Without _SG there is no room at all.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:8 plain ]", EINVAL);
  // The size of the room has to be a multiple of 8.
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ ptr:8 bs=12 ]", EINVAL);
  Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 bs=7 ]", EINVAL);
  // Nothing fits anywhere.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ ptr:0 plain ]", kDone);
  Tells(w, w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION"), "ptr:0@+48");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ ptr:0 ptr:8 ptr:0 ]", kDone);
  const Result got = w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  Tells(w, got, "ptr:0@+144");
  Tells(w, got, "ptr:8@+144");
  Tells(w, got, "ptr:0@+152");
}

SCENARIO(ParentsThatAreRefused, "OB-26 OB-27 OB-29") {
  Start(w);
  const auto refused = [&](const std::string& payload) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ " + payload + " ]", EINVAL);
  };
  // Not an earlier object, or none.
  refused("raw:8 ptr:16:0@0");
  refused("raw:8 ptr:16 ptr:8:1@0");
  refused("raw:8 ptr:16:1@0 ptr:16");
  refused("raw:8 ptr:16 ptr:8:2@0");
  refused("raw:8 ptr:16 ptr:8:0xffffffffffffffff@0");
  // Not a buffer.
  refused("raw:8 bin:0x10:0x11 ptr:8:0@0");
  // The address would not fit into it.
  refused("raw:8 ptr:16 ptr:8:0@9");
  refused("raw:8 ptr:16 ptr:8:0@12");
  refused("raw:8 ptr:16 ptr:8:0@16");
  refused("raw:8 ptr:16 ptr:8:0@0xfffffffffffffff8");
  refused("raw:8 ptr:4 ptr:8:0@0");
  refused("raw:8 ptr:7 ptr:8:0@0");
  refused("raw:8 ptr:0 ptr:8:0@0");
  // What is at offset 0 cannot be a parent.
  refused("ptr:16 ptr:8:0@0");
  w.Blocks("M.0 wr r=256");
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:4 ptr:16 ptr:8:0@8 ]", kDone);
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(FixupsInOrder, "OB-28 OB-27") {
  Start(w);
  const auto refused = [&](const std::string& payload) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 " + payload + " ]", EINVAL);
  };
  // Upwards within one parent, 8 apart, and 4-aligned.
  Accepted(w, "ptr:32 ptr:8:0@0 ptr:8:0@8 ptr:8:0@24");
  Accepted(w, "ptr:31 ptr:8:0@4 ptr:8:0@12 ptr:8:0@20");
  refused("ptr:32 ptr:8:0@1");
  refused("ptr:32 ptr:8:0@2");
  refused("ptr:32 ptr:8:0@7");
  refused("ptr:32 ptr:8:0@8 ptr:8:0@0");
  refused("ptr:32 ptr:8:0@8 ptr:8:0@8");
  refused("ptr:32 ptr:8:0@8 ptr:8:0@12");
  // The last buffer or an ancestor of it.
  Accepted(w, "ptr:32 ptr:16:0@0 ptr:8:1@0 ptr:8:1@8 ptr:8:0@8");
  refused("ptr:32 ptr:16:0@0 ptr:8:1@0 ptr:8:0@8 ptr:8:1@8");
  refused("ptr:32 ptr:16:0@0 ptr:8:1@0 ptr:8:0@0");
  refused("ptr:32 ptr:16 ptr:8:0@0");
  Accepted(w, "ptr:32 ptr:16 ptr:8:1@0");
  Accepted(w, "ptr:32 ptr:32:0@0 ptr:32:1@8 ptr:32:2@16 ptr:8:0@8 ptr:8:0@16");
}

SCENARIO(FixedParents, "OB-30 OB-23 OB-44") {
  Start(w);
  w.Gives("C.0 wr r=512 txn:0:5:1 [ raw:8 ptr:24 ptr:16:0@8 ptr:8:1@0 ]",
          kDone);
  const Result got = w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // The addresses in the copies are those of the copies.
  Tells(w, got, " 8 fixed)");
  Tells(w, got, " 0 fixed)");
}

// --- Descriptor arrays -------------------------------------------------------

SCENARIO(DescriptorArray, "OB-22") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:24 fda:3:0@8:f1,f2,f1 fd:f3 ]",
          kDone);
  Tells(w, w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION"),
        "fda:3:0@8:f1,f2,f1.2 fd:f3");
  Tells(w, w.Do("M.0 fdinfo f1.2"), " f1");
  // The driver closes them with the buffer, and a read does not block then.
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP");
  w.Fails("M.0 freedfd f1", EBADF);
  w.Fails("M.0 freedfd f1.2", EBADF);
  w.Fails("M.0 freedfd f2", EBADF);
  Tells(w, w.Do("M.0 fdinfo f3"), " f3");
  w.Blocks("M.0 wr r=256");
  Tells(w, w.Do("C.0 fdinfo f1"), " f1");
}

SCENARIO(DescriptorArrayFreedWithoutRead, "OB-22") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:1:0@0:f1 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Fails("M.0 freedfd f1", EBADF);
  // It is only the read of that very call which does not block.
  w.Gives("M.0 poll", "");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(DescriptorNumbersReused, "OB-22") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:8 fda:1:0@0:f1 ]", kDone);
  w.Gives("C.0 wr r=256 txn:0:6:1 [ fd:f2 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // The table is full but for what this call itself frees.
  w.Gives("M.0 wr r=256 fdroom=0 free:b5", "BR_NOOP BR_TRANSACTION");
  Tells(w, w.Do("M.0 fdinfo f2"), " f2");
}

SCENARIO(ArraysThatAreRefused, "OB-31 OB-32") {
  Start(w);
  const auto refused = [&](const std::string& payload) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ " + payload + " ]", EINVAL);
  };
  // Parents as for buffers.
  refused("raw:8 fda:1:0@0:f1");
  refused("raw:8 ptr:16 fda:1:1@0:f1");
  refused("raw:8 ptr:16 fda:1:2@0:f1");
  refused("raw:8 bin:0x10:0x11 fda:1:0@0:f1");
  refused("ptr:16 fda:1:0@0:f1");
  refused("raw:8 ptr:16 ptr:16 fda:1:0@0:f1");
  // It ends behind its parent.
  refused("raw:8 ptr:16 fda:5:0@0:f1,f1,f1,f1");
  refused("raw:8 ptr:16 fda:3:0@8:f1,f1");
  refused("raw:8 ptr:16 fda:1:0@16");
  refused("raw:8 ptr:16 fda:1:0@0xfffffffffffffffc");
  refused("raw:8 ptr:4 fda:2:0@0:f1");
  // Not 4-aligned, there or at the sender.
  refused("raw:8 ptr:16 fda:1:0@2:f1");
  refused("raw:8 ptr:16:+2 fda:1:0@0:f1");
  refused("raw:8 ptr:16:+1 fda:1:0@4:f1");
  // So many that their size is not a number any more.
  refused("raw:8 ptr:16 fda:0x4000000000000000:0@0:f1");
  refused("raw:8 ptr:16 fda:0x4000000000000001:0@0:f1");
  refused("raw:8 ptr:16 fda:0xffffffffffffffff:0@0:f1");
  w.Blocks("M.0 wr r=256");
  // 4-aligned is enough, and up to the end.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:8 ptr:16:+4 fda:3:0@4:f1,f2,f3 ]",
          kDone);
  w.Woke("M.0", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(ArraysAndFixups, "OB-31 OB-28") {
  Start(w);
  const auto refused = [&](const std::string& payload) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 " + payload + " ]", EINVAL);
  };
  // An array counts as a fixup of its own size.
  Accepted(w, "ptr:32 fda:1:0@0:f1 ptr:8:0@4");
  Accepted(w, "ptr:32 fda:1:0@0:f1 fda:1:0@4:f2");
  Accepted(w, "ptr:32 ptr:8:0@0 fda:2:0@8:f1,f2");
  refused("ptr:32 ptr:8:0@8 fda:1:0@0:f1");
  refused("ptr:32 ptr:8:0@8 fda:1:0@12:f1");
  refused("ptr:32 fda:1:0@8:f1 ptr:8:0@0");
  refused("ptr:32 fda:1:0@8:f1 ptr:8:0@8");
  refused("ptr:32 fda:3:0@0:f1,f2,f3 ptr:8:0@4");
  refused("ptr:32 fda:3:0@0:f1,f2,f3 ptr:8:0@8");
  Accepted(w, "ptr:32 fda:3:0@0:f1,f2,f3 ptr:8:0@12 fda:1:0@20:f1");
}

SCENARIO(EmptyArray, "OB-33") {
  Start(w);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:8 ptr:16 fda:0:0@0 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // At the very end of its parent, and in an empty one.
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:8 ptr:16 fda:0:0@16 ]", kDone);
  w.Gives("M.0 wr r=256 free:b5", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr r=256 txn:0:7:1 [ raw:8 ptr:0 fda:0:0@0 ]", kDone);
  w.Gives("M.0 wr r=256 free:b6", "BR_NOOP BR_TRANSACTION");
}

}  // namespace
}  // namespace binderlite::conformance
