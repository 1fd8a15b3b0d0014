// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <vector>

namespace bl = binderlite;

struct CounterListener {
  static constexpr bl::InterfaceName kName = "demo.CounterListener";
  bl::OneWay<1, void(int value)> OnChanged;
};

struct Counter {
  static constexpr bl::InterfaceName kName = "demo.Counter";
  bl::Method<1, int(int by)> Increment;
  bl::Method<2, void(bl::Proxy<CounterListener> listener)> RegisterListener;
};
enum CounterError : std::int32_t { kNegative = 1 };

class CounterService : public std::enable_shared_from_this<CounterService> {
 public:
  bl::Result<int> Increment(int by) {
    if (by < 0) return bl::Status::Error(kNegative, "only up");
    const absl::MutexLock lock(&mu_);
    value_ += by;
    for (const Entry& entry : listeners_) {
      (void)entry.listener->OnChanged(value_).ok();  // Who is dead goes soon.
    }
    return value_;
  }

  void RegisterListener(const bl::Proxy<CounterListener>& listener) {
    {
      const absl::MutexLock lock(&mu_);
      listeners_.push_back({listener, {}});
    }
    bl::DeathWatch death = listener.WatchDeath(  // May call back at once.
        [weak = weak_from_this(),
         dead = bl::WeakProxy<CounterListener>(listener)](bl::DeathReason) {
          if (const auto self = weak.lock()) self->Forget(dead.lock());
        });
    const absl::MutexLock lock(&mu_);
    for (Entry& entry : listeners_) {
      if (entry.listener == listener && !entry.death) {
        entry.death = std::move(death);
        return;
      }
    }
  }

 private:
  struct Entry {
    bl::Proxy<CounterListener> listener;
    bl::DeathWatch death;
  };

  void Forget(const bl::Proxy<CounterListener>& dead) {
    std::vector<Entry> gone;  // Watches end without the lock.
    const absl::MutexLock lock(&mu_);
    for (auto it = listeners_.begin(); it != listeners_.end();) {
      if (it->listener == dead) {
        gone.push_back(std::move(*it));
        it = listeners_.erase(it);
      } else {
        ++it;
      }
    }
  }

  absl::Mutex mu_;
  int value_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Entry> listeners_ ABSL_GUARDED_BY(mu_);
};

int main() {
  std::promise<void> seen;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto impl = std::make_shared<CounterService>();
  const auto service = server.Create(Counter{
      .Increment = std::bind_front(&CounterService::Increment, impl),
      .RegisterListener =
          std::bind_front(&CounterService::RegisterListener, impl),
  });
  if (!server.Publish("counter", service).ok()) return 1;

  const auto counter = client.Find<Counter>("counter").value();
  const auto listener =
      client.Create(CounterListener{.OnChanged = [&](int value) {
        std::cout << "changed to " << value << '\n';
        seen.set_value();
      }});
  if (!counter->RegisterListener(listener).ok()) return 1;
  const int value = counter->Increment(2).value();
  seen.get_future().wait();
  std::cout << "is " << value << '\n';
  std::cout << counter->Increment(-1).status() << '\n';
}

// Prints:
//   changed to 2
//   is 2
//   service error 1: only up
