// SPDX-License-Identifier: Apache-2.0
//
// The flag bits of the binder protocol: of transactions, of flattened objects
// and of buffer objects. They are plain integers, because they travel in 32-bit
// words whose unknown bits are carried along untouched.
//
// The names are ours, so that this header and <linux/android/binder.h>, where
// the same bits are unscoped enumerators, can be included together; each
// comment starts with the UAPI word. Part of wire/: the protocol as data. No
// locks; constants only.

#ifndef BINDERLITE_WIRE_FLAGS_H_
#define BINDERLITE_WIRE_FLAGS_H_

#include <cstdint>

namespace binderlite {

// Bits of TransactionData::flags. Kernel: enum transaction_flags.

// TF_ONE_WAY: no reply is expected; delivered in order per node.
inline constexpr std::uint32_t kTfOneWay = 0x01;
// TF_ROOT_OBJECT: meaningless to the driver, which passes it on.
inline constexpr std::uint32_t kTfRootObject = 0x04;
// TF_STATUS_CODE: the payload is a 32-bit status; the driver passes it on.
inline constexpr std::uint32_t kTfStatusCode = 0x08;
// TF_ACCEPT_FDS: the reply to this transaction may carry file descriptors.
inline constexpr std::uint32_t kTfAcceptFds = 0x10;
// TF_CLEAR_BUF: the payload is overwritten with zeros when its buffer is freed.
inline constexpr std::uint32_t kTfClearBuf = 0x20;
// TF_UPDATE_TXN: a one-way that replaces an equal one, which a frozen receiver
// has not yet seen.
inline constexpr std::uint32_t kTfUpdateTxn = 0x40;

// Bits of FlatObject::flags, fixed for a node when it is first sent.

// FLAT_BINDER_FLAG_PRIORITY_MASK: least priority (nice value, as a signed
// byte) at which calls to the node run.
inline constexpr std::uint32_t kFlatPriorityMask = 0xff;
// FLAT_BINDER_FLAG_ACCEPTS_FDS: calls to the node may carry file descriptors.
inline constexpr std::uint32_t kFlatAcceptsFds = 0x100;
// FLAT_BINDER_FLAG_TXN_SECURITY_CTX: calls to the node arrive as
// BR_TRANSACTION_SEC_CTX, with the security context of the sender.
inline constexpr std::uint32_t kFlatTxnSecurityCtx = 0x1000;

// Bits of BufferObject::flags.

// BINDER_BUFFER_FLAG_HAS_PARENT: the address of this buffer is to be stored in
// an earlier buffer of the same transaction.
inline constexpr std::uint32_t kBufferFlagHasParent = 0x01;

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_FLAGS_H_
