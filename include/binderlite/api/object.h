// SPDX-License-Identifier: Apache-2.0
//
// ApiObject: an object that can be called, as the typed API sees it, whether it
// lives in this endpoint (LocalObject) or behind a handle (RemoteObject); what
// one call of it asks for (Request, CallOptions); and who called (Caller).
//
// No locks here.

#ifndef BINDERLITE_API_OBJECT_H_
#define BINDERLITE_API_OBJECT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/sync/stop.h"

namespace binderlite {

// When to give up a call. Pass it as the first argument of any call:
//
//   greeter->Hello(bl::Within(100ms), "binder");
//
// A call that is given up ends at once, whatever the callee does; it may still
// be carried out, and its result is dropped.
struct CallOptions {
  // It ends with kDeadline then.
  std::chrono::steady_clock::time_point deadline = sync::kNoDeadline;
  // It ends with kCancelled when this is stopped.
  std::stop_token stop = {};

  // Whether it has been given up already, and so is not made at all: kCancelled
  // or kDeadline, not delivered. kOk: it may begin.
  [[nodiscard]] Status EndsBeforeItBegins() const {
    if (stop.stop_requested()) return Status(StatusCode::kCancelled);
    if (deadline != sync::kNoDeadline &&
        deadline <= std::chrono::steady_clock::now()) {
      return Status(StatusCode::kDeadline);
    }
    return {};
  }
};

// So much time for a call, from now on.
[[nodiscard]] inline CallOptions Within(std::chrono::nanoseconds timeout,
                                        std::stop_token stop = {}) {
  const auto now = std::chrono::steady_clock::now();
  // Far away is never: the sum must not overflow.
  if (timeout > sync::kNoDeadline - now) return {.stop = std::move(stop)};
  return {.deadline = now + timeout, .stop = std::move(stop)};
}

namespace api_internal {

// Makes the stop token of a Caller once it is asked for.
class TokenMaker {
 public:
  [[nodiscard]] virtual std::stop_token Token() = 0;

 protected:
  ~TokenMaker() = default;
};

}  // namespace api_internal

// Who makes the call that a handler serves. A handler may take a
// `const Caller&` as its first argument; it is valid until it returns.
class Caller {
 public:
  // For the rest of the API: only what serves calls makes one.
  Caller(std::int32_t pid, std::uint32_t euid, std::string_view label,
         bool is_one_way, std::chrono::steady_clock::time_point deadline,
         api_internal::TokenMaker& token)
      : label_(label),
        deadline_(deadline),
        token_(token),
        pid_(pid),
        euid_(euid),
        is_one_way_(is_one_way) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  // As the driver knows it, so it cannot be forged. The pid of one-way and
  // asynchronous calls is 0, as in binder.
  [[nodiscard]] std::int32_t pid() const { return pid_; }
  // Of whoever opened the endpoint; likewise from the driver, in all calls.
  [[nodiscard]] std::uint32_t euid() const { return euid_; }
  // The security label; empty unless the service asks for it
  // (ServiceOptions::wants_label).
  [[nodiscard]] std::string_view label() const { return label_; }
  // Nobody waits for the end of this call.
  [[nodiscard]] bool is_one_way() const { return is_one_way_; }
  // When the caller will have given up; kNoDeadline: never.
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const {
    return deadline_;
  }
  // Stops when it is no use to go on: the caller has given up or is gone, the
  // deadline has passed, or the handler's endpoint is closed, which waits for
  // handlers. So whoever works for long should look at it. That an asynchronous
  // call is cancelled, or its caller gone, is not heard of, and of one-ways
  // only the end of the endpoint.
  //
  // On the handler's thread, while that makes no call. Asking for it costs an
  // allocation and a call of the driver. Callbacks run in threads of the
  // library's: they should be short, and close no endpoint.
  [[nodiscard]] std::stop_token stop_token() const { return token_.Token(); }
  // Both in one, for calls that the handler makes in its turn.
  [[nodiscard]] CallOptions remaining() const {
    return {.deadline = deadline_, .stop = stop_token()};
  }

 private:
  std::string_view label_;
  std::chrono::steady_clock::time_point deadline_;
  api_internal::TokenMaker& token_;
  std::int32_t pid_;
  std::uint32_t euid_;
  bool is_one_way_;
};

namespace api_internal {

// What an interface is called, and a number made of that, which travels with
// each call.
struct InterfaceInfo {
  std::string_view name;
  std::uint64_t id = 0;
};

// FNV-1a, 64 bits.
[[nodiscard]] constexpr std::uint64_t IdOf(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

// Codes that every object answers, whatever its interface; numbered as
// libbinder does.
inline constexpr std::uint32_t kPingCode = 0x5f504e47;       // _PNG
inline constexpr std::uint32_t kInterfaceCode = 0x5f4e5446;  // _NTF: its name
inline constexpr std::uint32_t kLastMethodCode = 0x00ffffff;

// One call, as the templates hand it to the rest. Everything it points to lives
// as long as the call.
struct Request {
  const InterfaceInfo* interface = nullptr;
  std::uint32_t code = 0;
  bool one_way = false;
  const CallOptions* options = nullptr;
  // Writes the arguments; may be asked to do it twice.
  void (*write)(Writer&, const void* arguments) = nullptr;
  const void* arguments = nullptr;
  // Reads the result. Null: there is none.
  bool (*read)(Reader&, void* result) = nullptr;
  void* result = nullptr;
};

// The end of an asynchronous call.
class Completion {
 public:
  virtual ~Completion() = default;
  // Called exactly once, with no lock held, by a looper of the caller's
  // endpoint or by whoever closes it. `result`: where it begins, if `status` is
  // ok.
  virtual void Done(Status status, Reader* result) = 0;
};

// Who hears of a death.
class DeathListener;

// A Process (api/process.h), whatever its locking: whose an object is.
class AnyProcess {
 public:
  AnyProcess(const AnyProcess&) = delete;
  AnyProcess& operator=(const AnyProcess&) = delete;

  // Stops when the endpoint is closed.
  [[nodiscard]] const std::stop_source& stop() const { return stop_; }

 protected:
  AnyProcess() = default;
  ~AnyProcess() = default;

  std::stop_source stop_;
};

}  // namespace api_internal

class ApiObject {
 public:
  ApiObject() = default;
  ApiObject(const ApiObject&) = delete;
  ApiObject& operator=(const ApiObject&) = delete;
  virtual ~ApiObject() = default;

  // Makes a call and waits for its end; a one-way, until it is queued.
  virtual Status Call(const api_internal::Request& request) = 0;
  // Makes a call and returns; `completion` hears of its end.
  virtual void CallLater(
      const api_internal::Request& request,
      std::unique_ptr<api_internal::Completion> completion) = 0;
  // `listener` hears of the end of the object's endpoint; at once if that was
  // before. Nobody is told of the end of an endpoint's own objects.
  virtual Status AddDeathListener(
      const std::shared_ptr<api_internal::DeathListener>& listener) = 0;
  // It is not told from now on; it may be being told at this moment.
  virtual void RemoveDeathListener(
      const api_internal::DeathListener& listener) = 0;
  // How `process` writes it into a payload. False: it is another endpoint's.
  [[nodiscard]] virtual bool Flatten(const api_internal::AnyProcess& process,
                                     FlatObject& flat) const = 0;
  // Whether the reference is one of `process`, so that it can be sent by it.
  [[nodiscard]] virtual bool BelongsTo(
      const api_internal::AnyProcess& process) const = 0;
  // Whether it lives in the endpoint that the reference belongs to.
  [[nodiscard]] virtual bool is_local() const = 0;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_OBJECT_H_
