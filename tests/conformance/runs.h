// SPDX-License-Identifier: Apache-2.0
//
// What the conformance program can be told to do: run scenarios, generated
// conversations and written programs, and compare with golden traces.

#ifndef BINDERLITE_TESTS_CONFORMANCE_RUNS_H_
#define BINDERLITE_TESTS_CONFORMANCE_RUNS_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "world.h"

namespace binderlite::conformance {

// A piece of a file, from a line "== NAME (COMMENT)" to the next.
struct Block {
  std::string name;
  std::string head;  // that line
  std::string text;
};
std::vector<Block> ReadBlocks(const std::string& path);

struct RandomOptions {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  int steps = 300;
  bool trace = false;      // print the traces
  bool program = false;    // print the lines alone
  bool histogram = false;  // print what was reached, and what was not
  bool only_6_1 = false;
};

int RunScenarios(const std::vector<std::string>& only);
int RunRandom(const RandomOptions& options);
// Runs each program in a file. Prints its name and the hash of its trace, or,
// `each_step`, of its trace up to each line.
int RunPrograms(const std::string& path, bool trace, bool each_step);

// Compares with the golden traces in a directory, and says where the first
// difference is. `overrides`: a file with scenarios that differ, or "".
int ReplayScenarios(const std::string& directory, const std::string& overrides);
// The first `most` seeds. `want_difference`: ends at the first one, and fails
// if there is none.
int ReplayRandom(const std::string& directory, int most, bool want_difference);

// For shrinking: programs that are the one in `path` without some of its lines
// (chunks of `chunk`), or with one line made shorter.
int PrintWithoutChunks(const std::string& path, std::size_t chunk);
int PrintShorterLines(const std::string& path);
// The program in `path` without all of the first 1, 2, ... of `chunks`, which
// are named as PrintWithoutChunks names them.
int PrintWithout(const std::string& path,
                 const std::vector<std::string>& chunks);

// What a full run should reach; see Histogram.
const std::vector<std::string>& ExpectedFeatures();

// Names all outcomes of the close-up experiments in `rounds` rounds.
int RunCloseUp(int rounds, const std::vector<std::string>& only);

std::uint64_t Hash(std::string_view text);

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_RUNS_H_
