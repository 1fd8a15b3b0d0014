// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace bl = binderlite;

struct Codecs {
  static constexpr bl::InterfaceName kName = "guide.Codecs";
  // Views are read where the payload lies, and gone with the handler.
  bl::Method<1, std::uint64_t(std::span<const std::uint16_t> samples)> Sum;
  bl::Method<2, std::size_t(std::string_view text)> CountLines;
};

int main() {
  bl::Binder binder;
  // A payload has to fit into its receiver's memory: 1 MiB unless it says so,
  // and 4 MiB at most.
  bl::Endpoint server =
      binder.Open({.name = "server", .arena_size = std::size_t{4} << 20});
  bl::Endpoint client = binder.Open("client");
  const auto service = server.Create(Codecs{
      .Sum =
          [](std::span<const std::uint16_t> samples) {
            return std::accumulate(samples.begin(), samples.end(),
                                   std::uint64_t{0});
          },
      .CountLines =
          [](std::string_view text) {
            return static_cast<std::size_t>(
                std::count(text.begin(), text.end(), '\n'));
          },
  });
  if (!server.Publish("codecs", service).ok()) return 1;

  const auto codecs = client.Find<Codecs>("codecs").value();
  const std::vector<std::uint16_t> samples(1'500'000, 3);  // 3 MB, copied once.
  std::cout << codecs->Sum(samples).value() << '\n';
  std::cout << codecs->CountLines(std::string(1'000'000, '\n')).value() << '\n';

  const std::vector<std::uint16_t> more(3'000'000);
  const bl::Status status = codecs->Sum(more).status();
  std::cout << bl::ToString(status.code()) << ", "
            << status.shortage().wanted / 1'000'000 << " MB wanted, "
            << status.shortage().size / 1'000'000 << " MB there\n";
}

// Prints:
//   4500000
//   1000000
//   out of receive memory, 6 MB wanted, 4 MB there
