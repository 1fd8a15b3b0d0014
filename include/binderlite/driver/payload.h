// SPDX-License-Identifier: Apache-2.0
//
// Payloads on their way from sender to receiver. The bytes are copied once,
// into the receiver's arena; each embedded object is read once from the sender,
// checked, turned into what it means for the receiver (driver/translate.h,
// driver/scatter.h) and written into the receiver's copy. The sender's memory
// is never modified.
//
//   | data, with objects | offsets | memory of PTR objects | label |
//
// Each part begins at a multiple of eight bytes.
//
// No lock is held while user memory is touched, except the binder lock where
// there is one. On failure everything done so far is in Buffer::held, and
// ReleaseBufferContents undoes it.
// Kernel: binder_transaction, binder_get_object,
// binder_transaction_buffer_release, binder_apply_fd_fixups.

#ifndef BINDERLITE_DRIVER_PAYLOAD_H_
#define BINDERLITE_DRIVER_PAYLOAD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/driver/scatter.h"
#include "binderlite/driver/target.h"
#include "binderlite/driver/translate.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// Object number `index` of a payload, which begins at `offset` of the sender's
// data, translated into the receiver's copy; `object_size` is set to its size
// in bytes. `user_data`: where the sender's data is; null: in the buffer.
template <LockingPolicy L>
Errc TranslateObject(const Translation<L>& to, Scatter<L>& scatter,
                     std::uint64_t index, const std::uint64_t* user_data,
                     std::uint64_t offset, std::size_t& object_size) {
  const memory::UserAccess& memory = to.sender.proc->memory;
  const std::size_t data_size = to.buffer.layout.data_size;
  if (offset > data_size || offset % sizeof(std::uint32_t) != 0) {
    return Errc::kInvalid;
  }
  const auto at = static_cast<std::size_t>(offset);
  // Read once, as much as the largest object takes. If that faults the object
  // is a bad one, also where only bytes behind it are missing (OB-42).
  std::array<std::byte, sizeof(BufferObject)> bytes;
  const std::size_t readable = std::min(bytes.size(), data_size - at);
  ObjectHeader header = {};
  if (readable < sizeof(header)) return Errc::kInvalid;
  if (user_data == nullptr) {
    std::memcpy(bytes.data(), to.buffer.data + at, readable);
  } else if (!memory.CopyIn(bytes.data(), *user_data + offset, readable)) {
    return Errc::kInvalid;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  const auto type = static_cast<ObjectType>(header.type);
  object_size = ObjectSize(type);
  if (object_size == 0 || readable < object_size) return Errc::kInvalid;
  Errc error = Errc::kOk;
  // Reads the object, translates it and writes it back.
  const auto Do = [&]<class T>(T object, auto translate) {
    std::memcpy(&object, bytes.data(), sizeof(object));
    error = translate(object);
    if (error == Errc::kOk) {
      std::memcpy(to.buffer.data + at, &object, sizeof(object));
    }
  };
  switch (type) {
    case ObjectType::kBinder:
    case ObjectType::kWeakBinder:
      Do(FlatObject{}, [&](FlatObject& object) {
        return TranslateBinder(
            to,
            type == ObjectType::kBinder ? Strength::kStrong : Strength::kWeak,
            object);
      });
      break;
    case ObjectType::kHandle:
    case ObjectType::kWeakHandle:
      Do(FlatObject{}, [&](FlatObject& object) {
        return TranslateHandle(
            to,
            type == ObjectType::kHandle ? Strength::kStrong : Strength::kWeak,
            object);
      });
      break;
    case ObjectType::kFd:
      Do(FdObject{}, [&](FdObject& object) {
        const std::uint32_t fd = object.fd;
        object.pad_binder = 0;  // The upper half as well (OB-13).
        object.fd = fd;
        return TranslateFile(to, fd, at + offsetof(FdObject, fd),
                             /*in_array=*/false);
      });
      break;
    case ObjectType::kFdArray:
      Do(FdArrayObject{}, [&](FdArrayObject& object) {
        return scatter.AddFiles(index, object);
      });
      break;
    case ObjectType::kPtr:
      Do(BufferObject{}, [&](BufferObject& object) {
        return scatter.AddBuffer(index, at, object);
      });
      break;
  }
  return error;
}

// Fills the buffer from the sender's memory. kFault: memory outside of objects,
// or offsets that are out of order or out of the data; kInvalid: a bad object,
// also one that cannot be read; else what Translate... answers. `in_place`: the
// data is in the buffer already, objects as the sender knows them included.
template <LockingPolicy L>
Errc CopyPayload(const Translation<L>& to, const TransactionData& data,
                 std::uint64_t buffers_size, bool in_place) {
  const memory::UserAccess& memory = to.sender.proc->memory;
  core::Buffer<L>& buffer = to.buffer;
  std::byte* const offsets = buffer.data + buffer.layout.offsets_at();
  const std::size_t data_size = buffer.layout.data_size;
  const std::size_t offsets_size = buffer.layout.offsets_size;
  if (!memory.CopyIn(offsets, data.offsets, offsets_size)) return Errc::kFault;
  if (offsets_size % sizeof(std::uint64_t) != 0) return Errc::kInvalid;
  if (buffers_size % sizeof(std::uint64_t) != 0) return Errc::kInvalid;
  if (offsets_size == 0) {  // No objects, as in most.
    return in_place || memory.CopyIn(buffer.data, data.buffer, data_size)
               ? Errc::kOk
               : Errc::kFault;
  }
  Scatter<L> scatter(to, buffers_size);
  std::size_t done = 0;  // Data bytes copied or translated.
  for (std::size_t at = 0; at < offsets_size; at += sizeof(std::uint64_t)) {
    // Copied out before it is checked: the arena is the receiver's to read.
    std::uint64_t offset = 0;
    std::memcpy(&offset, offsets + at, sizeof(offset));
    if (offset < done || offset > data_size) return Errc::kFault;
    if (!in_place && !memory.CopyIn(buffer.data + done, data.buffer + done,
                                    static_cast<std::size_t>(offset) - done)) {
      return Errc::kFault;
    }
    std::size_t object_size = 0;
    const Errc error =
        TranslateObject(to, scatter, at / sizeof(std::uint64_t),
                        in_place ? nullptr : &data.buffer, offset, object_size);
    if (error != Errc::kOk) return error;
    done = static_cast<std::size_t>(offset) + object_size;
  }
  if (!in_place && !memory.CopyIn(buffer.data + done, data.buffer + done,
                                  data_size - done)) {
    return Errc::kFault;
  }
  return scatter.Copy();
}

// Turns the open files of a transaction that `receiver` is about to read into
// descriptors, and writes their numbers into the payload. False: its table is
// full, and nothing is left in it (OB-13, OB-18, OB-19).
template <LockingPolicy L>
[[nodiscard]] bool InstallFiles(core::Proc<L>& receiver,
                                core::Transaction<L>& transaction) {
  if (transaction.files.empty()) return true;
  core::Buffer<L>& buffer = *transaction.buffer;
  std::vector<int> installed;
  for (const core::FileInFlight& in_flight : transaction.files) {
    const int fd = receiver.files().Install(in_flight.file);
    if (fd < 0) {
      for (const int other : installed) receiver.files().Close(other);
      return false;
    }
    installed.push_back(fd);
    const auto number = static_cast<std::uint32_t>(fd);
    std::memcpy(buffer.data + in_flight.offset, &number, sizeof(number));
  }
  for (std::size_t i = 0; i < installed.size(); ++i) {
    if (transaction.files[i].in_array) {
      buffer.array_files.push_back(installed[i]);
    }
  }
  transaction.files.clear();
  return true;
}

// Drops what the buffer keeps alive: its objects and the node it was sent to.
template <LockingPolicy L>
void ReleaseBufferContents(core::Proc<L>& owner, core::Buffer<L>& buffer) {
  if (buffer.clear_on_free) std::memset(buffer.data, 0, buffer.size);
  if (const core::Pin<core::Node<L>> target = std::move(buffer.target_node)) {
    DropTarget(*target);
  }
  core::RareVector<core::HeldObject<L>> held;
  held.swap(buffer.held);
  for (core::HeldObject<L>& object : held) {
    const Strength strength =
        object.strong ? Strength::kStrong : Strength::kWeak;
    if (!object.node) {
      // The receiver may have dropped it already (RF-26).
      if (DecRef(owner, object.handle, strength) != Errc::kOk) {
        owner.context->Complain(UserError::kBadHandle, owner.options.pid, 0);
      }
      continue;
    }
    const NodeHold<L> hold(object.node);
    Garbage<L> garbage;
    core::Node<L>& node = *object.node;
    sync::MutexLock lock(node.mu);
    DecNode(node, strength, /*internal=*/false, garbage);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_PAYLOAD_H_
