// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>
#include <string>

namespace bl = binderlite;

struct Users {
  static constexpr bl::InterfaceName kName = "guide.Users";
  bl::Method<1, int(std::string_view name)> Id;
  bl::Method<2, std::string(int id)> City;
};

bl::Detached CityOf(bl::Proxy<Users> users, std::string name,
                    std::promise<bl::Result<std::string>>& city) {
  const bl::Result<int> id = co_await users->Id.Async(name);
  if (!id.ok()) {
    city.set_value(id.status());
    co_return;
  }
  city.set_value(co_await users->City.Async(*id));
}

int main() {
  std::promise<bl::Result<std::string>> ann, bob;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Users{
      .Id = [](std::string_view name) -> bl::Result<int> {
        if (name == "ann") return 17;
        return bl::Status::Error(1, "nobody is called " + std::string(name));
      },
      .City = [](int id) { return "city " + std::to_string(id); },
  });
  if (!server.Publish("users", service).ok()) return 1;

  const auto users = client.Find<Users>("users").value();
  CityOf(users, "ann", ann);
  CityOf(users, "bob", bob);
  std::cout << ann.get_future().get().value() << '\n';
  std::cout << bob.get_future().get().status() << '\n';
}

// Prints:
//   city 17
//   service error 1: nobody is called bob
