// SPDX-License-Identifier: Apache-2.0
//
// Calls within calls: which thread they go to, and who is told when somebody in
// the middle dies.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/driver/stack.h"
#include "support/call_test.h"

namespace binderlite::testing {
namespace {

template <class L>
class NestingTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(NestingTest);

using NestingRaceTest = RaceTest;

// Rows: TX-13 TX-17
TYPED_TEST(NestingTest, NestedCallComesBackToTheCaller) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  // c calls a, a calls b, b calls c: that is for the thread that began, though
  // another one of c waits for work.
  Actor<TypeParam> idle = c.Spawn();
  auto waiting = this->Block(c, idle);
  c.Write(Commands().Transact(to_a, {}, 1));
  const Received at_a = this->Receive(a);
  a.Write(Commands().Transact(to_b, {}, 2));
  const Received at_b = this->Receive(b);
  b.Write(Commands().Transact(to_c, {}, 3));
  EXPECT_EQ(
      this->ThreadOf(c, c).todo,
      (std::vector{WorkType::kTransactionComplete, WorkType::kTransaction}));
  const Result back = c.Read();
  EXPECT_EQ(back.codes(), (BrList{kNoop, kComplete, kTransaction}));
  EXPECT_EQ(back.Get(kTransaction).tr.code, 3u);

  this->Answer(c, back.Get(kTransaction), 30);
  this->ExpectReply(b, 30);
  this->Answer(b, at_b, 20);
  this->ExpectReply(a, 20);
  this->Answer(a, at_a, 10);
  this->ExpectReply(c, 10, {});
  c.proc().Flush();
  EXPECT_EQ(waiting->Join().codes(), BrList{kNoop});
}

// Rows: TX-13
TYPED_TEST(NestingTest, NestedCallWakesTheCallerThatWaits) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  Actor<TypeParam> caller = c.Spawn();
  auto waiting = this->Block(c, caller, Commands().Transact(to_a));
  // The last one to wait would be the first to get work of the Proc.
  Actor<TypeParam> idle = c.Spawn();
  auto idling = this->Block(c, idle);
  (void)this->Receive(a);
  a.Write(Commands().Transact(to_b));
  (void)this->Receive(b);
  this->HoldWhile(caller, [&b = b, to_c = to_c] {
    b.Write(Commands().Transact(to_c, {}, 3));
  });
  const Result back = waiting->Join();
  EXPECT_EQ(back.codes(), (BrList{kNoop, kComplete, kTransaction}));
  EXPECT_EQ(back.Get(kTransaction).tr.code, 3u);
  c.proc().Flush();
  EXPECT_EQ(idling->Join().codes(), BrList{kNoop});
}

// Rows: TX-13 TX-17
TYPED_TEST(NestingTest, DeepRecursionStaysOnThreeThreads) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  const std::array<Peer<TypeParam>*, 3> peers = {&c, &a, &b};
  const std::array<std::uint32_t, 3> handles = {to_a, to_b, to_c};
  std::list<Actor<TypeParam>> idle;
  std::vector<std::unique_ptr<Blocked<TypeParam>>> idling;
  std::vector<Received> calls;
  constexpr std::uint32_t kDepth = 30;
  for (std::uint32_t depth = 0; depth < kDepth; ++depth) {
    Peer<TypeParam>& from = *peers[depth % 3];
    Peer<TypeParam>& to = *peers[(depth + 1) % 3];
    from.Write(Commands().Transact(handles[depth % 3], {}, depth));
    const Result result = to.Read();
    // From the third call on `to` has one of its own outstanding.
    EXPECT_EQ(result.codes(), depth < 2
                                  ? (BrList{kNoop, kTransaction})
                                  : (BrList{kNoop, kComplete, kTransaction}));
    calls.push_back(result.Get(kTransaction));
    EXPECT_EQ(calls.back().tr.code, depth);
    // Once its first call is read, each Proc has somebody else who waits.
    if (depth < 3) {
      idling.push_back(this->Block(to, idle.emplace_back(to.Spawn())));
    }
  }
  for (std::uint32_t depth = kDepth; depth-- > 0;) {
    this->Answer(*peers[(depth + 1) % 3], calls[depth], depth);
    // The completions of the last two calls have not been read yet.
    this->ExpectReply(*peers[depth % 3], depth,
                      depth + 2 < kDepth ? BrList{} : BrList{kComplete});
  }
  for (Peer<TypeParam>* peer : peers) peer->proc().Flush();
  for (auto& blocked : idling) {
    EXPECT_EQ(blocked->Join().codes(), BrList{kNoop});
  }
}

// Rows: TX-13
TYPED_TEST(NestingTest, ChainsSideBySideDoNotMix) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  struct Chain {
    Actor<TypeParam> c;
    Actor<TypeParam> a;
    Actor<TypeParam> b;
    Received at_a = {};
    Received at_b = {};
  };
  std::list<Chain> chains;
  for (std::uint32_t i = 0; i < 4; ++i) {
    Chain& chain = chains.emplace_back(
        Chain{.c = c.Spawn(), .a = a.Spawn(), .b = b.Spawn()});
    chain.c.Write(Commands().Transact(to_a, {}, i));
    chain.at_a = this->Receive(chain.a);
    chain.a.Write(Commands().Transact(to_b, {}, i));
    chain.at_b = this->Receive(chain.b);
  }
  // The nested calls, in another order than the chains began.
  for (std::uint32_t i = 4; i-- > 0;) {
    std::next(chains.begin(), i)->b.Write(Commands().Transact(to_c, {}, i));
  }
  this->ExpectNothing(c);
  std::uint32_t number = 0;
  for (Chain& chain : chains) {
    const Result back = chain.c.Read();
    EXPECT_EQ(back.codes(), (BrList{kNoop, kComplete, kTransaction}));
    EXPECT_EQ(back.Get(kTransaction).tr.code, number++);
    this->Answer(chain.c, back.Get(kTransaction));
    this->ExpectReply(chain.b, 0);
    this->Answer(chain.b, chain.at_b);
    this->ExpectReply(chain.a, 0);
    this->Answer(chain.a, chain.at_a);
    this->ExpectReply(chain.c, 0, {});
  }
}

// Rows: TX-14
TYPED_TEST(NestingTest, NestedOneWayIsNotSteered) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  c.Write(Commands().Transact(to_a));
  const Received at_a = this->Receive(a);
  a.Write(Commands().Transact(to_b));
  const Received at_b = this->Receive(b);
  b.Write(Commands().OneWay(to_c, {}, 1).OneWay(to_c, {}, 2));
  EXPECT_EQ(this->SnapshotOf(c).todo, std::vector{WorkType::kTransaction});
  EXPECT_EQ(this->NodeOf(c, 0xc0).waiting_one_ways, 1u);
  this->ExpectNothing(c);  // It waits for a reply.
  Actor<TypeParam> other = c.Spawn();
  const Received first = this->Receive(other);
  EXPECT_EQ(first.tr.code, 1u);
  EXPECT_TRUE(this->ThreadOf(c, other).stack.empty());
  EXPECT_EQ(b.ReadCodes(), (BrList{kComplete, kComplete}));
  this->Answer(b, at_b);
  this->ExpectReply(a, 0);
  this->Answer(a, at_a);
  this->ExpectReply(c, 0);
}

// Rows: TX-15
TYPED_TEST(NestingTest, CallerThatHasExitedIsNotSteeredTo) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  Actor<TypeParam> caller = c.Spawn();
  caller.Write(Commands().Transact(to_a));
  (void)this->Receive(a);
  a.Write(Commands().Transact(to_b));
  (void)this->Receive(b);
  EXPECT_EQ(caller.thread().ThreadExit(), Errc::kOk);
  b.Write(Commands().Transact(to_c, {}, 3));
  EXPECT_EQ(this->SnapshotOf(c).todo, std::vector{WorkType::kTransaction});
  const Received nested = this->Receive(c);
  EXPECT_EQ(nested.tr.code, 3u);
  this->Answer(c, nested, 4);
  this->ExpectReply(b, 4);
}

// Rows: TX-15
TYPED_TEST(NestingTest, AnAncestorFurtherUpIsFoundBehindOneThatHasExited) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  c.Write(Commands().Transact(to_a, {}, 1));
  (void)this->Receive(a);
  a.Write(Commands().Transact(to_b, {}, 2));
  (void)this->Receive(b);
  b.Write(Commands().Transact(to_c, {}, 3));
  (void)this->Receive(c);
  // b's thread goes; behind it in the chain, a's is still found.
  EXPECT_EQ(b.thread().ThreadExit(), Errc::kOk);
  Actor<TypeParam> idle = a.Spawn();
  auto idling = this->Block(a, idle);
  c.Write(Commands().Transact(to_a, {}, 4));
  const Result back = a.Read();
  EXPECT_EQ(back.codes(), (BrList{kNoop, kComplete, kTransaction}));
  EXPECT_EQ(back.Get(kTransaction).tr.code, 4u);
  a.proc().Flush();
  EXPECT_EQ(idling->Join().codes(), BrList{kNoop});
}

// Rows: TX-16
TEST_F(NestingRaceTest, SteeredThreadExitsBeforeItsCallIsQueued) {
  auto [a, b, c, to_a, to_b, to_c] = MakeRing();
  c.Write(Commands().Transact(to_a));
  (void)Receive(a);
  a.Write(Commands().Transact(to_b));
  const Received call = Receive(b);
  const std::size_t buffers = SnapshotOf(c).buffers;
  const Result result = AtSending(b, Commands().Transact(to_c), [&c = c] {
    EXPECT_EQ(c.thread().ThreadExit(), Errc::kOk);
  });
  EXPECT_EQ(result.codes(), (BrList{kNoop, kDead}));
  EXPECT_EQ(b.TakeError(), (std::pair{kDead, 0}));
  EXPECT_EQ(SnapshotOf(c).buffers, buffers);
  EXPECT_EQ(ThreadOf(b, b).stack.size(), 1u);
  Answer(b, call);
  ExpectReply(a, 0);
}

// --- Deaths -----------------------------------------------------------------

// A chain of nested calls of four parties, each a Proc: 0 called 1, which
// called 2, which called 3. Parties die; the call in whose hands the chain is
// fails over to the nearest caller that lives.
template <class L>
class ChainTest : public CallTest<L> {
 protected:
  static constexpr std::size_t kParties = 4;
  static constexpr std::size_t kNobody = kParties;
  struct Death {
    std::size_t party;
    bool closes;  // Its Proc; only its thread otherwise.
  };

  // Plays one scenario: the chain, the deaths one after the other, then the
  // survivors answer. The last call has been read by party 3, or has not.
  void Play(const std::vector<Death>& deaths, bool read) {
    Begin(read);
    for (const Death& death : deaths) Die(death);
    while (at_hand_ != 0 && at_hand_ != kNobody) {
      if (at_hand_ == kParties - 1 && !read) {
        calls_[kParties - 1] = this->Receive(*parties_[kParties - 1]);
        read = true;
      }
      Finish();
    }
    for (std::size_t i = 0; i < kParties; ++i) {
      if (alive_[i]) {
        EXPECT_TRUE(this->ThreadOf(*parties_[i], *parties_[i]).stack.empty());
        this->Close(*parties_[i]);
      }
    }
    // Parties whose thread has exited.
    for (Peer<L>* party : parties_) this->Close(*party);
  }

 private:
  void Begin(bool read) {
    if (manager_ == nullptr) manager_ = &this->OpenManager();
    for (std::size_t i = 0; i < kParties; ++i) {
      parties_[i] = &this->Open();
      alive_[i] = true;
    }
    at_hand_ = kParties - 1;
    for (std::size_t i = 0; i + 1 < kParties; ++i) {
      const std::uint32_t handle =
          this->Give(*manager_, *parties_[i + 1], *parties_[i], 1, 2);
      handles_[i] = handle;
    }
    for (std::size_t i = 0; i + 1 < kParties; ++i) {
      parties_[i]->Write(Commands().Transact(handles_[i]));
      if (i + 2 < kParties || read) {
        calls_[i + 1] = this->Receive(*parties_[i + 1]);
      }
    }
  }

  // The nearest party above `party` that lives.
  [[nodiscard]] std::size_t AliveAbove(std::size_t party) const {
    while (party-- > 0) {
      if (alive_[party]) return party;
    }
    return kNobody;
  }

  void Die(const Death& death) {
    Peer<L>& party = *parties_[death.party];
    const bool had_it = death.party == at_hand_;
    alive_[death.party] = false;
    if (death.closes) {
      this->Close(party);
    } else {
      EXPECT_EQ(party.thread().ThreadExit(), Errc::kOk);
      party.Check();
    }
    if (had_it) PassOn(kDead);
    ExpectQuiet();
  }

  // The party at hand answers.
  void Finish() {
    const std::size_t replier = at_hand_;
    this->Answer(*parties_[replier], calls_[replier]);
    PassOn(alive_[replier - 1] ? kReply : kDead);
    ExpectQuiet();
  }

  // The call at hand is over: the nearest living caller hears of it.
  void PassOn(Br code) {
    at_hand_ = AliveAbove(at_hand_);
    if (at_hand_ == kNobody) return;
    Peer<L>& told = *parties_[at_hand_];
    EXPECT_EQ(told.ReadCodes(), (BrList{kComplete, code}));
    EXPECT_EQ(told.TakeError(), kNoError);
  }

  // Nobody else who lives hears of it; only that handles are gone.
  void ExpectQuiet() {
    for (std::size_t i = 0; i < kParties; ++i) {
      if (i == kParties - 1 && at_hand_ == i) continue;  // Maybe unread.
      if (!alive_[i]) continue;
      for (const Received& r : parties_[i]->ReadAll()) {
        EXPECT_TRUE(r.br == Br::BR_RELEASE || r.br == Br::BR_DECREFS)
            << ToString(r.br);
      }
    }
  }

  Peer<L>* manager_ = nullptr;
  std::array<Peer<L>*, kParties> parties_ = {};
  std::array<bool, kParties> alive_ = {};
  std::array<std::uint32_t, kParties> handles_ = {};
  std::array<Received, kParties> calls_ = {};
  // Whose turn it is; 0: the first caller has its answer.
  std::size_t at_hand_ = 0;
};
BINDERLITE_FOR_ALL_DISCIPLINES(ChainTest);

// Every set of parties, in every order; the threads exit, the Procs close, or
// some do this and some that.
// Rows: TX-22 TX-23
TYPED_TEST(ChainTest, WhoeverDiesTheNearestLivingCallerIsTold) {
  for (unsigned set = 0; set < 1u << this->kParties; ++set) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < this->kParties; ++i) {
      if ((set >> i & 1u) != 0) order.push_back(i);
    }
    do {
      const unsigned all = (1u << order.size()) - 1;
      for (unsigned how = 0; how <= all; ++how) {
        const bool mixed = how != 0 && how != all;
        if (order.size() > 2 && mixed && how != (all & 5u)) continue;
        std::vector<typename TestFixture::Death> deaths;
        bool last_exits = false;
        std::string what;
        for (std::size_t i = 0; i < order.size(); ++i) {
          const bool closes = (how >> i & 1u) != 0;
          deaths.push_back({order[i], closes});
          last_exits |= order[i] == this->kParties - 1 && !closes;
          what += std::to_string(order[i]) + (closes ? " closes " : " exits ");
        }
        for (const bool read : {true, false}) {
          // A thread that has read nothing is not the one that dies with it.
          if (!read && last_exits) continue;
          SCOPED_TRACE(what + (read ? "(read)" : "(unread)"));
          this->Play(deaths, read);
          if (this->HasFailure()) return;
        }
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

// --- Many threads -----------------------------------------------------------

// A thread that serves calls until it is told to stop. A call carries how deep
// the recursion is to go and who began it; while it goes deeper, it is passed
// on to the next Proc.
template <class L>
class Server {
 public:
  struct Message {
    std::uint32_t depth;
    std::uint32_t chain;
  };

  Server(Actor<L> actor, std::uint32_t next)
      : actor_(std::move(actor)), next_(next) {}

  void Start() {
    runner_ = std::jthread([this](const std::stop_token& stop) {
      Commands commands;
      commands.EnterLooper();
      while (ReadOn(std::exchange(commands, {}), stop)) {
        for (const Received& r : std::exchange(received_, {})) {
          if (r.br == kTransaction) Serve(r, stop);
        }
      }
    });
  }

  // Begins a chain and sees it through; true if everything came back right.
  [[nodiscard]] bool Begin(Message message, const std::stop_token& stop) {
    return Call(message, stop);
  }
  // How often something was not as it should be.
  [[nodiscard]] int wrong() const { return wrong_; }
  void Stop() { runner_ = {}; }

 private:
  bool ReadOn(const Commands& commands, const std::stop_token& stop) {
    Result result = RunWriteRead(actor_.thread(), commands, kReadSize, stop);
    received_ = std::move(result.received);
    return result.error == Errc::kOk;
  }

  static Message MessageOf(const Received& r) {
    Message message = {};
    if (r.tr.data_size == sizeof(message)) {
      std::memcpy(&message, reinterpret_cast<const void*>(r.tr.buffer),
                  sizeof(message));
    }
    return message;
  }

  // Calls the next Proc, and serves what comes back until the reply comes.
  bool Call(Message message, const std::stop_token& stop) {
    Payload payload;
    payload.Bytes(&message, sizeof(message));
    Commands commands;
    commands.Transact(next_, payload);
    for (;;) {
      if (!ReadOn(std::exchange(commands, {}), stop)) return false;
      for (const Received& r : std::exchange(received_, {})) {
        if (r.br == kTransaction) {
          // Only its own chain may come to a thread that waits for a reply.
          if (MessageOf(r).chain != message.chain) ++wrong_;
          Serve(r, stop);
        } else if (r.br == kReply) {
          const Message answer = MessageOf(r);
          free_.Free(r.tr.buffer);
          return answer.chain == message.chain && answer.depth == message.depth;
        } else if (r.br != kNoop && r.br != kComplete) {
          ++wrong_;
          return false;
        }
      }
    }
  }

  void Serve(const Received& call, const std::stop_token& stop) {
    const Message message = MessageOf(call);
    if (message.depth > 0 && !Call({message.depth - 1, message.chain}, stop)) {
      ++wrong_;
    }
    Payload payload;
    payload.Bytes(&message, sizeof(message));
    Commands commands = std::exchange(free_, {});
    commands.Free(call.tr.buffer).Reply(payload);
    const Result result = RunWriteRead(actor_.thread(), commands, 0, stop);
    if (result.error != Errc::kOk) ++wrong_;
  }

  Actor<L> actor_;
  const std::uint32_t next_;
  std::vector<Received> received_;
  Commands free_;
  int wrong_ = 0;
  std::jthread runner_;
};

// Chains c -> a -> b -> c -> ..., as many at once as there are threads in each
// Proc. Were one steered to a thread of another chain, or to an idle one of the
// Procs it has been through, a message would come to the wrong thread, or the
// pool would run dry.
// Rows: TX-13 TX-17
TYPED_TEST(NestingTest, ParallelChainsOverManyThreads) {
  auto [a, b, c, to_a, to_b, to_c] = this->MakeRing();
  constexpr std::uint32_t kChains = 4;
  constexpr std::uint32_t kRounds = 25;
  constexpr std::uint32_t kDeep = 12;
  std::list<Server<TypeParam>> servers;
  std::list<Server<TypeParam>> callers;
  for (std::uint32_t i = 0; i < kChains; ++i) {
    servers.emplace_back(a.Spawn(), to_b);
    servers.emplace_back(b.Spawn(), to_c);
    callers.emplace_back(c.Spawn(), to_a);
  }
  for (Peer<TypeParam>* peer : {&a, &b, &c}) {
    peer->proc().SetNonblocking(false);
  }
  for (Server<TypeParam>& server : servers) server.Start();
  std::array<std::uint32_t, kChains> good = {};
  {
    std::vector<std::jthread> runners;
    std::uint32_t chain = 0;
    for (Server<TypeParam>& caller : callers) {
      runners.emplace_back([&caller, &right = good[chain], chain] {
        for (std::uint32_t round = 0; round < kRounds; ++round) {
          if (caller.Begin({round % kDeep, chain}, {})) ++right;
        }
      });
      ++chain;
    }
  }
  for (const std::uint32_t rounds : good) EXPECT_EQ(rounds, kRounds);
  for (Server<TypeParam>& server : servers) server.Stop();
  for (Server<TypeParam>& server : servers) EXPECT_EQ(server.wrong(), 0);
  for (Server<TypeParam>& caller : callers) EXPECT_EQ(caller.wrong(), 0);
  for (Peer<TypeParam>* peer : {&a, &b, &c}) {
    peer->proc().SetNonblocking(true);
    EXPECT_EQ(this->SnapshotOf(*peer).outstanding, 0);
    peer->Check();
  }
}

}  // namespace
}  // namespace binderlite::testing
