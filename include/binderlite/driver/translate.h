// SPDX-License-Identifier: Apache-2.0
//
// Object translation: a payload on its way from sender to receiver. The bytes
// are copied once, into the receiver's arena; each embedded object is read once
// from the sender, checked, turned into what it means for the receiver and
// written into the receiver's copy. The sender's memory is never modified.
//
//   sent         node lives in   becomes       receiver's count, till freed
//   -----------  --------------  ------------  ----------------------------
//   BINDER       the sender      HANDLE        strong, on its handle
//   WEAK_BINDER  the sender      WEAK_HANDLE   weak, on its handle
//   HANDLE       the receiver    BINDER        strong, on its own node
//   HANDLE       a third Proc    HANDLE        strong, on its handle
//   WEAK_HANDLE  accordingly     WEAK_...      weak
//
// No lock is held while user memory is touched, except the binder lock where
// there is one. On failure everything done so far is in Buffer::held, and
// ReleaseBufferContents undoes it.
// Kernel: binder_translate_binder, binder_translate_handle, binder_get_object.

#ifndef BINDERLITE_DRIVER_TRANSLATE_H_
#define BINDERLITE_DRIVER_TRANSLATE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/core/node.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite::driver {

// One payload being translated.
template <LockingPolicy L>
struct Translation {
  core::Thread<L>& sender;
  core::Proc<L>& receiver;
  core::Buffer<L>& buffer;
};

// BINDER or WEAK_BINDER: a node of the sender, made known if it is new.
// kInvalid: known under another cookie.
template <LockingPolicy L>
Errc TranslateBinder(const Translation<L>& to, Strength strength,
                     FlatObject& object) {
  const NodeHold<L> node = FindOrMakeNode(*to.sender.proc, object.binder,
                                          object.cookie, object.flags);
  if (!node) return Errc::kNoProcess;
  if (node->cookie != object.cookie) return Errc::kInvalid;
  const RefCounted ref =
      IncRefForNode(to.receiver, *node, strength, &to.sender);
  if (ref.error != Errc::kOk) return ref.error;
  to.buffer.held.push_back({.node = {},
                            .handle = ref.handle,
                            .strong = strength == Strength::kStrong});
  object.hdr.type = static_cast<std::uint32_t>(strength == Strength::kStrong
                                                   ? ObjectType::kHandle
                                                   : ObjectType::kWeakHandle);
  object.binder = 0;  // Clears the upper half as well.
  object.handle = ref.handle;
  object.cookie = 0;
  return Errc::kOk;
}

// HANDLE or WEAK_HANDLE: a handle of the sender. kInvalid: there is none, or
// it is not strong enough.
template <LockingPolicy L>
Errc TranslateHandle(const Translation<L>& to, Strength strength,
                     FlatObject& object) {
  const bool strong = strength == Strength::kStrong;
  const core::Pin<core::Node<L>> pin =
      NodeOfHandle(*to.sender.proc, object.handle, strength);
  if (!pin) return Errc::kInvalid;
  core::Node<L>& node = *pin;
  {
    sync::MutexLock lock(node.mu);
    if (node.owner == &to.receiver) {
      if (node.erased) return Errc::kInvalid;
      const Errc error =
          IncNode<L>(node, strength, /*internal=*/false, nullptr);
      if (error != Errc::kOk) return error;
      to.buffer.held.push_back({.node = pin, .handle = 0, .strong = strong});
      object.hdr.type = static_cast<std::uint32_t>(
          strong ? ObjectType::kBinder : ObjectType::kWeakBinder);
      object.binder = node.ptr;
      object.cookie = node.cookie;
      return Errc::kOk;
    }
  }
  const RefCounted ref = IncRefForNode<L>(to.receiver, node, strength, nullptr);
  if (ref.error != Errc::kOk) return ref.error;
  to.buffer.held.push_back(
      {.node = {}, .handle = ref.handle, .strong = strong});
  object.binder = 0;
  object.handle = ref.handle;
  object.cookie = 0;
  return Errc::kOk;
}

// Translates the object at `offset` of the sender's data into the receiver's
// copy; `object_size` is set to its size in bytes.
template <LockingPolicy L>
Errc TranslateObject(const Translation<L>& to, std::uint64_t user_data,
                     std::uint64_t offset, std::size_t& object_size) {
  const memory::UserAccess& memory = to.sender.proc->memory;
  const std::size_t data_size = to.buffer.layout.data_size;
  if (offset > data_size || offset % sizeof(std::uint32_t) != 0) {
    return Errc::kInvalid;
  }
  // Read once, as much as the largest object takes. If that faults the object
  // is a bad one, also where only bytes behind it are missing (OB-42).
  std::array<std::byte, sizeof(BufferObject)> bytes;
  const std::size_t readable =
      std::min(bytes.size(), data_size - static_cast<std::size_t>(offset));
  ObjectHeader header = {};
  if (readable < sizeof(header) ||
      !memory.CopyIn(bytes.data(), user_data + offset, readable)) {
    return Errc::kInvalid;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  object_size = ObjectSize(static_cast<ObjectType>(header.type));
  if (object_size == 0 || readable < object_size) return Errc::kInvalid;
  switch (static_cast<ObjectType>(header.type)) {
    case ObjectType::kBinder:
    case ObjectType::kWeakBinder:
    case ObjectType::kHandle:
    case ObjectType::kWeakHandle:
      break;
    default:
      // File descriptors and scatter-gather objects are not supported yet.
      return Errc::kInvalid;
  }
  FlatObject object = {};
  std::memcpy(&object, bytes.data(), sizeof(object));
  Errc error = Errc::kOk;
  switch (static_cast<ObjectType>(header.type)) {
    case ObjectType::kBinder:
      error = TranslateBinder(to, Strength::kStrong, object);
      break;
    case ObjectType::kWeakBinder:
      error = TranslateBinder(to, Strength::kWeak, object);
      break;
    case ObjectType::kHandle:
      error = TranslateHandle(to, Strength::kStrong, object);
      break;
    default:
      error = TranslateHandle(to, Strength::kWeak, object);
      break;
  }
  if (error != Errc::kOk) return error;
  std::memcpy(to.buffer.data + offset, &object, sizeof(object));
  return Errc::kOk;
}

// Fills the buffer from the sender's memory. kFault: memory outside of objects,
// or offsets that are out of order or out of the data; kInvalid: a bad object,
// also one that cannot be read.
template <LockingPolicy L>
Errc CopyPayload(const Translation<L>& to, const TransactionData& data,
                 std::uint64_t buffers_size) {
  const memory::UserAccess& memory = to.sender.proc->memory;
  core::Buffer<L>& buffer = to.buffer;
  std::byte* const offsets = buffer.data + buffer.layout.offsets_at();
  const std::size_t data_size = buffer.layout.data_size;
  const std::size_t offsets_size = buffer.layout.offsets_size;
  if (!memory.CopyIn(offsets, data.offsets, offsets_size)) return Errc::kFault;
  if (offsets_size % sizeof(std::uint64_t) != 0) return Errc::kInvalid;
  if (buffers_size % sizeof(std::uint64_t) != 0) return Errc::kInvalid;
  std::size_t done = 0;  // Data bytes copied or translated.
  for (std::size_t at = 0; at < offsets_size; at += sizeof(std::uint64_t)) {
    // Copied out before it is checked: the arena is the receiver's to read.
    std::uint64_t offset = 0;
    std::memcpy(&offset, offsets + at, sizeof(offset));
    if (offset < done || offset > data_size) return Errc::kFault;
    if (!memory.CopyIn(buffer.data + done, data.buffer + done, offset - done)) {
      return Errc::kFault;
    }
    std::size_t object_size = 0;
    const Errc error = TranslateObject(to, data.buffer, offset, object_size);
    if (error != Errc::kOk) return error;
    done = static_cast<std::size_t>(offset) + object_size;
  }
  if (!memory.CopyIn(buffer.data + done, data.buffer + done,
                     data_size - done)) {
    return Errc::kFault;
  }
  return Errc::kOk;
}

// Drops what the buffer keeps alive: its objects and the node it was sent to.
template <LockingPolicy L>
void ReleaseBufferContents(core::Proc<L>& owner, core::Buffer<L>& buffer) {
  if (core::Pin<core::Node<L>> target = std::move(buffer.target_node)) {
    Garbage<L> garbage;
    core::Node<L>& node = *target;
    sync::MutexLock lock(node.mu);
    DecNode(node, Strength::kStrong, /*internal=*/false, garbage);
  }
  std::vector<core::HeldObject<L>> held;
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
    Garbage<L> garbage;
    core::Node<L>& node = *object.node;
    sync::MutexLock lock(node.mu);
    DecNode(node, strength, /*internal=*/false, garbage);
  }
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_TRANSLATE_H_
