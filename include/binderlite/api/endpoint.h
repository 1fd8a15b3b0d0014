// SPDX-License-Identifier: Apache-2.0
//
// Endpoint: a component of the program with an identity, objects and threads of
// its own: one open of the binder device. Everything that is called through it
// or lives in it ends with it.
//
//   bl::Endpoint server = binder.Open("server");
//   bl::Service<Greeter> greeter = server.Create(Greeter{.Hello = ...});
//
// The end. Close, and so the destructor, from any thread, at any time, also in
// a handler of its own:
//
//   1 no call begins any more, in either direction: kClosed here, kDead there
//   2 whoever waits in a call through it goes on, with kClosed
//   3 stop tokens of its handlers are stopped
//   4 everyone who watches one of its objects hears of its death
//   5 asynchronous calls through it complete with kClosed
//   6 it returns when its handlers have returned (but for the one that closes
//     it); those that do not are named in a report, again and again
//
// Two handlers that close each other's endpoints wait for each other.
// libbinder: ProcessState.

#ifndef BINDERLITE_API_ENDPOINT_H_
#define BINDERLITE_API_ENDPOINT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/conversation.h"
#include "binderlite/api/endpoint_options.h"
#include "binderlite/api/frame.h"
#include "binderlite/api/local.h"
#include "binderlite/api/loopback.h"
#include "binderlite/api/looper.h"
#include "binderlite/api/method.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/proxy.h"
#include "binderlite/api/remote.h"
#include "binderlite/api/service_manager.h"
#include "binderlite/api/session.h"
#include "binderlite/api/status.h"
#include "binderlite/api/transport.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/sync/stop.h"

namespace binderlite {

// With the default locking, Endpoint.
template <LockingPolicy L = FineGrained<>>
class BasicEndpoint {
 public:
  // Not open: can be assigned to, tested, closed and destroyed, nothing else.
  BasicEndpoint() = default;
  // Opens `context` as whoever `options` say.
  BasicEndpoint(BasicContext<L>& context, EndpointOptions options) {
    if (options.loopers == 0) {
      ready_ = std::make_shared<api_internal::ReadySignal>();
    }
    process_ = std::make_shared<api_internal::Process<L>>(
        context, std::move(options), ready_, &api_internal::RunLooper<L>);
    process_->proc.SetCallHandler(
        std::make_shared<api_internal::CallerDispatch<L>>(process_));
    if (ready_ != nullptr) {
      polled_ = process_->Take();
      (void)polled_->thread.EnterLooper();
      bool readable = false;
      (void)polled_->thread.Poll(readable);
    }
  }
  BasicEndpoint(BasicEndpoint&&) noexcept = default;
  BasicEndpoint& operator=(BasicEndpoint&& other) noexcept {
    if (this != &other) {
      Close();
      process_ = std::move(other.process_);
      ready_ = std::move(other.ready_);
      polled_ = std::exchange(other.polled_, nullptr);
    }
    return *this;
  }
  ~BasicEndpoint() { Close(); }

  // Whether it has been opened. It stays true when it is closed.
  [[nodiscard]] explicit operator bool() const { return process_ != nullptr; }
  // As it was opened with.
  [[nodiscard]] const std::string& name() const {
    return process_->options.name;
  }
  // What callees see; EndpointOptions::pid, or the one that was chosen.
  [[nodiscard]] std::int32_t pid() const { return process_->pid(); }

  // A new object, served by the handlers in `handlers`.
  template <class I>
  [[nodiscard]] Service<I> Create(I handlers, ServiceOptions options = {}) {
    auto object = std::make_shared<api_internal::LocalObject<L>>(
        process_, &api_internal::InfoOf<I>::kInfo, std::move(options));
    api_internal::ForEachMethod(handlers, [&object](auto& method) {
      object->Add(method.kCode, method.TakeHandler());
    });
    return Service<I>(std::move(object));
  }

  // --- Services by name ------------------------------------------------------

  // Has the service manager know `object` as `name`, and hold it, until this
  // endpoint is closed or publishes something else under that name. Its errors:
  // api/service_manager.h; kDead: there is no manager.
  Status Publish(std::string_view name, const Object& object,
                 const CallOptions& options = {}) {
    return manager_proxy()->Add(options, name, object);
  }
  // The service with that name. kNoSuchObject: there is none now;
  // kWrongInterface: it is something else.
  template <class I>
  [[nodiscard]] Result<Proxy<I>> Find(std::string_view name,
                                      const CallOptions& options = {}) {
    const Result<Object> found = manager_proxy()->Get(options, name);
    if (!found.ok()) return found.status();
    if (!*found) return NoSuchService(name);
    Result<Proxy<I>> proxy = found->template As<I>(options);
    // The manager has not heard of its end yet.
    if (proxy.status() == StatusCode::kDead) return NoSuchService(name);
    return proxy;
  }
  // The same, but waits until there is one. kDeadline, kCancelled: by
  // `options`; kDead: the manager has died. Not for endpoints without loopers,
  // and not in a handler of an endpoint that has only one.
  template <class I>
  [[nodiscard]] Result<Proxy<I>> Wait(std::string_view name,
                                      const CallOptions& options = {}) {
    if (process_->options.loopers == 0) {
      return Status(StatusCode::kFailed, Delivery::kNo,
                    "an endpoint without loopers cannot wait for a service");
    }
    auto present = std::make_shared<Present>();
    const std::stop_callback on_stop(
        options.stop, [&present] { present->End(StatusCode::kCancelled); });
    const std::stop_callback on_close(process_->stop().get_token(), [&present] {
      present->End(StatusCode::kClosed);
    });
    const DeathWatch on_death =
        Manager().WatchDeath([present](DeathReason reason) {
          present->End(reason == DeathReason::kDied ? StatusCode::kDead
                                                    : StatusCode::kClosed);
        });
    const PresenceWatch watch =
        WatchPresence(name, [present](std::string_view, const Object& service) {
          present->Set(service);
        });
    if (!watch.status().ok()) return watch.status();
    Object service;
    for (;;) {
      const Status status = present->Await(service, options.deadline);
      if (!status.ok()) {
        return Status(status.code(), status.delivery(),
                      "no service '" + std::string(name) + "'");
      }
      Result<Proxy<I>> proxy = service.template As<I>(options);
      // It may have died, and the manager not have heard of it yet.
      if (proxy.ok() || proxy.status() != StatusCode::kDead) return proxy;
    }
  }
  // Calls `callback` with the service of that name, if there is one, and then
  // whenever that changes; null: it is gone.
  [[nodiscard]] PresenceWatch WatchPresence(std::string_view name,
                                            PresenceWatch::Callback callback) {
    return PresenceWatch(manager_proxy(), name, std::move(callback),
                         [this](PresenceListener listener) {
                           return Create(std::move(listener));
                         });
  }
  // The names of all services.
  [[nodiscard]] Result<std::vector<std::string>> List(
      const CallOptions& options = {}) {
    return manager_proxy()->List(options);
  }

  // Makes `object` the one that everybody finds behind handle 0, which is how
  // services are found: the service manager. kFailed: there is one already.
  Status BecomeManager(const Object& object) {
    const std::shared_ptr<ApiObject>& internal = object.internal();
    FlatObject flat{};
    if (internal == nullptr || !internal->Flatten(*process_, flat)) {
      return Status(StatusCode::kNoSuchObject);
    }
    api_internal::Session<L> session(*process_);
    const Errc error = session.thread().SetContextMgrExt(flat);
    if (error != Errc::kOk) {
      return Status(error == Errc::kNotPermitted ? StatusCode::kRefused
                                                 : StatusCode::kFailed,
                    Delivery::kNo, std::string{ToString(error)});
    }
    process_->KeepManager(internal);
    return {};
  }
  // What is behind handle 0, whoever that is.
  [[nodiscard]] Object Manager() {
    if (const auto own = process_->manager()) return Object(own);
    api_internal::Session<L> session(*process_);
    return Object(api_internal::FindRemote(*process_, session.thread(),
                                           /*handle=*/0));
  }

  // Starts the loopers now; otherwise that is done when they are needed.
  void Serve() { process_->Serve(); }

  // With EndpointOptions::loopers = 0, for programs with an event loop of their
  // own: a descriptor that is readable when there may be something to serve.
  // -1: it has loopers, which do that.
  [[nodiscard]] int poll_fd() const {
    return ready_ != nullptr ? ready_->fd() : -1;
  }
  // Serves what there is, without waiting, on the calling thread, one thread at
  // a time. How many things that were; none with loopers.
  std::size_t Dispatch() {
    if (ready_ == nullptr) return 0;
    // A handler may drop the endpoint meanwhile.
    const auto process = process_;
    const auto ready = ready_;
    ready->Clear();
    api_internal::ThreadFrame<L> frame(*process, *polled_, polled_->thread,
                                       /*is_handler=*/false);
    api_internal::Conversation<L> conversation(*process, frame);
    const std::size_t count = conversation.Drain();
    conversation.Finish();
    // What has come when the last call had looked, but was not over yet.
    process->proc.ShowReadiness([&ready](auto survey) {
      if (survey().news) ready->OnReady();
    });
    return count;
  }

  // The handlers that run at this moment.
  [[nodiscard]] std::vector<RunningCall> Running() const {
    return process_->Running();
  }
  // How many asynchronous calls are out.
  [[nodiscard]] std::size_t pending_calls() const {
    return process_->pending->size();
  }

  // See above. A second one waits for the same, and does nothing else; within a
  // call or a callback of the endpoint's, for handlers only.
  void Close() {
    if (process_ == nullptr) return;
    // Whoever is told of the end may drop the endpoint meanwhile.
    const auto process = process_;
    process->Close(
        [&process] { api_internal::Conversation<L>::EndAll(*process); });
  }

  // For tests and tools: the driver's side of it.
  [[nodiscard]] BasicProc<L>& proc() { return process_->proc; }
  // For debug/: null if it is not open.
  [[nodiscard]] const std::shared_ptr<api_internal::Process<L>>& internal()
      const {
    return process_;
  }

 private:
  // The last that was heard of a service.
  class Present {
   public:
    void Set(const Object& service) {
      Object old = service;  // What it was goes without the lock.
      sync::MutexLock lock(mu_);
      std::swap(service_, old);
    }
    // No more news are waited for.
    void End(StatusCode why) {
      sync::MutexLock lock(mu_);
      if (!end_.has_value()) end_ = why;
    }
    // Waits for one that is not `service`, and sets that.
    Status Await(Object& service,
                 std::chrono::steady_clock::time_point deadline) {
      Object old;  // Likewise.
      sync::MutexLock lock(mu_);
      const auto news = [this, &service] {
        mu_.AssertHeld();
        return end_.has_value() || (service_ && !(service_ == service));
      };
      if (!mu_.AwaitUntil(news, deadline)) {
        return Status(StatusCode::kDeadline);
      }
      if (end_.has_value()) return Status{*end_};
      old = std::exchange(service, service_);
      return {};
    }

   private:
    sync::AbseilMutex mu_;
    std::optional<StatusCode> end_ ABSL_GUARDED_BY(mu_);
    Object service_ ABSL_GUARDED_BY(mu_);
  };

  [[nodiscard]] Proxy<ServiceManager> manager_proxy() {
    return Proxy<ServiceManager>(Manager());
  }
  static Status NoSuchService(std::string_view name) {
    return Status(StatusCode::kNoSuchObject, Delivery::kNo,
                  "no service '" + std::string(name) + "'");
  }

  std::shared_ptr<api_internal::Process<L>> process_;
  std::shared_ptr<api_internal::ReadySignal> ready_;
  api_internal::ThreadSlot<L>* polled_ = nullptr;
};

// Of the default locking.
using Endpoint = BasicEndpoint<>;

}  // namespace binderlite

#endif  // BINDERLITE_API_ENDPOINT_H_
