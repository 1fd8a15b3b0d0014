// SPDX-License-Identifier: Apache-2.0
//
// TestFile: an open file of which a test can tell whether anybody still has it.
//
// TestFiles: a table of descriptors that belongs to one Proc: numbers of its
// own, room for as many as the test says, everything noted.
//
//   TestFile file;
//   const int fd = files.Add(file);   // of the sender
//   ...
//   file.Close();                     // the test's own reference
//   EXPECT_TRUE(file.gone());

#ifndef BINDERLITE_TESTS_SUPPORT_FILES_H_
#define BINDERLITE_TESTS_SUPPORT_FILES_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "binderlite/core/file.h"
#include "binderlite/wire/errc.h"

namespace binderlite::testing {

// The write end of a pipe. When the last reference to it goes, reading from the
// other end finds the end.
class TestFile {
 public:
  TestFile() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    other_end_ = OpenFile(ends[0]);
    file_ = OpenFile(ends[1]);
  }

  // The test's own descriptor, in the table of the process.
  [[nodiscard]] int fd() const { return file_.descriptor(); }
  void Close() { const OpenFile closed = std::exchange(file_, OpenFile()); }

  // Nobody has it open.
  [[nodiscard]] bool gone() const {
    char c = 0;
    return ::read(other_end_.descriptor(), &c, 1) == 0;
  }
  // Whether this is what is open as `fd` of the process.
  [[nodiscard]] bool Is(int fd) const {
    char c = 'x';
    return ::write(fd, &c, 1) == 1 &&
           ::read(other_end_.descriptor(), &c, 1) == 1;
  }

 private:
  OpenFile other_end_;
  OpenFile file_;
};

// From any thread.
class TestFiles : public FileTable {
 public:
  // Other numbers than the process has.
  static constexpr int kFirst = 1000;

  // The lowest number that is free, now for the same file.
  int Add(const TestFile& file) { return Insert(file.fd()); }
  // What a program does that closes one.
  void Remove(int fd) {
    const std::lock_guard lock(mu_);
    EXPECT_EQ(files_.erase(fd), 1u) << fd;
  }
  // From now on there are never more than so many.
  void SetLimit(std::size_t limit) {
    const std::lock_guard lock(mu_);
    limit_ = limit;
  }
  // From now on Get answers this.
  void FailGets(Errc error) {
    const std::lock_guard lock(mu_);
    get_error_ = error;
  }
  // Called by the driver's thread on each access, before anything is done.
  void Observe(std::function<void()> observer) {
    observer_ = std::move(observer);
  }

  [[nodiscard]] Errc Get(int fd, OpenFile& file) override {
    if (observer_ != nullptr) observer_();
    const std::lock_guard lock(mu_);
    ++gets_;
    if (get_error_ != Errc::kOk) return get_error_;
    const auto it = files_.find(fd);
    if (it == files_.end()) return Errc::kBadFile;
    file = Duplicate(it->second.descriptor());
    return Errc::kOk;
  }
  [[nodiscard]] int Install(const OpenFile& file) override {
    if (observer_ != nullptr) observer_();
    return Insert(file.descriptor());
  }
  void Close(int fd) override {
    if (observer_ != nullptr) observer_();
    const std::lock_guard lock(mu_);
    closed_.push_back(fd);
    EXPECT_EQ(files_.erase(fd), 1u) << fd;
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mu_);
    return files_.size();
  }
  [[nodiscard]] bool Has(int fd, const TestFile& file) const {
    const std::lock_guard lock(mu_);
    const auto it = files_.find(fd);
    return it != files_.end() && file.Is(it->second.descriptor());
  }
  [[nodiscard]] int gets() const {
    const std::lock_guard lock(mu_);
    return gets_;
  }
  // What the driver has closed since the last call.
  [[nodiscard]] std::vector<int> TakeClosed() {
    const std::lock_guard lock(mu_);
    return std::exchange(closed_, {});
  }

 private:
  static OpenFile Duplicate(int descriptor) {
    return OpenFile(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  }

  int Insert(int descriptor) {
    const std::lock_guard lock(mu_);
    if (files_.size() >= limit_) return -1;
    int fd = kFirst;
    while (files_.contains(fd)) ++fd;
    files_[fd] = Duplicate(descriptor);
    return fd;
  }

  std::function<void()> observer_;
  mutable std::mutex mu_;
  std::map<int, OpenFile> files_;
  std::size_t limit_ = std::numeric_limits<std::size_t>::max();
  Errc get_error_ = Errc::kOk;
  int gets_ = 0;
  std::vector<int> closed_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_FILES_H_
