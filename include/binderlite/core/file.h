// SPDX-License-Identifier: Apache-2.0
//
// OpenFile and FileTable: how the driver touches file descriptors, when a
// transaction carries some. The default table is that of the process; a Proc
// may bring its own, to check, refuse or simulate.
//
//   sender's descriptor --Get--> OpenFile, in flight with the transaction
//   OpenFile --Install--> receiver's descriptor, when the receiver reads it
//   receiver's descriptor --Close--> gone, when a buffer with an array of
//   descriptors is freed
//
// No locks here, and the driver calls it with no mutex of a bounded section
// held: closing a descriptor may take its time.
// Kernel: struct file, and the file table of a process.

#ifndef BINDERLITE_CORE_FILE_H_
#define BINDERLITE_CORE_FILE_H_

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "binderlite/wire/errc.h"

namespace binderlite {

// A reference to an open file that is in nobody's table: a duplicate of a
// descriptor, kept out of the way at a high number.
class OpenFile {
 public:
  OpenFile() = default;
  // Takes over `descriptor`; negative: none.
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  OpenFile(OpenFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OpenFile() {
    // The system call: what a program puts in the place of close(2) is about
    // descriptors that it can see.
    if (descriptor_ >= 0) ::syscall(SYS_close, descriptor_);
  }

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

class FileTable {
 public:
  virtual ~FileTable() = default;

  // The open file behind `fd`. kBadFile: there is none. kNoMemory: it cannot
  // be held.
  [[nodiscard]] virtual Errc Get(int fd, OpenFile& file) {
    // So high that the numbers which programs see stay what they would be.
    constexpr int kFirstHidden = 512;
    if (fd < 0) return Errc::kBadFile;
    int held = ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstHidden);
    if (held < 0 && errno != EBADF) held = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (held < 0) return errno == EBADF ? Errc::kBadFile : Errc::kNoMemory;
    file = OpenFile(held);
    return Errc::kOk;
  }

  // A new descriptor for `file`, the lowest that is free, closed on exec.
  // Negative: the table is full.
  [[nodiscard]] virtual int Install(const OpenFile& file) {
    return ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0);
  }

  // Closes a descriptor that Install has made.
  virtual void Close(int fd) { ::close(fd); }
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_FILE_H_
