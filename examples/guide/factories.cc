// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <atomic>
#include <future>
#include <iostream>
#include <memory>
#include <string>

namespace bl = binderlite;

struct Session {
  static constexpr bl::InterfaceName kName = "guide.Session";
  bl::Method<1, int(int)> Add;
};
struct Login {
  static constexpr bl::InterfaceName kName = "guide.Login";
  bl::Method<1, bl::Proxy<Session>(std::string_view user)> Open;
};

int main() {
  std::promise<std::string> ended;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto login = server.Create(Login{.Open = [&](std::string_view user) {
    const auto sum = std::make_shared<std::atomic<int>>(0);
    // Nobody here keeps it: it lives as long as somebody elsewhere holds
    // it.
    return bl::Proxy(
        server.Create(Session{.Add = [sum](int n) { return *sum += n; }},
                      {.on_unreferenced = [&ended, who = std::string(user)] {
                        ended.set_value("the session of " + who + " is over");
                      }}));
  }});
  if (!server.Publish("login", login).ok()) return 1;

  {
    const auto session =
        client.Find<Login>("login").value()->Open("ann").value();
    std::cout << session->Add(1).value() << '\n';
    std::cout << session->Add(2).value() << '\n';
  }  // The last proxy: session and sum go.
  std::cout << ended.get_future().get() << '\n';
}

// Prints:
//   1
//   3
//   the session of ann is over
