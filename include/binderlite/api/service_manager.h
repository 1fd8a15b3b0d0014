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
// Add, Get and Watch answer kRefused where a permission hook says no. A service
// goes by itself when its endpoint dies. libbinder: IServiceManager.

#ifndef BINDERLITE_API_SERVICE_MANAGER_H_
#define BINDERLITE_API_SERVICE_MANAGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/api/death_watch.h"
#include "binderlite/api/method.h"
#include "binderlite/api/object.h"
#include "binderlite/api/proxy.h"
#include "binderlite/api/status.h"

namespace binderlite {

// Who hears of the coming and going of services.
struct PresenceListener {
  // Of the interface.
  static constexpr InterfaceName kName = "binderlite.PresenceListener";
  // `service` has that name now, whether or not another had it before.
  OneWay<1, void(std::string_view name, Object service)> OnPresent = {};
  // No service has that name any more.
  OneWay<2, void(std::string_view name)> OnGone = {};
};

// Where services are found by their names. See the head of this file.
struct ServiceManager {
  // Of the interface.
  static constexpr InterfaceName kName = "binderlite.ServiceManager";
  // Gives `service` a name; another of the same endpoint loses it.
  Method<1, void(std::string_view name, Object service)> Add = {};
  // The service of that name, or null.
  Method<2, Object(std::string_view name)> Get = {};
  // The names that there are, sorted.
  Method<3, std::vector<std::string>()> List = {};
  // Has the listener told of `name`, at once if there is such a service.
  Method<4, void(std::string_view name, Proxy<PresenceListener>)> Watch = {};
  // Ends a Watch of the same listener and name.
  Method<5, void(std::string_view name, Proxy<PresenceListener>)> Unwatch = {};
};

// Service codes of its errors.
enum ServiceManagerError : std::int32_t { kAlreadyThere = 1, kBadName = 2 };

// Tells of a service's coming and going for as long as it lives, by a looper of
// the endpoint that has made it. After its destruction the callback does not
// begin any more, and has ended, unless it is destroyed in the callback itself.
class [[nodiscard]] PresenceWatch {
 public:
  // Gets the service that has come; null: it has gone.
  using Callback =
      std::function<void(std::string_view name, const Object& service)>;

  // Watches nothing.
  PresenceWatch() = default;
  PresenceWatch(PresenceWatch&&) noexcept = default;
  PresenceWatch& operator=(PresenceWatch&& other) noexcept {
    if (this != &other) {
      End();
      told_ = std::move(other.told_);
      unwatch_ = std::exchange(other.unwatch_, nullptr);
      status_ = std::move(other.status_);
    }
    return *this;
  }
  ~PresenceWatch() { End(); }

  // For Endpoint::WatchPresence: create(PresenceListener) makes a Service.
  template <class Create>
  PresenceWatch(const Proxy<ServiceManager>& manager, std::string_view name,
                Callback callback, Create create)
      : told_(std::make_shared<Told>(std::move(callback))) {
    Service<PresenceListener> listener = create(PresenceListener{
        .OnPresent = [told = told_](
                         std::string_view which,
                         const Object& service) { told->Call(which, service); },
        .OnGone =
            [told = told_](std::string_view which) { told->Call(which, {}); }});
    status_ = manager->Watch(name, listener);
    unwatch_ = [manager, key = std::string(name), listener,
                watches = status_.ok()] {
      if (watches) (void)manager->Unwatch(key, listener).ok();
    };
  }

  // Whether it watches, or why not.
  [[nodiscard]] const Status& status() const { return status_; }
  // Does what the destructor does.
  void End() {
    if (told_ == nullptr) return;
    std::exchange(unwatch_, nullptr)();
    std::exchange(told_, nullptr)->gate.End();
  }

 private:
  struct Told {
    explicit Told(Callback its_callback) : callback(std::move(its_callback)) {}
    void Call(std::string_view name, const Object& service) {
      if (!gate.Enter()) return;
      callback(name, service);
      gate.Leave();
    }
    const Callback callback;
    api_internal::CallbackGate gate;
  };

  std::shared_ptr<Told> told_;
  std::function<void()> unwatch_;
  Status status_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_SERVICE_MANAGER_H_
