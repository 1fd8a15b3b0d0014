// SPDX-License-Identifier: Apache-2.0
//
// The objects that can be embedded in the payload of a transaction, as bytes:
// FlatObject (nodes and handles), FdObject, BufferObject, FdArrayObject, and
// their type tags. The offsets array of a transaction says where in the payload
// they are; the first word of each is its tag.
//
// Part of wire/: the protocol as data, 64-bit ABI, laid out exactly as in
// <linux/android/binder.h>. All types are trivial and have no padding, so they
// can be copied bytewise from and to unaligned memory; `T{}` is all zeros. No
// locks; nothing can fail.

#ifndef BINDERLITE_WIRE_OBJECTS_H_
#define BINDERLITE_WIRE_OBJECTS_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace binderlite {

namespace wire_internal {

// Kernel: B_PACK_CHARS, with B_TYPE_LARGE as the last byte.
constexpr std::uint32_t ObjectTag(char a, char b, char c) {
  constexpr std::uint32_t kTypeLarge = 0x85;
  return std::uint32_t{static_cast<unsigned char>(a)} << 24 |
         std::uint32_t{static_cast<unsigned char>(b)} << 16 |
         std::uint32_t{static_cast<unsigned char>(c)} << 8 | kTypeLarge;
}

}  // namespace wire_internal

// What an embedded object is. Kernel: BINDER_TYPE_*.
enum class ObjectType : std::uint32_t {
  // BINDER_TYPE_BINDER: FlatObject, a strong reference to the sender's node.
  kBinder = wire_internal::ObjectTag('s', 'b', '*'),
  // BINDER_TYPE_WEAK_BINDER: FlatObject, a weak reference to such a node.
  kWeakBinder = wire_internal::ObjectTag('w', 'b', '*'),
  // BINDER_TYPE_HANDLE: FlatObject, a strong reference to a node elsewhere.
  kHandle = wire_internal::ObjectTag('s', 'h', '*'),
  // BINDER_TYPE_WEAK_HANDLE: FlatObject, a weak reference to such a node.
  kWeakHandle = wire_internal::ObjectTag('w', 'h', '*'),
  // BINDER_TYPE_FD: FdObject.
  kFd = wire_internal::ObjectTag('f', 'd', '*'),
  // BINDER_TYPE_FDA: FdArrayObject.
  kFdArray = wire_internal::ObjectTag('f', 'd', 'a'),
  // BINDER_TYPE_PTR: BufferObject.
  kPtr = wire_internal::ObjectTag('p', 't', '*'),
};

// The first word of every object. It is an integer and not an ObjectType since
// it comes from the sender and can be anything.
// Kernel: binder_object_header.
struct ObjectHeader {
  std::uint32_t type;
};

// A reference to a node: as its owner names it (`binder` and `cookie`, when the
// owner sends or receives it) or as everyone else does (`handle`; cookie is 0).
// Kernel: flat_binder_object.
struct FlatObject {
  ObjectHeader hdr;
  std::uint32_t flags;  // kFlat* in wire/flags.h
  union {
    std::uint64_t binder;
    std::uint32_t handle;  // leaves the upper half of `binder` as it was
  };
  std::uint64_t cookie;
};

// A file descriptor, of the sender's table and then of the receiver's.
// Kernel: binder_fd_object.
struct FdObject {
  ObjectHeader hdr;
  std::uint32_t pad_flags;
  union {
    std::uint64_t pad_binder;
    std::uint32_t fd;  // leaves the upper half of `pad_binder` as it was
  };
  std::uint64_t cookie;
};

// Memory outside of the payload, to be copied behind it.
// Kernel: binder_buffer_object.
struct BufferObject {
  ObjectHeader hdr;
  std::uint32_t flags;          // kBufferFlagHasParent or 0
  std::uint64_t buffer;         // address; the receiver sees that of its copy
  std::uint64_t length;         // bytes
  std::uint64_t parent;         // index in the offsets array of the parent
  std::uint64_t parent_offset;  // bytes in the parent, where to put `buffer`
};

// File descriptors that are 32-bit integers within a BufferObject.
// Kernel: binder_fd_array_object.
struct FdArrayObject {
  ObjectHeader hdr;
  std::uint32_t pad;
  std::uint64_t num_fds;
  std::uint64_t parent;         // index in the offsets array of the parent
  std::uint64_t parent_offset;  // bytes in the parent, where the array begins
};

// Number of bytes that an object of `type` takes in the payload; 0 if there is
// no such type.
constexpr std::size_t ObjectSize(ObjectType type) {
  switch (type) {
    case ObjectType::kBinder:
    case ObjectType::kWeakBinder:
    case ObjectType::kHandle:
    case ObjectType::kWeakHandle:
      return sizeof(FlatObject);
    case ObjectType::kFd:
      return sizeof(FdObject);
    case ObjectType::kFdArray:
      return sizeof(FdArrayObject);
    case ObjectType::kPtr:
      return sizeof(BufferObject);
  }
  return 0;
}

static_assert(sizeof(ObjectHeader) == 4);
static_assert(sizeof(FlatObject) == 24 && alignof(FlatObject) == 8);
static_assert(sizeof(FdObject) == 24 && alignof(FdObject) == 8);
static_assert(sizeof(BufferObject) == 40 && alignof(BufferObject) == 8);
static_assert(sizeof(FdArrayObject) == 32 && alignof(FdArrayObject) == 8);
static_assert(std::is_trivial_v<FlatObject> && std::is_trivial_v<FdObject> &&
              std::is_trivial_v<BufferObject> &&
              std::is_trivial_v<FdArrayObject>);

}  // namespace binderlite

#endif  // BINDERLITE_WIRE_OBJECTS_H_
