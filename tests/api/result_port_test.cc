// SPDX-License-Identifier: Apache-2.0
//
// Checks api/result_port.h: results that their caller has no room for yet, and
// which results end a call.

#include "binderlite/api/result_port.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/api/envelope.h"
#include "support/api_test.h"
#include "support/raw_calls.h"
#include "support/streams.h"

namespace binderlite::testing {
namespace {

// The caller has memory for few results at a time.
class ResultPortTest : public ModeTest {
 protected:
  static constexpr std::size_t kMemory = std::size_t{1} << 16;

  // What HoldPort needs of a worker's Do.
  void OnDo(std::string_view what) {
    if (what == "first") has_callback_.ArriveAndWait();
  }
  // The first result, and with it the caller's reply port, is busy until
  // port_.Open().
  void HoldPort(const Proxy<Worker>& remote) {
    // Answered once it has its callback, which so runs on the client's looper.
    remote->Do.Async("first").Then(
        [this](const Result<std::string>&) { port_.ArriveAndWait(); });
    has_callback_.Open();
    port_.Await();
  }
  // `server` has served all that it was asked for, and `client` no room for a
  // result of `size` bytes any more.
  void AwaitFull(Endpoint& server, Endpoint& client, std::size_t size) {
    AwaitState([&] {
      return SnapshotOf(server).todo.empty() &&
             SnapshotOf(client).arena_free_async < size;
    });
  }

  Latch port_;

 private:
  Latch has_callback_;
};
BINDERLITE_BOTH_MODES(ResultPortTest);

// None is lost.
TEST_P(ResultPortTest, ResultsWaitUntilThereIsRoom) {
  constexpr int kCalls = 200;
  const std::string big(10'000, 'b');
  Pair pair = Connect(
      Worker{.Do =
                 [&](std::string_view what) {
                   OnDo(what);
                   return std::string(what) + (what.size() > 2 ? "" : big);
                 }},
      {.arena_size = std::size_t{1} << 20}, {.arena_size = kMemory});
  HoldPort(pair.remote);
  std::vector<Future<std::string>> futures;
  for (int i = 0; i < kCalls; ++i) {
    futures.push_back(pair.remote->Do.Async(std::to_string(i)));
  }
  AwaitFull(pair.server, pair.client, big.size());
  port_.Open();
  for (int i = 0; i < kCalls; ++i) {
    const auto result = futures[static_cast<std::size_t>(i)].Get();
    ASSERT_TRUE(result.ok()) << i << ": " << result.status().ToString();
    ASSERT_TRUE(result->ends_with(i < 100 ? big : std::to_string(i)));
  }
  EXPECT_EQ(pair.client.pending_calls(), 0u);
  AwaitQuiet();
}

// Results with objects wait like others.
TEST_P(ResultPortTest, WaitingResultsKeepObjects) {
  const std::string big(20'000, 'b');
  Proxy<Worker> made;
  Pair pair = Connect(Worker{.Do =
                                 [&](std::string_view what) {
                                   OnDo(what);
                                   return big;
                                 },
                             .Make = [&] { return made; }},
                      {}, {.arena_size = kMemory});
  made = Serve(pair.server, Worker{.Do = &Answered});
  HoldPort(pair.remote);
  std::vector<Future<std::string>> bigs;
  std::vector<Future<Proxy<Worker>>> futures;
  for (int i = 0; i < 300; ++i) {
    if (i < 3) bigs.push_back(pair.remote->Do.Async("x"));
    futures.push_back(pair.remote->Make.Async());
  }
  AwaitFull(pair.server, pair.client, 200);
  port_.Open();
  for (auto& future : futures) {
    const auto result = future.Get();
    ASSERT_TRUE(result.ok()) << result.status().ToString();
    ASSERT_EQ((*result)->Do("x").value(), "x!");
  }
  for (auto& future : bigs) EXPECT_EQ(future.Get().value(), big);
  AwaitQuiet();
  made = {};
}

// Whoever waits for a result that nobody will send any more is told.
TEST_P(ResultPortTest, TheCalleeDiesWithResultsThatWait) {
  const std::string big(20'000, 'b');
  Pair pair = Connect(Worker{.Do =
                                 [&](std::string_view what) {
                                   OnDo(what);
                                   return big;
                                 }},
                      {}, {.arena_size = kMemory});
  HoldPort(pair.remote);
  std::vector<Future<std::string>> futures;
  for (int i = 0; i < 10; ++i) futures.push_back(pair.remote->Do.Async("x"));
  AwaitFull(pair.server, pair.client, big.size());
  pair.remote = {};
  pair.server.Close();
  port_.Open();
  for (auto& future : futures) {
    const Status status = future.Get().status();
    EXPECT_TRUE(status.ok() || status == StatusCode::kDead);
  }
  EXPECT_EQ(pair.client.pending_calls(), 0u);
  AwaitQuiet();
}

// Results of calls that there are not, and rubbish, for the object that takes
// them: a raw Proc is called, and answers so.
TEST(RawResultTest, OnlyTheRightOneEndsTheCall) {
  using api_internal::kReplyPort;
  using api_internal::kResultCode;
  Binder binder({.service_manager = false});
  RawCaller raw(binder.context());
  ASSERT_EQ(raw.thread().SetContextMgr(), Errc::kOk);
  Endpoint client = binder.Open("client");
  auto future = Proxy<Worker>(client.Manager())->Do.Async("x");
  EXPECT_EQ(client.pending_calls(), 1u);

  // The call has its header, then the object for the result.
  Incoming call;
  while (!call.is_transaction()) {
    ASSERT_EQ(raw.thread().NextWork(call), Errc::kOk);
  }
  const auto data = api_internal::DataOf(call.transaction);
  const auto offsets = api_internal::OffsetsOf(call.transaction);
  api_internal::RequestHeader header;
  std::memcpy(&header, data.data(), sizeof(header));
  FlatObject port;
  ASSERT_EQ(offsets.size(), 1u);
  std::memcpy(&port, data.data() + offsets[0], sizeof(port));

  const auto send = [&](std::uint32_t code, std::uint32_t flags,
                        std::span<const std::byte> bytes) {
    const RawCaller::Answer answer =
        raw.Send(port.handle, code, bytes, {}, flags);
    EXPECT_EQ(answer.command,
              flags != 0 ? Br::BR_TRANSACTION_COMPLETE : Br::BR_REPLY);
    EXPECT_EQ(answer.is_status, flags == 0);
  };
  const auto result = [](std::uint64_t interface_id, std::uint64_t pending,
                         std::string_view text) {
    return RawRequest({.interface_id = interface_id}, pending, std::uint64_t{0},
                      text);
  };
  const RawRequest right = result(kReplyPort.id, header.pending, "x!");
  const RawRequest wrong = result(kReplyPort.id, header.pending, "wrong");
  const RawRequest unknown =
      result(kReplyPort.id, header.pending + 1, "unknown");
  const RawRequest other =
      result(api_internal::IdOf("test.Other"), header.pending, "other");
  constexpr std::size_t kEnough = sizeof(header) + 2 * sizeof(std::uint64_t);
  for (std::size_t size = 0; size < kEnough; ++size) {
    send(kResultCode, kTfOneWay, wrong.bytes().first(size));
    send(kResultCode, 0, wrong.bytes().first(size));
  }
  send(kResultCode, 0, wrong.bytes());  // Waits for an answer.
  send(kResultCode, kTfOneWay, unknown.bytes());
  send(kResultCode, kTfOneWay, other.bytes());
  send(kResultCode + 1, kTfOneWay, wrong.bytes());
  // One-ways of a node come in order: all of these had come before this one.
  send(kResultCode, kTfOneWay, right.bytes());
  EXPECT_EQ(future.Get().value(), "x!");
  EXPECT_EQ(client.pending_calls(), 0u);
  // Once is enough.
  send(kResultCode, kTfOneWay, right.bytes());
  EXPECT_EQ(raw.thread().FreeBuffer(call.transaction.buffer), Errc::kOk);
}

}  // namespace
}  // namespace binderlite::testing
