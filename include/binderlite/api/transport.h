// SPDX-License-Identifier: Apache-2.0
//
// Transport: how calls of references go through the driver: what RemoteObject
// (api/remote.h) does in Sessions and Conversations.
//
//   Call        on a thread of the endpoint, which waits for the answer and
//               serves what comes meanwhile
//   CallLater   a one-way that says where its result goes; PendingCalls has who
//               is told of that
//
// Blocks in the driver only, with no lock held. libbinder: BpBinder::transact.

#ifndef BINDERLITE_API_TRANSPORT_H_
#define BINDERLITE_API_TRANSPORT_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "binderlite/api/conversation.h"
#include "binderlite/api/failure.h"
#include "binderlite/api/local.h"
#include "binderlite/api/object.h"
#include "binderlite/api/process.h"
#include "binderlite/api/remote.h"
#include "binderlite/api/result_port.h"
#include "binderlite/api/session.h"
#include "binderlite/api/status.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"
#include "binderlite/wire/errc.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
RemoteObject<L>::~RemoteObject() {
  std::uint64_t cookie = 0;
  {
    sync::MutexLock lock(mu_);
    if (made_room_) return;
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

template <LockingPolicy L>
Status RemoteObject<L>::Watch() {
  if (process_->closing()) return Closed(Delivery::kNo);
  std::uint64_t cookie = 0;
  {
    sync::MutexLock lock(mu_);
    if (death_.has_value() || cookie_ != 0) return {};
    cookie = cookie_ = process_->NewDeath(this->weak_from_this());
  }
  process_->Serve();
  Session session(*process_);
  const Errc error = session.thread().RequestDeathNotification(handle_, cookie);
  return error == Errc::kOk ? Status() : Closed(Delivery::kNo);
}

template <LockingPolicy L>
Status RemoteObject<L>::Call(const Request& request) {
  if (process_->closing()) return Closed(Delivery::kNo);
  if (made_room()) return Status(StatusCode::kDead);
  Session session(*process_);
  Conversation conversation(*process_, session.frame());
  return conversation.Call(handle_, request);
}

template <LockingPolicy L>
void RemoteObject<L>::CallLater(const Request& request,
                                std::unique_ptr<Completion> completion) {
  const Status watched = Watch();
  if (!watched.ok()) return completion->Done(watched, nullptr);
  if (made_room()) {
    return completion->Done(Status(StatusCode::kDead), nullptr);
  }
  const std::uint64_t id = process_->pending->Add(
      std::move(completion), this->shared_from_this(), *request.options);
  if (id == 0) return;
  Request one_way = request;
  one_way.one_way = true;
  Status sent;
  {
    Session session(*process_);
    Conversation conversation(*process_, session.frame());
    sent = conversation.Call(handle_, one_way, id, process_->ReplyPort([&] {
      auto port = std::make_shared<LocalObject<L>>(process_, &kReplyPort,
                                                   ServiceOptions());
      port->Add(kResultCode,
                std::make_shared<ReplyPortHandler<L>>(process_->pending));
      return port;
    }));
  }
  if (!sent.ok()) return process_->pending->End(id, std::move(sent));
  // It was too late to be ended with the others.
  if (const auto why = death()) process_->pending->End(id, EndOfCall(*why));
}

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_TRANSPORT_H_
