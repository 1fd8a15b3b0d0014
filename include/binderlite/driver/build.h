// SPDX-License-Identifier: Apache-2.0
//
// Building: how a transaction gets its buffer in the receiver's arena, with the
// payload in it (driver/payload.h), and how that is undone when it cannot be
// queued.
//
// A buffer is allocated when the transaction is built, or reserved before
// (driver/reserve.h). What fails leaves nothing in the receiver.
//
// Locks: the arena's, and those of driver/payload.h. None is held while a label
// is asked for or a payload is copied (but the binder lock, where there is
// one).
// Kernel: binder_transaction.

#ifndef BINDERLITE_DRIVER_BUILD_H_
#define BINDERLITE_DRIVER_BUILD_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "binderlite/core/arena.h"
#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/pin.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/outcome.h"
#include "binderlite/driver/payload.h"
#include "binderlite/driver/target.h"
#include "binderlite/driver/translate.h"
#include "binderlite/memory/align.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// A buffer for a payload that its sender writes where it will be read
// (driver/reserve.h), until it is sent or abandoned.
template <LockingPolicy L>
struct Reserved {
  Target<L> target;                   // Of a reply: only the Proc.
  core::Buffer<L>* buffer = nullptr;  // Null: there is none.
  bool one_way = false;
  bool spam_suspect = false;
  std::uint64_t order = 0;      // Of the transaction that it is for.
  std::uint32_t sender_id = 0;  // Of the Proc that has reserved it.
  std::uint32_t handle = 0;
  std::string label;
};

// Gives back what has not been used of it.
template <LockingPolicy L>
void DropReserved(Reserved<L>& reserved) {
  if (core::Buffer<L>* const buffer = std::exchange(reserved.buffer, nullptr)) {
    if (reserved.target.node) DropTarget(*reserved.target.node);
    reserved.target.proc->arena.Free(*buffer);
  }
  reserved = {};
}

// What a BC_TRANSACTION or BC_REPLY asks for.
template <LockingPolicy L>
struct SendRequest {
  const TransactionData& data;
  std::uint64_t buffers_size = 0;  // Of the _SG variants.
  // Where the data is already, and for whom; null: at data.buffer, for
  // data.target. Used up, unless it fails before that matters.
  Reserved<L>* reserved = nullptr;
  // The sender of a call or a reply is not told that it is on its way.
  bool quiet = false;
};

// The label of the sender, NUL-terminated, rounded up to eight bytes.
template <LockingPolicy L>
Errc LabelOf(const core::Proc<L>& sender, std::string& label) {
  SecurityPolicy* const policy = sender.context->options.policy;
  if (policy == nullptr) {
    label = sender.options.label;
  } else if (const Errc error = policy->GetLabel(sender.credentials(), label);
             error != Errc::kOk) {
    return error;
  }
  label.resize(memory::AlignUp(label.size() + 1, 8));  // It ends with a NUL.
  return Errc::kOk;
}

// Sets aside a buffer for what `layout` and `purpose` say. `node`: its target,
// or null in a reply; if it wants the sender's label, there is room for that.
template <LockingPolicy L>
Outcome AllocateBuffer(const core::Proc<L>& sender, core::Proc<L>& receiver,
                       typename core::Buffer<L>::Layout layout, bool one_way,
                       const core::Node<L>* node,
                       typename core::Buffer<L>::Purpose purpose,
                       Reserved<L>& reserved) {
  Errc error = Errc::kOk;
  if (node != nullptr && node->wants_security_context) {
    // Behind everything else, where no PTR object can reach it (SC-02, SC-03).
    error = LabelOf(sender, reserved.label);
    const std::size_t room = memory::AlignUp(layout.extra_size, 8);
    if (error == Errc::kOk &&
        (room < layout.extra_size || room + reserved.label.size() < room)) {
      error = Errc::kInvalid;
    }
    layout.extra_size = room + reserved.label.size();
  }
  if (error != Errc::kOk) return Outcome::Failed(error);
  purpose.node_id = node != nullptr ? node->id : 0;
  const typename core::Arena<L>::Allocation allocation =
      receiver.arena.Allocate(layout, one_way, purpose);
  reserved.buffer = allocation.buffer;
  reserved.spam_suspect = allocation.spam_suspect;
  if (allocation.error == Errc::kOk) return {};
  return allocation.error == Errc::kNoProcess
             ? Outcome::Dead(allocation.error)
             : Outcome::Failed(allocation.error);
}

// Fills the payload of `transaction`, in a buffer that it gets for that or has
// been reserved. `target` is its node, with a local strong count; empty for a
// reply. On failure nothing is left in the receiver, and the count is given
// back. `spam_suspect`: AL-22.
template <LockingPolicy L>
Outcome BuildBuffer(core::Thread<L>& self, core::Transaction<L>& transaction,
                    core::Pin<core::Node<L>> target,
                    const SendRequest<L>& request, bool accepts_files,
                    bool& spam_suspect) {
  core::Proc<L>& receiver = *transaction.to_proc;
  Reserved<L> made;
  Reserved<L>& reserved =
      request.reserved != nullptr ? *request.reserved : made;
  if (request.reserved == nullptr) {
    const Outcome outcome = AllocateBuffer(
        *self.proc, receiver,
        {.data_size = static_cast<std::size_t>(request.data.data_size),
         .offsets_size = static_cast<std::size_t>(request.data.offsets_size),
         .extra_size = static_cast<std::size_t>(request.buffers_size)},
        transaction.kind == core::TransactionKind::kOneWay, target.get(),
        {.id = transaction.id, .sender_pid = transaction.sender_pid}, made);
    if (!outcome.ok()) {
      if (target) DropTarget(*target);
      return outcome;
    }
  }
  spam_suspect = reserved.spam_suspect;
  core::Buffer<L>& buffer = *std::exchange(reserved.buffer, nullptr);
  reserved.target = {};
  buffer.target_node = std::move(target);
  buffer.clear_on_free = (request.data.flags & kTfClearBuf) != 0;
  if (const std::string& label = reserved.label; !label.empty()) {
    const std::size_t at =
        buffer.layout.extra_at() + buffer.layout.extra_size - label.size();
    std::memcpy(buffer.data + at, label.data(), label.size());
    transaction.label_address = buffer.address() + at;
  }
  const Errc error = CopyPayload(Translation<L>{.sender = self,
                                                .receiver = receiver,
                                                .buffer = buffer,
                                                .files = transaction.files,
                                                .accepts_files = accepts_files},
                                 request.data, request.buffers_size,
                                 /*in_place=*/request.reserved != nullptr);
  if (error != Errc::kOk) {
    ReleaseBufferContents(receiver, buffer);
    receiver.arena.Free(buffer);
    // kNoProcess: one of the two is being torn down at this moment.
    return error == Errc::kNoProcess ? Outcome::Dead(Errc::kOk)
                                     : Outcome::Failed(error);
  }
  transaction.buffer = &buffer;
  return {};
}

// Undoes the building of a transaction that could not be queued, or that is
// replaced while it waits.
template <LockingPolicy L>
void Unbuild(core::Transaction<L>& transaction) {
  core::Buffer<L>& buffer = *std::exchange(transaction.buffer, nullptr);
  ReleaseBufferContents(*transaction.to_proc, buffer);
  transaction.to_proc->arena.Free(buffer);
  transaction.files.clear();
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_BUILD_H_
