// SPDX-License-Identifier: Apache-2.0
//
// Hello, binder: a context manager, a service and two clients in one program,
// at driver level. The service gives its node to the manager; the clients get
// a handle to it from there, make a synchronous call each, and send a one-way
// message. All of it is the protocol of /dev/binder, without a kernel.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "binderlite/binderlite.h"

namespace bl = binderlite;

namespace {

// What the codes of this program's transactions mean.
enum Code : std::uint32_t { kAddService = 1, kGetService, kGreet, kNote };

// A payload in the making: text, or one object.
struct Message {
  explicit Message(std::string_view words) : text(words) {}
  explicit Message(const bl::FlatObject& passed) : object(passed) {}

  // Valid as long as the Message is.
  [[nodiscard]] bl::TransactionData Data(std::uint32_t code,
                                         std::uint32_t flags = 0) const {
    bl::TransactionData data = {};
    data.code = code;
    data.flags = flags;
    if (object.hdr.type != 0) {
      data.buffer = reinterpret_cast<std::uint64_t>(&object);
      data.data_size = sizeof(object);
      data.offsets = reinterpret_cast<std::uint64_t>(&offset);
      data.offsets_size = sizeof(offset);
    } else {
      data.buffer = reinterpret_cast<std::uint64_t>(text.data());
      data.data_size = text.size();
    }
    return data;
  }

  std::string text;
  bl::FlatObject object = {};
  std::uint64_t offset = 0;
};

bl::FlatObject Node(std::uint64_t ptr, std::uint64_t cookie) {
  bl::FlatObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(bl::ObjectType::kBinder);
  object.binder = ptr;
  object.cookie = cookie;
  return object;
}

bl::FlatObject HandleObject(std::uint32_t handle) {
  bl::FlatObject object = {};
  object.hdr.type = static_cast<std::uint32_t>(bl::ObjectType::kHandle);
  object.handle = handle;
  return object;
}

std::string Text(const bl::TransactionData& data) {
  return {reinterpret_cast<const char*>(data.buffer),
          static_cast<std::size_t>(data.data_size)};
}

// The handle in a payload that is one object. The buffer's own count on it
// goes with the buffer, so whoever wants to keep it acquires it first.
std::uint32_t HandleIn(const bl::TransactionData& data) {
  bl::FlatObject object = {};
  std::memcpy(&object, reinterpret_cast<const void*>(data.buffer),
              sizeof(object));
  return object.handle;
}

// Acknowledges what the driver tells the owner of a node.
bool Acknowledged(bl::Thread& self, const bl::Incoming& work) {
  switch (work.command) {
    case bl::Br::BR_INCREFS:
      return self.IncRefsDone(work.node) == bl::Errc::kOk;
    case bl::Br::BR_ACQUIRE:
      return self.AcquireDone(work.node) == bl::Errc::kOk;
    default:
      return false;
  }
}

// Sends a call and waits for the reply's payload, which the caller frees. An
// empty one (buffer 0) says that the call failed.
bl::TransactionData Call(bl::Thread& self, std::uint32_t handle,
                         bl::TransactionData data) {
  data.target.handle = handle;
  if (self.Transact(data) != bl::Errc::kOk) return {};
  for (;;) {
    bl::Incoming work;
    if (self.NextWork(work) != bl::Errc::kOk) return {};
    if (Acknowledged(self, work)) continue;
    if (work.command == bl::Br::BR_REPLY) return work.transaction;
    if (work.command == bl::Br::BR_DEAD_REPLY ||
        work.command == bl::Br::BR_FAILED_REPLY) {
      return {};
    }
  }
}

// A looper: hands every transaction to `handle`, until it is stopped.
template <class Handler>
void Serve(bl::Thread self, const std::stop_token& stop, Handler handle) {
  if (self.EnterLooper() != bl::Errc::kOk) return;
  bl::Incoming work;
  while (self.NextWork(work, stop) == bl::Errc::kOk) {
    if (Acknowledged(self, work)) continue;
    if (work.command == bl::Br::BR_TRANSACTION) handle(self, work.transaction);
  }
}

bool Check(bool ok, const char* what) {
  if (!ok) std::fprintf(stderr, "driver_manager: %s failed\n", what);
  return ok;
}

}  // namespace

int main() {
  bl::Context context;
  bl::Proc manager = context.Open({.name = "manager"});
  bl::Proc service = context.Open({.euid = 1000, .name = "greeter"});

  bl::Thread manager_thread = manager.Attach();
  if (!Check(manager_thread.SetContextMgr() == bl::Errc::kOk,
             "becoming context manager")) {
    return 1;
  }

  // The manager: keeps one handle, and gives it to whoever asks.
  std::jthread manager_looper([&manager_thread](const std::stop_token& stop) {
    std::uint32_t greeter = 0;
    Serve(std::move(manager_thread), stop,
          [&greeter](bl::Thread& self, const bl::TransactionData& call) {
            Message answer{""};
            if (call.code == kAddService) {
              greeter = HandleIn(call);
              Check(self.Acquire(greeter) == bl::Errc::kOk, "acquire");
            } else if (call.code == kGetService) {
              answer = Message{HandleObject(greeter)};
            }
            Check(self.FreeBuffer(call.buffer) == bl::Errc::kOk &&
                      self.Reply(answer.Data(0)) == bl::Errc::kOk,
                  "the manager's reply");
          });
  });

  // The service: registers its node, then greets.
  bl::Thread service_thread = service.Attach();
  const Message mine{Node(/*ptr=*/0x1000, /*cookie=*/0x2000)};
  const bl::TransactionData added =
      Call(service_thread, 0, mine.Data(kAddService));
  if (!Check(added.buffer != 0 &&
                 service_thread.FreeBuffer(added.buffer) == bl::Errc::kOk,
             "adding the service")) {
    return 1;
  }
  std::jthread service_looper([&service_thread](const std::stop_token& stop) {
    Serve(std::move(service_thread), stop,
          [](bl::Thread& self, const bl::TransactionData& call) {
            if ((call.flags & bl::kTfOneWay) != 0) {
              std::printf("note from euid %u: %s\n", call.sender_euid,
                          Text(call).c_str());
              Check(self.FreeBuffer(call.buffer) == bl::Errc::kOk, "free");
              return;
            }
            const Message answer{"hello, " + Text(call)};
            Check(self.FreeBuffer(call.buffer) == bl::Errc::kOk &&
                      self.Reply(answer.Data(0)) == bl::Errc::kOk,
                  "the service's reply");
          });
  });

  // Two clients, one after the other.
  bool all_well = true;
  for (const std::uint32_t euid : {10001u, 10002u}) {
    bl::Proc client = context.Open({.euid = euid, .name = "client"});
    bl::Thread self = client.Attach();
    const bl::TransactionData found =
        Call(self, 0, Message{""}.Data(kGetService));
    if (!Check(found.buffer != 0, "finding the service")) return 1;
    const std::uint32_t greeter = HandleIn(found);
    all_well &= Check(self.Acquire(greeter) == bl::Errc::kOk &&
                          self.FreeBuffer(found.buffer) == bl::Errc::kOk,
                      "acquire");

    Message note{"euid " + std::to_string(euid) + " was here"};
    bl::TransactionData one_way = note.Data(kNote, bl::kTfOneWay);
    one_way.target.handle = greeter;
    all_well &=
        Check(self.Transact(one_way) == bl::Errc::kOk, "the one-way message");

    const Message who{"client " + std::to_string(euid)};
    const bl::TransactionData reply = Call(self, greeter, who.Data(kGreet));
    if (!Check(reply.buffer != 0, "the call")) return 1;
    std::printf("reply: %s\n", Text(reply).c_str());
    all_well &= Check(self.FreeBuffer(reply.buffer) == bl::Errc::kOk, "free");
  }
  return all_well ? 0 : 1;
}
