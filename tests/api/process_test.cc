// SPDX-License-Identifier: Apache-2.0
//
// Checks api/process.h where that does not need calls; api/endpoint_test has
// the rest.

#include "binderlite/api/process.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/api/endpoint.h"
#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using Process = api_internal::Process<FineGrained<>>;
using ThreadSlot = api_internal::ThreadSlot<FineGrained<>>;
using LocalObject = api_internal::LocalObject<FineGrained<>>;
using RemoteObject = api_internal::RemoteObject<FineGrained<>>;

constexpr api_internal::InterfaceInfo kThing = {"test.Thing", 1};

class ProcessTest : public ApiTest {
 protected:
  ~ProcessTest() override {
    process_->Close([] {});
    process_ = nullptr;
  }
  const std::shared_ptr<Process>& process() { return process_; }
  std::shared_ptr<LocalObject> NewLocal() {
    return std::make_shared<LocalObject>(process_, &kThing, ServiceOptions());
  }

 private:
  std::shared_ptr<Process> process_ = std::make_shared<Process>(
      context(), EndpointOptions{.name = "process"}, nullptr,
      &api_internal::RunLooper<FineGrained<>>);
};

TEST_F(ProcessTest, ThreadsAreUsedAgain) {
  ThreadSlot* const first = process()->Take();
  ThreadSlot* const second = process()->Take();
  EXPECT_NE(first, second);
  EXPECT_EQ(process()->Find(first->thread.tid()), first);
  process()->GiveBack(*first);
  EXPECT_EQ(process()->Take(), first);
  EXPECT_EQ(process()->Find(-1), nullptr);
  process()->GiveBack(*first);
  process()->GiveBack(*second);
}

// The driver numbers threads anew once it has torn down its side.
TEST_F(ProcessTest, ThreadsAfterTheEnd) {
  process()->proc.Close();
  std::vector<ThreadSlot*> slots;
  for (int i = 0; i < 10; ++i) slots.push_back(process()->Take());
  for (ThreadSlot* const slot : slots) {
    EXPECT_NE(slot->thread.Poll(*std::make_unique<bool>()), Errc::kOk);
    process()->GiveBack(*slot);
  }
}

TEST_F(ProcessTest, OneReferencePerHandle) {
  const auto find = [this](std::uint32_t handle) {
    return process()->FindOrMake(handle, [&] {
      return std::make_shared<RemoteObject>(process(), handle);
    });
  };
  const auto a = find(7);
  EXPECT_EQ(find(7), a);
  EXPECT_NE(find(8), a);
}

// The successor of a reference comes when the driver has heard of its end.
TEST_F(ProcessTest, WaitsForTheEndOfAReference) {
  std::atomic<bool> forgotten = false;
  auto first = std::make_unique<RemoteObject>(process(), 7);
  auto object = process()->FindOrMake(7, [&] {
    return std::shared_ptr<RemoteObject>(first.get(), [](RemoteObject*) {});
  });
  const std::weak_ptr<RemoteObject> weak = object;
  object = nullptr;  // Its destructor has not come to the end.
  EXPECT_TRUE(weak.expired());
  std::jthread finder([&] {
    const auto next = process()->FindOrMake(7, [&] {
      EXPECT_TRUE(forgotten);
      return std::make_shared<RemoteObject>(process(), 7);
    });
    EXPECT_NE(next, nullptr);
  });
  forgotten = true;
  first = nullptr;
}

TEST_F(ProcessTest, CountsHolders) {
  auto object = NewLocal();
  const std::weak_ptr<LocalObject> weak = object;
  const std::uint64_t ptr = process()->NewPtr();
  EXPECT_NE(process()->NewPtr(), ptr);
  EXPECT_EQ(process()->FindLocal(ptr), nullptr);
  process()->Export(ptr, object);
  EXPECT_EQ(process()->FindLocal(ptr), object);
  process()->Acquired(ptr);
  object = nullptr;
  EXPECT_FALSE(weak.expired());
  EXPECT_NE(process()->Released(ptr), nullptr);
  EXPECT_TRUE(weak.expired());
  // In the other order, and of what is unknown.
  object = NewLocal();
  process()->Export(ptr, object);
  EXPECT_EQ(process()->Released(ptr), nullptr);
  process()->Acquired(ptr);
  EXPECT_EQ(object.use_count(), 1);
  EXPECT_EQ(process()->Released(ptr + 8), nullptr);
  process()->Forget(ptr);
  EXPECT_EQ(process()->FindLocal(ptr), nullptr);
}

TEST_F(ProcessTest, KeepsNothingOnceItIsClosed) {
  auto object = NewLocal();
  process()->Export(8, object);
  process()->Acquired(8);
  process()->KeepManager(object);
  EXPECT_EQ(process()->manager(), object);
  process()->Close([] {});
  EXPECT_EQ(object.use_count(), 1);
  process()->Export(8, object);
  process()->Acquired(8);
  process()->KeepManager(object);
  EXPECT_EQ(object.use_count(), 1);
  EXPECT_EQ(process()->ReplyPort([&] { return object; }), nullptr);
}

TEST_F(ProcessTest, EndsOnceForAll) {
  std::atomic<int> ends = 0;
  process()->Serve();
  std::vector<std::jthread> closers;
  for (int i = 0; i < 4; ++i) {
    closers.emplace_back([&] { process()->Close([&] { ++ends; }); });
  }
  closers.clear();
  EXPECT_EQ(ends, 1);
  EXPECT_TRUE(process()->closing());
  EXPECT_TRUE(process()->stop().stop_requested());
  process()->Serve();
}

}  // namespace
}  // namespace binderlite::testing
