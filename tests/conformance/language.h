// SPDX-License-Identifier: Apache-2.0
//
// The words of the little language (README.md): commands, requests, options,
// how numbers and bytes are spelled. Shared by what makes calls of lines
// (encode.cc) and lines of answers (decode.cc).

#ifndef BINDERLITE_TESTS_CONFORMANCE_LANGUAGE_H_
#define BINDERLITE_TESTS_CONFORMANCE_LANGUAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/wire/commands.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"
#include "world.h"

namespace binderlite::conformance {

inline constexpr int kMaxThreads = 12;
inline constexpr std::size_t kStruct = sizeof(WriteRead);
inline constexpr int kNoSuchFd = 1000000;
inline constexpr std::uint64_t kNoSuchBuffer = 8;

// Ends the program: the line cannot be what was meant.
[[noreturn]] void Die(const std::string& why, std::string_view what);

std::vector<std::string> Split(std::string_view text, char separator);

bool IsNumber(const std::string& text);
std::uint64_t Number(const std::string& text);
// The `index`th argument, `otherwise` if there are fewer.
std::uint64_t Arg(const std::vector<std::string>& args, std::size_t index,
                  std::uint64_t otherwise = 0);

std::string Hex(std::uint64_t value);
// In hex, or, if there are many, their number and a hash.
std::string Bytes(const std::byte* data, std::size_t size);

template <class T>
T Load(const std::vector<std::byte>& bytes, std::size_t at) {
  T value = {};
  if (at + sizeof(T) <= bytes.size()) {
    std::memcpy(&value, bytes.data() + at, sizeof(T));
  }
  return value;
}

template <class T>
void Append(std::vector<std::byte>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof(T));
}

template <class T>
void Store(std::vector<std::byte>& bytes, std::size_t at, const T& value) {
  if (at + sizeof(T) <= bytes.size()) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
}

inline std::size_t Align8(std::size_t n) { return (n + 7) & ~std::size_t{7}; }

// Bytes that depend on where they are, so that a shifted copy is noticed.
void AppendPattern(std::vector<std::byte>& bytes, std::size_t count,
                   std::uint32_t salt);

struct Verb {
  const char* name;
  std::uint32_t request;
};

inline constexpr Verb kRequests[] = {
    {"version", static_cast<std::uint32_t>(Ioctl::kVersion)},
    {"maxthreads", static_cast<std::uint32_t>(Ioctl::kSetMaxThreads)},
    {"ctxmgr", static_cast<std::uint32_t>(Ioctl::kSetContextMgr)},
    {"ctxmgrext", static_cast<std::uint32_t>(Ioctl::kSetContextMgrExt)},
    {"exit", static_cast<std::uint32_t>(Ioctl::kThreadExit)},
    {"idletimeout", static_cast<std::uint32_t>(Ioctl::kSetIdleTimeout)},
    {"idlepriority", static_cast<std::uint32_t>(Ioctl::kSetIdlePriority)},
    {"nodedebug", static_cast<std::uint32_t>(Ioctl::kGetNodeDebugInfo)},
    {"noderef", static_cast<std::uint32_t>(Ioctl::kGetNodeInfoForRef)},
    {"freeze", static_cast<std::uint32_t>(Ioctl::kFreeze)},
    {"frozeninfo", static_cast<std::uint32_t>(Ioctl::kGetFrozenInfo)},
    {"spam", static_cast<std::uint32_t>(Ioctl::kEnableOnewaySpamDetection)},
    {"exterr", static_cast<std::uint32_t>(Ioctl::kGetExtendedError)},
    {"wr", static_cast<std::uint32_t>(Ioctl::kWriteRead)},
};

struct Word {
  const char* name;
  Bc code;
};

inline constexpr Word kWords[] = {
    {"txn", Bc::BC_TRANSACTION},
    {"reply", Bc::BC_REPLY},
    {"acqresult", Bc::BC_ACQUIRE_RESULT},
    {"free", Bc::BC_FREE_BUFFER},
    {"inc", Bc::BC_INCREFS},
    {"acq", Bc::BC_ACQUIRE},
    {"rel", Bc::BC_RELEASE},
    {"dec", Bc::BC_DECREFS},
    {"incdone", Bc::BC_INCREFS_DONE},
    {"acqdone", Bc::BC_ACQUIRE_DONE},
    {"attempt", Bc::BC_ATTEMPT_ACQUIRE},
    {"register", Bc::BC_REGISTER_LOOPER},
    {"enter", Bc::BC_ENTER_LOOPER},
    {"exitlooper", Bc::BC_EXIT_LOOPER},
    {"reqdeath", Bc::BC_REQUEST_DEATH_NOTIFICATION},
    {"cleardeath", Bc::BC_CLEAR_DEATH_NOTIFICATION},
    {"deaddone", Bc::BC_DEAD_BINDER_DONE},
    {"reqfreeze", Bc::BC_REQUEST_FREEZE_NOTIFICATION},
    {"clearfreeze", Bc::BC_CLEAR_FREEZE_NOTIFICATION},
    {"freezedone", Bc::BC_FREEZE_NOTIFICATION_DONE},
};

bool IsSg(const Command& command);
// The command's code, as it is sent.
std::optional<Bc> CodeOf(const Command& command);

// Arguments of "wr" that are not commands.
bool IsOption(const std::string& token);
bool Has(const Step& step, const char* flag);
std::uint64_t Option(const Step& step, const char* name,
                     std::uint64_t otherwise);

const char* ObjectName(ObjectType type);

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_LANGUAGE_H_
