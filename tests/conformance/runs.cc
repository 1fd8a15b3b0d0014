// SPDX-License-Identifier: Apache-2.0
//
// Running and comparing.

#include "runs.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "device.h"
#include "generator.h"
#include "scenario.h"

namespace binderlite::conformance {
namespace {

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string HashText(std::string_view text) {
  char out[16];
  std::snprintf(out, sizeof(out), "%08x", static_cast<unsigned>(Hash(text)));
  return out;
}

bool Selected(const std::vector<std::string>& only, const std::string& name) {
  return only.empty() ||
         std::find(only.begin(), only.end(), name) != only.end();
}

// The first difference with what is before it; true if there is none.
bool Compare(const std::string& name, const std::string& expected,
             const std::string& actual) {
  if (expected == actual) return true;
  const std::vector<std::string> want = Lines(expected);
  const std::vector<std::string> got = Lines(actual);
  std::size_t at = 0;
  while (at < want.size() && at < got.size() && want[at] == got[at]) ++at;
  std::printf("%s: differs in line %zu\n", name.c_str(), at + 1);
  for (std::size_t i = at < 12 ? 0 : at - 12; i < at; ++i) {
    std::printf("    %s\n", want[i].c_str());
  }
  for (std::size_t i = at; i < want.size() && i < at + 3; ++i) {
    std::printf("  - %s\n", want[i].c_str());
  }
  for (std::size_t i = at; i < got.size() && i < at + 3; ++i) {
    std::printf("  + %s\n", got[i].c_str());
  }
  return false;
}

struct Conversation {
  std::string trace;
  std::string program;
  std::string hashes;  // of the trace up to every 50th step
};

Conversation Converse(const RandomOptions& options, std::uint64_t seed,
                      Histogram* histogram) {
  Conversation result;
  World w({.echo = options.trace, .histogram = histogram});
  Generator generator({.seed = seed, .only_6_1 = options.only_6_1});
  for (int step = 1; step <= options.steps; ++step) {
    const std::string line = generator.Next(w);
    result.program += line + "\n";
    w.Do(line);
    generator.Observe(w);
    if (step % 50 == 0 || step == options.steps) {
      result.hashes += " " + HashText(w.trace());
    }
  }
  result.trace = w.trace();
  return result;
}

void PrintProgram(const std::string& name,
                  const std::vector<std::string>& lines) {
  std::printf("== %s\n", name.c_str());
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
}

std::vector<std::string> FirstProgram(const std::string& path) {
  const std::vector<Block> blocks = ReadBlocks(path);
  return blocks.empty() ? std::vector<std::string>{} : Lines(blocks[0].text);
}

}  // namespace

// FNV-1a
std::uint64_t Hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

std::vector<Block> ReadBlocks(const std::string& path) {
  std::vector<Block> blocks;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("== ", 0) == 0) {
      blocks.push_back({line.substr(3, line.find(" (") - 3), line, ""});
    } else if (!blocks.empty()) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

int RunScenarios(const std::vector<std::string>& only) {
  int failures = 0;
  for (const Scenario& scenario : Scenarios()) {
    if (!Selected(only, scenario.name)) continue;
    World w;
    scenario.run(w);
    std::printf("== %s (%s)\n%s", scenario.name, scenario.rows,
                w.trace().c_str());
    std::fflush(stdout);
    failures += w.failures();
  }
  return failures == 0 ? 0 : 1;
}

int RunRandom(const RandomOptions& options) {
  Histogram histogram;
  for (std::uint64_t seed = options.first; seed <= options.last; ++seed) {
    const Conversation conversation =
        Converse(options, seed, options.histogram ? &histogram : nullptr);
    if (options.program) {
      std::printf("== %llu\n%s", static_cast<unsigned long long>(seed),
                  conversation.program.c_str());
    } else if (!options.trace) {
      std::printf("%llu%s\n", static_cast<unsigned long long>(seed),
                  conversation.hashes.c_str());
    }
    std::fflush(stdout);
  }
  if (!options.histogram) return 0;
  for (const auto& [feature, count] : histogram) {
    std::printf("# %8llu %s\n", static_cast<unsigned long long>(count),
                feature.c_str());
  }
  for (const std::string& feature : ExpectedFeatures()) {
    if (histogram.count(feature) == 0) {
      std::printf("# never: %s\n", feature.c_str());
    }
  }
  return 0;
}

int RunPrograms(const std::string& path, bool trace, bool each_step) {
  for (const Block& block : ReadBlocks(path)) {
    World w({.echo = trace, .histogram = nullptr});
    std::string hashes;
    if (trace) std::printf("%s\n", block.head.c_str());
    for (const std::string& line : Lines(block.text)) {
      w.Do(line);
      if (each_step) hashes += " " + HashText(w.trace());
    }
    if (!each_step) hashes = " " + HashText(w.trace());
    if (!trace) std::printf("%s%s\n", block.name.c_str(), hashes.c_str());
    std::fflush(stdout);
  }
  return 0;
}

int ReplayScenarios(const std::string& directory,
                    const std::string& overrides) {
  std::map<std::string, std::string> golden;
  for (const Block& block : ReadBlocks(directory + "/scenarios.txt")) {
    golden[block.name] = block.text;
  }
  if (!overrides.empty()) {
    for (const Block& block : ReadBlocks(overrides)) {
      golden[block.name] = block.text;
    }
  }
  int failures = 0;
  int count = 0;
  for (const Scenario& scenario : Scenarios()) {
    ++count;
    const auto expected = golden.find(scenario.name);
    if (expected == golden.end()) {
      std::printf("%s: there is no golden trace\n", scenario.name);
      ++failures;
      continue;
    }
    if (!device::CanSetNice() &&
        std::string_view(scenario.name).starts_with("NiceOf")) {
      std::printf("%s: skipped, needs CAP_SYS_NICE\n", scenario.name);
      golden.erase(expected);
      continue;
    }
    World w;
    scenario.run(w);
    if (!Compare(std::string(scenario.name) + " (" + scenario.rows + ")",
                 expected->second, w.trace())) {
      ++failures;
    }
    golden.erase(expected);
  }
  for (const auto& [name, text] : golden) {
    std::printf("%s: a golden trace of no scenario\n", name.c_str());
    ++failures;
  }
  std::printf("%d scenarios, %d failures\n", count, failures);
  return failures == 0 ? 0 : 1;
}

int ReplayRandom(const std::string& directory, int most, bool want_difference) {
  RandomOptions options;
  std::ifstream file(directory + "/random.txt");
  int failures = 0;
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("steps ", 0) == 0) {
      options.steps = std::atoi(line.c_str() + 6);
    } else if (line == "only-6.1") {
      options.only_6_1 = true;
    }
    if (line.empty() || line[0] < '0' || line[0] > '9') continue;
    if (count == most) break;
    ++count;
    const std::uint64_t seed = std::strtoull(line.c_str(), nullptr, 10);
    const Conversation conversation = Converse(options, seed, nullptr);
    const std::string actual = std::to_string(seed) + conversation.hashes;
    if (actual == line) continue;
    ++failures;
    std::istringstream want(line);
    std::istringstream got(actual);
    std::string a;
    std::string b;
    int part = -1;
    while (want >> a && got >> b && a == b) ++part;
    std::printf("seed %llu: differs between steps %d and %d\n",
                static_cast<unsigned long long>(seed), 50 * part,
                50 * part + 50);
    if (want_difference) return 0;
    const std::string trace_path =
        directory + "/seed-" + std::to_string(seed) + ".txt";
    if (std::ifstream trace(trace_path); trace) {
      std::stringstream text;
      text << trace.rdbuf();
      Compare("seed " + std::to_string(seed), text.str(), conversation.trace);
    }
  }
  std::printf("%d seeds, %d failures\n", count, failures);
  return !want_difference && failures == 0 && count > 0 ? 0 : 1;
}

// --- Shrinking ---------------------------------------------------------------

int PrintWithoutChunks(const std::string& path, std::size_t chunk) {
  const std::vector<std::string> lines = FirstProgram(path);
  for (std::size_t from = 0; from < lines.size(); from += chunk) {
    const std::size_t to = std::min(from + chunk, lines.size());
    std::vector<std::string> rest(
        lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(from));
    rest.insert(rest.end(), lines.begin() + static_cast<std::ptrdiff_t>(to),
                lines.end());
    PrintProgram(std::to_string(from) + "-" + std::to_string(to), rest);
  }
  return 0;
}

int PrintWithout(const std::string& path,
                 const std::vector<std::string>& chunks) {
  const std::vector<std::string> lines = FirstProgram(path);
  std::vector<bool> removed(lines.size());
  std::string name;
  for (const std::string& chunk : chunks) {
    char* end = nullptr;
    const std::size_t from = std::strtoull(chunk.c_str(), &end, 10);
    const std::size_t to = std::strtoull(end + 1, nullptr, 10);
    for (std::size_t i = from; i < to && i < lines.size(); ++i) {
      removed[i] = true;
    }
    std::vector<std::string> rest;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!removed[i]) rest.push_back(lines[i]);
    }
    PrintProgram("without-" + std::to_string(rest.size()), rest);
  }
  return 0;
}

int PrintShorterLines(const std::string& path) {
  const std::vector<std::string> lines = FirstProgram(path);
  int number = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::istringstream stream(lines[i]);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.size() < 3 || words[1] != "wr") continue;
    for (std::size_t k = 2; k < words.size(); ++k) {
      if (words[k] == "[" || words[k] == "]") continue;
      // A command goes with its payload.
      std::size_t end = k + 1;
      if (end < words.size() && words[end] == "[") {
        while (end < words.size() && words[end] != "]") ++end;
        ++end;
      }
      std::string shorter;
      for (std::size_t j = 0; j < words.size(); ++j) {
        if (j >= k && j < end) continue;
        if (!shorter.empty()) shorter += ' ';
        shorter += words[j];
      }
      std::vector<std::string> all = lines;
      all[i] = shorter;
      PrintProgram("shorter-" + std::to_string(++number), all);
    }
  }
  return 0;
}

// --- What should be reached --------------------------------------------------

const std::vector<std::string>& ExpectedFeatures() {
  static const std::vector<std::string> features = [] {
    std::vector<std::string> all;
    // Every command and return but those that no driver sends or, without a
    // security module, can send.
    for (const auto& word : wire_internal::kBcWords) {
      const bool refused = word.code == Bc::BC_ACQUIRE_RESULT ||
                           word.code == Bc::BC_ATTEMPT_ACQUIRE;
      all.push_back(std::string(word.name) + (refused ? " EINVAL" : ""));
    }
    for (const auto& word : wire_internal::kBrWords) {
      switch (word.code) {
        case Br::BR_ERROR:
        case Br::BR_OK:
        case Br::BR_ACQUIRE_RESULT:
        case Br::BR_ATTEMPT_ACQUIRE:
        case Br::BR_FINISHED:
          continue;
        default:
          all.emplace_back(word.name);
      }
    }
    for (const char* kind :
         {"bin", "wbin", "hnd", "whnd", "fd", "fda", "ptr"}) {
      all.push_back(std::string("sends ") + kind);
      all.push_back(std::string("receives ") + kind);
    }
    for (const char* flag : {"1", "0x10", "0x20", "0x40"}) {
      all.push_back(std::string("txn flag ") + flag);
    }
    // Requests, each with its errors.
    for (const char* request : {"version 0",
                                "version EINVAL",
                                "maxthreads 0",
                                "maxthreads EINVAL",
                                "ctxmgr 0",
                                "ctxmgr EBUSY",
                                "ctxmgr EPERM",
                                "ctxmgrext 0",
                                "ctxmgrext EBUSY",
                                "ctxmgrext EINVAL",
                                "exit 0",
                                "idletimeout EINVAL",
                                "idlepriority EINVAL",
                                "nodedebug 0",
                                "nodedebug EFAULT",
                                "noderef 0",
                                "noderef EINVAL",
                                "noderef EPERM",
                                "noderef EFAULT",
                                "freeze 0",
                                "freeze EINVAL",
                                "freeze EAGAIN",
                                "freeze EFAULT",
                                "frozeninfo 0",
                                "frozeninfo EINVAL",
                                "frozeninfo EFAULT",
                                "spam 0",
                                "spam EFAULT",
                                "exterr 0",
                                "exterr EFAULT",
                                "ioctl EINVAL",
                                "wr 0",
                                "wr EINVAL",
                                "wr EFAULT",
                                "wr EAGAIN",
                                "wr EINTR",
                                "mmap EBUSY",
                                "mmap EPERM",
                                "munmap 0",
                                "flush 0",
                                "close 0",
                                "poll 0",
                                "poll 1"}) {
      all.emplace_back(request);
    }
    // Extended errors.
    for (const char* error :
         {"BR_OK 0", "BR_FAILED_REPLY EINVAL", "BR_FAILED_REPLY EPROTO",
          "BR_FAILED_REPLY EPERM", "BR_FAILED_REPLY EBADF",
          "BR_FAILED_REPLY EFAULT", "BR_FAILED_REPLY ENOSPC",
          "BR_DEAD_REPLY EINVAL", "BR_DEAD_REPLY ESRCH", "BR_FROZEN_REPLY 0"}) {
      all.push_back(std::string("exterr ") + error);
    }
    return all;
  }();
  return features;
}

}  // namespace binderlite::conformance
