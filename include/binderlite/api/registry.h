// SPDX-License-Identifier: Apache-2.0
//
// ServiceRegistry: the service manager that a Binder comes with. An endpoint
// that serves the interface ServiceManager on handle 0.
//
// What a watcher hears last is how it is. One that has no room for news is told
// again, by the endpoint's timer, of how it is then.
//
// Locks: `mu_`, a leaf; nobody is called, and no reference dropped, with it.

#ifndef BINDERLITE_API_REGISTRY_H_
#define BINDERLITE_API_REGISTRY_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/death_watch.h"
#include "binderlite/api/endpoint.h"
#include "binderlite/api/object.h"
#include "binderlite/api/pending.h"
#include "binderlite/api/proxy.h"
#include "binderlite/api/service_manager.h"
#include "binderlite/api/status.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
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

// With the default locking, ServiceRegistry.
template <LockingPolicy L = FineGrained<>>
class BasicServiceRegistry {
 public:
  // Opens an endpoint of `context` and becomes its manager; see status().
  explicit BasicServiceRegistry(BasicContext<L>& context,
                                RegistryOptions options = {})
      : state_(std::make_shared<State>(std::move(options))),
        endpoint_(context, {.name = "servicemanager"}) {
    state_->SetTimer(endpoint_.internal()->pending);
    service_ = endpoint_.Create(ServiceManager{
        .Add =
            [s = state_](const Caller& caller, std::string_view name,
                         const Object& service) {
              return s->Add(caller, name, service);
            },
        .Get = [s = state_](
                   const Caller& caller,
                   std::string_view name) { return s->Get(caller, name); },
        .List = [s = state_] { return s->List(); },
        .Watch =
            [s = state_](const Caller& caller, std::string_view name,
                         const Proxy<PresenceListener>& listener) {
              return s->Watch(caller, name, listener);
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
  [[nodiscard]] BasicEndpoint<L>& endpoint() { return endpoint_; }

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
    std::uint64_t number = 0;
    DeathWatch death;
    bool knows = false;   // What it has heard last is that there is one.
    bool behind = false;  // Had no room for what it should have heard last.
  };

  // A service has come or gone. `watcher`: only for that one, which may know
  // already; 0: for all.
  struct News {
    std::string name;
    std::uint64_t watcher = 0;
  };

  class State : public std::enable_shared_from_this<State> {
   public:
    explicit State(RegistryOptions options) : options_(std::move(options)) {}

    // Before anybody is told anything. What of the endpoint's repeats things.
    void SetTimer(const std::shared_ptr<api_internal::PendingCalls<L>>& timer) {
      timer_ = timer;
    }

    Status Add(const Caller& caller, std::string_view name,
               const Object& service) {
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
          service.WatchDeath([weak = this->weak_from_this(),
                              key = std::string(name), number](DeathReason) {
            const auto state = weak.lock();
            if (state != nullptr) state->Remove(key, number);
          });
      {
        sync::MutexLock lock(mu_);
        const auto it = services_.find(std::string(name));
        if (it != services_.end() && it->second.number == number) {
          std::swap(it->second.death, death);
        }
      }
      Tell(name);
      return {};
    }
    Result<Object> Get(const Caller& caller, std::string_view name) {
      if (!May(caller, ServiceOperation::kGet, name)) return Refused(name);
      const std::string key(name);
      sync::MutexLock lock(mu_);
      const auto it = services_.find(key);
      return it == services_.end() ? Object() : it->second.service;
    }
    std::vector<std::string> List() {
      std::vector<std::string> names;
      {
        sync::MutexLock lock(mu_);
        names.reserve(services_.size());
        for (const auto& [name, entry] : services_) names.push_back(name);
      }
      std::sort(names.begin(), names.end());
      return names;
    }
    Status Watch(const Caller& caller, std::string_view name,
                 const Proxy<PresenceListener>& listener) {
      if (!May(caller, ServiceOperation::kWatch, name)) return Refused(name);
      if (!listener) return Status(StatusCode::kNoSuchObject, Delivery::kYes);
      const std::uint64_t number = [&] {
        sync::MutexLock lock(mu_);
        watchers_.push_back({.name = std::string(name),
                             .listener = listener,
                             .number = ++last_number_,
                             .death = {}});
        return last_number_;
      }();
      // Only now: it may be dead already.
      DeathWatch death =
          listener.WatchDeath([weak = this->weak_from_this(),
                               dead = WeakProxy<PresenceListener>(listener),
                               key = std::string(name)](DeathReason) {
            const auto state = weak.lock();
            if (state != nullptr) state->Unwatch(key, dead.lock());
          });
      {
        sync::MutexLock lock(mu_);
        for (Watcher& watcher : watchers_) {
          if (watcher.number == number) std::swap(watcher.death, death);
        }
      }
      Tell(name, number);
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
      Tell(name);
    }
    // Tells the watchers of `name`, or one of them, what there is now. One
    // thread at a time does so for all. `watcher`, which has just come or is
    // behind, hears only what it does not know.
    void Tell(std::string_view name, std::uint64_t watcher = 0) {
      {
        sync::MutexLock lock(mu_);
        news_.push_back({std::string(name), watcher});
        if (std::exchange(tells_, true)) return;
      }
      struct Told {
        std::uint64_t number;
        Proxy<PresenceListener> listener;
      };
      for (;;) {
        News news;
        Object service;
        std::vector<Told> told;
        {
          sync::MutexLock lock(mu_);
          if (news_.empty()) {
            tells_ = false;
            return;
          }
          news = std::move(news_.front());
          news_.erase(news_.begin());  // There are hardly ever two.
          const auto it = services_.find(news.name);
          if (it != services_.end()) service = it->second.service;
          for (Watcher& each : watchers_) {
            if (each.name != news.name) continue;
            if (news.watcher != 0) {
              if (each.number != news.watcher) continue;
              if (service ? each.knows && !each.behind : !each.knows) {
                each.behind = false;  // It has missed what is over by now.
                continue;
              }
            }
            told.push_back({each.number, each.listener});
          }
        }
        for (const Told& each : told) {
          const Status status =
              service ? each.listener->OnPresent(news.name, service)
                      : each.listener->OnGone(news.name);
          NoteTold(each.number, static_cast<bool>(service), status);
        }
      }
    }
    // Whoever is dead goes by itself.
    void NoteTold(std::uint64_t watcher, bool present, const Status& status) {
      {
        sync::MutexLock lock(mu_);
        Watcher* const found = FindWatcher(watcher);
        if (found == nullptr) return;
        if (status.ok()) found->knows = present;
        const bool was_behind =
            std::exchange(found->behind, status == StatusCode::kOutOfMemory);
        if (was_behind || !found->behind) return;
      }
      timer_->Repeat([self = this->shared_from_this(), watcher] {
        return self->CatchUp(watcher);
      });
    }
    // Whether the watcher is not, or no longer, behind.
    bool CatchUp(std::uint64_t watcher) {
      std::string name;
      {
        sync::MutexLock lock(mu_);
        const Watcher* const found = FindWatcher(watcher);
        if (found == nullptr || !found->behind) return true;
        name = found->name;
      }
      Tell(name, watcher);
      sync::MutexLock lock(mu_);
      const Watcher* const found = FindWatcher(watcher);
      return found == nullptr || !found->behind;
    }
    [[nodiscard]] Watcher* FindWatcher(std::uint64_t number)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      const auto it = std::find_if(
          watchers_.begin(), watchers_.end(),
          [number](const Watcher& each) { return each.number == number; });
      return it != watchers_.end() ? &*it : nullptr;
    }

    const RegistryOptions options_;
    std::shared_ptr<api_internal::PendingCalls<L>> timer_;
    sync::AbseilMutex mu_;
    std::unordered_map<std::string, Entry> services_ ABSL_GUARDED_BY(mu_);
    std::vector<Watcher> watchers_ ABSL_GUARDED_BY(mu_);
    std::uint64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
    std::vector<News> news_ ABSL_GUARDED_BY(mu_);
    bool tells_ ABSL_GUARDED_BY(mu_) = false;  // Somebody does.
  };

  const std::shared_ptr<State> state_;
  BasicEndpoint<L> endpoint_;
  Service<ServiceManager> service_;
  Status status_;
};

// Of the default locking.
using ServiceRegistry = BasicServiceRegistry<>;

}  // namespace binderlite

#endif  // BINDERLITE_API_REGISTRY_H_
