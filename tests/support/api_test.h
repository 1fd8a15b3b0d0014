// SPDX-License-Identifier: Apache-2.0
//
// ApiTest: the fixture of tests of the typed API through a driver. Hooks are
// gates, every wait is for an event; at the end of a test nothing may be left.
//
//   Pair pair = Connect(Worker{.Do = ...});
//   pair.remote->Do("x");
//
// or, where more than that is wanted,
//
//   Endpoint server = Open("server");
//   Service<Worker> worker = server.Create(Worker{.Do = ...});
//   Proxy<Worker> remote = Give(worker, server, client);
//
// ModeTest: the same with a parameter: whether services run on their callers'
// threads.

#ifndef BINDERLITE_TESTS_SUPPORT_API_TEST_H_
#define BINDERLITE_TESTS_SUPPORT_API_TEST_H_

#include <dirent.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "binderlite/api/binder.h"
#include "binderlite/debug/invariants.h"
#include "binderlite/debug/snapshot.h"
#include "support/gates.h"
#include "support/worker.h"

namespace binderlite::testing {

// What is behind handle 0 in tests: keeps an object until it is fetched.
struct PostOffice {
  static constexpr InterfaceName kName = "test.PostOffice";
  Method<1, void(Object)> Put = {};
  Method<2, Object()> Get = {};
};

// How many entries a directory of /proc has.
inline int CountEntries(const char* path) {
  int count = 0;
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return -1;
  while (const dirent* const entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(directory);
  return count;
}
inline int CountThreads() { return CountEntries("/proc/self/task"); }

// A service, and an endpoint beside its own that has a proxy for it.
template <class I>
struct Pair {
  Endpoint server;
  Endpoint client;
  Service<I> service = {};
  Proxy<I> remote = {};
};

class ApiTest : public ::testing::Test {
 protected:
  explicit ApiTest(BinderOptions options = {}) {
    gates_.Observe([this](Point point, std::int32_t pid, std::int32_t) {
      if (observed_.load(std::memory_order_acquire)) observer_(point, pid);
      Touch();
    });
    options.context.hooks = &gates_;
    options.service_manager = false;
    binder_.emplace(std::move(options));
    post_ = binder_->Open({.name = "post"});
    post_service_ =
        post_.Create(PostOffice{.Put =
                                    [this](Object object) {
                                      const std::lock_guard lock(mu_);
                                      std::swap(letter_, object);
                                    },
                                .Get =
                                    [this] {
                                      const std::lock_guard lock(mu_);
                                      return std::exchange(letter_, Object());
                                    }});
    EXPECT_TRUE(post_.BecomeManager(post_service_).ok());
    state_ = core::Pin<core::Context<FineGrained<>>>(&context().state());
  }
  ~ApiTest() override {
    letter_ = {};
    post_.Close();
    post_service_ = {};
    post_ = Endpoint();
    binder_.reset();
    for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
      const auto kind = static_cast<core::ObjectKind>(i);
      EXPECT_EQ(state_->counts.live(kind), 0u)
          << "leaked: " << core::ToString(kind);
    }
  }

  [[nodiscard]] Binder& binder() { return *binder_; }
  [[nodiscard]] Context& context() { return binder_->context(); }
  [[nodiscard]] GateHooks& gates() { return gates_; }
  template <class Name>
  requires std::is_convertible_v<Name, std::string>
  [[nodiscard]] Endpoint Open(const Name& name) { return binder_->Open(name); }
  [[nodiscard]] Endpoint Open(EndpointOptions options) {
    return binder_->Open(std::move(options));
  }

  // From now on `observer` is called at each point. Once.
  void ObservePoints(std::function<void(Point, std::int32_t pid)> observer) {
    observer_ = std::move(observer);
    observed_.store(true, std::memory_order_release);
  }

  // Gives `to` a proxy for `object`, which `from` has a reference of.
  template <class I>
  [[nodiscard]] Proxy<I> Give(const Object& object, Endpoint& from,
                              Endpoint& to) {
    const Status put = Proxy<PostOffice>(from.Manager())->Put(object);
    EXPECT_TRUE(put.ok()) << put.ToString();
    const binderlite::Result<Object> got =
        Proxy<PostOffice>(to.Manager())->Get();
    EXPECT_TRUE(got.ok()) << got.status().ToString();
    return got.ok() ? Proxy<I>(*got) : Proxy<I>();
  }
  template <class I>
  [[nodiscard]] Proxy<I> Give(const Service<I>& service, Endpoint& from,
                              Endpoint& to) {
    return Give<I>(static_cast<Object>(service), from, to);
  }

  // Two endpoints, of which the first serves `handlers`. What is not said of
  // them is as always.
  template <class I>
  [[nodiscard]] Pair<I> Connect(I handlers, EndpointOptions server = {},
                                EndpointOptions client = {},
                                ServiceOptions options = {}) {
    if (server.name.empty()) server.name = "server";
    if (client.name.empty()) client.name = "client";
    Pair<I> pair{.server = Open(std::move(server)),
                 .client = Open(std::move(client))};
    pair.service = pair.server.Create(std::move(handlers), std::move(options));
    pair.remote = Give(pair.service, pair.server, pair.client);
    return pair;
  }

  [[nodiscard]] debug::Snapshot Snapshot() {
    return debug::TakeSnapshot(context());
  }
  [[nodiscard]] debug::ProcSnapshot SnapshotOf(Endpoint& endpoint) {
    for (const debug::ProcSnapshot& proc : Snapshot().procs) {
      if (proc.pid == endpoint.pid()) return proc;
    }
    return {};
  }
  // The number of the only thread of `endpoint` that has a call out.
  [[nodiscard]] std::int32_t OnlyCaller(Endpoint& endpoint) {
    std::int32_t tid = 0;
    for (const debug::ThreadSnapshot& thread : SnapshotOf(endpoint).threads) {
      if (!thread.stack.empty() && !thread.stack.front().incoming) {
        EXPECT_EQ(tid, 0);
        tid = thread.tid;
      }
    }
    return tid;
  }

  // Waits until `holds`, which looks at the driver's state; looked at whenever
  // somebody has been at a Point.
  void AwaitState(const std::function<bool()>& holds) {
    for (;;) {
      std::uint64_t seen = 0;
      {
        const std::lock_guard lock(mu_);
        seen = events_;
      }
      if (holds()) return;
      std::unique_lock lock(mu_);
      changed_.wait(lock, [&] { return events_ != seen; });
    }
  }
  // Waits until no call is in progress and no buffer in use, anywhere, and
  // checks that the state is consistent then.
  void AwaitQuiet() {
    AwaitState([&] {
      const debug::Snapshot snapshot = Snapshot();
      return IsQuiet(snapshot) && debug::CheckInvariants(snapshot).empty();
    });
  }
  static bool IsQuiet(const debug::Snapshot& s) {
    if (!s.transactions.empty() ||
        s.live(core::ObjectKind::kTransaction) != 0) {
      return false;
    }
    for (const debug::ProcSnapshot& proc : s.procs) {
      if (proc.buffers != 0 || proc.outstanding != 0 || !proc.todo.empty())
        return false;
      for (const debug::ThreadSnapshot& thread : proc.threads) {
        if (!thread.stack.empty() || !thread.todo.empty()) return false;
      }
      for (const debug::NodeSnapshot& node : proc.nodes) {
        if (node.has_async || node.pending_strong || node.pending_weak) {
          return false;
        }
      }
    }
    return true;
  }
  // Has AwaitState look again.
  void Touch() {
    const std::lock_guard lock(mu_);
    ++events_;
    changed_.notify_all();
  }
  // Waits for a call or one-way that `endpoint` has not read yet.
  void AwaitQueued(Endpoint& endpoint, std::size_t count = 1) {
    AwaitState([&] {
      std::size_t queued = 0;
      for (const auto& work : SnapshotOf(endpoint).work) {
        if (work.type == core::WorkType::kTransaction) ++queued;
      }
      return queued >= count;
    });
  }
  // Waits for a looper of `endpoint` that waits for calls.
  void AwaitLooper(Endpoint& endpoint) {
    AwaitState([&] {
      for (const auto& thread : SnapshotOf(endpoint).threads) {
        if (thread.waiting) return true;
      }
      return false;
    });
  }
  // The number of the thread that runs the only handler of `endpoint`.
  static std::int32_t OnlyHandler(Endpoint& endpoint) {
    const std::vector<RunningCall> running = endpoint.Running();
    EXPECT_EQ(running.size(), 1u);
    return running.empty() ? 0 : running.front().tid;
  }

 private:
  GateHooks gates_;
  std::atomic<bool> observed_ = false;
  std::function<void(Point, std::int32_t)> observer_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t events_ = 0;
  std::optional<Binder> binder_;
  core::Pin<core::Context<FineGrained<>>> state_;
  Endpoint post_;
  Service<PostOffice> post_service_;
  Object letter_;  // Locked by mu_.
};

class ModeTest : public ApiTest, public ::testing::WithParamInterface<bool> {
 protected:
  explicit ModeTest(BinderOptions options = {}) : ApiTest(std::move(options)) {}

  // Whether services run on their callers' threads.
  [[nodiscard]] static bool here() { return GetParam(); }
  template <class I>
  [[nodiscard]] static Service<I> Serve(Endpoint& endpoint, I handlers,
                                        ServiceOptions options = {}) {
    options.run_on_callers = here();
    return endpoint.Create(std::move(handlers), std::move(options));
  }
  template <class I>
  [[nodiscard]] Pair<I> Connect(I handlers, EndpointOptions server = {},
                                EndpointOptions client = {}) {
    return ApiTest::Connect(std::move(handlers), std::move(server),
                            std::move(client), {.run_on_callers = here()});
  }
};

#define BINDERLITE_IN_MODES(Suite, modes)                             \
  INSTANTIATE_TEST_SUITE_P(                                           \
      Modes, Suite, modes,                                            \
      [](const ::testing::TestParamInfo<bool>& mode) -> std::string { \
        return mode.param ? "OnCallers" : "HandedOver";               \
      })
#define BINDERLITE_BOTH_MODES(Suite) \
  BINDERLITE_IN_MODES(Suite, ::testing::Bool())
// For what there is only where callers wait while they are served.
#define BINDERLITE_HANDED_OVER(Suite) \
  BINDERLITE_IN_MODES(Suite, ::testing::Values(false))
// And where they serve themselves.
#define BINDERLITE_ON_CALLERS(Suite) \
  BINDERLITE_IN_MODES(Suite, ::testing::Values(true))

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_API_TEST_H_
