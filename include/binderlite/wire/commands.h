// SPDX-License-Identifier: Apache-2.0
//
// The words of the binder protocol: Bc, the commands that user space writes;
// Br, the ones that it reads; Ioctl, the requests of the device. With their
// names, numbers and payload sizes.
//
// A code is a number whose bits say everything about its payload but the
// meaning. The codes are computed here from the structures of wire/, in the
// encoding that Linux uses on most machines (x86, ARM, RISC-V), so no kernel
// header is needed. The enumerators of Bc and Br keep the kernel's spelling but
// are scoped, so such a header does no harm either. Covers Linux 6.12.
//
// Part of wire/: the protocol as data. No locks, no allocation; an unknown code
// is reported by an empty optional or by a name with a question mark, never by
// failing.

#ifndef BINDERLITE_WIRE_COMMANDS_H_
#define BINDERLITE_WIRE_COMMANDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite {

// Which way the payload of a code goes, as seen from user space.
// Kernel: _IOC_NONE, _IOC_WRITE, _IOC_READ.
enum class IoctlDir : std::uint32_t {
  kNone = 0,
  kWrite = 1,
  kRead = 2,
  kReadWrite = 3,
};

// The code with number `nr` (0..255) in the group `type`, whose payload has
// `size` bytes (at most 16383). Kernel: _IOC, which _IO, _IOW, _IOR and _IOWR
// call.
constexpr std::uint32_t IoctlCode(IoctlDir dir, char type, std::uint32_t nr,
                                  std::size_t size) {
  return static_cast<std::uint32_t>(dir) << 30 |
         (static_cast<std::uint32_t>(size) & 0x3fff) << 16 |
         std::uint32_t{static_cast<unsigned char>(type)} << 8 | (nr & 0xff);
}

namespace wire_internal {

constexpr std::uint32_t BcCode(std::uint32_t nr) {
  return IoctlCode(IoctlDir::kNone, 'c', nr, 0);
}
template <typename Payload>
constexpr std::uint32_t BcCode(std::uint32_t nr) {
  return IoctlCode(IoctlDir::kWrite, 'c', nr, sizeof(Payload));
}
constexpr std::uint32_t BrCode(std::uint32_t nr) {
  return IoctlCode(IoctlDir::kNone, 'r', nr, 0);
}
template <typename Payload>
constexpr std::uint32_t BrCode(std::uint32_t nr) {
  return IoctlCode(IoctlDir::kRead, 'r', nr, sizeof(Payload));
}
template <typename Argument>
constexpr std::uint32_t RequestCode(IoctlDir dir, std::uint32_t nr) {
  return IoctlCode(dir, 'b', nr, sizeof(Argument));
}

}  // namespace wire_internal

// Commands to the driver. Kernel: enum binder_driver_command_protocol.
enum class Bc : std::uint32_t {
  // A call through a handle, and the answer to the call being served.
  BC_TRANSACTION = wire_internal::BcCode<TransactionData>(0),
  BC_REPLY = wire_internal::BcCode<TransactionData>(1),
  // Not supported by any driver: EINVAL.
  BC_ACQUIRE_RESULT = wire_internal::BcCode<std::int32_t>(2),
  // Gives back a received buffer, by its address.
  BC_FREE_BUFFER = wire_internal::BcCode<std::uint64_t>(3),
  // Weak (INCREFS, DECREFS) and strong (ACQUIRE, RELEASE) counts of a handle.
  BC_INCREFS = wire_internal::BcCode<std::uint32_t>(4),
  BC_ACQUIRE = wire_internal::BcCode<std::uint32_t>(5),
  BC_RELEASE = wire_internal::BcCode<std::uint32_t>(6),
  BC_DECREFS = wire_internal::BcCode<std::uint32_t>(7),
  // The owner has done what BR_INCREFS and BR_ACQUIRE asked for.
  BC_INCREFS_DONE = wire_internal::BcCode<PtrCookie>(8),
  BC_ACQUIRE_DONE = wire_internal::BcCode<PtrCookie>(9),
  // Not supported by any driver: EINVAL.
  BC_ATTEMPT_ACQUIRE = wire_internal::BcCode<PriDesc>(10),
  // This thread serves calls from now on: because BR_SPAWN_LOOPER asked for it
  // (REGISTER) or by its own decision (ENTER); or no longer does.
  BC_REGISTER_LOOPER = wire_internal::BcCode(11),
  BC_ENTER_LOOPER = wire_internal::BcCode(12),
  BC_EXIT_LOOPER = wire_internal::BcCode(13),
  // Asks to be told when the owner of a handle's node dies; withdraws that;
  // confirms having been told, by the cookie.
  BC_REQUEST_DEATH_NOTIFICATION = wire_internal::BcCode<HandleCookie>(14),
  BC_CLEAR_DEATH_NOTIFICATION = wire_internal::BcCode<HandleCookie>(15),
  BC_DEAD_BINDER_DONE = wire_internal::BcCode<std::uint64_t>(16),
  // BC_TRANSACTION and BC_REPLY with room for BufferObjects.
  BC_TRANSACTION_SG = wire_internal::BcCode<TransactionDataSg>(17),
  BC_REPLY_SG = wire_internal::BcCode<TransactionDataSg>(18),
  // The same as for deaths, for freezing and unfreezing. Since Linux 6.12.
  BC_REQUEST_FREEZE_NOTIFICATION = wire_internal::BcCode<HandleCookie>(19),
  BC_CLEAR_FREEZE_NOTIFICATION = wire_internal::BcCode<HandleCookie>(20),
  BC_FREEZE_NOTIFICATION_DONE = wire_internal::BcCode<std::uint64_t>(21),
};

// Commands from the driver. Kernel: enum binder_driver_return_protocol.
enum class Br : std::uint32_t {
  // A negative errno.
  BR_ERROR = wire_internal::BrCode<std::int32_t>(0),
  BR_OK = wire_internal::BrCode(1),
  // A call to serve; with the label of its sender, if the node asks for it.
  // The two share their number and differ in size.
  BR_TRANSACTION_SEC_CTX = wire_internal::BrCode<TransactionDataSecctx>(2),
  BR_TRANSACTION = wire_internal::BrCode<TransactionData>(2),
  // The answer to a call that this thread made.
  BR_REPLY = wire_internal::BrCode<TransactionData>(3),
  // Sent by no driver.
  BR_ACQUIRE_RESULT = wire_internal::BrCode<std::int32_t>(4),
  // There will be no answer: the callee or its thread is dead.
  BR_DEAD_REPLY = wire_internal::BrCode(5),
  // The call or reply was accepted.
  BR_TRANSACTION_COMPLETE = wire_internal::BrCode(6),
  // Others begin to use (INCREFS, ACQUIRE) or no longer use (RELEASE, DECREFS)
  // a node of this Proc.
  BR_INCREFS = wire_internal::BrCode<PtrCookie>(7),
  BR_ACQUIRE = wire_internal::BrCode<PtrCookie>(8),
  BR_RELEASE = wire_internal::BrCode<PtrCookie>(9),
  BR_DECREFS = wire_internal::BrCode<PtrCookie>(10),
  // Sent by no driver.
  BR_ATTEMPT_ACQUIRE = wire_internal::BrCode<PriPtrCookie>(11),
  // Starts every read buffer; BR_SPAWN_LOOPER may be written over it.
  BR_NOOP = wire_internal::BrCode(12),
  // All loopers are busy: start another one.
  BR_SPAWN_LOOPER = wire_internal::BrCode(13),
  // Sent by no driver.
  BR_FINISHED = wire_internal::BrCode(14),
  // The owner of a watched node died; the watch with this cookie is withdrawn.
  BR_DEAD_BINDER = wire_internal::BrCode<std::uint64_t>(15),
  BR_CLEAR_DEATH_NOTIFICATION_DONE = wire_internal::BrCode<std::uint64_t>(16),
  // The call or reply failed; Ioctl::kGetExtendedError says why.
  BR_FAILED_REPLY = wire_internal::BrCode(17),
  // The call was refused, its target is frozen.
  BR_FROZEN_REPLY = wire_internal::BrCode(18),
  // BR_TRANSACTION_COMPLETE for a one-way that uses up its target's memory.
  BR_ONEWAY_SPAM_SUSPECT = wire_internal::BrCode(19),
  // BR_TRANSACTION_COMPLETE for a one-way to a frozen target. Since 6.2.
  BR_TRANSACTION_PENDING_FROZEN = wire_internal::BrCode(20),
  // A watched owner was frozen or unfrozen; such a watch is withdrawn, by its
  // cookie. Since Linux 6.12.
  BR_FROZEN_BINDER = wire_internal::BrCode<FrozenStateInfo>(21),
  BR_CLEAR_FREEZE_NOTIFICATION_DONE = wire_internal::BrCode<std::uint64_t>(22),
};

// Requests of the device. Kernel: BINDER_WRITE_READ and so on.
enum class Ioctl : std::uint32_t {
  kWriteRead = wire_internal::RequestCode<WriteRead>(IoctlDir::kReadWrite, 1),
  kSetIdleTimeout =
      wire_internal::RequestCode<std::int64_t>(IoctlDir::kWrite, 3),
  kSetMaxThreads =
      wire_internal::RequestCode<std::uint32_t>(IoctlDir::kWrite, 5),
  kSetIdlePriority =
      wire_internal::RequestCode<std::int32_t>(IoctlDir::kWrite, 6),
  kSetContextMgr =
      wire_internal::RequestCode<std::int32_t>(IoctlDir::kWrite, 7),
  kThreadExit = wire_internal::RequestCode<std::int32_t>(IoctlDir::kWrite, 8),
  kVersion = wire_internal::RequestCode<Version>(IoctlDir::kReadWrite, 9),
  kGetNodeDebugInfo =
      wire_internal::RequestCode<NodeDebugInfo>(IoctlDir::kReadWrite, 11),
  kGetNodeInfoForRef =
      wire_internal::RequestCode<NodeInfoForRef>(IoctlDir::kReadWrite, 12),
  kSetContextMgrExt =
      wire_internal::RequestCode<FlatObject>(IoctlDir::kWrite, 13),
  kFreeze = wire_internal::RequestCode<FreezeInfo>(IoctlDir::kWrite, 14),
  kGetFrozenInfo =
      wire_internal::RequestCode<FrozenStatusInfo>(IoctlDir::kReadWrite, 15),
  kEnableOnewaySpamDetection =
      wire_internal::RequestCode<std::uint32_t>(IoctlDir::kWrite, 16),
  kGetExtendedError =
      wire_internal::RequestCode<ExtendedError>(IoctlDir::kReadWrite, 17),
};

// How many command numbers there are: CommandNumber() of a known code is less
// than this, so it can index an array of counters.
inline constexpr std::size_t kBcNumbers = 22;
// The same of return commands.
inline constexpr std::size_t kBrNumbers = 23;

// Number of bytes that follow the code in a command stream (for an Ioctl: that
// its argument points to). Also right for codes that do not exist.
constexpr std::size_t PayloadSize(Bc code) {
  return static_cast<std::uint32_t>(code) >> 16 & 0x3fff;
}
constexpr std::size_t PayloadSize(Br code) {
  return static_cast<std::uint32_t>(code) >> 16 & 0x3fff;
}
constexpr std::size_t PayloadSize(Ioctl code) {
  return static_cast<std::uint32_t>(code) >> 16 & 0x3fff;
}

// The number of a code in its group, 0..255. BR_TRANSACTION and
// BR_TRANSACTION_SEC_CTX have the same. Kernel: _IOC_NR.
constexpr int CommandNumber(Bc code) {
  return static_cast<int>(static_cast<std::uint32_t>(code) & 0xff);
}
constexpr int CommandNumber(Br code) {
  return static_cast<int>(static_cast<std::uint32_t>(code) & 0xff);
}
constexpr int CommandNumber(Ioctl code) {
  return static_cast<int>(static_cast<std::uint32_t>(code) & 0xff);
}

namespace wire_internal {

template <typename Code>
struct Word {
  Code code;
  std::string_view name;
};

// Indexed by number, so that decoding a code is one load and one comparison.
inline constexpr std::array<Word<Bc>, kBcNumbers> kBcWords = {{
    {Bc::BC_TRANSACTION, "BC_TRANSACTION"},
    {Bc::BC_REPLY, "BC_REPLY"},
    {Bc::BC_ACQUIRE_RESULT, "BC_ACQUIRE_RESULT"},
    {Bc::BC_FREE_BUFFER, "BC_FREE_BUFFER"},
    {Bc::BC_INCREFS, "BC_INCREFS"},
    {Bc::BC_ACQUIRE, "BC_ACQUIRE"},
    {Bc::BC_RELEASE, "BC_RELEASE"},
    {Bc::BC_DECREFS, "BC_DECREFS"},
    {Bc::BC_INCREFS_DONE, "BC_INCREFS_DONE"},
    {Bc::BC_ACQUIRE_DONE, "BC_ACQUIRE_DONE"},
    {Bc::BC_ATTEMPT_ACQUIRE, "BC_ATTEMPT_ACQUIRE"},
    {Bc::BC_REGISTER_LOOPER, "BC_REGISTER_LOOPER"},
    {Bc::BC_ENTER_LOOPER, "BC_ENTER_LOOPER"},
    {Bc::BC_EXIT_LOOPER, "BC_EXIT_LOOPER"},
    {Bc::BC_REQUEST_DEATH_NOTIFICATION, "BC_REQUEST_DEATH_NOTIFICATION"},
    {Bc::BC_CLEAR_DEATH_NOTIFICATION, "BC_CLEAR_DEATH_NOTIFICATION"},
    {Bc::BC_DEAD_BINDER_DONE, "BC_DEAD_BINDER_DONE"},
    {Bc::BC_TRANSACTION_SG, "BC_TRANSACTION_SG"},
    {Bc::BC_REPLY_SG, "BC_REPLY_SG"},
    {Bc::BC_REQUEST_FREEZE_NOTIFICATION, "BC_REQUEST_FREEZE_NOTIFICATION"},
    {Bc::BC_CLEAR_FREEZE_NOTIFICATION, "BC_CLEAR_FREEZE_NOTIFICATION"},
    {Bc::BC_FREEZE_NOTIFICATION_DONE, "BC_FREEZE_NOTIFICATION_DONE"},
}};

inline constexpr std::array<Word<Br>, kBrNumbers> kBrWords = {{
    {Br::BR_ERROR, "BR_ERROR"},
    {Br::BR_OK, "BR_OK"},
    {Br::BR_TRANSACTION, "BR_TRANSACTION"},
    {Br::BR_REPLY, "BR_REPLY"},
    {Br::BR_ACQUIRE_RESULT, "BR_ACQUIRE_RESULT"},
    {Br::BR_DEAD_REPLY, "BR_DEAD_REPLY"},
    {Br::BR_TRANSACTION_COMPLETE, "BR_TRANSACTION_COMPLETE"},
    {Br::BR_INCREFS, "BR_INCREFS"},
    {Br::BR_ACQUIRE, "BR_ACQUIRE"},
    {Br::BR_RELEASE, "BR_RELEASE"},
    {Br::BR_DECREFS, "BR_DECREFS"},
    {Br::BR_ATTEMPT_ACQUIRE, "BR_ATTEMPT_ACQUIRE"},
    {Br::BR_NOOP, "BR_NOOP"},
    {Br::BR_SPAWN_LOOPER, "BR_SPAWN_LOOPER"},
    {Br::BR_FINISHED, "BR_FINISHED"},
    {Br::BR_DEAD_BINDER, "BR_DEAD_BINDER"},
    {Br::BR_CLEAR_DEATH_NOTIFICATION_DONE, "BR_CLEAR_DEATH_NOTIFICATION_DONE"},
    {Br::BR_FAILED_REPLY, "BR_FAILED_REPLY"},
    {Br::BR_FROZEN_REPLY, "BR_FROZEN_REPLY"},
    {Br::BR_ONEWAY_SPAM_SUSPECT, "BR_ONEWAY_SPAM_SUSPECT"},
    {Br::BR_TRANSACTION_PENDING_FROZEN, "BR_TRANSACTION_PENDING_FROZEN"},
    {Br::BR_FROZEN_BINDER, "BR_FROZEN_BINDER"},
    {Br::BR_CLEAR_FREEZE_NOTIFICATION_DONE,
     "BR_CLEAR_FREEZE_NOTIFICATION_DONE"},
}};

// Whether there is an entry of exactly this code, at its number. (No pointer to
// it, as GCC's UBSan cannot compare such with null in a constant expression.)
template <typename Code, std::size_t kSize>
constexpr bool HasWord(const std::array<Word<Code>, kSize>& words, Code code) {
  const auto number = static_cast<std::size_t>(CommandNumber(code));
  return number < kSize && words[number].code == code;
}

// Its name, or `otherwise`.
template <typename Code, std::size_t kSize>
constexpr std::string_view NameOf(const std::array<Word<Code>, kSize>& words,
                                  Code code, std::string_view otherwise) {
  if (!HasWord(words, code)) return otherwise;
  return words[static_cast<std::size_t>(CommandNumber(code))].name;
}

}  // namespace wire_internal

// The UAPI's spelling of a code; "BC_?", "BR_?" or "BINDER_?" if it has none.
constexpr std::string_view ToString(Bc code) {
  return wire_internal::NameOf(wire_internal::kBcWords, code, "BC_?");
}
constexpr std::string_view ToString(Br code) {
  if (code == Br::BR_TRANSACTION_SEC_CTX) return "BR_TRANSACTION_SEC_CTX";
  return wire_internal::NameOf(wire_internal::kBrWords, code, "BR_?");
}
constexpr std::string_view ToString(Ioctl code) {
  switch (code) {
    case Ioctl::kWriteRead:
      return "BINDER_WRITE_READ";
    case Ioctl::kSetIdleTimeout:
      return "BINDER_SET_IDLE_TIMEOUT";
    case Ioctl::kSetMaxThreads:
      return "BINDER_SET_MAX_THREADS";
    case Ioctl::kSetIdlePriority:
      return "BINDER_SET_IDLE_PRIORITY";
    case Ioctl::kSetContextMgr:
      return "BINDER_SET_CONTEXT_MGR";
    case Ioctl::kThreadExit:
      return "BINDER_THREAD_EXIT";
    case Ioctl::kVersion:
      return "BINDER_VERSION";
    case Ioctl::kGetNodeDebugInfo:
      return "BINDER_GET_NODE_DEBUG_INFO";
    case Ioctl::kGetNodeInfoForRef:
      return "BINDER_GET_NODE_INFO_FOR_REF";
    case Ioctl::kSetContextMgrExt:
      return "BINDER_SET_CONTEXT_MGR_EXT";
    case Ioctl::kFreeze:
      return "BINDER_FREEZE";
    case Ioctl::kGetFrozenInfo:
      return "BINDER_GET_FROZEN_INFO";
    case Ioctl::kEnableOnewaySpamDetection:
      return "BINDER_ENABLE_ONEWAY_SPAM_DETECTION";
    case Ioctl::kGetExtendedError:
      return "BINDER_GET_EXTENDED_ERROR";
  }
  return "BINDER_?";
}

// The command that a number from a stream stands for; nothing if it is not
// exactly one of the known codes (the right number with another size is not).
constexpr std::optional<Bc> ToBc(std::uint32_t code) {
  const auto bc = static_cast<Bc>(code);
  if (!wire_internal::HasWord(wire_internal::kBcWords, bc)) {
    return std::nullopt;
  }
  return bc;
}
// The same of return commands.
constexpr std::optional<Br> ToBr(std::uint32_t code) {
  const auto br = static_cast<Br>(code);
  if (br == Br::BR_TRANSACTION_SEC_CTX) return br;
  if (!wire_internal::HasWord(wire_internal::kBrWords, br)) {
    return std::nullopt;
  }
  return br;
}

// While nothing of the operation `id` has failed.
[[nodiscard]] constexpr ExtendedError NoError(std::uint32_t id = 0) {
  return {id, static_cast<std::uint32_t>(Br::BR_OK), 0};
}

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_COMMANDS_H_
