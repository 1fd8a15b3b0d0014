// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>
#include <vector>

namespace bl = binderlite;

struct Squares {
  static constexpr bl::InterfaceName kName = "guide.Squares";
  bl::Method<1, std::int64_t(std::int64_t)> Square;
};

int main() {
  constexpr std::int64_t kCalls = 10'000;
  // What is on its way lies in its receiver's memory: calls in the server's,
  // results in the client's. They may use half of it; this is the most.
  constexpr std::size_t kArena = 4 << 20;
  bl::Binder binder;
  bl::Endpoint server = binder.Open({.name = "server", .arena_size = kArena});
  bl::Endpoint client = binder.Open({.name = "client", .arena_size = kArena});
  const auto service =
      server.Create(Squares{.Square = [](std::int64_t n) { return n * n; }});
  if (!server.Publish("squares", service).ok()) return 1;
  const auto squares = client.Find<Squares>("squares").value();

  std::vector<bl::Future<std::int64_t>> futures;
  for (std::int64_t n = 0; n < kCalls; ++n) {
    futures.push_back(squares->Square.Async(n));
  }
  std::int64_t sum = 0;
  for (bl::Future<std::int64_t>& future : futures) sum += future.Get().value();
  std::cout << sum << '\n';
}

// Prints:
//   333283335000
