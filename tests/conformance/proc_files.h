// SPDX-License-Identifier: Apache-2.0
//
// Looks at threads through /proc.

#ifndef BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_
#define BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace binderlite::conformance {

// Reads up to `size` - 1 bytes of a file; its length, or -1.
inline ssize_t ReadSmallFile(const char* path, char* out, std::size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = read(fd, out, size - 1);
  close(fd);
  out[n < 0 ? 0 : n] = '\0';
  return n;
}

// Watches a thread that is to make a call, from outside.
class TaskWatch {
 public:
  TaskWatch() = default;
  // `idle_call` is the number of the system call in which it waits for orders.
  TaskWatch(pid_t pid, pid_t tid, long idle_call)
      : idle_call_(idle_call),
        stat_(Open(pid, tid, "stat")),
        syscall_(Open(pid, tid, "syscall")),
        schedstat_(Open(pid, tid, "schedstat")),
        wchan_(Open(pid, tid, "wchan")) {}
  ~TaskWatch() {
    for (int fd : {stat_, syscall_, schedstat_, wchan_}) {
      if (fd >= 0) close(fd);
    }
  }
  TaskWatch(TaskWatch&& other) noexcept { Swap(other); }
  TaskWatch& operator=(TaskWatch&& other) noexcept {
    Swap(other);
    return *this;
  }

  // If the thread is asleep in a call: a number that changes whenever it has
  // been awake since. Being asleep is not enough, as a task on its way to sleep
  // may still change its mind: it has to be off the processor as well.
  std::optional<std::uint64_t> AsleepInCall() {
    char text[512];
    // The number of the call that it is blocked in, or "running".
    if (Read(syscall_, text, sizeof(text)) <= 0) return std::nullopt;
    if (text[0] < '0' || text[0] > '9') return std::nullopt;
    const long call = std::strtol(text, nullptr, 10);
    if (call == idle_call_) return std::nullopt;
    // For a moment, as a lock does when it is contended: it wakes by itself.
    if (call == SYS_nanosleep || call == SYS_clock_nanosleep) {
      return std::nullopt;
    }
    // Time on the processor, time waiting for it, times it was put on it.
    std::uint64_t stamp = 0;
    if (Read(schedstat_, text, sizeof(text)) > 0) {
      const char* last = std::strrchr(text, ' ');
      if (last != nullptr) stamp = std::strtoull(last, nullptr, 10);
    }
    if (asleep_ == stamp) {
      // Still the same sleep, unless it is being woken at this moment.
      if (Read(wchan_, text, sizeof(text)) > 0 && text[0] != '0') return stamp;
    }
    // What sleeps for a lock or a page is in another state, and so is who has
    // been woken up and is not on a processor yet; "syscall" does not tell.
    if (Read(stat_, text, sizeof(text)) <= 0) return std::nullopt;
    const char* end = std::strrchr(text, ')');
    if (end == nullptr || std::strncmp(end, ") S", 3) != 0) return std::nullopt;
    return stamp;
  }

 private:
  static int Open(pid_t pid, pid_t tid, const char* name) {
    char path[64];
    std::snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
  }
  static ssize_t Read(int fd, char* out, std::size_t size) {
    const ssize_t n = pread(fd, out, size - 1, 0);
    out[n < 0 ? 0 : n] = '\0';
    return n;
  }
  void Swap(TaskWatch& other) {
    std::swap(idle_call_, other.idle_call_);
    std::swap(stat_, other.stat_);
    std::swap(syscall_, other.syscall_);
    std::swap(schedstat_, other.schedstat_);
    std::swap(wchan_, other.wchan_);
    std::swap(asleep_, other.asleep_);
  }

  long idle_call_ = -1;
  int stat_ = -1;
  int syscall_ = -1;
  int schedstat_ = -1;
  int wchan_ = -1;
  std::optional<std::uint64_t> asleep_;
};

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_
