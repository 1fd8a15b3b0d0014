// SPDX-License-Identifier: Apache-2.0
//
// The typed API as a subject: an echo service whose method takes a string in
// place and returns one. Each client is an endpoint of its own.

#ifndef BINDERLITE_BENCH_SUPPORT_API_H_
#define BINDERLITE_BENCH_SUPPORT_API_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "binderlite/binderlite.h"
#include "payload.h"
#include "subject.h"

namespace binderlite::bench {

struct Echo {
  static constexpr InterfaceName kName = "bench.Echo";
  Method<1, std::string(std::string_view)> Say;
};

// `on_callers`: served on the caller's thread.
class ApiBinder {
 public:
  explicit ApiBinder(const Setup& setup, bool on_callers = false)
      : server_(binder_.Open(
            {.name = "server",
             .arena_size = std::size_t{4} << 20,
             .loopers = static_cast<std::uint32_t>(setup.loopers),
             .max_loopers = static_cast<std::uint32_t>(setup.loopers)})) {
    setup.PlaceServer();  // Its loopers are started by this thread.
    service_ = server_.Create(
        Echo{.Say =
                 [](std::string_view words) {
                   unsigned char value = ValueOf(words.data(), words.size());
                   if (!IsFilled(words.data(), words.size(), value)) ++value;
                   return std::string(words.size(), static_cast<char>(value));
                 }},
        {.run_on_callers = on_callers});
    ok_ = server_.Publish("echo", service_).ok();
  }

  class Client {
   public:
    explicit Client(ApiBinder& subject)
        : endpoint_(subject.binder_.Open(
              {.name = "client", .arena_size = std::size_t{4} << 20})) {
      auto found = endpoint_.Find<Echo>("echo");
      if (subject.ok_ && found.ok()) echo_ = *std::move(found);
    }
    bool Call(const Bytes& payload) {
      const std::string_view words(
          reinterpret_cast<const char*>(payload.data()), payload.size());
      const Result<std::string> answer = echo_->Say(words);
      return answer.ok() && answer->size() == words.size() &&
             IsFilled(answer->data(), answer->size(),
                      ValueOf(words.data(), words.size()));
    }

   private:
    Endpoint endpoint_;
    Proxy<Echo> echo_;
  };

 private:
  Binder binder_;
  Endpoint server_;
  Service<Echo> service_;
  bool ok_ = false;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_API_H_
