// SPDX-License-Identifier: Apache-2.0
//
// The controller: processes and their actors, and how a line is run in lock
// step. What a line means is in encode.cc, what the trace says in decode.cc.

#include "world.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "language.h"

namespace binderlite::conformance {
namespace {

void WaitForInput(int socket, long nanoseconds) {
  struct pollfd fd = {.fd = socket, .events = POLLIN, .revents = 0};
  const struct timespec limit = {.tv_sec = nanoseconds / 1000000000,
                                 .tv_nsec = nanoseconds % 1000000000};
  ppoll(&fd, 1, &limit, nullptr);
}

bool HasInput(int socket) {
  struct pollfd fd = {.fd = socket, .events = POLLIN, .revents = 0};
  return poll(&fd, 1, 0) > 0;
}

std::int64_t Now() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

}  // namespace

// --- Processes ---------------------------------------------------------------

World::World() : World(Options{}) {}
World::World(const Options& options) : options_(options) {
  std::int64_t start = Now();
  while (!device::BackgroundIdle() || !device::NothingOpen()) {
    if (Now() > start + 60) Die("left over", device::State());
    WaitForInput(-1, 1000000);
  }
}

World::~World() {
  if (device::NeedsOrderlyEnd()) {
    for (auto& process : processes_) {
      for (Actor_& actor : process->actors) {
        const std::int64_t start = Now();
        while (actor.busy.has_value() && !HasInput(actor.socket)) {
          device::Interrupt(process->process->pid(), actor.tid, actor.fd);
          WaitForInput(actor.socket, 1000000);
          if (Now() > start + 30) Die("does not end", actor.busy->text);
        }
        if (actor.busy.has_value()) Receive(actor);
        actor.busy.reset();
      }
      Actor_& first = FindActor(*process, 0);
      for (auto& [slot, open] : process->opens) {
        if (open.open) {
          RoundTrip(first, {.call = Call::kClose,
                            .fd = open.fd,
                            .a = open.mapping,
                            .b = open.size});
          open.mapping = 0;
        }
      }
      for (auto& [name, fd] : process->fds) {
        RoundTrip(first, {.call = Call::kPlainClose, .fd = fd});
      }
      // Who inherits a mapping from a world before would not see a fault.
      for (auto& [slot, open] : process->opens) {
        if (open.mapping != 0) {
          RoundTrip(first,
                    {.call = Call::kMunmap, .a = open.mapping, .b = open.size});
        }
      }
    }
  }
  for (auto& process : processes_) {
    for (Actor_& actor : process->actors) close(actor.socket);
    close(process->control);
    process->process->End();
  }
  const std::int64_t start = Now();
  while (!device::BackgroundIdle() || !device::NothingOpen()) {
    if (Now() > start + 60) {
      Die("the driver does not forget", trace_ + device::State());
    }
    WaitForInput(-1, 200000);
  }
}

World::Process_& World::Find(char name, uid_t euid) {
  for (auto& process : processes_) {
    if (process->name == name) return *process;
  }
  auto process = std::make_unique<Process_>();
  process->name = name;
  process->actors.resize(kMaxThreads);
  std::vector<int> theirs(kMaxThreads + 1);
  for (std::size_t i = 0; i <= kMaxThreads; ++i) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      Die("socketpair", std::strerror(errno));
    }
    const int size = 1 << 20;
    for (int fd : pair) {
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    (i < kMaxThreads ? process->actors[i].socket : process->control) = pair[0];
    theirs[i] = pair[1];
  }
  // A forked child must not keep the controller's ends.
  std::vector<int> ours;
  for (auto& other : processes_) {
    for (Actor_& actor : other->actors) ours.push_back(actor.socket);
    ours.push_back(other->control);
  }
  for (Actor_& actor : process->actors) ours.push_back(actor.socket);
  ours.push_back(process->control);
  const bool forks = !device::NeedsOrderlyEnd();
  process->process =
      device::Start({.pid = 0, .euid = euid},
                    [ours, theirs, forks](const device::Identity& who) {
                      if (forks) {
                        for (int fd : ours) close(fd);
                      }
                      RunActors(who, theirs);
                      if (!forks) {
                        for (int fd : theirs) close(fd);
                      }
                    });
  if (forks) {
    for (int fd : theirs) close(fd);
  }
  processes_.push_back(std::move(process));
  return *processes_.back();
}

World::Actor_& World::FindActor(Process_& process, int thread) {
  Actor_& actor = process.actors[static_cast<std::size_t>(thread)];
  if (actor.started) return actor;
  const auto number = static_cast<std::uint32_t>(thread);
  if (send(process.control, &number, sizeof(number), MSG_NOSIGNAL) < 0) {
    Die("spawn", std::strerror(errno));
  }
  Hello hello = {};
  while (recv(actor.socket, &hello, sizeof(hello), 0) < 0 && errno == EINTR) {
  }
  actor.tid = hello.tid;
  actor.watch = TaskWatch(hello.pid, hello.tid, SYS_recvfrom);
  actor.started = true;
  return actor;
}

void World::Send(Actor_& actor, const Message& message) {
  std::vector<std::byte> bytes;
  Request request = message.request;
  request.image_size = static_cast<std::uint32_t>(message.image.size());
  request.relocations = static_cast<std::uint32_t>(message.relocations.size());
  if (request.image_size > kMaxImage) Die("too large", "image");
  Append(bytes, request);
  bytes.insert(bytes.end(), message.image.begin(), message.image.end());
  for (const Relocation& relocation : message.relocations) {
    Append(bytes, relocation);
  }
  while (send(actor.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) Die("send", std::strerror(errno));
  }
}

World::Answer World::Receive(Actor_& actor) {
  static std::vector<std::byte> message(kMaxMessage);
  ssize_t n = 0;
  while ((n = recv(actor.socket, message.data(), message.size(), 0)) < 0) {
    if (errno != EINTR) Die("recv", std::strerror(errno));
  }
  if (n < static_cast<ssize_t>(sizeof(Response))) Die("an actor is", "gone");
  Answer answer;
  std::memcpy(&answer.response, message.data(), sizeof(Response));
  answer.bytes.assign(message.begin() + sizeof(Response), message.begin() + n);
  return answer;
}

World::Answer World::RoundTrip(Actor_& actor, const Request& request) {
  Send(actor, {.request = request, .image = {}, .relocations = {}});
  return Receive(actor);
}

bool World::Asleep(char process, int thread) const {
  for (const auto& p : processes_) {
    if (p->name != process) continue;
    return p->actors[static_cast<std::size_t>(thread)].busy.has_value();
  }
  return false;
}

pid_t World::pid(char process) const {
  for (const auto& p : processes_) {
    if (p->name == process) return p->process->pid();
  }
  return 0;
}

std::uint64_t World::Mapping(char process, int slot) const {
  for (const auto& p : processes_) {
    if (p->name != process) continue;
    const auto open = p->opens.find(slot);
    return open == p->opens.end() ? 0 : open->second.mapping;
  }
  return 0;
}

std::uint64_t World::Buffer(char process, const std::string& name) const {
  for (const auto& p : processes_) {
    if (p->name != process) continue;
    const auto buffer = p->buffers.find(name);
    return buffer == p->buffers.end() ? 0 : buffer->second.address;
  }
  return 0;
}

// --- Running a line ----------------------------------------------------------

void World::AppendTrace(const std::string& line) {
  if (quiet_) return;
  trace_ += line;
  trace_ += '\n';
  if (options_.echo) {
    std::fputs(line.c_str(), stdout);
    std::fputc('\n', stdout);
  }
}

void World::Note(std::string_view text) {
  AppendTrace("# " + std::string(text));
}

void World::Expect(bool holds, std::string_view claim) {
  if (holds) return;
  ++failures_;
  const bool quiet = std::exchange(quiet_, false);
  AppendTrace("!! not so: " + std::string(claim));
  quiet_ = quiet;
}

void World::Run(std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(' ') != std::string_view::npos) Do(line);
  }
}

void World::Quietly(std::string_view lines) {
  const bool before = std::exchange(quiet_, true);
  Run(lines);
  quiet_ = before;
}

const Result& World::Gives(std::string_view line, std::string_view names) {
  const Result& result = Do(line);
  Expect(!result.blocked && result.ret == 0 && result.Names() == names,
         "gives " + std::string(names));
  return result;
}

const Result& World::Fails(std::string_view line, int error) {
  const Result& result = Do(line);
  Expect(!result.blocked && result.ret == -1 && result.error == error,
         "fails with " + ErrnoName(error));
  return result;
}

const Result& World::Blocks(std::string_view line) {
  const Result& result = Do(line);
  Expect(result.blocked, "blocks");
  return result;
}

void World::Woke(std::string_view who, std::string_view names) {
  for (const Completion& completion : completed_) {
    const std::string name = std::string(1, completion.step.process) + "." +
                             std::to_string(completion.step.thread);
    if (name == who && completion.result.Names() == names) return;
  }
  Expect(false, std::string(who) + " woke up with " + std::string(names));
}

const Result& World::Do(std::string_view line) {
  completed_.clear();
  result_ = {};
  std::optional<Step> step = ParseStep(line);
  if (!step.has_value()) return result_;
  // Verbs of the controller itself.
  if (step->verb == "new") {
    Find(step->process, static_cast<uid_t>(Option(*step, "euid", 0)));
    AppendTrace(step->text);
    return result_;
  }
  if (step->verb == "wait") {  // lets time pass, then looks around
    WaitForInput(-1, static_cast<long>(Arg(step->args, 0)) * 1000000);
  }
  if (step->verb == "up") {  // open and mmap
    const std::string who = step->text.substr(0, step->text.find(' '));
    const std::string size = step->args.empty() ? "131072" : step->args[0];
    Do(who + " open");
    return Do(who + " mmap " + size);
  }
  Process_& process = Find(step->process);
  bool background = false;
  Actor_* acting = nullptr;
  Result early;
  if (step->verb == "wait") {
    AppendTrace(step->text);
  } else if (step->verb == "interrupt") {
    Actor_& target = FindActor(process, step->thread);
    if (!target.busy.has_value()) {
      early.skipped = true;
    } else {
      device::Interrupt(process.process->pid(), target.tid, target.fd);
    }
    AppendTrace(step->text + (early.skipped ? " (not asleep)" : ""));
    if (early.skipped) return result_ = early;
  } else {
    acting = &FindActor(process, step->thread);
    if (acting->busy.has_value() || acting->ended) {
      early.skipped = true;
      AppendTrace(step->text + " (busy)");
      return result_ = early;
    }
    Message message;
    if (!Encode(process, *acting, *step, message)) {
      early.skipped = true;
      AppendTrace(step->text + " (nothing to do)");
      return result_ = early;
    }
    acting->busy = *step;
    acting->fd = message.request.fd;
    Send(*acting, message);
    background = step->verb.rfind("close", 0) == 0 || step->verb == "flush" ||
                 step->verb == "munmap";
  }
  Settle(acting, background);
  // The step itself comes first.
  std::stable_sort(completed_.begin(), completed_.end(),
                   [&](const Completion& a, const Completion& b) {
                     const auto own = [&](const Completion& c) {
                       return acting != nullptr &&
                              c.step.process == step->process &&
                              c.step.thread == step->thread;
                     };
                     return own(a) && !own(b);
                   });
  bool own_done = false;
  for (const Completion& completion : completed_) {
    const bool own = acting != nullptr &&
                     completion.step.process == step->process &&
                     completion.step.thread == step->thread;
    if (own) {
      own_done = true;
      AppendTrace(step->text + " " + completion.result.text);
      result_ = completion.result;
    } else {
      if (acting != nullptr && !own_done) {
        AppendTrace(step->text + " blocks");
        own_done = true;
        result_.blocked = true;
      }
      AppendTrace("  " + std::string(1, completion.step.process) + "." +
                  std::to_string(completion.step.thread) + " " +
                  completion.result.text);
    }
    CountStep(completion.step, completion.result);
  }
  if (acting != nullptr && !own_done) {
    AppendTrace(step->text + " blocks");
    result_.blocked = true;
    Count("blocks " + step->verb);
  }
  return result_;
}

void World::Together(const std::vector<std::string>& lines) {
  completed_.clear();
  for (const std::string& line : lines) {
    std::optional<Step> step = ParseStep(line);
    if (!step.has_value()) continue;
    AppendTrace("& " + step->text);
    Process_& process = Find(step->process);
    Actor_& actor = FindActor(process, step->thread);
    if (step->verb == "interrupt") {
      device::Interrupt(process.process->pid(), actor.tid, actor.fd);
      continue;
    }
    Message message;
    if (actor.busy.has_value() || !Encode(process, actor, *step, message)) {
      Die("cannot be done now", line);
    }
    actor.fd = message.request.fd;
    actor.busy = std::move(step);
    Send(actor, message);
  }
  Settle(nullptr, /*background=*/true);
  for (const Completion& completion : completed_) {
    AppendTrace("  " + std::string(1, completion.step.process) + "." +
                std::to_string(completion.step.thread) + " " +
                completion.result.text);
  }
}

void World::Settle(Actor_* acting, bool background) {
  struct Sleeper {
    Process_* process;
    Actor_* actor;
    std::optional<std::uint64_t> stamp;
    std::optional<Answer> answer;
  };
  std::vector<Sleeper> all;
  for (auto& process : processes_) {
    for (Actor_& actor : process->actors) {
      if (actor.busy.has_value()) {
        all.push_back({process.get(), &actor, actor.asleep, std::nullopt});
      }
    }
  }
  if (acting != nullptr) WaitForInput(acting->socket, 300000);
  // A call with an interrupt does not sleep, whatever it looks like.
  const bool returns = acting != nullptr && Has(*acting->busy, "sig");
  const std::int64_t start = Now();
  for (;;) {
    // First of all: what it does while this looks may wake a sleeper.
    bool again = background && !device::BackgroundIdle();
    int moving = -1;
    for (Sleeper& s : all) {
      if (s.answer.has_value()) continue;
      if (HasInput(s.actor->socket)) {
        s.answer = Receive(*s.actor);
        again = true;
        continue;
      }
      const std::optional<std::uint64_t> stamp =
          returns && s.actor == acting ? std::nullopt
                                       : s.actor->watch.AsleepInCall();
      if (!stamp.has_value() || stamp != s.stamp) again = true;
      if (!stamp.has_value()) moving = s.actor->socket;
      s.stamp = stamp;
    }
    if (!again) break;
    if (moving >= 0) WaitForInput(moving, 200000);
    if (Now() > start + 60) {
      for (const Sleeper& s : all) {
        if (!s.answer.has_value() && !s.stamp.has_value()) {
          Die("does not come to rest", s.actor->busy->text);
        }
      }
      Die("does not come to rest", "the driver");
    }
  }
  for (Sleeper& s : all) {
    s.actor->asleep = s.stamp;
    if (!s.answer.has_value()) continue;
    s.actor->asleep.reset();
    Step step = std::move(*s.actor->busy);
    s.actor->busy.reset();
    Result result = Decode(*s.process, *s.actor, step, *s.answer);
    completed_.push_back({std::move(step), std::move(result)});
  }
}

}  // namespace binderlite::conformance
