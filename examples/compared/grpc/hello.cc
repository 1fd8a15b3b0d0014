// SPDX-License-Identifier: Apache-2.0

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "greeter.grpc.pb.h"

class GreeterService final : public demo::Greeter::Service {
  grpc::Status Hello(grpc::ServerContext* /*context*/,
                     const demo::HelloRequest* request,
                     demo::HelloReply* reply) override {
    reply->set_text("hello, " + request->who());
    return grpc::Status::OK;
  }
};

int main() {
  GreeterService service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;

  const auto greeter = demo::Greeter::NewStub(server->InProcessChannel({}));
  grpc::ClientContext context;
  demo::HelloRequest request;
  request.set_who("binder");
  demo::HelloReply reply;
  if (!greeter->Hello(&context, request, &reply).ok()) return 1;
  std::cout << reply.text() << '\n';
}

// Prints:
//   hello, binder
