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
  const auto service = server.Create(
      Search{.Find = [&](const bl::Caller& caller, std::string_view) {
        const std::stop_token stop = caller.stop_token();
        begun.set_value();
        while (!stop.stop_requested()) std::this_thread::yield();  // Much work.
        over.set_value();
        return 1;
      }});
  if (!server.Publish("search", service).ok()) return 1;
  const auto search = client.Find<Search>("search").value();

  std::jthread user([&](const std::stop_token& stop) {
    const bl::Result<int> found = search->Find({.stop = stop}, "a needle");
    std::cout << found.status() << '\n';
  });
  begun.get_future().wait();
  user.request_stop();  // The call ends, and the handler hears of it.
  user.join();
  over.get_future().wait();
  std::cout << "the search as well\n";
}

// Prints:
//   cancelled
//   the search as well
