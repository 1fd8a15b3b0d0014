// SPDX-License-Identifier: Apache-2.0
//
// Reservations: sending without a copy. A sender that knows its target gets a
// buffer in the target's receive memory, writes its payload there, and sends
// it, or abandons it by destroying the reservation:
//
//   Reservation<> message;
//   if (thread.Reserve(handle, size, message) != Errc::kOk) ...
//   std::memcpy(message.data(), ...);
//   TransactionData data = {};
//   data.code = 1;
//   thread.Transact(std::move(message), data);
//
// Until then it keeps the target's node and takes up its memory, like a
// transaction that is on its way. The receiver must not be able to rely on what
// it sees there before it has been told: only where it may read all of its
// memory at any time, like the kernel's, can it see a payload being written.
//
// Locks: those of sending, in the same order (driver/transact.h); none between
// reserving and sending. Only the Proc that has reserved it can send it.

#ifndef BINDERLITE_DRIVER_RESERVE_H_
#define BINDERLITE_DRIVER_RESERVE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "binderlite/config.h"
#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/build.h"
#include "binderlite/driver/entry.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/target.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"

namespace binderlite {

template <LockingPolicy L>
class BasicThread;

// A payload that is being written where it will be read. Empty by default, and
// after it has been sent. Belongs to one thread at a time. May outlive the
// Thread that it came from and the death of its target.
template <LockingPolicy L = FineGrained<>>
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : reserved_(std::exchange(other.reserved_, {})) {}
  Reservation& operator=(Reservation&& other) noexcept {
    if (this != &other) {
      Abandon();
      reserved_ = std::exchange(other.reserved_, {});
    }
    return *this;
  }
  ~Reservation() { Abandon(); }

  // Whether there is one: not sent, not moved from.
  [[nodiscard]] explicit operator bool() const {
    return reserved_.buffer != nullptr;
  }
  // Where to write the payload, 8-byte aligned. What is not written may hold
  // anything that the receiver has read before. Empty in an empty one.
  [[nodiscard]] std::span<std::byte> data() const {
    if (!*this) return {};
    return {reserved_.buffer->data, reserved_.buffer->layout.data_size};
  }

  // Sends so many bytes of it; at most as many as there are.
  void Shrink(std::size_t size) {
    BINDERLITE_ASSERT(size <= data().size());
    if (size == data().size()) return;
    reserved_.target.proc->arena.Shrink(*reserved_.buffer, size);
  }

  // Gives the memory back. Cleans up, and so waits for the binder lock, where
  // there is one, whoever is killed.
  void Abandon() {
    if (!*this) return;
    const core::Pin<core::Proc<L>> receiver = reserved_.target.proc;
    driver::DriverEntry<L> entry(*receiver->context);
    entry.EnterToCleanUp();
    driver::DropReserved(reserved_);
  }

 private:
  friend class BasicThread<L>;
  driver::Reserved<L> reserved_;
};

namespace driver {

// What a failed transaction means to who has not sent one yet.
[[nodiscard]] inline Errc ReasonOf(const Outcome& outcome) {
  return outcome.reply == Br::BR_DEAD_REPLY ? Errc::kNoProcess : outcome.error;
}

// Reserves `size` bytes of data and `offsets_size` bytes of offsets for a call
// to `handle`.
template <LockingPolicy L>
Errc Reserve(core::Thread<L>& self, std::uint32_t handle, std::size_t size,
             std::size_t offsets_size, bool one_way, Reserved<L>& reserved) {
  Outcome outcome = ResolveTarget(self, handle, reserved.target);
  if (!outcome.ok()) return ReasonOf(outcome);
  reserved.order = self.proc->context->NextOrder();
  reserved.sender_id = self.proc->id;
  reserved.handle = handle;
  reserved.one_way = one_way;
  outcome = AllocateBuffer(*self.proc, *reserved.target.proc,
                           {.data_size = size, .offsets_size = offsets_size},
                           one_way, reserved.target.node.get(),
                           {.id = static_cast<std::uint32_t>(reserved.order),
                            .sender_pid = self.proc->options.pid},
                           reserved);
  if (outcome.ok()) return Errc::kOk;
  DropTarget(*reserved.target.node);
  return ReasonOf(outcome);
}

// The receive memory of the owner of what `handle` stands for; nothing if that
// is nothing, or dead. At some moment: by now it may have changed.
template <LockingPolicy L>
[[nodiscard]] std::optional<typename core::Arena<L>::Usage> UsageBehind(
    core::Proc<L>& proc, std::uint32_t handle) {
  const core::Pin<core::Node<L>> pin =
      handle == 0 ? proc.context->Manager()
                  : NodeOfHandle(proc, handle, Strength::kStrong);
  if (!pin) return std::nullopt;
  core::Pin<core::Proc<L>> owner;
  {
    core::Node<L>& node = *pin;
    sync::MutexLock lock(node.mu);
    owner = core::Pin<core::Proc<L>>(node.owner);
  }
  if (!owner) return std::nullopt;
  return owner->arena.usage();
}

// As Reserve, for the reply to the call that `self` is serving. kInvalid: to
// none; kNoProcess: its caller has died.
template <LockingPolicy L>
Errc ReserveReply(core::Thread<L>& self, std::size_t size,
                  std::size_t offsets_size, Reserved<L>& reserved) {
  core::Pin<core::Thread<L>> caller;  // Dropped without the lock.
  {
    sync::MutexLock queues(self.proc->queues_mu);
    const core::Transaction<L>* const top = self.stack;
    if (top == nullptr || !top->IsServedBy(self)) return Errc::kInvalid;
    caller = top->sender();
  }
  if (!caller) return Errc::kNoProcess;
  reserved.target.proc = core::Pin<core::Proc<L>>(caller->proc);
  reserved.sender_id = self.proc->id;
  reserved.order = self.proc->context->NextOrder();
  return ReasonOf(
      AllocateBuffer<L>(*self.proc, *reserved.target.proc,
                        {.data_size = size, .offsets_size = offsets_size},
                        /*one_way=*/false, nullptr,
                        {.id = static_cast<std::uint32_t>(reserved.order),
                         .sender_pid = self.proc->options.pid},
                        reserved));
}

}  // namespace driver
}  // namespace binderlite

#endif  // BINDERLITE_DRIVER_RESERVE_H_
