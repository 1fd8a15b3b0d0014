// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of the group DN (death notifications), and of CC what can be shown
// of it in lock step.

#include <cerrno>
#include <string>

#include "scenario.h"

namespace binderlite::conformance {
namespace {

const char kDead[] = "BR_NOOP BR_DEAD_BINDER";
const char kCleared[] = "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE";

// C has handles 1 to `count` to nodes of M, and a second thread.
void Start(World& w, int count = 1) {
  StartManager(w);
  StartProcess(w, 'C');
  for (int i = 1; i <= count; ++i) {
    GiveNode(w, 'C', 0x10u * static_cast<unsigned>(i), 1);
  }
  w.Quietly("C.1 version");
}

// --- Requests ----------------------------------------------------------------

SCENARIO(DeathRequest, "DN-01 DN-03 DN-24") {
  Start(w, 3);
  // On a strong and on a weak handle; nothing is said.
  w.Gives("C.0 wr inc:2 rel:2", "");
  w.Gives("C.0 wr reqdeath:1:0 reqdeath:2:0xffffffffffffffff", "");
  w.Gives("C.0 wr reqdeath:3:0", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("M.0 close", "");
  // Not bound to the thread that asked.
  w.Woke("C.0", kDead);
  w.Expect(w.last_completed().last().cookie == 0, "0");
  const Result second = w.Gives("C.1 wr r=256", kDead);
  w.Expect(second.last().cookie == ~0ull, "~0");
  w.Gives("C.1 wr r=256", kDead);
  // Once.
  w.Blocks("C.1 wr r=256");
}

SCENARIO(DeathRequestsIgnored, "DN-02") {
  Start(w);
  w.Gives("C.0 wr reqdeath:9:0xa reqdeath:1:0xb reqdeath:1:0xc enter", "");
  w.Gives("M.0 close", "");
  const Result got = w.Gives("C.0 wr r=256", kDead);
  w.Expect(got.last().cookie == 0xb, "the first");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(DeathRequestForTheDead, "DN-04") {
  Start(w, 2);
  w.Gives("M.0 close", "");
  // At once, and for any thread, although the requester is a looper.
  w.Gives("C.0 wr enter", "");
  w.Blocks("C.1 wr r=256 enter");
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  w.Woke("C.1", kDead);
  w.Gives("C.0 wr r=256 reqdeath:2:0xb", kDead);
}

SCENARIO(DeathWhileServing, "DN-05 RD-14") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  // M watches D and serves C meanwhile.
  w.Gives("D.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5 reqdeath:1:0xa", "");
  w.Blocks("C.0 wr r=256 txn:0:6:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("D.0 close", "");
  w.Blocks("M.0 wr r=256");
  w.Do("M.0 interrupt");
  w.Gives("M.0 wr r=256 reply:7:0", "BR_NOOP BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", kDead);
}

SCENARIO(AnotherThreadLearns, "DN-05 DN-03") {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  w.Gives("D.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr acq:1 free:b5 reqdeath:1:0xa", "");
  w.Blocks("C.0 wr r=256 txn:0:6:0");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Blocks("M.0 wr r=256");
  w.Gives("M.1 version", "");
  w.Blocks("M.1 wr r=256 enter");
  w.Gives("D.0 close", "");
  w.Woke("M.1", kDead);
}

// --- Acknowledging -----------------------------------------------------------

SCENARIO(DeathDone, "DN-06 DN-07") {
  Start(w, 2);
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  // Not on the list yet.
  w.Gives("C.0 wr deaddone:0xa deaddone:0xb", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr deaddone:0xa", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr deaddone:0xb", "");
  // The registration is there, before and after it has been acknowledged.
  w.Gives("C.0 wr reqdeath:1:0xc", "");
  w.Gives("C.0 wr deaddone:0xa deaddone:0xa reqdeath:1:0xc enter", "");
  w.Gives("C.0 wr r=256 cleardeath:1:0xa", kCleared);
  w.Gives("C.0 wr r=256 reqdeath:1:0xc", kDead);
}

SCENARIO(EqualDeathCookies, "DN-07 DN-24 DN-10") {
  Start(w, 2);
  w.Gives("C.0 wr enter reqdeath:1:0xa reqdeath:2:0xa", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr r=256", kDead);
  // The one that was delivered first is acknowledged first.
  w.Gives("C.0 wr cleardeath:1:0xa", "");
  w.Gives("C.0 wr r=256 deaddone:0xa", kCleared);
  w.Gives("C.0 wr cleardeath:2:0xa", "");
  w.Gives("C.0 wr r=256 deaddone:0xa", kCleared);
}

// --- Clearing ----------------------------------------------------------------

SCENARIO(ClearByALooper, "DN-08") {
  Start(w);
  w.Gives("C.0 wr enter reqdeath:1:0xa", "");
  w.Blocks("C.1 wr r=256 enter");
  // For the looper itself, and free at once.
  w.Gives("C.0 wr cleardeath:1:0xa reqdeath:1:0xb", "");
  w.Expect(w.Asleep('C', 1), "not for any thread");
  w.Gives("C.0 wr r=256", kCleared);
  w.Gives("M.0 close", "");
  w.Woke("C.1", kDead);
  w.Expect(w.last_completed().last().cookie == 0xb, "0xb");
}

SCENARIO(ClearByAnother, "DN-08") {
  Start(w);
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  w.Blocks("C.1 wr r=256 enter");
  // From a thread that is none, it is for any thread.
  w.Gives("C.0 wr cleardeath:1:0xa", "");
  w.Woke("C.1", kCleared);
  w.Gives("C.0 wr reqdeath:1:0xb", "");
  w.Gives("C.0 wr r=256 cleardeath:1:0xb", kCleared);
}

SCENARIO(ClearQueuedDeath, "DN-09") {
  Start(w);
  w.Gives("C.0 wr enter reqdeath:1:0xa", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr cleardeath:1:0xa", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Blocks("C.1 wr r=256 enter");
  w.Gives("C.0 wr r=256 deaddone:0xa", kCleared);
}

SCENARIO(ClearDeliveredDeath, "DN-10 DN-08") {
  Start(w, 2);
  w.Gives("C.0 wr reqdeath:1:0xa reqdeath:2:0xb", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr cleardeath:1:0xa cleardeath:2:0xb", "");
  // The number is free for a new request meanwhile.
  w.Blocks("C.1 wr r=256 enter");
  w.Gives("C.0 wr reqdeath:1:0xc", "");
  w.Woke("C.1", kDead);
  w.Blocks("C.1 wr r=256");
  // To any thread if who acknowledges is not a looper, to itself if it is.
  w.Gives("C.0 wr deaddone:0xa", "");
  w.Woke("C.1", kCleared);
  w.Blocks("C.1 wr r=256");
  w.Gives("C.0 wr r=256 enter deaddone:0xb", kCleared);
}

SCENARIO(ClearAcknowledgedDeath, "DN-11") {
  Start(w);
  w.Gives("C.0 wr enter reqdeath:1:0xa", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr deaddone:0xa", "");
  w.Gives("C.0 wr r=256 cleardeath:1:0xa", kCleared);
}

SCENARIO(ClearsIgnored, "DN-12") {
  Start(w, 2);
  w.Gives("C.0 wr enter reqdeath:1:0xa", "");
  w.Gives("C.0 wr cleardeath:1:0xb cleardeath:2:0xa cleardeath:9:0xa enter",
          "");
  w.Blocks("C.0 wr r=256");
  // The registration is still there.
  w.Gives("M.0 close", "");
  w.Woke("C.0", kDead);
  w.Gives("C.0 wr cleardeath:1:0xb", "");
  w.Blocks("C.0 wr r=256 deaddone:0xa");
}

SCENARIO(DeathAfterClear, "DN-14 DN-15") {
  Start(w, 2);
  w.Gives("C.0 wr enter reqdeath:1:0xa reqdeath:2:0xb", "");
  w.Gives("C.0 wr cleardeath:1:0xa", "");
  // Asked again before that has been read, with the same cookie.
  w.Gives("C.0 wr cleardeath:2:0xb reqdeath:2:0xb", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256",
          "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE "
          "BR_CLEAR_DEATH_NOTIFICATION_DONE");
  const Result got = w.Gives("C.0 wr r=256", kDead);
  w.Expect(got.last().cookie == 0xb, "of 2 only");
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ReleasedWithARegistration, "DN-13") {
  Start(w, 4);
  w.Gives("C.0 wr enter reqdeath:1:0xa reqdeath:2:0xb reqdeath:3:0xc", "");
  w.Gives("C.0 wr reqdeath:4:0xd", "");
  // Alive: no death is reported.
  w.Gives("C.0 wr inc:1 rel:1 dec:1", "");
  w.Gives("M.0 close", "");
  // Queued: neither the death nor anything about a clearing that comes later.
  w.Gives("C.0 wr rel:2 cleardeath:2:0xb", "");
  // Delivered.
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr rel:3 deaddone:0xc cleardeath:3:0xc", "");
  // What has been cleared is no registration any more, and stays.
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr cleardeath:4:0xd rel:4", "");
  w.Gives("C.0 wr r=256 deaddone:0xd", kCleared);
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ReleasedWithAClearUnread, "DN-13") {
  Start(w);
  w.Gives("C.0 wr enter reqdeath:1:0xa cleardeath:1:0xa rel:1", "");
  w.Gives("C.0 wr r=256", kCleared);
}

SCENARIO(RegistrationGoesWithABuffer, "DN-13 RF-22") {
  StartManager(w);
  StartProcess(w, 'C');
  w.Gives("C.0 wr r=256 txn:0:5:1 [ bin:0x10:0x11 ]",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr reqdeath:1:0xa", "");
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr free:b5", "");
  w.Blocks("M.0 wr r=256");
}

// --- Who dies ----------------------------------------------------------------

SCENARIO(ManyNodesDie, "DN-16") {
  StartManager(w);
  StartProcess(w, 'C');
  for (unsigned ptr : {0x30u, 0x10u, 0x40u, 0x20u}) GiveNode(w, 'C', ptr, 1);
  // In the order of the nodes' ptr, one in each read, none unregistered.
  w.Gives("C.0 wr reqdeath:1:0x30 reqdeath:2:0x10 reqdeath:4:0x20", "");
  w.Gives("M.0 close", "");
  for (unsigned ptr : {0x10u, 0x20u, 0x30u}) {
    const Result got = w.Gives("C.0 wr r=256", kDead);
    w.Expect(got.last().cookie == ptr, "by ptr");
  }
  w.Blocks("C.0 wr r=256");
}

SCENARIO(ClientDies, "DN-19 DN-20") {
  Start(w, 3);
  StartProcess(w, 'D');
  GiveNode(w, 'D', 0x10, 1);
  w.Gives("D.0 wr reqdeath:1:0xd", "");
  // In all states: alive, queued, delivered, cleared.
  w.Gives("C.0 wr reqdeath:1:0xa reqdeath:2:0xb reqdeath:3:0xc", "");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr cleardeath:2:0xb", "");
  w.Gives("C.0 close", "");
  w.Gives("D.0 wr r=256", kDead);
  w.Gives("D.0 close", "");
}

SCENARIO(WatchingClientDiesFirst, "DN-19") {
  Start(w);
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  w.Gives("C.0 close", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_RELEASE BR_DECREFS");
  w.Gives("M.0 close", "");
}

SCENARIO(ThreadsEndButNotTheProc, "DN-22") {
  Start(w);
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  w.Gives("M.0 exit", "");
  w.Run("M.1 version");
  w.Gives("M.1 exit", "");
  w.Blocks("C.0 wr r=256");
  w.Gives("C.1 wr txn:1:5:1", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 close", "");
  w.Woke("C.0", kDead);
}

SCENARIO(FrozenOwnerDies, "DN-23 FZ-17") {
  Start(w);
  w.Gives("C.0 wr reqdeath:1:0xa", "");
  w.Gives("C.0 freeze M 1 0", "");
  w.Gives("C.0 wr r=256 txn:1:5:0", "BR_NOOP BR_FROZEN_REPLY");
  w.Gives("M.0 close", "");
  w.Gives("C.0 wr r=256", kDead);
  w.Gives("C.0 wr r=256 txn:1:6:0", "BR_NOOP BR_DEAD_REPLY");
  w.Fails("C.0 frozeninfo M", EINVAL);
}

// --- CC ----------------------------------------------------------------------

SCENARIO(DeathReleaseAndClearInAnyOrder, "CC-11 DN-09 DN-13 DN-14") {
  // Three threads' commands in the orders that matter.
  Start(w, 3);
  w.Quietly("C.2 version");
  w.Gives("C.0 wr reqdeath:1:0xa reqdeath:2:0xb reqdeath:3:0xc", "");
  w.Gives("C.1 wr cleardeath:1:0xa", "");
  w.Gives("C.2 wr rel:3", "");
  w.Gives("M.0 close", "");
  w.Gives("C.1 wr cleardeath:2:0xb", "");
  w.Gives("C.2 wr rel:2", "");
  w.Gives("C.2 wr rel:1", "");
  // 1 has been cleared first, 2 died first; nothing of 3.
  const Result got = w.Gives("C.0 wr r=256",
                             "BR_NOOP BR_CLEAR_DEATH_NOTIFICATION_DONE "
                             "BR_DEAD_BINDER");
  w.Expect(got.nth(1).cookie == 0xa && got.nth(2).cookie == 0xb, "1, then 2");
  w.Gives("C.1 wr r=256 deaddone:0xb", kCleared);
  w.Blocks("C.1 wr r=256");
}

SCENARIO(OneWaysOfManySenders, "CC-12 AS-05") {
  Start(w);
  StartProcess(w, 'D');
  GiveNode(w, 'D', 0x10, 1);
  const char* const senders[] = {"C.0", "D.0", "C.1", "D.0", "C.1", "C.0"};
  int code = 100;
  for (int round = 0; round < 2; ++round) {
    for (const char* sender : senders) {
      w.Gives(
          std::string(sender) + " wr txn:1:" + std::to_string(code++) + ":1",
          "");
    }
  }
  // As they have come, whoever reads.
  w.Quietly("M.1 version");
  std::string free;
  for (int i = 100; i < code; ++i) {
    const Result got =
        w.Gives((i % 2 == 0 ? "M.0 wr r=256" : "M.1 wr r=256") + free,
                "BR_NOOP BR_TRANSACTION");
    w.Expect(!got.returns.empty() &&
                 got.last().data.code == static_cast<unsigned>(i),
             "in order");
    free = " free:b" + std::to_string(i);
  }
}

SCENARIO(EverythingCloses, "CC-13 DT-15") {
  // With all sorts of things under way; the world's end checks that the driver
  // has forgotten them.
  StartManager(w, "0 0 0x100");
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  GiveNode(w, 'C', 0x10, 1);
  GiveNode(w, 'D', 0x10, 1);
  w.Quietly("C.0 file f1");
  w.Gives("C.0 wr reqdeath:1:0xa reqfreeze:1:0xb", "");
  w.Gives("D.0 wr reqdeath:1:0xc", "");
  w.Gives("D.1 wr txn:0:5:0 [ bin:0x20:0x21 ]", "");
  w.Gives("C.1 wr txn:0:6:1 [ bin:0x30:0x31 fd:f1 hnd:1 ]", "");
  w.Gives("C.1 wr txn:0:7:1 [ bin:0x40:0x41 fd:f1 ]", "");
  w.Gives("M.0 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.1 version", "");
  w.Gives("M.1 wr r=256", "BR_NOOP BR_TRANSACTION");
  w.Gives("M.0 wr txn:1:8:0 [ hnd:1 ]", "");
  w.Gives("C.0 close", "");
  w.Gives("M.0 close", "");
  w.Gives("D.0 wr r=256", kDead);
  // The call within its call, which nobody waits for any more.
  w.Gives("D.1 wr r=256",
          "BR_NOOP BR_INCREFS BR_ACQUIRE BR_TRANSACTION_COMPLETE "
          "BR_TRANSACTION");
  w.Gives("D.0 close", "");
}

}  // namespace
}  // namespace binderlite::conformance
