// SPDX-License-Identifier: Apache-2.0
//
// TaskPriorities: nice values of real threads, with and without the right to
// change them. The scenarios NiceOf... of tests/conformance show the same on
// the kernel's driver.

#include "binderlite/uapi/task_priorities.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "support/capabilities.h"

namespace binderlite::testing {
namespace {

using uapi_internal::TaskPriorities;

// In a thread of its own: nice values are a thread's, and some do not come
// back.
template <class F>
void InAThread(F f) {
  std::thread(f).join();
}

int OwnNice() {
  return 20 - static_cast<int>(::syscall(SYS_getpriority, PRIO_PROCESS, 0));
}

// Rows: PR-07
TEST(TaskPrioritiesTest, GetsThatOfTheThread) {
  InAThread([] {
    const int before = OwnNice();
    ASSERT_EQ(::syscall(SYS_setpriority, PRIO_PROCESS, 0, 17), 0);
    TaskPriorities priorities;
    errno = 4711;
    EXPECT_EQ(priorities.Get(1, ::gettid()), 17);
    // Another one is what it was.
    InAThread(
        [&priorities] { EXPECT_EQ(priorities.Get(1, ::gettid()), OwnNice()); });
    EXPECT_EQ(priorities.Get(1, ::getpid()), before);
    EXPECT_EQ(priorities.Get(1, -1), 0) << "nobody's";
    EXPECT_EQ(errno, 4711);
  });
}

// Rows: PR-05
TEST(TaskPrioritiesTest, TheUnprivilegedKeepTheirsWhereTheLimitAllowsNone) {
  InAThread([] {
    GiveUpNice();
    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NICE, &limit), 0);
    const rlimit none = {0, limit.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NICE, &none), 0);
    ASSERT_EQ(::syscall(SYS_setpriority, PRIO_PROCESS, 0, 10), 0);
    TaskPriorities priorities;
    for (const int nice : {-20, 0, 9, 10, 11, 19, -200, 200}) {
      errno = 4711;
      priorities.Set(1, ::gettid(), nice);
      EXPECT_EQ(OwnNice(), 10) << nice;
      EXPECT_EQ(errno, 4711);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NICE, &limit), 0);
  });
}

// Rows: PR-05
TEST(TaskPrioritiesTest, TheUnprivilegedGoAsFarAsTheLimit) {
  InAThread([] {
    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NICE, &limit), 0);
    const rlimit five = {5, limit.rlim_max < 5 ? 5 : limit.rlim_max};
    if (::setrlimit(RLIMIT_NICE, &five) != 0) {
      GTEST_SKIP() << "may not raise RLIMIT_NICE";
    }
    GiveUpNice();
    TaskPriorities priorities;
    ASSERT_EQ(::syscall(SYS_setpriority, PRIO_PROCESS, 0, 18), 0);
    for (const int nice : {17, 19, 15}) {
      priorities.Set(1, ::gettid(), nice);
      EXPECT_EQ(OwnNice(), nice);
    }
    for (const int nice : {14, 0, -20}) {
      ASSERT_EQ(::syscall(SYS_setpriority, PRIO_PROCESS, 0, 18), 0);
      priorities.Set(1, ::gettid(), nice);
      EXPECT_EQ(OwnNice(), 15) << nice;
    }
    const rlimit before = {limit.rlim_cur, five.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NICE, &before), 0);
  });
}

// Rows: PR-02
TEST(TaskPrioritiesTest, ThePrivilegedGetWhatTheyAskFor) {
  if (!MaySetAnyNice()) GTEST_SKIP() << "needs CAP_SYS_NICE";
  InAThread([] {
    TaskPriorities priorities;
    for (const int nice : {19, -20, 5, 0, -1}) {
      priorities.Set(1, ::gettid(), nice);
      EXPECT_EQ(OwnNice(), nice);
    }
    priorities.Set(1, ::gettid(), 127);  // As an object's flags may say.
    EXPECT_EQ(OwnNice(), 19);
    priorities.Set(1, ::gettid(), -128);
    EXPECT_EQ(OwnNice(), -20);
  });
}

}  // namespace
}  // namespace binderlite::testing
