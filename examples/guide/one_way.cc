// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <future>
#include <iostream>
#include <string>

namespace bl = binderlite;

struct Journal {
  static constexpr bl::InterfaceName kName = "guide.Journal";
  bl::OneWay<1, void(std::string_view line)> Note;
  bl::OneWay<2, void()> Flush;
};

int main() {
  // What handlers use lives longer than their endpoint, which waits for them.
  std::string lines;
  std::promise<std::string> flushed;
  bl::Binder binder;
  // One-ways of one object are served one after the other, however many
  // loopers there are, so `lines` needs no lock.
  bl::Endpoint server = binder.Open({.name = "server", .loopers = 4});
  bl::Endpoint client = binder.Open("client");
  const auto service = server.Create(Journal{
      .Note =
          [&](std::string_view line) {
            lines += line;
            lines += '\n';
          },
      .Flush = [&] { flushed.set_value(lines); },
  });
  if (!server.Publish("journal", service).ok()) return 1;

  const auto journal = client.Find<Journal>("journal").value();
  // Each returns as soon as it is queued. Ok does not mean that it was served.
  for (const char* line : {"first", "second", "third"}) {
    if (!journal->Note(line).ok()) return 1;
  }
  if (!journal->Flush().ok()) return 1;
  std::cout << flushed.get_future().get();
}

// Prints:
//   first
//   second
//   third
