// SPDX-License-Identifier: Apache-2.0
//
// The conformance program: runs scenarios and generated conversations against
// the device that it was built for, and prints canonical traces.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "device.h"
#include "generator.h"
#include "scenario.h"
#include "world.h"

namespace binderlite::conformance {
namespace {

int Usage() {
  std::fputs("usage: conformance COMMAND [OPTION]...\n", stderr);
  return 2;
}

// True if `name` is in the list, or the list is empty.
bool Selected(const std::vector<std::string>& only, const std::string& name) {
  if (only.empty()) return true;
  for (const std::string& wanted : only) {
    if (name.find(wanted) != std::string::npos) return true;
  }
  return false;
}

int RunScenarios(const std::vector<std::string>& only, bool echo) {
  int failures = 0;
  for (const Scenario& scenario : Scenarios()) {
    if (!Selected(only, scenario.name)) continue;
    std::printf("== %s (%s)\n", scenario.name, scenario.rows);
    World w({.echo = echo, .histogram = nullptr});
    scenario.run(w);
    if (!echo) std::fputs(w.trace().c_str(), stdout);
    std::fflush(stdout);
    failures += w.failures();
  }
  return failures == 0 ? 0 : 1;
}

struct RandomOptions {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  int steps = 300;
  bool trace = false;
  bool histogram = false;
  bool only_6_1 = false;
};

// FNV-1a
std::uint64_t Hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

// One line a seed: its number, and a hash of the trace up to every 50th step.
int RunRandom(const RandomOptions& options) {
  Histogram histogram;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    World w({.echo = options.trace,
             .histogram = options.histogram ? &histogram : nullptr});
    Generator generator({.seed = seed, .only_6_1 = options.only_6_1});
    std::string hashes;
    for (int step = 1; step <= options.steps; ++step) {
      w.Do(generator.Next(w));
      generator.Observe(w);
      if (step % 50 != 0 && step != options.steps) continue;
      char text[16];
      std::snprintf(text, sizeof(text), " %08x",
                    static_cast<unsigned>(Hash(w.trace())));
      hashes += text;
    }
    std::printf("%llu%s\n", static_cast<unsigned long long>(seed),
                hashes.c_str());
    std::fflush(stdout);
  }
  for (const auto& [feature, count] : histogram) {
    std::printf("# %8llu %s\n", static_cast<unsigned long long>(count),
                feature.c_str());
  }
  return 0;
}

int Main(int argc, char** argv) {
  if (argc < 2) return Usage();
  const std::string command = argv[1];
  std::vector<std::string> rest(argv + 2, argv + argc);
  if (command == "list") {
    for (const Scenario& scenario : Scenarios()) {
      std::printf("%s: %s\n", scenario.name, scenario.rows);
    }
    return 0;
  }
  device::SetUp();
  if (command == "scenarios") return RunScenarios(rest, false);
  if (command == "random") {
    RandomOptions options;
    for (const std::string& arg : rest) {
      const std::size_t equals = arg.find('=');
      const std::string name = arg.substr(0, equals);
      const std::string value =
          equals == std::string::npos ? "" : arg.substr(equals + 1);
      const auto number = [&](const std::string& text) {
        return std::strtoull(text.c_str(), nullptr, 0);
      };
      if (name == "--seeds") {
        options.first = options.last = number(value);
        if (const std::size_t dots = value.find(".."); dots != value.npos) {
          options.last = number(value.substr(dots + 2));
        }
      } else if (name == "--steps") {
        options.steps = static_cast<int>(number(value));
      } else if (name == "--trace") {
        options.trace = true;
      } else if (name == "--histogram") {
        options.histogram = true;
      } else if (name == "--only-6.1") {
        options.only_6_1 = true;
      } else {
        return Usage();
      }
    }
    return RunRandom(options);
  }
  if (command == "do") {
    World w({.echo = true, .histogram = nullptr});
    for (const std::string& line : rest) w.Do(line);
    return 0;
  }
  return Usage();
}

}  // namespace

std::vector<Scenario>& Scenarios() {
  static std::vector<Scenario> all;
  return all;
}

}  // namespace binderlite::conformance

int main(int argc, char** argv) {
  return binderlite::conformance::Main(argc, argv);
}
