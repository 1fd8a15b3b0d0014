// SPDX-License-Identifier: Apache-2.0
//
// Close-ups: what happens when calls overlap, which lock step cannot show. Each
// experiment is repeated; its result is the set of the outcomes that were seen.
// What a driver may do is what the kernel has been seen doing.

#include <cerrno>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "runs.h"
#include "scenario.h"
#include "world.h"

namespace binderlite::conformance {
namespace {

// M serves with its threads 1 to `count`, which sleep in this order.
void StartLoopers(World& w, int count) {
  StartManager(w);
  for (int i = 1; i <= count; ++i) {
    const std::string who = "M." + std::to_string(i);
    w.Quietly(who + " wr enter");
    w.Quietly(who + " wr r=256");
  }
}

const Result* Completed(const World& w, char process, int thread) {
  for (const Completion& completion : w.completed()) {
    if (completion.step.process == process &&
        completion.step.thread == thread) {
      return &completion.result;
    }
  }
  return nullptr;
}

bool Interrupted(const World& w, char process, int thread) {
  const Result* result = Completed(w, process, thread);
  return result != nullptr && result->error == EINTR;
}

// Rows: LP-12 LP-13. Two calls at once: to the two who fell asleep last.
void TwoCalls(World& w) {
  StartLoopers(w, 3);
  StartProcess(w, 'A');
  StartProcess(w, 'B');
  w.Together({"A.0 wr txn:0:1:0", "B.0 wr txn:0:2:0"});
}

// Rows: LP-13. More work than sleepers.
void MoreWorkThanThreads(World& w) {
  StartLoopers(w, 2);
  StartProcess(w, 'A');
  StartProcess(w, 'B');
  StartProcess(w, 'C');
  w.Together({"A.0 wr txn:0:1:0", "B.0 wr txn:0:2:0", "C.0 wr txn:0:3:0"});
}

// Rows: SG-05 LP-14. The chosen thread is interrupted: what it was given stays
// with it, although another one sleeps.
void ChosenIsInterrupted(World& w) {
  StartLoopers(w, 2);
  StartProcess(w, 'C');
  w.Together({"C.0 wr txn:0:1:0", "M.2 interrupt"});
  // If M.1 has got it, M.2 was interrupted before it could be chosen.
  if (!Interrupted(w, 'M', 2)) return;
  w.Do("M.2 wr r=256");
}

// Rows: SG-05 SG-07 TX-12.
void ChosenIsInterruptedAndCalls(World& w) {
  StartLoopers(w, 1);
  StartProcess(w, 'C');
  StartProcess(w, 'D');
  w.Quietly("D.0 wr r=256 txn:0:8:1 [ bin:0x10:0x11 ]");
  // M.1 has got it, and takes the handle.
  w.Quietly("M.1 wr acq:1");
  w.Quietly("M.1 wr r=256");
  w.Together({"C.0 wr txn:0:1:0", "M.1 interrupt"});
  if (!Interrupted(w, 'M', 1)) return;
  const Result& next = w.Do("M.1 wr txn:1:2:1");
  if (next.ret != 0) return;
  w.Do("M.1 wr txn:1:3:0");
  w.Do("M.1 exterr");
  w.Do("M.1 wr r=256");
  w.Do("M.1 wr r=256");
}

// Rows: SG-06 RD-19. Woken to look at the queue of the process, and
// interrupted: somebody else is woken for it, or nobody has to be.
void WokenIsInterrupted(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Quietly("C.0 wr reqdeath:1:0xd");
  for (const char* who : {"C.1", "C.2"}) {
    w.Quietly(std::string(who) + " wr enter");
    w.Quietly(std::string(who) + " wr r=256");
  }
  w.Together({"M.0 close", "C.2 interrupt"});
}

// Rows: DT-13 TX-18 TX-22. A call to a process that goes.
void CallAndClose(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Together({"M.0 close", "C.0 wr r=256 txn:0:1:0"});
  w.Do("C.0 exterr");
}

// Rows: DT-13 AS-10.
void OneWayAndClose(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Together({"M.0 close", "C.0 wr r=256 txn:0:1:1"});
}

// Rows: DT-01 TX-19 DT-02. The two ends of a call leave at once.
void BothEndsLeave(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Quietly(R"(
    C.0 wr txn:0:1:0
    M.0 wr r=256)");
  w.Together({"M.0 wr r=256 reply:2:0", "C.0 exit"});
}

// Rows: AL-18. The node's next one-way is released once.
void TwoFree(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Quietly(R"(
    C.0 wr txn:0:1:1 txn:0:2:1 txn:0:3:1
    M.0 wr r=256
    M.1 version)");
  w.Together({"M.0 wr free:b1", "M.1 wr free:b1"});
  w.Do("M.0 wr r=256");
  w.Do("M.1 wr r=256");
}

// Rows: CC-11 DN-09 DN-10 DN-14.
void DeathAndClear(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  GiveNode(w, 'C', 0x10, 0x11);
  w.Quietly("C.0 wr reqdeath:1:0xd");
  w.Together({"M.0 close", "C.0 wr cleardeath:1:0xd"});
  w.Do("C.0 nonblock 1");
  w.Do("C.0 wr r=256");
  w.Do("C.0 wr deaddone:0xd");
  w.Do("C.0 wr r=256");
}

// Rows: AS-02 AS-05. Of two senders, one comes first, and order is kept.
void TwoSendersInOrder(World& w) {
  StartManager(w);
  StartProcess(w, 'A');
  StartProcess(w, 'B');
  const bool quiet = w.SetQuiet(true);
  w.Together({"A.0 wr txn:0:1:1 txn:0:2:1", "B.0 wr txn:0:3:1 txn:0:4:1"});
  std::string order;
  for (int i = 0; i < 4; ++i) {
    const Result read = w.Do("M.0 wr r=256");
    if (read.returns.size() < 2) break;
    order += std::to_string(read.last().data.code);
    w.Do("M.0 wr free:" + read.last().buffer);
  }
  w.SetQuiet(quiet);
  const auto at = [&](char c) { return order.find(c); };
  w.Note(order.size() == 4 && at('1') < at('2') && at('3') < at('4')
             ? "each sender's order is kept"
             : "the order is " + order);
}

// Rows: FZ-05 FZ-07 FZ-10. Freezing and calling.
void FreezeAndCall(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  StartProcess(w, 'F');
  w.Together({"F.0 freeze M 1 0", "C.0 wr txn:0:1:0"});
  w.Do("F.0 frozeninfo M");
  w.Do("C.0 nonblock 1");
  w.Do("C.0 wr r=256");
}

// Rows: RD-19 LP-05. Two readers and two pieces of work.
void TwoReaders(World& w) {
  StartManager(w);
  StartProcess(w, 'C');
  w.Quietly(R"(
    M.1 version
    C.0 wr txn:0:1:1
    C.0 wr txn:0:2:0)");
  w.Together({"M.0 wr r=256", "M.1 wr r=256"});
}

struct Experiment {
  const char* name;
  void (*run)(World& w);
};

const Experiment kExperiments[] = {
    {"TwoCalls", TwoCalls},
    {"MoreWorkThanThreads", MoreWorkThanThreads},
    {"ChosenIsInterrupted", ChosenIsInterrupted},
    {"ChosenIsInterruptedAndCalls", ChosenIsInterruptedAndCalls},
    {"WokenIsInterrupted", WokenIsInterrupted},
    {"CallAndClose", CallAndClose},
    {"OneWayAndClose", OneWayAndClose},
    {"BothEndsLeave", BothEndsLeave},
    {"TwoFree", TwoFree},
    {"DeathAndClear", DeathAndClear},
    {"TwoSendersInOrder", TwoSendersInOrder},
    {"FreezeAndCall", FreezeAndCall},
    {"TwoReaders", TwoReaders},
};

}  // namespace

int RunCloseUp(int rounds, const std::vector<std::string>& only) {
  int failures = 0;
  for (const Experiment& experiment : kExperiments) {
    bool wanted = only.empty();
    for (const std::string& name : only) wanted |= name == experiment.name;
    if (!wanted) continue;
    std::map<std::string, int> outcomes;
    for (int round = 0; round < rounds; ++round) {
      World w;
      experiment.run(w);
      failures += w.failures();
      ++outcomes[w.trace()];
    }
    for (const auto& [trace, count] : outcomes) {
      std::printf("== %s/%08x\n%s", experiment.name,
                  static_cast<unsigned>(Hash(trace)), trace.c_str());
      std::fprintf(stderr, "%s/%08x %d times\n", experiment.name,
                   static_cast<unsigned>(Hash(trace)), count);
    }
    std::fflush(stdout);
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace binderlite::conformance
