// SPDX-License-Identifier: Apache-2.0
//
// The generator. Two things shape it. Conversations should get far, so it keeps
// in mind who can do what: which handles, buffers and duties a process has. And
// the kernel must have no choice that lock step does not show: while a thread
// sleeps in a process, no line does two things that this thread could see one
// or both of ("careful" below).
//
// Every conversation is the same wherever it is made: an expression draws one
// random number at most, since compilers differ in what they evaluate first.

#include "generator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "binderlite/wire/flags.h"

namespace binderlite::conformance {
namespace {

std::string Text(std::uint64_t value) { return std::to_string(value); }

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

// The values of the nodes of every process.
std::uint64_t PtrOf(std::uint64_t index) { return 0x10 * (index + 1); }

}  // namespace

std::size_t Random::Weighted(const std::vector<unsigned>& weights) {
  std::uint64_t sum = 0;
  for (unsigned weight : weights) sum += weight;
  std::uint64_t at = Below(sum);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (at < weights[i]) return i;
    at -= weights[i];
  }
  return 0;
}

Generator::Generator(const Options& options)
    : options_(options), random_(options.seed * 0x2545f4914f6cdd1d + 1) {
  const char* kSizes[] = {"4096", "8192", "16384", "65536", "131072"};
  for (char name : {'M', 'A', 'B', 'C'}) {
    Proc proc;
    proc.name = name;
    procs_.push_back(proc);
    const std::string who = std::string(1, name) + ".0 ";
    if (name == 'B') queue_.push_back("B new euid=1001");
    queue_.push_back(who + "open" + (random_.Percent(30) ? " nb" : ""));
    queue_.push_back(who + "mmap " + kSizes[random_.Below(5)]);
    queue_.push_back(who + "file f" + std::string(1, name));
    if (name == 'M') {
      queue_.push_back(random_.Percent(30) ? "M.0 ctxmgr"
                                           : "M.0 ctxmgrext 0x5 0x6 0x100");
    }
    if (random_.Percent(40)) {
      queue_.push_back(who + "maxthreads " + Text(random_.Below(4)));
    }
    if (random_.Percent(30)) queue_.push_back(who + "spam 1");
    if (random_.Percent(50)) {
      queue_.push_back(std::string(1, name) + ".1 wr enter");
    }
  }
  std::reverse(queue_.begin(), queue_.end());
}

Generator::Proc& Generator::Find(char name) {
  for (Proc& proc : procs_) {
    if (proc.name == name) return proc;
  }
  std::abort();
}

std::string Generator::Who(const Proc& proc, int thread) const {
  return std::string(1, proc.name) + "." + std::to_string(thread) + " ";
}

std::uint64_t Generator::NewCookie() {
  if (random_.Percent(5)) return cookie_;  // one that is in use
  if (random_.Percent(3)) return 0;
  return ++cookie_;
}

// --- What has happened -------------------------------------------------------

void Generator::Forget(Proc& proc) {
  const char name = proc.name;
  const int generation = proc.generation + 1;
  const std::vector<std::string> fds = proc.fds;
  std::vector<std::string> freed = proc.freed;
  for (const Held& held : proc.buffers) freed.push_back(held.name);
  proc = {};
  proc.name = name;
  proc.generation = generation;
  proc.fds = fds;
  proc.freed = freed;
}

void Generator::Observe(const World& world) {
  for (const Completion& completion : world.completed()) {
    ObserveOne(completion);
  }
  idle_sleepers_.clear();
  for (const Proc& proc : procs_) {
    for (int i = 0; i < kThreads; ++i) {
      if (!world.Asleep(proc.name, i)) continue;
      const auto thread = proc.threads.find(i);
      const bool sync =
          thread != proc.threads.end() && thread->second.in_sync_call;
      if (!sync) idle_sleepers_.insert({proc.name, i});
    }
  }
}

void Generator::ObserveOne(const Completion& completion) {
  const Step& step = completion.step;
  const Result& result = completion.result;
  Proc& proc = Find(step.process);
  Thread& thread = proc.threads[step.thread];
  thread.in_sync_call = false;
  thread.resumes = false;
  const bool ok = result.ret != -1;
  if (step.verb == "open" && ok) {
    proc.open = true;
    for (const std::string& arg : step.args) {
      if (arg == "nb") proc.nonblock = true;
    }
  } else if (step.verb == "mmap" && ok) {
    proc.mapped = true;
  } else if (step.verb == "munmap" && ok) {
    proc.mapped = false;
  } else if (step.verb == "nonblock") {
    proc.nonblock = step.args.at(0) == "1";
  } else if (step.verb == "close") {
    Forget(proc);
  } else if (step.verb == "ctxmgr" || step.verb == "ctxmgrext") {
    if (ok) proc.manager = true;
  } else if (step.verb == "exit") {
    thread = {};
  } else if (step.verb == "file") {
    proc.fds.push_back(step.args.at(0));
  } else if (step.verb == "closefd") {
    std::erase(proc.fds, step.args.at(0));
  } else if (step.verb == "maxthreads" && ok) {
    proc.spawns = step.args.at(0) != "0";
  } else if (step.verb == "freeze" && ok && step.args.size() > 1) {
    for (Proc& other : procs_) {
      if (other.name == step.args[0][0]) other.frozen = step.args[1] == "1";
    }
  }
  for (const Command& command : step.commands) {
    if (command.end > result.write_consumed) break;
    const auto arg = [&](std::size_t i) {
      return i < command.args.size() ? std::uint64_t{std::strtoull(
                                           command.args[i].c_str(), nullptr, 0)}
                                     : 0;
    };
    const auto handle = static_cast<std::uint32_t>(arg(0));
    const auto erase_done = [&](bool acquire) {
      for (auto it = proc.dones.begin(); it != proc.dones.end(); ++it) {
        if (it->first == acquire && it->second.ptr == arg(0)) {
          proc.dones.erase(it);
          break;
        }
      }
    };
    if (command.name == "acq" || command.name == "inc") {
      const auto found = proc.handles.find(handle);
      if (found != proc.handles.end()) {
        ++(command.name == "acq" ? found->second.strong : found->second.weak);
      } else if (handle == 0) {
        ++(command.name == "acq" ? proc.handles[0].strong
                                 : proc.handles[0].weak);
      }
    } else if (command.name == "rel" || command.name == "dec") {
      const auto found = proc.handles.find(handle);
      if (found != proc.handles.end()) {
        int& count =
            command.name == "rel" ? found->second.strong : found->second.weak;
        if (count > 0) --count;
        const Handle& h = found->second;
        if (h.strong + h.weak + h.in_buffers == 0) proc.handles.erase(found);
      }
    } else if (command.name == "free") {
      for (auto it = proc.buffers.begin(); it != proc.buffers.end(); ++it) {
        if (it->name != command.args[0]) continue;
        for (const Object& object : it->objects) {
          const auto found = proc.handles.find(object.handle);
          const bool is_handle = object.type == ObjectType::kHandle ||
                                 object.type == ObjectType::kWeakHandle;
          if (is_handle && found != proc.handles.end()) {
            Handle& h = found->second;
            if (h.in_buffers > 0) --h.in_buffers;
            if (h.strong + h.weak + h.in_buffers == 0) {
              proc.handles.erase(found);
            }
          }
          if (object.type == ObjectType::kFdArray) {
            for (const std::string& fd : object.fds) std::erase(proc.fds, fd);
          }
        }
        proc.freed.push_back(it->name);
        proc.buffers.erase(it);
        break;
      }
    } else if (command.name == "acqdone") {
      erase_done(true);
    } else if (command.name == "incdone") {
      erase_done(false);
    } else if (command.name == "reqdeath") {
      proc.deaths.emplace_back(handle, arg(1));
    } else if (command.name == "cleardeath") {
      std::erase(proc.deaths, std::pair(handle, arg(1)));
    } else if (command.name == "deaddone") {
      std::erase(proc.dead, arg(0));
    } else if (command.name == "reqfreeze") {
      proc.freezes.emplace_back(handle, arg(1));
    } else if (command.name == "clearfreeze") {
      std::erase(proc.freezes, std::pair(handle, arg(1)));
    } else if (command.name == "freezedone") {
      std::erase(proc.frozen_told, arg(0));
    } else if (command.name == "enter" || command.name == "register") {
      thread.looper = true;
    } else if (command.name == "txn" && (arg(2) & kTfOneWay) == 0) {
      thread.stack.push_back(false);
    } else if (command.name == "reply" && !thread.stack.empty() &&
               thread.stack.back()) {
      thread.stack.pop_back();
    }
    if (command.name == "txn") {
      const auto found = proc.handles.find(handle);
      for (Proc& other : procs_) {
        const bool target = handle == 0
                                ? other.manager
                                : found != proc.handles.end() &&
                                      found->second.node.has_value() &&
                                      found->second.node->process == other.name;
        if (target) ++other.pending;
      }
    }
  }
  for (const Return& r : result.returns) {
    switch (r.br) {
      case Br::BR_TRANSACTION:
      case Br::BR_TRANSACTION_SEC_CTX:
        if (proc.pending > 0) --proc.pending;
        if ((r.data.flags & kTfOneWay) == 0) thread.stack.push_back(true);
        break;
      case Br::BR_REPLY:
      case Br::BR_DEAD_REPLY:
      case Br::BR_FAILED_REPLY:
      case Br::BR_FROZEN_REPLY:
        if (!thread.stack.empty() && !thread.stack.back()) {
          thread.stack.pop_back();
        }
        if (r.br != Br::BR_REPLY) ++thread.errors;
        break;
      case Br::BR_INCREFS:
        proc.dones.emplace_back(false, PtrCookie{r.ptr, r.cookie});
        break;
      case Br::BR_ACQUIRE:
        proc.dones.emplace_back(true, PtrCookie{r.ptr, r.cookie});
        break;
      case Br::BR_DEAD_BINDER:
        proc.dead.push_back(r.cookie);
        break;
      case Br::BR_FROZEN_BINDER:
        proc.frozen_told.push_back(r.cookie);
        break;
      default:
        break;
    }
    if (r.buffer.empty()) continue;
    Held held = {r.buffer, r.objects,
                 r.objects.empty() && proc.manager &&
                     (r.data.target.ptr == 0 || r.data.target.ptr == 5) &&
                     r.br == Br::BR_TRANSACTION};
    const auto sent = sent_.find(r.data.code);
    for (std::size_t i = 0; i < r.objects.size(); ++i) {
      const Object& object = r.objects[i];
      for (const std::string& fd : object.fds) {
        if (fd != "none") proc.fds.push_back(fd);
      }
      if (object.type != ObjectType::kHandle &&
          object.type != ObjectType::kWeakHandle) {
        continue;
      }
      Handle& handle = proc.handles[object.handle];
      ++handle.in_buffers;
      handle.is_weak = object.type == ObjectType::kWeakHandle;
      // Whose node it is follows from what was sent.
      if (sent == sent_.end() || i >= sent->second.items.size()) continue;
      const std::string& item = sent->second.items[i];
      const std::size_t colon = item.find(':');
      if (colon == std::string::npos) continue;
      const std::uint64_t value =
          std::strtoull(item.c_str() + colon + 1, nullptr, 0);
      const Proc& sender = Find(sent->second.from);
      if (item.find("bin") != std::string::npos) {
        handle.node = NodeId{sender.name, sender.generation, value};
      } else {
        const auto theirs =
            sender.handles.find(static_cast<std::uint32_t>(value));
        if (theirs != sender.handles.end()) handle.node = theirs->second.node;
      }
    }
    proc.buffers.push_back(std::move(held));
  }
}

// --- What to do next ---------------------------------------------------------

std::string Generator::Next(const World& world) {
  if (!queue_.empty()) {
    std::string line = queue_.back();
    queue_.pop_back();
    return line;
  }
  std::string line = Line(world);
  // Remembers which calls sleep for an answer, and not for anything.
  const std::optional<Step> step = ParseStep(line);
  if (step.has_value()) {
    Thread& thread = Find(step->process).threads[step->thread];
    if (!world.Asleep(step->process, step->thread)) {
      thread.in_sync_call = false;
      for (const Command& command : step->commands) {
        if (command.name == "txn" &&
            (std::strtoull(command.args.at(2).c_str(), nullptr, 0) &
             kTfOneWay) == 0) {
          thread.in_sync_call = true;
        }
      }
    }
  }
  return line;
}

std::string Generator::Line(const World& world) {
  std::vector<std::pair<char, int>> awake;
  std::vector<std::pair<char, int>> asleep;
  for (const Proc& proc : procs_) {
    for (int i = 0; i < kThreads; ++i) {
      (world.Asleep(proc.name, i) ? asleep : awake).emplace_back(proc.name, i);
    }
  }
  if (awake.empty() || (!asleep.empty() && random_.Percent(3)) ||
      (asleep.size() > 4 && random_.Percent(25))) {
    const auto& [name, thread] = random_.Pick(asleep);
    return Who(Find(name), thread) + "interrupt";
  }
  // A few tries to find somebody who has something to do.
  const auto pick = [&] {
    std::pair<char, int> best = random_.Pick(awake);
    for (int i = 0; i < 2; ++i) {
      Proc& proc = Find(best.first);
      const Thread& thread = proc.threads[best.second];
      if (!thread.stack.empty() || proc.pending > 0) break;
      best = random_.Pick(awake);
    }
    return best;
  };
  const auto [name, number] = pick();
  Proc& proc = Find(name);
  const std::string who = Who(proc, number);
  if (!proc.open) {
    if (random_.Percent(60)) {
      queue_.push_back(who + "mmap " +
                       (random_.Percent(70) ? "16384" : "4096"));
      if (random_.Percent(40)) queue_.insert(queue_.begin(), who + "ctxmgr");
      return who + "open" + (random_.Percent(30) ? " nb" : "");
    }
    return who + "version";
  }
  const bool no_manager =
      std::none_of(procs_.begin(), procs_.end(),
                   [](const Proc& other) { return other.manager; });
  if (no_manager && random_.Percent(name == 'B' ? 3 : 25)) {
    return who + (random_.Percent(30) ? "ctxmgr" : "ctxmgrext 0x5 0x6 0x100");
  }
  std::size_t here = 0;
  for (const auto& [other, thread] : asleep) {
    if (other == name) ++here;
  }
  // What brings several things to everybody is done when nobody is asleep that
  // could take them. So wake them all first.
  const auto when_awake = [&](const std::string& line) {
    queue_.push_back(line);
    for (const auto& [other, thread] : asleep) {
      queue_.push_back(Who(Find(other), thread) + "interrupt");
    }
    std::string first = queue_.back();
    queue_.pop_back();
    return first;
  };
  const bool few_asleep = asleep.size() <= 1 && idle_sleepers_.empty();
  switch (random_.Weighted({870, 80, 12, 6, 9, 3, 8, 12})) {
    case 0:
      return WriteRead(world, proc, number);
    case 1:
      return who + Request(proc);
    case 2:
      return few_asleep ? who + "exit" : when_awake(who + "exit");
    case 3:
      return here <= 1 ? who + "flush" : when_awake(who + "flush");
    case 4:
      if (proc.manager && random_.Percent(60)) return who + "exterr";
      return few_asleep ? who + "close" : when_awake(who + "close");
    case 5:
      if (random_.Percent(50)) {
        return proc.mapped && !proc.manager ? who + "munmap"
                                            : who + "mmap 8192";
      }
      return who + "mmap 4096" + (random_.Percent(50) ? " rw" : "");
    case 6:
      return who + "nonblock " + (proc.nonblock ? "0" : "1");
    default:
      if (options_.only_6_1) return who + "exterr";
      return when_awake(who + FreezeRequest());
  }
}

std::string Generator::FreezeRequest() {
  // Thawing is what a frozen one needs most.
  for (const Proc& other : procs_) {
    if (other.frozen && random_.Percent(40)) {
      return "freeze " + std::string(1, other.name) + " 0";
    }
  }
  const std::string whom(1, procs_[random_.Below(procs_.size())].name);
  if (random_.Percent(4)) return "freeze 99999999 1 0";
  if (random_.Percent(2)) return "freeze " + whom + " bad";
  return "freeze " + whom + (random_.Percent(75) ? " 1 0" : " 0 0");
}

std::string Generator::WriteRead(const World& world, Proc& proc, int thread) {
  const std::string who = Who(proc, thread);
  bool any_asleep = false;
  for (const Proc& other : procs_) {
    for (int i = 0; i < kThreads; ++i) {
      if (world.Asleep(other.name, i)) any_asleep = true;
    }
  }
  const bool careful = any_asleep;
  const Thread& state = proc.threads[thread];
  // Reading is more than anything what keeps a conversation going.
  const bool nothing_to_do = proc.manager && proc.handles.empty() &&
                             proc.buffers.empty() && proc.dones.empty() &&
                             state.stack.empty();
  const bool read_only =
      random_.Percent(nothing_to_do         ? 80
                      : state.stack.empty() ? (proc.pending > 0 ? 45 : 15)
                                            : (state.stack.back() ? 8 : 60));
  const auto read = [&] {
    if (random_.Percent(4)) {
      return " r=" + Text(std::vector<std::uint64_t>{4, 8, 79, 80, 84, 100,
                                                     152}[random_.Below(7)]);
    }
    return std::string(" r=256");
  };
  if (read_only) {
    std::string line = who + "wr" + read();
    // The kernel writes BR_SPAWN_LOOPER over what was there before, and blocks
    // the node of a one-way whose delivery faults: see docs/differences.md.
    if (!proc.spawns && random_.Percent(2)) {
      line += " rc=4";
      proc.threads[thread].resumes = true;
    } else if (random_.Percent(1)) {
      line += " rbad";
    }
    return line;
  }
  const std::size_t count =
      careful || random_.Percent(65) ? 1 : 2 + random_.Below(3);
  std::string commands;
  bool wants_read = false;
  for (std::size_t i = 0; i < count; ++i) {
    commands += ' ';
    commands += OneCommand(world, proc, thread, careful, &wants_read);
    // Behind a call that waits for its answer, little makes sense.
    if (wants_read && random_.Percent(85)) break;
  }
  std::string line = who + "wr";
  // While somebody else sleeps, only wait for what nobody else can get.
  if (careful ? wants_read && random_.Percent(70) : random_.Percent(65)) {
    line += read();
  }
  line += commands;
  if (!careful && random_.Percent(3)) {
    switch (random_.Below(4)) {
      case 0:
        line += " cut:" + Text(1 + random_.Below(12));
        break;
      case 1:
        line += " ws=4";
        break;
      case 2:
        line += " wbad";
        break;
      default:
        line += random_.Percent(50) ? " argbad" : " argnull";
    }
  }
  return line;
}

std::string Generator::OneCommand(const World& /*world*/, Proc& proc,
                                  int thread, bool careful, bool* wants_read) {
  const Thread& state = proc.threads[thread];
  const bool serves = !state.stack.empty() && state.stack.back();
  if (random_.Percent(3)) return Nonsense(proc);
  const std::size_t kind = random_.Weighted({
      serves ? 45u : 2u,                // reply
      serves ? 12u : 34u,               // transaction
      proc.buffers.empty() ? 2u : 22u,  // free
      proc.dones.empty() ? 1u : 25u,    // acknowledge
      proc.handles.empty() ? 4u : 16u,  // count
      proc.handles.empty() ? 1u : 9u,   // death
      options_.only_6_1      ? 0u
      : proc.handles.empty() ? 1u
                             : 9u,  // freeze
      3u,                           // loopers
  });
  switch (kind) {
    case 0: {
      ++code_;
      std::uint32_t flags = 0;
      if (random_.Percent(5)) flags |= kTfOneWay;
      if (random_.Percent(10)) flags |= kTfClearBuf;
      if (random_.Percent(10)) flags |= kTfStatusCode;
      const std::string payload = Payload(proc, code_, careful);
      *wants_read = true;
      return "reply:" + Text(code_) + ":" + Text(flags) + payload;
    }
    case 1: {
      bool sync = random_.Percent(55);
      // Who waits for an answer cannot call once more.
      if (!state.stack.empty() && !state.stack.back() && !random_.Percent(6)) {
        sync = false;
      }
      std::string text = Transaction(proc, careful, &sync);
      *wants_read = sync;
      return text;
    }
    case 2:
      return Free(proc, careful && !idle_sleepers_.empty());
    case 3: {
      if (proc.dones.empty() || random_.Percent(5)) {
        const std::uint64_t cookie = PtrOf(random_.Below(6)) + 1;
        const std::uint64_t ptr = PtrOf(random_.Below(6));
        const bool acquire = random_.Percent(50);
        return (acquire ? "acqdone:" : "incdone:") + Hex(ptr) + ":" +
               Hex(cookie);
      }
      const auto& [acquire, node] = random_.Pick(proc.dones);
      return (acquire ? "acqdone:" : "incdone:") + Hex(node.ptr) + ":" +
             Hex(node.cookie + (random_.Percent(4) ? 1 : 0));
    }
    case 4:
      return Refcount(proc);
    case 5:
      return Death(proc);
    case 6:
      return Freeze(proc);
    default:
      return std::vector<std::string>{"enter", "register",
                                      "exitlooper"}[random_.Below(3)];
  }
}

std::uint32_t Generator::AnyHandle(Proc& proc, bool strong) {
  if (random_.Percent(4)) {
    return std::vector<std::uint32_t>{0, 7, 77, 0xffffffff}[random_.Below(4)];
  }
  std::vector<std::uint32_t> handles;
  for (const auto& [number, handle] : proc.handles) {
    if (strong && handle.is_weak && !random_.Percent(10)) continue;
    handles.push_back(number);
  }
  if (handles.empty()) return static_cast<std::uint32_t>(random_.Below(3));
  return random_.Pick(handles);
}

std::string Generator::Transaction(Proc& proc, bool careful, bool* sync) {
  ++code_;
  std::uint32_t code = code_;
  std::uint32_t flags = 0;
  if (!*sync) flags |= kTfOneWay;
  if (random_.Percent(50)) flags |= kTfAcceptFds;
  if (random_.Percent(10)) flags |= kTfClearBuf;
  if (random_.Percent(5)) flags |= kTfRootObject;
  if (random_.Percent(3)) flags |= 0x80000000;
  const std::uint32_t handle = random_.Percent(proc.handles.empty() ? 90 : 30)
                                   ? 0
                                   : AnyHandle(proc, true);
  if (!*sync && random_.Percent(15)) {
    // Replaces an equal one that waits in a frozen process.
    flags = kTfOneWay | kTfUpdateTxn;
    code = 100000 + static_cast<std::uint32_t>(proc.name);
  }
  return "txn:" + Text(handle) + ":" + Text(code) + ":" + Hex(flags) +
         Payload(proc, code, careful);
}

std::string Generator::Payload(Proc& proc, std::uint32_t code, bool careful) {
  std::vector<std::string> items;
  std::vector<std::string> objects;
  const auto raw = [&](std::uint64_t size) {
    if (size > 0) items.push_back("raw:" + Text(size));
  };
  if (random_.Percent(25)) return "";
  if (random_.Percent(70)) raw(random_.Below(40));
  if (random_.Percent(7)) raw(256 + random_.Below(3600));
  std::size_t count = random_.Percent(45) ? 1 + random_.Below(3) : 0;
  if (careful) count = std::min<std::size_t>(count, 1);
  std::vector<std::pair<std::size_t, std::uint64_t>> ptrs;  // index, length
  const auto add = [&](const std::string& object) {
    if (random_.Percent(2)) {
      items.push_back("shift:" + Text(random_.Below(3) * 2));
    }
    items.push_back(object);
    objects.push_back(object);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const bool none = proc.handles.empty();
    const std::size_t kind = random_.Weighted(
        {30, 10, none ? 2u : 24u, none ? 1u : 8u, 16, 14, 8, 1});
    switch (kind) {
      case 0:
      case 1: {
        const std::uint64_t ptr = PtrOf(random_.Below(6));
        const std::uint64_t cookie = ptr + (random_.Percent(3) ? 2 : 1);
        std::uint64_t flags = random_.Percent(70) ? kFlatAcceptsFds : 0;
        if (random_.Percent(10)) flags |= 0x7f;
        add((kind == 0 ? "bin:" : "wbin:") + Hex(ptr) + ":" + Hex(cookie) +
            ":" + Hex(flags));
        break;
      }
      case 2:
        add("hnd:" + Text(AnyHandle(proc, true)));
        break;
      case 3:
        add("whnd:" + Text(AnyHandle(proc, false)));
        break;
      case 4:
        add("fd:" + (proc.fds.empty() || random_.Percent(5)
                         ? std::string("none")
                         : random_.Pick(proc.fds)));
        break;
      case 5: {
        // The first object at offset 0 cannot be a parent (OB-29).
        if (items.empty() && random_.Percent(80)) raw(8);
        const std::uint64_t length =
            random_.Percent(10) ? 0 : 8 * (1 + random_.Below(8));
        std::string text = "ptr:" + Text(length);
        if (!ptrs.empty() && random_.Percent(60)) {
          const auto& [index, size] = ptrs.back();
          const std::uint64_t offset = 8 * random_.Below(size / 8 + 1);
          text += ":" + Text(index) + "@" + Text(offset);
        } else if (random_.Percent(4)) {
          const std::uint64_t offset = random_.Below(40);
          const std::uint64_t index = random_.Below(4);
          text += ":" + Text(index) + "@" + Text(offset);
        }
        if (random_.Percent(3)) text += ":bad";
        ptrs.emplace_back(objects.size(), length);
        add(text);
        if (i + 1 == count && !careful && random_.Percent(50)) ++count;
        break;
      }
      case 6: {
        if (ptrs.empty()) {
          if (items.empty()) raw(8);
          ptrs.emplace_back(objects.size(), 16);
          add("ptr:16");
        }
        const auto& [index, size] = ptrs.back();
        const std::uint64_t fds = random_.Below(3);
        const std::uint64_t offset = 4 * random_.Below(size / 4 + 1);
        const std::uint64_t told = random_.Percent(3) ? 0x40000001 : fds;
        std::string text =
            "fda:" + Text(told) + ":" + Text(index) + "@" + Text(offset);
        if (fds > 0 && !proc.fds.empty()) {
          text += ":" + random_.Pick(proc.fds);
          if (fds > 1) text += "," + random_.Pick(proc.fds);
        }
        add(text);
        break;
      }
      default: {
        const std::uint64_t size = 4 + random_.Below(20);
        const std::uint64_t type =
            random_.Percent(50) ? 0x12345685 : 0x73622a85;
        add("obj:" + Hex(type) + ":" + Text(size));
      }
    }
    if (random_.Percent(15)) raw(random_.Below(20));
  }
  if (random_.Percent(3)) {
    switch (random_.Below(8)) {
      case 0: {
        const std::string size = Text(random_.Below(20));
        // Objects without an offset are bytes to the receiver, and what is in
        // these depends on the machine: addresses, descriptors.
        const bool tells = std::any_of(
            items.begin(), items.end(), [](const std::string& item) {
              return item.rfind("ptr", 0) == 0 || item.rfind("fd", 0) == 0;
            });
        if (!tells) items.push_back("os=" + size);
        break;
      }
      case 1:
        items.push_back("bs=" + Text(random_.Below(100)));
        break;
      case 2:
        items.push_back("ds=" + Text(random_.Below(64)));
        break;
      case 3:
        items.push_back("off:" + Text(random_.Below(64)));
        break;
      case 4:
        items.push_back("dbad");
        break;
      case 5:
        items.push_back("obad");
        break;
      case 6:
        items.push_back(
            "ds=" + Hex(random_.Percent(50) ? 0xfffffffffffffff8 : 0x10000000));
        break;
      default:
        items.push_back("sg");
    }
  }
  if (items.empty()) return "";
  sent_[code] = {proc.name, objects};
  std::string text = " [";
  for (const std::string& item : items) text += " " + item;
  return text + " ]";
}

std::string Generator::Refcount(Proc& proc) {
  const std::uint32_t number = AnyHandle(proc, false);
  const auto found = proc.handles.find(number);
  std::vector<unsigned> weights = {40, 10, 10, 10};
  if (found != proc.handles.end()) {
    weights[1] = found->second.weak < 2 ? 15 : 2;
    weights[2] = found->second.strong > 0 ? 30 : 3;
    weights[3] = found->second.weak > 0 ? 30 : 3;
    if (found->second.strong > 1) weights[0] = 5;
  }
  const char* kNames[] = {"acq:", "inc:", "rel:", "dec:"};
  return kNames[random_.Weighted(weights)] + Text(number);
}

std::string Generator::Free(Proc& proc, bool careful) {
  std::vector<std::string> names;
  for (const Held& held : proc.buffers) {
    if (!careful || held.plain) names.push_back(held.name);
  }
  if (names.empty() || random_.Percent(4)) {
    switch (random_.Below(4)) {
      case 0:
        return "free:0x1000";
      case 1:
        return "free:0";
      case 2:
        if (!proc.freed.empty()) return "free:" + random_.Pick(proc.freed);
        return "free:0x7000";
      default: {
        const Proc& other = procs_[random_.Below(procs_.size())];
        if (!other.buffers.empty() && other.name != proc.name) {
          return "free:" + std::string(1, other.name) + "/" +
                 random_.Pick(other.buffers).name;
        }
        if (!proc.buffers.empty()) {
          return "free:" + random_.Pick(proc.buffers).name + "+4";
        }
        return "free:0x8";
      }
    }
  }
  return "free:" + random_.Pick(names);
}

std::string Generator::Death(Proc& proc) {
  if (!proc.dead.empty() && random_.Percent(60)) {
    return "deaddone:" + Hex(random_.Pick(proc.dead));
  }
  if (!proc.deaths.empty() && random_.Percent(40)) {
    const auto& [handle, cookie] = random_.Pick(proc.deaths);
    return "cleardeath:" + Text(handle) + ":" +
           Hex(cookie + (random_.Percent(5) ? 1 : 0));
  }
  if (random_.Percent(5)) return "deaddone:" + Hex(random_.Below(4));
  if (random_.Percent(5)) {
    return "cleardeath:" + Text(AnyHandle(proc, false)) + ":0x1";
  }
  const std::uint64_t cookie = NewCookie();
  return "reqdeath:" + Text(AnyHandle(proc, false)) + ":" + Hex(cookie);
}

std::string Generator::Freeze(Proc& proc) {
  if (!proc.frozen_told.empty() && random_.Percent(60)) {
    return "freezedone:" + Hex(random_.Pick(proc.frozen_told));
  }
  if (!proc.freezes.empty() && random_.Percent(35)) {
    const auto& [handle, cookie] = random_.Pick(proc.freezes);
    return "clearfreeze:" + Text(handle) + ":" +
           Hex(cookie + (random_.Percent(5) ? 1 : 0));
  }
  if (random_.Percent(4)) return "freezedone:" + Hex(random_.Below(4));
  if (random_.Percent(4)) {
    return "clearfreeze:" + Text(AnyHandle(proc, false)) + ":0x1";
  }
  const std::uint64_t cookie = NewCookie();
  return "reqfreeze:" + Text(AnyHandle(proc, false)) + ":" + Hex(cookie);
}

std::string Generator::Nonsense(Proc& proc) {
  switch (random_.Below(6)) {
    case 0:
      return "word:" + Hex(random_.Next() & 0xffffffff);
    case 1:
      return "attempt:0";
    case 2:
      return "acqresult:0";
    case 3:
      return "word:" + Hex(static_cast<std::uint32_t>(Br::BR_NOOP));
    case 4:
      ++code_;
      return "reply:" + Text(code_) + ":0";
    default: {
      const std::string more =
          proc.open ? " inc:" + Text(random_.Below(20)) : "";
      return "free:" + Hex(random_.Next()) + more;
    }
  }
}

std::string Generator::Request(Proc& proc) {
  const bool may_freeze = !options_.only_6_1 && idle_sleepers_.empty();
  const std::string whom(1, procs_[random_.Below(procs_.size())].name);
  const char* bad = "";
  std::uint64_t most = 0;
  switch (
      random_.Weighted({35, 4, may_freeze ? 22u : 0u,
                        options_.only_6_1 ? 0u : 4u, 5, 5, 4, 3, 3, 2, 3})) {
    case 0:
      return random_.Percent(4) ? "exterr bad" : "exterr";
    case 1:
      return random_.Percent(20) ? "version ro" : "version";
    case 2:
      return FreezeRequest();
    case 3:
      bad = random_.Percent(3) ? " bad" : "";
      return "frozeninfo " + (random_.Percent(5) ? "99999999" : whom) + bad;
    case 4:
      bad = random_.Percent(3) ? " bad" : "";
      return "nodedebug " + Hex(0x8 * random_.Below(14)) + bad;
    case 5: {
      bad = random_.Percent(3) ? " bad" : "";
      const char* const more = random_.Percent(5) ? " 1" : "";
      return "noderef " + Text(AnyHandle(proc, false)) + more + bad;
    }
    case 6:
      return "poll";
    case 7:
      bad = random_.Percent(10) ? " bad" : "";
      most = random_.Below(4);
      // See at "rc=4".
      for (const auto& [number, thread] : proc.threads) {
        if (thread.resumes) most = 0;
      }
      return "maxthreads " + Text(most) + bad;
    case 8:
      return random_.Percent(10) ? "spam bad"
                                 : "spam " + Text(random_.Below(2));
    case 9:
      return random_.Percent(50)   ? "ioctl 0xc0046299"
             : random_.Percent(50) ? "idletimeout"
                                   : "idlepriority";
    default:
      if (random_.Percent(50)) return "ctxmgr";
      return random_.Percent(20) ? "ctxmgrext bad"
                                 : "ctxmgrext 0x20 0x21 0x100";
  }
}

}  // namespace binderlite::conformance
