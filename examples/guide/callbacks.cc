// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>
#include <string>

namespace bl = binderlite;

struct Progress {
  static constexpr bl::InterfaceName kName = "guide.Progress";
  bl::Method<1, bool(int percent)> Report;  // False: stop.
};
struct Copier {
  static constexpr bl::InterfaceName kName = "guide.Copier";
  bl::Method<1, int(std::string_view what, bl::Proxy<Progress> progress)> Copy;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(
      Copier{.Copy = [](std::string_view, const bl::Proxy<Progress>& progress) {
        for (int percent = 0; percent < 100; percent += 25) {
          // A call back, on the thread that waits for the end of Copy.
          if (!progress->Report(percent).value_or(false)) return percent;
        }
        return 100;
      }});
  if (!server.Publish("copier", service).ok()) return 1;

  const auto copier = client.Find<Copier>("copier").value();
  // A service of the client's own: a callback is an object like any other.
  const auto mine = client.Create(Progress{.Report = [](int percent) {
    std::cout << percent << " %\n";
    return percent < 50;
  }});
  const int copied = copier->Copy("a file", mine).value();
  std::cout << "copied " << copied << " %\n";
}

// Prints:
//   0 %
//   25 %
//   50 %
//   copied 50 %
