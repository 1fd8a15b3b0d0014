// SPDX-License-Identifier: Apache-2.0
//
// ReadyPipe: a descriptor that is readable or not, with an edge per event.

#include "binderlite/uapi/ready_pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>

#include "binderlite/sync/mutex_lock.h"

namespace binderlite::uapi_internal {
namespace {

class ReadyPipeTest : public ::testing::Test {
 protected:
  ReadyPipeTest() : fd_(pipe_.Open(O_CLOEXEC, id_)) { EXPECT_GE(fd_, 0); }
  ~ReadyPipeTest() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void Raise() {
    sync::MutexLock lock(pipe_.mu);
    pipe_.Raise();
  }
  void Lower() {
    sync::MutexLock lock(pipe_.mu);
    pipe_.Lower(fd_);
    EXPECT_FALSE(pipe_.raised());
  }
  [[nodiscard]] short Shown() const {
    return SysReady(fd_, POLLIN | POLLOUT | POLLPRI);
  }

  ReadyPipe pipe_;
  FileId id_;
  int fd_;
};

TEST_F(ReadyPipeTest, IsReadableWhenRaised) {
  EXPECT_EQ(Shown(), 0);
  Raise();
  EXPECT_EQ(Shown(), POLLIN);
  Raise();
  Raise();
  Lower();
  EXPECT_EQ(Shown(), 0);
  Lower();
  Raise();
  EXPECT_EQ(Shown(), POLLIN);
}

TEST_F(ReadyPipeTest, NeverFillsNorBlocks) {
  for (int i = 0; i < 3 * ReadyPipe::kMostBytes; ++i) Raise();
  EXPECT_EQ(Shown(), POLLIN);
  Lower();
  EXPECT_EQ(Shown(), 0);
}

TEST_F(ReadyPipeTest, EachRaiseIsAnEdge) {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  ASSERT_EQ(::epoll_ctl(set, EPOLL_CTL_ADD, fd_, &event), 0);
  EXPECT_EQ(::epoll_wait(set, &event, 1, 0), 0);
  for (int i = 0; i < 3; ++i) {
    Raise();
    EXPECT_EQ(::epoll_wait(set, &event, 1, 0), 1);
    EXPECT_EQ(::epoll_wait(set, &event, 1, 0), 0);
  }
  ::close(set);
}

TEST_F(ReadyPipeTest, SurvivesSomebodyWhoReads) {
  Raise();
  Raise();
  char byte = 1;
  EXPECT_EQ(::read(fd_, &byte, 1), 1);
  EXPECT_EQ(::read(fd_, &byte, 1), 1);
  Lower();
  Raise();
  EXPECT_EQ(Shown(), POLLIN);
}

TEST_F(ReadyPipeTest, KnowsWhetherADuplicateIsLeft) {
  EXPECT_TRUE(pipe_.HasReaders());
  const int copy = ::dup(fd_);
  FileId id;
  EXPECT_TRUE(PipeIdOf(copy, id));
  EXPECT_EQ(id, id_);
  ::close(fd_);
  fd_ = copy;
  EXPECT_TRUE(pipe_.HasReaders());
  ::close(fd_);
  EXPECT_FALSE(pipe_.HasReaders());
  fd_ = -1;
}

TEST_F(ReadyPipeTest, NobodyThereIsNoSignal) {
  ::close(fd_);
  fd_ = -1;
  Raise();
  // Nor is one left that was blocked.
  sigset_t blocked;
  sigset_t before;
  sigset_t pending;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  Raise();
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(ReadyPipeTest, ClosingEndsIt) {
  pipe_.Close();
  EXPECT_FALSE(pipe_.HasReaders());
  Raise();
  EXPECT_EQ(Shown(), POLLHUP);
}

TEST(SystemTest, OnlyPipesHaveAnId) {
  FileId id;
  EXPECT_FALSE(PipeIdOf(-1, id));
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  errno = 0;
  EXPECT_FALSE(PipeIdOf(file, id));
  EXPECT_EQ(errno, 0);
  ::close(file);
}

TEST(SystemTest, HiddenDescriptorsHaveHighNumbers) {
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int hidden = Hide(file);
  EXPECT_GT(hidden, 100);
  EXPECT_EQ(::fcntl(file, F_GETFD), -1);
  EXPECT_EQ(::fcntl(hidden, F_GETFD), FD_CLOEXEC);
  ::close(hidden);
}

}  // namespace
}  // namespace binderlite::uapi_internal
