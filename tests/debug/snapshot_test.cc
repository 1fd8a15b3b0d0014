// SPDX-License-Identifier: Apache-2.0
//
// TakeSnapshot: a live driver is described rightly.

#include "binderlite/debug/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "binderlite/debug/invariants.h"
#include "binderlite/debug/json.h"
#include "support/driver_test.h"
#include "support/json_reader.h"

namespace binderlite::testing {
namespace {

using debug::CheckInvariants;
using debug::NodeSnapshot;
using debug::Snapshot;
using debug::ToJson;
using Sentences = std::vector<std::string>;

template <class L>
class SnapshotTest : public DriverTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(SnapshotTest);

// Rows: DB-10
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

// Rows: DB-10
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
