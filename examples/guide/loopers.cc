// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>
#include <pthread.h>

#include <barrier>
#include <iostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace bl = binderlite;

struct Worker {
  static constexpr bl::InterfaceName kName = "guide.Worker";
  bl::Method<1, std::string()> Work;
};

int main() {
  constexpr int kLoopers = 4;
  std::barrier all_here(kLoopers);
  bl::Binder binder;
  // Four threads from the first moment, and never more.
  bl::Endpoint server = binder.Open(
      {.name = "pool", .loopers = kLoopers, .max_loopers = kLoopers});
  bl::Endpoint client = binder.Open("client");
  const auto service = server.Create(Worker{.Work = [&] {
    all_here.arrive_and_wait();  // Goes on when four handlers run at a time.
    char name[16];
    (void)::pthread_getname_np(::pthread_self(), name, sizeof(name));
    return std::string(name);
  }});
  if (!server.Publish("worker", service).ok()) return 1;

  const auto worker = client.Find<Worker>("worker").value();
  std::vector<std::string> names(kLoopers);
  {
    std::vector<std::jthread> callers;
    for (std::string& name : names) {
      callers.emplace_back([&] { name = worker->Work().value(); });
    }
  }
  for (const auto& name : std::set(names.begin(), names.end())) {
    std::cout << name << '\n';
  }
}

// Prints:
//   pool:1
//   pool:2
//   pool:3
//   pool:4
