// SPDX-License-Identifier: Apache-2.0
//
// Conversation: what a thread of an endpoint says to the driver and hears of
// it: sends calls, reads what comes, and serves what is not for its user: calls
// that come in meanwhile, reference counts, deaths.
//
// The payload of a call is a RequestHeader, in asynchronous calls the object
// that takes the result (api/result_port.h), then the arguments; that of a
// result is the result, or with kTfStatusCode a Status (docs/wire-format.md).
//
// Blocks in the driver only, with no lock held. libbinder: IPCThreadState.

#ifndef BINDERLITE_API_CONVERSATION_H_
#define BINDERLITE_API_CONVERSATION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "binderlite/api/death_watch.h"
#include "binderlite/api/driver_sink.h"
#include "binderlite/api/envelope.h"
#include "binderlite/api/failure.h"
#include "binderlite/api/flattener.h"
#include "binderlite/api/frame.h"
#include "binderlite/api/handler_stop.h"
#include "binderlite/api/local.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/remote.h"
#include "binderlite/api/result_port.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"
#include "binderlite/config.h"
#include "binderlite/driver/driver.h"
#include "binderlite/driver/reserve.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/stop.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/flags.h"
#include "binderlite/wire/structs.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
class Conversation {
 public:
  Conversation(Process<L>& process, ThreadFrame<L>& frame)
      : process_(process), frame_(frame), thread_(frame.thread) {}
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
  // The caller of a call that is served on its OS thread: where it is, and what
  // it listens to. Null: it waits on another one.
  struct Here {
    const sync::StopSignals* stops = nullptr;
    const AnyProcess* process = nullptr;
  };
  // Serves `incoming`, which is not the answer to a call of ours.
  void Handle(const Incoming& incoming, const Here& here = {});
  // Sends what Handle has left to be sent with the next read, and does what
  // that brings about.
  void Finish() {
    if (HasOutgoing()) {
      (void)thread_.Send(outgoing_);
      outgoing_ = {};
    }
    if (flattener_.keeps()) (void)Drain();
  }

  // Our own endpoint is closed or killed: everything that waits for others
  // ends.
  static void EndAll(Process<L>& process) {
    for (const auto& object : process.Remotes()) {
      object->OnDeath(DeathReason::kOwnEndpointClosed);
    }
    process.pending->Shut();
  }

 private:
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

  void Serve(const Incoming& incoming, const Here& here);
  void GiveUp() {
    (void)thread_.Abandon();
    (void)Drain();
    Finish();
  }

  Process<L>& process_;
  ThreadFrame<L>& frame_;
  BasicThread<L>& thread_;
  Flattener<L> flattener_{process_};
  Unflattener<L> unflattener_{process_, thread_};
  Outgoing outgoing_;
  ReplyRoom reply_room_;
};

template <LockingPolicy L>
Status Conversation<L>::Call(std::uint32_t handle, const Request& request,
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
  alignas(8) std::byte room[kSmallPayload];
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
    Reservation<L> reservation;
    Errc error = thread_.Reserve(handle, writer.size(), reservation, data.flags,
                                 writer.offsets().size_bytes());
    if (error != Errc::kOk) {
      return StatusOf(process_, error, handle, writer.size());
    }
    Writer in_place(reservation.data(), &flattener_);
    write(in_place);
    BINDERLITE_ASSERT(in_place.size() == writer.size());
    Point(data, reservation.data().data(), in_place);
    error = thread_.Transact(std::move(reservation), data);
    if (error != Errc::kOk) {
      return StatusOf(process_, error, handle, writer.size());
    }
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
                      std::string{ToString(error)});
    }
    switch (incoming.command) {
      case Br::BR_REPLY: {
        // Nobody reads on before our own handler, if there is one, is done.
        if (thread_.TakeSpawn()) process_.SpawnLooper();
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
                std::string("the result cannot be read: ") + reader.why());
          }
        }
        (void)thread_.FreeBuffer(reply.buffer);
        return status;
      }
      case Br::BR_DEAD_REPLY:
      case Br::BR_FAILED_REPLY:
      case Br::BR_FROZEN_REPLY:
        return StatusOf(process_, thread_, incoming, handle, data.data_size);
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

template <LockingPolicy L>
void Conversation<L>::Serve(const Incoming& incoming, const Here& here) {
  const TransactionData& data = incoming.transaction;
  const bool one_way = (data.flags & kTfOneWay) != 0;
  {
    const ThreadFrame<L> frame(process_, frame_.slot, thread_,
                               /*is_handler=*/true);
    typename Process<L>::HandlerScope scope(process_, frame_.slot, frame);
    Reader reader(DataOf(data), OffsetsOf(data), &unflattener_);
    DriverSink<L> driver_sink(thread_, flattener_, outgoing_, reply_room_);
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
      const auto& object =
          *reinterpret_cast<const LocalObject<L>*>(data.cookie);
      scope.Show(&object.interface(), data.code, data.sender_pid);
      const bool is_one_way = one_way && port == nullptr;
      const sync::TimePoint deadline(
          sync::TimePoint::duration(header.deadline));
      HandlerStop<L> stop(process_,
                          {.deadline = port != nullptr || here.stops != nullptr
                                           ? deadline
                                           : sync::kNoDeadline,
                           .thread = one_way ? nullptr : &thread_,
                           .caller = here.stops,
                           .caller_process = here.process});
      const Caller caller(
          data.sender_pid, data.sender_euid,
          incoming.label == 0
              ? std::string_view()
              : std::string_view(reinterpret_cast<const char*>(incoming.label)),
          is_one_way, deadline, stop);
      if (port != nullptr) {
        PortSink<L> port_sink(process_, std::move(port), header.pending);
        object.Serve(data.code, header.interface_id, caller, reader,
                     &port_sink);
      } else {
        object.Serve(data.code, header.interface_id, caller, reader,
                     one_way ? nullptr : &driver_sink);
      }
    }
    BINDERLITE_ASSERT(one_way || driver_sink.answered());
  }
  outgoing_.free_buffer = data.buffer;
}

template <LockingPolicy L>
void Conversation<L>::Handle(const Incoming& incoming, const Here& here) {
  switch (incoming.command) {
    case Br::BR_TRANSACTION:
    case Br::BR_TRANSACTION_SEC_CTX:
      // The handler may take its time.
      if (thread_.TakeSpawn()) process_.SpawnLooper();
      Serve(incoming, here);
      break;
    case Br::BR_INCREFS:
      (void)thread_.IncRefsDone(incoming.node);
      break;
    case Br::BR_ACQUIRE:
      process_.Acquired(incoming.node.ptr);
      (void)thread_.AcquireDone(incoming.node);
      break;
    case Br::BR_RELEASE: {
      const auto unheld = process_.Released(incoming.node.ptr);
      if (unheld != nullptr && unheld->options.on_unreferenced) {
        unheld->options.on_unreferenced();
      }
      break;
    }
    case Br::BR_DEAD_BINDER: {
      const std::uint64_t cookie = incoming.node.cookie;
      const auto object = process_.FindDeath(cookie);
      if (object != nullptr) object->OnDeath(DeathReason::kDied);
      process_.ForgetDeath(cookie);
      (void)thread_.DeadBinderDone(cookie);
      if (object != nullptr) {
        object->MakeRoom([&] { (void)thread_.Release(object->handle()); });
      }
      break;
    }
    case Br::BR_SPAWN_LOOPER:
      process_.SpawnLooper();
      break;
    default:
      break;  // Nothing that anybody here waits for.
  }
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_CONVERSATION_H_
