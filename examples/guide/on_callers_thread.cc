// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>
#include <thread>

namespace bl = binderlite;

struct Counter {
  static constexpr bl::InterfaceName kName = "guide.Counter";
  bl::Method<1, bool(int n)> Add;
};

int main() {
  const std::thread::id main_thread = std::this_thread::get_id();
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  // The handler is short, and does not care on which thread it runs.
  const auto service = server.Create(
      Counter{.Add =
                  [&](int /*n*/) {
                    return std::this_thread::get_id() == main_thread;
                  }},
      {.run_on_callers = true});
  if (!server.Publish("counter", service).ok()) return 1;

  const auto counter = client.Find<Counter>("counter").value();
  // It is a permission, not a promise: a call that finds no looper waiting is
  // handed over to the next one that is free, as always.
  int handed_over = 0;
  while (!counter->Add(1).value()) ++handed_over;
  std::cout << "served on the caller's thread\n";
}

// Prints:
//   served on the caller's thread
