// SPDX-License-Identifier: Apache-2.0
//
// Command streams for tests: Commands builds what is written, Parse takes apart
// what was read, Payload is the data and the objects of a transaction.

#ifndef BINDERLITE_TESTS_SUPPORT_STREAMS_H_
#define BINDERLITE_TESTS_SUPPORT_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "binderlite/wire/commands.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite {

// For gtest's messages.
inline void PrintTo(Br code, std::ostream* out) { *out << ToString(code); }

}  // namespace binderlite

namespace binderlite::testing {

using BrList = std::vector<Br>;

inline std::uint64_t AddressOf(const void* p) {
  return reinterpret_cast<std::uint64_t>(p);
}
// What is at `address`, which must be readable for `size` bytes.
inline std::string TextAt(std::uint64_t address, std::size_t size) {
  return std::string(reinterpret_cast<const char*>(address), size);
}

class Payload {
 public:
  Payload() = default;
  explicit Payload(std::string_view text) { Bytes(text.data(), text.size()); }

  Payload& Bytes(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    data_.insert(data_.end(), bytes, bytes + size);
    return *this;
  }
  // Appends an object, 8-byte aligned, and its offset.
  template <class T>
  Payload& Object(const T& object) {
    data_.resize((data_.size() + 7) & ~std::size_t{7});
    offsets_.push_back(data_.size());
    return Bytes(&object, sizeof(object));
  }
  Payload& Binder(std::uint64_t ptr, std::uint64_t cookie,
                  ObjectType type = ObjectType::kBinder,
                  std::uint32_t flags = 0) {
    FlatObject object = {};
    object.hdr.type = static_cast<std::uint32_t>(type);
    object.flags = flags;
    object.binder = ptr;
    object.cookie = cookie;
    return Object(object);
  }
  Payload& WeakBinder(std::uint64_t ptr, std::uint64_t cookie) {
    return Binder(ptr, cookie, ObjectType::kWeakBinder);
  }
  Payload& Handle(std::uint32_t handle, ObjectType type = ObjectType::kHandle) {
    FlatObject object = {};
    object.hdr.type = static_cast<std::uint32_t>(type);
    object.handle = handle;
    return Object(object);
  }
  Payload& WeakHandle(std::uint32_t handle) {
    return Handle(handle, ObjectType::kWeakHandle);
  }
  Payload& Fd(int fd) {
    FdObject object = {};
    object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFd);
    object.fd = static_cast<std::uint32_t>(fd);
    return Object(object);
  }
  // A BufferObject of what `length` bytes at `buffer` are then.
  Payload& Ptr(const void* buffer, std::uint64_t length) {
    return Object(MakePtr(buffer, length));
  }
  // One whose address goes to `parent_offset` of the object at
  // offsets()[parent].
  Payload& PtrIn(const void* buffer, std::uint64_t length, std::uint64_t parent,
                 std::uint64_t parent_offset) {
    BufferObject object = MakePtr(buffer, length);
    object.flags = kBufferFlagHasParent;
    object.parent = parent;
    object.parent_offset = parent_offset;
    return Object(object);
  }
  // `count` descriptors in the object at offsets()[parent].
  Payload& FdArray(std::uint64_t count, std::uint64_t parent,
                   std::uint64_t parent_offset = 0) {
    FdArrayObject object = {};
    object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFdArray);
    object.num_fds = count;
    object.parent = parent;
    object.parent_offset = parent_offset;
    return Object(object);
  }
  // An offset that need not be that of an object.
  Payload& Offset(std::uint64_t offset) {
    offsets_.push_back(offset);
    return *this;
  }

  [[nodiscard]] TransactionData Data(std::uint32_t code = 0,
                                     std::uint32_t flags = 0) const {
    TransactionData data = {};
    data.code = code;
    data.flags = flags;
    data.data_size = data_.size();
    data.buffer = data_.empty() ? 0 : AddressOf(data_.data());
    data.offsets_size = offsets_.size() * sizeof(std::uint64_t);
    data.offsets = offsets_.empty() ? 0 : AddressOf(offsets_.data());
    return data;
  }

  std::vector<std::byte>& data() { return data_; }
  std::vector<std::uint64_t>& offsets() { return offsets_; }

 private:
  static BufferObject MakePtr(const void* buffer, std::uint64_t length) {
    BufferObject object = {};
    object.hdr.type = static_cast<std::uint32_t>(ObjectType::kPtr);
    object.buffer = AddressOf(buffer);
    object.length = length;
    return object;
  }

  std::vector<std::byte> data_;
  std::vector<std::uint64_t> offsets_;
};

class Commands {
 public:
  Commands& Raw(std::uint32_t word) { return Bytes(&word, sizeof(word)); }
  Commands& Put(Bc code) { return Raw(static_cast<std::uint32_t>(code)); }
  template <class T>
  Commands& Put(Bc code, const T& payload) {
    return Put(code).Bytes(&payload, sizeof(payload));
  }

  Commands& EnterLooper() { return Put(Bc::BC_ENTER_LOOPER); }
  Commands& RegisterLooper() { return Put(Bc::BC_REGISTER_LOOPER); }
  Commands& ExitLooper() { return Put(Bc::BC_EXIT_LOOPER); }
  Commands& Acquire(std::uint32_t h) { return Put(Bc::BC_ACQUIRE, h); }
  Commands& Release(std::uint32_t h) { return Put(Bc::BC_RELEASE, h); }
  Commands& IncRefs(std::uint32_t h) { return Put(Bc::BC_INCREFS, h); }
  Commands& DecRefs(std::uint32_t h) { return Put(Bc::BC_DECREFS, h); }
  Commands& AcquireDone(std::uint64_t ptr, std::uint64_t cookie) {
    return Put(Bc::BC_ACQUIRE_DONE, PtrCookie{ptr, cookie});
  }
  Commands& IncRefsDone(std::uint64_t ptr, std::uint64_t cookie) {
    return Put(Bc::BC_INCREFS_DONE, PtrCookie{ptr, cookie});
  }
  Commands& Free(std::uint64_t address) {
    return Put(Bc::BC_FREE_BUFFER, address);
  }
  // `payload` must live until the commands have been run.
  Commands& Transact(std::uint32_t handle, const Payload& payload = {},
                     std::uint32_t code = 0, std::uint32_t flags = 0) {
    TransactionData data = payload.Data(code, flags);
    data.target.handle = handle;
    return Put(Bc::BC_TRANSACTION, data);
  }
  Commands& OneWay(std::uint32_t handle, const Payload& payload = {},
                   std::uint32_t code = 0) {
    return Transact(handle, payload, code, /*TF_ONE_WAY*/ 1);
  }
  Commands& Reply(const Payload& payload = {}, std::uint32_t code = 0,
                  std::uint32_t flags = 0) {
    return Put(Bc::BC_REPLY, payload.Data(code, flags));
  }
  // The same with `buffers_size` bytes for BufferObjects.
  Commands& TransactSg(std::uint32_t handle, const Payload& payload,
                       std::uint64_t buffers_size, std::uint32_t code = 0,
                       std::uint32_t flags = 0) {
    TransactionDataSg sg = {payload.Data(code, flags), buffers_size};
    sg.data.target.handle = handle;
    return Put(Bc::BC_TRANSACTION_SG, sg);
  }
  Commands& ReplySg(const Payload& payload, std::uint64_t buffers_size,
                    std::uint32_t code = 0, std::uint32_t flags = 0) {
    return Put(Bc::BC_REPLY_SG,
               TransactionDataSg{payload.Data(code, flags), buffers_size});
  }
  Commands& RequestDeath(std::uint32_t handle, std::uint64_t cookie) {
    return Put(Bc::BC_REQUEST_DEATH_NOTIFICATION, HandleCookie{handle, cookie});
  }
  Commands& ClearDeath(std::uint32_t handle, std::uint64_t cookie) {
    return Put(Bc::BC_CLEAR_DEATH_NOTIFICATION, HandleCookie{handle, cookie});
  }
  Commands& DeadDone(std::uint64_t cookie) {
    return Put(Bc::BC_DEAD_BINDER_DONE, cookie);
  }
  Commands& RequestFreeze(std::uint32_t handle, std::uint64_t cookie) {
    return Put(Bc::BC_REQUEST_FREEZE_NOTIFICATION,
               HandleCookie{handle, cookie});
  }
  Commands& ClearFreeze(std::uint32_t handle, std::uint64_t cookie) {
    return Put(Bc::BC_CLEAR_FREEZE_NOTIFICATION, HandleCookie{handle, cookie});
  }
  Commands& FreezeDone(std::uint64_t cookie) {
    return Put(Bc::BC_FREEZE_NOTIFICATION_DONE, cookie);
  }
  Commands& Bytes(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
    return *this;
  }

  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// One return command.
struct Received {
  Br br = Br::BR_NOOP;
  TransactionData tr = {};      // BR_TRANSACTION, _SEC_CTX, BR_REPLY
  std::uint64_t secctx = 0;     // BR_TRANSACTION_SEC_CTX
  std::uint64_t ptr = 0;        // node commands
  std::uint64_t cookie = 0;     // node commands, deaths, freezes
  std::uint32_t is_frozen = 0;  // BR_FROZEN_BINDER

  // The payload, as text and as the object at offsets[i].
  [[nodiscard]] std::string text() const {
    return std::string(reinterpret_cast<const char*>(tr.buffer),
                       static_cast<std::size_t>(tr.data_size));
  }
  [[nodiscard]] FlatObject object(std::size_t i) const {
    return ObjectAt<FlatObject>(i);
  }
  template <class T>
  [[nodiscard]] T ObjectAt(std::size_t i) const {
    std::uint64_t offset = 0;
    std::memcpy(&offset,
                reinterpret_cast<const void*>(tr.offsets + i * sizeof(offset)),
                sizeof(offset));
    T object = {};
    std::memcpy(&object, reinterpret_cast<const void*>(tr.buffer + offset),
                sizeof(object));
    return object;
  }
};

// Takes a read buffer apart; nullopt if it is not a whole number of known
// commands.
inline std::optional<std::vector<Received>> Parse(
    std::span<const std::byte> bytes) {
  std::vector<Received> all;
  while (!bytes.empty()) {
    std::uint32_t code = 0;
    if (bytes.size() < sizeof(code)) return std::nullopt;
    std::memcpy(&code, bytes.data(), sizeof(code));
    bytes = bytes.subspan(sizeof(code));
    const std::optional<Br> br = ToBr(code);
    if (!br.has_value() || bytes.size() < PayloadSize(*br)) {
      return std::nullopt;
    }
    Received received{.br = *br};
    const std::size_t size = PayloadSize(*br);
    if (size == sizeof(TransactionData)) {
      std::memcpy(&received.tr, bytes.data(), size);
    } else if (*br == Br::BR_TRANSACTION_SEC_CTX) {
      std::memcpy(&received.tr, bytes.data(), sizeof(received.tr));
      std::memcpy(&received.secctx, bytes.data() + sizeof(received.tr),
                  sizeof(received.secctx));
    } else if (*br == Br::BR_FROZEN_BINDER) {
      FrozenStateInfo info = {};
      std::memcpy(&info, bytes.data(), sizeof(info));
      received.cookie = info.cookie;
      received.is_frozen = info.is_frozen;
    } else if (size == sizeof(PtrCookie)) {
      std::memcpy(&received.ptr, bytes.data(), sizeof(received.ptr));
      std::memcpy(&received.cookie, bytes.data() + sizeof(received.ptr),
                  sizeof(received.cookie));
    } else if (size == sizeof(received.cookie)) {
      std::memcpy(&received.cookie, bytes.data(), size);
    }
    bytes = bytes.subspan(size);
    all.push_back(received);
  }
  return all;
}

inline std::vector<Br> Codes(const std::vector<Received>& received) {
  std::vector<Br> codes;
  codes.reserve(received.size());
  for (const Received& r : received) codes.push_back(r.br);
  return codes;
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_STREAMS_H_
