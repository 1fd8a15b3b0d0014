// SPDX-License-Identifier: Apache-2.0
//
// Binder: one binder device inside the program, with a service manager: what
// programs that use the typed API begin with.
//
//   bl::Binder binder;
//   bl::Endpoint server = binder.Open("server");
//
// Endpoints may outlive it; whatever they do then answers kClosed or kDead.
// Two of them have nothing to do with each other. No locks of its own.

#ifndef BINDERLITE_API_BINDER_H_
#define BINDERLITE_API_BINDER_H_

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binderlite/api/endpoint.h"
#include "binderlite/api/endpoint_list.h"
#include "binderlite/api/registry.h"
#include "binderlite/core/context.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"

namespace binderlite {

// What a Binder is made with.
struct BinderOptions {
  // Of the driver: hooks, policy, logs.
  ContextOptions context = {};
  // False: there is none until an endpoint becomes it (BecomeManager).
  bool service_manager = true;
  // Of the service manager: who may do what.
  RegistryOptions registry = {};
};

// With the default locking, Binder.
template <LockingPolicy L = FineGrained<>>
class BasicBinder {
 public:
  // A new device, that nobody else has.
  explicit BasicBinder(BinderOptions options = {})
      : context_(std::move(options.context)) {
    if (options.service_manager) {
      registry_.emplace(context_, std::move(options.registry));
      endpoints_->Add(registry_->endpoint());
    }
  }

  // A new endpoint of it.
  [[nodiscard]] BasicEndpoint<L> Open(EndpointOptions options) {
    BasicEndpoint<L> endpoint(context_, std::move(options));
    endpoints_->Add(endpoint);
    return endpoint;
  }
  // The same, with nothing chosen but its name.
  template <std::convertible_to<std::string> Name>
  [[nodiscard]] BasicEndpoint<L> Open(Name&& name) {
    return Open(EndpointOptions{.name = std::forward<Name>(name)});
  }

  // The driver beneath: its dumps, snapshots, and raw Procs beside endpoints.
  [[nodiscard]] BasicContext<L>& context() { return context_; }
  // What has been opened here, for reports (debug/watchdog.h).
  [[nodiscard]] const std::shared_ptr<BasicEndpointList<L>>& endpoints() const {
    return endpoints_;
  }

 private:
  BasicContext<L> context_;
  const std::shared_ptr<BasicEndpointList<L>> endpoints_ =
      std::make_shared<BasicEndpointList<L>>();
  std::optional<BasicServiceRegistry<L>> registry_;
};

// Of the default locking.
using Binder = BasicBinder<>;

}  // namespace binderlite

#endif  // BINDERLITE_API_BINDER_H_
