// SPDX-License-Identifier: Apache-2.0
//
// Descriptors for tests to send, and how many of them there are.
//
// They are of a file that nothing else in a test program opens while a test
// runs. Descriptors of any file are not counted: the run time of a checker
// opens some of its own, at any time and for good (pipes to a symbolizer, when
// ThreadSanitizer looks whether a report is to be suppressed).

#ifndef BINDERLITE_TESTS_SUPPORT_DESCRIPTORS_H_
#define BINDERLITE_TESTS_SUPPORT_DESCRIPTORS_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace binderlite::testing {

// A descriptor of its own, of a file that is always there.
[[nodiscard]] inline int OpenNull() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}
[[nodiscard]] inline bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
[[nodiscard]] inline bool IsNull(int fd) {
  struct stat null = {};
  struct stat file = {};
  return ::stat("/dev/null", &null) == 0 && ::fstat(fd, &file) == 0 &&
         file.st_rdev == null.st_rdev;
}

// How many descriptors of that file this process has.
[[nodiscard]] inline int CountNulls() {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    // The directory's own is among them, and is no file of that kind.
    if (IsNull(std::stoi(entry.path().filename().string()))) ++count;
  }
  return count;
}

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_DESCRIPTORS_H_
