// SPDX-License-Identifier: Apache-2.0
//
// Snapshots: each invariant notices its violation, the JSON is what it should
// be, and a live driver is described rightly.

#include "binderlite/debug/snapshot.h"

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using debug::CheckInvariants;
using debug::NodeSnapshot;
using debug::ProcSnapshot;
using debug::RefSnapshot;
using debug::Snapshot;
using debug::ThreadSnapshot;
using debug::ToJson;
using Sentences = std::vector<std::string>;

debug::CountSnapshot& CountOf(Snapshot& s, core::ObjectKind kind) {
  return s.counts[static_cast<std::size_t>(kind)];
}

// An owner (pid 100) with one node, a thread that waits and one that serves a
// call, and a holder (pid 200) of a handle to the node, registered for its
// death. Nothing is wrong with it.
Snapshot Consistent() {
  Snapshot s;
  s.discipline = "FineGrained";
  s.context = "binder";
  ThreadSnapshot waits;
  waits.tid = 101;
  waits.looper = core::kLooperEntered | core::kLooperWaiting;
  waits.waiting = true;
  ThreadSnapshot serves;
  serves.tid = 102;
  serves.need_return = true;
  serves.process_todo = true;
  serves.todo = {core::WorkType::kTransactionComplete};
  serves.stack = {{.id = 9, .incoming = true}};
  NodeSnapshot node;
  node.id = 5;
  node.ptr = 4096;
  node.cookie = 8192;
  node.has_strong = node.has_weak = node.pending_weak = true;
  node.local_weak = 1;
  node.internal_strong = 1;
  node.refs = 1;
  ProcSnapshot owner;
  owner.id = 1;
  owner.pid = 100;
  owner.name = "owner";
  owner.max_threads = 4;
  owner.requested = 1;
  owner.started = 2;
  owner.ready = 1;
  owner.outstanding = 1;
  owner.todo = {core::WorkType::kNode, core::WorkType::kDeadBinder};
  owner.threads = {waits, serves};
  owner.nodes = {node};
  owner.arena_size = 4096;
  owner.arena_free = 4080;
  owner.arena_free_async = 2048;
  owner.arena_holes = 1;
  owner.buffers = 1;
  owner.delivered_buffers = 1;
  RefSnapshot ref;
  ref.handle = 1;
  ref.node_id = 5;
  ref.strong = 2;
  ref.death = true;
  ProcSnapshot holder;
  holder.id = 2;
  holder.pid = 200;
  holder.name = "holder";
  holder.refs = {ref};
  holder.arena_size = holder.arena_free = 4096;
  holder.arena_free_async = 2048;
  holder.arena_holes = 1;
  s.procs = {owner, holder};
  s.transactions = {{1, 1}};
  s.live_nodes = {5};
  CountOf(s, core::ObjectKind::kProc) = {3, 1};
  CountOf(s, core::ObjectKind::kThread) = {2, 0};
  CountOf(s, core::ObjectKind::kNode) = {2, 1};
  CountOf(s, core::ObjectKind::kRef) = {1, 0};
  CountOf(s, core::ObjectKind::kDeath) = {4, 3};
  CountOf(s, core::ObjectKind::kTransaction) = {7, 6};
  return s;
}

// --- Invariants ------------------------------------------------------------

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

// --- JSON ------------------------------------------------------------------

// Whether `text` is one JSON value of the kinds that we write.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  bool ReadAll() { return Value() && text_.empty(); }

 private:
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool Word(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  bool Value() {
    if (text_.empty()) return false;
    if (text_.front() == '{') return Sequence('{', '}', /*keys=*/true);
    if (text_.front() == '[') return Sequence('[', ']', /*keys=*/false);
    if (text_.front() == '"') return String();
    return Word("true") || Word("false") || Number();
  }
  bool Sequence(char open, char close, bool keys) {
    if (!Take(open)) return false;
    if (Take(close)) return true;
    do {
      if (keys && !(String() && Take(':'))) return false;
      if (!Value()) return false;
    } while (Take(','));
    return Take(close);
  }
  bool String() {
    if (!Take('"')) return false;
    while (!text_.empty() && text_.front() != '"') {
      if (static_cast<unsigned char>(text_.front()) < 0x20) return false;
      if (Take('\\')) {
        if (Take('u')) {
          for (int i = 0; i < 4; ++i) {
            if (text_.empty() ||
                std::isxdigit(static_cast<unsigned char>(text_.front())) == 0) {
              return false;
            }
            text_.remove_prefix(1);
          }
          continue;
        }
        if (text_.empty() || (text_.front() != '"' && text_.front() != '\\')) {
          return false;
        }
      }
      text_.remove_prefix(1);
    }
    return Take('"');
  }
  bool Number() {
    (void)Take('-');
    if (Take('0')) return true;
    bool any = false;
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      text_.remove_prefix(1);
      any = true;
    }
    return any;
  }

  std::string_view text_;
};

bool IsJson(std::string_view text) { return JsonReader(text).ReadAll(); }

TEST(ToJsonTest, ReaderOfThisTestIsNotTooKind) {
  EXPECT_TRUE(IsJson(R"({"a":[1,-2,true],"b":{},"c":"\u001f\"\\"})"));
  for (const std::string_view bad :
       {"", "{", "{}}", "[1,]", "[1 2]", "{\"a\"}", "{1:2}", "\"", "\"\\x\"",
        "\"\n\"", "01", "-", "\"\\u00g0\""}) {
    EXPECT_FALSE(IsJson(bad)) << bad;
  }
}

TEST(ToJsonTest, WritesEverythingThatThereIs) {
  constexpr std::string_view kExpected =
      R"({"discipline":"FineGrained","context":"binder","objects":{)"
      R"("proc":{"created":3,"deleted":1},)"
      R"("thread":{"created":2,"deleted":0},)"
      R"("node":{"created":2,"deleted":1},)"
      R"("ref":{"created":1,"deleted":0},)"
      R"("death":{"created":4,"deleted":3},)"
      R"("transaction":{"created":7,"deleted":6},)"
      R"("transaction_complete":{"created":0,"deleted":0},)"
      R"("freeze":{"created":0,"deleted":0}},)"
      R"("procs":[{"pid":100,"name":"owner","dead":false,"frozen":false,)"
      R"("max_threads":4,)"
      R"("requested":1,"started":2,"ready":1,"outstanding":1,)"
      R"("arena_size":4096,"arena_free":4080,"arena_free_async":2048,)"
      R"("buffers":1,"delivered_buffers":1,"delivered_deaths":0,)"
      R"("delivered_freezes":0,)"
      R"("todo":["node work","dead binder"],"threads":[)"
      R"({"tid":101,"looper":18,"need_return":false,"waiting":true,)"
      R"("todo":[],"stack":[]},)"
      R"({"tid":102,"looper":0,"need_return":true,"waiting":false,)"
      R"("todo":["transaction complete"],)"
      R"("stack":[{"id":9,"incoming":true}]}],)"
      R"("nodes":[{"id":5,"ptr":4096,"cookie":8192,"has_strong":true,)"
      R"("has_weak":true,"local_strong":0,"local_weak":1,)"
      R"("internal_strong":1,"refs":1,"has_async":false,)"
      R"("waiting_one_ways":0}],"refs":[]},)"
      R"({"pid":200,"name":"holder","dead":false,"frozen":false,)"
      R"("max_threads":0,)"
      R"("requested":0,"started":0,"ready":0,"outstanding":0,)"
      R"("arena_size":4096,"arena_free":4096,"arena_free_async":2048,)"
      R"("buffers":0,"delivered_buffers":0,"delivered_deaths":0,)"
      R"("delivered_freezes":0,)"
      R"("todo":[],"threads":[],"nodes":[],)"
      R"("refs":[{"handle":1,"node":5,"dead":false,"strong":2,"weak":0,)"
      R"("death":true,"freeze":false}]}]})";
  EXPECT_EQ(ToJson(Consistent()), kExpected);
  EXPECT_TRUE(IsJson(kExpected));
}

TEST(ToJsonTest, NamesAreEscaped) {
  Snapshot s;
  s.context = std::string("a\"b\\c\n\x01\x1f\x7f") + "\xc3\xa9";
  const std::string json = ToJson(s);
  EXPECT_NE(json.find(R"("context":"a\"b\\c\u000a\u0001\u001f)"
                      "\x7f\xc3\xa9\""),
            std::string::npos)
      << json;
  EXPECT_TRUE(IsJson(json));
}

// --- A live driver ---------------------------------------------------------

template <class L>
class SnapshotTest : public DriverTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(SnapshotTest);

// Row: DB-10
TYPED_TEST(SnapshotTest, DescribesAConnectedPair) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().RequestDeath(handle, 1));
  service.Write(Commands().EnterLooper());
  ASSERT_EQ(service.thread().SetMaxThreads(3), Errc::kOk);

  const Snapshot s = this->Snapshot();
  EXPECT_EQ(s.discipline, TypeParam::kName);
  EXPECT_EQ(s.context, "binder");
  ASSERT_EQ(s.procs.size(), 3u);
  const auto& [managers, services, clients] =
      std::tie(s.procs[0], s.procs[1], s.procs[2]);
  EXPECT_EQ(managers.name, "manager");
  EXPECT_EQ(managers.pid, manager.pid());
  ASSERT_EQ(managers.nodes.size(), 1u);
  EXPECT_EQ(managers.nodes[0].local_strong, 1);
  EXPECT_EQ(managers.nodes[0].local_weak, 1);
  EXPECT_TRUE(managers.refs.empty());

  EXPECT_EQ(services.name, "service");
  EXPECT_EQ(services.max_threads, 3u);
  EXPECT_EQ(services.arena_size, std::size_t{1} << 20);
  EXPECT_EQ(services.arena_free, services.arena_size);
  EXPECT_EQ(services.arena_free_async, services.arena_size / 2);
  ASSERT_EQ(services.threads.size(), 1u);
  EXPECT_EQ(services.threads[0].tid, service.tid());
  EXPECT_EQ(services.threads[0].looper, core::kLooperEntered);
  EXPECT_FALSE(services.threads[0].need_return);
  ASSERT_EQ(services.nodes.size(), 1u);
  const NodeSnapshot& node = services.nodes[0];
  EXPECT_EQ(node.ptr, this->kPtr);
  EXPECT_EQ(node.cookie, this->kCookie);
  EXPECT_TRUE(node.has_strong);
  EXPECT_TRUE(node.has_weak);
  EXPECT_FALSE(node.pending_strong);
  EXPECT_FALSE(node.pending_weak);
  EXPECT_EQ(node.local_strong, 0);
  EXPECT_EQ(node.local_weak, 0);
  EXPECT_EQ(node.internal_strong, 1);
  EXPECT_EQ(node.refs, 1);

  EXPECT_EQ(clients.name, "client");
  EXPECT_TRUE(clients.nodes.empty());
  ASSERT_EQ(clients.refs.size(), 1u);
  EXPECT_EQ(clients.refs[0].handle, handle);
  EXPECT_EQ(clients.refs[0].node_id, node.id);
  EXPECT_EQ(clients.refs[0].strong, 1);
  EXPECT_EQ(clients.refs[0].weak, 0);
  EXPECT_TRUE(clients.refs[0].death);
  EXPECT_FALSE(clients.refs[0].node_dead);

  EXPECT_EQ(s.live(core::ObjectKind::kProc), 3u);
  EXPECT_EQ(s.live(core::ObjectKind::kThread), 3u);
  EXPECT_EQ(s.live(core::ObjectKind::kNode), 2u);
  EXPECT_EQ(s.live(core::ObjectKind::kRef), 1u);
  EXPECT_EQ(s.live(core::ObjectKind::kDeath), 1u);
  EXPECT_EQ(s.live(core::ObjectKind::kTransaction), 0u);
  EXPECT_EQ(s.live(core::ObjectKind::kTransactionComplete), 0u);
  EXPECT_EQ(CheckInvariants(s), Sentences());
  EXPECT_TRUE(IsJson(ToJson(s))) << ToJson(s);
}

// Row: DB-10
TYPED_TEST(SnapshotTest, FollowsACallAndTheDeathOfItsServer) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(
      Commands().RequestDeath(handle, 1).OneWay(handle).OneWay(handle));
  client.Write(Commands().Transact(handle));
  debug::ProcSnapshot to = this->SnapshotOf(service);
  EXPECT_EQ(to.outstanding, 3);
  EXPECT_EQ(to.buffers, 3u);
  EXPECT_EQ(to.delivered_buffers, 0u);
  EXPECT_EQ(to.arena_free, to.arena_size - 24);
  EXPECT_EQ(to.arena_free_async, to.arena_size / 2 - 16);
  EXPECT_EQ(to.todo,
            (std::vector<core::WorkType>{core::WorkType::kTransaction,
                                         core::WorkType::kTransaction}));
  EXPECT_TRUE(to.nodes[0].has_async);
  EXPECT_EQ(to.nodes[0].waiting_one_ways, 1u);
  EXPECT_EQ(to.nodes[0].local_strong, 3);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransaction), 3u);
  debug::ThreadSnapshot caller = this->SnapshotOf(client).threads[0];
  ASSERT_EQ(caller.stack.size(), 1u);
  EXPECT_FALSE(caller.stack[0].incoming);

  (void)service.Read();  // The one-way.
  (void)service.Read();  // The call.
  to = this->SnapshotOf(service);
  EXPECT_EQ(to.delivered_buffers, 2u);
  EXPECT_EQ(to.outstanding, 2);
  ASSERT_EQ(to.threads[0].stack.size(), 1u);
  EXPECT_TRUE(to.threads[0].stack[0].incoming);
  EXPECT_EQ(to.threads[0].stack[0].id, caller.stack[0].id);

  Actor waiter = service.Spawn();
  auto waiting = this->Block(service, waiter);
  to = this->SnapshotOf(service);
  EXPECT_EQ(to.ready, 1u);
  EXPECT_TRUE(to.threads[1].waiting);
  EXPECT_NE(to.threads[1].looper & core::kLooperWaiting, 0u);
  EXPECT_TRUE(IsJson(ToJson(this->Snapshot())));
  service.proc().Flush();
  (void)waiting->Join();

  this->Close(service);
  const debug::ProcSnapshot from = this->SnapshotOf(client);
  EXPECT_TRUE(from.refs[0].node_dead);
  EXPECT_EQ(from.todo,
            (std::vector<core::WorkType>{core::WorkType::kDeadBinder}));
  EXPECT_TRUE(from.threads[0].stack.empty());
  EXPECT_EQ(this->Snapshot().procs.size(), 2u);
  (void)client.ReadAll();
  EXPECT_EQ(this->SnapshotOf(client).delivered_deaths, 1u);
}

}  // namespace
}  // namespace binderlite::testing
