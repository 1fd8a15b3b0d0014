// SPDX-License-Identifier: Apache-2.0
//
// A World is a set of simulated processes that talk to a fresh binder context.
// Do() executes one line of the little language in README.md, in lock step: it
// returns when nothing moves any more, so that each thread has either answered
// or sleeps in the driver. What happened is appended to the canonical trace,
// in which nothing depends on the machine: addresses, debug ids, descriptors
// and pids are replaced by names.

#ifndef BINDERLITE_TESTS_CONFORMANCE_WORLD_H_
#define BINDERLITE_TESTS_CONFORMANCE_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/wire/commands.h"
#include "binderlite/wire/structs.h"
#include "device.h"
#include "proc_files.h"
#include "rpc.h"

namespace binderlite::conformance {

// One command in a write buffer, as it is spelled: "acq:1" has the name "acq"
// and the argument "1".
struct Command {
  std::string name;
  std::vector<std::string> args;
  std::vector<std::string> payload;  // what stands between [ and ]
  std::size_t end = 0;               // in the write buffer
};

// One line: "A.1@2 verb arg...".
struct Step {
  std::string text;
  char process = 'A';
  int thread = 0;
  int slot = 0;  // which of the process's opens
  std::string verb;
  std::vector<std::string> args;
  std::vector<Command> commands;  // of "wr"
};

// Nothing if the line is empty or a comment; aborts if it makes no sense.
std::optional<Step> ParseStep(std::string_view line);

// An object in a received payload.
struct Object {
  ObjectType type = ObjectType::kBinder;
  std::uint32_t flags = 0;
  std::uint64_t ptr = 0;
  std::uint64_t cookie = 0;
  std::uint32_t handle = 0;
  std::vector<std::string> fds;  // as named by the receiving process
};

// One command in a read buffer.
struct Return {
  Br br = Br::BR_NOOP;
  std::uint64_t ptr = 0;
  std::uint64_t cookie = 0;
  std::uint32_t value = 0;
  TransactionData data = {};
  std::string buffer;  // name of the buffer
  std::vector<Object> objects;
};

struct Result {
  bool skipped = false;  // the thread was asleep in an earlier call
  bool blocked = false;  // so far; see World::completed
  std::int64_t ret = 0;
  int error = 0;
  std::uint64_t write_consumed = 0;
  std::uint64_t read_consumed = 0;
  std::vector<Return> returns;
  ExtendedError extended_error = {};
  std::uint64_t value = 0;  // of requests with one number
  std::string text;         // as in the trace

  // The names of the returns, separated by blanks.
  std::string Names() const;
  // One of them; an empty one if there are not that many: a scenario goes on
  // when something is not as it says.
  const Return& nth(std::size_t index) const {
    static const Return none;
    return index < returns.size() ? returns[index] : none;
  }
  const Return& last() const { return nth(returns.size() - 1); }
};

// What happened how often; see ExpectedFeatures().
using Histogram = std::map<std::string, std::uint64_t>;

struct Completion {
  Step step;
  Result result;
};

class World {
 public:
  struct Options {
    bool echo = false;  // print the trace as it grows
    Histogram* histogram = nullptr;
  };

  World();
  explicit World(const Options& options);
  // Ends the processes, and waits until the driver has forgotten them.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Executes one line, or several.
  const Result& Do(std::string_view line);
  void Run(std::string_view lines);

  // Starts all lines at once, of threads that are not asleep (or interrupts of
  // those that are), and returns when nothing moves any more. The trace has
  // what returned in the order of the threads, not of time.
  void Together(const std::vector<std::string>& lines);

  // Like Do, and a line in the trace if the returns are not `names`, the error
  // is not `error`, or it does not block.
  const Result& Gives(std::string_view line, std::string_view names);
  const Result& Fails(std::string_view line, int error);
  const Result& Blocks(std::string_view line);

  // Checks the names of what a thread that was asleep has returned during the
  // last line.
  void Woke(std::string_view who, std::string_view names);

  // A claim about what was seen; reported in the trace if it is false.
  void Expect(bool holds, std::string_view claim);
  int failures() const { return failures_; }

  // Lines that only prepare something are left out of the trace.
  void Quietly(std::string_view lines);
  // Whether the trace leaves lines out; the old value.
  bool SetQuiet(bool quiet) { return std::exchange(quiet_, quiet); }

  // All that has returned during the last line, its own call first.
  const std::vector<Completion>& completed() const { return completed_; }
  // The last of them; an empty one if there is none.
  const Result& last_completed() const {
    static const Result none;
    return completed_.empty() ? none : completed_.back().result;
  }
  bool Asleep(char process, int thread) const;

  // The start of the receive mapping of an open, and the address of a buffer.
  std::uint64_t Mapping(char process, int slot = 0) const;
  std::uint64_t Buffer(char process, const std::string& name) const;
  // Adds a line to the trace.
  void Note(std::string_view text);

  const std::string& trace() const { return trace_; }
  pid_t pid(char process) const;

 private:
  struct Buffer_ {
    std::uint64_t address = 0;
    bool live = true;
    std::vector<std::string> array_fds;  // closed when it is freed
  };
  struct Open_ {
    int fd = -1;
    bool open = false;
    std::uint64_t mapping = 0;
    std::uint64_t size = 0;
  };
  struct Actor_ {
    int socket = -1;
    bool started = false;
    bool ended = false;
    pid_t tid = 0;
    TaskWatch watch;
    std::optional<std::uint64_t> asleep;  // what `watch` said when all rested
    // The call that it is in.
    std::optional<Step> busy;
    int fd = -1;
    std::uint64_t sent_read_size = 0;
    std::uint64_t sent_read_consumed = 0;
    std::size_t read_at = 0;
    std::size_t image_base = 0;
    std::uint64_t entry_words[6] = {};
    bool image_back = false;
  };
  struct Process_ {
    char name = 'A';
    std::unique_ptr<device::Process> process;
    std::vector<Actor_> actors;
    int control = -1;
    std::map<int, Open_> opens;
    std::map<std::string, Buffer_> buffers;
    std::map<std::string, int> fds;
    std::map<std::string, int> freed_fds;  // closed with their buffer
  };
  class Image;
  struct Message {
    Request request;
    std::vector<std::byte> image;
    std::vector<Relocation> relocations;
  };
  struct Answer {
    Response response;
    std::vector<std::byte> bytes;
  };

  Process_& Find(char name, uid_t euid = 0);
  Actor_& FindActor(Process_& process, int thread);
  void Send(Actor_& actor, const Message& message);
  Answer Receive(Actor_& actor);
  Answer RoundTrip(Actor_& actor, const Request& request);
  // Waits until all who can move have come to rest; collects their answers.
  void Settle(Actor_* acting, bool background);
  bool Encode(Process_& process, Actor_& actor, const Step& step, Message& out);
  void EncodeWriteRead(Process_& process, Actor_& actor, const Step& step,
                       Message& out);
  void EncodePayload(Process_& process, const Command& command, Image& image,
                     std::size_t data_at, std::uint32_t code,
                     std::vector<std::pair<std::size_t, std::size_t>>& later,
                     std::vector<std::byte>& stream);
  Result Decode(Process_& process, Actor_& actor, const Step& step,
                const Answer& answer);
  void DecodeWriteRead(Process_& process, Actor_& actor, const Step& step,
                       const Answer& answer, Result& result);
  std::string DecodeTransaction(Process_& process, Actor_& actor,
                                const TransactionData& data, Return& out);
  std::string DecodeObjects(Process_& process, Actor_& actor,
                            const TransactionData& data, Buffer_& buffer,
                            Return& out);
  std::string NameFd(Process_& process, Actor_& actor, int fd);
  std::string NamePid(std::int64_t pid) const;
  std::string NameError(std::uint32_t id);
  std::uint64_t BufferAddress(Process_& process, const std::string& name);
  void AfterFree(Process_& process, const Step& step, std::uint64_t consumed);
  void Count(const std::string& feature);
  void CountStep(const Step& step, const Result& result);
  void AppendTrace(const std::string& line);

  Options options_;
  std::vector<std::unique_ptr<Process_>> processes_;
  std::map<std::uint64_t, std::string> files_;      // by inode
  std::map<std::uint32_t, std::string> error_ids_;  // of extended errors
  std::vector<Completion> completed_;
  Result result_;
  std::string trace_;
  bool quiet_ = false;
  int failures_ = 0;
};

// The name of an errno value.
std::string ErrnoName(int error);

}  // namespace binderlite::conformance

#endif  // BINDERLITE_TESTS_CONFORMANCE_WORLD_H_
