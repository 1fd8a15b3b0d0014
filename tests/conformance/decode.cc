// SPDX-License-Identifier: Apache-2.0
//
// From what an actor answers to the lines of the trace, in which nothing
// depends on the machine; and the count of what was reached.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "language.h"
#include "world.h"

namespace binderlite::conformance {

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

// --- What was reached --------------------------------------------------------

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
