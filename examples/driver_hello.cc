// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <string>
#include <thread>

#include "binderlite/binderlite.h"

namespace bl = binderlite;

bl::TransactionData Message(const std::string& text) {
  bl::TransactionData data = {};  // handle 0: the context manager
  data.buffer = reinterpret_cast<std::uint64_t>(text.data());
  data.data_size = text.size();
  return data;
}

std::string Text(const bl::TransactionData& data) {
  return {reinterpret_cast<const char*>(data.buffer), data.data_size};
}

int main() {
  bl::Context context;  // one /dev/binder, inside this program
  bl::Proc server = context.Open({.name = "server"});
  bl::Proc client = context.Open({.euid = 1000, .name = "client"});

  bl::Thread looper = server.Attach();
  if (looper.SetContextMgr() != bl::Errc::kOk) return 1;
  std::jthread serving([&](const std::stop_token& stop) {
    bl::Incoming work;
    while (looper.NextWork(work, stop) == bl::Errc::kOk) {
      if (work.command != bl::Br::BR_TRANSACTION) continue;
      const std::string answer = "hello, " + Text(work.transaction);
      if (looper.FreeBuffer(work.transaction.buffer) != bl::Errc::kOk ||
          looper.Reply(Message(answer)) != bl::Errc::kOk) {
        return;
      }
    }
  });

  bl::Thread caller = client.Attach();
  const std::string question = "binder";
  if (caller.Transact(Message(question)) != bl::Errc::kOk) return 1;
  bl::Incoming work;
  while (work.command != bl::Br::BR_REPLY) {
    if (caller.NextWork(work) != bl::Errc::kOk) return 1;
  }
  std::printf("%s\n", Text(work.transaction).c_str());  // hello, binder
  return caller.FreeBuffer(work.transaction.buffer) == bl::Errc::kOk ? 0 : 1;
}
