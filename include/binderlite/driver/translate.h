// SPDX-License-Identifier: Apache-2.0
//
// Object translation: what the nodes, handles and descriptors in a payload mean
// for its receiver. (Objects that bring memory along are in driver/scatter.h,
// the payload as a whole is in driver/payload.h.)
//
//   sent         node lives in   becomes       receiver's count, till freed
//   -----------  --------------  ------------  ----------------------------
//   BINDER       the sender      HANDLE        strong, on its handle
//   WEAK_BINDER  the sender      WEAK_HANDLE   weak, on its handle
//   HANDLE       the receiver    BINDER        strong, on its own node
//   HANDLE       a third Proc    HANDLE        strong, on its handle
//   WEAK_HANDLE  accordingly     WEAK_...      weak
//   FD           -               FD            an open file in flight; a
//                                              descriptor once it is read
//
// Locks: those of driver/refcount.h; none is held while a policy is asked or a
// descriptor is touched, except the binder lock where there is one. On failure
// everything done so far is in Buffer::held and Transaction::files.
// Kernel: binder_translate_binder, binder_translate_handle,
// binder_translate_fd.

#ifndef BINDERLITE_DRIVER_TRANSLATE_H_
#define BINDERLITE_DRIVER_TRANSLATE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/core/context.h"
#include "binderlite/core/file.h"
#include "binderlite/core/node.h"
#include "binderlite/core/policy.h"
#include "binderlite/core/proc.h"
#include "binderlite/core/thread.h"
#include "binderlite/core/transaction.h"
#include "binderlite/driver/refcount.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"

namespace binderlite::driver {

// One payload being translated.
template <LockingPolicy L>
struct Translation {
  core::Thread<L>& sender;
  core::Proc<L>& receiver;
  core::Buffer<L>& buffer;
  core::RareVector<core::FileInFlight>& files;
  // The node, or the call that is being answered, accepts descriptors.
  bool accepts_files = false;
};

// Whether the policy lets the sender pass a node to the receiver (SC-07).
template <LockingPolicy L>
[[nodiscard]] bool MayTransferBinder(const Translation<L>& to) {
  SecurityPolicy* const policy = to.receiver.context->options.policy;
  return policy == nullptr ||
         policy->MayTransferBinder(to.sender.proc->credentials(),
                                   to.receiver.credentials());
}

// BINDER or WEAK_BINDER: a node of the sender, made known if it is new.
// kInvalid: known under another cookie.
template <LockingPolicy L>
Errc TranslateBinder(const Translation<L>& to, Strength strength,
                     FlatObject& object) {
  const NodeHold<L> node = FindOrMakeNode(*to.sender.proc, object.binder,
                                          object.cookie, object.flags);
  if (!node) return Errc::kNoProcess;
  if (node->cookie != object.cookie) return Errc::kInvalid;
  if (!MayTransferBinder(to)) return Errc::kNotPermitted;
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
  if (!MayTransferBinder(to)) return Errc::kNotPermitted;
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

// One descriptor of the sender, whose number goes to `offset` of the receiver's
// copy. kNotPermitted: descriptors are not accepted, or the policy refuses;
// kBadFile: it is not open (OB-13 to OB-16).
template <LockingPolicy L>
Errc TranslateFile(const Translation<L>& to, std::uint32_t descriptor,
                   std::size_t offset, bool in_array) {
  if (!to.accepts_files) return Errc::kNotPermitted;
  const int fd = static_cast<int>(descriptor);
  core::FileInFlight in_flight;
  in_flight.offset = offset;
  in_flight.in_array = in_array;
  core::Proc<L>& sender = *to.sender.proc;
  const Errc error = sender.files().Get(fd, in_flight.file);
  if (error != Errc::kOk) return error;
  SecurityPolicy* const policy = sender.context->options.policy;
  if (policy != nullptr &&
      !policy->MayTransferFile(sender.credentials(), to.receiver.credentials(),
                               fd)) {
    return Errc::kNotPermitted;
  }
  to.files.push_back(std::move(in_flight));
  return Errc::kOk;
}

}  // namespace binderlite::driver

#endif  // BINDERLITE_DRIVER_TRANSLATE_H_
