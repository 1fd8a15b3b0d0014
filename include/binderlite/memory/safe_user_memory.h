// SPDX-License-Identifier: Apache-2.0
//
// SafeUserMemory: the UserMemory of callers that may hand over any address, as
// programs written for the kernel do. The kernel copies on our behalf, so an
// address that is not mapped, not readable, not writable or unmapped at this
// moment by another thread is a fault, never a signal.
//
// Two ways: process_vm_readv and process_vm_writev on the own process, one
// system call a copy; where these are not permitted (some sandboxes), through a
// pipe made for the copy. What is found not to work is not tried again.
//
// No locks. Copies may stall as long as the memory does (userfaultfd, a network
// file system). An object may be used by any number of threads.

#ifndef BINDERLITE_MEMORY_SAFE_USER_MEMORY_H_
#define BINDERLITE_MEMORY_SAFE_USER_MEMORY_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "binderlite/memory/user_memory.h"

namespace binderlite::memory {

class SafeUserMemory : public UserMemory {
 public:
  // Which way to copy.
  enum class Method {
    kAutomatic,  // By process_vm_*, through a pipe if that is not permitted.
    kPipe,       // Through a pipe, always: for tests.
  };

  explicit SafeUserMemory(Method method = Method::kAutomatic)
      : use_pipe_(method == Method::kPipe) {}

  [[nodiscard]] bool CopyIn(void* to, std::uint64_t from,
                            std::size_t size) override {
    if (size == 0) return true;
    const Span inside = {to, size};
    const Span outside = {Pointer(from), size};
    if (!use_pipe_.load(std::memory_order_relaxed)) {
      const ssize_t done = Transfer(SYS_process_vm_readv, inside, outside);
      if (done >= 0 || !NotPermitted()) return Whole(done, size);
    }
    return ThroughPipe(outside, inside);
  }

  [[nodiscard]] bool CopyOut(std::uint64_t to, const void* from,
                             std::size_t size) override {
    if (size == 0) return true;
    const Span inside = {const_cast<void*>(from), size};  // Only read.
    const Span outside = {Pointer(to), size};
    if (!use_pipe_.load(std::memory_order_relaxed)) {
      const ssize_t done = Transfer(SYS_process_vm_writev, inside, outside);
      if (done >= 0 || !NotPermitted()) return Whole(done, size);
    }
    return ThroughPipe(inside, outside);
  }

 private:
  struct Span {
    void* data;
    std::size_t size;
  };

  // Never dereferenced here.
  static void* Pointer(std::uint64_t address) {
    return reinterpret_cast<void*>(address);
  }

  static bool Whole(ssize_t done, std::size_t size) {
    return done >= 0 && static_cast<std::size_t>(done) == size;
  }

  // The system call itself, not its wrapper: nothing that a tool or a
  // preloaded library puts around it may look at memory that need not exist.
  // NOLINTNEXTLINE(google-runtime-int): as the system call has it.
  static ssize_t Transfer(long call, Span inside, Span outside) {
    const iovec local = {inside.data, inside.size};
    const iovec remote = {outside.data, outside.size};
    return ::syscall(call, ::getpid(), &local, 1UL, &remote, 1UL, 0UL);
  }

  // Whether it was not the address: then the other way is taken from now on.
  bool NotPermitted() {
    if (errno != EPERM && errno != EACCES && errno != ENOSYS) return false;
    use_pipe_.store(true, std::memory_order_relaxed);
    return true;
  }

  // Copies from one span to the other; of these, one need not be valid.
  static bool ThroughPipe(Span from, Span to) {
    // What an empty pipe takes at once, also one of the least size.
    constexpr std::size_t kChunk = 4096;
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    bool good = true;
    for (std::size_t at = 0; good && at < from.size; at += kChunk) {
      const std::size_t size = std::min(kChunk, from.size - at);
      good = Whole(::syscall(SYS_write, ends[1],
                             static_cast<std::byte*>(from.data) + at, size),
                   size) &&
             Whole(::syscall(SYS_read, ends[0],
                             static_cast<std::byte*>(to.data) + at, size),
                   size);
    }
    ::syscall(SYS_close, ends[0]);
    ::syscall(SYS_close, ends[1]);
    return good;
  }

  std::atomic<bool> use_pipe_;
};

}  // namespace binderlite::memory

#endif  // BINDERLITE_MEMORY_SAFE_USER_MEMORY_H_
