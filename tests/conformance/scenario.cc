// SPDX-License-Identifier: Apache-2.0
//
// The beginnings that scenarios share.

#include "scenario.h"

#include <string>
#include <vector>

namespace binderlite::conformance {
namespace {

std::string Who(char process) { return std::string(1, process) + ".0 "; }

// What the thread's call, made before or just now, has returned.
const Result* ResultOf(const World& w, char process) {
  for (const Completion& completion : w.completed()) {
    if (completion.step.process == process) return &completion.result;
  }
  return nullptr;
}

class QuietWorld {
 public:
  explicit QuietWorld(World& w) : w_(w), before_(w.SetQuiet(true)) {}
  ~QuietWorld() { w_.SetQuiet(before_); }
  QuietWorld(const QuietWorld&) = delete;
  QuietWorld& operator=(const QuietWorld&) = delete;

 private:
  World& w_;
  const bool before_;
};

}  // namespace

std::vector<Scenario>& Scenarios() {
  static std::vector<Scenario> all;
  return all;
}

void StartProcess(World& w, char name, const std::string& options) {
  const QuietWorld quiet(w);
  if (!options.empty()) w.Do(std::string(1, name) + " new " + options);
  w.Do(Who(name) + "up");
  w.Do(Who(name) + "version");
}

void StartManager(World& w, const std::string& node) {
  const QuietWorld quiet(w);
  w.Do("M.0 up");
  w.Do(node.empty() ? "M.0 ctxmgr" : "M.0 ctxmgrext " + node);
}

std::uint32_t GiveNode(World& w, char client, std::uint64_t ptr,
                       std::uint64_t cookie, std::uint32_t flags) {
  const QuietWorld quiet(w);
  const std::string node = std::to_string(ptr) + ":" + std::to_string(cookie);
  w.Do(Who(client) + "wr r=256 txn:0:9000:0");
  const Result call = w.Do("M.0 wr r=256");
  if (call.returns.empty() || call.last().buffer.empty()) {
    w.Expect(false, "the manager gets the call of GiveNode");
    return 0;
  }
  w.Do("M.0 wr r=256 free:" + call.last().buffer +
       " reply:9001:0 [ bin:" + node + ":" + std::to_string(flags) + " ]");
  const Result* reply = ResultOf(w, client);
  if (reply == nullptr || reply->returns.empty() ||
      reply->last().objects.empty()) {
    w.Expect(false, "the client gets the node of GiveNode");
    return 0;
  }
  const std::uint32_t handle = reply->last().objects[0].handle;
  const std::string buffer = reply->last().buffer;
  w.Do(Who(client) + "wr acq:" + std::to_string(handle) + " free:" + buffer);
  w.Do("M.0 wr incdone:" + node + " acqdone:" + node);
  return handle;
}

std::uint32_t GiveManager(World& w, char owner, std::uint64_t ptr,
                          std::uint64_t cookie, std::uint32_t flags) {
  const QuietWorld quiet(w);
  const std::string node = std::to_string(ptr) + ":" + std::to_string(cookie);
  w.Do(Who(owner) + "wr r=256 txn:0:9100:1 [ bin:" + node + ":" +
       std::to_string(flags) + " ]");
  w.Do(Who(owner) + "wr incdone:" + node + " acqdone:" + node);
  const Result call = w.Do("M.0 wr r=256");
  if (call.returns.empty() || call.last().objects.empty()) {
    w.Expect(false, "the manager gets the node of GiveManager");
    return 0;
  }
  const std::uint32_t handle = call.last().objects[0].handle;
  w.Do("M.0 wr acq:" + std::to_string(handle) + " free:" + call.last().buffer);
  return handle;
}

std::uint32_t ShareNode(World& w, char owner, char client, std::uint64_t ptr,
                        std::uint64_t cookie, std::uint32_t flags) {
  const QuietWorld quiet(w);
  const std::string theirs =
      std::to_string(GiveManager(w, owner, ptr, cookie, flags));
  w.Do(Who(client) + "wr r=256 txn:0:9101:0");
  const Result call = w.Do("M.0 wr r=256");
  if (call.returns.empty() || call.last().buffer.empty()) {
    w.Expect(false, "the manager gets the call of ShareNode");
    return 0;
  }
  w.Do("M.0 wr r=256 free:" + call.last().buffer +
       " reply:9102:0 [ hnd:" + theirs + " ]");
  const Result* reply = ResultOf(w, client);
  if (reply == nullptr || reply->returns.empty() ||
      reply->last().objects.empty()) {
    w.Expect(false, "the client gets the node of ShareNode");
    return 0;
  }
  const std::uint32_t handle = reply->last().objects[0].handle;
  const std::string buffer = reply->last().buffer;
  w.Do(Who(client) + "wr acq:" + std::to_string(handle) + " free:" + buffer);
  w.Do("M.0 wr rel:" + theirs);
  return handle;
}

void ExpectError(World& w, const std::string& who, Br command, int error) {
  const Result& result = w.Do(who + " exterr");
  w.Expect(result.ret == 0 &&
               result.extended_error.command ==
                   static_cast<std::uint32_t>(command) &&
               result.extended_error.param == -error,
           "the error is " + std::string(ToString(command)) + " " +
               ErrnoName(error));
}

Object Received(World& w, const Result& result, std::size_t index) {
  if (result.returns.empty() || index >= result.last().objects.size()) {
    w.Expect(false, "object " + std::to_string(index) + " has been received");
    return {};
  }
  return result.last().objects[index];
}

void Refused(World& w, const std::string& line, int error) {
  w.Gives(line, "BR_NOOP BR_FAILED_REPLY");
  const std::string who = line.substr(0, line.find(' '));
  const ExtendedError& seen = w.Do(who + " exterr").extended_error;
  w.Expect(seen.command == static_cast<std::uint32_t>(Br::BR_FAILED_REPLY) &&
               seen.param == -error,
           "refused with " + ErrnoName(error));
}

void Tells(World& w, const Result& result, const std::string& words) {
  w.Expect(result.text.find(words) != std::string::npos, "tells " + words);
}

}  // namespace binderlite::conformance
