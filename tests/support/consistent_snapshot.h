// SPDX-License-Identifier: Apache-2.0
//
// Consistent: a small Snapshot with which nothing is wrong, to break it or to
// write it down.

#ifndef BINDERLITE_TESTS_SUPPORT_CONSISTENT_SNAPSHOT_H_
#define BINDERLITE_TESTS_SUPPORT_CONSISTENT_SNAPSHOT_H_

#include <cstddef>

#include "binderlite/core/counts.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/work.h"
#include "binderlite/debug/state.h"

namespace binderlite::testing {

inline debug::CountSnapshot& CountOf(debug::Snapshot& s,
                                     core::ObjectKind kind) {
  return s.counts[static_cast<std::size_t>(kind)];
}

// An owner (pid 100) with one node, a thread that waits and one that serves a
// call, and a holder (pid 200) of a handle to the node, registered for its
// death. Nothing is wrong with it.
inline debug::Snapshot Consistent() {
  debug::Snapshot s;
  s.discipline = "FineGrained";
  s.context = "binder";
  debug::ThreadSnapshot waits;
  waits.tid = 101;
  waits.looper = core::kLooperEntered | core::kLooperWaiting;
  waits.waiting = true;
  debug::ThreadSnapshot serves;
  serves.tid = 102;
  serves.need_return = true;
  serves.process_todo = true;
  serves.todo = {core::WorkType::kTransactionComplete};
  serves.work = {{.type = core::WorkType::kTransactionComplete}};
  serves.stack = {{.id = 9,
                   .incoming = true,
                   .transaction = {.id = 9,
                                   .from_pid = 200,
                                   .from_tid = 201,
                                   .to_pid = 100,
                                   .to_tid = 102,
                                   .code = 17,
                                   .flags = 16,
                                   .priority = -5}}};
  debug::NodeSnapshot node;
  node.id = 5;
  node.ptr = 4096;
  node.cookie = 8192;
  node.has_strong = node.has_weak = node.pending_weak = true;
  node.local_weak = 1;
  node.internal_strong = 1;
  node.refs = 1;
  node.holders = {200};
  debug::ProcSnapshot owner;
  owner.id = 1;
  owner.pid = 100;
  owner.name = "owner";
  owner.max_threads = 4;
  owner.requested = 1;
  owner.started = 2;
  owner.ready = 1;
  owner.outstanding = 1;
  owner.todo = {core::WorkType::kNode, core::WorkType::kDeadBinder};
  owner.work = {{.type = core::WorkType::kNode,
                 .node_id = 5,
                 .node_ptr = 4096,
                 .node_cookie = 8192},
                {.type = core::WorkType::kDeadBinder}};
  owner.threads = {waits, serves};
  owner.nodes = {node};
  owner.arena_size = 4096;
  owner.arena_free = 4080;
  owner.arena_free_async = 2048;
  owner.arena_holes = 1;
  owner.buffers = 1;
  owner.delivered_buffers = 1;
  owner.buffer_list = {
      {.id = 9, .node_id = 5, .offset = 32, .data_size = 12, .active = true}};
  owner.commands.bc[1] = 3;  // BC_REPLY
  owner.commands.br[2] = 4;  // BR_TRANSACTION
  debug::RefSnapshot ref;
  ref.id = 6;
  ref.handle = 1;
  ref.node_id = 5;
  ref.strong = 2;
  ref.death = true;
  debug::ProcSnapshot holder;
  holder.id = 2;
  holder.pid = 200;
  holder.name = "holder";
  holder.refs = {ref};
  holder.arena_size = holder.arena_free = 4096;
  holder.arena_free_async = 2048;
  holder.arena_holes = 1;
  s.procs = {owner, holder};
  s.commands = owner.commands;
  s.log = {{.id = 9,
            .from_pid = 200,
            .from_tid = 201,
            .to_pid = 100,
            .node = 5,
            .handle = 1,
            .data_size = 12}};
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

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_CONSISTENT_SNAPSHOT_H_
