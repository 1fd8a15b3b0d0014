// SPDX-License-Identifier: Apache-2.0
//
// Fetching ahead: what a call is about to write or read, and another processor
// has written last, is fetched at its beginning, as core/footprint.h says why
// and by which rule.
//
//   a call, a reply    the queues and the arena of who gets it, the thread that
//                      is woken, the buffer and where its payload goes; of a
//                      call, the node
//   after a wait       the own queues, thread and arena; the transaction that
//                      has come, its buffer, payload and node
//
// One-ways are not: their receiver is busy with the same lines. Nor are calls
// that are served on their caller's thread: all of it is here.
//
// While a thread is lent, its guest does not record what it receives
// (SeeReceived): the thread's own OS thread, on its way out of its wait, may be
// reading that record.
//
// No locks, and no effect but on time.

#ifndef BINDERLITE_DRIVER_FETCH_H_
#define BINDERLITE_DRIVER_FETCH_H_

#include <cstddef>
#include <cstdint>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/footprint.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/sync/cache_line.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// How many lines of each.
inline constexpr std::size_t kQueuesLines = 2;
inline constexpr std::size_t kThreadLines = 1;
inline constexpr std::size_t kArenaLines = 1;
inline constexpr std::size_t kBufferLines = 2;
inline constexpr std::size_t kNodeLines = 2;
// More of it the processor fetches by itself.
inline constexpr std::size_t kPayloadLines = 2;

inline void Fetch(const core::Footprint::Sent& sent) {
  sent.queues.Fetch(kQueuesLines);
  sent.thread.Fetch(kThreadLines);
  sent.arena.Fetch(kArenaLines);
  sent.buffer.Fetch(kBufferLines);
  sent.payload.Fetch(kPayloadLines);
}

// Whether `data`, which `self` is about to send, goes where the last call or
// reply of this thread went.
template <LockingPolicy L>
[[nodiscard]] bool GoesAsBefore(const core::Thread<L>& self,
                                const TransactionData& data, bool is_reply) {
  const core::Footprint& footprint = self.footprint;
  return is_reply ? footprint.reply_to == footprint.caller
                  : footprint.call_to == data.target.handle &&
                        (data.flags & kTfOneWay) == 0;
}

// `data` is about to be sent.
template <LockingPolicy L>
void FetchToSend(const core::Thread<L>& self, const TransactionData& data,
                 bool is_reply) {
  if (!GoesAsBefore(self, data, is_reply)) return;
  const core::Footprint& footprint = self.footprint;
  if (!is_reply) footprint.call_node.Fetch(kNodeLines);
  Fetch(is_reply ? footprint.reply : footprint.call);
  self.proc->context->FetchOrder();
}

// A thread of `proc` has been woken. The thread knows its Proc, but does so on
// one of the lines that are not here yet.
template <LockingPolicy L>
void FetchForRead(const core::Thread<L>& self, const core::Proc<L>& proc) {
  core::FetchToWrite(&proc.queues_mu, kQueuesLines);
  core::FetchToWrite(&self.is_dead, kThreadLines);
  const core::Footprint::Received& received = self.footprint.received;
  received.transactions[self.footprint.turn].Fetch(
      sizeof(core::Transaction<L>) / kCacheLine);
  received.buffer.Fetch(kBufferLines);
  received.payload.Fetch(kPayloadLines);
  core::FetchToWrite(&proc.arena, kArenaLines);
  received.node.Fetch(kNodeLines);
}

template <LockingPolicy L>
void See(core::Footprint::Sent& sent, const core::Thread<L>& to,
         const core::Transaction<L>& transaction) {
  sent.queues.See(&to.proc->queues_mu);
  sent.thread.See(&to.is_dead);
  sent.arena.See(&to.proc->arena);
  sent.buffer.See(transaction.buffer);
  sent.payload.See(transaction.buffer->data);
}

// `self` has sent `call`, which nobody else knows yet, to `handle`; it is about
// to be given to `to`.
template <LockingPolicy L>
void SeeCall(core::Thread<L>& self, std::uint32_t handle,
             const core::Thread<L>& to, const core::Transaction<L>& call) {
  core::Footprint& footprint = self.footprint;
  footprint.call_to = handle;
  if (const core::Node<L>* const node = call.buffer->target_node.get()) {
    footprint.call_node.See(&node->mu);
  }
  See(footprint.call, to, call);
}

// The same of a reply.
template <LockingPolicy L>
void SeeReply(core::Thread<L>& self, const core::Thread<L>& to,
              const core::Transaction<L>& reply) {
  self.footprint.reply_to = &to;
  See(self.footprint.reply, to, reply);
}

// `self` is about to read `transaction`.
template <LockingPolicy L>
void SeeReceived(core::Thread<L>& self,
                 const core::Transaction<L>& transaction) {
  core::Footprint& footprint = self.footprint;
  if (transaction.needs_reply()) footprint.caller = transaction.sender_hint();
  core::Footprint::Received& received = footprint.received;
  received.transactions[footprint.turn].See(&transaction);
  footprint.turn ^= 1;
  received.buffer.See(transaction.buffer);
  received.payload.See(transaction.buffer->data);
  if (const core::Node<L>* const node = transaction.buffer->target_node.get()) {
    received.node.See(&node->mu);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_FETCH_H_
