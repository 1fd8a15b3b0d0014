// SPDX-License-Identifier: Apache-2.0
//
// LocalObject: an object of this endpoint that others can call, as a table of
// handlers; what a Service holds.
//
//   lives as long as    a Service, a Proxy to it in its own endpoint, or
//                       anybody elsewhere holds it
//   nobody elsewhere    the last holder in another endpoint has let go of it,
//                       or died: on_unreferenced is called
//
// Handlers are set before it is given to anybody, and constant from then on; no
// locks. libbinder: BBinder.

#ifndef BINDERLITE_API_LOCAL_H_
#define BINDERLITE_API_LOCAL_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/api/codec.h"
#include "binderlite/api/death_watch.h"
#include "binderlite/api/handler.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"

namespace binderlite {

// How an object is served.
struct ServiceOptions {
  // Calls are served on their caller's thread where that is possible: when the
  // caller's endpoint is in this program, which it always is, and a looper of
  // this endpoint waits. Far faster; but a handler then runs on a thread of
  // whoever calls, who cannot give up the call before it returns.
  bool run_on_callers = false;
  // Caller::label is filled in.
  bool wants_label = false;
  // Called by a looper when nobody in another endpoint holds the object any
  // more. It may be given away again.
  std::function<void()> on_unreferenced = {};
};

namespace api_internal {

template <LockingPolicy L>
class LocalObject final : public ApiObject,
                          public std::enable_shared_from_this<LocalObject<L>> {
 public:
  LocalObject(std::shared_ptr<Process<L>> process,
              const InterfaceInfo* interface, ServiceOptions its_options)
      : options(std::move(its_options)),
        process_(std::move(process)),
        interface_(interface),
        ptr_(process_->NewPtr()) {
    if (options.run_on_callers) process_->proc.RunOnCallers(ptr_);
  }
  ~LocalObject() override {
    if (options.run_on_callers) process_->proc.RunOnCallers(ptr_, false);
    process_->Forget(ptr_);
  }

  // Before it is given to anybody, once for each code. Keeps `handler`; null:
  // the method is not implemented.
  void Add(std::uint32_t code, std::shared_ptr<Handler> handler) {
    if (handler == nullptr) return;
    const auto at = std::lower_bound(
        handlers_.begin(), handlers_.end(), code,
        [](const auto& entry, std::uint32_t c) { return entry.first < c; });
    handlers_.emplace(at, code, std::move(handler));
  }
  // Null: there is none.
  [[nodiscard]] Handler* Find(std::uint32_t code) const {
    const auto at = std::lower_bound(
        handlers_.begin(), handlers_.end(), code,
        [](const auto& entry, std::uint32_t c) { return entry.first < c; });
    return at == handlers_.end() || at->first != code ? nullptr
                                                      : at->second.get();
  }
  [[nodiscard]] const InterfaceInfo& interface() const { return *interface_; }
  [[nodiscard]] Process<L>& process() const { return *process_; }

  // Serves a call, whichever way it came. `reply` is null for a one-way, and
  // answered otherwise.
  void Serve(std::uint32_t code, std::uint64_t interface_id,
             const Caller& caller, Reader& arguments, ReplySink* reply) const {
    if (code == kPingCode || code == kInterfaceCode) {
      if (reply == nullptr) return;
      reply->Send(
          [](Writer& writer, const void* name) {
            WriteText(writer, *static_cast<const std::string_view*>(name));
          },
          &interface_->name);
      return;
    }
    const auto refuse = [&](StatusCode why) {
      if (reply == nullptr) return;
      reply->Fail(Status(
          why, Delivery::kYes,
          std::string{interface_->name} + ", method " + std::to_string(code)));
    };
    if (interface_id != interface_->id) {
      return refuse(StatusCode::kWrongInterface);
    }
    Handler* const handler = Find(code);
    if (handler == nullptr) return refuse(StatusCode::kNoSuchMethod);
    // A handler does not look whether anybody waits.
    class Nobody final : public ReplySink {
     public:
      void Send(void (*)(Writer&, const void*), const void*) override {}
      void Fail(const Status&) override {}
    } nobody;
    handler->Run(caller, arguments, reply != nullptr ? *reply : nobody);
  }

  // Calls from within its endpoint go straight to the handler; api/loopback.h.
  Status Call(const Request& request) override;
  void CallLater(const Request& request,
                 std::unique_ptr<Completion> completion) override;
  // It cannot die before whoever could hear of it.
  Status AddDeathListener(const std::shared_ptr<DeathListener>&) override {
    return {};
  }
  void RemoveDeathListener(const DeathListener&) override {}
  [[nodiscard]] bool Flatten(const AnyProcess& process,
                             FlatObject& flat) const override {
    if (!BelongsTo(process)) return false;
    flat = FlatObject{};
    flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
    flat.flags =
        kFlatAcceptsFds | (options.wants_label ? kFlatTxnSecurityCtx : 0);
    flat.binder = ptr_;
    flat.cookie = reinterpret_cast<std::uint64_t>(this);
    process_->Export(
        ptr_, std::const_pointer_cast<LocalObject>(this->shared_from_this()));
    process_->Serve();
    return true;
  }
  [[nodiscard]] bool BelongsTo(const AnyProcess& process) const override {
    return &process == process_.get();
  }
  [[nodiscard]] bool is_local() const override { return true; }

  const ServiceOptions options;

 private:
  const std::shared_ptr<Process<L>> process_;
  const InterfaceInfo* const interface_;
  const std::uint64_t ptr_;
  // By code.
  std::vector<std::pair<std::uint32_t, std::shared_ptr<Handler>>> handlers_;
};

}  // namespace api_internal
}  // namespace binderlite

#endif  // BINDERLITE_API_LOCAL_H_
