// SPDX-License-Identifier: Apache-2.0
//
// The conformance program: runs scenarios and generated conversations against
// the device that it was built for, and prints canonical traces.

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "device.h"
#include "runs.h"
#include "scenario.h"
#include "world.h"

namespace binderlite::conformance {
namespace {

int Usage() {
  std::fputs(
      "usage: conformance COMMAND [ARGUMENT]...\n"
      "  list                     scenarios and the rows they show\n"
      "  scenarios [NAME]...      runs them and prints their traces\n"
      "  random [--seeds=A..B] [--steps=N] [--trace|--program] [--histogram]\n"
      "         [--only-6.1]      runs generated conversations\n"
      "  programs FILE [--trace|--each-step]\n"
      "                           runs programs and prints a hash of each\n"
      "  do LINE...               runs these lines\n"
      "  close-up [--rounds=N] [NAME]...\n"
      "                           what happens under concurrency, as sets\n"
      "  replay-scenarios DIRECTORY [OVERRIDES]\n"
      "  replay-random DIRECTORY [SEEDS]\n"
      "                           compare with golden traces\n"
      "  find-difference DIRECTORY\n"
      "                           likewise, but fails if there is none\n"
      "  without-chunks FILE SIZE, shorter-lines FILE, without FILE CHUNK...\n"
      "                           print smaller programs\n",
      stderr);
  return 2;
}

struct Options {
  std::vector<std::string> words;
  RandomOptions random;
  bool each_step = false;
  int rounds = 100;
};

// False if there is one that is not known.
bool Parse(int argc, char** argv, Options& out) {
  for (int i = 2; i < argc; ++i) {
    const std::string arg = argv[i];
    const std::size_t equals = arg.find('=');
    const std::string name = arg.substr(0, equals);
    const std::string value =
        equals == std::string::npos ? "" : arg.substr(equals + 1);
    const auto number = [](const std::string& text) {
      return std::strtoull(text.c_str(), nullptr, 0);
    };
    if (arg.rfind("--", 0) != 0) {
      out.words.push_back(arg);
    } else if (name == "--seeds") {
      out.random.first = out.random.last = number(value);
      if (const std::size_t dots = value.find(".."); dots != value.npos) {
        out.random.last = number(value.substr(dots + 2));
      }
    } else if (name == "--steps") {
      out.random.steps = static_cast<int>(number(value));
    } else if (name == "--rounds") {
      out.rounds = static_cast<int>(number(value));
    } else if (name == "--trace") {
      out.random.trace = true;
    } else if (name == "--program") {
      out.random.program = true;
    } else if (name == "--histogram") {
      out.random.histogram = true;
    } else if (name == "--only-6.1") {
      out.random.only_6_1 = true;
    } else if (name == "--each-step") {
      out.each_step = true;
    } else {
      return false;
    }
  }
  return true;
}

int Main(int argc, char** argv) {
  Options options;
  if (argc < 2 || !Parse(argc, argv, options)) return Usage();
  const std::string command = argv[1];
  const std::vector<std::string>& words = options.words;
  if (command == "list") {
    for (const Scenario& scenario : Scenarios()) {
      std::printf("%s: %s\n", scenario.name, scenario.rows);
    }
    return 0;
  }
  if (command == "without-chunks" && words.size() == 2) {
    return PrintWithoutChunks(
        words[0], static_cast<std::size_t>(std::atoi(words[1].c_str())));
  }
  if (command == "shorter-lines" && words.size() == 1) {
    return PrintShorterLines(words[0]);
  }
  if (command == "without" && !words.empty()) {
    return PrintWithout(words[0], {words.begin() + 1, words.end()});
  }
  device::SetUp();
  if (command == "scenarios") return RunScenarios(words);
  if (command == "random") return RunRandom(options.random);
  if (command == "close-up") return RunCloseUp(options.rounds, words);
  if (command == "programs" && words.size() == 1) {
    return RunPrograms(words[0], options.random.trace, options.each_step);
  }
  if (command == "replay-scenarios" && !words.empty()) {
    return ReplayScenarios(words[0], words.size() > 1 ? words[1] : "");
  }
  constexpr int kAll = std::numeric_limits<int>::max();
  if (command == "replay-random" && !words.empty()) {
    const int most = words.size() > 1 ? std::atoi(words[1].c_str()) : kAll;
    return ReplayRandom(words[0], most, /*want_difference=*/false);
  }
  if (command == "find-difference" && words.size() == 1) {
    return ReplayRandom(words[0], kAll, /*want_difference=*/true);
  }
  if (command == "do") {
    World w({.echo = true, .histogram = nullptr});
    for (const std::string& line : words) w.Do(line);
    return 0;
  }
  return Usage();
}

}  // namespace
}  // namespace binderlite::conformance

int main(int argc, char** argv) {
  return binderlite::conformance::Main(argc, argv);
}
