// SPDX-License-Identifier: Apache-2.0
//
// The arguments of binder's requests and the payloads of its BC_ and BR_
// commands, as bytes: TransactionData and its variants, the cookies, WriteRead,
// and what the other requests take.
//
// Part of wire/: the protocol as data, 64-bit ABI, laid out exactly as in
// <linux/android/binder.h>. All types are trivial, so they can be copied
// bytewise from and to unaligned memory, and have no padding (but for one that
// is never sent), so `T{}` is all zeros. Addresses and sizes are 64-bit
// integers, as they are for the kernel. No locks; nothing can fail.

#ifndef BINDERLITE_WIRE_STRUCTS_H_
#define BINDERLITE_WIRE_STRUCTS_H_

#include <cstdint>
#include <type_traits>

namespace binderlite {

// What Ioctl::kVersion answers. Kernel: BINDER_CURRENT_PROTOCOL_VERSION.
inline constexpr std::int32_t kProtocolVersion = 8;

// A call or a reply, in both directions: the payload of BC_TRANSACTION,
// BC_REPLY, BR_TRANSACTION and BR_REPLY. Kernel: binder_transaction_data (whose
// two nested structures for the addresses are flattened here).
struct TransactionData {
  // Whom it is for. The wide member is declared first, other than in the UAPI,
  // so that `TransactionData{}` sets all eight bytes.
  union Target {
    std::uint64_t ptr;     // BR_TRANSACTION: the node, as its owner named it
    std::uint32_t handle;  // BC_TRANSACTION; leaves the upper half as it was
  } target;
  std::uint64_t cookie;        // BR_TRANSACTION: of the node
  std::uint32_t code;          // which operation; the driver passes it on
  std::uint32_t flags;         // kTf* in wire/flags.h
  std::int32_t sender_pid;     // set by the driver; 0 for one-ways
  std::uint32_t sender_euid;   // set by the driver
  std::uint64_t data_size;     // bytes
  std::uint64_t offsets_size;  // bytes, eight for each embedded object
  std::uint64_t buffer;        // address of the data
  std::uint64_t offsets;       // address of the offsets of the objects in it
};

// Payload of BR_TRANSACTION_SEC_CTX. Kernel: binder_transaction_data_secctx.
struct TransactionDataSecctx {
  TransactionData data;
  std::uint64_t secctx;  // address of the sender's label, NUL-terminated
};

// Payload of BC_TRANSACTION_SG and BC_REPLY_SG.
// Kernel: binder_transaction_data_sg.
struct TransactionDataSg {
  TransactionData data;
  std::uint64_t buffers_size;  // bytes to set aside for all BufferObjects
};

// A node as its owner names it. Kernel: binder_ptr_cookie.
struct PtrCookie {
  std::uint64_t ptr;
  std::uint64_t cookie;
};

// A handle, and a word chosen by its holder. Packed, 12 bytes: no reference to
// `cookie` can be taken, copy it. Kernel: binder_handle_cookie.
struct [[gnu::packed]] HandleCookie {
  std::uint32_t handle;
  std::uint64_t cookie;
};

// Payload of BC_ATTEMPT_ACQUIRE, which no driver supports.
// Kernel: binder_pri_desc.
struct PriDesc {
  std::int32_t priority;
  std::uint32_t desc;
};

// Payload of BR_ATTEMPT_ACQUIRE, which no driver sends. Four bytes of padding
// follow `priority`. Kernel: binder_pri_ptr_cookie.
struct PriPtrCookie {
  std::int32_t priority;
  std::uint64_t ptr;
  std::uint64_t cookie;
};

// Payload of BR_FROZEN_BINDER. Kernel: binder_frozen_state_info.
struct FrozenStateInfo {
  std::uint64_t cookie;
  std::uint32_t is_frozen;
  std::uint32_t reserved;
};

// Argument of Ioctl::kWriteRead: a buffer of BC_ commands to execute, then one
// to fill with BR_ commands. The *_consumed members are where to go on, in
// bytes; the driver advances them. Kernel: binder_write_read.
struct WriteRead {
  std::uint64_t write_size;  // bytes
  std::uint64_t write_consumed;
  std::uint64_t write_buffer;  // address
  std::uint64_t read_size;     // bytes; 0: do not read, hence do not wait
  std::uint64_t read_consumed;
  std::uint64_t read_buffer;  // address
};

// Argument of Ioctl::kVersion. Kernel: binder_version.
struct Version {
  std::int32_t protocol_version;
};

// Argument of Ioctl::kGetNodeDebugInfo: in, the `ptr` of the node before the
// wanted one, or 0; out, the node with the next larger `ptr`, or zeros.
// Kernel: binder_node_debug_info.
struct NodeDebugInfo {
  std::uint64_t ptr;
  std::uint64_t cookie;
  std::uint32_t has_strong_ref;
  std::uint32_t has_weak_ref;
};

// Argument of Ioctl::kGetNodeInfoForRef: in, the handle, all else zero; out,
// the counts of its node. Kernel: binder_node_info_for_ref.
struct NodeInfoForRef {
  std::uint32_t handle;
  std::uint32_t strong_count;
  std::uint32_t weak_count;
  std::uint32_t reserved1;
  std::uint32_t reserved2;
  std::uint32_t reserved3;
};

// Argument of Ioctl::kFreeze. Kernel: binder_freeze_info.
struct FreezeInfo {
  std::uint32_t pid;         // all Procs of this pid
  std::uint32_t enable;      // 0: unfreeze
  std::uint32_t timeout_ms;  // how long to wait for calls in progress
};

// Argument of Ioctl::kGetFrozenInfo: in, the pid; out, what arrived since it
// was last frozen. Kernel: binder_frozen_status_info.
struct FrozenStatusInfo {
  std::uint32_t pid;
  std::uint32_t sync_recv;  // bit 0: a call arrived; bit 1: one is pending
  std::uint32_t async_recv;
};

// Argument of Ioctl::kGetExtendedError: the last failure of this thread.
// Kernel: binder_extended_error.
struct ExtendedError {
  std::uint32_t id;       // of the failed operation
  std::uint32_t command;  // a Br; BR_OK when there was none
  std::int32_t param;     // negative errno
};

static_assert(sizeof(void*) == 8,
              "binderlite speaks binder's 64-bit ABI (protocol version 8)");
static_assert(sizeof(TransactionData) == 64 && alignof(TransactionData) == 8);
static_assert(sizeof(TransactionDataSecctx) == 72);
static_assert(sizeof(TransactionDataSg) == 72);
static_assert(sizeof(PtrCookie) == 16);
static_assert(sizeof(HandleCookie) == 12 && alignof(HandleCookie) == 1);
static_assert(sizeof(PriDesc) == 8);
static_assert(sizeof(PriPtrCookie) == 24);
static_assert(sizeof(FrozenStateInfo) == 16);
static_assert(sizeof(WriteRead) == 48);
static_assert(sizeof(Version) == 4);
static_assert(sizeof(NodeDebugInfo) == 24);
static_assert(sizeof(NodeInfoForRef) == 24);
static_assert(sizeof(FreezeInfo) == 12);
static_assert(sizeof(FrozenStatusInfo) == 12);
static_assert(sizeof(ExtendedError) == 12);
static_assert(std::is_trivial_v<TransactionDataSecctx> &&
              std::is_trivial_v<TransactionDataSg> &&
              std::is_trivial_v<HandleCookie> && std::is_trivial_v<WriteRead>);

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_STRUCTS_H_
