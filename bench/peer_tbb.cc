// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's bounded queue as a peer: a pair of queues of capacity 1 for round
// trips, and a bounded queue of messages for one-way.
//
//   roundtrip/tbb/<same|split|free>/<bytes>
//   oneway/tbb/<same|split|free>/<bytes>
//
// The queues carry addresses in round trips, whose payloads are copied into and
// out of memory that both sides know, once each way; messages of one-way are
// the elements, as the queue offers no other way to keep them apart.

#include <tbb/concurrent_queue.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

#include "support/measure.h"
#include "support/one_way_peers.h"
#include "support/peers.h"
#include "support/subject.h"

namespace {

namespace bench = binderlite::bench;
using bench::Bytes;

class TbbEcho {
 public:
  explicit TbbEcho(const bench::Setup& setup)
      : server_([this, setup] {
          setup.PlaceServer();
          Serve();
        }) {}
  ~TbbEcho() {
    requests_.push(nullptr);
    server_.join();
  }
  TbbEcho(const TbbEcho&) = delete;
  TbbEcho& operator=(const TbbEcho&) = delete;

  class Client {
   public:
    explicit Client(TbbEcho& service) : service_(service) {}
    bool Call(const Bytes& payload) {
      bench::Copy(there_, payload);
      service_.requests_.push(&there_);
      Bytes* back = nullptr;
      service_.replies_.pop(back);
      return bench::Answers(*back, payload);
    }

   private:
    TbbEcho& service_;
    Bytes there_;
  };

 private:
  void Serve() {
    Bytes answer;
    Bytes back;
    for (;;) {
      Bytes* request = nullptr;
      requests_.pop(request);
      if (request == nullptr) return;
      bench::AnswerTo(request->data(), request->size(), answer);
      bench::Copy(back, answer);
      replies_.push(&back);
    }
  }

  tbb::concurrent_bounded_queue<Bytes*> requests_;
  tbb::concurrent_bounded_queue<Bytes*> replies_;
  std::thread server_;
};

template <std::size_t kSize>
class TbbOneWay {
 public:
  explicit TbbOneWay(const bench::Setup& setup) {
    queue_.set_capacity(
        static_cast<std::ptrdiff_t>(bench::OneWayBound(setup.bytes)));
    receiver_ = std::thread([this, setup] {
      setup.PlaceServer();
      Message message;
      for (;;) {
        queue_.pop(message);
        if (message.size == 0) return;
        received_.See(message.bytes.data(), message.size);
      }
    });
  }
  ~TbbOneWay() {
    queue_.push(Message{});
    receiver_.join();
  }
  TbbOneWay(const TbbOneWay&) = delete;
  TbbOneWay& operator=(const TbbOneWay&) = delete;

  bool Send(const Bytes& payload) {
    // Made in place in the queue.
    queue_.emplace(payload);
    return !received_.torn();
  }
  [[nodiscard]] std::uint64_t received() const { return received_.count(); }
  [[nodiscard]] static std::uint64_t full() { return 0; }

 private:
  struct Message {
    Message() = default;
    explicit Message(const Bytes& payload)
        : size(static_cast<std::uint32_t>(payload.size())) {
      std::memcpy(bytes.data(), payload.data(), payload.size());
    }
    std::uint32_t size = 0;
    std::array<std::byte, kSize> bytes;
  };

  tbb::concurrent_bounded_queue<Message> queue_;
  bench::Received received_;
  std::thread receiver_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::RegisterRoundTrips<TbbEcho>("tbb", bench::kSizes);
  bench::RegisterOneWaySize<TbbOneWay<16>>("tbb", 16);
  bench::RegisterOneWaySize<TbbOneWay<4096>>("tbb", 4096);
  return bench::RunRows(argc, argv);
}
