// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>

namespace bl = binderlite;

struct Player {
  static constexpr bl::InterfaceName kName = "guide.Player";
  bl::Method<1, void()> Play;
};

int main() {
  std::promise<void> heard;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Player{.Play = [] {}});
  if (!server.Publish("player", service).ok()) return 1;
  const auto player = client.Find<Player>("player").value();

  // For as long as `watch` lives. Objects die with their endpoint.
  const bl::DeathWatch watch = player.WatchDeath([&](bl::DeathReason reason) {
    std::cout << (reason == bl::DeathReason::kDied ? "the player is gone\n"
                                                   : "we are closed\n");
    heard.set_value();
  });
  if (!watch) return 1;
  server.Close();
  heard.get_future().wait();

  // Its name has gone, too, and every call says so.
  std::cout << player->Play() << '\n';
}

// Prints:
//   the player is gone
//   dead
