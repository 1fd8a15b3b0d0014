// SPDX-License-Identifier: Apache-2.0
//
// Compile-time checks of wire/ against <linux/android/binder.h>: every code,
// flag and tag, and the size of every structure with the offset and size of
// every member. To be included after both, in whatever order they came: what
// one could spoil of the other (a macro, a packing) depends on the order.
//
// What came after Linux 6.1, the kernel of Debian 12, is checked where the
// kernel's headers are of 6.12 or later.

#ifndef BINDERLITE_TESTS_CONFORMANCE_UAPI_CHECKS_H_
#define BINDERLITE_TESTS_CONFORMANCE_UAPI_CHECKS_H_

#include <linux/version.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define BINDERLITE_TESTS_UAPI_IS_6_12 1
#else
#define BINDERLITE_TESTS_UAPI_IS_6_12 0
#endif

// Both members begin at the same byte and have the same size.
#define BINDERLITE_TESTS_SAME_MEMBER(Ours, our_member, Theirs, their_member)   \
  static_assert(offsetof(Ours, our_member) == offsetof(Theirs, their_member)); \
  static_assert(sizeof(std::declval<Ours&>().our_member) ==                    \
                sizeof(std::declval<Theirs&>().their_member))
#define BINDERLITE_TESTS_SAME(Ours, Theirs, member) \
  BINDERLITE_TESTS_SAME_MEMBER(Ours, member, Theirs, member)

namespace binderlite::uapi_checks {

// Two words have the same value; two structures have the same size and
// alignment.
template <typename Ours, typename Theirs>
constexpr bool Equal(Ours ours, Theirs theirs) {
  return static_cast<std::uint32_t>(ours) == static_cast<std::uint32_t>(theirs);
}
template <typename Ours, typename Theirs>
constexpr bool kSameSize = sizeof(Ours) == sizeof(Theirs) &&
                           alignof(Ours) == alignof(Theirs);

// Commands.
static_assert(Equal(Bc::BC_TRANSACTION, ::BC_TRANSACTION));
static_assert(Equal(Bc::BC_REPLY, ::BC_REPLY));
static_assert(Equal(Bc::BC_ACQUIRE_RESULT, ::BC_ACQUIRE_RESULT));
static_assert(Equal(Bc::BC_FREE_BUFFER, ::BC_FREE_BUFFER));
static_assert(Equal(Bc::BC_INCREFS, ::BC_INCREFS));
static_assert(Equal(Bc::BC_ACQUIRE, ::BC_ACQUIRE));
static_assert(Equal(Bc::BC_RELEASE, ::BC_RELEASE));
static_assert(Equal(Bc::BC_DECREFS, ::BC_DECREFS));
static_assert(Equal(Bc::BC_INCREFS_DONE, ::BC_INCREFS_DONE));
static_assert(Equal(Bc::BC_ACQUIRE_DONE, ::BC_ACQUIRE_DONE));
static_assert(Equal(Bc::BC_ATTEMPT_ACQUIRE, ::BC_ATTEMPT_ACQUIRE));
static_assert(Equal(Bc::BC_REGISTER_LOOPER, ::BC_REGISTER_LOOPER));
static_assert(Equal(Bc::BC_ENTER_LOOPER, ::BC_ENTER_LOOPER));
static_assert(Equal(Bc::BC_EXIT_LOOPER, ::BC_EXIT_LOOPER));
static_assert(Equal(Bc::BC_REQUEST_DEATH_NOTIFICATION,
                    ::BC_REQUEST_DEATH_NOTIFICATION));
static_assert(Equal(Bc::BC_CLEAR_DEATH_NOTIFICATION,
                    ::BC_CLEAR_DEATH_NOTIFICATION));
static_assert(Equal(Bc::BC_DEAD_BINDER_DONE, ::BC_DEAD_BINDER_DONE));
static_assert(Equal(Bc::BC_TRANSACTION_SG, ::BC_TRANSACTION_SG));
static_assert(Equal(Bc::BC_REPLY_SG, ::BC_REPLY_SG));
static_assert(Equal(Br::BR_ERROR, ::BR_ERROR));
static_assert(Equal(Br::BR_OK, ::BR_OK));
static_assert(Equal(Br::BR_TRANSACTION_SEC_CTX, ::BR_TRANSACTION_SEC_CTX));
static_assert(Equal(Br::BR_TRANSACTION, ::BR_TRANSACTION));
static_assert(Equal(Br::BR_REPLY, ::BR_REPLY));
static_assert(Equal(Br::BR_ACQUIRE_RESULT, ::BR_ACQUIRE_RESULT));
static_assert(Equal(Br::BR_DEAD_REPLY, ::BR_DEAD_REPLY));
static_assert(Equal(Br::BR_TRANSACTION_COMPLETE, ::BR_TRANSACTION_COMPLETE));
static_assert(Equal(Br::BR_INCREFS, ::BR_INCREFS));
static_assert(Equal(Br::BR_ACQUIRE, ::BR_ACQUIRE));
static_assert(Equal(Br::BR_RELEASE, ::BR_RELEASE));
static_assert(Equal(Br::BR_DECREFS, ::BR_DECREFS));
static_assert(Equal(Br::BR_ATTEMPT_ACQUIRE, ::BR_ATTEMPT_ACQUIRE));
static_assert(Equal(Br::BR_NOOP, ::BR_NOOP));
static_assert(Equal(Br::BR_SPAWN_LOOPER, ::BR_SPAWN_LOOPER));
static_assert(Equal(Br::BR_FINISHED, ::BR_FINISHED));
static_assert(Equal(Br::BR_DEAD_BINDER, ::BR_DEAD_BINDER));
static_assert(Equal(Br::BR_CLEAR_DEATH_NOTIFICATION_DONE,
                    ::BR_CLEAR_DEATH_NOTIFICATION_DONE));
static_assert(Equal(Br::BR_FAILED_REPLY, ::BR_FAILED_REPLY));
static_assert(Equal(Br::BR_FROZEN_REPLY, ::BR_FROZEN_REPLY));
static_assert(Equal(Br::BR_ONEWAY_SPAM_SUSPECT, ::BR_ONEWAY_SPAM_SUSPECT));
#if BINDERLITE_TESTS_UAPI_IS_6_12
static_assert(Equal(Bc::BC_REQUEST_FREEZE_NOTIFICATION,
                    ::BC_REQUEST_FREEZE_NOTIFICATION));
static_assert(Equal(Bc::BC_CLEAR_FREEZE_NOTIFICATION,
                    ::BC_CLEAR_FREEZE_NOTIFICATION));
static_assert(Equal(Bc::BC_FREEZE_NOTIFICATION_DONE,
                    ::BC_FREEZE_NOTIFICATION_DONE));
static_assert(Equal(Br::BR_TRANSACTION_PENDING_FROZEN,
                    ::BR_TRANSACTION_PENDING_FROZEN));
static_assert(Equal(Br::BR_FROZEN_BINDER, ::BR_FROZEN_BINDER));
static_assert(Equal(Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE,
                    ::BR_CLEAR_FREEZE_NOTIFICATION_DONE));
#endif

// Requests.
static_assert(Equal(Ioctl::kWriteRead, BINDER_WRITE_READ));
static_assert(Equal(Ioctl::kSetIdleTimeout, BINDER_SET_IDLE_TIMEOUT));
static_assert(Equal(Ioctl::kSetMaxThreads, BINDER_SET_MAX_THREADS));
static_assert(Equal(Ioctl::kSetIdlePriority, BINDER_SET_IDLE_PRIORITY));
static_assert(Equal(Ioctl::kSetContextMgr, BINDER_SET_CONTEXT_MGR));
static_assert(Equal(Ioctl::kThreadExit, BINDER_THREAD_EXIT));
static_assert(Equal(Ioctl::kVersion, BINDER_VERSION));
static_assert(Equal(Ioctl::kGetNodeDebugInfo, BINDER_GET_NODE_DEBUG_INFO));
static_assert(Equal(Ioctl::kGetNodeInfoForRef, BINDER_GET_NODE_INFO_FOR_REF));
static_assert(Equal(Ioctl::kSetContextMgrExt, BINDER_SET_CONTEXT_MGR_EXT));
static_assert(Equal(Ioctl::kFreeze, BINDER_FREEZE));
static_assert(Equal(Ioctl::kGetFrozenInfo, BINDER_GET_FROZEN_INFO));
static_assert(Equal(Ioctl::kEnableOnewaySpamDetection,
                    BINDER_ENABLE_ONEWAY_SPAM_DETECTION));
static_assert(Equal(Ioctl::kGetExtendedError, BINDER_GET_EXTENDED_ERROR));
static_assert(Equal(kProtocolVersion, BINDER_CURRENT_PROTOCOL_VERSION));

// Flags and tags.
static_assert(Equal(kTfOneWay, ::TF_ONE_WAY));
static_assert(Equal(kTfRootObject, ::TF_ROOT_OBJECT));
static_assert(Equal(kTfStatusCode, ::TF_STATUS_CODE));
static_assert(Equal(kTfAcceptFds, ::TF_ACCEPT_FDS));
static_assert(Equal(kTfClearBuf, ::TF_CLEAR_BUF));
static_assert(Equal(kTfUpdateTxn, ::TF_UPDATE_TXN));
static_assert(Equal(kFlatPriorityMask, ::FLAT_BINDER_FLAG_PRIORITY_MASK));
static_assert(Equal(kFlatAcceptsFds, ::FLAT_BINDER_FLAG_ACCEPTS_FDS));
static_assert(Equal(kFlatTxnSecurityCtx, ::FLAT_BINDER_FLAG_TXN_SECURITY_CTX));
static_assert(Equal(kBufferFlagHasParent, ::BINDER_BUFFER_FLAG_HAS_PARENT));
static_assert(Equal(ObjectType::kBinder, ::BINDER_TYPE_BINDER));
static_assert(Equal(ObjectType::kWeakBinder, ::BINDER_TYPE_WEAK_BINDER));
static_assert(Equal(ObjectType::kHandle, ::BINDER_TYPE_HANDLE));
static_assert(Equal(ObjectType::kWeakHandle, ::BINDER_TYPE_WEAK_HANDLE));
static_assert(Equal(ObjectType::kFd, ::BINDER_TYPE_FD));
static_assert(Equal(ObjectType::kFdArray, ::BINDER_TYPE_FDA));
static_assert(Equal(ObjectType::kPtr, ::BINDER_TYPE_PTR));

// Structures.

static_assert(kSameSize<ObjectHeader, ::binder_object_header>);
BINDERLITE_TESTS_SAME(ObjectHeader, ::binder_object_header, type);

static_assert(kSameSize<FlatObject, ::flat_binder_object>);
BINDERLITE_TESTS_SAME(FlatObject, ::flat_binder_object, hdr);
BINDERLITE_TESTS_SAME(FlatObject, ::flat_binder_object, flags);
BINDERLITE_TESTS_SAME(FlatObject, ::flat_binder_object, binder);
BINDERLITE_TESTS_SAME(FlatObject, ::flat_binder_object, handle);
BINDERLITE_TESTS_SAME(FlatObject, ::flat_binder_object, cookie);

static_assert(kSameSize<FdObject, ::binder_fd_object>);
BINDERLITE_TESTS_SAME(FdObject, ::binder_fd_object, hdr);
BINDERLITE_TESTS_SAME(FdObject, ::binder_fd_object, pad_flags);
BINDERLITE_TESTS_SAME(FdObject, ::binder_fd_object, pad_binder);
BINDERLITE_TESTS_SAME(FdObject, ::binder_fd_object, fd);
BINDERLITE_TESTS_SAME(FdObject, ::binder_fd_object, cookie);

static_assert(kSameSize<BufferObject, ::binder_buffer_object>);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, hdr);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, flags);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, buffer);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, length);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, parent);
BINDERLITE_TESTS_SAME(BufferObject, ::binder_buffer_object, parent_offset);

static_assert(kSameSize<FdArrayObject, ::binder_fd_array_object>);
BINDERLITE_TESTS_SAME(FdArrayObject, ::binder_fd_array_object, hdr);
BINDERLITE_TESTS_SAME(FdArrayObject, ::binder_fd_array_object, pad);
BINDERLITE_TESTS_SAME(FdArrayObject, ::binder_fd_array_object, num_fds);
BINDERLITE_TESTS_SAME(FdArrayObject, ::binder_fd_array_object, parent);
BINDERLITE_TESTS_SAME(FdArrayObject, ::binder_fd_array_object, parent_offset);

static_assert(kSameSize<TransactionData, ::binder_transaction_data>);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, target);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data,
                      target.handle);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, target.ptr);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, cookie);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, code);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, flags);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, sender_pid);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, sender_euid);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, data_size);
BINDERLITE_TESTS_SAME(TransactionData, ::binder_transaction_data, offsets_size);
BINDERLITE_TESTS_SAME_MEMBER(TransactionData, buffer, ::binder_transaction_data,
                             data.ptr.buffer);
BINDERLITE_TESTS_SAME_MEMBER(TransactionData, offsets,
                             ::binder_transaction_data, data.ptr.offsets);

static_assert(
    kSameSize<TransactionDataSecctx, ::binder_transaction_data_secctx>);
BINDERLITE_TESTS_SAME_MEMBER(TransactionDataSecctx, data,
                             ::binder_transaction_data_secctx,
                             transaction_data);
BINDERLITE_TESTS_SAME(TransactionDataSecctx, ::binder_transaction_data_secctx,
                      secctx);

static_assert(kSameSize<TransactionDataSg, ::binder_transaction_data_sg>);
BINDERLITE_TESTS_SAME_MEMBER(TransactionDataSg, data,
                             ::binder_transaction_data_sg, transaction_data);
BINDERLITE_TESTS_SAME(TransactionDataSg, ::binder_transaction_data_sg,
                      buffers_size);

static_assert(kSameSize<PtrCookie, ::binder_ptr_cookie>);
BINDERLITE_TESTS_SAME(PtrCookie, ::binder_ptr_cookie, ptr);
BINDERLITE_TESTS_SAME(PtrCookie, ::binder_ptr_cookie, cookie);

static_assert(kSameSize<HandleCookie, ::binder_handle_cookie>);
BINDERLITE_TESTS_SAME(HandleCookie, ::binder_handle_cookie, handle);
BINDERLITE_TESTS_SAME(HandleCookie, ::binder_handle_cookie, cookie);

static_assert(kSameSize<PriDesc, ::binder_pri_desc>);
BINDERLITE_TESTS_SAME(PriDesc, ::binder_pri_desc, priority);
BINDERLITE_TESTS_SAME(PriDesc, ::binder_pri_desc, desc);

static_assert(kSameSize<PriPtrCookie, ::binder_pri_ptr_cookie>);
BINDERLITE_TESTS_SAME(PriPtrCookie, ::binder_pri_ptr_cookie, priority);
BINDERLITE_TESTS_SAME(PriPtrCookie, ::binder_pri_ptr_cookie, ptr);
BINDERLITE_TESTS_SAME(PriPtrCookie, ::binder_pri_ptr_cookie, cookie);

static_assert(kSameSize<WriteRead, ::binder_write_read>);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, write_size);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, write_consumed);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, write_buffer);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, read_size);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, read_consumed);
BINDERLITE_TESTS_SAME(WriteRead, ::binder_write_read, read_buffer);

static_assert(kSameSize<Version, ::binder_version>);
BINDERLITE_TESTS_SAME(Version, ::binder_version, protocol_version);

static_assert(kSameSize<NodeDebugInfo, ::binder_node_debug_info>);
BINDERLITE_TESTS_SAME(NodeDebugInfo, ::binder_node_debug_info, ptr);
BINDERLITE_TESTS_SAME(NodeDebugInfo, ::binder_node_debug_info, cookie);
BINDERLITE_TESTS_SAME(NodeDebugInfo, ::binder_node_debug_info, has_strong_ref);
BINDERLITE_TESTS_SAME(NodeDebugInfo, ::binder_node_debug_info, has_weak_ref);

static_assert(kSameSize<NodeInfoForRef, ::binder_node_info_for_ref>);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, handle);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, strong_count);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, weak_count);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, reserved1);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, reserved2);
BINDERLITE_TESTS_SAME(NodeInfoForRef, ::binder_node_info_for_ref, reserved3);

static_assert(kSameSize<FreezeInfo, ::binder_freeze_info>);
BINDERLITE_TESTS_SAME(FreezeInfo, ::binder_freeze_info, pid);
BINDERLITE_TESTS_SAME(FreezeInfo, ::binder_freeze_info, enable);
BINDERLITE_TESTS_SAME(FreezeInfo, ::binder_freeze_info, timeout_ms);

static_assert(kSameSize<FrozenStatusInfo, ::binder_frozen_status_info>);
BINDERLITE_TESTS_SAME(FrozenStatusInfo, ::binder_frozen_status_info, pid);
BINDERLITE_TESTS_SAME(FrozenStatusInfo, ::binder_frozen_status_info, sync_recv);
BINDERLITE_TESTS_SAME(FrozenStatusInfo, ::binder_frozen_status_info,
                      async_recv);

static_assert(kSameSize<ExtendedError, ::binder_extended_error>);
BINDERLITE_TESTS_SAME(ExtendedError, ::binder_extended_error, id);
BINDERLITE_TESTS_SAME(ExtendedError, ::binder_extended_error, command);
BINDERLITE_TESTS_SAME(ExtendedError, ::binder_extended_error, param);

#if BINDERLITE_TESTS_UAPI_IS_6_12
static_assert(kSameSize<FrozenStateInfo, ::binder_frozen_state_info>);
BINDERLITE_TESTS_SAME(FrozenStateInfo, ::binder_frozen_state_info, cookie);
BINDERLITE_TESTS_SAME(FrozenStateInfo, ::binder_frozen_state_info, is_frozen);
BINDERLITE_TESTS_SAME(FrozenStateInfo, ::binder_frozen_state_info, reserved);
#endif

}  // namespace binderlite::uapi_checks

#endif  // BINDERLITE_TESTS_CONFORMANCE_UAPI_CHECKS_H_
