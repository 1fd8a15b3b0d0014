// SPDX-License-Identifier: Apache-2.0
//
// CheckInvariants: each invariant notices its violation.

#include "binderlite/debug/invariants.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "support/consistent_snapshot.h"

namespace binderlite::testing {
namespace {

using debug::CheckInvariants;
using debug::NodeSnapshot;
using debug::ProcSnapshot;
using debug::RefSnapshot;
using debug::Snapshot;
using debug::ThreadSnapshot;
using Sentences = std::vector<std::string>;

TEST(CheckInvariantsTest, NothingIsWrongWithAConsistentState) {
  EXPECT_EQ(CheckInvariants(Consistent()), Sentences());
  EXPECT_EQ(CheckInvariants(Snapshot()), Sentences());
}

struct Violation {
  std::function<void(Snapshot&)> make;
  Sentences reported;
};

void ExpectReported(const std::vector<Violation>& violations) {
  for (const Violation& violation : violations) {
    Snapshot s = Consistent();
    violation.make(s);
    EXPECT_EQ(CheckInvariants(s), violation.reported);
  }
}

NodeSnapshot& NodeOf(Snapshot& s) { return s.procs[0].nodes[0]; }
RefSnapshot& RefOf(Snapshot& s) { return s.procs[1].refs[0]; }

TEST(CheckInvariantsTest, HandlesHaveCounts) {
  ExpectReported({
      {[](Snapshot& s) {
         RefOf(s).strong = 0;
         NodeOf(s).internal_strong = 0;
       },
       {"pid 200: handle 1 has counts 0/0"}},
      {[](Snapshot& s) { RefOf(s).weak = -1; },
       {"pid 200: handle 1 has counts 2/-1"}},
      {[](Snapshot& s) {
         RefOf(s).strong = -1;
         RefOf(s).weak = 2;
         NodeOf(s).internal_strong = 0;
       },
       {"pid 200: handle 1 has counts -1/2"}},
  });
}

// Rows: DB-07
TEST(CheckInvariantsTest, NodesCountTheirHolders) {
  ExpectReported({
      {[](Snapshot& s) { NodeOf(s).refs = 2; },
       {"pid 100: node 5 links 2 refs, 1 name it"}},
      {[](Snapshot& s) { NodeOf(s).internal_strong = 2; },
       {"pid 100: node 5 counts 2 strong holders, there are 1"}},
      {[](Snapshot& s) {
         RefOf(s).strong = 0;
         RefOf(s).weak = 1;
       },
       {"pid 100: node 5 counts 1 strong holders, there are 0"}},
      {[](Snapshot& s) { NodeOf(s).holds = 1; },
       {"pid 100: node 5 is still held"}},
      {[](Snapshot& s) { NodeOf(s).local_strong = -1; },
       {"pid 100: node 5 has negative counts"}},
      {[](Snapshot& s) { NodeOf(s).local_weak = -1; },
       {"pid 100: node 5 has negative counts"}},
      {[](Snapshot& s) {
         NodeSnapshot& lost = s.procs[0].nodes.emplace_back();
         lost.id = 6;
         s.live_nodes.insert(6);
         ++CountOf(s, core::ObjectKind::kNode).created;
       },
       {"pid 100: node 6 is counted by nobody"}},
  });
}

TEST(CheckInvariantsTest, EachReasonKeepsANode) {
  for (int NodeSnapshot::*count :
       {&NodeSnapshot::local_strong, &NodeSnapshot::local_weak}) {
    Snapshot s = Consistent();
    s.procs[1].refs.clear();
    --CountOf(s, core::ObjectKind::kRef).created;
    --CountOf(s, core::ObjectKind::kDeath).created;
    NodeOf(s) = NodeSnapshot();
    NodeOf(s).id = 5;
    NodeOf(s).*count = 1;
    EXPECT_EQ(CheckInvariants(s), Sentences());
  }
  for (bool NodeSnapshot::*told :
       {&NodeSnapshot::has_strong, &NodeSnapshot::has_weak}) {
    Snapshot s = Consistent();
    s.procs[1].refs.clear();
    --CountOf(s, core::ObjectKind::kRef).created;
    --CountOf(s, core::ObjectKind::kDeath).created;
    NodeOf(s) = NodeSnapshot();
    NodeOf(s).id = 5;
    NodeOf(s).*told = true;
    EXPECT_EQ(CheckInvariants(s), Sentences());
  }
}

TEST(CheckInvariantsTest, OwnersAcknowledgeWhatTheyWereTold) {
  ExpectReported({
      {[](Snapshot& s) {
         NodeOf(s).has_strong = false;
         NodeOf(s).pending_strong = true;
       },
       {"pid 100: node 5 waits for an acknowledgement it did not ask for"}},
      {[](Snapshot& s) { NodeOf(s).has_weak = false; },
       {"pid 100: node 5 waits for an acknowledgement it did not ask for"}},
  });
}

TEST(CheckInvariantsTest, OneWaysWaitBehindOne) {
  ExpectReported({
      {[](Snapshot& s) { NodeOf(s).waiting_one_ways = 1; },
       {"pid 100: node 5 has one-ways waiting behind nothing"}},
      {[](Snapshot& s) {
         NodeOf(s).waiting_one_ways = 1;
         NodeOf(s).has_async = true;
       },
       {}},
  });
}

TEST(CheckInvariantsTest, ThreadsAreCountedAndHaveWhatTheyProcess) {
  ExpectReported({
      {[](Snapshot& s) { s.procs[0].ready = 2; },
       {"pid 100: 1 threads wait, ready counter says 2"}},
      {[](Snapshot& s) { s.procs[0].threads[0].waiting = false; },
       {"pid 100: 0 threads wait, ready counter says 1"}},
      {[](Snapshot& s) { s.procs[0].threads[1].todo.clear(); },
       {"pid 100: thread 102 is to process an empty list"}},
      {[](Snapshot& s) { s.procs[0].requested = 2; },
       {"pid 100: more than one thread requested"}},
  });
}

// Rows: DB-07
TEST(CheckInvariantsTest, TransactionsAreFoundWhereTheyAreOutstanding) {
  ExpectReported({
      {[](Snapshot& s) { s.procs[0].outstanding = 2; },
       {"pid 100: 2 transactions outstanding, 1 reachable"}},
      {[](Snapshot& s) { s.procs[1].outstanding = 1; },
       {"pid 200: 1 transactions outstanding, 0 reachable"}},
      {[](Snapshot& s) {
         s.transactions[2] = 1;
         ++CountOf(s, core::ObjectKind::kTransaction).created;
       },
       {"pid 200: 0 transactions outstanding, 1 reachable"}},
      {[](Snapshot& s) {
         --CountOf(s, core::ObjectKind::kTransaction).deleted;
       },
       {"2 live objects of kind transaction, found 1"}},
  });
}

TEST(CheckInvariantsTest, ArenaWithoutBuffersIsFree) {
  constexpr std::string_view kWrong =
      "pid 200: the arena has no buffers and is not free";
  for (std::size_t ProcSnapshot::*number :
       {&ProcSnapshot::arena_free, &ProcSnapshot::arena_free_async,
        &ProcSnapshot::arena_holes}) {
    Snapshot s = Consistent();
    s.procs[1].*number += 8;
    EXPECT_EQ(CheckInvariants(s), Sentences{std::string(kWrong)});
    s.procs[1].buffers = 1;
    EXPECT_EQ(CheckInvariants(s), Sentences());
    s.procs[1].buffers = 0;
    s.procs[1].arena_size = 0;  // Never mapped.
    EXPECT_EQ(CheckInvariants(s), Sentences());
  }
}

TEST(CheckInvariantsTest, TheDeadHaveNothing) {
  const std::vector<std::function<void(ProcSnapshot&)>> remains = {
      [](ProcSnapshot& proc) { proc.threads.emplace_back(); },
      [](ProcSnapshot& proc) { proc.todo.push_back(core::WorkType::kNode); }};
  for (const auto& leave : remains) {
    Snapshot s = Consistent();
    ProcSnapshot& dead = s.procs.emplace_back();
    dead.pid = 300;
    dead.dead = true;
    EXPECT_EQ(CheckInvariants(s), Sentences());
    leave(dead);
    EXPECT_EQ(CheckInvariants(s), Sentences{"pid 300: dead, but not empty"});
  }
  ExpectReported({
      {[](Snapshot& s) { s.procs[1].dead = true; },  // It has a handle.
       {"pid 200: dead, but not empty"}},
      {[](Snapshot& s) {
         s.procs[0].dead = true;  // It has a node.
         s.procs[0].threads.clear();
         s.procs[0].todo.clear();
         s.procs[0].ready = 0;
       },
       {"pid 100: dead, but not empty"}},
  });
}

// Rows: DB-07
TEST(CheckInvariantsTest, WhatLivesIsFound) {
  ExpectReported({
      {[](Snapshot& s) { ++CountOf(s, core::ObjectKind::kRef).created; },
       {"2 live objects of kind ref, found 1"}},
      {[](Snapshot& s) { ++CountOf(s, core::ObjectKind::kNode).deleted; },
       {"0 live objects of kind node, found 1"}},
      {[](Snapshot& s) { s.live_nodes.insert(6); },
       {"1 live objects of kind node, found 2"}},
  });
}

TEST(CheckInvariantsTest, RegistrationsAreOnTheirHandlesOrOnLists) {
  constexpr auto kDeath = core::ObjectKind::kDeath;
  ExpectReported({
      {[](Snapshot& s) { CountOf(s, kDeath).deleted = 4; },
       {"0 live objects of kind death, found 1 and 0 delivered"}},
      {[](Snapshot& s) { CountOf(s, kDeath).created = 5; },
       {"2 live objects of kind death, found 1 and 0 delivered"}},
      // One that was read may be on its handle still.
      {[](Snapshot& s) { s.procs[1].delivered_deaths = 1; }, {}},
      {[](Snapshot& s) {
         s.procs[1].delivered_deaths = 1;
         CountOf(s, kDeath).created = 5;
       },
       {}},
      {[](Snapshot& s) {
         s.procs[1].delivered_deaths = 1;
         CountOf(s, kDeath).created = 6;
       },
       {"3 live objects of kind death, found 1 and 1 delivered"}},
      // Cleared ones are on the lists alone.
      {[](Snapshot& s) {
         s.procs[1].todo = {core::WorkType::kDeadBinderAndClear};
         s.procs[0].threads[1].todo.push_back(
             core::WorkType::kClearDeathNotification);
         CountOf(s, kDeath).created = 6;
       },
       {}},
      {[](Snapshot& s) {
         s.procs[1].todo = {core::WorkType::kClearDeathNotification};
       },
       {"1 live objects of kind death, found 2 and 0 delivered"}},
  });
}

TEST(CheckInvariantsTest, EverythingWrongIsReported) {
  Snapshot s = Consistent();
  NodeOf(s).holds = 1;
  s.procs[0].requested = 3;
  ++CountOf(s, core::ObjectKind::kRef).created;
  EXPECT_EQ(CheckInvariants(s),
            (Sentences{"pid 100: node 5 is still held",
                       "pid 100: more than one thread requested",
                       "2 live objects of kind ref, found 1"}));
}

}  // namespace
}  // namespace binderlite::testing
