// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group AL (the receive mapping and its buffers).

#include <cerrno>
#include <cstdint>
#include <string>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

const char kDone[] = "BR_NOOP BR_TRANSACTION_COMPLETE";

// M with a mapping of that size, and C.
void Start(World& w, std::uint64_t size) {
  w.Quietly("M.0 up " + std::to_string(size) + "\nM.0 ctxmgr");
  StartProcess(w, 'C');
}

// C.`thread` calls M.`thread` with a buffer of `size` bytes and does not wait.
// The offset of the buffer `b<code>` in the mapping.
std::uint64_t Hold(World& w, int thread, int code, std::uint64_t size) {
  const std::string number = std::to_string(thread);
  w.Do("M." + number + " version");
  w.Gives("C." + number + " wr txn:0:" + std::to_string(code) +
              ":0 [ bs=" + std::to_string(size) + " ]",
          "");
  w.Gives("M." + number + " wr r=256", "BR_NOOP BR_TRANSACTION");
  return w.Buffer('M', "b" + std::to_string(code)) - w.Mapping('M');
}

std::string OneWay(int code, std::uint64_t size) {
  return "C.0 wr r=256 txn:0:" + std::to_string(code) +
         ":1 [ bs=" + std::to_string(size) + " ]";
}

// --- The mapping -------------------------------------------------------------

SCENARIO(MappingSize, "AL-01 AL-10 AL-11") {
  Start(w, 8 << 20);
  // Not more than 4 MiB are used.
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ bs=4194312 ]", ENOSPC);
  w.Blocks("C.0 wr r=256 txn:0:6:0 [ bs=4194304 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Refused(w, "C.1 wr r=256 txn:0:7:0", ENOSPC);
  w.Gives("M.0 wr free:b6", "");
  w.Blocks("C.1 wr r=256 txn:0:8:0 [ raw:8 bs=4194296 ]");
}

SCENARIO(SmallMapping, "AL-01 AL-11") {
  Start(w, 4096);
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ raw:4097 ]", ENOSPC);
  w.Blocks("C.0 wr r=256 txn:0:6:0 [ raw:4096 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(MappingOfHalfAPage, "AL-01") {
  // A mapping has whole pages.
  Start(w, 5000);
  Refused(w, "C.0 wr r=256 txn:0:5:0 [ bs=8200 ]", ENOSPC);
  w.Blocks("C.0 wr r=256 txn:0:6:0 [ bs=8192 ]");
}

SCENARIO(MappingIsReadOnly, "AL-02 AL-25") {
  StartManager(w);
  w.Run("A.0 open");
  w.Fails("A.0 mmap 131072 rw", EPERM);
  // That one did not count.
  w.Gives("A.0 mmap 131072", "");
  w.Fails("A.0 mprotect", EACCES);
}

SCENARIO(UnusedPages, "AL-24") {
  Start(w, 131072);
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ raw:8 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // A page that has a buffer can be read, others cannot. binderlite differs.
  Tells(w, w.Do("M.0 peek b5 8"), "x9ca3aab1b8bfc6cd");
  w.Do("M.0 peek +65536 8");
}

SCENARIO(OneMappingOnly, "AL-03") {
  w.Run("A.0 up");
  w.Fails("A.0 mmap 4096", EBUSY);
  w.Gives("A.0 munmap", "");
  w.Fails("A.0 mmap 131072", EBUSY);
}

SCENARIO(Unmapped, "AL-05 TX-20") {
  StartManager(w);
  StartProcess(w, 'C');
  // It is waiting for a reply when its mapping goes.
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ bin:0x50:0x51 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.1 munmap", "");
  w.Gives("M.0 wr acq:1 r=256 reply:6:0", kDone);
  w.Woke("C.0",
         "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE "
         "BR_DEAD_REPLY");
  w.Expect(w.Do("C.0 exterr").extended_error.param == -ESRCH, "ESRCH");
  // Nothing can be sent to it, but it can send.
  w.Gives("M.0 wr r=256 txn:1:7:0", "BR_NOOP BR_DEAD_REPLY");
  w.Expect(w.Do("M.0 exterr").extended_error.param == -ESRCH, "ESRCH");
  w.Gives("M.0 wr r=256 txn:1:7:1", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("C.0 wr r=256 txn:0:8:1", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // It lives.
  w.Gives("M.0 wr reqdeath:1:0xa", "");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(NeverMapped, "AL-05") {
  StartManager(w);
  w.Run(R"(
    C.0 open
    C.0 version)");
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ bin:0x10:0x11 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Do("M.1 version");
  w.Gives("M.1 wr r=256 txn:1:6:1", "BR_NOOP BR_DEAD_REPLY");
  w.Gives("M.1 exterr", "");
  w.Gives("M.0 wr r=256 reply:6:0", kDone);
  w.Woke("C.0",
         "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE "
         "BR_DEAD_REPLY");
}

// --- Sizes -------------------------------------------------------------------

SCENARIO(SizesThatWrap, "AL-07") {
  Start(w, 131072);
  const auto refused = [&](const std::string& sizes, int error) {
    Refused(w, "C.0 wr r=256 txn:0:5:0 [ raw:8 " + sizes + " ]", error);
  };
  // Rounding up, or the sum, gives a small number.
  refused("ds=0xffffffffffffffff", EINVAL);
  refused("ds=0xfffffffffffffff9", EINVAL);
  refused("os=0xfffffffffffffff9", EINVAL);
  refused("bs=0xfffffffffffffff9", EINVAL);
  refused("ds=0xfffffffffffffff8 os=16", EINVAL);
  refused("ds=0x8000000000000000 os=0x8000000000000000", EINVAL);
  refused("ds=0x8000000000000000 os=0 bs=0x8000000000000000", EINVAL);
  refused("ds=8 os=8 bs=0xfffffffffffffff8", EINVAL);
  // Only huge.
  refused("ds=0xfffffffffffffff8", ENOSPC);
  refused("ds=8 bs=0xffffffffffffffe8", ENOSPC);
  refused("ds=0x100000000", ENOSPC);
  refused("bs=0x100000000", ENOSPC);
  refused("ds=131073", ENOSPC);
}

SCENARIO(SizesAreRounded, "AL-07 AL-08 AL-11") {
  Start(w, 4096);
  w.Expect(Hold(w, 0, 5, 0) == 0, "the first is at the beginning");
  // Nothing costs 8, 1 byte costs 8, and each part for itself.
  w.Gives("C.1 wr txn:0:6:0 [ raw:1 ]", "");
  w.Run("M.1 version");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Buffer('M', "b6") == w.Mapping('M') + 8, "8");
  w.Gives("C.2 wr txn:0:7:0 [ bin:0x10:0x11 raw:1 bs=8 ]", "");
  w.Run("M.2 version");
  w.Gives("M.2 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Expect(w.Buffer('M', "b7") == w.Mapping('M') + 16, "16");
  w.Expect(Hold(w, 3, 8, 8) == 16 + 32 + 8 + 8, "64");
}

SCENARIO(BestFit, "AL-08 AL-09 AL-10") {
  Start(w, 4096);
  const std::uint64_t sizes[] = {512, 8, 256, 8, 1024, 8};
  std::uint64_t at = 0;
  for (int i = 0; i < 6; ++i) {
    w.Expect(Hold(w, i, 10 + i, sizes[i]) == at, "one behind the other");
    at += sizes[i];
  }
  w.Gives("M.0 wr free:b10", "");
  w.Gives("M.2 wr free:b12", "");
  w.Gives("M.4 wr free:b14", "");
  // Holes: 512 at 0, 256 at 520, 1024 at 784, 2280 at the end. The smallest
  // that will do, from its beginning.
  w.Expect(Hold(w, 6, 20, 200) == 520, "200 into 256");
  w.Expect(Hold(w, 7, 21, 56) == 720, "56 into what is left of it");
  w.Expect(Hold(w, 8, 22, 264) == 0, "264 into 512");
  w.Expect(Hold(w, 9, 23, 1024) == 784, "1024 fits exactly");
  // 248 and 2280 are left, which is enough but not in one piece.
  Refused(w, "C.10 wr r=256 txn:0:24:0 [ bs=2288 ]", ENOSPC);
  w.Expect(Hold(w, 10, 25, 2280) == 1816, "2280 fits exactly");
  Refused(w, "C.11 wr r=256 txn:0:26:0 [ bs=256 ]", ENOSPC);
  w.Expect(Hold(w, 11, 27, 248) == 264, "248 fits exactly");
}

SCENARIO(NeighboursMerge, "AL-09") {
  Start(w, 4096);
  for (int i = 0; i < 4; ++i) Hold(w, i, 10 + i, 1024);
  // With the one before, with the one behind, with both.
  w.Gives("M.0 wr free:b10", "");
  w.Gives("M.0 wr free:b11", "");
  Refused(w, "C.4 wr r=256 txn:0:20:0 [ bs=2056 ]", ENOSPC);
  w.Expect(Hold(w, 4, 21, 2048) == 0, "2048");
  w.Gives("M.0 wr free:b13", "");
  w.Gives("M.0 wr free:b12", "");
  w.Expect(Hold(w, 5, 22, 2048) == 2048, "2048");
  w.Gives("M.0 wr free:b21", "");
  w.Gives("M.0 wr free:b22", "");
  w.Expect(Hold(w, 6, 23, 4096) == 0, "4096");
  w.Gives("M.0 wr free:b23", "");
  for (int i = 0; i < 3; ++i) Hold(w, 7 + i, 30 + i, 8);
  w.Gives("M.0 wr free:b30 free:b32 free:b31", "");
  w.Expect(Hold(w, 10, 33, 4096) == 0, "4096");
}

// --- One-ways ----------------------------------------------------------------

SCENARIO(OneWayBudget, "AL-12 AL-13") {
  Start(w, 4096);
  // Half of it.
  Refused(w, OneWay(5, 2056), ENOSPC);
  w.Gives(OneWay(6, 1024), kDone);
  Refused(w, OneWay(7, 1032), ENOSPC);
  w.Gives(OneWay(8, 1016), kDone);
  // 8 are left, which is what nothing costs.
  Refused(w, OneWay(9, 16), ENOSPC);
  w.Gives("C.0 wr r=256 txn:0:10:1", kDone);
  Refused(w, "C.0 wr r=256 txn:0:11:1", ENOSPC);
  // The rest is there for those that wait for a reply: all of it.
  w.Gives("C.1 wr txn:0:12:0 [ bs=2048 ]", "");
  Refused(w, "C.2 wr r=256 txn:0:13:0", ENOSPC);
  // Exactly what it took comes back, when it is freed.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Refused(w, OneWay(14, 8), ENOSPC);
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256 free:b6", "BR_NOOP BR_TRANSACTION");
  Refused(w, OneWay(15, 1032), ENOSPC);
  w.Gives(OneWay(16, 1024), kDone);
  w.Run("M.2 version");
  w.Do("M.2 wr r=256");
}

SCENARIO(NothingCostsEight, "AL-13") {
  Start(w, 4096);
  w.Gives(OneWay(5, 2040), kDone);
  // Many times, always given back.
  for (int i = 0; i < 3; ++i) {
    w.Gives("C.0 wr r=256 txn:0:6:1", kDone);
    Refused(w, "C.0 wr r=256 txn:0:7:1", ENOSPC);
    w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
    w.Gives(std::string("M.0 wr free:b5") +
                (i == 0 ? "" : "." + std::to_string(i + 1)),
            "");
    w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
    w.Gives(std::string("M.0 wr free:b6") +
                (i == 0 ? "" : "." + std::to_string(i + 1)),
            "");
    Refused(w, OneWay(8, 2056), ENOSPC);
    w.Gives(OneWay(5, 2040), kDone);
  }
}

SCENARIO(SyncIgnoresTheBudget, "AL-12 AL-11") {
  Start(w, 4096);
  w.Gives("C.0 wr txn:0:5:0 [ bs=4096 ]", "");
  // Budget, but no memory.
  Refused(w, "C.1 wr r=256 txn:0:6:1", ENOSPC);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("C.1 wr r=256 txn:0:7:1 [ bs=2048 ]", kDone);
}

SCENARIO(FailedOneWayGivesItsBudgetBack, "AL-14") {
  Start(w, 4096);
  for (int i = 0; i < 3; ++i) {
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ hnd:77 bs=2000 ]", EINVAL);
    Refused(w, "C.0 wr r=256 txn:0:5:1 [ raw:8 dbad bs=2000 ]", EFAULT);
  }
  w.Gives(OneWay(6, 2048), kDone);
}

SCENARIO(SpamSuspectIsTheFirst, "AL-22 AL-23") {
  Start(w, 4096);
  StartProcess(w, 'D');
  w.Run(R"(
    C.0 spam 1
    D.0 spam 1)");
  // Budget 2048, a suspect once less than 409 are left: for who has more than
  // 1024 of it.
  w.Gives("D.0 wr r=256 txn:0:5:1 [ bs=400 ]", kDone);
  w.Gives(OneWay(6, 1032), kDone);
  w.Gives("D.0 wr r=256 txn:0:7:1 [ bs=208 ]", kDone);
  w.Gives(OneWay(8, 8), "BR_NOOP BR_ONEWAY_SPAM_SUSPECT");
  // Not again, until there has been enough room.
  w.Gives(OneWay(9, 8), kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives(OneWay(10, 8), kDone);
  w.Gives(OneWay(11, 392), "BR_NOOP BR_ONEWAY_SPAM_SUSPECT");
}

SCENARIO(SpamSuspectByNumber, "AL-22 AL-23") {
  Start(w, 4096);
  w.Run("C.0 spam 1");
  const bool quiet = w.SetQuiet(true);
  // Small ones, so that it is their number that counts.
  for (int i = 0; i < 50; ++i) w.Do(OneWay(100 + i, 16));
  w.SetQuiet(quiet);
  // Somebody else uses up the budget.
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:5:1 [ bs=904 ]", kDone);
  // 50 are not too many, 51 are; the one that is sent does not count.
  w.Gives(OneWay(6, 0), kDone);
  w.Gives(OneWay(7, 0), "BR_NOOP BR_ONEWAY_SPAM_SUSPECT");
  w.Gives(OneWay(8, 0), kDone);
}

// Of the budget of 4096, less than 819 are left by one that is large enough to
// be suspect. By itself it does not count, unless the memory that it is put in
// was last used, from its lowest address on, by the same sender.
void SpamSuspectIn(World& w, const char* before, const char* outcome) {
  Start(w, 8192);
  StartProcess(w, 'D');
  w.Run("C.0 spam 1");
  w.Gives("D.0 wr r=256 txn:0:1:1 [ raw:96 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Run(before);
  w.Run("C.9 wr r=256");  // Its first read returns at once.
  w.Gives("C.9 wr r=256 txn:0:9:1 [ raw:3217 ]", outcome);
}

const char kSuspect[] = "BR_NOOP BR_ONEWAY_SPAM_SUSPECT";

SCENARIO(SpamSuspectInNewMemory, "AL-22") { SpamSuspectIn(w, "", kDone); }

SCENARIO(SpamSuspectWhereItsOwnHasBeen, "AL-22") {
  SpamSuspectIn(w, R"(
    C.0 wr txn:0:2:0 [ raw:64 ]
    M.0 wr r=256
    M.0 wr free:b2)",
                kSuspect);
}

SCENARIO(SpamSuspectWhereItsOwnHasFailed, "AL-22") {
  SpamSuspectIn(w, "C.0 wr r=256 txn:0:2:1 [ raw:19 fd:none ]", kSuspect);
}

SCENARIO(SpamSuspectWhereAnotherHasBeen, "AL-22") {
  SpamSuspectIn(w, "D.0 wr r=256 txn:0:2:1 [ raw:19 fd:none ]", kDone);
}

// Memory that is freed joins the hole before it, and takes in the one behind.
SCENARIO(SpamSuspectInALowerHole, "AL-22") {
  SpamSuspectIn(w, R"(
    D.0 wr txn:0:2:0 [ raw:64 ]
    M.0 wr r=256
    C.0 wr txn:0:3:0 [ raw:64 ]
    M.1 wr r=256
    M.1 wr free:b2
    M.1 wr free:b3)",
                kDone);
}

SCENARIO(SpamSuspectInAHigherHole, "AL-22") {
  SpamSuspectIn(w, R"(
    C.0 wr txn:0:2:0 [ raw:64 ]
    M.0 wr r=256
    D.0 wr r=256 txn:0:3:1 [ raw:19 fd:none ]
    M.0 wr free:b2)",
                kSuspect);
}

// What is left of a hole is as new.
SCENARIO(SpamSuspectInTheRestOfAHole, "AL-22") {
  SpamSuspectIn(w, R"(
    C.0 wr r=256 txn:0:2:1 [ raw:99 fd:none ]
    D.0 wr txn:0:3:0 [ raw:8 ])",
                kDone);
}

// --- Freeing -----------------------------------------------------------------

SCENARIO(FreeingABuffer, "AL-15") {
  Start(w, 131072);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11", "");
  w.Gives("C.0 wr r=256 txn:0:6:1", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=256 enter");
  w.Blocks("C.0 wr r=256");
  w.Do("C.0 interrupt");
  w.Gives("M.0 wr free:b5", "");
  // The node's next one-way comes, and what it held goes.
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Fails("M.0 noderef 1", EINVAL);
}

SCENARIO(FreeingWhatIsNotOnes, "AL-16 AL-17") {
  Start(w, 131072);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ raw:16 ]", kDone);
  w.Gives("C.0 wr r=256 txn:0:6:1 [ raw:16 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  // Inside of it, in front of it, far away; all ignored.
  w.Gives("M.0 wr free:b5+1 free:b5+8 free:0 free:0xffffffffffffffff", "");
  w.Gives("M.0 wr free:b5+100000", "");
  // 6 is at the address behind, but has not been delivered.
  w.Gives("M.0 wr free:b5+16", "");
  // Not from another process or open, wherever it has a mapping.
  w.Gives("C.0 wr free:M/b5", "");
  w.Run("M.0@1 up");
  w.Gives("M.0@1 wr free:b5", "");
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=256 enter");
  // 5 is still there, and so is 6.
  w.Gives("M.0 wr free:0 free:b5 enter", "");
  w.Woke("M.1", "BR_NOOP BR_TRANSACTION");
}

SCENARIO(FreeingTwice, "AL-16") {
  Start(w, 131072);
  for (int code : {5, 6, 7}) w.Gives(OneWay(code, 16), kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5 free:b5", "");
  w.Gives("M.1 wr free:b5", "");
  // That has let only one follow.
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256");
}

SCENARIO(FreeBeforeReply, "AL-19") {
  Start(w, 131072);
  w.Blocks("C.0 wr r=256 txn:0:5:0 [ raw:16 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr free:b5", "");
  w.Gives("M.0 wr r=256 reply:6:0 [ raw:16 ]", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
}

SCENARIO(ClearedBuffers, "AL-20") {
  Start(w, 131072);
  w.Blocks("C.0 wr r=256 txn:0:5:0x20 [ raw:16 ptr:8 ]");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  Tells(w, w.Do("M.0 peek b5 8"), "x9ca3aab1b8bfc6cd");
  w.Gives("M.0 wr r=256 reply:6:0x20 [ raw:16 ]", kDone);
  w.Woke("C.0", "BR_NOOP BR_TRANSACTION_COMPLETE BR_REPLY");
  // Data, offsets and what follows.
  w.Gives("M.0 wr free:b5", "");
  Tells(w, w.Do("M.0 peek +0 16"), "x00000000000000000000000000000000");
  Tells(w, w.Do("M.0 peek +16 16"), "x00000000000000000000000000000000");
  Tells(w, w.Do("M.0 peek +56 16"), "x00000000000000000000000000000000");
  Tells(w, w.Do("C.0 peek b6 16"), "xbbc2c9d0d7dee5ecf3fa01080f161d24");
  w.Gives("C.0 wr free:b6", "");
  Tells(w, w.Do("C.0 peek +0 16"), "x00000000000000000000000000000000");
}

SCENARIO(DeathWithBuffers, "AL-21") {
  Start(w, 131072);
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 wbin:0x20:0x21 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_INCREFS BR_TRANSACTION_COMPLETE");
  w.Gives("C.0 wr incdone:0x10:0x11 acqdone:0x10:0x11 incdone:0x20:0x21", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 close", "");
  // What its handles held goes.
  w.Gives("C.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS BR_DECREFS");
}

SCENARIO(DeathWithANodeInABuffer, "AL-21") {
  Start(w, 131072);
  GiveNode(w, 'C', 0x10, 0x11);
  // The node's own holder sends it back, and dies; then its owner.
  w.Gives("C.0 wr r=256 txn:0:5:1 [ hnd:1 ]", kDone);
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("C.0 close", "");
  w.Blocks("M.0 wr r=256");
  w.Do("M.0 interrupt");
  w.Gives("M.1 wr free:b5", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
}

}  // namespace
}  // namespace binderlite::conformance
