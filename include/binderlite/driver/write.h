// SPDX-License-Identifier: Apache-2.0
//
// Writing: the first half of BINDER_WRITE_READ, which runs a stream of BC_
// commands. What most of them do is in the headers that are included here.
//
// Locks: those of what a command does; none while commands are read from user
// memory (but the binder lock, where there is one).
// Kernel: binder_thread_write.

#ifndef BINDERLITE_DRIVER_WRITE_H_
#define BINDERLITE_DRIVER_WRITE_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "binderlite/core/context.h"
#include "binderlite/core/hooks.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/quirks.h"
#include "binderlite/core/seat.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/call.h"
#include "binderlite/driver/free_buffer.h"
#include "binderlite/driver/freeze.h"
#include "binderlite/driver/loan.h"
#include "binderlite/driver/notify.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/transact.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

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
      const bool is_reply = *command == Bc::BC_REPLY;
      call.FetchToSend(data, is_reply);
      loan = Send<L>(self, {.data = data}, is_reply, call.seat());
      return Errc::kOk;
    }
    case Bc::BC_TRANSACTION_SG:
    case Bc::BC_REPLY_SG: {
      TransactionDataSg data = {};
      if (error = reader.Next(data); error != Errc::kOk) return error;
      const bool is_reply = *command == Bc::BC_REPLY_SG;
      call.FetchToSend(data.data, is_reply);
      loan =
          Send<L>(self, {.data = data.data, .buffers_size = data.buffers_size},
                  is_reply, call.seat());
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

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_WRITE_H_
