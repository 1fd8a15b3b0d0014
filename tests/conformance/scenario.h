// SPDX-License-Identifier: Apache-2.0
//
// Scenarios: short conversations that show a behaviour of the driver, each in a
// World of its own. See README.md for how to write one.

#ifndef BINDERLITE_TESTS_CONFORMANCE_SCENARIO_H_
#define BINDERLITE_TESTS_CONFORMANCE_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "world.h"

namespace binderlite::conformance {

struct Scenario {
  const char* name;
  const char* rows;  // of docs/semantics.md, separated by blanks
  void (*run)(World& w);
};

// All of them, in the order of the files and lines.
std::vector<Scenario>& Scenarios();

struct RegisterScenario {
  RegisterScenario(const char* name, const char* rows, void (*run)(World& w)) {
    Scenarios().push_back({name, rows, run});
  }
};

// Frequently needed beginnings, which the trace leaves out.

// M becomes the context manager, with node 0 or with "PTR COOKIE FLAGS".
// StartProcess starts any other, with the options of "new". All have a mapping
// and have used up the free pass of the first read of thread 0.
void StartManager(World& w, const std::string& node = "");
void StartProcess(World& w, char name, const std::string& options = "");

// `client` gets a handle to a node of M: calls M, who replies with it; the
// client keeps one strong reference, M acknowledges. Returns the handle, which
// is the lowest free one: 1, 2, ...
std::uint32_t GiveNode(World& w, char client, std::uint64_t ptr,
                       std::uint64_t cookie, std::uint32_t flags = 0);

// M gets a handle to a node of `owner`, with one strong reference; `owner`
// acknowledges.
std::uint32_t GiveManager(World& w, char owner, std::uint64_t ptr,
                          std::uint64_t cookie, std::uint32_t flags = 0);
// `client` gets it, M does not keep it.
std::uint32_t ShareNode(World& w, char owner, char client, std::uint64_t ptr,
                        std::uint64_t cookie, std::uint32_t flags = 0);

// The extended error of that thread is now this.
void ExpectError(World& w, const std::string& who, Br command, int error);

// The object number `index` of the last thing that was received; a claim that
// there is one.
Object Received(World& w, const Result& result, std::size_t index);

// A transaction or so that gives BR_FAILED_REPLY, with that extended error.
void Refused(World& w, const std::string& line, int error);

// A claim that the result's line in the trace contains `words`.
void Tells(World& w, const Result& result, const std::string& words);

}  // namespace binderlite::conformance

#define SCENARIO(name, rows)                                                \
  static void Scenario_##name(::binderlite::conformance::World& w);         \
  static const ::binderlite::conformance::RegisterScenario register_##name( \
      #name, rows, Scenario_##name);                                        \
  static void Scenario_##name(::binderlite::conformance::World& w)

#endif  // BINDERLITE_TESTS_CONFORMANCE_SCENARIO_H_
