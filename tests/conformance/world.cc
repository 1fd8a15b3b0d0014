// SPDX-License-Identifier: Apache-2.0
//
// The controller: what a line of the language means, and what the trace says
// about it.

#include "world.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"

namespace binderlite::conformance {
namespace {

constexpr int kMaxThreads = 12;
constexpr std::size_t kStruct = sizeof(WriteRead);
constexpr int kNoSuchFd = 1000000;
constexpr std::uint64_t kNoSuchBuffer = 8;

[[noreturn]] void Die(const std::string& why, std::string_view what) {
  std::fprintf(stderr, "conformance: %s: %.*s\n", why.c_str(),
               static_cast<int>(what.size()), what.data());
  std::fflush(stdout);
  std::abort();
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    if (separator != ' ' || end > at)
      parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool IsNumber(const std::string& text) {
  char* end = nullptr;
  std::strtoull(text.c_str(), &end, 0);
  return !text.empty() && *end == '\0';
}

std::uint64_t Number(const std::string& text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0') Die("not a number", text);
  return value;
}

// The `index`th argument, `otherwise` if there are fewer.
std::uint64_t Arg(const std::vector<std::string>& args, std::size_t index,
                  std::uint64_t otherwise = 0) {
  return index < args.size() ? Number(args[index]) : otherwise;
}

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), value < 10 ? "%" PRIu64 : "0x%" PRIx64,
                value);
  return text;
}

std::string Bytes(const std::byte* data, std::size_t size) {
  char text[40];
  if (size > 16) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (std::size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<std::uint64_t>(data[i])) * 0x100000001b3;
    }
    std::snprintf(text, sizeof(text), "%zu#%08x", size,
                  static_cast<unsigned>(hash ^ (hash >> 32)));
    return text;
  }
  std::string all = "x";
  for (std::size_t i = 0; i < size; ++i) {
    std::snprintf(text, sizeof(text), "%02x", static_cast<unsigned>(data[i]));
    all += text;
  }
  return all;
}

template <class T>
T Load(const std::vector<std::byte>& bytes, std::size_t at) {
  T value = {};
  if (at + sizeof(T) <= bytes.size()) {
    std::memcpy(&value, bytes.data() + at, sizeof(T));
  }
  return value;
}

template <class T>
void Append(std::vector<std::byte>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof(T));
}

template <class T>
void Store(std::vector<std::byte>& bytes, std::size_t at, const T& value) {
  if (at + sizeof(T) <= bytes.size()) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }
}

std::size_t Align8(std::size_t n) { return (n + 7) & ~std::size_t{7}; }

// Bytes that depend on where they are, so that a shifted copy is noticed.
void AppendPattern(std::vector<std::byte>& bytes, std::size_t count,
                   std::uint32_t salt) {
  for (std::size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::byte>((salt * 31 + i * 7 + 1) & 0xff));
  }
}

struct Verb {
  const char* name;
  std::uint32_t request;
};

const Verb kRequests[] = {
    {"version", static_cast<std::uint32_t>(Ioctl::kVersion)},
    {"maxthreads", static_cast<std::uint32_t>(Ioctl::kSetMaxThreads)},
    {"ctxmgr", static_cast<std::uint32_t>(Ioctl::kSetContextMgr)},
    {"ctxmgrext", static_cast<std::uint32_t>(Ioctl::kSetContextMgrExt)},
    {"exit", static_cast<std::uint32_t>(Ioctl::kThreadExit)},
    {"idletimeout", static_cast<std::uint32_t>(Ioctl::kSetIdleTimeout)},
    {"idlepriority", static_cast<std::uint32_t>(Ioctl::kSetIdlePriority)},
    {"nodedebug", static_cast<std::uint32_t>(Ioctl::kGetNodeDebugInfo)},
    {"noderef", static_cast<std::uint32_t>(Ioctl::kGetNodeInfoForRef)},
    {"freeze", static_cast<std::uint32_t>(Ioctl::kFreeze)},
    {"frozeninfo", static_cast<std::uint32_t>(Ioctl::kGetFrozenInfo)},
    {"spam", static_cast<std::uint32_t>(Ioctl::kEnableOnewaySpamDetection)},
    {"exterr", static_cast<std::uint32_t>(Ioctl::kGetExtendedError)},
    {"wr", static_cast<std::uint32_t>(Ioctl::kWriteRead)},
};

struct Word {
  const char* name;
  Bc code;
};

const Word kWords[] = {
    {"txn", Bc::BC_TRANSACTION},
    {"reply", Bc::BC_REPLY},
    {"acqresult", Bc::BC_ACQUIRE_RESULT},
    {"free", Bc::BC_FREE_BUFFER},
    {"inc", Bc::BC_INCREFS},
    {"acq", Bc::BC_ACQUIRE},
    {"rel", Bc::BC_RELEASE},
    {"dec", Bc::BC_DECREFS},
    {"incdone", Bc::BC_INCREFS_DONE},
    {"acqdone", Bc::BC_ACQUIRE_DONE},
    {"attempt", Bc::BC_ATTEMPT_ACQUIRE},
    {"register", Bc::BC_REGISTER_LOOPER},
    {"enter", Bc::BC_ENTER_LOOPER},
    {"exitlooper", Bc::BC_EXIT_LOOPER},
    {"reqdeath", Bc::BC_REQUEST_DEATH_NOTIFICATION},
    {"cleardeath", Bc::BC_CLEAR_DEATH_NOTIFICATION},
    {"deaddone", Bc::BC_DEAD_BINDER_DONE},
    {"reqfreeze", Bc::BC_REQUEST_FREEZE_NOTIFICATION},
    {"clearfreeze", Bc::BC_CLEAR_FREEZE_NOTIFICATION},
    {"freezedone", Bc::BC_FREEZE_NOTIFICATION_DONE},
};

bool IsSg(const Command& command) {
  for (const std::string& item : command.payload) {
    if (item == "plain") return false;
  }
  for (const std::string& item : command.payload) {
    if (item == "sg" || item.rfind("ptr:", 0) == 0 ||
        item.rfind("bs=", 0) == 0) {
      return true;
    }
  }
  return false;
}

// The command's code, as it is sent.
std::optional<Bc> CodeOf(const Command& command) {
  for (const Word& word : kWords) {
    if (command.name != word.name) continue;
    if (word.code == Bc::BC_TRANSACTION && IsSg(command)) {
      return Bc::BC_TRANSACTION_SG;
    }
    if (word.code == Bc::BC_REPLY && IsSg(command)) return Bc::BC_REPLY_SG;
    return word.code;
  }
  return std::nullopt;
}

// Arguments of "wr" that are not commands.
bool IsOption(const std::string& token) {
  if (token.find('=') != std::string::npos) return true;
  return token == "wbad" || token == "rbad" || token == "argbad" ||
         token == "argnull" || token == "argro" || token == "sig";
}

bool Has(const Step& step, const char* flag) {
  return std::find(step.args.begin(), step.args.end(), flag) != step.args.end();
}

std::uint64_t Option(const Step& step, const char* name,
                     std::uint64_t otherwise) {
  const std::string prefix = std::string(name) + "=";
  for (const std::string& arg : step.args) {
    if (arg.rfind(prefix, 0) == 0) return Number(arg.substr(prefix.size()));
  }
  return otherwise;
}

const char* ObjectName(ObjectType type) {
  switch (type) {
    case ObjectType::kBinder:
      return "bin";
    case ObjectType::kWeakBinder:
      return "wbin";
    case ObjectType::kHandle:
      return "hnd";
    case ObjectType::kWeakHandle:
      return "whnd";
    case ObjectType::kFd:
      return "fd";
    case ObjectType::kFdArray:
      return "fda";
    case ObjectType::kPtr:
      return "ptr";
  }
  return "?";
}

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

std::string ErrnoName(int error) {
  switch (error) {
    case 0:
      return "0";
    case EPERM:
      return "EPERM";
    case ENOENT:
      return "ENOENT";
    case ESRCH:
      return "ESRCH";
    case EINTR:
      return "EINTR";
    case EBADF:
      return "EBADF";
    case EAGAIN:
      return "EAGAIN";
    case ENOMEM:
      return "ENOMEM";
    case EACCES:
      return "EACCES";
    case EFAULT:
      return "EFAULT";
    case EBUSY:
      return "EBUSY";
    case EINVAL:
      return "EINVAL";
    case EMFILE:
      return "EMFILE";
    case ENOTTY:
      return "ENOTTY";
    case ENOSPC:
      return "ENOSPC";
    case EPROTO:
      return "EPROTO";
    case ESPIPE:
      return "ESPIPE";
    default:
      return "E" + std::to_string(error);
  }
}

std::string Result::Names() const {
  std::string names;
  for (const Return& r : returns) {
    if (!names.empty()) names += ' ';
    names += ToString(r.br);
  }
  return names;
}

std::optional<Step> ParseStep(std::string_view line) {
  const std::size_t comment = line.find('#');
  const std::string_view code = line.substr(0, comment);
  std::vector<std::string> tokens = Split(code, ' ');
  if (tokens.empty()) return std::nullopt;
  if (tokens.size() < 2) Die("a line without a verb", line);
  Step step;
  for (const std::string& token : tokens) {
    if (!step.text.empty()) step.text += ' ';
    step.text += token;
  }
  // A, A.1 or A.1@2
  const std::string& who = tokens[0];
  step.process = who[0];
  const std::size_t at = who.find('@');
  if (at != std::string::npos) {
    step.slot = static_cast<int>(Number(who.substr(at + 1)));
  }
  if (who.size() > 2 && who[1] == '.') {
    step.thread = static_cast<int>(
        Number(who.substr(2, at == std::string::npos ? at : at - 2)));
  }
  if (step.thread >= kMaxThreads) Die("too many threads", line);
  step.verb = tokens[1];
  for (std::size_t i = 2; i < tokens.size(); ++i) {
    if (step.verb != "wr" || IsOption(tokens[i])) {
      step.args.push_back(tokens[i]);
      continue;
    }
    if (tokens[i] == "[") {
      if (step.commands.empty()) Die("a payload without a command", line);
      while (++i < tokens.size() && tokens[i] != "]") {
        step.commands.back().payload.push_back(tokens[i]);
      }
      continue;
    }
    std::vector<std::string> parts = Split(tokens[i], ':');
    Command command;
    command.name = parts[0];
    command.args.assign(parts.begin() + 1, parts.end());
    if (!CodeOf(command).has_value() && command.name != "word" &&
        command.name != "cut") {
      Die("unknown command", tokens[i]);
    }
    step.commands.push_back(std::move(command));
  }
  return step;
}

// --- The image of a call -----------------------------------------------------

class World::Image {
 public:
  explicit Image(Message& message) : message_(message) {}

  std::vector<std::byte>& bytes() { return message_.image; }
  std::size_t size() const { return message_.image.size(); }

  // Appends, 8-byte aligned; where to.
  std::size_t Add(const std::vector<std::byte>& more) {
    message_.image.resize(Align8(size()));
    const std::size_t at = size();
    message_.image.insert(message_.image.end(), more.begin(), more.end());
    return at;
  }
  // Makes the word at `at` an address.
  void PointAt(std::size_t at, std::uint64_t target, Base base = Base::kImage) {
    Store(message_.image, at, target);
    message_.relocations.push_back({static_cast<std::uint32_t>(at), base});
  }

 private:
  Message& message_;
};

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

// --- From text to bytes ------------------------------------------------------

std::uint64_t World::BufferAddress(Process_& process, const std::string& name) {
  if (IsNumber(name)) return Number(name);
  Process_* owner = &process;
  std::string key = name;
  std::uint64_t offset = 0;
  if (key.size() > 2 && key[1] == '/') {  // of another process
    owner = &Find(key[0]);
    key = key.substr(2);
  }
  if (const std::size_t plus = key.find('+'); plus != std::string::npos) {
    offset = Number(key.substr(plus + 1));
    key = key.substr(0, plus);
  }
  const auto buffer = owner->buffers.find(key);
  if (buffer == owner->buffers.end()) return kNoSuchBuffer;
  std::uint64_t address = buffer->second.address + offset;
  if (owner != &process || !buffer->second.live || offset != 0) {
    // Means a buffer that cannot be freed. Whether another one is at its
    // address by now depends on which of two equal holes an allocator takes.
    for (const auto& [other, live] : process.buffers) {
      if (live.live && live.address == address) address += 4;
    }
  }
  return address;
}

bool World::Encode(Process_& process, Actor_& actor, const Step& step,
                   Message& out) {
  Request& request = out.request;
  const std::string& verb = step.verb;
  if (verb == "open") {
    Open_& open = process.opens[step.slot];
    if (open.open) return false;
    std::string path = "/dev/binder";
    request.a = O_RDWR | O_CLOEXEC;
    for (const std::string& arg : step.args) {
      if (arg == "nb") {
        request.a |= O_NONBLOCK;
      } else {
        path = "/dev/" + arg;
      }
    }
    request.call = Call::kOpen;
    const auto* bytes = reinterpret_cast<const std::byte*>(path.c_str());
    out.image.assign(bytes, bytes + path.size() + 1);
    out.image.resize(Align8(out.image.size()));
    return true;
  }
  if (verb == "file") {
    request.call = Call::kMakeFile;
    return process.fds.count(step.args.at(0)) == 0;
  }
  if (verb == "closefd") {
    const auto fd = process.fds.find(step.args.at(0));
    if (fd == process.fds.end()) return false;
    request.call = Call::kPlainClose;
    request.fd = fd->second;
    process.fds.erase(fd);
    return true;
  }
  if (verb == "fdinfo") {
    const auto fd = process.fds.find(step.args.at(0));
    if (fd == process.fds.end()) return false;
    request.call = Call::kFdInfo;
    request.fd = fd->second;
    return true;
  }
  if (verb == "freedfd") {
    const auto fd = process.freed_fds.find(step.args.at(0));
    if (fd == process.freed_fds.end()) return false;
    request.call = Call::kFdInfo;
    request.fd = fd->second;
    return true;
  }
  if (verb == "peek") {  // peek BUFFER|+OFFSET SIZE
    const std::string& where = step.args.at(0);
    request.call = Call::kPeek;
    const auto buffer = process.buffers.find(where);
    if (buffer != process.buffers.end()) {
      request.a = buffer->second.address;
    } else if (where[0] == '+') {
      request.a = process.opens[step.slot].mapping + Number(where.substr(1));
    } else {
      return false;
    }
    request.b = Arg(step.args, 1, 8);
    return true;
  }
  if (verb == "epollwait") {
    request.call = Call::kEpollWait;
    request.a = Arg(step.args, 0, 0);
    return true;
  }
  if (verb == "epollend") {
    request.call = Call::kEpollEnd;
    return true;
  }
  if (verb == "nice") {
    request.call = Call::kNice;
    if (!step.args.empty()) {
      request.a = 1;
      request.b = Number(step.args[0]);
    }
    return true;
  }
  if (verb == "euid") {
    request.call = Call::kSetEuid;
    request.a = Arg(step.args, 0);
    return true;
  }
  if (verb == "hide") {
    request.call = Call::kHide;
    request.a = Arg(step.args, 0);
    return process.actors.at(request.a).busy.has_value();
  }
  if (verb == "borrow") {  // PROCESS[@SLOT]
    const std::string& from = step.args.at(0);
    Process_& owner = Find(from[0]);
    const int slot =
        from.size() > 2 ? static_cast<int>(Number(from.substr(2))) : 0;
    const auto theirs = owner.opens.find(slot);
    if (theirs == owner.opens.end() || !theirs->second.open) return false;
    if (process.opens[step.slot].open) return false;
    request.call = Call::kBorrow;
    request.fd = theirs->second.fd;
    request.a = static_cast<std::uint64_t>(owner.process->pid());
    return true;
  }
  if (verb == "endthread") {
    if (step.thread == 0) return false;
    request.call = Call::kEndThread;
    return true;
  }
  const auto found = process.opens.find(step.slot);
  if (found == process.opens.end()) return false;
  Open_& open = found->second;
  if (verb == "munmap" ? open.mapping == 0 : !open.open) return false;
  request.fd = open.fd;
  if (verb == "close") {
    // A mapping keeps the open alive, as it does any file.
    request.call = Call::kClose;
    request.a = open.mapping;
    request.b = open.size;
    open.open = false;
    open.mapping = 0;
  } else if (verb == "closefdonly") {
    request.call = Call::kClose;
    open.open = false;
  } else if (verb == "flush") {
    request.call = Call::kFlush;
  } else if (verb == "mmap") {
    request.call = Call::kMmap;
    request.a = Arg(step.args, 0, 131072);
    request.b = PROT_READ;
    if (step.args.size() > 1 && step.args[1] == "rw") request.b |= PROT_WRITE;
    request.c = MAP_PRIVATE | MAP_NORESERVE;
  } else if (verb == "munmap") {
    request.call = Call::kMunmap;
    request.a = open.mapping;
    request.b = open.size;
    open.mapping = 0;
  } else if (verb == "mprotect") {
    if (open.mapping == 0) return false;
    request.call = Call::kProtect;
    request.a = open.mapping;
    request.b = open.size;
    request.c = PROT_READ | PROT_WRITE;
  } else if (verb == "nonblock") {
    request.call = Call::kSetFlags;
    request.a = O_RDWR | (Arg(step.args, 0, 1) != 0 ? O_NONBLOCK : 0);
  } else if (verb == "poll") {
    request.call = Call::kPoll;
    request.a = Arg(step.args, 0, 0);
  } else if (verb == "epolladd") {
    request.call = Call::kEpollAdd;
    request.a = EPOLLIN;
    if (!step.args.empty() && step.args[0] == "et") request.a |= EPOLLET;
  } else if (verb == "read") {
    request.call = Call::kRead;
  } else if (verb == "write") {
    request.call = Call::kWrite;
  } else if (verb == "wr") {
    EncodeWriteRead(process, actor, step, out);
  } else {
    request.call = Call::kIoctl;
    request.a = 0;
    for (const Verb& known : kRequests) {
      if (verb == known.name) request.a = known.request;
    }
    std::vector<std::string> args = step.args;
    request.b = static_cast<std::uint64_t>(ArgAt::kImage);
    if (!args.empty()) {
      if (args.back() == "bad") {
        request.b = static_cast<std::uint64_t>(ArgAt::kUnreadable);
      } else if (args.back() == "ro") {
        request.b = static_cast<std::uint64_t>(ArgAt::kReadOnly);
      } else if (args.back() == "null") {
        request.b = static_cast<std::uint64_t>(ArgAt::kValue);
      }
      if (!IsNumber(args.back()) &&
          static_cast<ArgAt>(request.b) != ArgAt::kImage) {
        args.pop_back();
      }
    }
    auto& image = out.image;
    if (verb == "ioctl") {
      request.a = Arg(args, 0);
      image.resize(64);
    } else if (request.a == 0) {
      Die("unknown verb", step.text);
    } else if (verb == "ctxmgrext") {
      FlatObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
      object.binder = Arg(args, 0);
      object.cookie = Arg(args, 1);
      object.flags = static_cast<std::uint32_t>(Arg(args, 2));
      Append(image, object);
    } else if (verb == "nodedebug") {
      Append(image, NodeDebugInfo{.ptr = Arg(args, 0),
                                  .cookie = 0,
                                  .has_strong_ref = 0,
                                  .has_weak_ref = 0});
    } else if (verb == "noderef") {
      NodeInfoForRef info = {};
      info.handle = static_cast<std::uint32_t>(Arg(args, 0));
      info.reserved3 = static_cast<std::uint32_t>(Arg(args, 1));
      Append(image, info);
    } else if (verb == "freeze" || verb == "frozeninfo") {
      FreezeInfo info = {};
      if (args.empty()) Die("whom", step.text);
      info.pid = static_cast<std::uint32_t>(
          IsNumber(args[0])
              ? Number(args[0])
              : static_cast<std::uint64_t>(Find(args[0][0]).process->pid()));
      info.enable = static_cast<std::uint32_t>(Arg(args, 1));
      info.timeout_ms = static_cast<std::uint32_t>(Arg(args, 2));
      Append(image, info);
    } else {
      image.resize(16);
      const auto value = static_cast<std::uint32_t>(Arg(args, 0));
      Store(image, 0, value);
    }
    request.back = static_cast<std::uint32_t>(image.size());
    image.resize(Align8(image.size()));
  }
  return true;
}

void World::EncodeWriteRead(Process_& process, Actor_& actor, const Step& step,
                            Message& out) {
  Image image(out);
  Request& request = out.request;
  request.call = Has(step, "sig") ? Call::kIoctlInterrupted : Call::kIoctl;
  request.fd_room = static_cast<std::int32_t>(Option(step, "fdroom", ~0ull));
  request.a = static_cast<std::uint32_t>(Ioctl::kWriteRead);
  request.b =
      static_cast<std::uint64_t>(Has(step, "argbad")    ? ArgAt::kUnreadable
                                 : Has(step, "argnull") ? ArgAt::kValue
                                 : Has(step, "argro")   ? ArgAt::kReadOnly
                                                        : ArgAt::kImage);
  WriteRead wr = {};
  wr.read_size = Option(step, "r", 0);
  wr.read_consumed = Option(step, "rc", 0);
  wr.write_consumed = Option(step, "wc", 0);
  const bool tail = Option(step, "rtail", ~0ull) != ~0ull;
  const std::uint64_t readable =
      tail ? Option(step, "rtail", 0)
           : std::min<std::uint64_t>(wr.read_size, 64 << 10);
  image.Add(std::vector<std::byte>(kStruct));
  std::size_t read_at = 0;
  if (!tail) read_at = image.Add(std::vector<std::byte>(readable));
  // What a fault in the middle of a write needs is that the stream ends where
  // memory does.
  std::vector<std::byte> stream;
  std::vector<std::pair<std::size_t, std::size_t>> later;
  Step& busy = const_cast<Step&>(step);
  for (Command& command : busy.commands) {
    const auto code = CodeOf(command);
    const auto arg = [&](std::size_t i) { return Arg(command.args, i); };
    if (command.name == "word") {
      Append(stream, static_cast<std::uint32_t>(arg(0)));
    } else if (command.name == "cut") {  // shortens the stream
      stream.resize(stream.size() -
                    std::min(stream.size(), static_cast<std::size_t>(arg(0))));
    } else {
      Append(stream, static_cast<std::uint32_t>(*code));
      switch (*code) {
        case Bc::BC_TRANSACTION:
        case Bc::BC_TRANSACTION_SG:
        case Bc::BC_REPLY:
        case Bc::BC_REPLY_SG: {
          TransactionDataSg data = {};
          const bool txn = command.name == "txn";
          std::size_t i = 0;
          if (txn) {
            data.data.target.handle = static_cast<std::uint32_t>(arg(i++));
          }
          data.data.code = static_cast<std::uint32_t>(arg(i++));
          data.data.flags = static_cast<std::uint32_t>(arg(i++));
          const std::size_t at = stream.size();
          Append(stream, data.data);
          if (IsSg(command)) Append(stream, data.buffers_size);
          EncodePayload(process, command, image, at, data.data.code, later,
                        stream);
          break;
        }
        case Bc::BC_FREE_BUFFER:
          Append(stream, BufferAddress(process, command.args.at(0)));
          break;
        case Bc::BC_INCREFS_DONE:
        case Bc::BC_ACQUIRE_DONE:
          Append(stream, PtrCookie{arg(0), arg(1)});
          break;
        case Bc::BC_REQUEST_DEATH_NOTIFICATION:
        case Bc::BC_CLEAR_DEATH_NOTIFICATION:
        case Bc::BC_REQUEST_FREEZE_NOTIFICATION:
        case Bc::BC_CLEAR_FREEZE_NOTIFICATION:
          Append(stream,
                 HandleCookie{static_cast<std::uint32_t>(arg(0)), arg(1)});
          break;
        default: {
          // One number, as wide as the code says.
          const std::uint64_t value = arg(0);
          const std::size_t at = stream.size();
          stream.resize(at + PayloadSize(*code));
          std::memcpy(stream.data() + at, &value,
                      std::min(sizeof(value), PayloadSize(*code)));
        }
      }
    }
    command.end = stream.size();
  }
  if (!tail) image.bytes().resize(Align8(image.size()));
  const std::size_t written = stream.size();
  wr.write_size = written + Option(step, "ws", 0);
  if (written > 0) {
    // Put in front what keeps it aligned.
    std::vector<std::byte> padded((8 - written % 8) % 8);
    const std::size_t pad = padded.size();
    padded.insert(padded.end(), stream.begin(), stream.end());
    const std::size_t at = image.Add(padded) + pad;
    for (const auto& [in_stream, in_image] : later) {
      if (in_stream + 8 > written) continue;  // has been cut off
      if (in_image == ~std::size_t{0}) {
        image.PointAt(at + in_stream, 0, Base::kUnreadable);
      } else {
        image.PointAt(at + in_stream, in_image);
      }
    }
    image.PointAt(offsetof(WriteRead, write_buffer), at);
  }
  if (tail) {
    std::vector<std::byte> area((8 - readable % 8) % 8 + readable);
    read_at = image.Add(area) + area.size() - readable;
  }
  if (wr.read_size > 0) {
    image.PointAt(offsetof(WriteRead, read_buffer), read_at);
  }
  if (Has(step, "wbad")) {
    wr.write_size = std::max<std::uint64_t>(wr.write_size, 4);
    image.PointAt(offsetof(WriteRead, write_buffer), 0, Base::kUnreadable);
  }
  if (Has(step, "rbad")) {
    image.PointAt(offsetof(WriteRead, read_buffer), 0, Base::kUnreadable);
  }
  auto& bytes = image.bytes();
  Store(bytes, offsetof(WriteRead, write_size), wr.write_size);
  Store(bytes, offsetof(WriteRead, write_consumed), wr.write_consumed);
  Store(bytes, offsetof(WriteRead, read_size), wr.read_size);
  Store(bytes, offsetof(WriteRead, read_consumed), wr.read_consumed);
  actor.read_at = read_at;
  actor.sent_read_size = readable;
  actor.sent_read_consumed = wr.read_consumed;
  std::memcpy(actor.entry_words, &wr, sizeof(wr));
  request.back = static_cast<std::uint32_t>(tail ? image.size()
                                                 : kStruct + Align8(readable));
  if (static_cast<ArgAt>(request.b) != ArgAt::kImage) {
    request.back = 0;
    // Behind the struct there is no room in the page for much else: its
    // pointers are relative to the original image, which is still there.
  }
  actor.image_back = request.back > 0;
}

// Appends the payload to the image and fills in the transaction at `data_at` of
// the stream. `later` collects which words of the stream point where.
void World::EncodePayload(
    Process_& process, const Command& command, Image& image,
    std::size_t data_at, std::uint32_t code,
    std::vector<std::pair<std::size_t, std::size_t>>& later,
    std::vector<std::byte>& stream) {
  std::vector<std::byte> data;
  std::vector<std::uint64_t> offsets;
  struct Chunk {
    std::size_t object_at;  // in data
    std::size_t index;      // in offsets
    std::vector<std::byte> bytes;
    bool bad;
    std::size_t skew;  // how far its address is from an aligned one
  };
  std::vector<Chunk> chunks;
  std::optional<std::uint64_t> data_size;
  std::optional<std::uint64_t> offsets_size;
  std::optional<std::uint64_t> buffers_size;
  bool bad_data = false;
  bool bad_offsets = false;
  std::uint64_t shift = 0;
  bool no_offset = false;
  const auto place = [&](const auto& object) {
    data.resize(Align8(data.size()));
    if (!no_offset) offsets.push_back(data.size() + shift);
    shift = 0;
    no_offset = false;
    Append(data, object);
  };
  const auto fd_of = [&](const std::string& name) {
    const auto fd = process.fds.find(name);
    return fd == process.fds.end() ? kNoSuchFd : fd->second;
  };
  for (const std::string& item : command.payload) {
    if (const std::size_t equals = item.find('=');
        equals != std::string::npos) {
      const std::uint64_t value = Number(item.substr(equals + 1));
      const std::string key = item.substr(0, equals);
      if (key == "ds") data_size = value;
      if (key == "os") offsets_size = value;
      if (key == "bs") buffers_size = value;
      continue;
    }
    const std::vector<std::string> parts = Split(item, ':');
    const std::string& kind = parts[0];
    const std::vector<std::string> args(parts.begin() + 1, parts.end());
    if (kind == "raw") {
      AppendPattern(data, Arg(args, 0), code);
    } else if (kind == "bin" || kind == "wbin") {
      FlatObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(
          kind == "bin" ? ObjectType::kBinder : ObjectType::kWeakBinder);
      object.binder = Arg(args, 0);
      object.cookie = Arg(args, 1);
      object.flags = static_cast<std::uint32_t>(Arg(args, 2));
      place(object);
    } else if (kind == "hnd" || kind == "whnd") {
      FlatObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(
          kind == "hnd" ? ObjectType::kHandle : ObjectType::kWeakHandle);
      object.binder = 0xabcd00000000;  // whose upper half means nothing
      object.handle = static_cast<std::uint32_t>(Arg(args, 0));
      object.cookie = 0x1234;
      object.flags = static_cast<std::uint32_t>(Arg(args, 1));
      place(object);
    } else if (kind == "fd") {
      FdObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFd);
      object.pad_flags = 0x5a;
      object.pad_binder = 0xabcd00000000;
      object.fd = static_cast<std::uint32_t>(fd_of(args.at(0)));
      object.cookie = 0x77;
      place(object);
    } else if (kind == "ptr") {  // ptr:LENGTH[:PARENT@OFFSET][:bad]
      BufferObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(ObjectType::kPtr);
      object.length = Arg(args, 0);
      bool bad = false;
      std::size_t skew = 0;
      for (std::size_t i = 1; i < args.size(); ++i) {
        if (args[i] == "bad") {
          bad = true;
          continue;
        }
        if (args[i][0] == '+') {
          skew = Number(args[i].substr(1));
          continue;
        }
        const std::vector<std::string> parent = Split(args[i], '@');
        object.flags = kBufferFlagHasParent;
        object.parent = Number(parent.at(0));
        object.parent_offset = Number(parent.at(1));
      }
      place(object);
      Chunk chunk = {
          data.size() - sizeof(object), offsets.size() - 1, {}, bad, skew};
      AppendPattern(chunk.bytes,
                    std::min<std::uint64_t>(object.length, 16 << 10),
                    code + static_cast<std::uint32_t>(chunks.size()) + 1);
      chunks.push_back(std::move(chunk));
    } else if (kind == "fda") {  // fda:COUNT:PARENT@OFFSET[:f1,f2...]
      FdArrayObject object = {};
      object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFdArray);
      object.num_fds = Arg(args, 0);
      const std::vector<std::string> parent = Split(args.at(1), '@');
      object.parent = Number(parent.at(0));
      object.parent_offset = Number(parent.at(1));
      if (args.size() > 2) {
        std::size_t at = object.parent_offset;
        for (const std::string& name : Split(args[2], ',')) {
          for (Chunk& chunk : chunks) {
            if (chunk.index != object.parent) continue;
            Store(chunk.bytes, at, static_cast<std::uint32_t>(fd_of(name)));
          }
          at += 4;
        }
      }
      place(object);
    } else if (kind == "obj") {  // obj:TYPE:SIZE
      data.resize(Align8(data.size()));
      if (!no_offset) offsets.push_back(data.size() + shift);
      shift = 0;
      no_offset = false;
      const std::size_t at = data.size();
      AppendPattern(data, std::max<std::uint64_t>(Arg(args, 1), 4), code);
      Store(data, at, static_cast<std::uint32_t>(Arg(args, 0)));
    } else if (kind == "off") {
      offsets.push_back(Arg(args, 0));
    } else if (kind == "shift") {
      shift = Arg(args, 0);
    } else if (kind == "nooff") {
      no_offset = true;
    } else if (kind == "dbad") {
      bad_data = true;
    } else if (kind == "obad") {
      bad_offsets = true;
    } else if (kind != "sg" && kind != "plain") {
      Die("unknown item", item);
    }
  }
  std::uint64_t sg = 0;
  std::vector<std::size_t> placed;
  for (const Chunk& chunk : chunks) {
    sg += Align8(chunk.bytes.size());
    std::vector<std::byte> bytes(chunk.skew);
    bytes.insert(bytes.end(), chunk.bytes.begin(), chunk.bytes.end());
    placed.push_back(image.Add(bytes) + chunk.skew);
  }
  // A size that says more than there is reads zeros, not what happens to
  // follow.
  const auto padded = [](std::vector<std::byte> bytes,
                         std::optional<std::uint64_t> said) {
    constexpr std::uint64_t kMost = 4096;
    const std::uint64_t wanted = std::min(said.value_or(0), kMost);
    if (wanted > bytes.size()) bytes.resize(wanted);
    return bytes;
  };
  const std::size_t in_image = image.Add(padded(data, data_size));
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::size_t at =
        in_image + chunks[i].object_at + offsetof(BufferObject, buffer);
    if (chunks[i].bad) {
      image.PointAt(at, 0, Base::kUnreadable);
    } else {
      image.PointAt(at, placed[i]);
    }
  }
  std::vector<std::byte> offset_bytes;
  for (std::uint64_t offset : offsets) Append(offset_bytes, offset);
  const std::size_t offsets_in_image =
      image.Add(padded(offset_bytes, offsets_size));
  Store(stream, data_at + offsetof(TransactionData, data_size),
        data_size.value_or(data.size()));
  Store(stream, data_at + offsetof(TransactionData, offsets_size),
        offsets_size.value_or(offset_bytes.size()));
  if (IsSg(command)) {
    Store(stream, data_at + sizeof(TransactionData), buffers_size.value_or(sg));
  }
  later.emplace_back(data_at + offsetof(TransactionData, buffer),
                     bad_data ? ~std::size_t{0} : in_image);
  later.emplace_back(data_at + offsetof(TransactionData, offsets),
                     bad_offsets ? ~std::size_t{0} : offsets_in_image);
}

// --- From bytes to text ------------------------------------------------------

std::string World::NamePid(std::int64_t pid) const {
  if (pid == 0) return "0";
  for (const auto& process : processes_) {
    if (process->process->pid() == pid) return std::string(1, process->name);
  }
  return "?";
}

std::string World::NameError(std::uint32_t id) {
  if (id == 0) return "0";
  const auto [entry, added] =
      error_ids_.try_emplace(id, "e" + std::to_string(error_ids_.size() + 1));
  return entry->second;
}

std::string World::NameFd(Process_& process, Actor_& actor, int fd) {
  const Answer info = RoundTrip(actor, {.call = Call::kFdInfo, .fd = fd});
  if (info.response.ret != 0) return "none";
  const auto file = files_.find(info.response.number);
  const std::string base = file == files_.end() ? "file" : file->second;
  for (auto it = process.fds.begin(); it != process.fds.end();) {
    it = it->second == fd ? process.fds.erase(it) : std::next(it);
  }
  std::string name = base;
  for (int i = 2; process.fds.count(name) != 0; ++i) {
    name = base + "." + std::to_string(i);
  }
  process.fds[name] = fd;
  return info.response.value != 0 ? name : name + "(no cloexec)";
}

Result World::Decode(Process_& process, Actor_& actor, const Step& step,
                     const Answer& answer) {
  Result result;
  const Response& response = answer.response;
  result.ret = response.ret;
  result.error = response.ret == -1 ? response.error : 0;
  result.text = "= " + (response.ret == -1 ? ErrnoName(response.error)
                                           : std::to_string(response.ret));
  const bool ok = response.ret != -1;
  const std::string& verb = step.verb;
  Open_* open = nullptr;
  if (const auto found = process.opens.find(step.slot);
      found != process.opens.end()) {
    open = &found->second;
  }
  const auto word = [&](std::size_t i) {
    return Load<std::uint32_t>(answer.bytes, 4 * i);
  };
  if (response.touched) result.text += " (has changed what was sent)";
  if (verb == "open" || verb == "borrow") {
    if (ok) {
      open->fd = static_cast<int>(response.ret);
      open->open = true;
      result.text = "= fd";
      if (open->mapping != 0) {  // of what was open here before
        RoundTrip(actor,
                  {.call = Call::kMunmap, .a = open->mapping, .b = open->size});
        open->mapping = 0;
      }
    }
  } else if (verb == "mmap") {
    if (ok) {
      open->mapping = response.value;
      open->size = Arg(step.args, 0, 131072);
    }
  } else if (verb == "file") {
    process.fds[step.args[0]] = static_cast<int>(response.value);
    files_[response.number] = step.args[0];
  } else if (verb == "peek") {
    if (ok)
      result.text += " " + Bytes(answer.bytes.data(), answer.bytes.size());
  } else if (verb == "fdinfo" || verb == "freedfd") {
    const auto file = files_.find(response.number);
    result.text += " " + (!ok                    ? "none"
                          : file == files_.end() ? "?"
                                                 : file->second);
  } else if (verb == "nice") {
    result.value = response.value;
    result.text +=
        " " + std::to_string(static_cast<std::int64_t>(response.value));
  } else if (verb == "poll" || verb == "epollwait") {
    result.value = response.value;
    result.text += " " + Hex(response.value);
  } else if (verb == "endthread") {
    actor.ended = true;
  } else if (verb == "wr") {
    DecodeWriteRead(process, actor, step, answer, result);
  } else if (ok && answer.response.size > 0) {
    if (verb == "version") {
      result.value = word(0);
      result.text += " " + std::to_string(word(0));
    } else if (verb == "nodedebug") {
      const auto info = Load<NodeDebugInfo>(answer.bytes, 0);
      result.value = info.ptr;
      result.text += " ptr " + Hex(info.ptr) + " cookie " + Hex(info.cookie) +
                     " strong " + Hex(info.has_strong_ref) + " weak " +
                     Hex(info.has_weak_ref);
    } else if (verb == "noderef") {
      const auto info = Load<NodeInfoForRef>(answer.bytes, 0);
      result.text += " handle " + Hex(info.handle) + " strong " +
                     Hex(info.strong_count) + " weak " + Hex(info.weak_count) +
                     " " + Hex(info.reserved1) + Hex(info.reserved2) +
                     Hex(info.reserved3);
    } else if (verb == "frozeninfo") {
      result.value = word(1);
      result.text += " sync " + Hex(word(1)) + " async " + Hex(word(2));
    } else if (verb == "exterr") {
      result.extended_error = Load<ExtendedError>(answer.bytes, 0);
      const ExtendedError& error = result.extended_error;
      const auto br = ToBr(error.command);
      result.text +=
          " " + NameError(error.id) + " " +
          (br.has_value() ? std::string(ToString(*br)) : Hex(error.command)) +
          " " + ErrnoName(-error.param);
      Count("exterr " + std::string(br.has_value() ? ToString(*br) : "BR_?") +
            " " + ErrnoName(-error.param));
    }
  }
  return result;
}

void World::AfterFree(Process_& process, const Step& step,
                      std::uint64_t consumed) {
  for (const Command& command : step.commands) {
    if (command.name != "free" || command.end > consumed) continue;
    const auto buffer = process.buffers.find(command.args[0]);
    if (buffer == process.buffers.end() || !buffer->second.live) continue;
    buffer->second.live = false;
    for (const std::string& name : buffer->second.array_fds) {
      const auto fd = process.fds.find(name);
      if (fd == process.fds.end()) continue;
      process.freed_fds[name] = fd->second;
      process.fds.erase(fd);
    }
  }
}

void World::DecodeWriteRead(Process_& process, Actor_& actor, const Step& step,
                            const Answer& answer, Result& result) {
  if (!actor.image_back) {
    // The struct did not come back; the commands may have been run.
    if (Has(step, "argro")) AfterFree(process, step, ~std::uint64_t{0});
    return;
  }
  const auto wr = Load<WriteRead>(answer.bytes, 0);
  WriteRead entry;
  std::memcpy(&entry, actor.entry_words, sizeof(entry));
  result.write_consumed = wr.write_consumed;
  result.read_consumed = wr.read_consumed;
  result.text += " w" + std::to_string(wr.write_consumed) + " r" +
                 std::to_string(wr.read_consumed);
  if (wr.write_size != entry.write_size || wr.read_size != entry.read_size) {
    result.text += " (sizes changed)";
  }
  AfterFree(process, step, wr.write_consumed);
  const auto first = Load<std::uint32_t>(answer.bytes, actor.read_at);
  if ((result.ret != 0 || actor.sent_read_consumed > 0) && first != 0 &&
      actor.sent_read_size >= 4) {
    // What a failed read has left, or a later one has put in front.
    const auto br = ToBr(first);
    result.text += " (first word ";
    result.text += br.has_value() ? std::string(ToString(*br)) : Hex(first);
    result.text += ")";
  }
  if (result.ret != 0) return;
  std::size_t at = actor.read_at + actor.sent_read_consumed;
  const std::size_t end =
      actor.read_at + std::min(wr.read_consumed, actor.sent_read_size);
  if (at < end) result.text += ":";
  while (at + 4 <= end) {
    const auto code = Load<std::uint32_t>(answer.bytes, at);
    at += 4;
    const auto br = ToBr(code);
    if (!br.has_value() || at + PayloadSize(*br) > end) {
      result.text += " garbage " + Hex(code);
      return;
    }
    Return r;
    r.br = *br;
    result.text += " ";
    result.text += ToString(*br);
    switch (*br) {
      case Br::BR_TRANSACTION:
      case Br::BR_TRANSACTION_SEC_CTX:
      case Br::BR_REPLY:
        r.data = Load<TransactionData>(answer.bytes, at);
        result.text += DecodeTransaction(process, actor, r.data, r);
        break;
      case Br::BR_INCREFS:
      case Br::BR_ACQUIRE:
      case Br::BR_RELEASE:
      case Br::BR_DECREFS: {
        const auto node = Load<PtrCookie>(answer.bytes, at);
        r.ptr = node.ptr;
        r.cookie = node.cookie;
        result.text += "{" + Hex(r.ptr) + " " + Hex(r.cookie) + "}";
        break;
      }
      case Br::BR_FROZEN_BINDER: {
        const auto info = Load<FrozenStateInfo>(answer.bytes, at);
        r.cookie = info.cookie;
        r.value = info.is_frozen;
        result.text += "{" + Hex(r.cookie) + " " + Hex(info.is_frozen) + " " +
                       Hex(info.reserved) + "}";
        break;
      }
      default:
        if (PayloadSize(*br) == 8) {
          r.cookie = Load<std::uint64_t>(answer.bytes, at);
          result.text += "{" + Hex(r.cookie) + "}";
        } else if (PayloadSize(*br) == 4) {
          r.value = Load<std::uint32_t>(answer.bytes, at);
          result.text += "{" + Hex(r.value) + "}";
        }
    }
    at += PayloadSize(*br);
    result.returns.push_back(std::move(r));
  }
  if (at < end) result.text += " +" + std::to_string(end - at);
}

std::string World::DecodeTransaction(Process_& process, Actor_& actor,
                                     const TransactionData& data, Return& out) {
  // Buffers are named after the code, which tells apart what was sent: a
  // generated program has a code of its own in each step.
  const std::string base = "b" + std::to_string(data.code);
  out.buffer = base;
  for (int i = 2; process.buffers.count(out.buffer) != 0; ++i) {
    out.buffer = base + "." + std::to_string(i);
  }
  Buffer_& buffer = process.buffers[out.buffer];
  buffer.address = data.buffer;
  std::string text = "{" + Hex(data.target.ptr) + " " + Hex(data.cookie) +
                     " code " + std::to_string(data.code) + " flags " +
                     Hex(data.flags) + " from " + NamePid(data.sender_pid) +
                     "/" + std::to_string(data.sender_euid) + " " + out.buffer +
                     " " + std::to_string(data.data_size) + "+" +
                     std::to_string(data.offsets_size);
  bool inside = false;
  for (const auto& [slot, open] : process.opens) {
    if (data.buffer >= open.mapping && data.buffer < open.mapping + open.size) {
      inside = true;
    }
  }
  if (!inside) text += " outside of the mapping";
  if (data.offsets_size > 0 &&
      data.offsets != data.buffer + Align8(data.data_size)) {
    text += " offsets elsewhere";
  }
  if (inside && data.data_size > 0) {
    text += " " + DecodeObjects(process, actor, data, buffer, out);
  }
  return text + "}";
}

std::string World::DecodeObjects(Process_& process, Actor_& actor,
                                 const TransactionData& data, Buffer_& buffer,
                                 Return& out) {
  const std::size_t data_size = data.data_size;
  const Answer all =
      RoundTrip(actor, {.call = Call::kPeek,
                        .a = data.buffer,
                        .b = Align8(data_size) + data.offsets_size});
  if (all.response.ret != 0) return "unreadable";
  const std::vector<std::byte>& bytes = all.bytes;
  struct Ptr {
    std::size_t index;
    std::uint64_t address;
    std::vector<std::byte> content;
    std::vector<std::pair<std::size_t, std::string>> names;
  };
  std::vector<Ptr> ptrs;
  const std::size_t count = data.offsets_size / 8;
  const auto offset_of = [&](std::size_t i) {
    return Load<std::uint64_t>(bytes, Align8(data_size) + 8 * i);
  };
  const auto relative = [&](std::uint64_t address) {
    if (address < data.buffer || address > data.buffer + (4 << 20)) {
      return std::string("elsewhere");
    }
    return "+" + std::to_string(address - data.buffer);
  };
  const auto parent_of = [&](std::uint64_t index) -> Ptr* {
    for (Ptr& ptr : ptrs) {
      if (ptr.index == index) return &ptr;
    }
    return nullptr;
  };
  std::vector<std::string> texts(count);
  std::vector<std::size_t> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = offset_of(i);
    const auto type = static_cast<ObjectType>(Load<std::uint32_t>(bytes, at));
    Object object;
    object.type = type;
    sizes[i] = ObjectSize(type);
    std::string text = ObjectName(type);
    switch (type) {
      case ObjectType::kBinder:
      case ObjectType::kWeakBinder:
      case ObjectType::kHandle:
      case ObjectType::kWeakHandle: {
        const auto flat = Load<FlatObject>(bytes, at);
        object.flags = flat.flags;
        object.ptr = flat.binder;
        object.cookie = flat.cookie;
        object.handle = flat.handle;
        // A handle has nothing but zeros in the rest of it.
        text += ":" + Hex(flat.binder);
        if (type == ObjectType::kBinder || type == ObjectType::kWeakBinder ||
            flat.cookie != 0) {
          text += ":" + Hex(flat.cookie);
        }
        if (flat.flags != 0) text += ":flags " + Hex(flat.flags);
        break;
      }
      case ObjectType::kFd: {
        const auto fd = Load<FdObject>(bytes, at);
        object.fds.push_back(NameFd(process, actor, static_cast<int>(fd.fd)));
        text += ":" + object.fds.back() + ":" + Hex(fd.pad_flags) + ":" +
                Hex(fd.pad_binder >> 32) + ":" + Hex(fd.cookie);
        break;
      }
      case ObjectType::kPtr: {
        const auto ptr = Load<BufferObject>(bytes, at);
        text += ":" + std::to_string(ptr.length) + "@" + relative(ptr.buffer);
        if (ptr.flags != 0) text += ":flags " + Hex(ptr.flags);
        Ptr child = {i, ptr.buffer, {}, {}};
        if (ptr.length > 0) {
          const Answer content = RoundTrip(
              actor, {.call = Call::kPeek, .a = ptr.buffer, .b = ptr.length});
          child.content = content.bytes;
        }
        if ((ptr.flags & kBufferFlagHasParent) != 0) {
          text += ":" + std::to_string(ptr.parent) + "@" +
                  std::to_string(ptr.parent_offset);
          if (Ptr* parent = parent_of(ptr.parent)) {
            const auto fixed =
                Load<std::uint64_t>(parent->content, ptr.parent_offset);
            parent->names.emplace_back(
                ptr.parent_offset,
                fixed == ptr.buffer ? "fixed" : relative(fixed));
            Store(parent->content, ptr.parent_offset, std::uint64_t{0});
          }
        }
        ptrs.push_back(std::move(child));
        break;
      }
      case ObjectType::kFdArray: {
        const auto array = Load<FdArrayObject>(bytes, at);
        text += ":" + std::to_string(array.num_fds) + ":" +
                std::to_string(array.parent) + "@" +
                std::to_string(array.parent_offset);
        if (Ptr* parent = parent_of(array.parent)) {
          for (std::size_t k = 0; k < array.num_fds && k < 64; ++k) {
            const std::size_t where = array.parent_offset + 4 * k;
            const auto fd = Load<std::uint32_t>(parent->content, where);
            object.fds.push_back(NameFd(process, actor, static_cast<int>(fd)));
            buffer.array_fds.push_back(object.fds.back());
            text += (k == 0 ? ":" : ",") + object.fds.back();
            Store(parent->content, where, std::uint32_t{0});
          }
        }
        break;
      }
    }
    texts[i] = text;
    out.objects.push_back(std::move(object));
  }
  std::string text = "[";
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t offset = offset_of(i);
    if (offset > at && offset <= data_size) {
      text += " " + Bytes(bytes.data() + at, offset - at);
    }
    text += " " + texts[i];
    for (const Ptr& ptr : ptrs) {
      if (ptr.index != i) continue;
      text += "(" + Bytes(ptr.content.data(), ptr.content.size());
      for (const auto& [where, name] : ptr.names) {
        text += " " + std::to_string(where) + " " + name;
      }
      text += ")";
    }
    at = offset + sizes[i];
  }
  if (at < data_size) text += " " + Bytes(bytes.data() + at, data_size - at);
  return text + " ]";
}

// --- What was reached
// --------------------------------------------------------

void World::Count(const std::string& feature) {
  if (options_.histogram != nullptr) ++(*options_.histogram)[feature];
}

void World::CountStep(const Step& step, const Result& result) {
  if (options_.histogram == nullptr) return;
  const std::string outcome = result.ret == -1 ? ErrnoName(result.error) : "0";
  Count(step.verb + " " + outcome);
  if (step.verb == "poll" && result.ret == 1) Count("poll 1");
  for (const Command& command : step.commands) {
    const auto code = CodeOf(command);
    if (!code.has_value()) continue;
    const bool consumed = command.end <= result.write_consumed;
    if (!consumed && result.ret == 0) continue;
    Count(std::string(ToString(*code)) + (consumed ? "" : " " + outcome));
    if (!consumed) break;
    if (*code != Bc::BC_TRANSACTION && *code != Bc::BC_TRANSACTION_SG &&
        *code != Bc::BC_REPLY && *code != Bc::BC_REPLY_SG) {
      continue;
    }
    for (const std::string& item : command.payload) {
      const std::string kind = item.substr(0, item.find(':'));
      if (kind.find('=') == std::string::npos) Count("sends " + kind);
    }
    const std::uint64_t flags =
        Arg(command.args, command.name == "txn" ? 2 : 1);
    for (std::uint64_t bit = 1; bit <= 0x40; bit <<= 1) {
      if ((flags & bit) != 0) Count(command.name + " flag " + Hex(bit));
    }
  }
  for (const Return& r : result.returns) {
    Count(std::string(ToString(r.br)));
    for (const Object& object : r.objects) {
      Count("receives " + std::string(ObjectName(object.type)));
      if (object.type == ObjectType::kBinder ||
          object.type == ObjectType::kHandle) {
        for (std::uint32_t bit : {kFlatAcceptsFds, kFlatTxnSecurityCtx}) {
          if ((object.flags & bit) != 0) Count("object flag " + Hex(bit));
        }
      }
    }
  }
}

}  // namespace binderlite::conformance
