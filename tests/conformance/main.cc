// SPDX-License-Identifier: Apache-2.0
//
// The conformance program: runs scenarios and generated conversations against
// the device that it was built for, and prints canonical traces.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "device.h"
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
