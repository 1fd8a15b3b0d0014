// SPDX-License-Identifier: Apache-2.0
//
// DriverTest: the fixture of behaviour tests, typed over the four locking
// disciplines. Its Actors take steps one after the other in the test's own
// thread, on non-blocking Procs; a Blocked is the one way to have a call wait
// in a thread of its own. The state's invariants are checked after each step,
// and at the end of each test everything must be gone.
//
//   template <class L> class TransactTest : public DriverTest<L> {};
//   BINDERLITE_FOR_ALL_DISCIPLINES(TransactTest);
//   TYPED_TEST(TransactTest, Echo) {
//     auto [service, client] = this->Connected();
//     ...

#ifndef BINDERLITE_TESTS_SUPPORT_DRIVER_TEST_H_
#define BINDERLITE_TESTS_SUPPORT_DRIVER_TEST_H_

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "binderlite/debug/invariants.h"
#include "binderlite/debug/json.h"
#include "binderlite/debug/snapshot.h"
#include "binderlite/driver/driver.h"
#include "binderlite/wire/errc.h"
#include "support/disciplines.h"
#include "support/faulty_memory.h"
#include "support/gates.h"
#include "support/streams.h"

namespace binderlite {

inline void PrintTo(Errc error, std::ostream* out) { *out << ToString(error); }

}  // namespace binderlite

namespace binderlite::testing {

// What one WriteRead did.
struct Result {
  Errc error = Errc::kOk;
  std::uint64_t write_size = 0;
  std::uint64_t write_consumed = 0;
  std::uint64_t read_consumed = 0;
  std::vector<Received> received;
  std::vector<std::byte> read_buffer;  // All of it, also what is not consumed.

  [[nodiscard]] std::vector<Br> codes() const { return Codes(received); }
  // The first command with this code; a default one, and a failure, otherwise.
  [[nodiscard]] Received Get(Br code) const {
    for (const Received& r : received) {
      if (r.br == code) return r;
    }
    ADD_FAILURE() << "no " << ToString(code) << " in what was read";
    return {};
  }
  [[nodiscard]] bool Has(Br code) const {
    for (const Received& r : received) {
      if (r.br == code) return true;
    }
    return false;
  }
};

inline constexpr std::size_t kReadSize = 4096;

// One call on `thread`, with buffers of its own.
template <class L>
Result RunWriteRead(BasicThread<L>& thread, const Commands& commands,
                    std::size_t read_size, std::stop_token stop = {},
                    TimePoint deadline = kNoDeadline) {
  std::vector<std::byte> buffer(read_size == 0 ? 1 : read_size);
  WriteRead args = {};
  args.write_size = commands.bytes().size();
  args.write_buffer = AddressOf(commands.bytes().data());
  args.read_size = read_size;
  args.read_buffer = AddressOf(buffer.data());
  Result result;
  result.error = thread.WriteRead(args, std::move(stop), deadline);
  result.write_size = args.write_size;
  result.write_consumed = args.write_consumed;
  result.read_consumed = args.read_consumed;
  if (result.error == Errc::kOk) {
    auto parsed = Parse(
        std::span(buffer).first(static_cast<std::size_t>(args.read_consumed)));
    EXPECT_TRUE(parsed.has_value()) << "unparsable read buffer";
    if (parsed.has_value()) result.received = std::move(*parsed);
  }
  result.read_buffer = std::move(buffer);
  return result;
}

// A thread of a Peer, driven step by step.
template <class L>
class Actor {
 public:
  Actor(BasicContext<L>& context, BasicThread<L> thread)
      : context_(&context), thread_(std::move(thread)) {}

  [[nodiscard]] BasicThread<L>& thread() { return thread_; }
  [[nodiscard]] std::int32_t tid() const { return thread_.tid(); }

  // Writes, then reads without waiting. kWouldBlock when nothing was read.
  Result Do(const Commands& commands, std::size_t read_size = kReadSize) {
    Result result = RunWriteRead(thread_, commands, read_size);
    Check();
    return result;
  }
  // Writes only; everything must be consumed without an error.
  void Write(const Commands& commands) {
    const Result result = Do(commands, 0);
    EXPECT_EQ(result.error, Errc::kOk);
    EXPECT_EQ(result.write_consumed, result.write_size);
  }
  // Reads only.
  Result Read(std::size_t read_size = kReadSize) {
    return Do(Commands(), read_size);
  }
  // The codes of one read without the leading BR_NOOP; empty when there is
  // nothing to read.
  std::vector<Br> ReadCodes() {
    std::vector<Br> codes = Read().codes();
    if (!codes.empty() && codes.front() == Br::BR_NOOP) {
      codes.erase(codes.begin());
    }
    return codes;
  }
  // Reads until there is nothing more, and returns everything but BR_NOOPs.
  std::vector<Received> ReadAll() {
    std::vector<Received> all;
    for (;;) {
      const Result result = Read();
      if (result.error != Errc::kOk) return all;
      bool any = false;
      for (const Received& r : result.received) {
        if (r.br == Br::BR_NOOP) continue;
        any = true;
        all.push_back(r);
      }
      if (!any) return all;
    }
  }
  // GET_EXTENDED_ERROR as {command, param}.
  std::pair<Br, std::int32_t> TakeError() {
    ExtendedError error = {};
    EXPECT_EQ(thread_.GetExtendedError(error), Errc::kOk);
    return {static_cast<Br>(error.command), error.param};
  }

  void Check() {
    const std::vector<std::string> wrong =
        debug::CheckInvariants(debug::TakeSnapshot(*context_));
    for (const std::string& what : wrong) ADD_FAILURE() << what;
  }

 private:
  BasicContext<L>* context_;
  BasicThread<L> thread_;
};

// A Proc with its first thread, which has used up its first free read.
template <class L>
class Peer : public Actor<L> {
 public:
  Peer(BasicContext<L>& context, BasicProc<L> opened)
      : Actor<L>(context, opened.Attach()),
        proc_(std::move(opened)),
        context_(context) {
    std::int32_t version = 0;
    EXPECT_EQ(this->thread().Version(version), Errc::kOk);
  }

  [[nodiscard]] BasicProc<L>& proc() { return proc_; }
  [[nodiscard]] std::int32_t pid() const { return proc_.pid(); }

  // One more thread; fresh: it has not made any call.
  Actor<L> Fresh() { return Actor<L>(context_, proc_.Attach()); }
  // One more thread that has used up its first free read.
  Actor<L> Spawn() {
    Actor<L> actor = Fresh();
    std::int32_t version = 0;
    EXPECT_EQ(actor.thread().Version(version), Errc::kOk);
    return actor;
  }

 private:
  BasicProc<L> proc_;
  BasicContext<L>& context_;
};

// One WriteRead that waits, in a thread of its own. When it is woken it stops
// before it looks at anything, and goes on in Join: what the test does
// meanwhile comes first, and finds the state at rest.
template <class L>
class Blocked {
 public:
  // Returns once the call is on the waiting list and about to sleep. The Proc
  // is made blocking for that moment; the call keeps on waiting when it is not
  // any more. It must have nothing to read.
  Blocked(GateHooks& gates, BasicProc<L>& proc, BasicThread<L>& thread,
          Commands commands = {}, std::stop_token stop = {},
          TimePoint deadline = kNoDeadline)
      : gates_(gates), tid_(thread.tid()), commands_(std::move(commands)) {
    const int before = gates.Visits(Point::kParking, thread.tid());
    gates.Close(Point::kWoken, tid_);
    proc.SetNonblocking(false);
    runner_ = std::jthread([this, &thread, stop, deadline] {
      result_ = RunWriteRead(thread, commands_, kReadSize, stop, deadline);
    });
    gates.WaitFor(Point::kParking, thread.tid(), before + 1);
    proc.SetNonblocking(true);
  }

  ~Blocked() { GoOn(); }

  // From now on it goes on by itself once it is woken.
  void GoOn() { gates_.Open(Point::kWoken, tid_); }

  // Waits for the end of the call, which something must have brought about.
  Result Join() {
    GoOn();
    runner_.join();
    return std::move(result_);
  }

 private:
  GateHooks& gates_;
  const std::int32_t tid_;
  Commands commands_;
  Result result_;
  std::jthread runner_;
};

template <class L>
class DriverTest : public ::testing::Test {
 public:
  // A cycle in the lock order ends the test (rule L6).
  static void SetUpTestSuite() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kAbort);
  }

 protected:
  // What is not to be the default of the Context; its hooks are the gates.
  explicit DriverTest(ContextOptions options = {}) {
    options.hooks = &gates_;
    context_.emplace(std::move(options));
    state_ = core::Pin<core::Context<L>>(&context_->state());
  }

  ~DriverTest() override {
    peers_.clear();
    context_.reset();
    for (std::size_t i = 0; i < core::kObjectKinds; ++i) {
      const auto kind = static_cast<core::ObjectKind>(i);
      EXPECT_EQ(state_->counts.live(kind), 0u)
          << "leaked: " << core::ToString(kind);
    }
  }

  [[nodiscard]] BasicContext<L>& context() { return *context_; }
  [[nodiscard]] GateHooks& gates() { return gates_; }
  // For ProcOptions::memory: outlives every Proc.
  [[nodiscard]] FaultyMemory& memory() { return memory_; }

  // A non-blocking Proc, kept until the end of the test (or Forget).
  Peer<L>& Open(ProcOptions options = {}) {
    options.nonblocking = true;
    return peers_.emplace_back(*context_, context_->Open(std::move(options)));
  }

  // A Proc that is context manager.
  Peer<L>& OpenManager(ProcOptions options = {}) {
    Peer<L>& manager = Open(std::move(options));
    EXPECT_EQ(manager.thread().SetContextMgr(), Errc::kOk);
    return manager;
  }

  // Gives `holder` a strong handle to the node (ptr, cookie) of `owner`, which
  // acknowledges it: nothing of that is left in any queue. Needs a manager
  // that is neither of the two... or `owner` or `holder` may be the manager.
  std::uint32_t Give(Peer<L>& manager, Peer<L>& owner, Peer<L>& holder,
                     std::uint64_t ptr, std::uint64_t cookie,
                     std::uint32_t flags = 0) {
    // The holder asks the manager, or the owner tells the manager; whichever
    // way, the handle travels in synchronous calls over handle 0.
    Payload object;
    object.Binder(ptr, cookie, ObjectType::kBinder, flags);
    std::uint32_t at_manager = 0;
    if (&owner != &manager) {
      owner.Write(Commands().Transact(0, object));
      const Received call = manager.Read().Get(Br::BR_TRANSACTION);
      at_manager = call.object(0).handle;
      if (&holder == &manager) {
        // Takes a count of its own before the buffer's goes.
        manager.Write(Commands().Acquire(at_manager));
      }
      Payload none;
      if (&holder != &manager) {
        manager.Write(Commands().Acquire(at_manager));
      }
      manager.Write(Commands().Free(call.tr.buffer).Reply(none));
      Settle(owner);
      Settle(manager);
      if (&holder == &manager) return at_manager;
    }
    Payload none;
    holder.Write(Commands().Transact(0, none));
    const Received asked = manager.Read().Get(Br::BR_TRANSACTION);
    Payload answer;
    if (&owner == &manager) {
      answer.Binder(ptr, cookie, ObjectType::kBinder, flags);
    } else {
      answer.Handle(at_manager);
    }
    manager.Write(Commands().Free(asked.tr.buffer).Reply(answer));
    std::uint32_t handle = 0;
    for (const Received& r : holder.ReadAll()) {
      if (r.br != Br::BR_REPLY) continue;
      handle = r.object(0).handle;
      holder.Write(Commands().Acquire(handle).Free(r.tr.buffer));
    }
    if (&owner != &manager) manager.Write(Commands().Release(at_manager));
    Settle(manager);
    Settle(owner);
    EXPECT_NE(handle, 0u);
    return handle;
  }

  // Reads everything, frees buffers, acknowledges what can be acknowledged.
  void Settle(Actor<L>& actor) {
    for (const Received& r : actor.ReadAll()) {
      switch (r.br) {
        case Br::BR_INCREFS:
          actor.Write(Commands().IncRefsDone(r.ptr, r.cookie));
          break;
        case Br::BR_ACQUIRE:
          actor.Write(Commands().AcquireDone(r.ptr, r.cookie));
          break;
        case Br::BR_REPLY:
          actor.Write(Commands().Free(r.tr.buffer));
          break;
        default:
          break;
      }
    }
  }

  // A service with one node (ptr 0x1000, cookie 0x2000) and a client with a
  // strong handle to it; the manager stays out of the way.
  struct Pair {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
  };
  static constexpr std::uint64_t kPtr = 0x1000;
  static constexpr std::uint64_t kCookie = 0x2000;
  Pair Connected(std::uint32_t node_flags = 0) {
    Peer<L>& manager = OpenManager({.name = "manager"});
    Peer<L>& service = Open({.name = "service"});
    Peer<L>& client = Open({.name = "client"});
    const std::uint32_t handle =
        Give(manager, service, client, kPtr, kCookie, node_flags);
    return {manager, service, client, handle};
  }

  // Has `actor` wait in a call of its own thread; see Blocked.
  std::unique_ptr<Blocked<L>> Block(Peer<L>& peer, Actor<L>& actor,
                                    Commands commands = {},
                                    std::stop_token stop = {},
                                    TimePoint deadline = kNoDeadline) {
    return std::make_unique<Blocked<L>>(gates_, peer.proc(), actor.thread(),
                                        std::move(commands), std::move(stop),
                                        deadline);
  }

  // Has `actor` run a transaction or reply that fails at once: it reads
  // `before`, then `code`, and the extended error is {code, -why}.
  void ExpectFails(Actor<L>& actor, const Commands& commands, Br code, Errc why,
                   std::vector<Br> before = {}) {
    before.push_back(code);
    actor.Write(commands);
    EXPECT_EQ(actor.ReadCodes(), before);
    EXPECT_EQ(actor.TakeError(),
              (std::pair{code, -static_cast<std::int32_t>(why)}));
  }

  // The state without what has been: counts of commands, and the logs.
  [[nodiscard]] debug::Snapshot Present() {
    debug::Snapshot snapshot = Snapshot();
    snapshot.commands = {};
    snapshot.log.clear();
    snapshot.failed_log.clear();
    for (debug::ProcSnapshot& proc : snapshot.procs) proc.commands = {};
    return snapshot;
  }
  // It as text, to compare: without how many objects there have been in all.
  [[nodiscard]] std::string State() {
    debug::Snapshot snapshot = Present();
    for (debug::CountSnapshot& count : snapshot.counts) {
      count = {count.created - count.deleted, 0};
    }
    return debug::ToJson(snapshot);
  }

  // Closes the peer's Proc now; its object stays.
  void Close(Peer<L>& peer) {
    peer.proc().Close();
    peer.Check();
  }

  [[nodiscard]] debug::Snapshot Snapshot() {
    return debug::TakeSnapshot(*context_);
  }
  [[nodiscard]] debug::ProcSnapshot SnapshotOf(Peer<L>& peer) {
    for (const debug::ProcSnapshot& proc : Snapshot().procs) {
      if (proc.id == peer.proc().state().id) return proc;
    }
    return {};
  }

  // The driver's record of `actor`, a thread of `peer`; a default one, and a
  // failure, when it has none.
  [[nodiscard]] debug::ThreadSnapshot ThreadOf(Peer<L>& peer,
                                               const Actor<L>& actor) {
    for (const debug::ThreadSnapshot& thread : SnapshotOf(peer).threads) {
      if (thread.tid == actor.tid()) return thread;
    }
    ADD_FAILURE() << "no record of thread " << actor.tid();
    return {};
  }

 private:
  GateHooks gates_;
  FaultyMemory memory_;
  std::optional<BasicContext<L>> context_;
  core::Pin<core::Context<L>> state_;
  std::deque<Peer<L>> peers_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_DRIVER_TEST_H_
