// SPDX-License-Identifier: Apache-2.0
//
// What the controller asks an actor to do. An actor is one thread of a
// simulated process: it receives a Request over its socket, makes the one
// system call that it names, and answers with a Response. It knows nothing of
// binder's protocol. The memory that a call needs is sent along as an image:
// the actor copies it to where an unmapped page follows it, turns the offsets
// that the relocations name into addresses, and sends the start of the image
// back after the call.

#ifndef BINDERLITE_TESTS_CONFORMANCE_RPC_H_
#define BINDERLITE_TESTS_CONFORMANCE_RPC_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "device.h"

namespace binderlite::conformance {

enum class Call : std::uint32_t {
  kOpen,      // image: the path; a: flags
  kClose,     // fd; a: a mapping to remove afterwards, or 0; b: its size
  kFlush,     // fd: dup it and close that
  kIoctl,     // fd; a: request; b: ArgAt; c: offset in the image, or the value
  kMmap,      // fd; a: size; b: prot; c: flags. value: the address
  kMunmap,    // a: address; b: size
  kProtect,   // a: address; b: size; c: prot
  kPoll,      // fd; a: timeout. value: revents
  kSetFlags,  // fd; a: for F_SETFL
  kRead,      // fd, plain read() of one byte
  kWrite,     // fd, plain write() of one byte
  kMakeFile,  // makes a file. value: its fd; number: its inode
  kFdInfo,    // fd. value: FD_CLOEXEC set; number: its inode
  kDup,       // fd. value: the new one
  kPlainClose,        // fd, one that is not binder's
  kPeek,              // a: address; b: size. The bytes follow the response
  kEndThread,         // the actor's thread ends
  kNice,              // a: 1: set to b. value: the nice value
  kIoctlInterrupted,  // like kIoctl, see device.h
  kBorrow,            // fd, of the process a: a copy of it
  kSetEuid,           // a: the euid of the calling thread
  kHide,              // a: a thread, asleep in a call. Takes away its last page
  kEpollAdd,          // fd; a: events. Adds it to the thread's epoll set
  kEpollWait,         // a: timeout. value: the events
  kEpollEnd,          // closes the epoll set
};

enum class ArgAt : std::uint32_t {
  kImage,       // at that offset
  kValue,       // the argument is the value
  kUnreadable,  // an unmapped page
  kReadOnly,    // a page that can be read but not written; it has the image
};

struct Request {
  Call call = Call::kClose;
  std::int32_t fd = -1;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  std::uint32_t back = 0;  // how many bytes of the image to send back
  std::uint32_t image_size = 0;
  std::uint32_t relocations = 0;
  // If not negative, so many descriptors fit into the table during the call.
  std::int32_t fd_room = -1;
};

enum class Base : std::uint32_t { kImage, kUnreadable };

// The 64-bit word at `offset` in the image is relative to `base`.
struct Relocation {
  std::uint32_t offset;
  Base base;
};

struct Response {
  std::int64_t ret = 0;
  std::int32_t error = 0;  // errno, if ret is -1
  std::uint32_t size = 0;  // bytes that follow
  // Whether the call has changed what is behind `back` in the image.
  bool touched = false;
  std::uint64_t value = 0;
  std::uint64_t number = 0;
};

inline constexpr std::size_t kMaxImage = 96 << 10;
inline constexpr std::size_t kMaxMessage = kMaxImage + (16 << 10);

// What an actor says first.
struct Hello {
  pid_t pid;
  pid_t tid;
};

// The main function of a simulated process. Over the last socket it is told
// which actors to start, each of which has a socket of its own.
void RunActors(const device::Identity& who, const std::vector<int>& sockets);

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_RPC_H_
