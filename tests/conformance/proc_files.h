// SPDX-License-Identifier: Apache-2.0
//
// Looks at threads through /proc: shared by the two device_*.cc.

#ifndef BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_
#define BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

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

// The state letter in /proc/.../stat, '?' if there is no such task.
inline char TaskState(const char* stat_path) {
  char text[512];
  if (ReadSmallFile(stat_path, text, sizeof(text)) <= 0) return '?';
  const char* end = std::strrchr(text, ')');
  return end == nullptr || end[1] == '\0' ? '?' : end[2];
}

// The number of the system call that a task is blocked in, -1 if it is not.
inline long BlockedInSyscall(const char* syscall_path) {
  char text[256];
  if (ReadSmallFile(syscall_path, text, sizeof(text)) <= 0) return -1;
  if (text[0] < '0' || text[0] > '9') return -1;  // "running"
  return std::strtol(text, nullptr, 10);
}

// See device::AsleepInCall. Being asleep is not enough, as a task on its way
// to sleep may still change its mind: it has to be off the processor as well.
inline std::optional<std::uint64_t> TaskAsleepInCall(pid_t pid, pid_t tid,
                                                     long harness_call) {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
  if (TaskState(path) != 'S') return std::nullopt;
  std::snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
  const long call = BlockedInSyscall(path);
  if (call < 0 || call == harness_call) return std::nullopt;
  // Time on the processor, time waiting for it, times it was put on it.
  std::snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
  char text[128];
  if (ReadSmallFile(path, text, sizeof(text)) <= 0) return 0;
  const char* last = std::strrchr(text, ' ');
  return last == nullptr ? 0 : std::strtoull(last, nullptr, 10);
}

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_PROC_FILES_H_
