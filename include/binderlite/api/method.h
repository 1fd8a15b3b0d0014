// SPDX-License-Identifier: Apache-2.0
//
// Interfaces: a struct with a name and methods, declared once, in plain C++.
//
//   struct Greeter {
//     static constexpr bl::InterfaceName kName = "demo.Greeter";
//     bl::Method<1, std::string(std::string_view)> Hello = {};
//     bl::OneWay<2, void(std::string_view)> Note = {};
//   };
//
// (Without the `= {}` GCC warns where a method is not given a handler.)
//
// A value of it is a service in the making: each method is given its handler,
// any callable with the method's arguments (and, if it likes, a const Caller&
// before them) that returns its result, a Result of it, or a Status.
//
//   Greeter{.Hello = [](std::string_view who) { return "hello, " + ...; }}
//
// And a Proxy<Greeter> has one whose methods are calls: proxy->Hello("you").
//
//   code       what a call says that it wants; 1 to 0x00ffffff, each once
//   evolution  methods can be added, and arguments of type std::optional at the
//              end of those that there are; whatever is not implemented
//              answers kNoSuchMethod
//
// Handlers are called from any number of threads at a time. Arguments that are
// views (std::string_view, std::span) show the payload, and are gone when the
// handler returns. No locks here.

#ifndef BINDERLITE_API_METHOD_H_
#define BINDERLITE_API_METHOD_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "binderlite/api/aggregate.h"
#include "binderlite/api/codec.h"
#include "binderlite/api/future.h"
#include "binderlite/api/handler.h"
#include "binderlite/api/object.h"
#include "binderlite/api/status.h"

namespace binderlite {

// A literal.
class InterfaceName {
 public:
  // Of a literal, at compile time.
  template <std::size_t kSize>
  // NOLINTNEXTLINE(google-explicit-constructor): `kName = "demo.Greeter"`.
  consteval InterfaceName(const char (&name)[kSize]) : name_(name, kSize - 1) {}

  // What the literal said.
  [[nodiscard]] constexpr std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

namespace api_internal {

template <class>
inline constexpr bool kNever = false;

template <class T>
inline constexpr bool kIsResult = false;
template <class T>
inline constexpr bool kIsResult<Result<T>> = true;

// What every call answers already.
template <class T>
inline constexpr bool kIsAnswer = std::is_same_v<T, Status> || kIsResult<T>;

// How an argument is taken by a call: small ones by value.
template <class T>
using In = std::conditional_t<std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                                  std::is_same_v<T, std::string_view>,
                              T, const T&>;

template <class T>
inline constexpr bool kIsView = std::is_same_v<T, std::string_view>;
template <class T>
inline constexpr bool kIsView<std::span<T>> = true;

// What is common to all methods: what it is bound to. In a service in the
// making, the handler; in a proxy, the object; otherwise nothing.
class MethodBase {
 public:
  // For Service and Proxy, which keep what this points to.
  [[nodiscard]] std::shared_ptr<Handler> TakeHandler() {
    return std::move(handler_);
  }
  void Bind(const std::shared_ptr<ApiObject>* object,
            const InterfaceInfo* interface) {
    object_ = object;
    interface_ = interface;
  }

 protected:
  MethodBase() = default;
  ~MethodBase() = default;
  // A copy of a proxy's method is bound to nothing: it may outlive the proxy.
  MethodBase(const MethodBase& other) : handler_(other.handler_) {}
  MethodBase& operator=(const MethodBase& other) {
    if (this != &other) handler_ = other.handler_;
    return *this;
  }

  std::shared_ptr<Handler> handler_;
  const std::shared_ptr<ApiObject>* object_ = nullptr;
  const InterfaceInfo* interface_ = nullptr;
};

// The handler `F` for a method that takes `Args` and returns `R`.
template <class F, class R, class... Args>
class HandlerOf final : public Handler {
 public:
  explicit HandlerOf(F function) : function_(std::move(function)) {}

  void Run(const Caller& caller, Reader& arguments, ReplySink& reply) override {
    std::tuple<Args...> values;
    const bool valid = std::apply(
        [&](Args&... each) { return ReadArguments(arguments, each...); },
        values);
    if (!valid) {
      reply.Fail(
          Status(StatusCode::kMalformed, Delivery::kYes, arguments.why()));
      return;
    }
    const auto call = [&]() -> decltype(auto) {
      return std::apply(
          [&](Args&... each) -> decltype(auto) {
            if constexpr (std::is_invocable_v<F&, const Caller&, Args...>) {
              return std::invoke(function_, caller, std::move(each)...);
            } else {
              return std::invoke(function_, std::move(each)...);
            }
          },
          values);
    };
    using Returned = decltype(call());
    if constexpr (std::is_void_v<Returned>) {
      call();
      reply.Send([](Writer&, const void*) {}, nullptr);
    } else {
      Answer(call(), reply);
    }
  }

 private:
  template <class T>
  static void Answer(T&& returned, ReplySink& reply) {
    using Plain = std::remove_cvref_t<T>;
    if constexpr (std::is_same_v<Plain, Status>) {
      if (!returned.ok()) return reply.Fail(returned);
      if constexpr (std::is_void_v<R>) {
        reply.Send([](Writer&, const void*) {}, nullptr);
      } else {
        reply.Fail(Status(StatusCode::kFailed, Delivery::kYes,
                          "the handler has returned no result"));
      }
    } else if constexpr (kIsResult<Plain>) {
      if (!returned.ok()) return reply.Fail(returned.status());
      Answer(*std::forward<T>(returned), reply);
    } else if constexpr (std::is_same_v<R, std::string> &&
                         std::is_convertible_v<T, std::string_view>) {
      const std::string_view view = returned;  // Not copied once more.
      Send(view, reply);
    } else if constexpr (std::is_same_v<Plain, R>) {
      Send(returned, reply);
    } else {
      const R result = std::forward<T>(returned);
      Send(result, reply);
    }
  }
  template <class T>
  static void Send(const T& result, ReplySink& reply) {
    reply.Send(
        [](Writer& writer, const void* value) {
          WriteArguments(writer, *static_cast<const T*>(value));
        },
        &result);
  }

  F function_;
};

// Whether a handler may return T for a result R.
template <class T, class R>
consteval bool MayBeReturned() {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<Plain, Status>) {
    return true;
  } else if constexpr (std::is_void_v<T> || std::is_void_v<R>) {
    return std::is_void_v<T> && std::is_void_v<R>;
  } else if constexpr (kIsResult<Plain>) {
    return std::is_convertible_v<typename Plain::value_type, R>;
  } else {
    return std::is_convertible_v<T, R>;
  }
}

template <std::uint32_t kCode, bool kOneWay, class Signature>
class MethodOf {
  static_assert(kNever<Signature>,
                "binderlite: a method's signature is a function type, such as "
                "std::string(int)");
};

template <std::uint32_t kTheCode, bool kIsOneWay, class R, class... Raw>
class MethodOf<kTheCode, kIsOneWay, R(Raw...)> : public MethodBase {
 public:
  static constexpr std::uint32_t kCode = kTheCode;
  static_assert(kCode >= 1 && kCode <= kLastMethodCode,
                "binderlite: the code of a method is from 1 to 0x00ffffff");
  static_assert(!kIsOneWay || std::is_void_v<R>,
                "binderlite: a one-way method has no result: its signature "
                "returns void");
  static_assert(!kIsAnswer<R>,
                "binderlite: Result and Status are not types of arguments or "
                "results: declare the value, or void; every call answers a "
                "Result of it, and so may its handler");
  static_assert(!std::is_reference_v<R> && !kIsView<R>,
                "binderlite: a result cannot be a view or a reference, since "
                "what it shows would be gone: use std::string or std::vector");

 private:
  // Whether a call can be made with these.
  template <class... Given>
  static consteval bool AreArguments() {
    if constexpr (sizeof...(Given) == sizeof...(Raw)) {
      return (... &&
              std::is_convertible_v<Given, In<std::remove_cvref_t<Raw>>>);
    } else {
      return false;
    }
  }
  template <class... Given>
  struct AreOptionsFirst : std::false_type {};
  template <class First, class... Rest>
  requires(std::is_convertible_v<
           First, const CallOptions&>) struct AreOptionsFirst<First, Rest...>
      : std::bool_constant<AreArguments<Rest...>()> {
  };
  template <class... Given>
  static consteval bool Fits() {
    return AreArguments<Given...>() || AreOptionsFirst<Given...>::value;
  }

 public:
  // Not implemented, or not bound.
  MethodOf() = default;

  // Served by `function`; implicit, for `.Hello = [](...) {...}`.
  // NOLINTBEGIN(google-explicit-constructor)
  // NOLINTBEGIN(bugprone-forwarding-reference-overload)
  template <class F>
  requires(!std::is_base_of_v<MethodBase, std::remove_cvref_t<F>>)
      MethodOf(F&& function) {
    using Function = std::remove_cvref_t<F>;
    if constexpr (std::is_invocable_v<Function&, const Caller&,
                                      std::remove_cvref_t<Raw>...>) {
      Take<std::invoke_result_t<Function&, const Caller&,
                                std::remove_cvref_t<Raw>...>>(
          std::forward<F>(function));
    } else if constexpr (std::is_invocable_v<Function&,
                                             std::remove_cvref_t<Raw>...>) {
      Take<std::invoke_result_t<Function&, std::remove_cvref_t<Raw>...>>(
          std::forward<F>(function));
    } else {
      static_assert(kNever<F>,
                    "binderlite: this handler cannot be called with the "
                    "method's arguments (it may take a const Caller& before "
                    "them)");
    }
  }
  // NOLINTEND(bugprone-forwarding-reference-overload)
  // NOLINTEND(google-explicit-constructor)

  // The same later, in a value that is not a proxy's.
  template <class F>
  requires(!std::is_base_of_v<MethodBase, std::remove_cvref_t<F>>) MethodOf&
  operator=(F&& function) {
    return *this = MethodOf(std::forward<F>(function));
  }

  // Makes the call and waits for its result; of a one-way, until it is queued.
  ResultOf<R> operator()(In<std::remove_cvref_t<Raw>>... arguments) const {
    return Call(CallOptions(), arguments...);
  }
  ResultOf<R> operator()(const CallOptions& options,
                         In<std::remove_cvref_t<Raw>>... arguments) const {
    return Call(options, arguments...);
  }

  // Makes the call and returns. See Future.
  Future<R> Async(In<std::remove_cvref_t<Raw>>... arguments) const {
    return Start(CallOptions(), arguments...);
  }
  Future<R> Async(const CallOptions& options,
                  In<std::remove_cvref_t<Raw>>... arguments) const {
    return Start(options, arguments...);
  }

  // What the compiler finds when nothing above fits.
  template <class... Wrong>
  requires(!Fits<Wrong...>()) ResultOf<R>
  operator()(Wrong&&...) const {
    static_assert(kNever<void(Wrong...)>,
                  "binderlite: the arguments of this call are not those of "
                  "the method (options, if there are any, come first: "
                  "binderlite::Within(50ms), or binderlite::CallOptions)");
    return Status(StatusCode::kFailed);
  }
  template <class... Wrong>
  requires(!Fits<Wrong...>()) Future<R> Async(Wrong&&...)
  const {
    static_assert(kNever<void(Wrong...)>,
                  "binderlite: the arguments of this call are not those of "
                  "the method (options, if there are any, come first: "
                  "binderlite::Within(50ms), or binderlite::CallOptions)");
    return {};
  }
  template <class F>
  requires(!std::is_base_of_v<MethodBase, std::remove_cvref_t<F>>) void
  operator=(F&&) const {
    static_assert(kNever<F>,
                  "binderlite: a proxy has no handlers: they are given to "
                  "Endpoint::Create");
  }

 private:
  template <class Returned, class F>
  void Take(F&& function) {
    static_assert(MayBeReturned<Returned, R>(),
                  "binderlite: what this handler returns is neither the "
                  "method's result, nor a Result of it, nor a Status");
    if constexpr (MayBeReturned<Returned, R>()) {
      handler_ = std::make_shared<
          HandlerOf<std::remove_cvref_t<F>, R, std::remove_cvref_t<Raw>...>>(
          std::forward<F>(function));
    }
  }

  // What the others need to know of a call; `values` outlive it.
  using Values = std::tuple<const std::remove_cvref_t<Raw>&...>;
  [[nodiscard]] Request RequestOf(const CallOptions& options,
                                  const Values& values) const {
    return {.interface = interface_,
            .code = kCode,
            .one_way = kIsOneWay,
            .options = &options,
            .write =
                [](Writer& writer, const void* what) {
                  std::apply(
                      [&writer](const auto&... each) {
                        WriteArguments(writer, each...);
                      },
                      *static_cast<const Values*>(what));
                },
            .arguments = &values};
  }
  [[nodiscard]] bool bound() const {
    return object_ != nullptr && *object_ != nullptr;
  }

  ResultOf<R> Call(const CallOptions& options,
                   const std::remove_cvref_t<Raw>&... arguments) const {
    if (!bound()) return Status(StatusCode::kNoSuchObject);
    const Values values(arguments...);
    Request request = RequestOf(options, values);
    if constexpr (std::is_void_v<R>) {
      return (*object_)->Call(request);
    } else {
      R result{};
      request.read = [](Reader& reader, void* where) {
        return ReadArguments(reader, *static_cast<R*>(where));
      };
      request.result = &result;
      Status status = (*object_)->Call(request);
      if (!status.ok()) return status;
      return result;
    }
  }
  Future<R> Start(const CallOptions& options,
                  const std::remove_cvref_t<Raw>&... arguments) const {
    auto state = std::make_shared<FutureState<R>>();
    auto completion = std::make_unique<FutureCompletion<R>>(state);
    if (!bound()) {
      completion->Done(Status(StatusCode::kNoSuchObject), nullptr);
    } else {
      const Values values(arguments...);
      (*object_)->CallLater(RequestOf(options, values), std::move(completion));
    }
    return Future<R>(std::move(state));
  }
};

// --- Interfaces -------------------------------------------------------------

template <class I>
inline constexpr bool kHasName = requires {
  { I::kName } -> std::convertible_to<InterfaceName>;
};

template <class I>
struct InfoOf {
  static_assert(kHasName<I>,
                "binderlite: an interface has a name: static constexpr "
                "InterfaceName kName = \"...\"");
  static constexpr InterfaceInfo kInfo = {I::kName.name(),
                                          IdOf(I::kName.name())};
};

template <class... Methods>
consteval bool CodesDiffer() {
  constexpr std::size_t kCount = sizeof...(Methods);
  const std::uint32_t codes[kCount + 1] = {Methods::kCode..., 0};
  for (std::size_t i = 0; i < kCount; ++i) {
    for (std::size_t j = i + 1; j < kCount; ++j) {
      if (codes[i] == codes[j]) return false;
    }
  }
  return true;
}

// Calls fn(method) for each method of a value of the interface.
template <class I, class F>
void ForEachMethod(I& interface, F fn) {
  static_assert(Aggregate<std::remove_const_t<I>>,
                "binderlite: an interface is a struct with nothing but a name "
                "and methods");
  WithFields(interface, [&fn]<class... Fields>(Fields&... fields) {
    constexpr bool kMethodsOnly =
        (... && std::is_base_of_v<MethodBase, std::remove_const_t<Fields>>);
    static_assert(kMethodsOnly,
                  "binderlite: an interface is a struct with nothing but a "
                  "name and methods");
    if constexpr (kMethodsOnly) {
      static_assert(CodesDiffer<std::remove_const_t<Fields>...>(),
                    "binderlite: two methods of an interface have the same "
                    "code");
      (fn(fields), ...);
    }
  });
}

}  // namespace api_internal

// A method that answers. In a value that becomes a service it is set to its
// handler; in a proxy it is called with its arguments, which CallOptions may
// precede:
//
//   method(arguments...)         waits; answers ResultOf<R>
//   method.Async(arguments...)   does not; answers Future<R>
//
template <std::uint32_t kCode, class Signature>
class Method : public api_internal::MethodOf<kCode, false, Signature> {
  using Base = api_internal::MethodOf<kCode, false, Signature>;

 public:
  Method() = default;
  // Served by `function`; implicit, for `.Hello = [](...) {...}`. Not
  // inherited, or GCC would not say where a mistake is.
  template <class F>
  requires(!std::is_base_of_v<api_internal::MethodBase, std::remove_cvref_t<F>>)
      // NOLINTNEXTLINE(*-explicit-*,*-forwarding-reference-overload)
      Method(F&& function)
      : Base(std::forward<F>(function)) {}
  using Base::operator=;
};

// A method without an answer: a call of it waits only until it is queued. Calls
// of one object arrive in the order in which they were made, one at a time.
// Used like a Method; a call answers a Status, and a Future<void> when its
// handler has returned.
template <std::uint32_t kCode, class Signature>
class OneWay : public api_internal::MethodOf<kCode, true, Signature> {
  using Base = api_internal::MethodOf<kCode, true, Signature>;

 public:
  OneWay() = default;
  // Served by `function`; implicit, for `.Hello = [](...) {...}`. Not
  // inherited, or GCC would not say where a mistake is.
  template <class F>
  requires(!std::is_base_of_v<api_internal::MethodBase, std::remove_cvref_t<F>>)
      // NOLINTNEXTLINE(*-explicit-*,*-forwarding-reference-overload)
      OneWay(F&& function)
      : Base(std::forward<F>(function)) {}
  using Base::operator=;
};

// There are none of what is a method's answer already, and of interfaces.
template <class T>
requires api_internal::kIsAnswer<T>
struct Codec<T> {
  static_assert(api_internal::kNever<T>,
                "binderlite: Result and Status are not types of arguments or "
                "results: send the value");
};
template <class I>
requires std::is_same_v<std::remove_cvref_t<decltype(I::kName)>, InterfaceName>
struct Codec<I> {
  static_assert(api_internal::kNever<I>,
                "binderlite: an interface is not a type of arguments or "
                "results: declare a Proxy of it");
};

}  // namespace binderlite

#endif  // BINDERLITE_API_METHOD_H_
