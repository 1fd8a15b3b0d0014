// SPDX-License-Identifier: Apache-2.0
//
// The ioctls other than BINDER_WRITE_READ, and what all of them have in common:
// the thread's record, its free first read, arguments that cannot be read or
// written.

#include "binderlite/driver/ioctl.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stepped_primitives.h"
#include "binderlite/sync/stepped_scheduler.h"
#include "binderlite/sync/stepped_strategy.h"
#include "binderlite/wire/flags.h"
#include "support/driver_test.h"
#include "support/exchange.h"
#include "support/stepped_driver.h"

namespace binderlite::testing {
namespace {

std::uint32_t Number(Ioctl request) {
  return static_cast<std::uint32_t>(request);
}

template <class L>
class IoctlTest : public DriverTest<L> {
 protected:
  // An ioctl with the address of `argument`.
  template <class T>
  static Errc Call(Actor<L>& actor, Ioctl request, T& argument) {
    const Errc error =
        actor.thread().Ioctl(Number(request), AddressOf(&argument));
    actor.Check();
    return error;
  }
  static Errc CallAt(Actor<L>& actor, Ioctl request, std::uint64_t address) {
    const Errc error = actor.thread().Ioctl(Number(request), address);
    actor.Check();
    return error;
  }

  core::Pin<core::Node<L>> ManagerNode() {
    core::Context<L>& state = this->context().state();
    sync::MutexLock lock(state.mu);
    return state.manager;
  }

  // The call that `client` makes to handle 0, as `manager` receives it.
  Received CallManager(Peer<L>& client, Peer<L>& manager) {
    client.Write(Commands().Transact(0));
    const Received call = manager.Read().Get(Br::BR_TRANSACTION);
    manager.Write(Commands().Free(call.tr.buffer).Reply());
    this->Settle(manager);
    this->Settle(client);
    return call;
  }

  // What becomes of a call to handle 0.
  std::vector<Br> TryManager(Peer<L>& client) {
    return client.Do(Commands().Transact(0)).codes();
  }

  // All nodes of the Proc, as a walk with GET_NODE_DEBUG_INFO finds them.
  static std::vector<NodeDebugInfo> Walk(Actor<L>& actor) {
    std::vector<NodeDebugInfo> all;
    NodeDebugInfo info = {};
    for (;;) {
      EXPECT_EQ(Call(actor, Ioctl::kGetNodeDebugInfo, info), Errc::kOk);
      if (info.ptr == 0) return all;
      all.push_back(info);
    }
  }

  // A failed call: something for GET_EXTENDED_ERROR to tell.
  static void Fail(Actor<L>& actor) {
    EXPECT_EQ(actor.Do(Commands().Transact(0xbad)).codes(),
              (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(IoctlTest);

// --- Opening ---------------------------------------------------------------

// Rows: IO-01
TYPED_TEST(IoctlTest, EachOpenIsAProcOfItsOwn) {
  auto& manager = this->OpenManager();
  auto& a = this->Open();
  auto& b = this->Open();
  auto& c = this->Open();
  EXPECT_NE(a.pid(), b.pid());

  // Nodes: the same ptr names different ones.
  const std::uint32_t a_at_c = this->Give(manager, a, c, 0x10, 0xa);
  const std::uint32_t b_at_c = this->Give(manager, b, c, 0x10, 0xb);
  EXPECT_NE(a_at_c, b_at_c);
  c.Write(Commands().OneWay(a_at_c).OneWay(b_at_c));
  EXPECT_EQ(a.Read().Get(Br::BR_TRANSACTION).tr.cookie, 0xau);
  EXPECT_EQ(b.Read().Get(Br::BR_TRANSACTION).tr.cookie, 0xbu);
  this->Settle(c);

  // Handles: each Proc numbers and counts its own.
  const std::uint32_t a_at_b = this->Give(manager, a, b, 0x10, 0xa);
  EXPECT_EQ(a_at_b, a_at_c);
  c.Write(Commands().Release(a_at_c));
  EXPECT_EQ(this->SnapshotOf(c).refs.size(), 1u);
  ASSERT_EQ(this->SnapshotOf(b).refs.size(), 1u);
  EXPECT_EQ(this->SnapshotOf(b).refs[0].strong, 1);

  // Buffers: each has its own memory.
  const auto of_a = a.proc().state().arena.usage();
  const auto of_b = b.proc().state().arena.usage();
  EXPECT_TRUE(of_a.address + of_a.size <= of_b.address ||
              of_b.address + of_b.size <= of_a.address);
  EXPECT_EQ(of_a.buffers, 1u);

  // Threads: a number is known to one Proc alone.
  auto thread = a.proc().Attach(4711);
  EXPECT_EQ(thread.EnterLooper(), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(a).threads.size(), 2u);
  EXPECT_EQ(this->SnapshotOf(b).threads.size(), 1u);

  // The context manager is that of all of them, and of this device only.
  EXPECT_EQ(b.thread().SetContextMgr(), Errc::kBusy);
  BasicContext<TypeParam> other;
  auto stranger = other.Open();
  EXPECT_EQ(stranger.Attach().SetContextMgr(), Errc::kOk);
}

// --- BINDER_VERSION --------------------------------------------------------

// Rows: IO-02
TYPED_TEST(IoctlTest, VersionIsEight) {
  auto& peer = this->Open();
  Version version = {-1};
  EXPECT_EQ(this->Call(peer, Ioctl::kVersion, version), Errc::kOk);
  EXPECT_EQ(version.protocol_version, 8);
  std::int32_t typed = -1;
  EXPECT_EQ(peer.thread().Version(typed), Errc::kOk);
  EXPECT_EQ(typed, 8);
}

// Rows: IO-03
TYPED_TEST(IoctlTest, VersionIntoBadMemoryIsInvalid) {
  auto& peer = this->Open({.memory = &this->memory()});
  EXPECT_EQ(this->CallAt(peer, Ioctl::kVersion, 0), Errc::kInvalid);
  Version version = {};
  for (std::size_t i = 0; i < sizeof(version); ++i) {
    this->memory().FaultWrites(AddressOf(&version) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kVersion, version), Errc::kInvalid);
    this->memory().Heal();
  }
  EXPECT_EQ(this->Call(peer, Ioctl::kVersion, version), Errc::kOk);
}

// --- BINDER_SET_MAX_THREADS ------------------------------------------------

// Rows: IO-04
TYPED_TEST(IoctlTest, MaxThreadsBoundsLaterRequests) {
  auto& peer = this->Open();
  auto looper = peer.Fresh();
  std::uint32_t max = 1;
  EXPECT_EQ(this->Call(peer, Ioctl::kSetMaxThreads, max), Errc::kOk);
  EXPECT_EQ(looper.Do(Commands().EnterLooper()).codes(),
            (BrList{Br::BR_SPAWN_LOOPER}));
  auto spawned = peer.Fresh();
  spawned.Write(Commands().RegisterLooper());

  // Lowering it takes nothing back; raising it allows one more at once.
  max = 0;
  EXPECT_EQ(this->Call(peer, Ioctl::kSetMaxThreads, max), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(peer).max_threads, 0u);
  EXPECT_EQ(this->SnapshotOf(peer).started, 1u);
  peer.proc().Flush();
  EXPECT_EQ(looper.Read().codes(), (BrList{Br::BR_NOOP}));
  max = 2;
  EXPECT_EQ(this->Call(peer, Ioctl::kSetMaxThreads, max), Errc::kOk);
  peer.proc().Flush();
  EXPECT_EQ(looper.Read().codes(), (BrList{Br::BR_SPAWN_LOOPER}));
}

// Rows: IO-04
TYPED_TEST(IoctlTest, MaxThreadsIsUnsigned) {
  auto& peer = this->Open();
  auto looper = peer.Fresh();
  EXPECT_EQ(peer.thread().SetMaxThreads(0xffffffff), Errc::kOk);
  EXPECT_EQ(this->SnapshotOf(peer).max_threads, 0xffffffffu);
  EXPECT_EQ(looper.Do(Commands().EnterLooper()).codes(),
            (BrList{Br::BR_SPAWN_LOOPER}));
}

// Rows: IO-05
TYPED_TEST(IoctlTest, MaxThreadsFromBadMemoryIsInvalid) {
  auto& peer = this->Open({.memory = &this->memory()});
  EXPECT_EQ(peer.thread().SetMaxThreads(3), Errc::kOk);
  EXPECT_EQ(this->CallAt(peer, Ioctl::kSetMaxThreads, 0), Errc::kInvalid);
  std::uint32_t max = 9;
  for (std::size_t i = 0; i < sizeof(max); ++i) {
    this->memory().FaultReads(AddressOf(&max) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kSetMaxThreads, max), Errc::kInvalid);
    this->memory().Heal();
  }
  EXPECT_EQ(this->SnapshotOf(peer).max_threads, 3u);
}

// --- BINDER_SET_CONTEXT_MGR ------------------------------------------------

// Rows: IO-06
TYPED_TEST(IoctlTest, ContextManagerNode) {
  auto& client = this->Open();
  auto& manager = this->Open();
  // The argument is not even looked at.
  EXPECT_EQ(this->CallAt(manager, Ioctl::kSetContextMgr, 1), Errc::kOk);
  const debug::ProcSnapshot proc = this->SnapshotOf(manager);
  ASSERT_EQ(proc.nodes.size(), 1u);
  const debug::NodeSnapshot& node = proc.nodes[0];
  EXPECT_EQ(node.ptr, 0u);
  EXPECT_EQ(node.cookie, 0u);
  EXPECT_EQ(node.local_strong, 1);
  EXPECT_EQ(node.local_weak, 1);
  EXPECT_TRUE(node.has_strong);
  EXPECT_TRUE(node.has_weak);
  EXPECT_EQ(this->ManagerNode()->min_priority, 0);
  EXPECT_FALSE(this->ManagerNode()->accepts_fds);
  EXPECT_FALSE(this->ManagerNode()->wants_security_context);

  const Received call = this->CallManager(client, manager);
  EXPECT_EQ(call.tr.target.ptr, 0u);
  EXPECT_EQ(call.tr.cookie, 0u);
}

// Rows: IO-06
TYPED_TEST(IoctlTest, ContextManagerReusesItsNodeZero) {
  auto& first = this->OpenManager();
  auto& second = this->Open();
  auto& client = this->Open();
  (void)this->Give(first, second, client, 0, 0x77, kFlatAcceptsFds | 5);
  this->Close(first);
  EXPECT_EQ(second.thread().SetContextMgr(), Errc::kOk);
  ASSERT_EQ(this->SnapshotOf(second).nodes.size(), 1u);
  const debug::NodeSnapshot node = this->SnapshotOf(second).nodes[0];
  EXPECT_EQ(node.local_strong, 1);
  EXPECT_EQ(node.local_weak, 1);
  EXPECT_EQ(this->CallManager(client, second).tr.cookie, 0x77u);
}

// Rows: IO-07
TYPED_TEST(IoctlTest, OneContextManagerAtATime) {
  auto& manager = this->OpenManager();
  auto& other = this->Open();
  FlatObject object = {};
  object.binder = 0x10;
  for (auto* peer : {&manager, &other}) {
    EXPECT_EQ(peer->thread().SetContextMgr(), Errc::kBusy);
    EXPECT_EQ(peer->thread().SetContextMgrExt(object), Errc::kBusy);
    EXPECT_EQ(this->CallAt(*peer, Ioctl::kSetContextMgr, 0), Errc::kBusy);
    EXPECT_EQ(this->Call(*peer, Ioctl::kSetContextMgrExt, object), Errc::kBusy);
  }
  // The first one still is it.
  this->CallManager(other, manager);
}

// Rows: IO-08
TYPED_TEST(IoctlTest, ContextManagerOfAnotherUser) {
  auto& first = this->OpenManager({.euid = 1000});
  auto& stranger = this->Open({.euid = 1001});
  auto& second = this->Open({.euid = 1000});
  // The uid is remembered for ever, over any number of managers.
  EXPECT_EQ(stranger.thread().SetContextMgr(), Errc::kBusy);
  this->Close(first);
  EXPECT_EQ(stranger.thread().SetContextMgr(), Errc::kNotPermitted);
  EXPECT_EQ(stranger.thread().SetContextMgrExt({}), Errc::kNotPermitted);
  EXPECT_EQ(second.thread().SetContextMgr(), Errc::kOk);
  this->Close(second);
  EXPECT_EQ(stranger.thread().SetContextMgr(), Errc::kNotPermitted);
  EXPECT_EQ(this->TryManager(stranger),
            (BrList{Br::BR_NOOP, Br::BR_DEAD_REPLY}));
}

// Rows: IO-09
TYPED_TEST(IoctlTest, ContextManagerFromAnObject) {
  for (const std::uint32_t flags :
       {0u, 0xf6u, kFlatAcceptsFds, kFlatTxnSecurityCtx}) {
    auto& manager = this->Open();
    FlatObject object = {};
    object.hdr.type = 0xdeadbeef;  // Nobody looks at it.
    object.flags = flags;
    object.binder = 0x1234567890;
    object.cookie = 0x9876543210;
    EXPECT_EQ(this->Call(manager, Ioctl::kSetContextMgrExt, object), Errc::kOk);
    ASSERT_EQ(this->SnapshotOf(manager).nodes.size(), 1u);
    const debug::NodeSnapshot node = this->SnapshotOf(manager).nodes[0];
    EXPECT_EQ(node.ptr, 0x1234567890u);
    EXPECT_EQ(node.cookie, 0x9876543210u);
    EXPECT_EQ(node.local_strong, 1);
    EXPECT_EQ(node.local_weak, 1);
    EXPECT_TRUE(node.has_strong);
    EXPECT_TRUE(node.has_weak);
    EXPECT_EQ(this->ManagerNode()->min_priority, flags & kFlatPriorityMask);
    EXPECT_EQ(this->ManagerNode()->accepts_fds, flags == kFlatAcceptsFds);
    EXPECT_EQ(this->ManagerNode()->wants_security_context,
              flags == kFlatTxnSecurityCtx);
    if (flags == 0) {
      auto& client = this->Open();
      const Received call = this->CallManager(client, manager);
      EXPECT_EQ(call.tr.target.ptr, 0x1234567890u);
      EXPECT_EQ(call.tr.cookie, 0x9876543210u);
    }
    this->Close(manager);
  }
}

// Rows: IO-09
TYPED_TEST(IoctlTest, ContextManagerKeepsWhatItsNodeWas) {
  auto& first = this->OpenManager();
  auto& second = this->Open();
  auto& client = this->Open();
  (void)this->Give(first, second, client, 0x10, 0x77, kFlatAcceptsFds | 5);
  this->Close(first);
  FlatObject object = {};
  object.flags = 9;
  object.binder = 0x10;
  object.cookie = 0x99;
  EXPECT_EQ(second.thread().SetContextMgrExt(object), Errc::kOk);
  EXPECT_EQ(this->ManagerNode()->cookie, 0x77u);
  EXPECT_EQ(this->ManagerNode()->min_priority, 5);
  EXPECT_TRUE(this->ManagerNode()->accepts_fds);
  EXPECT_EQ(this->CallManager(client, second).tr.cookie, 0x77u);
}

// Rows: IO-10
TYPED_TEST(IoctlTest, ContextManagerFromBadMemoryIsInvalid) {
  auto& peer = this->Open({.memory = &this->memory()});
  EXPECT_EQ(this->CallAt(peer, Ioctl::kSetContextMgrExt, 0), Errc::kInvalid);
  FlatObject object = {};
  for (std::size_t i = 0; i < sizeof(object); ++i) {
    this->memory().FaultReads(AddressOf(&object) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kSetContextMgrExt, object),
              Errc::kInvalid);
    this->memory().Heal();
  }
  EXPECT_TRUE(this->SnapshotOf(peer).nodes.empty());
  EXPECT_EQ(this->Call(peer, Ioctl::kSetContextMgrExt, object), Errc::kOk);
}

// Rows: IO-11
TYPED_TEST(IoctlTest, ContextManagerDies) {
  auto& first = this->OpenManager();
  auto& second = this->Open();
  auto& client = this->Open();
  this->CallManager(client, first);
  this->Close(first);
  EXPECT_EQ(this->TryManager(client), (BrList{Br::BR_NOOP, Br::BR_DEAD_REPLY}));
  EXPECT_EQ(second.thread().SetContextMgr(), Errc::kOk);
  this->CallManager(client, second);
}

// --- BINDER_THREAD_EXIT ----------------------------------------------------

// Rows: IO-12
TYPED_TEST(IoctlTest, ThreadExitForgetsTheThread) {
  auto& peer = this->Open();
  auto thread = peer.Spawn();
  // Its argument does not matter, nor by which name it is called.
  const std::function<Errc()> exits[] = {
      [&] { return this->CallAt(thread, Ioctl::kThreadExit, 0); },
      [&] {
        return this->CallAt(thread, Ioctl::kThreadExit, ~std::uint64_t{});
      },
      [&] { return thread.thread().ThreadExit(); }};
  for (const auto& exit : exits) {
    thread.Write(Commands().EnterLooper());
    EXPECT_EQ(this->ThreadOf(peer, thread).looper, core::kLooperEntered);
    EXPECT_EQ(thread.Read().error, Errc::kWouldBlock);
    EXPECT_EQ(exit(), Errc::kOk);
    EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 1u);

    // The next call makes a new record, with a free read and no past.
    const Result read =
        RunWriteRead(thread.thread(), Commands(), kReadSize, {}, kNoPatience);
    EXPECT_EQ(read.error, Errc::kOk);
    EXPECT_EQ(read.codes(), (BrList{Br::BR_NOOP}));
    EXPECT_EQ(this->ThreadOf(peer, thread).looper, 0u);
  }
}

// Rows: IO-13
TYPED_TEST(IoctlTest, ThreadExitAsTheFirstCall) {
  auto& peer = this->Open();
  auto thread = peer.Fresh();
  const auto created = [this] {
    return this->Snapshot()
        .counts[static_cast<std::size_t>(core::ObjectKind::kThread)]
        .created;
  };
  const std::uint64_t before = created();
  EXPECT_EQ(this->CallAt(thread, Ioctl::kThreadExit, 0), Errc::kOk);
  EXPECT_EQ(created(), before + 1);
  EXPECT_EQ(this->SnapshotOf(peer).threads.size(), 1u);
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kThread), 1u);
}

// --- What does not exist ---------------------------------------------------

// Rows: IO-14
TYPED_TEST(IoctlTest, UnknownRequests) {
  auto& peer = this->Open();
  std::array<std::byte, 256> argument = {};
  std::vector<std::uint32_t> requests = {
      Number(Ioctl::kSetIdleTimeout),
      Number(Ioctl::kSetIdlePriority),
      0,
      0xffffffff,
      // The right number with another size, direction or group.
      IoctlCode(IoctlDir::kReadWrite, 'b', 1, 47),
      IoctlCode(IoctlDir::kReadWrite, 'b', 1, 49),
      IoctlCode(IoctlDir::kWrite, 'b', 1, sizeof(WriteRead)),
      IoctlCode(IoctlDir::kReadWrite, 'c', 1, sizeof(WriteRead)),
      IoctlCode(IoctlDir::kNone, 'b', 8, 0),
  };
  for (const std::uint32_t number : {0u, 2u, 4u, 10u, 18u, 100u, 255u}) {
    requests.push_back(
        IoctlCode(IoctlDir::kReadWrite, 'b', number, argument.size()));
  }
  for (const std::uint32_t request : requests) {
    SCOPED_TRACE(request);
    auto thread = peer.Fresh();
    EXPECT_EQ(thread.thread().Ioctl(request, AddressOf(argument.data())),
              Errc::kInvalid);
    EXPECT_EQ(thread.thread().Ioctl(request, 0), Errc::kInvalid);
    // The thread is known now, and has used up its free read.
    EXPECT_FALSE(this->ThreadOf(peer, thread).need_return);
    EXPECT_EQ(thread.Read().error, Errc::kWouldBlock);
  }
}

// --- BINDER_WRITE_READ as an ioctl -----------------------------------------

// Rows: IO-15
TYPED_TEST(IoctlTest, WriteReadFromBadMemory) {
  auto& peer = this->Open({.memory = &this->memory()});
  EXPECT_EQ(this->CallAt(peer, Ioctl::kWriteRead, 0), Errc::kFault);
  Exchange call(Commands().EnterLooper());
  for (std::size_t i = 0; i < sizeof(call.args); ++i) {
    this->memory().FaultReads(AddressOf(&call.args) + i);
    EXPECT_EQ(call.RunIoctl(peer), Errc::kFault);
    this->memory().Heal();
  }
  EXPECT_EQ(call.args.write_consumed, 0u);
  EXPECT_EQ(call.word(), kUntouchedWord);
  EXPECT_EQ(this->ThreadOf(peer, peer).looper, 0u);
}

// Rows: IO-16
TYPED_TEST(IoctlTest, WriteReadOfNothing) {
  auto [manager, service, client, handle] = this->Connected();
  client.Write(Commands().OneWay(handle));
  auto fresh = service.Fresh();
  Exchange call(Commands().EnterLooper());
  call.args.write_size = call.args.read_size = 0;
  const WriteRead before = call.args;
  EXPECT_EQ(call.RunIoctl(fresh), Errc::kOk);
  EXPECT_EQ(std::memcmp(&call.args, &before, sizeof(before)), 0);
  EXPECT_EQ(call.word(), kUntouchedWord);
  EXPECT_EQ(this->ThreadOf(service, fresh).looper, 0u);
  EXPECT_FALSE(this->ThreadOf(service, fresh).need_return);
  // The work is still there, and the free read is not.
  EXPECT_EQ(fresh.ReadCodes(), (BrList{Br::BR_TRANSACTION}));
  EXPECT_EQ(fresh.Read().error, Errc::kWouldBlock);
}

// --- BINDER_GET_NODE_DEBUG_INFO --------------------------------------------

// Rows: IO-17 IO-18
TYPED_TEST(IoctlTest, WalkOverTheNodes) {
  auto& manager = this->OpenManager();
  auto& owner = this->Open();
  auto& holder = this->Open();
  EXPECT_TRUE(this->Walk(owner).empty());
  for (const std::uint64_t ptr : {0x30u, 0x10u, 0x40u, 0x20u}) {
    (void)this->Give(manager, owner, holder, ptr, ptr + 1);
  }
  const std::vector<NodeDebugInfo> all = this->Walk(owner);
  ASSERT_EQ(all.size(), 4u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].ptr, 0x10 * (i + 1));
    EXPECT_EQ(all[i].cookie, 0x10 * (i + 1) + 1);
    EXPECT_EQ(all[i].has_strong_ref, 1u);
    EXPECT_EQ(all[i].has_weak_ref, 1u);
  }
  // Strictly greater than what is asked for, whether or not that exists.
  const auto after = [&](std::uint64_t ptr) {
    NodeDebugInfo info = {
        .ptr = ptr, .cookie = 5, .has_strong_ref = 5, .has_weak_ref = 5};
    EXPECT_EQ(owner.thread().GetNodeDebugInfo(info), Errc::kOk);
    return info;
  };
  EXPECT_EQ(after(0x0f).ptr, 0x10u);
  EXPECT_EQ(after(0x10).ptr, 0x20u);
  EXPECT_EQ(after(0x11).ptr, 0x20u);
  const NodeDebugInfo none = after(0x40);
  const NodeDebugInfo zero = {};
  EXPECT_EQ(std::memcmp(&none, &zero, sizeof(zero)), 0);
  EXPECT_EQ(after(~std::uint64_t{}).ptr, 0u);
  // Only its own nodes, and never one at 0.
  EXPECT_TRUE(this->Walk(holder).empty());
  EXPECT_TRUE(this->Walk(manager).empty());
}

// Rows: IO-17 IO-18
TYPED_TEST(IoctlTest, NodeFlagsAreWhatTheOwnerHasBeenTold) {
  auto& manager = this->OpenManager();
  auto& owner = this->Open();
  Payload strong;
  strong.Binder(0x10, 1).WeakBinder(0x20, 2);
  owner.Write(Commands().OneWay(0, strong));
  // Held by the message, but its owner has not read of it.
  std::vector<NodeDebugInfo> all = this->Walk(owner);
  ASSERT_EQ(all.size(), 2u);
  for (const NodeDebugInfo& info : all) {
    EXPECT_EQ(info.has_strong_ref, 0u);
    EXPECT_EQ(info.has_weak_ref, 0u);
  }
  EXPECT_EQ(owner.ReadCodes(),
            (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE, Br::BR_INCREFS,
                    Br::BR_TRANSACTION_COMPLETE}));
  all = this->Walk(owner);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].has_strong_ref, 1u);
  EXPECT_EQ(all[0].has_weak_ref, 1u);
  EXPECT_EQ(all[1].has_strong_ref, 0u);
  EXPECT_EQ(all[1].has_weak_ref, 1u);
  owner.Write(Commands().IncRefsDone(0x10, 1).AcquireDone(0x10, 1).IncRefsDone(
      0x20, 2));

  // Nobody holds them any more: they are listed until the owner reads so.
  const Received call = manager.Read().Get(Br::BR_TRANSACTION);
  manager.Write(Commands().Free(call.tr.buffer));
  all = this->Walk(owner);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].has_strong_ref, 1u);
  EXPECT_EQ(owner.ReadAll().size(), 3u);
  EXPECT_TRUE(this->Walk(owner).empty());
}

TYPED_TEST(IoctlTest, NodeInfoInBadMemory) {
  auto& peer = this->Open({.memory = &this->memory()});
  EXPECT_EQ(this->CallAt(peer, Ioctl::kGetNodeDebugInfo, 0), Errc::kFault);
  NodeDebugInfo info = {};
  for (std::size_t i = 0; i < sizeof(info); ++i) {
    this->memory().FaultReads(AddressOf(&info) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kGetNodeDebugInfo, info), Errc::kFault);
    this->memory().Heal();
    this->memory().FaultWrites(AddressOf(&info) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kGetNodeDebugInfo, info), Errc::kFault);
    this->memory().Heal();
  }
}

// --- BINDER_GET_NODE_INFO_FOR_REF -------------------------------------------

// Rows: IO-19
TYPED_TEST(IoctlTest, CountsOfTheNodeBehindAHandle) {
  auto& manager = this->OpenManager({.memory = &this->memory()});
  auto& owner = this->Open();
  auto& client = this->Open();
  const std::uint32_t handle =
      this->Give(manager, owner, manager, 0x1000, 0x2000);
  const auto Expect = [&](std::uint32_t strong, std::uint32_t weak) {
    NodeInfoForRef info = {};
    info.handle = handle;
    EXPECT_EQ(this->Call(manager, Ioctl::kGetNodeInfoForRef, info), Errc::kOk);
    EXPECT_EQ(info.handle, handle);
    EXPECT_EQ(info.strong_count, strong);
    EXPECT_EQ(info.weak_count, weak);
    EXPECT_EQ(info.reserved1 | info.reserved2 | info.reserved3, 0u);
    info = {};
    info.handle = handle;
    EXPECT_EQ(manager.thread().GetNodeInfoForRef(info), Errc::kOk);
    EXPECT_EQ(info.strong_count, strong);
  };
  Expect(1, 0);
  // Procs count, not their references; weak ones do not.
  manager.Write(Commands().Acquire(handle).Acquire(handle).IncRefs(handle));
  Expect(1, 0);
  const std::uint32_t clients =
      this->Give(manager, owner, client, 0x1000, 0x2000);
  Expect(2, 0);
  client.Write(Commands().IncRefs(clients).Release(clients));
  Expect(1, 0);
  // What the owner has itself: buffers sent to it.
  manager.Write(Commands().OneWay(handle).OneWay(handle));
  Expect(3, 0);
  for (std::uint32_t left = 2; left > 0; --left) {
    const Received got = owner.Read().Get(Br::BR_TRANSACTION);
    owner.Write(Commands().Free(got.tr.buffer));
    Expect(left, 0);
  }
  // And what it has not acknowledged.
  Payload object;
  object.Binder(0x3000, 1);
  this->Settle(manager);
  owner.Write(Commands().OneWay(0, object));
  NodeInfoForRef info = {};
  info.handle = manager.Read().Get(Br::BR_TRANSACTION).object(0).handle;
  EXPECT_EQ(owner.ReadCodes(), (BrList{Br::BR_INCREFS, Br::BR_ACQUIRE,
                                       Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(manager.thread().GetNodeInfoForRef(info), Errc::kOk);
  EXPECT_EQ(info.strong_count, 2u);
  EXPECT_EQ(info.weak_count, 1u);
}

// Rows: IO-20 IO-21 IO-22
TYPED_TEST(IoctlTest, CountsThatAreRefused) {
  auto& manager = this->OpenManager({.memory = &this->memory()});
  auto& owner = this->Open();
  auto& client = this->Open();
  const std::uint32_t handle = this->Give(manager, owner, manager, 0x1000, 1);
  const std::uint32_t clients = this->Give(manager, owner, client, 0x1000, 1);
  const auto Ask = [](Actor<TypeParam>& actor, std::uint32_t which,
                      std::size_t dirty = 0) {
    std::array<std::uint32_t, 6> words = {which};
    if (dirty != 0) words[dirty] = 1;
    return IoctlTest<TypeParam>::Call(actor, Ioctl::kGetNodeInfoForRef, words);
  };
  EXPECT_EQ(Ask(manager, handle), Errc::kOk);
  EXPECT_EQ(Ask(client, clients), Errc::kNotPermitted);
  EXPECT_EQ(Ask(client, 99), Errc::kNotPermitted);
  for (std::size_t dirty = 1; dirty < 6; ++dirty) {
    SCOPED_TRACE(dirty);
    EXPECT_EQ(Ask(manager, handle, dirty), Errc::kInvalid);
    EXPECT_EQ(Ask(client, clients, dirty), Errc::kInvalid);
  }
  for (const std::uint32_t none : {99u, 0u, ~0u}) {
    EXPECT_EQ(Ask(manager, none), Errc::kInvalid);
  }
  NodeInfoForRef info = {};
  info.handle = handle;
  for (std::size_t i = 0; i < sizeof(info); ++i) {
    this->memory().Fault(AddressOf(&info) + i);
    EXPECT_EQ(this->Call(manager, Ioctl::kGetNodeInfoForRef, info),
              Errc::kFault);
  }
  this->memory().Heal();
  manager.Write(Commands().IncRefs(handle).Release(handle));
  EXPECT_EQ(Ask(manager, handle), Errc::kInvalid);
  // Whoever is manager now, and nobody else.
  this->Close(manager);
  EXPECT_EQ(Ask(client, clients), Errc::kNotPermitted);
  EXPECT_EQ(client.thread().SetContextMgr(), Errc::kOk);
  EXPECT_EQ(Ask(client, clients), Errc::kOk);
}

// --- BINDER_ENABLE_ONEWAY_SPAM_DETECTION ------------------------------------

// What comes of it is in oneway_test.cc.
//
// Rows: IO-23
TYPED_TEST(IoctlTest, OnewaySpamDetection) {
  auto& peer = this->Open({.memory = &this->memory()});
  const auto& detects = peer.proc().state().detects_spam;
  EXPECT_FALSE(detects);
  for (std::uint32_t enable : {1u, 0u, 2u, 0u, 1u << 31}) {
    EXPECT_EQ(this->Call(peer, Ioctl::kEnableOnewaySpamDetection, enable),
              Errc::kOk);
    EXPECT_EQ(detects.load(), enable != 0);
  }
  std::uint32_t enable = 0;
  for (std::size_t i = 0; i < sizeof(enable); ++i) {
    this->memory().FaultReads(AddressOf(&enable) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kEnableOnewaySpamDetection, enable),
              Errc::kFault);
  }
  EXPECT_TRUE(detects);
}

// --- BINDER_GET_EXTENDED_ERROR ---------------------------------------------

// Rows: IO-24
TYPED_TEST(IoctlTest, ExtendedErrorIsToldOnce) {
  auto& peer = this->Open();
  this->Fail(peer);
  auto bystander = peer.Spawn();
  ExtendedError error = {};
  EXPECT_EQ(this->Call(bystander, Ioctl::kGetExtendedError, error), Errc::kOk);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_EQ(this->Call(peer, Ioctl::kGetExtendedError, error), Errc::kOk);
  EXPECT_NE(error.id, 0u);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_FAILED_REPLY));
  EXPECT_EQ(error.param, -EINVAL);
  error = {1, 2, 3};
  EXPECT_EQ(this->Call(peer, Ioctl::kGetExtendedError, error), Errc::kOk);
  EXPECT_EQ(error.id, 0u);
  EXPECT_EQ(error.command, static_cast<std::uint32_t>(Br::BR_OK));
  EXPECT_EQ(error.param, 0);
}

// Rows: IO-25
TYPED_TEST(IoctlTest, ExtendedErrorIntoBadMemoryIsLost) {
  auto& peer = this->Open({.memory = &this->memory()});
  this->Fail(peer);
  EXPECT_EQ(this->CallAt(peer, Ioctl::kGetExtendedError, 0), Errc::kFault);
  EXPECT_EQ(peer.TakeError(), std::make_pair(Br::BR_OK, 0));
  ExtendedError error = {};
  for (std::size_t i = 0; i < sizeof(error); ++i) {
    this->Fail(peer);
    this->memory().FaultWrites(AddressOf(&error) + i);
    EXPECT_EQ(this->Call(peer, Ioctl::kGetExtendedError, error), Errc::kFault);
    this->memory().Heal();
    EXPECT_EQ(peer.TakeError(), std::make_pair(Br::BR_OK, 0));
  }
}

// --- All of them -----------------------------------------------------------

// Rows: IO-29
TYPED_TEST(IoctlTest, EveryRequestUsesUpTheFreeRead) {
  auto& manager = this->OpenManager();
  auto& peer = this->Open();
  Version version = {};
  std::uint32_t max = 1;
  FlatObject object = {};
  NodeDebugInfo info = {};
  NodeInfoForRef of_ref = {};
  ExtendedError error = {};
  Exchange nothing(Commands(), 0);
  Exchange bad(Commands().Raw(0xffffffff), 0);
  Exchange read;
  const struct {
    Ioctl request;
    std::uint64_t argument;
    Errc want;
  } cases[] = {
      {Ioctl::kVersion, AddressOf(&version), Errc::kOk},
      {Ioctl::kVersion, 0, Errc::kInvalid},
      {Ioctl::kSetMaxThreads, AddressOf(&max), Errc::kOk},
      {Ioctl::kSetMaxThreads, 0, Errc::kInvalid},
      {Ioctl::kSetContextMgr, 0, Errc::kBusy},
      {Ioctl::kSetContextMgrExt, AddressOf(&object), Errc::kBusy},
      {Ioctl::kSetContextMgrExt, 0, Errc::kInvalid},
      {Ioctl::kGetNodeDebugInfo, AddressOf(&info), Errc::kOk},
      {Ioctl::kGetNodeInfoForRef, AddressOf(&of_ref), Errc::kNotPermitted},
      {Ioctl::kEnableOnewaySpamDetection, AddressOf(&max), Errc::kOk},
      {Ioctl::kEnableOnewaySpamDetection, 0, Errc::kFault},
      {Ioctl::kGetExtendedError, AddressOf(&error), Errc::kOk},
      {Ioctl::kGetExtendedError, 0, Errc::kFault},
      {Ioctl::kWriteRead, AddressOf(&nothing.args), Errc::kOk},
      {Ioctl::kWriteRead, AddressOf(&bad.args), Errc::kInvalid},
      {Ioctl::kWriteRead, AddressOf(&read.args), Errc::kOk},
      {Ioctl::kWriteRead, 0, Errc::kFault},
      {Ioctl::kSetIdleTimeout, 0, Errc::kInvalid},
      {static_cast<Ioctl>(0), 0, Errc::kInvalid},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(ToString(c.request)));
    peer.proc().Flush();
    EXPECT_TRUE(this->ThreadOf(peer, peer).need_return);
    EXPECT_EQ(this->CallAt(peer, c.request, c.argument), c.want);
    EXPECT_FALSE(this->ThreadOf(peer, peer).need_return);
    EXPECT_EQ(peer.Read().error, Errc::kWouldBlock);
  }
  // Not so THREAD_EXIT: who calls again has a free read.
  EXPECT_EQ(this->CallAt(peer, Ioctl::kThreadExit, 0), Errc::kOk);
  EXPECT_EQ(peer.Read().codes(), (BrList{Br::BR_NOOP}));
  manager.Check();
}

// --- In many interleavings -------------------------------------------------

// A manager that is killed while it becomes one, and another one of another
// user who wants to: never both, and never neither for ever.
// Rows: IO-07 IO-08 IO-11
TEST(SteppedIoctlTest, ManagersThatComeAndGo) {
  using L = FineGrained<sync::SteppedPrimitives>;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    sync::SteppedScheduler scheduler(
        std::make_unique<sync::PctStrategy>(seed, /*depth=*/4,
                                            /*decisions=*/40));
    World<L> world;
    Peer<L>& doomed = world.Open({.euid = 1});
    Peer<L>& rival = world.Open({.euid = 2});
    Errc doomed_became = Errc::kOk;
    Errc rival_became = Errc::kOk;
    scheduler.Spawn("doomed",
                    [&] { doomed_became = doomed.thread().SetContextMgr(); });
    scheduler.Spawn("rival",
                    [&] { rival_became = rival.thread().SetContextMgr(); });
    scheduler.Spawn("killer", [&] { doomed.proc().Kill(); });
    scheduler.Run();
    ASSERT_TRUE(doomed.proc().released()) << scheduler.replay();
    rival.Check();
    // The first one settles for ever who may be manager.
    EXPECT_TRUE(doomed_became != Errc::kOk || rival_became != Errc::kOk)
        << scheduler.replay();
    const std::uint32_t euid = doomed_became == Errc::kOk ? 1 : 2;
    Peer<L>& next = world.Open({.euid = euid});
    if (rival_became == Errc::kOk) world.Close(rival);
    EXPECT_EQ(next.thread().SetContextMgr(), Errc::kOk) << scheduler.replay();
    if (::testing::Test::HasFailure()) return;
  }
}

// Rows: IO-11
TEST(SteppedIoctlTest, AManagerThatIsKilledInTheAct) {
  using L = FineGrained<sync::SteppedPrimitives>;
  sync::ExhaustiveSearch search(/*preemption_bound=*/2);
  do {
    sync::SteppedScheduler scheduler(search.NewStrategy());
    World<L> world;
    Peer<L>& doomed = world.Open();
    scheduler.Spawn("doomed", [&] { (void)doomed.thread().SetContextMgr(); });
    scheduler.Spawn("killer", [&] { doomed.proc().Kill(); });
    scheduler.Run();
    ASSERT_TRUE(doomed.proc().released()) << scheduler.replay();
    EXPECT_EQ(world.Open().thread().SetContextMgr(), Errc::kOk)
        << scheduler.replay();
    if (::testing::Test::HasFailure()) return;
  } while (search.Advance());
}

// Rows: IO-28
TYPED_TEST(IoctlTest, FailuresAreToldToTheHooks) {
  Peer<TypeParam>& peer = this->Open();
  std::int32_t version = 0;
  EXPECT_EQ(peer.thread().Version(version), Errc::kOk);
  EXPECT_EQ(this->gates().TakeIoctlErrors(),
            std::vector<GateHooks::IoctlError>());

  EXPECT_EQ(peer.thread().Ioctl(0xc0046299, 0), Errc::kInvalid);
  NodeInfoForRef info = {};
  EXPECT_EQ(peer.thread().GetNodeInfoForRef(info), Errc::kNotPermitted);
  peer.Do(Commands().Raw(0x12345678));
  EXPECT_EQ(
      this->gates().TakeIoctlErrors(),
      (std::vector<GateHooks::IoctlError>{
          {0xc0046299, Errc::kInvalid, peer.tid()},
          {Number(Ioctl::kGetNodeInfoForRef), Errc::kNotPermitted, peer.tid()},
          {Number(Ioctl::kWriteRead), Errc::kInvalid, peer.tid()}}));

  // But for interrupts, and for calls that a kill kept from being any.
  peer.proc().SetNonblocking(false);
  peer.thread().Interrupt();
  EXPECT_EQ(RunWriteRead(peer.thread(), Commands(), 256).error,
            Errc::kInterrupted);
  peer.thread().Kill();
  EXPECT_EQ(peer.thread().Version(version), Errc::kKilled);
  EXPECT_EQ(this->gates().TakeIoctlErrors(),
            std::vector<GateHooks::IoctlError>());
}

}  // namespace
}  // namespace binderlite::testing
