// SPDX-License-Identifier: Apache-2.0
//
// Dumps: the same story, told to Linux 6.12 and to us, makes the same texts,
// but for what debug/dump.h says; and what that story does not touch.

#include "binderlite/debug/dump.h"

#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/debug/snapshot.h"
#include "support/call_test.h"

namespace binderlite::testing {
namespace {

using L = FineGrained<>;

// --- What Linux 6.12 shows -------------------------------------------------
//
// Without addresses, times, pages and line numbers, without one thread that
// only polled, with the bits of looping and polling as they are here, and with
// fewer completions in all (three transactions fail before they make one).

constexpr std::string_view kTransactions =
    R"(binder transactions:
proc 144
context binder
  thread 145: l 00 need_return 0 tr 0
    outgoing transaction 51: from 144:145 to 144:150 code b flags 0 pri 0 r1
    transaction complete
    pending transaction 52: from 144:150 to 144:145 code c flags 10 pri 0 r1 node 19 size 0:0 offset 0
  thread 146: l 00 need_return 0 tr 0
    outgoing transaction 53: from 144:146 to 144:0 code d flags 10 pri 0 r1
    transaction complete
  thread 147: l 00 need_return 0 tr 0
    transaction complete
    transaction complete
    transaction complete
  buffer 52: 0 size 0:0:0 active
  has dead binder
  has delivered dead binder
  has delivered freeze binder
proc 144
context binder
  thread 150: l 00 need_return 0 tr 0
    outgoing transaction 52: from 144:150 to 144:145 code c flags 10 pri 0 r1
    incoming transaction 51: from 144:145 to 144:150 code b flags 0 pri 0 r1 node 7 size 32:8 offset 0
    transaction complete
  node 11: u0000000000000020 c0000000000000021 hs 1 hw 1 ls 3 lw 0 is 2 iw 2 tr 1 proc 144 142
    pending async transaction 55: from 144:147 to 144:0 code f flags 1 pri 0 r0 node 11 size 16:0 offset 98
    pending async transaction 56: from 144:147 to 144:0 code 10 flags 41 pri 0 r0 node 11 size 24:0 offset a8
  buffer 51: 0 size 32:8:0 active
  buffer 53: 28 size 100:0:0 active
  buffer 54: 90 size 8:0:0 active
  buffer 55: 98 size 16:0:0 active
  buffer 56: a8 size 24:0:0 active
  pending transaction 53: from 144:146 to 144:0 code d flags 10 pri 0 r1 node 7 size 100:0 offset 28
  pending transaction 54: from 144:147 to 144:0 code e flags 1 pri 0 r0 node 11 size 8:0 offset 90
)";

constexpr std::string_view kFailedLog =
    R"(58: call  from 144:148 to 0:0 context binder node 0 handle 999 size 0:0 ret 29201/-22 l=0
59: call  from 144:148 to 0:0 context binder node 0 handle 4 size 0:0 ret 29189/-22 l=0
60: async from 144:148 to 0:0 context binder node 0 handle 3 size 0:0 ret 29201/-22 l=0
61: call  from 144:148 to 144:0 context binder node 7 handle 1 size 2097152:0 ret 29201/-28 l=0
62: call  from 144:148 to 144:0 context binder node 7 handle 1 size 24:8 ret 29201/-22 l=0
63: reply from 144:148 to 0:0 context binder node 0 handle 0 size 0:0 ret 29201/-71 l=0
64: async from 144:148 to 144:0 context binder node 7 handle 1 size 2097152:0 ret 29201/-28 l=0
65: call  from 144:148 to 0:0 context binder node 0 handle 999 size 0:0 ret 29201/-22 l=0
68: call  from 144:149 to 143:0 context binder node 3 handle 6 size 0:0 ret 29202/0 l=0
)";

constexpr std::string_view kLog =
    R"(30: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
31: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
33: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
34: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
36: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
37: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
39: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
40: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
42: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
43: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
45: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
46: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
48: call  from 144:144 to 142:0 context binder node 1 handle 0 size 4:0 ret 0/0 l=0
49: reply from 142:142 to 144:144 context binder node 0 handle 0 size 24:8 ret 0/0 l=0
51: call  from 144:145 to 144:0 context binder node 7 handle 1 size 32:8 ret 0/0 l=0
52: call  from 144:150 to 144:145 context binder node 19 handle 1 size 0:0 ret 0/0 l=0
53: call  from 144:146 to 144:0 context binder node 7 handle 1 size 100:0 ret 0/0 l=0
54: async from 144:147 to 144:0 context binder node 11 handle 2 size 8:0 ret 0/0 l=0
55: async from 144:147 to 144:0 context binder node 11 handle 2 size 16:0 ret 0/0 l=0
56: async from 144:147 to 144:0 context binder node 11 handle 2 size 24:0 ret 0/0 l=0
57: reply from 144:145 to 144:150 context binder node 0 handle 0 size 40:0 ret 0/0 l=0
58: call  from 144:148 to 0:0 context binder node 0 handle 999 size 0:0 ret 29201/-22 l=0
59: call  from 144:148 to 0:0 context binder node 0 handle 4 size 0:0 ret 29189/-22 l=0
60: async from 144:148 to 0:0 context binder node 0 handle 3 size 0:0 ret 29201/-22 l=0
61: call  from 144:148 to 144:0 context binder node 7 handle 1 size 2097152:0 ret 29201/-28 l=0
62: call  from 144:148 to 144:0 context binder node 7 handle 1 size 24:8 ret 29201/-22 l=0
63: reply from 144:148 to 0:0 context binder node 0 handle 0 size 0:0 ret 29201/-71 l=0
64: async from 144:148 to 144:0 context binder node 7 handle 1 size 2097152:0 ret 29201/-28 l=0
65: call  from 144:148 to 0:0 context binder node 0 handle 999 size 0:0 ret 29201/-22 l=0
66: async from 144:149 to 143:0 context binder node 3 handle 6 size 8:0 ret 0/0 l=0
67: async from 144:149 to 143:0 context binder node 3 handle 6 size 8:0 ret 0/0 l=0
68: call  from 144:149 to 143:0 context binder node 3 handle 6 size 0:0 ret 29202/0 l=0
)";

constexpr std::string_view kStats =
    R"(binder stats:
BC_TRANSACTION: 30
BC_REPLY: 16
BC_FREE_BUFFER: 29
BC_INCREFS: 3
BC_ACQUIRE: 14
BC_RELEASE: 1
BC_INCREFS_DONE: 7
BC_ACQUIRE_DONE: 7
BC_REGISTER_LOOPER: 1
BC_ENTER_LOOPER: 2
BC_REQUEST_DEATH_NOTIFICATION: 3
BC_REQUEST_FREEZE_NOTIFICATION: 1
BR_TRANSACTION: 16
BR_REPLY: 14
BR_DEAD_REPLY: 1
BR_TRANSACTION_COMPLETE: 29
BR_INCREFS: 7
BR_ACQUIRE: 7
BR_DEAD_BINDER: 2
BR_FAILED_REPLY: 6
BR_FROZEN_REPLY: 1
BR_TRANSACTION_PENDING_FROZEN: 2
BR_FROZEN_BINDER: 1
proc: active 4 total 5
thread: active 12 total 13
node: active 8 total 8
ref: active 14 total 14
death: active 3 total 3
transaction: active 8 total 41
transaction_complete: active 6 total 38
freeze: active 1 total 1
proc 144
context binder
  threads: 6
  requested threads: 0+0/0
  ready threads 0
  free async space 524288
  nodes: 1
  refs: 6 s 5 w 3
  buffers: 0
  pending transactions: 0
  BC_TRANSACTION: 22
  BC_REPLY: 2
  BC_FREE_BUFFER: 8
  BC_INCREFS: 3
  BC_ACQUIRE: 6
  BC_RELEASE: 1
  BC_INCREFS_DONE: 1
  BC_ACQUIRE_DONE: 1
  BC_REQUEST_DEATH_NOTIFICATION: 3
  BC_REQUEST_FREEZE_NOTIFICATION: 1
  BR_TRANSACTION: 1
  BR_REPLY: 7
  BR_DEAD_REPLY: 1
  BR_TRANSACTION_COMPLETE: 8
  BR_INCREFS: 1
  BR_ACQUIRE: 1
  BR_DEAD_BINDER: 2
  BR_FAILED_REPLY: 6
  BR_FROZEN_REPLY: 1
  BR_TRANSACTION_PENDING_FROZEN: 2
  BR_FROZEN_BINDER: 1
proc 144
context binder
  threads: 4
  requested threads: 0+0/3
  ready threads 0
  free async space 524240
  nodes: 3
  refs: 1 s 2 w 0
  buffers: 6
  pending transactions: 2
  BC_TRANSACTION: 5
  BC_FREE_BUFFER: 4
  BC_ACQUIRE: 1
  BC_INCREFS_DONE: 3
  BC_ACQUIRE_DONE: 3
  BC_REGISTER_LOOPER: 1
  BC_ENTER_LOOPER: 1
  BR_TRANSACTION: 1
  BR_REPLY: 4
  BR_TRANSACTION_COMPLETE: 4
  BR_INCREFS: 3
  BR_ACQUIRE: 3
proc 143
context binder
  threads: 1
  requested threads: 0+0/0
  ready threads 0
  free async space 524272
  nodes: 1
  refs: 0 s 0 w 0
  buffers: 2
  pending transactions: 1
  BC_TRANSACTION: 1
  BC_FREE_BUFFER: 1
  BC_INCREFS_DONE: 1
  BC_ACQUIRE_DONE: 1
  BR_REPLY: 1
  BR_TRANSACTION_COMPLETE: 1
  BR_INCREFS: 1
  BR_ACQUIRE: 1
proc 142
context binder
  threads: 1
  requested threads: 0+0/0
  ready threads 0
  free async space 524288
  nodes: 1
  refs: 7 s 7 w 0
  buffers: 0
  pending transactions: 0
  BC_REPLY: 14
  BC_FREE_BUFFER: 14
  BC_ACQUIRE: 7
  BC_ENTER_LOOPER: 1
  BR_TRANSACTION: 14
  BR_TRANSACTION_COMPLETE: 14
)";

constexpr std::string_view kState =
    R"(binder state:
dead nodes:
  node 27: u0000000000000060 c0000000000000061 hs 1 hw 1 ls 0 lw 0 is 2 iw 2 tr 1 proc 144 142
  node 23: u0000000000000050 c0000000000000051 hs 1 hw 1 ls 0 lw 0 is 2 iw 2 tr 1 proc 144 142
proc 144
context binder
  thread 144: l 00 need_return 0 tr 0
  thread 145: l 00 need_return 0 tr 0
    outgoing transaction 51: from 144:145 to 144:150 code b flags 0 pri 0 r1
    transaction complete
  thread 146: l 00 need_return 0 tr 0
    outgoing transaction 53: from 144:146 to 144:0 code d flags 10 pri 0 r1
    transaction complete
  thread 147: l 00 need_return 0 tr 0
    transaction complete
    transaction complete
    transaction complete
  thread 148: l 00 need_return 0 tr 0
    transaction error: 29201
  thread 149: l 00 need_return 0 tr 0
  node 19: u0000000000000040 c0000000000000041 hs 1 hw 1 ls 0 lw 0 is 2 iw 2 tr 1 proc 144 142
  ref 32: desc 1 node 7 s 1 w 0 d 0
  ref 35: desc 2 node 11 s 1 w 2 d 0
  ref 38: desc 3 node 15 s 0 w 1 d 0
  ref 41: desc 4 dead node 23 s 1 w 0 d 0
  ref 44: desc 5 dead node 27 s 1 w 0 d 1
  ref 47: desc 6 node 3 s 1 w 0 d 0
  has cleared death notification
  has dead binder
  has delivered dead binder
  has delivered freeze binder
proc 144
context binder
  thread 144: l 00 need_return 0 tr 0
  thread 150: l 00 need_return 0 tr 0
    incoming transaction 51: from 144:145 to 144:150 code b flags 0 pri 0 r1 node 7 size 32:8 offset 0
    transaction complete
    pending transaction 57: from 144:145 to 144:150 code 0 flags 0 pri 0 r0 size 40:0 offset c0
  thread 151: l 09 need_return 0 tr 0
  thread 152: l 02 need_return 0 tr 0
  node 7: u0000000000000010 c0000000000000011 hs 1 hw 1 ls 2 lw 0 is 2 iw 2 tr 1 proc 144 142
  node 11: u0000000000000020 c0000000000000021 hs 1 hw 1 ls 3 lw 0 is 2 iw 2 tr 1 proc 144 142
    pending async transaction 55: from 144:147 to 144:0 code f flags 1 pri 0 r0 node 11 size 16:0 offset 98
    pending async transaction 56: from 144:147 to 144:0 code 10 flags 41 pri 0 r0 node 11 size 24:0 offset a8
  node 15: u0000000000000030 c0000000000000031 hs 1 hw 1 ls 0 lw 0 is 1 iw 2 tr 1 proc 144 142
  ref 50: desc 1 node 19 s 2 w 0 d 0
  buffer 51: 0 size 32:8:0 active
  buffer 53: 28 size 100:0:0 active
  buffer 54: 90 size 8:0:0 active
  buffer 55: 98 size 16:0:0 active
  buffer 56: a8 size 24:0:0 active
  buffer 57: c0 size 40:0:0 active
  pending transaction 53: from 144:146 to 144:0 code d flags 10 pri 0 r1 node 7 size 100:0 offset 28
  pending transaction 54: from 144:147 to 144:0 code e flags 1 pri 0 r0 node 11 size 8:0 offset 90
proc 143
context binder
  thread 143: l 00 need_return 0 tr 0
  node 3: u00000000000000f0 c00000000000000f1 hs 1 hw 1 ls 2 lw 0 is 2 iw 2 tr 1 proc 144 142
    pending async transaction 67: from 144:149 to 143:0 code 20 flags 1 pri 0 r0 node 3 size 8:0 offset 8
  buffer 66: 0 size 8:0:0 active
  buffer 67: 8 size 8:0:0 active
  pending transaction 66: from 144:149 to 143:0 code 1f flags 1 pri 0 r0 node 3 size 8:0 offset 0
proc 142
context binder
  thread 142: l 02 need_return 0 tr 0
  node 1: u0000000000000000 c0000000000000000 hs 1 hw 1 ls 1 lw 1 is 0 iw 0 tr 1
  ref 4: desc 1 node 3 s 1 w 0 d 0
  ref 8: desc 2 node 7 s 1 w 0 d 0
  ref 12: desc 3 node 11 s 1 w 0 d 0
  ref 16: desc 4 node 15 s 1 w 0 d 0
  ref 20: desc 5 node 19 s 1 w 0 d 0
  ref 24: desc 6 dead node 23 s 1 w 0 d 0
  ref 28: desc 7 dead node 27 s 1 w 0 d 0
)";

// --- The story -------------------------------------------------------------

// With each id replaced by how many others came before it: two texts that tell
// the same are equal then.
std::string Normal(std::string_view text) {
  std::map<std::string, std::size_t> ids = {{"0", 0}};
  std::string out;
  bool line_begins = true;
  while (!text.empty()) {
    bool is_id = line_begins && std::isdigit(text.front()) != 0;
    if (!is_id) {
      for (const std::string_view name :
           {"node ", "node work ", "ref ", "buffer ", "transaction "}) {
        if (!text.starts_with(name)) continue;
        out += name;
        text.remove_prefix(name.size());
        is_id = !text.empty() && std::isdigit(text.front()) != 0;
        break;
      }
    }
    std::size_t digits = 0;
    while (is_id && digits < text.size() && std::isdigit(text[digits]) != 0) {
      ++digits;
    }
    if (digits > 0) {
      const auto id = ids.emplace(text.substr(0, digits), ids.size()).first;
      out += '#' + std::to_string(id->second);
      text.remove_prefix(digits);
      line_begins = false;
      continue;
    }
    if (text.empty()) break;
    line_begins = text.front() == '\n';
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

class DumpTest : public CallTest<L> {
 protected:
  // `owner` gives its node to the manager, which keeps a handle.
  std::uint32_t Put(Peer<L>& manager, Peer<L>& owner, std::uint64_t ptr) {
    owner.Write(Commands().Transact(0, Payload().Binder(ptr, ptr + 1), 1));
    const Received call = Receive(manager);
    const std::uint32_t handle = call.object(0).handle;
    manager.Write(Commands().Acquire(handle).Free(call.tr.buffer).Reply());
    EXPECT_EQ(manager.ReadCodes(), BrList{kComplete});
    Settle(owner);
    return handle;
  }
  // `holder` gets it.
  std::uint32_t Get(Peer<L>& manager, Peer<L>& holder, std::uint32_t handle) {
    holder.Write(Commands().Transact(0, Payload("ask!"), 2));
    const Received call = Receive(manager);
    manager.Write(
        Commands().Free(call.tr.buffer).Reply(Payload().Handle(handle)));
    EXPECT_EQ(manager.ReadCodes(), BrList{kComplete});
    const Received reply = holder.Read().Get(kReply);
    const std::uint32_t got = reply.object(0).handle;
    holder.Write(Commands().Acquire(got).Free(reply.tr.buffer));
    return got;
  }
  Actor<L> Thread(Peer<L>& peer, std::int32_t tid) {
    Actor<L> actor(context(), peer.proc().Attach(tid));
    std::int32_t version = 0;
    EXPECT_EQ(actor.thread().Version(version), Errc::kOk);
    return actor;
  }
  static Payload Bytes(std::size_t size) {
    return Payload(std::string(size, 'x'));
  }
};

// Rows: DB-01 DB-02 DB-03 DB-04 DB-05 DB-06 WR-14 RD-28 AL-27
TEST_F(DumpTest, TheSameStoryMakesTheSameTexts) {
  Peer<L>& manager = OpenManager({.pid = 142});
  Peer<L>& frozen = Open({.pid = 143});
  Peer<L>& a = Open({.pid = 144});
  Peer<L>& b = Open({.pid = 144});
  auto d = std::make_unique<Peer<L>>(
      context(), context().Open({.pid = 144, .nonblocking = true}));
  manager.Write(Commands().EnterLooper());
  const std::uint32_t f1 = Put(manager, frozen, 0xf0);
  EXPECT_EQ(a.thread().SetMaxThreads(3), Errc::kOk);
  const std::uint32_t n1 = Put(manager, a, 0x10);
  const std::uint32_t n2 = Put(manager, a, 0x20);
  const std::uint32_t n3 = Put(manager, a, 0x30);
  const std::uint32_t m1 = Put(manager, b, 0x40);
  const std::uint32_t d1 = Put(manager, *d, 0x50);
  const std::uint32_t d2 = Put(manager, *d, 0x60);
  const std::uint32_t b1 = Get(manager, b, n1);
  const std::uint32_t b2 = Get(manager, b, n2);
  const std::uint32_t b3 = Get(manager, b, n3);
  const std::uint32_t bd1 = Get(manager, b, d1);
  const std::uint32_t bd2 = Get(manager, b, d2);
  const std::uint32_t bf = Get(manager, b, f1);
  const std::uint32_t am = Get(manager, a, m1);
  b.Write(Commands().IncRefs(b3).Release(b3).IncRefs(b2).IncRefs(b2));
  b.Write(Commands()
              .RequestDeath(b1, 0xd1)
              .RequestDeath(bd1, 0xd2)
              .RequestDeath(bd2, 0xd3)
              .Put(Bc::BC_REQUEST_FREEZE_NOTIFICATION, HandleCookie{bf, 0xfe}));
  d.reset();
  Actor<L> w1 = Thread(b, 145);
  Actor<L> w2 = Thread(b, 146);
  Actor<L> w3 = Thread(b, 147);
  Actor<L> w4 = Thread(b, 148);
  Actor<L> w5 = Thread(b, 149);
  Actor<L> a1 = Thread(a, 150);
  Actor<L> a2 = Thread(a, 151);
  EXPECT_EQ(w5.ReadCodes(), BrList{Br::BR_FROZEN_BINDER});
  EXPECT_EQ(w5.ReadCodes(), BrList{Br::BR_DEAD_BINDER});

  // A call, in it one to the thread that waits for it, another call, one-ways.
  Payload object;
  object.Binder(0x40, 0x41).Bytes("12345678", 8);
  w1.Write(Commands().Transact(b1, object, 11));
  (void)Receive(a1);
  a1.Write(Commands().Transact(am, {}, 12, kTfAcceptFds));
  w2.Write(Commands().Transact(b1, Bytes(100), 13, kTfAcceptFds));
  w3.Write(Commands().OneWay(b2, Bytes(8), 14));
  w3.Write(Commands().OneWay(b2, Bytes(16), 15));
  w3.Write(Commands().Transact(b2, Bytes(24), 16, kTfOneWay | kTfUpdateTxn));
  EXPECT_EQ(Normal(TransactionsText(Snapshot())), Normal(kTransactions));

  // A reply that is not read; failures; one that is not read.
  const Received nested = Receive(w1);
  w1.Write(Commands().Free(nested.tr.buffer));
  w1.Write(Commands().Reply(Bytes(40)));
  const Payload huge = Bytes(std::size_t{2} << 20);
  const Payload bad = Payload().Handle(777);
  for (const Commands& fails :
       {Commands().Transact(999, {}, 21), Commands().Transact(bd1, {}, 22),
        Commands().OneWay(b3, {}, 23), Commands().Transact(b1, huge, 24),
        Commands().Transact(b1, bad, 25), Commands().Reply({}, 26),
        Commands().Transact(b1, huge, 27, kTfOneWay | kTfAcceptFds)}) {
    w4.Write(fails);
    (void)w4.ReadAll();
  }
  w4.Write(Commands().Transact(999, {}, 28));
  Actor<L> a3 = Thread(a, 152);
  a3.Write(Commands().EnterLooper());
  a2.Write(Commands().RegisterLooper());
  EXPECT_EQ(b.thread().Freeze({143, 1, 0}), Errc::kOk);
  w5.Write(Commands().OneWay(bf, Bytes(8), 31));
  w5.Write(Commands().OneWay(bf, Bytes(8), 32));
  w5.Write(Commands().Transact(bf, {}, 33));
  EXPECT_EQ(Normal(TransactionLogText(Snapshot())), Normal(kLog));
  EXPECT_EQ(Normal(FailedTransactionLogText(Snapshot())), Normal(kFailedLog));
  (void)w5.ReadAll();
  EXPECT_EQ(StatsText(Snapshot()), kStats);

  b.Write(Commands()
              .ClearDeath(bd2, 0xd3)
              .ClearDeath(bd1, 0xd2)
              .ClearDeath(b1, 0xd1)
              .RequestDeath(bd2, 0xd3)
              .Put(Bc::BC_CLEAR_FREEZE_NOTIFICATION, HandleCookie{bf, 0xfe}));
  const std::string state = StateText(Snapshot());
  EXPECT_EQ(Normal(state), Normal(kState));
  // The same for each Proc.
  const std::string one = ProcText(Snapshot(), 143);
  constexpr std::string_view kTitle = "binder proc state:\n";
  ASSERT_TRUE(one.starts_with(kTitle));
  EXPECT_NE(state.find(one.substr(kTitle.size())), std::string::npos);
  EXPECT_EQ(ProcText(Snapshot(), 999), "");
  const std::string three = ProcText(Snapshot(), 144);
  EXPECT_NE(three.find(kTitle, 1), std::string::npos);
}

// Kernel: "incoming transaction ... buffer free", "to 0:0".
// Rows: DB-03 DB-04 DB-06
TEST_F(DumpTest, WhatIsOverOrCut) {
  auto [manager, service, client, handle] = Connected();
  client.Write(Commands().Transact(handle));
  service.Write(Commands().Free(Receive(service).tr.buffer));
  EXPECT_NE(TransactionsText(Snapshot()).find(" r1 buffer free\n"),
            std::string::npos);
  service.Write(Commands().Transact(0));
  std::string text = TransactionsText(Snapshot());
  EXPECT_EQ(text.find(" to 0:0 "), std::string::npos) << text;
  EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
  text = TransactionsText(Snapshot());
  EXPECT_NE(text.find("outgoing transaction"), std::string::npos) << text;
  EXPECT_NE(text.find(" to 0:0 "), std::string::npos) << text;
}

// Rows: AL-27 DB-03
TEST_F(DumpTest, BuffersAreActiveUntilTheirTransactionIsOver) {
  Peer<L>& manager = OpenManager();
  Peer<L>& client = Open();
  const auto Ends = [this] {
    const std::string text = StateText(Snapshot());
    std::string ends;
    for (std::size_t at = text.find("  buffer "); at != std::string::npos;
         at = text.find("  buffer ", at + 1)) {
      const std::size_t end = text.find('\n', at);
      ends += text.substr(text.find(" size", at), end - text.find(" size", at));
    }
    return ends;
  };
  std::array<char, 5> bytes = {};
  BufferObject extra = {};
  extra.hdr.type = static_cast<std::uint32_t>(ObjectType::kPtr);
  extra.buffer = AddressOf(bytes.data());
  extra.length = bytes.size();
  const Payload payload = Payload().Object(extra);
  client.Write(Commands().Put(Bc::BC_TRANSACTION_SG,
                              TransactionDataSg{payload.Data(), 8}));
  EXPECT_EQ(Ends(), " size 40:8:8 active");
  const Received call = Receive(manager);
  EXPECT_EQ(Ends(), " size 40:8:8 active");
  manager.Write(Commands().Reply());
  EXPECT_EQ(Ends(), " size 0:0:0 active size 40:8:8 delivered");
  const Received reply = client.Read().Get(kReply);
  EXPECT_EQ(Ends(), " size 0:0:0 delivered size 40:8:8 delivered");
  client.Write(Commands().Free(reply.tr.buffer));
  manager.Write(Commands().Free(call.tr.buffer));
  EXPECT_EQ(Ends(), "");
}

// Rows: DB-06
TEST(DumpTextTest, NamesOfWork) {
  debug::Snapshot s;
  s.context = "binder";
  debug::ProcSnapshot& proc = s.procs.emplace_back();
  proc.pid = 5;
  debug::ThreadSnapshot& thread = proc.threads.emplace_back();
  thread.tid = 6;
  thread.looper = core::kLooperRegistered | core::kLooperWaiting;
  thread.work = {{.type = WorkType::kTransactionComplete},
                 {.type = WorkType::kPendingFrozen},
                 {.type = WorkType::kSpamSuspect},
                 {.type = WorkType::kReturnError, .error = kFailed}};
  proc.work = {{.type = WorkType::kNode,
                .node_id = 7,
                .node_ptr = 0x10,
                .node_cookie = ~std::uint64_t{0}},
               {.type = WorkType::kDeadBinder},
               {.type = WorkType::kDeadBinderAndClear},
               {.type = WorkType::kClearDeathNotification},
               {.type = WorkType::kFrozenBinder},
               {.type = WorkType::kClearFreezeNotification}};
  proc.delivered_deaths = 2;
  proc.delivered_freezes = 1;
  EXPECT_EQ(TransactionsText(s), R"(binder transactions:
proc 5
context binder
  thread 6: l 11 need_return 0 tr 0
    transaction complete
    transaction pending frozen
    one-way spam suspect
    transaction error: 29201
  node work 7: u0000000000000010 cffffffffffffffff
  has dead binder
  has cleared dead binder
  has cleared death notification
  has frozen binder
  has cleared freeze notification
  has delivered dead binder
  has delivered freeze binder
)");
}

// Rows: DB-01 DB-03 DB-04
TEST_F(DumpTest, NothingIsThere) {
  EXPECT_EQ(StateText(Snapshot()), "binder state:\n");
  EXPECT_EQ(StatsText(Snapshot()), "binder stats:\n");
  EXPECT_EQ(TransactionLogText(Snapshot()), "");
  (void)Open({.pid = 5, .arena_size = 0});
  // An idle one is no news.
  EXPECT_EQ(TransactionsText(Snapshot()), "binder transactions:\n");
  // A kind of object that there has never been is left out.
  EXPECT_EQ(StatsText(Snapshot()), R"(binder stats:
proc: active 1 total 1
thread: active 1 total 1
proc 5
context binder
  threads: 1
  requested threads: 0+0/0
  ready threads 0
  free async space 0
  nodes: 0
  refs: 0 s 0 w 0
  buffers: 0
  pending transactions: 0
)");
}

// Rows: DB-02 SG-17
TEST_F(DumpTest, StatsOfLoopers) {
  Peer<L>& peer = Open();
  EXPECT_EQ(peer.thread().SetMaxThreads(7), Errc::kOk);
  EXPECT_EQ(peer.Fresh().Do(Commands().EnterLooper()).codes(),
            BrList{Br::BR_SPAWN_LOOPER});
  EXPECT_NE(StatsText(Snapshot()).find("  requested threads: 1+0/7\n"),
            std::string::npos);
  Actor<L> worker = peer.Spawn();
  worker.Write(Commands().RegisterLooper());
  auto waiting = Block(peer, worker);
  const std::string text = StatsText(Snapshot());
  EXPECT_NE(text.find("  requested threads: 0+1/7\n  ready threads 1\n"),
            std::string::npos)
      << text;
  EXPECT_NE(StateText(Snapshot()).find(": l 11 "), std::string::npos);
  peer.proc().Flush();
  (void)waiting->Join();
}

// A transaction that is being sent keeps nobody from looking.
// Rows: DB-05 DB-08
TEST_F(DumpTest, WhileATransactionIsBuilt) {
  auto [manager, service, client, handle] = Connected();
  gates().Close(Point::kSending, client.tid());
  const int before = gates().Visits(Point::kSending, client.tid());
  {
    const std::jthread sender([&client = client, to = handle] {
      (void)RunWriteRead(client.thread(), Commands().OneWay(to), 0);
    });
    gates().WaitFor(Point::kSending, client.tid(), before + 1);
    const debug::Snapshot during = Snapshot();
    EXPECT_TRUE(
        TransactionLogText(during).ends_with(" ret 0/0 l=0 (incomplete)\n"));
    EXPECT_NE(StateText(during).find(" size 0:0:0 active\n"),
              std::string::npos);
    gates().Open(Point::kSending, client.tid());
  }
  EXPECT_TRUE(TransactionLogText(Snapshot()).ends_with(" ret 0/0 l=0\n"));
}

// Readers of the state against writers of all of it: for the sanitizers.
// Rows: DB-08
TEST_F(DumpTest, WhileEverythingIsBusy) {
  auto [manager, service, client, handle] = Connected();
  Actor<L> second = client.Spawn();
  service.proc().SetNonblocking(false);
  constexpr int kCalls = 300;
  {
    std::stop_source done;
    const std::jthread server([&service = service, &done] {
      Commands commands;
      for (;;) {
        const Result result =
            RunWriteRead(service.thread(), std::exchange(commands, {}),
                         kReadSize, done.get_token());
        if (result.error != Errc::kOk) return;
        for (const Received& r : result.received) {
          if (r.br != kTransaction) continue;
          commands.Free(r.tr.buffer);
          if ((r.tr.flags & kTfOneWay) == 0) commands.Reply();
        }
      }
    });
    const std::jthread poster([&second, to = handle] {
      for (int i = 0; i < kCalls; ++i) {
        (void)RunWriteRead(second.thread(), Commands().OneWay(to), kReadSize);
      }
    });
    client.proc().SetNonblocking(false);
    for (int i = 0; i < kCalls; ++i) {
      Result result =
          RunWriteRead(client.thread(), Commands().Transact(handle), kReadSize);
      (void)client.thread().FreeBuffer(result.Get(kReply).tr.buffer);
      const debug::Snapshot s = Snapshot();
      (void)StateText(s);
      EXPECT_LE(s.log.size(), core::TransactionLog::kEntries);
    }
    client.proc().SetNonblocking(true);
    done.request_stop();
  }
  service.proc().SetNonblocking(true);
}

}  // namespace
}  // namespace binderlite::testing
