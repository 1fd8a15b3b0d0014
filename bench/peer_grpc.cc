// SPDX-License-Identifier: Apache-2.0
//
// gRPC within one process as a peer: the callback API on both sides, unary
// calls of plain bytes, so that what is measured is the call and not how a
// message is encoded.
//
//   roundtrip/grpc/<same|split|free>/<bytes>
//   clients/grpc/M<loopers>/N<clients>
//
// gRPC runs handlers on threads of its own, whose number it decides itself: M
// says nothing here. Placement: its threads inherit where the server is made.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "support/measure.h"
#include "support/payload.h"
#include "support/subject.h"

namespace {

namespace bench = binderlite::bench;
using bench::Bytes;

// What is in a buffer of one slice or more; copies only if it has to.
template <class F>
bool Look(const grpc::ByteBuffer& buffer, F see) {
  grpc::Slice slice;
  if (buffer.TrySingleSlice(&slice).ok()) {
    see(slice.begin(), slice.size());
    return true;
  }
  if (!buffer.DumpToSingleSlice(&slice).ok()) return false;
  see(slice.begin(), slice.size());
  return true;
}

grpc::ByteBuffer BufferOf(const Bytes& bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

class EchoReactor : public grpc::ServerGenericBidiReactor {
 public:
  EchoReactor() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    Bytes answer;
    if (!ok || !Look(request_, [&](const void* data, std::size_t size) {
          bench::AnswerTo(data, size, answer);
        })) {
      Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no request"));
      return;
    }
    reply_ = BufferOf(answer);
    StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
};

class EchoService : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* /*context*/) override {
    return new EchoReactor;
  }
};

class GrpcEcho {
 public:
  explicit GrpcEcho(const bench::Setup& setup) {
    // On a thread that is where the server belongs: those that gRPC starts
    // inherit its processors.
    std::thread starter([&] {
      setup.PlaceServer();
      grpc::ServerBuilder builder;
      builder.SetMaxReceiveMessageSize(-1);
      builder.RegisterCallbackGenericService(&service_);
      server_ = builder.BuildAndStart();
      if (server_ == nullptr) return;
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(-1);
      channel_ = server_->InProcessChannel(arguments);
    });
    starter.join();
  }
  ~GrpcEcho() {
    channel_.reset();
    if (server_ != nullptr) server_->Shutdown();
  }
  GrpcEcho(const GrpcEcho&) = delete;
  GrpcEcho& operator=(const GrpcEcho&) = delete;

  class Client {
   public:
    explicit Client(GrpcEcho& service) {
      if (service.channel_ == nullptr) return;
      stub_ = std::make_unique<grpc::GenericStub>(service.channel_);
    }
    bool Call(const Bytes& payload) {
      if (stub_ == nullptr) return false;
      grpc::ClientContext context;
      const grpc::ByteBuffer request = BufferOf(payload);
      grpc::ByteBuffer reply;
      grpc::Status status;
      bool done = false;
      stub_->UnaryCall(&context, "/bench.Echo/Echo", grpc::StubOptions(),
                       &request, &reply, [&](const grpc::Status& answered) {
                         const std::lock_guard lock(mu_);
                         status = answered;
                         done = true;
                         done_.notify_one();
                       });
      {
        std::unique_lock lock(mu_);
        done_.wait(lock, [&] { return done; });
      }
      bool ok = false;
      return status.ok() &&
             Look(reply,
                  [&](const void* data, std::size_t size) {
                    ok = size == payload.size() &&
                         bench::IsFilled(
                             data, size,
                             bench::ValueOf(payload.data(), payload.size()));
                  }) &&
             ok;
    }

   private:
    std::unique_ptr<grpc::GenericStub> stub_;
    std::mutex mu_;
    std::condition_variable done_;
  };

 private:
  EchoService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::RegisterRoundTrips<GrpcEcho>("grpc", bench::kSizes);
  bench::RegisterClients<GrpcEcho>("grpc");
  return bench::RunRows(argc, argv);
}
