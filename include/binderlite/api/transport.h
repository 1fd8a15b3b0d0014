// SPDX-License-Identifier: Apache-2.0
//
// Transport: how calls of the typed API go through the driver. Session finds
// the thread on which the calling OS thread talks to it; Conversation sends on
// that thread, reads what comes, and serves what is not for its user: calls
// that come in meanwhile, reference counts, deaths.
//
// The payload of a call is a RequestHeader, in asynchronous calls the object
// that takes the result, then the arguments; that of a result is the result, or
// with kTfStatusCode a Status (docs/wire-format.md).
//
// A payload that fits into kRoom bytes is written on the stack and copied by
// the driver; a larger one is measured first and written where its receiver
// will read it.
//
// The result of an asynchronous call is a one-way to its caller. While there is
// no room for it in the half of the caller's receive memory that is for these,
// it is kept by the callee's endpoint, and sent again with growing pauses,
// until it has gone, the caller is dead, or the endpoint closes, which is the
// callee's death. So that no caller can make an endpoint keep more and more, it
// keeps no more bytes of results than it has receive memory. What is beyond
// that, or could never be received, goes as kOutOfMemory, which is sent again
// like a result. No thread waits for any of this.
//
// Blocks in the driver only, with no lock held. libbinder: IPCThreadState.

#ifndef BINDERLITE_API_TRANSPORT_H_
#define BINDERLITE_API_TRANSPORT_H_

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/api/death_watch.h"
#include "binderlite/api/local.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/remote.h"
#include "binderlite/api/status.h"
#include "binderlite/api/stored.h"
#include "binderlite/api/writer.h"
#include "binderlite/config.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/objects.h"
#include "binderlite/wire/structs.h"

namespace binderlite::api_internal {

// What each call begins with.
struct RequestHeader {
  std::uint64_t interface_id = 0;
  std::int64_t deadline = 0;  // steady_clock, nanoseconds; the largest: none.
  std::uint64_t pending = 0;  // Of an asynchronous call; 0: it is none.
};

// The interface of what takes the results of asynchronous calls.
inline constexpr InterfaceInfo kReplyPort = {"binderlite.ReplyPort",
                                             IdOf("binderlite.ReplyPort")};
inline constexpr std::uint32_t kResultCode = 1;

// A Status in a payload.
inline void WriteStatus(Writer& writer, const Status& status) {
  writer.Number(static_cast<std::uint32_t>(status.code()));
  writer.Number(status.service_code());
  const Shortage shortage = status.shortage();
  writer.Number(shortage.wanted);
  writer.Number(shortage.free);
  writer.Number(shortage.size);
  writer.Length(status.message().size());
  writer.Bytes(status.message().data(), status.message().size(), 1);
}
// What the callee says of a call. Never ok.
[[nodiscard]] inline Status ReadStatus(Reader& reader) {
  std::uint32_t code = 0;
  std::int32_t service_code = 0;
  Shortage shortage;
  std::uint32_t length = 0;
  const std::byte* words = nullptr;
  const bool valid = reader.Number(code) && reader.Number(service_code) &&
                     reader.Number(shortage.wanted) &&
                     reader.Number(shortage.free) &&
                     reader.Number(shortage.size) && reader.Length(length) &&
                     (words = reader.Take(length, 1)) != nullptr && code != 0 &&
                     code <= static_cast<std::uint32_t>(StatusCode::kFailed);
  if (!valid) {
    return Status(StatusCode::kMalformed, Delivery::kYes,
                  "the callee's error cannot be read");
  }
  std::string message(reinterpret_cast<const char*>(words), length);
  switch (static_cast<StatusCode>(code)) {
    case StatusCode::kServiceError:
      return Status::Error(service_code, std::move(message));
    case StatusCode::kOutOfMemory:
      return Status::OutOfMemory(shortage, Delivery::kYes);
    default:
      return Status(static_cast<StatusCode>(code), Delivery::kYes,
                    std::move(message));
  }
}

// The thread on which this OS thread talks to the driver for `process`: that of
// the handler it is in, or one that it takes for now.
class [[nodiscard]] Session {
 public:
  explicit Session(Process& process) : process_(process) {
    for (Frame* frame = innermost_frame; frame != nullptr;
         frame = frame->outer) {
      if (frame->process == &process && !frame->in_call) {
        frame_ = frame;
        return;
      }
    }
    ThreadSlot* const slot = process.Take();
    taken_.emplace(&process, slot, &slot->thread, /*is_handler=*/false);
    frame_ = &*taken_;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (taken_.has_value()) process_.GiveBack(*taken_->slot);
  }

  [[nodiscard]] Frame& frame() { return *frame_; }
  [[nodiscard]] BasicThread<>& thread() { return *frame_->thread; }

 private:
  Process& process_;
  Frame* frame_ = nullptr;
  std::optional<Frame> taken_;
};

class Conversation {
 public:
  static constexpr std::size_t kRoom = 512;

  Conversation(Process& process, Frame& frame)
      : process_(process), frame_(frame), thread_(*frame.thread) {}
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // Makes a call, or sends a one-way, and waits for what becomes of it.
  // `pending`: the number of an asynchronous call, whose result goes to `port`.
  Status Call(std::uint32_t handle, const Request& request,
              std::uint64_t pending = 0,
              const std::shared_ptr<ApiObject>& port = nullptr);

  // Serves what comes until the thread or the endpoint is stopped.
  void Loop() {
    Incoming incoming;
    while (Next(incoming, {}, sync::kNoDeadline) == Errc::kOk) {
      Handle(incoming);
    }
  }
  // Serves what is there, without waiting. How many things that were.
  std::size_t Drain() {
    std::size_t count = 0;
    Incoming incoming;
    while (Next(incoming, {}, sync::TimePoint::min()) == Errc::kOk) {
      Handle(incoming);
      ++count;
    }
    return count;
  }
  // Serves `incoming`, which is not the answer to a call of ours.
  void Handle(const Incoming& incoming);
  // Sends what Handle has left to be sent with the next read, and does what
  // that brings about.
  void Finish() {
    if (HasOutgoing()) {
      (void)thread_.Send(outgoing_);
      outgoing_ = {};
    }
    if (flattener_.keeps()) (void)Drain();
  }

  // The reference that stands for `handle`, which is 0 or held by somebody.
  [[nodiscard]] static std::shared_ptr<ApiObject> FindRemote(
      Process& process, std::uint32_t handle) {
    Session session(process);
    return FindRemote(process, session.thread(), handle);
  }
  // Our own endpoint is closed or killed: everything that waits for others
  // ends.
  static void EndAll(Process& process) {
    for (const auto& object : process.Remotes()) {
      static_cast<RemoteObject&>(*object).OnDeath(DeathReason::kEndpointClosed);
    }
    process.pending->Shut();
  }

 private:
  friend class DriverSink;

  // While the thread is not to be used for anything else.
  class [[nodiscard]] Waits {
   public:
    explicit Waits(Frame& frame)
        : frame_(frame), before_(std::exchange(frame.in_call, true)) {}
    Waits(const Waits&) = delete;
    Waits& operator=(const Waits&) = delete;
    ~Waits() { frame_.in_call = before_; }

   private:
    Frame& frame_;
    const bool before_;
  };

  // Objects on their way: kept until whoever gets them holds them, which this
  // thread reads of (BR_INCREFS, BR_ACQUIRE) before it reads what has become of
  // the payload.
  class Flattener final : public ObjectWriter {
   public:
    explicit Flattener(const Process& process) : process_(process) {}
    [[nodiscard]] bool Flatten(const std::shared_ptr<ApiObject>& object,
                               FlatObject& flat) override {
      if (!object->Flatten(process_, flat)) return false;
      kept_.push_back(object);
      return true;
    }
    void Drop() { kept_.clear(); }
    [[nodiscard]] bool keeps() const { return !kept_.empty(); }

   private:
    const Process& process_;
    std::vector<std::shared_ptr<ApiObject>> kept_;
  };
  class Unflattener final : public ObjectReader {
   public:
    Unflattener(Process& process, BasicThread<>& thread)
        : process_(process), thread_(thread) {}
    // The buffer that it is in holds what a handle stands for until the new
    // reference does.
    [[nodiscard]] std::shared_ptr<ApiObject> Unflatten(
        const FlatObject& flat) override {
      if (flat.hdr.type == static_cast<std::uint32_t>(ObjectType::kBinder)) {
        return process_.FindLocal(flat.binder);
      }
      return FindRemote(process_, thread_, flat.handle);
    }

   private:
    Process& process_;
    BasicThread<>& thread_;
  };

  [[nodiscard]] static std::shared_ptr<ApiObject> FindRemote(
      Process& process, BasicThread<>& thread, std::uint32_t handle) {
    bool made = false;
    std::shared_ptr<ApiObject> object = process.FindOrMake(handle, [&] {
      made = true;
      return std::make_shared<RemoteObject>(process.shared_from_this(), handle);
    });
    if (made) (void)thread.Acquire(handle);
    return object;
  }

  [[nodiscard]] bool HasOutgoing() const {
    return outgoing_.free_buffer != 0 || outgoing_.reply != nullptr ||
           outgoing_.call != nullptr;
  }

  // What a thread reads last of something that it has sent.
  [[nodiscard]] static bool IsOutcome(Br command) {
    switch (command) {
      case Br::BR_REPLY:
      case Br::BR_TRANSACTION_COMPLETE:
      case Br::BR_ONEWAY_SPAM_SUSPECT:
      case Br::BR_TRANSACTION_PENDING_FROZEN:
      case Br::BR_DEAD_REPLY:
      case Br::BR_FAILED_REPLY:
      case Br::BR_FROZEN_REPLY:
        return true;
      default:
        return false;
    }
  }

  // Sends what is to be sent and reads the next command.
  Errc Next(Incoming& incoming, const std::stop_token& stop,
            sync::TimePoint deadline) {
    const Waits waits(frame_);
    Errc error;
    if (HasOutgoing()) {
      error = thread_.Exchange(outgoing_, incoming, stop, deadline);
      // The failure of something before comes first.
      if (error == Errc::kBusy) {
        error = thread_.NextWork(incoming, stop, deadline);
      } else {
        outgoing_ = {};
      }
    } else {
      error = thread_.NextWork(incoming, stop, deadline);
    }
    // What was sent has arrived, and been heard of before that: see Flattener.
    if (error == Errc::kOk && IsOutcome(incoming.command)) flattener_.Drop();
    return error;
  }

  void Serve(const Incoming& incoming);
  [[nodiscard]] Status StatusOf(const Incoming& failure, std::uint32_t handle,
                                std::uint64_t size);
  [[nodiscard]] Status StatusOf(Errc error, std::uint32_t handle,
                                std::uint64_t size);
  void GiveUp() {
    (void)thread_.Abandon();
    (void)Drain();
    Finish();
  }

  [[nodiscard]] static std::span<const std::byte> DataOf(
      const TransactionData& data) {
    return {reinterpret_cast<const std::byte*>(data.buffer),
            static_cast<std::size_t>(data.data_size)};
  }
  [[nodiscard]] static std::span<const std::uint64_t> OffsetsOf(
      const TransactionData& data) {
    return {reinterpret_cast<const std::uint64_t*>(data.offsets),
            static_cast<std::size_t>(data.offsets_size) / 8};
  }
  static void Point(TransactionData& data, const std::byte* payload,
                    const Writer& writer) {
    data.buffer = reinterpret_cast<std::uint64_t>(payload);
    data.data_size = writer.size();
    data.offsets = reinterpret_cast<std::uint64_t>(writer.offsets().data());
    data.offsets_size = writer.offsets().size_bytes();
  }

  Process& process_;
  Frame& frame_;
  BasicThread<>& thread_;
  Flattener flattener_{process_};
  Unflattener unflattener_{process_, thread_};
  Outgoing outgoing_;
  TransactionData reply_ = {};
  std::vector<std::uint64_t> reply_offsets_;
  alignas(8) std::byte reply_room_[kRoom];
};

// What the receive memory behind `handle` has left.
[[nodiscard]] inline Status OutOfMemory(Process& process, std::uint32_t handle,
                                        std::uint64_t wanted) {
  Shortage shortage{.wanted = wanted};
  if (const auto usage = process.proc.MemoryBehind(handle)) {
    shortage.free = usage->free_bytes;
    shortage.size = usage->size;
  }
  return Status::OutOfMemory(shortage);
}

// The same of our own, which has no room for a result.
[[nodiscard]] inline Status OutOfOwnMemory(Process& process,
                                           std::uint64_t wanted) {
  const auto usage = process.proc.state().arena.usage();
  return Status::OutOfMemory(
      {.wanted = wanted, .free = usage.free_bytes, .size = usage.size},
      Delivery::kYes);
}

[[nodiscard]] inline Status Closed(Delivery delivery) {
  return Status(StatusCode::kClosed, delivery);
}

inline Status Conversation::StatusOf(Errc error, std::uint32_t handle,
                                     std::uint64_t size) {
  switch (error) {
    case Errc::kNoProcess:
      return Status(StatusCode::kDead);
    case Errc::kNoSpace:
      return OutOfMemory(process_, handle, size);
    case Errc::kNotPermitted:
      return Status(StatusCode::kRefused);
    case Errc::kClosed:
    case Errc::kKilled:
      return Closed(Delivery::kNo);
    default:
      return Status(StatusCode::kFailed, Delivery::kNo,
                    std::string(ToString(error)));
  }
}

inline Status Conversation::StatusOf(const Incoming& failure,
                                     std::uint32_t handle, std::uint64_t size) {
  if (failure.command == Br::BR_FROZEN_REPLY) {
    return Status(StatusCode::kFrozen);
  }
  // Set if it was the sending that failed, of the call or of its result.
  ExtendedError why = {};
  (void)thread_.GetExtendedError(why);
  const bool known = why.command == static_cast<std::uint32_t>(failure.command);
  const auto error = known ? static_cast<Errc>(-why.param) : Errc::kOk;
  if (failure.command == Br::BR_DEAD_REPLY) {
    return Status(StatusCode::kDead,
                  failure.was_sent ? Delivery::kUnknown : Delivery::kNo);
  }
  if (!failure.was_sent) return StatusOf(error, handle, size);
  if (!known) {
    return Status(StatusCode::kFailed, Delivery::kUnknown,
                  "the callee did not answer");
  }
  switch (error) {
    case Errc::kNoSpace:
      return OutOfOwnMemory(process_, 0);
    case Errc::kNotPermitted:
      return Status(StatusCode::kRefused, Delivery::kYes,
                    "the result may not be sent");
    default:
      return Status(
          StatusCode::kFailed, Delivery::kYes,
          "the result cannot be sent: " + std::string(ToString(error)));
  }
}

inline Status Conversation::Call(std::uint32_t handle, const Request& request,
                                 std::uint64_t pending,
                                 const std::shared_ptr<ApiObject>& port) {
  const CallOptions& options = *request.options;
  if (Status early = options.EndsBeforeItBegins(); !early.ok()) return early;
  const RequestHeader header = {
      .interface_id = request.interface->id,
      .deadline = options.deadline.time_since_epoch().count(),
      .pending = pending};
  // Whoever makes a call meanwhile on this OS thread, such as the destructor of
  // something that is given up, does it on another thread of the driver: this
  // one has a call out.
  const Waits waits(frame_);
  const auto write = [&](Writer& writer) {
    writer.Bytes(&header, sizeof(header), 8);
    if (pending != 0) writer.Object(port);
    if (request.write != nullptr) request.write(writer, request.arguments);
  };
  alignas(8) std::byte room[kRoom];
  Writer writer(room, &flattener_);
  write(writer);
  if (writer.failed()) {
    return Status(StatusCode::kMalformed, Delivery::kNo,
                  std::string("the arguments cannot be sent: ") + writer.why());
  }
  TransactionData data = {};
  data.target.handle = handle;
  data.code = request.code;
  data.flags = kTfAcceptFds | (request.one_way ? kTfOneWay : 0);
  if (writer.fits()) {
    Point(data, room, writer);
    outgoing_.call = &data;
  } else {
    Reservation<> reservation;
    Errc error = thread_.Reserve(handle, writer.size(), reservation, data.flags,
                                 writer.offsets().size_bytes());
    if (error != Errc::kOk) return StatusOf(error, handle, writer.size());
    Writer in_place(reservation.data(), &flattener_);
    write(in_place);
    BINDERLITE_ASSERT(in_place.size() == writer.size());
    Point(data, reservation.data().data(), in_place);
    error = thread_.Transact(std::move(reservation), data);
    if (error != Errc::kOk) return StatusOf(error, handle, writer.size());
  }

  Incoming incoming;
  for (;;) {
    // A one-way is not waited for but to hear that it is queued.
    const Errc error = request.one_way
                           ? Next(incoming, {}, sync::kNoDeadline)
                           : Next(incoming, options.stop, options.deadline);
    switch (error) {
      case Errc::kOk:
        break;
      case Errc::kInterrupted:
        continue;
      case Errc::kTimedOut:
        GiveUp();
        return Status(StatusCode::kDeadline, Delivery::kUnknown);
      case Errc::kKilled:
        if (options.stop.stop_requested() && !process_.closing()) {
          GiveUp();
          return Status(StatusCode::kCancelled, Delivery::kUnknown);
        }
        return Closed(Delivery::kUnknown);
      case Errc::kClosed:
        return Closed(Delivery::kUnknown);
      default:
        return Status(StatusCode::kFailed, Delivery::kUnknown,
                      std::string(ToString(error)));
    }
    switch (incoming.command) {
      case Br::BR_REPLY: {
        const TransactionData& reply = incoming.transaction;
        Status status;
        {
          Reader reader(DataOf(reply), OffsetsOf(reply), &unflattener_);
          if ((reply.flags & kTfStatusCode) != 0) {
            status = ReadStatus(reader);
            if (const Shortage shortage = status.shortage();
                status == StatusCode::kOutOfMemory && shortage.size == 0) {
              status = OutOfOwnMemory(process_, shortage.wanted);
            }
          } else if (request.read != nullptr &&
                     !request.read(reader, request.result)) {
            status = Status(
                StatusCode::kMalformed, Delivery::kYes,
                std::string("the result cannot be read: ") +
                    (reader.why() != nullptr ? reader.why() : "it is invalid"));
          }
        }
        (void)thread_.FreeBuffer(reply.buffer);
        return status;
      }
      case Br::BR_DEAD_REPLY:
      case Br::BR_FAILED_REPLY:
      case Br::BR_FROZEN_REPLY:
        return StatusOf(incoming, handle, data.data_size);
      case Br::BR_TRANSACTION_COMPLETE:
      case Br::BR_ONEWAY_SPAM_SUSPECT:
      case Br::BR_TRANSACTION_PENDING_FROZEN:
        if (request.one_way) return {};
        break;
      default:
        Handle(incoming);
    }
  }
}

// The answer to a call that came through the driver.
class DriverSink final : public ReplySink {
 public:
  explicit DriverSink(Conversation& conversation) : to_(conversation) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    BINDERLITE_ASSERT(!answered_);
    Writer writer(to_.reply_room_, &to_.flattener_);
    write(writer, result);
    if (writer.failed()) {
      Fail(Status(StatusCode::kMalformed, Delivery::kYes,
                  std::string("the result cannot be sent: ") + writer.why()));
      return;
    }
    if (writer.fits()) {
      Leave(writer, 0);
      if (HasDescriptors()) {
        to_.outgoing_.reply = nullptr;
        (void)to_.thread_.Reply(to_.reply_);
      }
      return;
    }
    Reservation<> reservation;
    const Errc error = to_.thread_.ReserveReply(writer.size(), reservation,
                                                writer.offsets().size_bytes());
    if (error == Errc::kNoSpace) {
      Fail(Status::OutOfMemory({.wanted = writer.size()}));
      return;
    }
    answered_ = true;
    if (error != Errc::kOk) return;  // Nobody waits for it any more.
    Writer in_place(reservation.data(), &to_.flattener_);
    write(in_place, result);
    BINDERLITE_ASSERT(in_place.size() == writer.size());
    TransactionData data = {};
    Conversation::Point(data, reservation.data().data(), in_place);
    (void)to_.thread_.Reply(std::move(reservation), data);
  }
  void Fail(const Status& status) override {
    BINDERLITE_ASSERT(!answered_);
    Writer writer(to_.reply_room_);
    WriteStatus(writer, status);
    if (!writer.fits()) {  // Its words are too many.
      Writer shorter(to_.reply_room_);
      WriteStatus(shorter, Shortened(status));
      Leave(shorter, kTfStatusCode);
      return;
    }
    Leave(writer, kTfStatusCode);
  }
  [[nodiscard]] bool answered() const { return answered_; }

 private:
  static Status Shortened(const Status& status) {
    constexpr std::size_t kEnough = Conversation::kRoom / 2;
    std::string words(status.message().substr(0, kEnough));
    return status.code() == StatusCode::kServiceError
               ? Status::Error(status.service_code(), std::move(words))
               : Status(status.code(), status.delivery(), std::move(words));
  }
  // Whether what is left has some: they are the handler's, and closed when it
  // has answered, so it cannot wait for the next read.
  [[nodiscard]] bool HasDescriptors() const {
    for (const std::uint64_t offset : to_.reply_offsets_) {
      ObjectHeader header;
      std::memcpy(&header, to_.reply_room_ + offset, sizeof(header));
      if (header.type == static_cast<std::uint32_t>(ObjectType::kFd)) {
        return true;
      }
    }
    return false;
  }
  // It goes out with the next read.
  void Leave(const Writer& writer, std::uint32_t flags) {
    answered_ = true;
    const auto offsets = writer.offsets();
    to_.reply_offsets_.assign(offsets.begin(), offsets.end());
    to_.reply_ = {};
    Conversation::Point(to_.reply_, to_.reply_room_, writer);
    to_.reply_.offsets =
        reinterpret_cast<std::uint64_t>(to_.reply_offsets_.data());
    to_.reply_.flags = flags;
    to_.outgoing_.reply = &to_.reply_;
  }

  Conversation& to_;
  bool answered_ = false;
};

// Sends the result of an asynchronous call, what `write` makes of `what`.
inline Status SendResult(ApiObject& port,
                         void (*write)(Writer&, const void* what),
                         const void* what) {
  const CallOptions options;
  return port.Call({.interface = &kReplyPort,
                    .code = kResultCode,
                    .one_way = true,
                    .options = &options,
                    .write = write,
                    .arguments = what});
}
// Whether nothing more is to be done about a result. Nobody but the caller's
// death can end its call otherwise.
[[nodiscard]] inline bool IsSettled(const Status& sent) {
  return sent.ok() || sent == StatusCode::kDead || sent == StatusCode::kClosed;
}

// A result that its caller had no room for.
class UnsentResult {
 public:
  UnsentResult(Process& process, std::shared_ptr<ApiObject> port)
      : process_(process), port_(std::move(port)), payload_(process) {}
  UnsentResult(const UnsentResult&) = delete;
  UnsentResult& operator=(const UnsentResult&) = delete;
  ~UnsentResult() {
    payload_.Drop();
    process_.unsent_bytes.fetch_sub(bytes_, std::memory_order_relaxed);
  }

  // Keeps what write(writer) writes. False: that cannot be, or must not.
  template <class Write>
  [[nodiscard]] bool Keep(const Write& write, std::uint64_t most) {
    if (payload_.Fill(write) != nullptr) return false;
    const std::uint64_t wanted =
        payload_.data().size() + payload_.offsets().size_bytes() + kOverhead;
    const std::size_t bytes = payload_.data().size();
    const std::size_t before =
        process_.unsent_bytes.fetch_add(bytes, std::memory_order_relaxed);
    bytes_ = bytes;
    return wanted <= most && before + bytes <= process_.options.arena_size;
  }
  // Whether it need not be tried again.
  [[nodiscard]] bool Send() const {
    return IsSettled(SendResult(
        *port_,
        [](Writer& writer, const void* payload) {
          static_cast<const StoredPayload*>(payload)->CopyTo(writer);
        },
        &payload_));
  }

 private:
  // What a payload takes beside its own bytes, at most.
  static constexpr std::size_t kOverhead = 128;

  Process& process_;  // The port's, which keeps it.
  const std::shared_ptr<ApiObject> port_;
  StoredPayload payload_;
  std::size_t bytes_ = 0;
};

// The result of an asynchronous call: a one-way to whoever waits for it.
class PortSink final : public ReplySink {
 public:
  PortSink(Process& process, std::shared_ptr<ApiObject> port,
           std::uint64_t pending)
      : process_(process), port_(std::move(port)), pending_(pending) {}

  void Send(void (*write)(Writer&, const void* result),
            const void* result) override {
    const Answer answer = {pending_, write, result, nullptr};
    const Status sent = Give(answer);
    if (IsSettled(sent)) return;
    if (sent == StatusCode::kOutOfMemory &&
        Keep(answer, sent.shortage().size / 2)) {
      return;
    }
    Fail(Told(sent));
  }
  void Fail(const Status& status) override {
    const Answer answer = {pending_, nullptr, nullptr, &status};
    if (!IsSettled(Give(answer))) {
      (void)Keep(answer, std::numeric_limits<std::uint64_t>::max());
    }
  }

 private:
  struct Answer {
    std::uint64_t pending;
    void (*write)(Writer&, const void* result);
    const void* result;
    const Status* status;
  };
  static void Write(Writer& writer, const void* what) {
    const auto& answer = *static_cast<const Answer*>(what);
    writer.Number(answer.pending);
    writer.Number(std::uint64_t{answer.status != nullptr});
    if (answer.status != nullptr) {
      WriteStatus(writer, *answer.status);
    } else {
      answer.write(writer, answer.result);
    }
  }
  // What the caller is told of a result that could not be sent to it.
  static Status Told(const Status& sent) {
    if (sent == StatusCode::kMalformed) {
      return Status(StatusCode::kMalformed, Delivery::kYes,
                    "the result cannot be sent");
    }
    return sent;
  }
  Status Give(const Answer& answer) {
    return SendResult(*port_, &Write, &answer);
  }
  bool Keep(const Answer& answer, std::uint64_t most) {
    auto unsent = std::make_shared<UnsentResult>(process_, port_);
    const auto write = [&answer](Writer& writer) { Write(writer, &answer); };
    if (!unsent->Keep(write, most) && answer.status == nullptr) return false;
    process_.pending->Repeat([unsent] { return unsent->Send(); });
    return true;
  }

  Process& process_;
  const std::shared_ptr<ApiObject> port_;
  const std::uint64_t pending_;
};

// The end of an asynchronous call comes back here.
class ReplyPortHandler final : public Handler {
 public:
  explicit ReplyPortHandler(std::shared_ptr<PendingCalls> pending)
      : pending_(std::move(pending)) {}
  void Run(const Caller& caller, Reader& arguments, ReplySink& reply) override {
    // Whoever waits for an answer to a result has made that up.
    if (!caller.is_one_way()) {
      return reply.Fail(Status(StatusCode::kRefused, Delivery::kYes));
    }
    std::uint64_t id = 0;
    std::uint64_t failed = 0;
    if (!arguments.Number(id) || !arguments.Number(failed)) return;
    if (failed != 0) {
      pending_->End(id, ReadStatus(arguments));
    } else {
      pending_->End(id, Status(), &arguments);
    }
  }

 private:
  const std::shared_ptr<PendingCalls> pending_;
};

// Has `object` serve a call, whichever way it came. `reply` is null for a
// one-way, and answered otherwise.
inline void Dispatch(const LocalObject& object, std::uint32_t code,
                     std::uint64_t interface_id, const Caller& caller,
                     Reader& arguments, ReplySink* reply) {
  if (code == kPingCode || code == kInterfaceCode) {
    if (reply == nullptr) return;
    const std::string_view name = object.interface().name;
    reply->Send(
        [](Writer& writer, const void* what) {
          const auto& words = *static_cast<const std::string_view*>(what);
          writer.Length(words.size());
          writer.Bytes(words.data(), words.size(), 1);
        },
        &name);
    return;
  }
  const auto refuse = [&](StatusCode why) {
    if (reply == nullptr) return;
    reply->Fail(Status(why, Delivery::kYes,
                       std::string(object.interface().name) + ", method " +
                           std::to_string(code)));
  };
  if (interface_id != object.interface().id) {
    return refuse(StatusCode::kWrongInterface);
  }
  Handler* const handler = object.Find(code);
  if (handler == nullptr) return refuse(StatusCode::kNoSuchMethod);
  // A handler does not look whether anybody waits.
  class Nobody final : public ReplySink {
   public:
    void Send(void (*)(Writer&, const void*), const void*) override {}
    void Fail(const Status&) override {}
  } nobody;
  handler->Run(caller, arguments, reply != nullptr ? *reply : nobody);
}

inline void Conversation::Serve(const Incoming& incoming) {
  const TransactionData& data = incoming.transaction;
  const bool one_way = (data.flags & kTfOneWay) != 0;
  {
    Frame frame(&process_, frame_.slot, &thread_, /*is_handler=*/true);
    Process::HandlerScope scope(process_, *frame_.slot, frame);
    Reader reader(DataOf(data), OffsetsOf(data), &unflattener_);
    DriverSink driver_sink(*this);
    RequestHeader header;
    std::shared_ptr<ApiObject> port;
    const std::byte* const begin = reader.Take(sizeof(header), 8);
    if (begin != nullptr) std::memcpy(&header, begin, sizeof(header));
    // Only one-ways are answered elsewhere.
    if (header.pending != 0 && (!one_way || !reader.Object(port))) {
      reader.Fail("a result cannot go there");
    }
    if (!scope.may_run()) {
      if (!one_way) driver_sink.Fail(Status(StatusCode::kDead));
    } else if (!reader.ok()) {
      if (!one_way) driver_sink.Fail(Status(StatusCode::kMalformed));
    } else {
      // The buffer keeps the node, and so the object, until it is freed.
      const auto& object = *reinterpret_cast<const LocalObject*>(data.cookie);
      scope.Show(&object.interface(), data.code, data.sender_pid);
      const Caller caller(
          data.sender_pid, data.sender_euid,
          incoming.label == 0
              ? std::string_view()
              : std::string_view(reinterpret_cast<const char*>(incoming.label)),
          one_way && port == nullptr,
          std::chrono::steady_clock::time_point(
              std::chrono::steady_clock::duration(header.deadline)),
          process_.stop());
      if (port != nullptr) {
        PortSink port_sink(process_, std::move(port), header.pending);
        Dispatch(object, data.code, header.interface_id, caller, reader,
                 &port_sink);
      } else {
        Dispatch(object, data.code, header.interface_id, caller, reader,
                 one_way ? nullptr : &driver_sink);
      }
    }
    BINDERLITE_ASSERT(one_way || driver_sink.answered());
  }
  outgoing_.free_buffer = data.buffer;
}

inline void Conversation::Handle(const Incoming& incoming) {
  switch (incoming.command) {
    case Br::BR_TRANSACTION:
    case Br::BR_TRANSACTION_SEC_CTX:
      // The handler may take its time.
      if (thread_.TakeSpawn()) process_.SpawnLooper();
      Serve(incoming);
      break;
    case Br::BR_INCREFS:
      (void)thread_.IncRefsDone(incoming.node);
      break;
    case Br::BR_ACQUIRE:
      process_.Acquired(incoming.node.ptr);
      (void)thread_.AcquireDone(incoming.node);
      break;
    case Br::BR_RELEASE: {
      const std::shared_ptr<ApiObject> unheld =
          process_.Released(incoming.node.ptr);
      if (unheld == nullptr) break;
      // Only LocalObjects are exported.
      const auto& object = static_cast<const LocalObject&>(*unheld);
      if (object.options.on_unreferenced) object.options.on_unreferenced();
      break;
    }
    case Br::BR_DEAD_BINDER: {
      const std::uint64_t cookie = incoming.node.cookie;
      if (const std::shared_ptr<ApiObject> object =
              process_.FindDeath(cookie)) {
        // Only RemoteObjects have cookies.
        static_cast<RemoteObject&>(*object).OnDeath(DeathReason::kDied);
      }
      process_.ForgetDeath(cookie);
      (void)thread_.DeadBinderDone(cookie);
      break;
    }
    case Br::BR_SPAWN_LOOPER:
      process_.SpawnLooper();
      break;
    default:
      break;  // Nothing that anybody here waits for.
  }
}

// --- RemoteObject -----------------------------------------------------------

inline RemoteObject::~RemoteObject() {
  std::uint64_t cookie = 0;
  {
    sync::MutexLock lock(mu_);
    cookie = cookie_;
  }
  if (!process_->closing()) {
    Session session(*process_);
    if (cookie != 0) {
      (void)session.thread().ClearDeathNotification(handle_, cookie);
    }
    (void)session.thread().Release(handle_);
  }
  if (cookie != 0) process_->ForgetDeath(cookie);
  process_->ForgetRemote(handle_);
}

inline Status RemoteObject::Watch() {
  if (process_->closing()) return Closed(Delivery::kNo);
  std::uint64_t cookie = 0;
  {
    sync::MutexLock lock(mu_);
    if (death_.has_value() || cookie_ != 0) return {};
    cookie = cookie_ = process_->NewDeath(weak_from_this());
  }
  process_->Serve();
  Session session(*process_);
  const Errc error = session.thread().RequestDeathNotification(handle_, cookie);
  return error == Errc::kOk ? Status() : Closed(Delivery::kNo);
}

inline Status RemoteObject::Call(const Request& request) {
  if (process_->closing()) return Closed(Delivery::kNo);
  Session session(*process_);
  Conversation conversation(*process_, session.frame());
  return conversation.Call(handle_, request);
}

inline void RemoteObject::CallLater(const Request& request,
                                    std::unique_ptr<Completion> completion) {
  const Status watched = Watch();
  if (!watched.ok()) return completion->Done(watched, nullptr);
  const std::uint64_t id = process_->pending->Add(
      std::move(completion), shared_from_this(), *request.options);
  if (id == 0) return;
  Request one_way = request;
  one_way.one_way = true;
  Status sent;
  {
    Session session(*process_);
    Conversation conversation(*process_, session.frame());
    sent = conversation.Call(handle_, one_way, id, process_->ReplyPort([&] {
      auto port = std::make_shared<LocalObject>(process_, &kReplyPort,
                                                ServiceOptions());
      port->Add(kResultCode,
                std::make_shared<ReplyPortHandler>(process_->pending));
      return port;
    }));
  }
  if (!sent.ok()) return process_->pending->End(id, std::move(sent));
  // It was too late to be ended with the others.
  if (const auto why = death()) process_->pending->End(id, EndOfCall(*why));
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_TRANSPORT_H_
