// SPDX-License-Identifier: Apache-2.0
//
// ServiceManager: the interface of what is behind handle 0, where services are
// found by their names. An ordinary interface: ServiceRegistry (api/registry.h)
// implements it, and so can anybody else.
//
//   Add      kServiceError kAlreadyThere: another endpoint has that name;
//            kBadName: empty, or longer than 127 bytes
//   Get      null: there is no such service
//   Watch    the listener is told of the service that there is, and of each
//            that comes and goes, until Unwatch or its own death
//
// All but List answer kRefused where a permission hook says no. A service goes
// by itself when its endpoint dies. libbinder: IServiceManager.

#ifndef BINDERLITE_API_SERVICE_MANAGER_H_
#define BINDERLITE_API_SERVICE_MANAGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/api/method.h"
#include "binderlite/api/proxy.h"

namespace binderlite {

struct PresenceListener {
  static constexpr InterfaceName kName = "binderlite.PresenceListener";
  OneWay<1, void(std::string_view name, Object service)> OnPresent;
  OneWay<2, void(std::string_view name)> OnGone;
};

struct ServiceManager {
  static constexpr InterfaceName kName = "binderlite.ServiceManager";
  Method<1, void(std::string_view name, Object service)> Add;
  Method<2, Object(std::string_view name)> Get;
  Method<3, std::vector<std::string>()> List;
  Method<4, void(std::string_view name, Proxy<PresenceListener>)> Watch;
  Method<5, void(std::string_view name, Proxy<PresenceListener>)> Unwatch;
};

// Service codes of its errors.
enum ServiceManagerError : std::int32_t { kAlreadyThere = 1, kBadName = 2 };

// Tells of a service's coming and going for as long as it lives, by a looper of
// the endpoint that has made it. After its destruction no callback begins.
class [[nodiscard]] PresenceWatch {
 public:
  // Watches nothing.
  PresenceWatch() = default;
  PresenceWatch(PresenceWatch&&) noexcept = default;
  PresenceWatch& operator=(PresenceWatch&& other) noexcept {
    if (this != &other) {
      End();
      manager_ = std::move(other.manager_);
      name_ = std::move(other.name_);
      listener_ = std::move(other.listener_);
      status_ = std::move(other.status_);
    }
    return *this;
  }
  ~PresenceWatch() { End(); }

  // For Endpoint::WatchPresence.
  PresenceWatch(Proxy<ServiceManager> manager, std::string_view name,
                Service<PresenceListener> listener)
      : manager_(std::move(manager)),
        name_(name),
        listener_(std::move(listener)),
        status_(manager_->Watch(name_, listener_)) {}

  [[nodiscard]] const Status& status() const { return status_; }
  void End() {
    if (!listener_) return;
    if (status_.ok()) (void)manager_->Unwatch(name_, listener_).ok();
    listener_ = {};
  }

 private:
  Proxy<ServiceManager> manager_;
  std::string name_;
  Service<PresenceListener> listener_;
  Status status_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_SERVICE_MANAGER_H_
