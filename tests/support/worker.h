// SPDX-License-Identifier: Apache-2.0
//
// Worker: the interface that most tests of the typed API call; handlers that
// many of them want; and Calling, a thread that calls.
//
//   Latch latch;
//   const auto service = server.Create(WaitsAt(latch));
//   ...
//   Calling calling(remote, {.stop = stop.get_token()});
//   latch.Await();  // Its handler runs.
//   stop.request_stop();
//   EXPECT_EQ(calling.Join().status(), StatusCode::kCancelled);

#ifndef BINDERLITE_TESTS_SUPPORT_WORKER_H_
#define BINDERLITE_TESTS_SUPPORT_WORKER_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "binderlite/api/method.h"
#include "binderlite/api/object.h"
#include "binderlite/api/proxy.h"
#include "binderlite/api/status.h"
#include "support/latch.h"

namespace binderlite::testing {

// What most tests call: each method does what the test says.
struct Worker {
  static constexpr InterfaceName kName = "test.Worker";
  Method<1, std::string(std::string_view)> Do = {};
  OneWay<2, void(std::string_view)> Note = {};
  Method<3, void(Proxy<Worker>)> Take = {};
  Method<4, Proxy<Worker>()> Make = {};
  // A call that goes back and forth, so often, between its callee and whom the
  // callee knows.
  Method<5, int(Proxy<Worker>, int)> Bounce = {};
};

// A handler that shows that it has run.
inline std::string Answered(std::string_view what) {
  return std::string(what) + "!";
}
// A worker whose Do says what it hears.
inline Worker Echo() {
  return {.Do = [](std::string_view what) { return std::string(what); }};
}
// A worker whose Do("x") waits at `latch`. Everything else is answered at once.
inline Worker WaitsAt(Latch& latch) {
  return {.Do = [&latch](std::string_view what) {
    if (what == "x") latch.ArriveAndWait();
    return Answered(what);
  }};
}

// A thread that calls remote->Do(options, what), and then `at_end`.
class Calling {
 public:
  explicit Calling(
      Proxy<Worker> remote, CallOptions options = {},
      std::function<void()> at_end = [] {}, std::string what = "x")
      : thread_([this, remote = std::move(remote), options = std::move(options),
                 at_end = std::move(at_end), what = std::move(what)] {
          result_.emplace(remote->Do(options, what));
          done_ = true;
          at_end();
        }) {}
  // Whether the call is over.
  [[nodiscard]] bool done() const { return done_; }
  binderlite::Result<std::string>& Join() {
    thread_.join();
    return *result_;
  }

 private:
  std::optional<binderlite::Result<std::string>> result_;
  std::atomic<bool> done_{false};
  std::jthread thread_;
};

// Calls a function when it goes.
struct AtItsEnd {
  explicit AtItsEnd(std::function<void()> its_call)
      : call(std::move(its_call)) {}
  AtItsEnd(const AtItsEnd&) = delete;
  AtItsEnd& operator=(const AtItsEnd&) = delete;
  ~AtItsEnd() { call(); }
  const std::function<void()> call;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_WORKER_H_
