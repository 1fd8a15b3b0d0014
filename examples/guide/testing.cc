// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <string>

namespace bl = binderlite;

struct Store {
  static constexpr bl::InterfaceName kName = "guide.Store";
  bl::Method<1, std::string(std::string_view key)> Get;
};

// The code under test: asks the store, and falls back.
std::string Read(const bl::Proxy<Store>& store) {
  return store->Get("color").value_or("(default)");
}

// Calls `hook` when a thread of the process `pid` is at `point` in the driver.
class CallAt final : public bl::Hooks {
 public:
  CallAt(bl::Point point, std::int32_t pid) : point_(point), pid_(pid) {}
  void At(bl::Point point, std::int32_t pid, std::int32_t) override {
    if (point == point_ && pid == pid_ && armed.exchange(false)) hook();
  }

  std::function<void()> hook;
  std::atomic<bool> armed = false;

 private:
  const bl::Point point_;
  const std::int32_t pid_;
};

int main() {
  // A fake service is a service whose handlers the test writes.
  CallAt hooks(bl::Point::kDelivering, /*pid=*/7);
  bl::Binder binder({.context = {.hooks = &hooks}});
  bl::Endpoint fake = binder.Open({.name = "fake", .pid = 7});
  bl::Endpoint tested = binder.Open("tested");
  const auto service =
      fake.Create(Store{.Get = [](std::string_view) { return "red"; }});
  if (!fake.Publish("store", service).ok()) return 1;
  const auto store = tested.Find<Store>("store").value();
  std::cout << Read(store) << '\n';

  // Its process is killed just when it is about to be handed the call.
  hooks.hook = [&] { fake.proc().Kill(); };
  hooks.armed = true;
  std::cout << Read(store) << '\n';
}

// Prints:
//   red
//   (default)
