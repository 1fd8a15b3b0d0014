// SPDX-License-Identifier: Apache-2.0
//
// Object, Proxy and Service: references to objects that can be called.
//
//   Object      any object, whatever its interface
//   Proxy<I>    an object with the interface I: proxy->Method(arguments)
//   WeakProxy<I> the same without keeping it; lock() for a Proxy, if it lives
//   Service<I>  an object of one's own, as Endpoint::Create returns it
//
// All are counted references, cheap to copy, and can be arguments and results
// of methods; a Service goes where a Proxy is asked for. An empty one is null,
// and its calls answer kNoSuchObject. They may outlive the endpoint that they
// belong to; calls answer kClosed then. A proxy belongs to the endpoint that
// has got it, and can only be sent by that one.
//
// Any thread may call any proxy. No locks here.

#ifndef BINDERLITE_API_PROXY_H_
#define BINDERLITE_API_PROXY_H_

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "binderlite/api/codec.h"
#include "binderlite/api/death_watch.h"
#include "binderlite/api/method.h"
#include "binderlite/api/object.h"
#include "binderlite/api/status.h"

namespace binderlite {

template <class I>
class Proxy;

// Any object, whatever its interface. See the head of this file.
class Object {
 public:
  // Null.
  Object() = default;
  explicit Object(std::shared_ptr<ApiObject> object)
      : object_(std::move(object)) {}

  // Whether it is not null.
  [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }
  // Whether both are one object, of one endpoint's references.
  friend bool operator==(const Object&, const Object&) = default;

  // The name of its interface, from itself.
  [[nodiscard]] Result<std::string> InterfaceName(
      const CallOptions& options = {}) const {
    std::string name;
    const Status status =
        CallBuiltIn(api_internal::kInterfaceCode, options, name);
    if (!status.ok()) return status;
    return name;
  }
  // Whether it answers.
  Status Ping(const CallOptions& options = {}) const {
    std::string name;
    return CallBuiltIn(api_internal::kPingCode, options, name);
  }
  // A proxy for it. Asks it for its interface; kWrongInterface: that is another
  // one.
  template <class I>
  [[nodiscard]] Result<Proxy<I>> As(const CallOptions& options = {}) const {
    const Result<std::string> name = InterfaceName(options);
    if (!name.ok()) return name.status();
    if (*name != I::kName.name()) {
      return Status(StatusCode::kWrongInterface, Delivery::kYes,
                    "it is a " + *name);
    }
    return Proxy<I>(*this);
  }
  // Has `callback` called when its endpoint is gone; see DeathWatch.
  [[nodiscard]] DeathWatch WatchDeath(
      std::function<void(DeathReason)> callback) const {
    return DeathWatch::Of(object_, std::move(callback));
  }

  // For the rest of the API.
  [[nodiscard]] const std::shared_ptr<ApiObject>& internal() const& {
    return object_;
  }
  void internal() const&& = delete;

 private:
  Status CallBuiltIn(std::uint32_t code, const CallOptions& options,
                     std::string& name) const {
    if (object_ == nullptr) return Status(StatusCode::kNoSuchObject);
    static constexpr api_internal::InterfaceInfo kAny = {};
    return object_->Call({.interface = &kAny,
                          .code = code,
                          .options = &options,
                          .read =
                              [](Reader& reader, void* result) {
                                return ReadArguments(
                                    reader, *static_cast<std::string*>(result));
                              },
                          .result = &name});
  }

  std::shared_ptr<ApiObject> object_;
};

// An object of one's own. Holding it keeps it; so does anybody elsewhere who
// holds it.
template <class I>
class Service {
 public:
  // Null.
  Service() = default;
  // For Endpoint::Create.
  explicit Service(std::shared_ptr<ApiObject> object)
      : object_(std::move(object)) {}

  // Whether it is not null.
  [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const Service&, const Service&) = default;

  // For those who take any object.
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator Object() const { return Object{object_}; }

 private:
  std::shared_ptr<ApiObject> object_;
};

template <class I>
class WeakProxy;

// An object with the interface I. See the head of this file.
template <class I>
class Proxy {
 public:
  // Null.
  Proxy() = default;
  // As if it had this interface; see Object::As.
  explicit Proxy(const Object& object) {
    if (object) bound_ = std::make_shared<const Bound>(object.internal());
  }
  // Calls go straight to the handlers, on the calling thread.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Proxy(const Service<I>& service) : Proxy(static_cast<Object>(service)) {}

  // Whether it is not null.
  [[nodiscard]] explicit operator bool() const { return bound_ != nullptr; }
  friend bool operator==(const Proxy& a, const Proxy& b) {
    return a.object() == b.object();
  }

  // The methods.
  [[nodiscard]] const I* operator->() const {
    static const I kUnbound{};
    return bound_ != nullptr ? &bound_->methods : &kUnbound;
  }
  // The same, as in (*proxy).Method.
  [[nodiscard]] const I& operator*() const { return *operator->(); }

  // The same reference without a type.
  [[nodiscard]] Object object() const {
    return bound_ != nullptr ? Object(bound_->object) : Object();
  }
  // For those who take any object.
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator Object() const { return object(); }

  // Has `callback` called when its endpoint is gone; see DeathWatch.
  [[nodiscard]] DeathWatch WatchDeath(
      std::function<void(DeathReason)> callback) const {
    return object().WatchDeath(std::move(callback));
  }
  // Whether it answers.
  Status Ping(const CallOptions& options = {}) const {
    return object().Ping(options);
  }

 private:
  friend class WeakProxy<I>;

  struct Bound {
    explicit Bound(std::shared_ptr<ApiObject> what) : object(std::move(what)) {
      api_internal::ForEachMethod(
          methods, [this](api_internal::MethodBase& method) {
            method.Bind(&object, &api_internal::InfoOf<I>::kInfo);
          });
    }
    Bound(const Bound&) = delete;
    Bound& operator=(const Bound&) = delete;

    const std::shared_ptr<ApiObject> object;
    I methods;
  };

  std::shared_ptr<const Bound> bound_;
};

// A reference that does not keep its object.
template <class I>
class WeakProxy {
 public:
  // Null.
  WeakProxy() = default;
  // Of what `proxy` refers to, while somebody else keeps that.
  // NOLINTNEXTLINE(google-explicit-constructor): as std::weak_ptr.
  WeakProxy(const Proxy<I>& proxy) {
    if (proxy) object_ = proxy.bound_->object;
  }

  // Null if nobody in this endpoint holds the object any more.
  [[nodiscard]] Proxy<I> lock() const {
    return Proxy<I>(Object{object_.lock()});
  }

 private:
  std::weak_ptr<ApiObject> object_;
};

// Objects as arguments and results.
template <>
struct Codec<Object> {
  // Writes a reference, or null.
  static void Write(Writer& writer, const Object& object) {
    writer.Object(object.internal());
  }
  // Reads one.
  static bool Read(Reader& reader, Object& object) {
    std::shared_ptr<ApiObject> read;
    if (!reader.Object(read)) return false;
    object = Object(std::move(read));
    return true;
  }
};

// Proxies as arguments and results. Whoever reads one does not ask the object
// whether it has that interface; the first call will tell.
template <class I>
struct Codec<Proxy<I>> {
  // Writes a reference, or null.
  static void Write(Writer& writer, const Proxy<I>& proxy) {
    const Object object = proxy.object();
    writer.Object(object.internal());
  }
  // Reads one.
  static bool Read(Reader& reader, Proxy<I>& proxy) {
    Object object;
    if (!ReadValue(reader, object)) return false;
    proxy = Proxy<I>(object);
    return true;
  }
};

// There is none.
template <class I>
struct Codec<Service<I>> {
  static_assert(sizeof(I) == 0,
                "binderlite: a Service is not a type of arguments or results: "
                "declare a Proxy, and pass the Service");
};

}  // namespace binderlite

#endif  // BINDERLITE_API_PROXY_H_
