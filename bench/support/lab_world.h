// SPDX-License-Identifier: Apache-2.0
//
// Procs that know of each other: LabWorld has a context manager through which
// it gives handles of one Proc's nodes to another, and the two sides of a call.
//
// Setting up is done by one thread, for all Procs, which must be non-blocking
// and have entered their loopers meanwhile.

#ifndef BINDERLITE_BENCH_SUPPORT_LAB_WORLD_H_
#define BINDERLITE_BENCH_SUPPORT_LAB_WORLD_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "binderlite/driver/driver.h"

namespace binderlite::bench {

inline std::uint64_t LabAddress(const void* of) {
  return reinterpret_cast<std::uint64_t>(of);
}

// A call to `handle`, or a reply.
inline TransactionData LabData(const std::vector<std::byte>& payload,
                               std::uint32_t handle = 0) {
  TransactionData data = {};
  data.target.handle = handle;
  data.data_size = payload.size();
  data.buffer = LabAddress(payload.data());
  return data;
}

// Reads every byte of what has come.
inline std::uint64_t LabSum(const TransactionData& data) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.buffer);
  return std::accumulate(bytes, bytes + data.data_size, std::uint64_t{0});
}

// One call, up to and including the end of the reply's buffer.
template <class L>
bool LabCall(BasicThread<L>& self, std::uint32_t handle,
             const std::vector<std::byte>& payload, std::uint64_t& sum) {
  if (self.Transact(LabData(payload, handle)) != Errc::kOk) return false;
  Incoming work;
  do {
    if (self.NextWork(work) != Errc::kOk || work.command == Br::BR_DEAD_REPLY ||
        work.command == Br::BR_FAILED_REPLY) {
      return false;
    }
  } while (work.command != Br::BR_REPLY);
  sum += LabSum(work.transaction);
  return self.FreeBuffer(work.transaction.buffer) == Errc::kOk;
}

// Answers calls with as many bytes, until the Thread is killed. `each` is
// called for each of them.
template <class L, class F>
void LabServe(BasicThread<L>& self, F each) {
  std::vector<std::byte> answer;
  Incoming work;
  std::uint64_t sum = 0;
  while (self.NextWork(work) == Errc::kOk) {
    if (work.command != Br::BR_TRANSACTION) continue;
    each();
    sum += LabSum(work.transaction);
    answer.resize(static_cast<std::size_t>(work.transaction.data_size));
    if (!answer.empty()) answer[0] = static_cast<std::byte>(sum);
    if (self.FreeBuffer(work.transaction.buffer) != Errc::kOk ||
        self.Reply(LabData(answer)) != Errc::kOk) {
      return;
    }
  }
}

template <class L>
class LabWorld {
 public:
  explicit LabWorld(ContextOptions options = {})
      : context(std::move(options)),
        manager_proc_(context.Open({.name = "manager", .nonblocking = true})),
        manager_(manager_proc_.Attach()) {
    ok_ = manager_.SetContextMgr() == Errc::kOk &&
          manager_.EnterLooper() == Errc::kOk;
  }

  // Whether all has gone well so far.
  [[nodiscard]] bool ok() const { return ok_; }

  // Gives `taker` handles, with a strong count each, to the nodes that `owner`
  // calls first, first + 1, ...; all in the order of the nodes.
  std::vector<std::uint32_t> Give(BasicThread<L>& owner, BasicThread<L>& taker,
                                  std::uint64_t first, std::size_t count = 1) {
    // As many as have room in a small arena.
    constexpr std::size_t kAtOnce = 250;
    std::vector<std::uint32_t> handles;
    for (std::size_t done = 0; done < count && ok_;) {
      const std::size_t now = std::min(kAtOnce, count - done);
      GiveSome(owner, taker, first + done, now, handles);
      done += now;
    }
    ok_ = ok_ && handles.size() == count;
    return handles;
  }

  // Reads and acknowledges what there is to read.
  static bool Drain(BasicThread<L>& self) {
    return !Await(self, std::nullopt).has_value();
  }

  BasicContext<L> context;

 private:
  // Reads up to the first `wanted`, acknowledging what is told about nodes.
  static std::optional<Incoming> Await(BasicThread<L>& self,
                                       std::optional<Br> wanted) {
    Incoming work;
    while (self.NextWork(work) == Errc::kOk) {
      if (work.command == Br::BR_INCREFS) (void)self.IncRefsDone(work.node);
      if (work.command == Br::BR_ACQUIRE) (void)self.AcquireDone(work.node);
      if (work.command == wanted) return work;
    }
    return std::nullopt;
  }

  static TransactionData DataOf(const std::vector<FlatObject>& objects,
                                std::vector<std::uint64_t>& offsets) {
    offsets.resize(objects.size());
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      offsets[i] = i * sizeof(FlatObject);
    }
    TransactionData data = {};
    data.data_size = objects.size() * sizeof(FlatObject);
    data.buffer = LabAddress(objects.data());
    data.offsets_size = offsets.size() * sizeof(std::uint64_t);
    data.offsets = LabAddress(offsets.data());
    return data;
  }
  static std::vector<FlatObject> ObjectsOf(const TransactionData& data) {
    std::vector<FlatObject> objects(
        static_cast<std::size_t>(data.data_size / sizeof(FlatObject)));
    if (!objects.empty()) {
      std::memcpy(objects.data(), reinterpret_cast<const void*>(data.buffer),
                  objects.size() * sizeof(FlatObject));
    }
    return objects;
  }

  // The owner sends its nodes to the manager, who answers a call of the taker
  // with them.
  void GiveSome(BasicThread<L>& owner, BasicThread<L>& taker,
                std::uint64_t first, std::size_t count,
                std::vector<std::uint32_t>& handles) {
    std::vector<FlatObject> objects(count);
    for (std::size_t i = 0; i < count; ++i) {
      objects[i].hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
      objects[i].binder = first + i;
      objects[i].cookie = first + i;
    }
    std::vector<std::uint64_t> offsets;
    TransactionData data = DataOf(objects, offsets);
    data.flags = kTfOneWay;
    ok_ = false;
    if (owner.Transact(data) != Errc::kOk) return;
    const auto published = Await(manager_, Br::BR_TRANSACTION);
    if (!published.has_value() || taker.Transact({}) != Errc::kOk) return;
    const auto call = Await(manager_, Br::BR_TRANSACTION);
    objects = ObjectsOf(published->transaction);
    if (!call.has_value() ||
        manager_.FreeBuffer(call->transaction.buffer) != Errc::kOk ||
        manager_.Reply(DataOf(objects, offsets)) != Errc::kOk ||
        manager_.FreeBuffer(published->transaction.buffer) != Errc::kOk) {
      return;
    }
    const auto reply = Await(taker, Br::BR_REPLY);
    if (!reply.has_value()) return;
    for (const FlatObject& object : ObjectsOf(reply->transaction)) {
      if (taker.Acquire(object.handle) != Errc::kOk) return;
      handles.push_back(object.handle);
    }
    ok_ = taker.FreeBuffer(reply->transaction.buffer) == Errc::kOk &&
          Drain(owner) && Drain(manager_);
  }

  BasicProc<L> manager_proc_;
  BasicThread<L> manager_;
  bool ok_ = false;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_LAB_WORLD_H_
