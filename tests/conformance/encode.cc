// SPDX-License-Identifier: Apache-2.0
//
// From a line to the call that an actor makes: its struct, its command stream,
// its payloads, and where the actor has to put addresses of its own.

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

}  // namespace binderlite::conformance
