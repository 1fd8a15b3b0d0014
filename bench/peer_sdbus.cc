// SPDX-License-Identifier: Apache-2.0
//
// sd-bus, peer to peer over a pair of sockets, as a peer: method calls with an
// array of bytes each way.
//
//   roundtrip/sdbus/<same|split|free>/<bytes>

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "support/measure.h"
#include "support/payload.h"
#include "support/subject.h"

namespace {

namespace bench = binderlite::bench;
using bench::Bytes;

template <auto kRelease>
struct Release {
  template <class T>
  void operator()(T* object) const {
    kRelease(object);
  }
};
using Bus = std::unique_ptr<sd_bus, Release<&sd_bus_close_unref>>;
using Message = std::unique_ptr<sd_bus_message, Release<&sd_bus_message_unref>>;

// A connection that owns the descriptor; null: failed.
Bus Connect(int fd, bool is_server) {
  sd_bus* made = nullptr;
  if (::sd_bus_new(&made) < 0) {
    ::close(fd);
    return nullptr;
  }
  Bus bus(made);
  sd_id128_t id = {};
  bool ok = ::sd_bus_set_fd(made, fd, fd) >= 0;
  if (is_server) {
    ok = ok && ::sd_id128_randomize(&id) >= 0 &&
         ::sd_bus_set_server(made, 1, id) >= 0;
  }
  ok = ok && ::sd_bus_set_anonymous(made, 1) >= 0 && ::sd_bus_start(made) >= 0;
  return ok ? std::move(bus) : nullptr;
}

// For one client.
class SdbusEcho {
 public:
  explicit SdbusEcho(const bench::Setup& setup) {
    std::array<int, 2> ends;
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                     ends.data()) != 0) {
      return;
    }
    client_end_ = ends[0];
    server_ = std::thread([this, setup, fd = ends[1]] {
      setup.PlaceServer();
      Serve(fd);
    });
  }
  // The client is gone, and so the server's connection with it.
  ~SdbusEcho() {
    if (client_end_ >= 0) ::close(client_end_);
    if (server_.joinable()) server_.join();
  }
  SdbusEcho(const SdbusEcho&) = delete;
  SdbusEcho& operator=(const SdbusEcho&) = delete;

  class Client {
   public:
    explicit Client(SdbusEcho& service)
        : bus_(Connect(std::exchange(service.client_end_, -1), false)) {}
    bool Call(const Bytes& payload) {
      sd_bus_message* made = nullptr;
      if (!bus_ ||
          ::sd_bus_message_new_method_call(bus_.get(), &made, nullptr, "/echo",
                                           "bench.Echo", "Echo") < 0) {
        return false;
      }
      const Message call(made);
      if (::sd_bus_message_append_array(made, 'y', payload.data(),
                                        payload.size()) < 0) {
        return false;
      }
      sd_bus_message* answered = nullptr;
      if (::sd_bus_call(bus_.get(), made, 0, nullptr, &answered) < 0) {
        return false;
      }
      const Message reply(answered);
      const void* data = nullptr;
      std::size_t size = 0;
      return ::sd_bus_message_read_array(answered, 'y', &data, &size) >= 0 &&
             size == payload.size() &&
             bench::IsFilled(data, size,
                             bench::ValueOf(payload.data(), payload.size()));
    }

   private:
    Bus bus_;
  };

 private:
  static int Answer(sd_bus_message* call, void* context,
                    sd_bus_error* /*error*/) {
    Bytes& answer = static_cast<SdbusEcho*>(context)->answer_;
    const void* data = nullptr;
    std::size_t size = 0;
    if (const int error = ::sd_bus_message_read_array(call, 'y', &data, &size);
        error < 0) {
      return error;
    }
    bench::AnswerTo(data, size, answer);
    sd_bus_message* made = nullptr;
    if (const int error = ::sd_bus_message_new_method_return(call, &made);
        error < 0) {
      return error;
    }
    const Message reply(made);
    if (const int error = ::sd_bus_message_append_array(
            made, 'y', answer.data(), answer.size());
        error < 0) {
      return error;
    }
    const int sent =
        ::sd_bus_send(::sd_bus_message_get_bus(call), made, nullptr);
    return sent < 0 ? sent : 1;
  }

  void Serve(int fd) {
    const Bus bus = Connect(fd, true);
    if (!bus ||
        ::sd_bus_add_object(bus.get(), nullptr, "/echo", &Answer, this) < 0) {
      return;
    }
    for (;;) {
      const int done = ::sd_bus_process(bus.get(), nullptr);
      if (done < 0) return;
      if (done == 0 && ::sd_bus_wait(bus.get(), UINT64_MAX) < 0) return;
    }
  }

  int client_end_ = -1;
  Bytes answer_;
  std::thread server_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::RegisterRoundTrips<SdbusEcho>("sdbus", bench::kSizes);
  return bench::RunRows(argc, argv);
}
