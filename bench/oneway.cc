// SPDX-License-Identifier: Apache-2.0
//
// One-way messages to one node, from one sender to one receiver: the driver's
// typed operations beside bounded rings on std::condition_variable and
// absl::Mutex::Await. A row is the rate at which messages arrive; "full" is how
// often a sender had to wait for room, per message.
//
//   oneway/<subject>/<same|split|free>/<bytes>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stop_token>
#include <thread>
#include <utility>

#include "binderlite/binderlite.h"
#include "support/binder.h"
#include "support/measure.h"
#include "support/one_way_peers.h"
#include "support/subject.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;
using bl::Errc;

// One-way transactions to handle 0. Binder's bound is memory: half of the
// receiver's arena. A sender who has used it up waits until half of what is on
// its way has arrived: it publishes the count at which it wants to be woken, so
// that a receiver pays a load for this and a wake-up only when it is wanted.
template <class L, bool kInPlace>
class OneWayBinder {
 public:
  explicit OneWayBinder(const bench::Setup& setup)
      : proc_(context_.Open({.name = "receiver"})),
        sender_proc_(context_.Open({.name = "sender"})),
        thread_(proc_.Attach()),
        sender_(sender_proc_.Attach()) {
    ok_ = thread_.SetContextMgr() == Errc::kOk;
    looper_ = std::jthread([this, setup](const std::stop_token& stop) {
      setup.PlaceServer();
      Receive(stop);
    });
  }
  OneWayBinder(const OneWayBinder&) = delete;
  OneWayBinder& operator=(const OneWayBinder&) = delete;

  bool Send(const bench::Bytes& payload) {
    bl::TransactionData data = bench::DataOf(payload);
    data.flags = bl::kTfOneWay;
    while (ok_ && !received_.torn()) {
      bl::Incoming work;
      if (kInPlace ? !SendInPlace(payload, work)
                   : sender_.Exchange({.call = &data}, work) != Errc::kOk) {
        return false;
      }
      while (work.command != bl::Br::BR_TRANSACTION_COMPLETE &&
             work.command != bl::Br::BR_FAILED_REPLY) {
        if (sender_.NextWork(work) != Errc::kOk) return false;
      }
      if (work.command == bl::Br::BR_TRANSACTION_COMPLETE) {
        ++sent_;
        return true;
      }
      ++full_;
      const std::uint64_t got = received_.count();
      if (got == sent_) return false;  // It is not for want of room.
      WaitUntil(got + (sent_ - got + 1) / 2);
    }
    return false;
  }
  [[nodiscard]] std::uint64_t received() const { return received_.count(); }
  [[nodiscard]] std::uint64_t full() const { return full_; }

 private:
  static constexpr std::uint64_t kNobody =
      std::numeric_limits<std::uint64_t>::max();

  // Into the receiver's memory at once. False: an error.
  bool SendInPlace(const bench::Bytes& payload, bl::Incoming& work) {
    bl::Reservation<L> message;
    const Errc error =
        sender_.Reserve(0, payload.size(), message, bl::kTfOneWay);
    work.command = bl::Br::BR_FAILED_REPLY;
    if (error != Errc::kOk) return error == Errc::kNoSpace;
    std::memcpy(message.data().data(), payload.data(), payload.size());
    return sender_.Transact(std::move(message), {}) == Errc::kOk &&
           sender_.NextWork(work) == Errc::kOk;
  }

  void WaitUntil(std::uint64_t count) {
    wanted_.store(count);
    if (received_.count() >= count) {
      wanted_.store(kNobody);
      return;
    }
    wanted_.wait(count);
  }

  void Receive(const std::stop_token& stop) {
    if (thread_.EnterLooper() != Errc::kOk) return;
    bl::Incoming work;
    std::uint64_t last_buffer = 0;
    while (thread_.Exchange({.free_buffer = std::exchange(last_buffer, 0)},
                            work, stop) == Errc::kOk) {
      if (work.command != bl::Br::BR_TRANSACTION) continue;
      received_.See(bench::BytesOf(work.transaction),
                    bench::SizeOf(work.transaction));
      last_buffer = work.transaction.buffer;
      // Sequentially consistent with WaitUntil: one of the two sees the other.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      std::uint64_t wanted = wanted_.load(std::memory_order_relaxed);
      if (received_.count() >= wanted &&
          wanted_.compare_exchange_strong(wanted, kNobody)) {
        wanted_.notify_one();
      }
    }
  }

  bl::BasicContext<L> context_;
  bl::BasicProc<L> proc_;
  bl::BasicProc<L> sender_proc_;
  bl::BasicThread<L> thread_;
  bl::BasicThread<L> sender_;
  bool ok_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t full_ = 0;
  alignas(64) std::atomic<std::uint64_t> wanted_{kNobody};
  bench::Received received_;
  std::jthread looper_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::RegisterOneWay<OneWayBinder<bl::FineGrained<>, false>>("typed");
  bench::RegisterOneWay<OneWayBinder<bl::FineGrained<>, true>>("inplace");
  bench::RegisterOneWay<bench::LockedRing<bench::CondvarRing>>("condvar");
  bench::RegisterOneWay<bench::LockedRing<bench::AwaitRing>>("await");
  return bench::RunRows(argc, argv);
}
