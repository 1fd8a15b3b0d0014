// SPDX-License-Identifier: Apache-2.0
//
// ServiceRegistry: the service manager that a Binder comes with. An endpoint
// that serves the interface ServiceManager on handle 0.
//
// Locks: `mu_`, a leaf; nobody is called, and no reference dropped, with it.

#ifndef BINDERLITE_API_REGISTRY_H_
#define BINDERLITE_API_REGISTRY_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "binderlite/api/death_watch.h"
#include "binderlite/api/endpoint.h"
#include "binderlite/api/object.h"
#include "binderlite/api/proxy.h"
#include "binderlite/api/service_manager.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite {

// What RegistryOptions::may is asked about.
enum class ServiceOperation : std::uint8_t { kAdd, kGet, kWatch };

// What a ServiceRegistry is made with.
struct RegistryOptions {
  // Whether `caller` may do this with the service `name`. Empty: everybody may
  // do everything. Called from many threads at a time.
  std::function<bool(const Caller& caller, ServiceOperation what,
                     std::string_view name)>
      may = {};
};

class ServiceRegistry {
 public:
  // Opens an endpoint of `context` and becomes its manager; see status().
  explicit ServiceRegistry(Context& context, RegistryOptions options = {})
      : state_(std::make_shared<State>(std::move(options))),
        endpoint_(context, {.name = "servicemanager"}) {
    service_ = endpoint_.Create(ServiceManager{
        .Add =
            [s = state_](const Caller& caller, std::string_view name,
                         Object service) {
              return s->Add(s, caller, name, std::move(service));
            },
        .Get = [s = state_](
                   const Caller& caller,
                   std::string_view name) { return s->Get(caller, name); },
        .List = [s = state_] { return s->List(); },
        .Watch =
            [s = state_](const Caller& caller, std::string_view name,
                         const Proxy<PresenceListener>& listener) {
              return s->Watch(s, caller, name, listener);
            },
        .Unwatch =
            [s = state_](std::string_view name,
                         const Proxy<PresenceListener>& listener) {
              s->Unwatch(name, listener);
            }});
    status_ = endpoint_.BecomeManager(service_);
  }

  // kFailed: the context has a manager already.
  [[nodiscard]] const Status& status() const { return status_; }
  // Where it lives, called "servicemanager".
  [[nodiscard]] Endpoint& endpoint() { return endpoint_; }

 private:
  struct Entry {
    Object service;
    std::uint64_t number = 0;  // Of this registration.
    std::int32_t pid = 0;      // Of whose it is.
    DeathWatch death;
  };
  struct Watcher {
    std::string name;
    Proxy<PresenceListener> listener;
    DeathWatch death;
  };

  class State {
   public:
    explicit State(RegistryOptions options) : options_(std::move(options)) {}

    Status Add(const std::shared_ptr<State>& self, const Caller& caller,
               std::string_view name, Object service) {
      constexpr std::size_t kLongest = 127;
      if (name.empty() || name.size() > kLongest) {
        return Status::Error(kBadName, "a name has 1 to 127 bytes");
      }
      if (!May(caller, ServiceOperation::kAdd, name)) return Refused(name);
      if (!service) return Status(StatusCode::kNoSuchObject, Delivery::kYes);
      std::uint64_t number = 0;
      Entry replaced;
      {
        sync::MutexLock lock(mu_);
        const auto [it, is_new] = services_.try_emplace(std::string(name));
        Entry& entry = it->second;
        if (!is_new && entry.pid != caller.pid()) {
          return Status::Error(kAlreadyThere,
                               "'" + std::string(name) + "' is taken");
        }
        replaced = std::exchange(entry, Entry());
        number = entry.number = ++last_number_;
        entry.service = service;
        entry.pid = caller.pid();
      }
      DeathWatch death =
          service.WatchDeath([weak = std::weak_ptr<State>(self),
                              key = std::string(name), number](DeathReason) {
            if (const auto state = weak.lock()) state->Remove(key, number);
          });
      {
        sync::MutexLock lock(mu_);
        const auto it = services_.find(name);
        if (it != services_.end() && it->second.number == number) {
          std::swap(it->second.death, death);
        }
      }
      Tell(name, service);
      return {};
    }
    Result<Object> Get(const Caller& caller, std::string_view name) {
      if (!May(caller, ServiceOperation::kGet, name)) return Refused(name);
      sync::MutexLock lock(mu_);
      const auto it = services_.find(name);
      return it == services_.end() ? Object() : it->second.service;
    }
    std::vector<std::string> List() {
      std::vector<std::string> names;
      sync::MutexLock lock(mu_);
      for (const auto& [name, entry] : services_) names.push_back(name);
      return names;
    }
    Status Watch(const std::shared_ptr<State>& self, const Caller& caller,
                 std::string_view name,
                 const Proxy<PresenceListener>& listener) {
      if (!May(caller, ServiceOperation::kWatch, name)) return Refused(name);
      if (!listener) return Status(StatusCode::kNoSuchObject, Delivery::kYes);
      DeathWatch death =
          listener.WatchDeath([weak = std::weak_ptr<State>(self),
                               dead = WeakProxy<PresenceListener>(listener),
                               key = std::string(name)](DeathReason) {
            const auto state = weak.lock();
            if (state != nullptr) state->Unwatch(key, dead.lock());
          });
      Object present;
      {
        sync::MutexLock lock(mu_);
        watchers_.push_back({std::string(name), listener, std::move(death)});
        const auto it = services_.find(name);
        if (it != services_.end()) present = it->second.service;
      }
      if (present) (void)listener->OnPresent(name, present).ok();
      return {};
    }
    void Unwatch(std::string_view name,
                 const Proxy<PresenceListener>& listener) {
      std::vector<Watcher> gone;
      sync::MutexLock lock(mu_);
      const auto is_it = [&](const Watcher& watcher) {
        return watcher.name == name && watcher.listener == listener;
      };
      for (auto it = watchers_.begin(); it != watchers_.end();) {
        if (is_it(*it)) {
          gone.push_back(std::move(*it));
          it = watchers_.erase(it);
        } else {
          ++it;
        }
      }
    }

   private:
    [[nodiscard]] bool May(const Caller& caller, ServiceOperation what,
                           std::string_view name) const {
      return !options_.may || options_.may(caller, what, name);
    }
    static Status Refused(std::string_view name) {
      return Status(StatusCode::kRefused, Delivery::kYes, std::string(name));
    }
    void Remove(const std::string& name, std::uint64_t number) {
      Entry gone;
      {
        sync::MutexLock lock(mu_);
        const auto it = services_.find(name);
        if (it == services_.end() || it->second.number != number) return;
        gone = std::move(it->second);
        services_.erase(it);
      }
      Tell(name, Object());
    }
    // In whatever order two changes at a time are told, the last word of the
    // registry is what Get says.
    void Tell(std::string_view name, const Object& service) {
      std::vector<Proxy<PresenceListener>> told;
      {
        sync::MutexLock lock(mu_);
        for (const Watcher& watcher : watchers_) {
          if (watcher.name == name) told.push_back(watcher.listener);
        }
      }
      for (const Proxy<PresenceListener>& listener : told) {
        const Status status = service ? listener->OnPresent(name, service)
                                      : listener->OnGone(name);
        (void)status.ok();  // Whoever is dead goes by itself.
      }
    }

    const RegistryOptions options_;
    absl::Mutex mu_;
    std::map<std::string, Entry, std::less<>> services_ ABSL_GUARDED_BY(mu_);
    std::vector<Watcher> watchers_ ABSL_GUARDED_BY(mu_);
    std::uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  };

  const std::shared_ptr<State> state_;
  Endpoint endpoint_;
  Service<ServiceManager> service_;
  Status status_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_REGISTRY_H_
