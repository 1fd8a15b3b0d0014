// SPDX-License-Identifier: Apache-2.0
//
// Two services that wait for each other for ever, and what finds them out.
//
// Each has one thread. A client calls both at the same time; to answer, each
// asks the other, whose only thread is busy asking. A Watchdog notices that
// nothing moves any more, and prints who waits for whom; the first line says
// what is wrong. Then the calls are given up, and everything ends well.
//
// Exits with 1 when the deadlock is not found, or does not end.

#include <chrono>
#include <cstdio>
#include <latch>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "binderlite/binderlite.h"
#include "binderlite/debug/watchdog.h"

namespace bl = binderlite;

struct Shop {
  static constexpr bl::InterfaceName kName = "demo.Shop";
  bl::Method<1, std::string()> Order;  // Asks the other shop for the price.
  bl::Method<2, int()> Price;
};

int main() {
  using namespace std::chrono_literals;
  bl::Binder binder;
  std::stop_source give_up;
  std::latch both_busy(2);

  // Services with one thread each.
  const auto open = [&binder](const std::string& name) {
    return binder.Open(
        bl::EndpointOptions{.name = name, .loopers = 1, .max_loopers = 1});
  };
  const auto make = [&](bl::Endpoint& endpoint, bl::Proxy<Shop>& other) {
    return endpoint.Create(Shop{.Order = [&]() -> bl::Result<std::string> {
                                  both_busy.arrive_and_wait();
                                  // The deadline is for the case that nobody
                                  // finds out.
                                  const bl::Result<int> price = other->Price(
                                      bl::Within(60s, give_up.get_token()));
                                  if (!price.ok()) return price.status();
                                  return std::to_string(*price);
                                },
                                .Price = [] { return 42; }});
  };
  bl::Endpoint left = open("left");
  bl::Endpoint right = open("right");
  bl::Proxy<Shop> left_to_right;
  bl::Proxy<Shop> right_to_left;
  const bl::Service<Shop> left_shop = make(left, left_to_right);
  const bl::Service<Shop> right_shop = make(right, right_to_left);
  if (!left.Publish("left", left_shop).ok() ||
      !right.Publish("right", right_shop).ok()) {
    return 1;
  }
  const auto find = [](bl::Endpoint& endpoint, std::string_view name) {
    bl::Result<bl::Proxy<Shop>> shop = endpoint.Find<Shop>(name);
    return shop.ok() ? *shop : bl::Proxy<Shop>();
  };
  left_to_right = find(left, "right");
  right_to_left = find(right, "left");
  bl::Endpoint client = binder.Open("client");
  const bl::Proxy<Shop> to_left = find(client, "left");
  const bl::Proxy<Shop> to_right = find(client, "right");
  if (!left_to_right || !right_to_left || !to_left || !to_right) return 1;

  bool found = false;
  bl::Watchdog watchdog(binder,
                        {.patience = 200ms, .on_stuck = [&](const auto& graph) {
                           std::printf("%s", ToText(graph).c_str());
                           found = graph.findings.front().kind ==
                                   bl::debug::FindingKind::kDeadlock;
                           give_up.request_stop();
                         }});

  bl::Status from_right;
  std::jthread other([&] { from_right = to_right->Order().status(); });
  const bl::Status from_left = to_left->Order().status();
  other.join();
  std::printf("given up: %s, %s\n",
              std::string(ToString(from_left.code())).c_str(),
              std::string(ToString(from_right.code())).c_str());
  return found && !(from_left.ok() && from_right.ok()) ? 0 : 1;
}
