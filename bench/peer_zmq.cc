// SPDX-License-Identifier: Apache-2.0
//
// ZeroMQ in one process as a peer: REQ and REP for round trips, with a proxy
// between ROUTER and DEALER where a server has more than one thread, PAIR for
// one-way.
//
//   roundtrip/zmq/<same|split|free>/<bytes>
//   clients/zmq/M<loopers>/N<clients>
//   oneway/zmq/<same|split|free>/<bytes>

#include <zmq.h>

#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "support/measure.h"
#include "support/one_way_peers.h"
#include "support/payload.h"
#include "support/subject.h"

namespace {

namespace bench = binderlite::bench;
using bench::Bytes;

class ZmqContext {
 public:
  ZmqContext() : context_(::zmq_ctx_new()) {
    // Nothing here goes over a network.
    ::zmq_ctx_set(context_, ZMQ_IO_THREADS, 0);
  }
  ~ZmqContext() { ::zmq_ctx_term(context_); }
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

  // Has all calls on sockets fail, and all threads leave.
  void ShutDown() { ::zmq_ctx_shutdown(context_); }
  [[nodiscard]] void* get() const { return context_; }

 private:
  void* context_;
};

// Used by one thread at a time.
class Socket {
 public:
  Socket(const ZmqContext& context, int type)
      : socket_(::zmq_socket(context.get(), type)) {
    const int linger = 0;
    ::zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
  }
  ~Socket() {
    if (socket_ != nullptr) ::zmq_close(socket_);
  }
  Socket(Socket&& other) noexcept
      : socket_(std::exchange(other.socket_, nullptr)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void Bind(const char* address) { ::zmq_bind(socket_, address); }
  void Connect(const char* address) { ::zmq_connect(socket_, address); }
  void SetBound(int messages) {
    ::zmq_setsockopt(socket_, ZMQ_SNDHWM, &messages, sizeof(messages));
    ::zmq_setsockopt(socket_, ZMQ_RCVHWM, &messages, sizeof(messages));
  }
  bool Send(const Bytes& payload) {
    return ::zmq_send(socket_, payload.data(), payload.size(), 0) >= 0;
  }
  // Calls see(data, size), in the library's memory.
  template <class F>
  bool Receive(F see) {
    zmq_msg_t message;
    ::zmq_msg_init(&message);
    const bool ok = ::zmq_msg_recv(&message, socket_, 0) >= 0;
    if (ok) see(::zmq_msg_data(&message), ::zmq_msg_size(&message));
    ::zmq_msg_close(&message);
    return ok;
  }
  [[nodiscard]] void* get() const { return socket_; }

 private:
  void* socket_;
};

class ZmqEcho {
 public:
  explicit ZmqEcho(const bench::Setup& setup) : setup_(setup) {
    if (setup.loopers == 1) {
      Socket server(context_, ZMQ_REP);
      server.Bind("inproc://service");
      Start(std::move(server));
      return;
    }
    Socket front(context_, ZMQ_ROUTER);
    front.Bind("inproc://service");
    Socket back(context_, ZMQ_DEALER);
    back.Bind("inproc://loopers");
    for (int i = 0; i < setup.loopers; ++i) {
      Socket server(context_, ZMQ_REP);
      server.Connect("inproc://loopers");
      Start(std::move(server));
    }
    threads_.emplace_back(
        [this, front = std::move(front), back = std::move(back)] {
          setup_.PlaceServer();
          ::zmq_proxy(front.get(), back.get(), nullptr);
        });
  }
  ~ZmqEcho() { context_.ShutDown(); }
  ZmqEcho(const ZmqEcho&) = delete;
  ZmqEcho& operator=(const ZmqEcho&) = delete;

  class Client {
   public:
    explicit Client(ZmqEcho& service) : socket_(service.context_, ZMQ_REQ) {
      socket_.Connect("inproc://service");
    }
    bool Call(const Bytes& payload) {
      bool ok = false;
      return socket_.Send(payload) &&
             socket_.Receive([&](const void* data, std::size_t size) {
               ok = size == payload.size() &&
                    bench::IsFilled(
                        data, size,
                        bench::ValueOf(payload.data(), payload.size()));
             }) &&
             ok;
    }

   private:
    Socket socket_;
  };

 private:
  void Start(Socket server) {
    threads_.emplace_back([this, socket = std::move(server)]() mutable {
      setup_.PlaceServer();
      Bytes answer;
      while (socket.Receive([&](const void* data, std::size_t size) {
        bench::AnswerTo(data, size, answer);
      }) && socket.Send(answer)) {
      }
    });
  }

  ZmqContext context_;
  bench::Setup setup_;
  std::vector<std::jthread> threads_;
};

class ZmqOneWay {
 public:
  explicit ZmqOneWay(const bench::Setup& setup) {
    const int bound = static_cast<int>(bench::OneWayBound(setup.bytes));
    // The bound of a connection in one process is the sum of both ends'.
    Socket receiver(context_, ZMQ_PAIR);
    receiver.SetBound(bound / 2);
    receiver.Bind("inproc://messages");
    sender_.SetBound(bound / 2);
    sender_.Connect("inproc://messages");
    receiver_ =
        std::jthread([this, setup, socket = std::move(receiver)]() mutable {
          setup.PlaceServer();
          while (socket.Receive([&](const void* data, std::size_t size) {
            received_.See(data, size);
          })) {
          }
        });
  }
  ~ZmqOneWay() { context_.ShutDown(); }
  ZmqOneWay(const ZmqOneWay&) = delete;
  ZmqOneWay& operator=(const ZmqOneWay&) = delete;

  bool Send(const Bytes& payload) {
    return sender_.Send(payload) && !received_.torn();
  }
  [[nodiscard]] std::uint64_t received() const { return received_.count(); }
  [[nodiscard]] static std::uint64_t full() { return 0; }

 private:
  ZmqContext context_;
  Socket sender_{context_, ZMQ_PAIR};
  bench::Received received_;
  std::jthread receiver_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::RegisterRoundTrips<ZmqEcho>("zmq", bench::kSizes);
  bench::RegisterClients<ZmqEcho>("zmq");
  bench::RegisterOneWay<ZmqOneWay>("zmq");
  return bench::RunRows(argc, argv);
}
