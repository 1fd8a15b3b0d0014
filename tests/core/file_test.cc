// SPDX-License-Identifier: Apache-2.0
//
// OpenFile and FileTable: the table of the process, as it is.

#include "binderlite/core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "support/files.h"

namespace binderlite {
namespace {

using testing::TestFile;

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

int LowestFree() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_GE(fd, 0);
  ::close(fd);
  return fd;
}

// No descriptor above `last` can be had while it lives.
class Limit {
 public:
  explicit Limit(int last) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(last) + 1;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~Limit() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_ = {};
};

TEST(OpenFileTest, OwnsItsDescriptor) {
  TestFile file;
  int number = -1;
  {
    OpenFile open(::dup(file.fd()));
    number = open.descriptor();
    OpenFile moved(std::move(open));
    EXPECT_EQ(moved.descriptor(), number);
    EXPECT_EQ(open.descriptor(), -1);  // NOLINT(bugprone-use-after-move)
    OpenFile assigned;
    assigned = std::move(moved);
    EXPECT_EQ(assigned.descriptor(), number);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
  file.Close();
  EXPECT_TRUE(file.gone());
}

TEST(OpenFileTest, NoneIsFine) {
  OpenFile none;
  EXPECT_EQ(none.descriptor(), -1);
  none = OpenFile(-5);
  EXPECT_LT(none.descriptor(), 0);
}

TEST(FileTableTest, GetKeepsTheFileOutOfTheWay) {
  FileTable table;
  TestFile file;
  const int lowest = LowestFree();
  OpenFile held;
  ASSERT_EQ(table.Get(file.fd(), held), Errc::kOk);
  EXPECT_TRUE(file.Is(held.descriptor()));
  EXPECT_EQ(::fcntl(held.descriptor(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(LowestFree(), lowest);
  file.Close();
  EXPECT_FALSE(file.gone());
  held = OpenFile();
  EXPECT_TRUE(file.gone());
}

TEST(FileTableTest, GetOfWhatIsNotOpen) {
  FileTable table;
  OpenFile held;
  for (const int fd : {-1, LowestFree(), 1 << 30, -2147483647 - 1}) {
    EXPECT_EQ(table.Get(fd, held), Errc::kBadFile) << fd;
    EXPECT_EQ(held.descriptor(), -1);
  }
}

// Rows: OB-13
TEST(FileTableTest, InstallTakesTheLowestNumber) {
  FileTable table;
  TestFile file;
  OpenFile held;
  ASSERT_EQ(table.Get(file.fd(), held), Errc::kOk);
  const int lowest = LowestFree();
  const int first = table.Install(held);
  EXPECT_EQ(first, lowest);
  EXPECT_TRUE(file.Is(first));
  EXPECT_EQ(::fcntl(first, F_GETFD), FD_CLOEXEC);
  const int second = table.Install(held);
  EXPECT_GT(second, first);
  table.Close(first);
  EXPECT_FALSE(IsOpen(first));
  EXPECT_EQ(table.Install(held), first);
  table.Close(first);
  table.Close(second);
}

// Rows: OB-18
TEST(FileTableTest, FullTable) {
  FileTable table;
  TestFile file;
  OpenFile held;
  {
    const Limit one(LowestFree());
    // Has to be held at a low number then.
    EXPECT_EQ(table.Get(file.fd(), held), Errc::kOk);
    EXPECT_LT(table.Install(held), 0);
    OpenFile more;
    EXPECT_EQ(table.Get(file.fd(), more), Errc::kNoMemory);
    EXPECT_EQ(table.Get(-1, more), Errc::kBadFile);
  }
  const int fd = table.Install(held);
  EXPECT_TRUE(file.Is(fd));
  table.Close(fd);
}

}  // namespace
}  // namespace binderlite
