// SPDX-License-Identifier: Apache-2.0
//
// Dispatch: the two halves of BINDER_WRITE_READ. Execute runs a stream of BC_
// commands; Read turns queued work into BR_ commands, written to a Sink: bytes
// in user memory (ByteSink), or decoded records (IncomingSink) for callers
// that need no byte stream.
//
// Work is looked at and taken off its list under the queues mutex of its Proc;
// user memory is only touched with that released.
// Kernel: binder_thread_write, binder_thread_read, binder_ioctl_write_read.

#ifndef BINDERLITE_DRIVER_DISPATCH_H_
#define BINDERLITE_DRIVER_DISPATCH_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/death.h"
#include "binderlite/core/freeze.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/priority.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/quirks.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/completion.h"
#include "binderlite/driver/failed_reply.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/freeze.h"
#include "binderlite/driver/guest.h"
#include "binderlite/driver/loan.h"
#include "binderlite/driver/notify.h"
#include "binderlite/driver/payload.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/route.h"
#include "binderlite/driver/transact.h"
#include "binderlite/driver/transaction.h"
#include "binderlite/driver/wait.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// --- Writing ---------------------------------------------------------------

// BC_ENTER_LOOPER, BC_REGISTER_LOOPER, BC_EXIT_LOOPER (LP-01 to LP-04, LP-10).
template <LockingPolicy L>
void BecomeLooper(core::Thread<L>& self, Bc how) {
  const std::uint32_t before = self.looper.load(std::memory_order_relaxed);
  std::uint32_t bits = core::kLooperExited;
  if (how == Bc::BC_ENTER_LOOPER) {
    bits = core::kLooperEntered;
    if ((before & core::kLooperRegistered) != 0) bits |= core::kLooperInvalid;
  } else if (how == Bc::BC_REGISTER_LOOPER) {
    bits = core::kLooperRegistered;
    if ((before & core::kLooperEntered) != 0 ||
        !self.proc->counters.RegisterThread()) {
      bits |= core::kLooperInvalid;
    }
  }
  self.looper.fetch_or(bits, std::memory_order_relaxed);
  if ((bits & core::kLooperInvalid) != 0) {
    self.proc->context->Complain(UserError::kBadLooper, self.proc->options.pid,
                                 self.tid);
  }
}

// The commands of one write: reads payloads, bounded by the end of the stream.
class CommandReader {
 public:
  CommandReader(const memory::UserAccess& memory, std::uint64_t buffer,
                std::uint64_t size, std::uint64_t consumed)
      : memory_(memory), buffer_(buffer), size_(size), at_(consumed) {}

  [[nodiscard]] bool done() const { return at_ >= size_; }
  [[nodiscard]] std::uint64_t at() const { return at_; }

  // Reads the next value. kFault: it does not fit or cannot be read.
  template <class T>
  Errc Next(T& value) {
    if (size_ - at_ < sizeof(T) || !memory_.Get(value, buffer_ + at_)) {
      return Errc::kFault;
    }
    at_ += sizeof(T);
    return Errc::kOk;
  }

 private:
  const memory::UserAccess& memory_;
  const std::uint64_t buffer_;
  const std::uint64_t size_;
  std::uint64_t at_;
};

// Runs one command. kInvalid: no such command, RF-17, or a freeze command with
// a wrong handle or cookie; kFault: its payload. `loan`: a call that is to be
// served here.
template <LockingPolicy L>
Errc ExecuteOne(Call<L>& call, std::uint32_t code, CommandReader& reader,
                core::Loan<L>& loan) {
  core::Thread<L>& self = call.thread();
  const std::optional<Bc> command = ToBc(code);
  // By its number, even if the size is not right (WR-14).
  self.commands.Count(static_cast<Bc>(code));
  if (!command.has_value()) return Errc::kInvalid;
  const Quirks& quirks = self.proc->context->options.quirks;
  Errc error = Errc::kOk;
  switch (*command) {
    case Bc::BC_INCREFS:
    case Bc::BC_ACQUIRE:
    case Bc::BC_RELEASE:
    case Bc::BC_DECREFS: {
      std::uint32_t handle = 0;
      if (error = reader.Next(handle); error != Errc::kOk) return error;
      const bool strong =
          *command == Bc::BC_ACQUIRE || *command == Bc::BC_RELEASE;
      const Strength strength = strong ? Strength::kStrong : Strength::kWeak;
      if (*command == Bc::BC_INCREFS || *command == Bc::BC_ACQUIRE) {
        return Acquire(self, handle, strength);
      }
      Release(self, handle, strength);
      return Errc::kOk;
    }
    case Bc::BC_INCREFS_DONE:
    case Bc::BC_ACQUIRE_DONE: {
      PtrCookie which = {};
      if (error = reader.Next(which); error != Errc::kOk) return error;
      AcknowledgeNode(self, which,
                      *command == Bc::BC_ACQUIRE_DONE ? Strength::kStrong
                                                      : Strength::kWeak);
      return Errc::kOk;
    }
    case Bc::BC_FREE_BUFFER: {
      std::uint64_t address = 0;
      if (error = reader.Next(address); error != Errc::kOk) return error;
      FreeBuffer(self, address, call.is_guest());
      return Errc::kOk;
    }
    case Bc::BC_TRANSACTION:
    case Bc::BC_REPLY: {
      TransactionData data = {};
      if (error = reader.Next(data); error != Errc::kOk) return error;
      loan =
          Send<L>(self, {.data = data}, *command == Bc::BC_REPLY, call.seat());
      return Errc::kOk;
    }
    case Bc::BC_TRANSACTION_SG:
    case Bc::BC_REPLY_SG: {
      TransactionDataSg data = {};
      if (error = reader.Next(data); error != Errc::kOk) return error;
      loan =
          Send<L>(self, {.data = data.data, .buffers_size = data.buffers_size},
                  *command == Bc::BC_REPLY_SG, call.seat());
      return Errc::kOk;
    }
    case Bc::BC_REGISTER_LOOPER:
    case Bc::BC_ENTER_LOOPER:
    case Bc::BC_EXIT_LOOPER:
      if (call.is_guest()) return Errc::kInvalid;  // Its owner's to say.
      BecomeLooper(self, *command);
      return Errc::kOk;
    case Bc::BC_REQUEST_DEATH_NOTIFICATION:
    case Bc::BC_CLEAR_DEATH_NOTIFICATION: {
      HandleCookie which = {};
      if (error = reader.Next(which); error != Errc::kOk) return error;
      if (*command == Bc::BC_REQUEST_DEATH_NOTIFICATION) {
        RequestDeath(self, which.handle, which.cookie);
      } else {
        ClearDeath(self, which.handle, which.cookie);
      }
      return Errc::kOk;
    }
    case Bc::BC_DEAD_BINDER_DONE: {
      std::uint64_t cookie = 0;
      if (error = reader.Next(cookie); error != Errc::kOk) return error;
      AcknowledgeDeath(self, cookie);
      return Errc::kOk;
    }
    case Bc::BC_REQUEST_FREEZE_NOTIFICATION:
    case Bc::BC_CLEAR_FREEZE_NOTIFICATION: {
      if (!quirks.freeze_notifications) return Errc::kInvalid;
      HandleCookie which = {};
      if (error = reader.Next(which); error != Errc::kOk) return error;
      return *command == Bc::BC_REQUEST_FREEZE_NOTIFICATION
                 ? RequestFreezeNotification(self, which.handle, which.cookie)
                 : ClearFreezeNotification(self, which.handle, which.cookie);
    }
    case Bc::BC_FREEZE_NOTIFICATION_DONE: {
      if (!quirks.freeze_notifications) return Errc::kInvalid;
      std::uint64_t cookie = 0;
      if (error = reader.Next(cookie); error != Errc::kOk) return error;
      return AcknowledgeFreeze(self, cookie);
    }
    default:
      // BC_ATTEMPT_ACQUIRE and BC_ACQUIRE_RESULT.
      return Errc::kInvalid;
  }
}

// The write half. `consumed` is advanced over each completed command. Stops,
// without an error, where a transaction fails, and executes nothing while such
// a failure has not been read (WR-05, WR-06). kKilled: while it served a call
// of its own; the entry section may not be held.
template <LockingPolicy L>
Errc Execute(Call<L>& call, std::uint64_t buffer, std::uint64_t size,
             std::uint64_t& consumed) {
  core::Thread<L>& self = call.thread();
  CommandReader reader(self.proc->memory, buffer, size, consumed);
  while (!reader.done()) {
    if (self.has_return_error()) return Errc::kOk;
    std::uint32_t code = 0;
    core::Loan<L> loan;
    Errc error = reader.Next(code);
    if (error == Errc::kOk) error = ExecuteOne(call, code, reader, loan);
    if (error != Errc::kOk) return error;
    consumed = reader.at();
    if (loan) error = ServeHere(call, std::move(loan));
    if (error != Errc::kOk) return error;
  }
  return Errc::kOk;
}

// --- Reading ---------------------------------------------------------------

// Writes return commands into user memory. Where a command does not fit or
// cannot be written, Put returns false.
class ByteSink {
 public:
  // The room an item may need: the largest command (RD-07).
  static constexpr std::uint64_t kLargest =
      sizeof(std::uint32_t) + sizeof(TransactionDataSecctx);

  ByteSink(const memory::UserAccess& memory, std::uint64_t buffer,
           std::uint64_t size, std::uint64_t consumed)
      : memory_(memory),
        buffer_(buffer),
        size_(size),
        begin_(consumed),
        at_(consumed),
        committed_(consumed) {}

  // The BR_NOOP at the start of a buffer. False: fault.
  [[nodiscard]] bool Begin() {
    return begin_ != 0 || Put(Br::BR_NOOP, nullptr, 0);
  }

  [[nodiscard]] bool HasRoom() const {
    return size_ >= at_ && size_ - at_ >= kLargest;
  }

  [[nodiscard]] bool Put(Br command, const void* payload, std::size_t size) {
    const auto code = static_cast<std::uint32_t>(command);
    if (size_ < at_ || size_ - at_ < sizeof(code) + size) return false;
    if (!memory_.Put(buffer_ + at_, code) ||
        !memory_.CopyOut(buffer_ + at_ + sizeof(code), payload, size)) {
      return false;
    }
    at_ += sizeof(code) + size;
    return true;
  }

  // Nothing but the BR_NOOP.
  [[nodiscard]] bool empty() const { return at_ == sizeof(std::uint32_t); }

  // Whether BR_SPAWN_LOOPER may take the place of the BR_NOOP: only if this
  // read has written it.
  [[nodiscard]] bool CanSpawn() const { return begin_ == 0; }
  [[nodiscard]] bool PutSpawn() {
    return memory_.Put(buffer_,
                       static_cast<std::uint32_t>(Br::BR_SPAWN_LOOPER));
  }

  // What has been written counts, whatever comes.
  void Commit() { committed_ = at_; }
  // How far the caller is to believe the buffer.
  [[nodiscard]] std::uint64_t consumed() const { return committed_; }

 private:
  const memory::UserAccess& memory_;
  const std::uint64_t buffer_;
  const std::uint64_t size_;
  const std::uint64_t begin_;
  std::uint64_t at_;
  std::uint64_t committed_;
};

}  // namespace binderlite::driver

namespace binderlite {

// One return command, decoded.
struct Incoming {
  Br command = Br::BR_NOOP;
  // BR_TRANSACTION and BR_REPLY. `buffer` is to be freed by FreeBuffer.
  TransactionData transaction = {};
  // The sender's label, if its node asked for it (BR_TRANSACTION_SEC_CTX, which
  // has the number of BR_TRANSACTION): its address in the buffer; 0: none.
  std::uint64_t label = 0;
  // BR_INCREFS, BR_ACQUIRE, BR_RELEASE, BR_DECREFS; of BR_DEAD_BINDER,
  // BR_FROZEN_BINDER and the confirmations, the cookie.
  PtrCookie node = {};
  bool is_frozen = false;  // BR_FROZEN_BINDER.
  // BR_FAILED_REPLY and BR_DEAD_REPLY: what has failed is not the sending of
  // the call, but what has become of it since.
  bool was_sent = false;

  // BR_TRANSACTION, with a label or without.
  [[nodiscard]] bool is_transaction() const {
    return command == Br::BR_TRANSACTION ||
           command == Br::BR_TRANSACTION_SEC_CTX;
  }
};

namespace driver {

// Collects the commands of one item of work: the first one where the caller
// wants it, the others, if there are any, behind `rest`.
class IncomingSink {
 public:
  IncomingSink(Incoming& first, std::vector<Incoming>& rest)
      : first_(first), rest_(rest) {}

  [[nodiscard]] static bool Begin() { return true; }
  [[nodiscard]] bool HasRoom() const { return count_ == 0; }
  [[nodiscard]] bool Put(Br command, const void* payload, std::size_t size) {
    Incoming& next = count_++ == 0 ? first_ : rest_.emplace_back();
    // In place: what is read in larger pieces than it has been written waits
    // for the writes.
    std::construct_at(&next);
    next.command = command;
    if (command == Br::BR_TRANSACTION_SEC_CTX) {
      TransactionDataSecctx data = {};
      std::memcpy(&data, payload, sizeof(data));
      next.transaction = data.data;
      next.label = data.secctx;
    } else if (command == Br::BR_FROZEN_BINDER) {
      FrozenStateInfo info = {};
      std::memcpy(&info, payload, sizeof(info));
      next.node.cookie = info.cookie;
      next.is_frozen = info.is_frozen != 0;
    } else if (size == sizeof(TransactionData)) {
      std::memcpy(&next.transaction, payload, size);
    } else if (size == sizeof(PtrCookie)) {
      std::memcpy(&next.node, payload, size);
    } else if (size == sizeof(std::uint64_t)) {
      std::memcpy(&next.node.cookie, payload, size);
    }
    return true;
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] static bool CanSpawn() { return true; }
  [[nodiscard]] bool PutSpawn() {
    spawn_ = true;
    return true;
  }
  static void Commit() {}
  // What was put last is about a call that had been sent.
  void MarkSent() { (count_ == 1 ? first_ : rest_.back()).was_sent = true; }

  [[nodiscard]] bool spawn() const { return spawn_; }

 private:
  Incoming& first_;
  std::vector<Incoming>& rest_;
  std::size_t count_ = 0;
  bool spawn_ = false;
};

// What a piece of delivered work means for the read.
enum class Delivered : std::uint8_t {
  kGoOn,   // More may follow in the same buffer.
  kEnds,   // It is the last one of its buffer (RD-09, RD-10).
  kFault,  // It could not be written.
};

// Writes one command, and counts it.
template <LockingPolicy L, class Sink>
[[nodiscard]] bool Put(core::Thread<L>& self, Sink& sink, Br command,
                       const void* payload = nullptr, std::size_t size = 0) {
  if (!sink.Put(command, payload, size)) return false;
  self.commands.Count(command);
  return true;
}

// The thread serves `call` with the priority that it asks for: a call with its
// sender's, but at least the node's; a one-way with the node's if that is more
// urgent than what the thread has (PR-02, PR-03).
template <LockingPolicy L>
void InheritPriority(core::Thread<L>& self, core::Transaction<L>& call) {
  const core::Proc<L>& proc = *self.proc;
  Priorities* const priorities = proc.context->options.priorities;
  if (priorities == nullptr || call.kind == core::TransactionKind::kReply) {
    return;
  }
  const std::int32_t pid = proc.options.pid;
  const auto least =
      static_cast<std::int8_t>(call.buffer->target_node->min_priority);
  call.saved_priority = priorities->Get(pid, self.tid);
  if (call.kind == core::TransactionKind::kCall) {
    priorities->Set(pid, self.tid,
                    call.priority < least ? call.priority : least);
  } else if (call.saved_priority > least) {
    priorities->Set(pid, self.tid, least);
  }
}

// The receiver has no room for the descriptors: the transaction is over, and a
// reply has failed for the reader (OB-18, OB-19).
template <LockingPolicy L, class Sink>
Delivered RejectFiles(core::Thread<L>& self, OwnedTransaction<L> transaction,
                      Sink& sink) {
  const bool is_reply = transaction->kind == core::TransactionKind::kReply;
  core::Buffer<L>& buffer = *std::exchange(transaction->buffer, nullptr);
  FreeBuffer(*transaction->to_proc, buffer);
  transaction->files.clear();
  if (transaction->needs_reply()) {
    SendFailedReply<L>(std::move(transaction), Br::BR_FAILED_REPLY);
  } else {
    FreeTransaction<L>(std::move(transaction));
  }
  if (!is_reply) return Delivered::kGoOn;
  return Put(self, sink, Br::BR_FAILED_REPLY) ? Delivered::kEnds
                                              : Delivered::kFault;
}

// A transaction or a reply that `self` has taken off a list. `place`: where a
// call is served that has been taken by other means.
template <LockingPolicy L, class Sink>
Delivered DeliverTransaction(core::Thread<L>& self,
                             OwnedTransaction<L> transaction, Sink& sink,
                             typename core::Seat<L>::Place* place = nullptr) {
  core::Proc<L>& proc = *self.proc;
  proc.context->At(Point::kDelivering, proc.options.pid, self.tid);
  if (!InstallFiles(proc, *transaction)) {
    return RejectFiles(self, std::move(transaction), sink);
  }
  core::Buffer<L>& buffer = *transaction->buffer;
  const bool is_reply = transaction->kind == core::TransactionKind::kReply;
  TransactionDataSecctx with_label = {};
  with_label.secctx = transaction->label_address;
  TransactionData& data = with_label.data;
  if (buffer.target_node) {
    data.target.ptr = buffer.target_node->ptr;
    data.cookie = buffer.target_node->cookie;
  }
  data.code = transaction->code;
  data.flags = transaction->flags;
  data.sender_euid = transaction->sender_euid;
  if (transaction->needs_reply() && transaction->has_sender()) {
    data.sender_pid = transaction->sender_pid;
  }
  data.data_size = buffer.layout.data_size;
  data.offsets_size = buffer.layout.offsets_size;
  data.buffer = buffer.address();
  data.offsets = buffer.address() + buffer.layout.offsets_at();
  if (data.offsets_size == 0 &&
      proc.context->options.quirks.no_offsets_address_without_objects) {
    data.offsets = 0;
  }
  InheritPriority(self, *transaction);
  const bool written =
      transaction->label_address != 0
          ? Put(self, sink, Br::BR_TRANSACTION_SEC_CTX, &with_label,
                sizeof(with_label))
          : Put(self, sink, is_reply ? Br::BR_REPLY : Br::BR_TRANSACTION, &data,
                sizeof(data));
  if (!written) {
    Wakeups<L> wakeups;
    DropTransaction<L>(std::move(transaction), Br::BR_FAILED_REPLY,
                       Dropped::kThreadDies, wakeups);
    return Delivered::kFault;
  }
  proc.arena.MarkDelivered(buffer);
  transaction->buffer = nullptr;
  if (!transaction->needs_reply()) {
    FreeTransaction(self, std::move(transaction));
    return Delivered::kEnds;
  }
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!self.is_dead.load(std::memory_order_relaxed)) {
      if (place != nullptr) BeginServing(self, *place);
      core::Transaction<L>* const serving = transaction.release();
      serving->to_parent = self.stack;
      serving->to_thread.store(&self, std::memory_order_release);
      self.stack = serving;
    }
  }
  if (transaction != nullptr) {
    SendFailedReply<L>(std::move(transaction), Br::BR_DEAD_REPLY);
  }
  return Delivered::kEnds;
}

// Work of one of the owner's nodes.
template <LockingPolicy L, class Sink>
Delivered DeliverNodeWork(core::Thread<L>& self, core::Node<L>& node,
                          Sink& sink) {
  const PtrCookie which{node.ptr, node.cookie};
  const NodeNews news = ReadNodeWork(node);
  const std::pair<bool, Br> commands[] = {{news.incref, Br::BR_INCREFS},
                                          {news.acquire, Br::BR_ACQUIRE},
                                          {news.release, Br::BR_RELEASE},
                                          {news.decref, Br::BR_DECREFS}};
  for (const auto& [due, command] : commands) {
    if (due && !Put(self, sink, command, &which, sizeof(which))) {
      return Delivered::kFault;
    }
  }
  return Delivered::kGoOn;
}

// One item that has been taken off a list: what of it has to be known once the
// lock is released.
template <LockingPolicy L>
struct TakenWork {
  OwnedTransaction<L> transaction;
  std::unique_ptr<core::Completion> completion;
  std::unique_ptr<core::Death<L>> cleared;  // Confirmed and over.
  std::unique_ptr<core::Freeze<L>> cleared_freeze;
  core::Pin<core::Node<L>> node;
  bool is_death = false;
  bool is_freeze = false;
  bool is_frozen = false;
  std::uint64_t cookie = 0;
  Br error = Br::BR_OK;
  bool was_sent = false;
};

// Takes the item apart under the lock of its list (CC-05).
template <LockingPolicy L>
void TakeWork(core::Thread<L>& self, core::Work& work, TakenWork<L>& taken)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  switch (work.type) {
    case core::WorkType::kTransaction:
      taken.transaction.reset(static_cast<core::Transaction<L>*>(&work));
      break;
    case core::WorkType::kTransactionComplete:
    case core::WorkType::kPendingFrozen:
    case core::WorkType::kSpamSuspect:
      taken.completion.reset(static_cast<core::Completion*>(&work));
      break;
    case core::WorkType::kReturnError:
      taken.error = static_cast<core::ReturnError&>(work).Take();
      taken.was_sent = &work == &self.reply_error;
      break;
    case core::WorkType::kNode:
      taken.node = core::Pin<core::Node<L>>(&static_cast<core::Node<L>&>(work));
      break;
    case core::WorkType::kDeadBinder:
    case core::WorkType::kDeadBinderAndClear:
      taken.is_death = true;
      taken.cookie = static_cast<core::Death<L>&>(work).cookie;
      self.proc->delivered_deaths.PushBack(work);
      break;
    case core::WorkType::kClearDeathNotification:
      taken.cleared.reset(static_cast<core::Death<L>*>(&work));
      break;
    case core::WorkType::kFrozenBinder: {
      auto& freeze = static_cast<core::Freeze<L>&>(work);
      taken.is_freeze = true;
      taken.is_frozen = freeze.told = freeze.is_frozen;
      taken.cookie = freeze.cookie;
      freeze.delivered = true;
      self.proc->delivered_freezes.PushBack(work);
      break;
    }
    case core::WorkType::kClearFreezeNotification:
      taken.cleared_freeze.reset(static_cast<core::Freeze<L>*>(&work));
      break;
  }
}

template <LockingPolicy L, class Sink>
Delivered Deliver(core::Thread<L>& self, TakenWork<L> taken, Sink& sink) {
  core::Proc<L>& proc = *self.proc;
  if (taken.transaction != nullptr) {
    return DeliverTransaction(self, std::move(taken.transaction), sink);
  }
  if (taken.node) return DeliverNodeWork(self, *taken.node, sink);
  bool written = false;
  if (taken.is_death) {
    proc.context->At(Point::kDeliveringDeath, proc.options.pid, self.tid);
    written = Put(self, sink, Br::BR_DEAD_BINDER, &taken.cookie,
                  sizeof(taken.cookie));
    if (written) return Delivered::kEnds;
  } else if (taken.is_freeze) {
    const FrozenStateInfo info{taken.cookie, taken.is_frozen ? 1u : 0u, 0};
    written = Put(self, sink, Br::BR_FROZEN_BINDER, &info, sizeof(info));
    if (written) return Delivered::kEnds;
  } else if (taken.cleared_freeze != nullptr) {
    const std::uint64_t cookie = taken.cleared_freeze->cookie;
    written = Put(self, sink, Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE, &cookie,
                  sizeof(cookie));
  } else if (taken.cleared != nullptr) {
    const std::uint64_t cookie = taken.cleared->cookie;
    written = Put(self, sink, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE, &cookie,
                  sizeof(cookie));
  } else if (taken.completion != nullptr) {
    written = Put(self, sink, CompletionCode(proc, taken.completion->type));
    DeleteCompletion(self, std::move(taken.completion));
  } else if (taken.error == Br::BR_ERROR) {
    // Its code announces a number, and readers go by that (DN-21).
    const auto number = -static_cast<std::int32_t>(Errc::kNoMemory);
    written = Put(self, sink, taken.error, &number, sizeof(number));
  } else {
    written = Put(self, sink, taken.error);
    if constexpr (requires { sink.MarkSent(); }) {
      if (written && taken.was_sent) sink.MarkSent();
    }
  }
  return written ? Delivered::kGoOn : Delivered::kFault;
}

// What a look at the queues has found.
struct Look {
  bool taken = false;    // An item.
  bool drained = false;  // There was none.
  bool left = false;     // There is more on the Proc's list.
};

// Takes the next item, if there is one and room for it.
template <LockingPolicy L, class Sink>
void TakeNext(core::Thread<L>& self, bool for_proc_work, const Sink& sink,
              TakenWork<L>& taken, Look& look)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(self.proc->queues_mu) {
  core::Proc<L>& proc = *self.proc;
  core::WorkList* list = nullptr;
  if (!self.todo.empty()) {
    list = &self.todo;
  } else if (for_proc_work && !self.proc->todo.empty()) {
    list = &self.proc->todo;
  }
  look.drained = list == nullptr;
  look.taken = !look.drained && sink.HasRoom();
  if (look.taken) TakeWork(self, *list->PopFront(), taken);
  if (self.todo.empty()) self.process_todo = false;
  look.left = !self.proc->todo.empty();
  proc.queues_mu.AssertHeld();
  self.spare_transactions.MoveTo(proc.spare_transactions,
                                 core::Thread<L>::kOwnSpares);
}

// What is to happen before a thread looks for work of its Proc, whether or not
// it has to wait for it: it gets the nice value of the Proc (PR-01). Empty:
// there was nothing to be done, and it has not been decided whether it looks
// for such work. A thread that is run for a single call never does.
template <LockingPolicy L>
std::optional<bool> PrepareForProcWork(Call<L>& call) {
  if (call.is_guest()) return false;
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  Priorities* const priorities = proc.context->options.priorities;
  if (priorities == nullptr) return std::nullopt;
  {
    sync::MutexLock queues(self.proc->queues_mu);
    if (!ServesProcWork(self)) return false;
  }
  ComplainOfNoLooper(self);
  priorities->Set(proc.options.pid, self.tid, proc.options.nice);
  return true;
}

// The read half. The errors of WaitForWork, and kFault. `left`: something was
// on the Proc's list at the last look.
template <LockingPolicy L, class Sink>
Errc Read(Call<L>& call, Sink& sink, bool nonblocking, sync::TimePoint deadline,
          bool& left) {
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  if (!sink.Begin()) return Errc::kFault;
  for (;;) {
    TakenWork<L> taken;
    Look look;
    bool for_proc_work = false;
    const Errc error = WaitForWork(call, PrepareForProcWork(call), nonblocking,
                                   deadline, left, [&](bool serves) {
                                     self.proc->queues_mu.AssertHeld();
                                     for_proc_work = serves;
                                     TakeNext(self, serves, sink, taken, look);
                                     left = look.left;
                                   });
    // The owner of a thread that is lent sleeps on, and is still to be woken by
    // a flush.
    const bool owner_sleeps =
        call.is_guest() && self.lent.load(std::memory_order_acquire);
    if (!owner_sleeps && (self.looper.load(std::memory_order_relaxed) &
                          core::kLooperWaiting) != 0) {
      self.looper.fetch_and(~core::kLooperWaiting, std::memory_order_relaxed);
    }
    if (error != Errc::kOk) return error;
    // Until there is no more, no more room, or an item ends the read.
    while (look.taken) {
      const Delivered delivered = Deliver(self, std::move(taken), sink);
      if (delivered == Delivered::kFault) return Errc::kFault;
      if (delivered == Delivered::kEnds) break;
      if (!sink.HasRoom() && !sink.empty()) break;
      taken = {};
      sync::MutexLock queues(self.proc->queues_mu);
      TakeNext(self, for_proc_work, sink, taken, look);
      left = look.left;
    }
    // Work that had nothing to say is no reason to return (RD-12).
    if (look.drained && sink.empty() && !self.needs_return(call.is_guest())) {
      continue;
    }
    // Before what may fault now, when all has been delivered (LP-16).
    sink.Commit();
    if (sink.CanSpawn() && self.is_looper() && proc.counters.RequestThread()) {
      if (!sink.PutSpawn()) return Errc::kFault;
      self.commands.Count(Br::BR_SPAWN_LOOPER);
    }
    return Errc::kOk;
  }
}

// Reads one call that has been taken by other means, for who serves it on its
// caller's thread.
template <LockingPolicy L>
void ReadCall(Call<L>& call, OwnedTransaction<L> taken,
              typename core::Seat<L>::Place& place, IncomingSink& sink) {
  core::Thread<L>& self = call.thread();
  if (DeliverTransaction(self, std::move(taken), sink, &place) ==
          Delivered::kEnds &&
      self.is_looper() && self.proc->counters.RequestThread() &&
      sink.PutSpawn()) {
    self.commands.Count(Br::BR_SPAWN_LOOPER);
  }
}

// Read, and then the look that every read ends with: what it leaves on the
// Proc's queue is somebody else's now (RD-19). What comes later finds out for
// itself who is to take it. A killed thread has handed that on already.
template <LockingPolicy L, class Sink>
Errc ReadAndLook(Call<L>& call, Sink& sink, bool nonblocking,
                 sync::TimePoint deadline) {
  bool left = true;  // For who comes back before it has looked.
  const Errc error = Read(call, sink, nonblocking, deadline, left);
  if (error == Errc::kKilled || !left) return error;
  Wakeup<L> wakeup;
  core::Proc<L>& proc = *call.thread().proc;
  sync::MutexLock queues(proc.queues_mu);
  if (!proc.todo.empty()) WakeToLook(proc, wakeup);
  return error;
}

// BINDER_WRITE_READ. On every return `args` tells how far it came.
template <LockingPolicy L>
Errc WriteThenRead(Call<L>& call, WriteRead& args, sync::TimePoint deadline) {
  core::Thread<L>& self = call.thread();
  core::Proc<L>& proc = *self.proc;
  if (args.write_size > 0) {
    const Errc error =
        Execute(call, args.write_buffer, args.write_size, args.write_consumed);
    if (error != Errc::kOk) {
      args.read_consumed = 0;
      return error;
    }
  }
  if (args.read_size == 0) return Errc::kOk;
  ByteSink sink(proc.memory, args.read_buffer, args.read_size,
                args.read_consumed);
  const Errc error = ReadAndLook(
      call, sink, proc.nonblocking.load(std::memory_order_relaxed), deadline);
  args.read_consumed = sink.consumed();
  return error;
}

}  // namespace driver
}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_DISPATCH_H_
