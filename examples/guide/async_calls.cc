// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>
#include <string>

namespace bl = binderlite;

struct Weather {
  static constexpr bl::InterfaceName kName = "guide.Weather";
  bl::Method<1, std::string(std::string_view city)> Ask;
};

int main() {
  std::promise<void> told;
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Weather{.Ask = [](std::string_view city) {
    return city == "Oslo" ? "snow" : "rain";
  }});
  if (!server.Publish("weather", service).ok()) return 1;
  const auto weather = client.Find<Weather>("weather").value();

  // Two calls on their way, no thread waits.
  bl::Future<std::string> oslo = weather->Ask.Async("Oslo");
  bl::Future<std::string> bergen = weather->Ask.Async("Bergen");
  // Get waits for one of them ...
  std::cout << "Oslo: " << oslo.Get().value() << '\n';
  // ... and Then has a looper of the client call back.
  std::move(bergen).Then([&](const bl::Result<std::string>& answer) {
    std::cout << "Bergen: " << answer.value() << '\n';
    told.set_value();
  });
  told.get_future().wait();
}

// Prints:
//   Oslo: snow
//   Bergen: rain
