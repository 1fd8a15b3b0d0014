// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>
#include <optional>
#include <string>

namespace bl = binderlite;

// What was shipped first.
namespace v1 {
struct Greeter {
  static constexpr bl::InterfaceName kName = "guide.Greeter";
  bl::Method<1, std::string(std::string_view who)> Hello;
};
}  // namespace v1

// A later version: a new method, and a new argument at the end of an old one.
namespace v2 {
struct Greeter {
  static constexpr bl::InterfaceName kName = "guide.Greeter";
  bl::Method<1, std::string(std::string_view who,
                            std::optional<std::string> greeting)>
      Hello;
  bl::Method<2, std::string(std::string_view who)> Bye;
};
}  // namespace v2

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto older =
      server.Create(v1::Greeter{.Hello = [](std::string_view who) {
        return "hello, " + std::string(who);
      }});
  const auto newer = server.Create(v2::Greeter{
      .Hello =
          [](std::string_view who, const std::optional<std::string>& greeting) {
            return greeting.value_or("hello") + ", " + std::string(who);
          },
      .Bye = [](std::string_view who) { return "bye, " + std::string(who); },
  });
  if (!server.Publish("v1", older).ok()) return 1;
  if (!server.Publish("v2", newer).ok()) return 1;

  // An older client of a newer service.
  const auto old_client = client.Find<v1::Greeter>("v2").value();
  std::cout << old_client->Hello("ann").value() << '\n';

  // A newer client of a newer and of an older service.
  for (const std::string name : {"v2", "v1"}) {
    const auto greeter = client.Find<v2::Greeter>(name).value();
    std::cout << name << ": " << greeter->Hello("ann", "welcome").value()
              << '\n';
    const bl::Result<std::string> bye = greeter->Bye("ann");
    std::cout << name << ": "
              << (bye.status() == bl::StatusCode::kNoSuchMethod ? "(no Bye)"
                                                                : *bye)
              << '\n';
  }
}

// Prints:
//   hello, ann
//   v2: welcome, ann
//   v2: bye, ann
//   v1: hello, ann
//   v1: (no Bye)
