// SPDX-License-Identifier: Apache-2.0
//
// Fd: a file descriptor that is closed when its owner goes. It is what methods
// take and return to pass open files; the receiver gets a descriptor of its
// own, and the sender keeps the one it has.
//
// No locks. Closing may take its time, so nothing that must be quick should
// destroy one.

#ifndef BINDERLITE_API_FD_H_
#define BINDERLITE_API_FD_H_

#include <unistd.h>

#include <utility>

namespace binderlite {

class Fd {
 public:
  // None.
  Fd() = default;
  // Takes over `fd`; negative: none.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    // What this had is closed at once, not when `other` goes.
    const Fd closed(std::exchange(fd_, other.release()));
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }

  // The descriptor, still its own; negative: none.
  [[nodiscard]] int get() const { return fd_; }
  // Gives it away: the caller closes it.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  // Whether there is one, open or not.
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_FD_H_
