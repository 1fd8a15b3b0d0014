// SPDX-License-Identifier: Apache-2.0
//
// Status and Result: what became of a call. Values; no locks, no exceptions.
// Nothing here allocates unless something went wrong.
//
//   code             callee ran?     what to do
//   ---------------  --------------  --------------------------------------
//   kOk              yes             read the result
//   kServiceError    yes             see service_code() and message()
//   kNoSuchMethod    no              the service is older than the interface
//   kWrongInterface  no              the object is something else
//   kMalformed       see delivery()  the two sides' declarations differ
//   kNoSuchObject    no              an empty proxy, an unknown name
//   kDead            see delivery()  the other side is gone for good
//   kFrozen          no              it is suspended: try again later
//   kOutOfMemory     see delivery()  the receiver's memory is full, or, of a
//                                    result, the caller's: see shortage()
//   kRefused         see delivery()  forbidden by a policy
//   kDeadline        see delivery()  it has passed; the reply is dropped
//   kCancelled       see delivery()  the call's stop_token said so
//   kClosed          see delivery()  the caller's own endpoint is closed
//   kFailed          see delivery()  none of the above: see message()

#ifndef BINDERLITE_API_STATUS_H_
#define BINDERLITE_API_STATUS_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "binderlite/config.h"

namespace binderlite {

// How a call ended; the head of this file has a table. The numbers are those of
// docs/wire-format.md.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kServiceError = 1,
  kNoSuchMethod = 2,
  kWrongInterface = 3,
  kMalformed = 4,
  kNoSuchObject = 5,
  kDead = 6,
  kFrozen = 7,
  kOutOfMemory = 8,
  kRefused = 9,
  kDeadline = 10,
  kCancelled = 11,
  kClosed = 12,
  kFailed = 13,
};

// A few words for people.
[[nodiscard]] constexpr std::string_view ToString(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kServiceError:
      return "service error";
    case StatusCode::kNoSuchMethod:
      return "no such method";
    case StatusCode::kWrongInterface:
      return "wrong interface";
    case StatusCode::kMalformed:
      return "malformed payload";
    case StatusCode::kNoSuchObject:
      return "no such object";
    case StatusCode::kDead:
      return "dead";
    case StatusCode::kFrozen:
      return "frozen";
    case StatusCode::kOutOfMemory:
      return "out of receive memory";
    case StatusCode::kRefused:
      return "refused";
    case StatusCode::kDeadline:
      return "deadline passed";
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kClosed:
      return "endpoint closed";
    case StatusCode::kFailed:
      return "failed";
  }
  return "?";
}

// Whether the callee got the call.
enum class Delivery : std::uint8_t {
  kNo,       // It did not, and will not.
  kUnknown,  // It may have, or may still.
  kYes,      // It did.
};

// The numbers behind kOutOfMemory, in bytes, at about the time of the call.
struct Shortage {
  std::uint64_t wanted = 0;  // By the payload; 0: a small result.
  std::uint64_t free = 0;    // In all, perhaps in pieces.
  std::uint64_t size = 0;    // Of the receive memory; one-ways may use half.
};

// What became of a call that has no result, or no result because of this.
class [[nodiscard]] Status {
 public:
  // kOk.
  Status() = default;
  // For whatever ends calls; services answer Error().
  explicit Status(StatusCode code, Delivery delivery = Delivery::kNo,
                  std::string message = {})
      : code_(code), delivery_(delivery) {
    if (!message.empty()) Details().message = std::move(message);
  }

  // What a handler answers when it cannot do what it was asked for: any number,
  // and words for people.
  static Status Error(std::int32_t service_code, std::string message = {}) {
    Status status(StatusCode::kServiceError, Delivery::kYes,
                  std::move(message));
    status.service_code_ = service_code;
    return status;
  }
  // The same for the values of an enum, which fit into 32 bits.
  template <class E>
  requires(std::is_enum_v<E> && sizeof(E) <= sizeof(std::int32_t)) static Status
      Error(E service_code, std::string message = {}) {
    return Error(static_cast<std::int32_t>(service_code), std::move(message));
  }
  // kOutOfMemory, with the numbers.
  static Status OutOfMemory(const Shortage& shortage,
                            Delivery delivery = Delivery::kNo) {
    Status status(StatusCode::kOutOfMemory, delivery);
    status.Details().shortage = shortage;
    return status;
  }

  // Whether it is kOk.
  [[nodiscard]] bool ok() const { return code_ == StatusCode::kOk; }
  // What is to be told apart by programs.
  [[nodiscard]] StatusCode code() const { return code_; }
  // Of kServiceError: as the service chose it; otherwise 0.
  [[nodiscard]] std::int32_t service_code() const { return service_code_; }
  // The same, as a value of the enum that the service takes them from.
  template <class E>
  requires(std::is_enum_v<E>) [[nodiscard]] E service_code() const {
    return static_cast<E>(service_code_);
  }
  // Whether the callee got the call; kNo: it can be made again safely.
  [[nodiscard]] Delivery delivery() const { return delivery_; }
  // Words for people, perhaps none. Valid as long as a copy of this is.
  [[nodiscard]] std::string_view message() const {
    return details_ != nullptr ? std::string_view{details_->message}
                               : std::string_view();
  }
  // Of kOutOfMemory, if the call found out; otherwise zeros.
  [[nodiscard]] Shortage shortage() const {
    return details_ != nullptr ? details_->shortage : Shortage();
  }

  // One line for people: "service error 42: no such user".
  [[nodiscard]] std::string ToString() const {
    std::string text(binderlite::ToString(code_));
    if (code_ == StatusCode::kServiceError) {
      text += ' ';
      text += std::to_string(service_code_);
    }
    if (const Shortage numbers = shortage(); numbers.size != 0) {
      text += " (";
      if (numbers.wanted != 0) {
        text += std::to_string(numbers.wanted) + " bytes wanted, ";
      }
      text += std::to_string(numbers.free) + " of " +
              std::to_string(numbers.size) + " free)";
    }
    if (!message().empty()) {
      text += ": ";
      text += message();
    }
    return text;
  }

  friend bool operator==(const Status& status, StatusCode code) {
    return status.code_ == code;
  }

 private:
  struct Rare {
    std::string message;
    Shortage shortage;
  };
  // Only while the Status is being made, before it is copied.
  Rare& Details() {
    if (details_ == nullptr) details_ = std::make_shared<Rare>();
    return *details_;
  }

  std::shared_ptr<Rare> details_;
  std::int32_t service_code_ = 0;
  StatusCode code_ = StatusCode::kOk;
  Delivery delivery_ = Delivery::kYes;
};

namespace api_internal {

[[noreturn]] inline void NoValue(const Status& status) {
  std::fprintf(stderr, "binderlite: value() of a call that failed: %s\n",
               status.ToString().c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace api_internal

// The result of a call, or why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  // What it holds if the call went well.
  using value_type = T;

  // Of a value; implicit, for `return value;` in handlers.
  // NOLINTBEGIN(google-explicit-constructor)
  // NOLINTBEGIN(bugprone-forwarding-reference-overload)
  template <class U = T>
  requires(std::is_convertible_v<U, T> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result> &&
           !std::is_same_v<std::remove_cvref_t<U>, Status>) Result(U&& value)
      : value_(std::in_place, std::forward<U>(value)) {}
  // NOLINTEND(bugprone-forwarding-reference-overload)
  // NOLINTEND(google-explicit-constructor)

  // `status` must not be ok.
  // NOLINTNEXTLINE(google-explicit-constructor): `return Status::Error(...);`
  Result(Status status) : status_(std::move(status)) {
    BINDERLITE_ASSERT(!status_.ok() && "a Result without a value and error");
    if (status_.ok()) status_ = Status(StatusCode::kFailed);
  }

  // Whether there is a value.
  [[nodiscard]] bool ok() const { return value_.has_value(); }
  // The same. Mind that it does not look at the value, be it false or 0.
  [[nodiscard]] explicit operator bool() const { return ok(); }
  // kOk, or why there is no value.
  [[nodiscard]] const Status& status() const { return status_; }

  // Ends the program with a message if there is none.
  [[nodiscard]] T& value() & {
    if (!ok()) api_internal::NoValue(status_);
    return *value_;
  }
  [[nodiscard]] const T& value() const& {
    if (!ok()) api_internal::NoValue(status_);
    return *value_;
  }
  // Not a reference, so that `for (... : call().value())` can be written.
  [[nodiscard]] T value() && {
    if (!ok()) api_internal::NoValue(status_);
    return *std::move(value_);
  }
  // The value, or `other` if there is none.
  [[nodiscard]] T value_or(T other) && {
    return ok() ? *std::move(value_) : std::move(other);
  }
  // Like value(), it ends the program if there is none.
  [[nodiscard]] T& operator*() & { return value(); }
  // Likewise.
  [[nodiscard]] const T& operator*() const& { return value(); }
  // Likewise; not a reference, as value().
  [[nodiscard]] T operator*() && { return std::move(*this).value(); }
  // Likewise.
  [[nodiscard]] T* operator->() { return &value(); }
  // Likewise.
  [[nodiscard]] const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

namespace api_internal {

template <class R>
struct ResultOfImpl {
  using type = Result<R>;
};
template <>
struct ResultOfImpl<void> {
  using type = Status;
};

}  // namespace api_internal

// Prints ToString().
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(
    std::basic_ostream<char, Traits>& out, StatusCode code) {
  return out << ToString(code);
}
// Prints ToString().
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(
    std::basic_ostream<char, Traits>& out, const Status& status) {
  return out << status.ToString();
}
// There is none: print its value, once it is ok(), or its status().
template <class Traits, class T>
void operator<<(std::basic_ostream<char, Traits>& out,
                const Result<T>& print_its_value_or_its_status) = delete;

// What a call of a method that returns R answers.
template <class R>
using ResultOf = typename api_internal::ResultOfImpl<R>::type;

}  // namespace binderlite

#endif  // BINDERLITE_API_STATUS_H_
