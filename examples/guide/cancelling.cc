// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>
#include <stop_token>
#include <thread>

namespace bl = binderlite;

struct Search {
  static constexpr bl::InterfaceName kName = "guide.Search";
  bl::Method<1, int(std::string_view what)> Find;
};

int main() {
  std::promise<void> begun, over;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Search{.Find = [&](std::string_view) {
    begun.set_value();
    over.get_future().wait();  // Much work.
    return 1;
  }});
  if (!server.Publish("search", service).ok()) return 1;
  const auto search = client.Find<Search>("search").value();

  std::jthread user([&](const std::stop_token& stop) {
    const bl::Result<int> found = search->Find({.stop = stop}, "a needle");
    std::cout << found.status() << '\n';
  });
  begun.get_future().wait();
  user.request_stop();  // The call ends, the handler does not hear of it.
  user.join();
  over.set_value();
}

// Prints:
//   cancelled
