// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <cstdint>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace bl = binderlite;

struct Clock {
  static constexpr bl::InterfaceName kName = "guide.Clock";
  bl::Method<1, int()> Hour;
};

// FNV-1a, 64 bits: how a call says which interface it means.
constexpr std::uint64_t IdOf(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server");
  const auto clock = server.Create(Clock{.Hour = [] { return 12; }});
  if (!server.Publish("clock", clock).ok()) return 1;

  // Beside the endpoints, a raw open of the same device. It calls what is
  // behind handle 0, the service manager: method 3, List.
  bl::Proc proc = binder.context().Open({.name = "raw"});
  bl::Thread thread = proc.Attach();
  const struct {
    std::uint64_t interface_id = IdOf("binderlite.ServiceManager");
    std::int64_t deadline = std::numeric_limits<std::int64_t>::max();
    std::uint64_t pending = 0;
  } header;  // No arguments follow.
  bl::TransactionData data = {};
  data.code = 3;
  data.buffer = reinterpret_cast<std::uint64_t>(&header);
  data.data_size = sizeof(header);
  if (thread.Transact(data) != bl::Errc::kOk) return 1;
  bl::Incoming work;
  while (work.command != bl::Br::BR_REPLY) {
    if (thread.NextWork(work) != bl::Errc::kOk) return 1;
  }

  // The reply is a std::vector<std::string>, as docs/wire-format.md has it.
  const bl::TransactionData& reply = work.transaction;
  {
    bl::Reader reader({reinterpret_cast<const std::byte*>(reply.buffer),
                       static_cast<std::size_t>(reply.data_size)});
    std::vector<std::string> names;
    if (!bl::ReadArguments(reader, names)) return 1;
    for (const std::string& name : names) std::cout << name << '\n';
  }
  return thread.FreeBuffer(reply.buffer) == bl::Errc::kOk ? 0 : 1;
}

// Prints:
//   clock
