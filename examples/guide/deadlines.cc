// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <chrono>
#include <future>
#include <iostream>

namespace bl = binderlite;
using namespace std::chrono_literals;

struct Oracle {
  static constexpr bl::InterfaceName kName = "guide.Oracle";
  bl::Method<1, int(int question)> Ask;
};

int main() {
  std::promise<void> given_up;
  bl::Binder binder;
  bl::Endpoint back = binder.Open("back"), front = binder.Open("front");
  bl::Endpoint client = binder.Open("client");

  // Takes as long as it is told to.
  const auto slow = back.Create(Oracle{.Ask = [&](int question) {
    if (question != 42) given_up.get_future().wait();
    return question;
  }});
  if (!back.Publish("slow", slow).ok()) return 1;
  // Asks the other one, for as long as its own caller is going to wait.
  const auto behind = front.Find<Oracle>("slow").value();
  const auto service =
      front.Create(Oracle{.Ask = [&](const bl::Caller& caller, int question) {
        return behind->Ask(caller.remaining(), question);
      }});
  if (!front.Publish("oracle", service).ok()) return 1;

  const auto oracle = client.Find<Oracle>("oracle").value();
  std::cout << oracle->Ask(bl::Within(1h), 42).value() << '\n';
  const bl::Status late = oracle->Ask(bl::Within(20ms), 7).status();
  std::cout << late << '\n';
  given_up.set_value();
}

// Prints:
//   42
//   deadline passed
