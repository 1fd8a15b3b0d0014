// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>
#include <poll.h>

#include <iostream>
#include <thread>

namespace bl = binderlite;

struct Window {
  static constexpr bl::InterfaceName kName = "guide.Window";
  bl::Method<1, void(std::string_view title)> SetTitle;
  bl::OneWay<2, void()> Quit;
};

int main() {
  bl::Binder binder;
  // No loopers: handlers run where Dispatch is called, here on one thread.
  bl::Endpoint ui = binder.Open({.name = "ui", .loopers = 0});
  bl::Endpoint client = binder.Open("client");

  const std::thread::id ui_thread = std::this_thread::get_id();
  bool running = true;
  const auto window = ui.Create(Window{
      .SetTitle =
          [&](std::string_view title) {
            const bool here = std::this_thread::get_id() == ui_thread;
            std::cout << title << (here ? "" : " on another thread") << '\n';
          },
      .Quit = [&] { running = false; },
  });
  if (!ui.Publish("window", window).ok()) return 1;

  std::jthread user([&] {
    const auto found = client.Find<Window>("window").value();
    if (found->SetTitle("one").ok() && found->SetTitle("two").ok()) {
      (void)found->Quit().ok();
    }
  });

  // With the descriptors of the rest of the program in the same set.
  pollfd set[] = {{.fd = ui.poll_fd(), .events = POLLIN, .revents = 0}};
  while (running && ::poll(set, std::size(set), -1) > 0) {
    if ((set[0].revents & POLLIN) != 0) ui.Dispatch();
  }
}

// Prints:
//   one
//   two
