// SPDX-License-Identifier: Apache-2.0
//
// Whole-driver stories under the stepped scheduler: the races that binder's
// history is made of, each in many schedules, under each discipline. A failure
// prints the schedule; set ExploreOptions::replay to it to see it again.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "binderlite/sync/stepped_primitives.h"
#include "support/driver_test.h"
#include "support/stepped_driver.h"

namespace binderlite::testing {
namespace {

using sync::SteppedPrimitives;
using sync::SteppedScheduler;

template <class L>
class SteppedDriverTest : public StoryTest<L> {};
BINDERLITE_FOR_ALL_STEPPED_DISCIPLINES(SteppedDriverTest);

// --- What actors do --------------------------------------------------------

// What became of a looper.
struct Served {
  int transactions = 0;
  std::uint64_t unfreed = 0;  // A buffer that it was not able to free.
  Errc end = Errc::kOk;
};

// Reads, frees, replies and acknowledges until the thread is killed or its Proc
// closed.
template <class L>
Served Serve(BasicThread<L>& thread) {
  Served served;
  Commands commands;
  commands.EnterLooper();
  for (;;) {
    const Result result = RunWriteRead(thread, commands, kReadSize);
    if (result.write_consumed > 0) served.unfreed = 0;
    if (result.error == Errc::kKilled || result.error == Errc::kClosed) {
      served.end = result.error;
      return served;
    }
    commands = Commands();
    for (const Received& r : result.received) {
      switch (r.br) {
        case Br::BR_TRANSACTION:
          ++served.transactions;
          served.unfreed = r.tr.buffer;
          commands.Free(r.tr.buffer);
          if ((r.tr.flags & kTfOneWay) == 0) commands.Reply();
          break;
        case Br::BR_INCREFS:
          commands.IncRefsDone(r.ptr, r.cookie);
          break;
        case Br::BR_ACQUIRE:
          commands.AcquireDone(r.ptr, r.cookie);
          break;
        case Br::BR_DEAD_BINDER:
          commands.DeadDone(r.cookie);
          break;
        default:
          break;
      }
    }
  }
}

// How a call ended: with BR_REPLY, BR_DEAD_REPLY or BR_FAILED_REPLY, or, if
// `error` is set, not at all.
struct Answer {
  Errc error = Errc::kOk;
  Br br = Br::BR_NOOP;
};

template <class L>
Answer CallAndWait(BasicThread<L>& thread, std::uint32_t handle) {
  Commands commands;
  commands.Transact(handle);
  for (;;) {
    const Result result = RunWriteRead(thread, commands, kReadSize);
    if (result.error != Errc::kOk) return {.error = result.error};
    commands = Commands();
    for (const Received& r : result.received) {
      if (r.br == Br::BR_DEAD_REPLY || r.br == Br::BR_FAILED_REPLY) {
        return {.br = r.br};
      }
      if (r.br == Br::BR_REPLY) {
        RunWriteRead(thread, Commands().Free(r.tr.buffer), 0);
        return {.br = r.br};
      }
    }
  }
}

int Count(const std::vector<Received>& all, Br br) {
  int count = 0;
  for (const Received& r : all) count += r.br == br ? 1 : 0;
  return count;
}

// --- Loopers and posters ---------------------------------------------------

// The property of models/design.pml, on the driver itself: with loopers killed
// at any moment, work is never stranded while one that lives sleeps, nothing
// is lost, and whoever is gone is not counted. `checks`: increased by how often
// the invariants were looked at in between.
template <class L>
void LoopersAndPosters(World<L>& world, SteppedScheduler& scheduler,
                       int& checks) {
  auto [manager, service, client, handle] = world.Connected();
  Peer<L>& other = world.Open();
  const std::uint32_t other_handle =
      world.Give(manager, service, other, world.kPtr, world.kCookie);
  Peer<L>& caller = world.Open();
  const std::uint32_t caller_handle =
      world.Give(manager, service, caller, world.kPtr, world.kCookie);
  constexpr int kPosted = 4 + 2;

  std::vector<Actor<L>> loopers;
  for (int i = 0; i < 3; ++i) loopers.push_back(service.Spawn());
  InvariantWatch<L> watch(world);
  std::vector<Served> served(loopers.size());
  service.proc().SetNonblocking(false);
  for (std::size_t i = 0; i < loopers.size(); ++i) {
    scheduler.Spawn("looper " + std::to_string(i),
                    [&, i] { served[i] = Serve(loopers[i].thread()); });
  }
  const auto post = [](Peer<L>& from, std::uint32_t to) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(RunWriteRead(from.thread(), Commands().OneWay(to), 0).error,
                Errc::kOk);
    }
  };
  scheduler.Spawn("poster 0",
                  [&, to = handle, &from = client] { post(from, to); });
  scheduler.Spawn("poster 1", [&] { post(other, other_handle); });
  caller.proc().SetNonblocking(false);
  std::vector<Br> answers;
  scheduler.Spawn("caller", [&] {
    for (int i = 0; i < 2; ++i) {
      answers.push_back(CallAndWait(caller.thread(), caller_handle).br);
    }
  });
  for (std::size_t i = 0; i < 2; ++i) {
    scheduler.Spawn("killer " + std::to_string(i), [&loopers, i] {
      SteppedPrimitives::SchedulingPoint();
      loopers[i].thread().Kill();
    });
  }
  scheduler.Run();

  // Nobody can move. The third looper lives and sleeps.
  checks += watch.checks();
  EXPECT_TRUE(scheduler.finished("looper 0"));
  EXPECT_TRUE(scheduler.finished("looper 1"));
  service.proc().SetNonblocking(true);
  int dropped = 0;
  {
    const debug::ProcSnapshot at_rest = world.SnapshotOf(service);
    EXPECT_TRUE(at_rest.todo.empty()) << "work is stranded";
    EXPECT_EQ(at_rest.ready, 1u);
    for (const debug::ThreadSnapshot& thread : at_rest.threads) {
      const bool killed =
          thread.tid == loopers[0].tid() || thread.tid == loopers[1].tid();
      EXPECT_TRUE(killed || thread.todo.empty());
      EXPECT_FALSE(killed && thread.waiting);
      EXPECT_FALSE(thread.owes_look);
      for (const core::WorkType type : thread.todo) {
        dropped += type == core::WorkType::kTransaction ? 1 : 0;
      }
    }
  }
  // What the killed have left is put right: their records go, and somebody
  // frees the buffers. Then all is done.
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(loopers[i].thread().ThreadExit(), Errc::kOk);
    if (served[i].unfreed != 0)
      service.Write(Commands().Free(served[i].unfreed));
  }
  service.proc().SetNonblocking(false);
  scheduler.Run();
  ASSERT_TRUE(scheduler.finished("caller"));
  for (const Br br : answers) {
    EXPECT_TRUE(br == Br::BR_REPLY || br == Br::BR_DEAD_REPLY);
  }
  int handled = dropped;
  service.Check();
  service.proc().Close();
  scheduler.Run();
  for (const Served& s : served) handled += s.transactions;
  EXPECT_EQ(handled, kPosted);
}

// Rows: CC-10 SG-06 SG-13 SG-23. Lock rules L3, L4.
TYPED_TEST(SteppedDriverTest, NoWorkIsStranded) {
  int checks = 0;
  const auto story = [&checks](auto& world, auto& scheduler) {
    LoopersAndPosters<TypeParam>(world, scheduler, checks);
  };
  this->Tell(Random(250), story);
  this->Tell(Pct(150), story);
  EXPECT_GT(checks, 0) << "the state was never quiet";
}

// --- The caller goes while the reply comes ---------------------------------

template <class L>
void CallerKilledVsReply(World<L>& world, SteppedScheduler& scheduler,
                         bool whole_proc) {
  auto [manager, service, client, handle] = world.Connected();
  client.Write(Commands().Transact(handle));
  const std::uint64_t buffer = service.Read().Get(Br::BR_TRANSACTION).tr.buffer;
  client.proc().SetNonblocking(false);
  Result result;
  scheduler.Spawn("caller", [&, &client = client] {
    result = RunWriteRead(client.thread(), {}, kReadSize);
    if (result.error != Errc::kKilled) return;
    const Errc error = client.thread().ThreadExit();
    EXPECT_TRUE(error == Errc::kOk || error == Errc::kClosed);
  });
  scheduler.Spawn("callee", [&service = service, buffer] {
    EXPECT_EQ(RunWriteRead(service.thread(), Commands().Free(buffer).Reply(), 0)
                  .error,
              Errc::kOk);
  });
  scheduler.Spawn("killer", [whole_proc, &client = client] {
    if (whole_proc) {
      client.proc().Kill();
    } else {
      client.thread().Kill();
    }
  });
  scheduler.Run();
  if (!Finished(scheduler)) return;
  EXPECT_EQ(Count(service.ReadAll(), Br::BR_TRANSACTION_COMPLETE), 1);
  if (result.error == Errc::kOk) {
    BrList all = {Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_REPLY};
    // The record may be emptied while it is read from.
    if (whole_proc) all.resize(result.received.size());
    EXPECT_EQ(result.codes(), all);
  } else {
    EXPECT_EQ(result.error, Errc::kKilled);
  }
  service.Check();
}

// Rows: CC-03 DT-02 DT-05 SG-13
TYPED_TEST(SteppedDriverTest, AReplyToAKilledThread) {
  const auto story = [](auto& world, auto& scheduler) {
    CallerKilledVsReply<TypeParam>(world, scheduler, /*whole_proc=*/false);
  };
  this->Tell(All(1), story);
  this->Tell(Pct(300), story);
}

// Rows: CC-03 DT-13 DT-15 DT-17
TYPED_TEST(SteppedDriverTest, AReplyToAKilledProc) {
  const auto story = [](auto& world, auto& scheduler) {
    CallerKilledVsReply<TypeParam>(world, scheduler, /*whole_proc=*/true);
  };
  this->Tell(All(1), story);
  this->Tell(Pct(300), story);
}

// Rows: CC-03 DT-02 DT-05
TYPED_TEST(SteppedDriverTest, AReplyToAThreadThatExits) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().Transact(handle));
    EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
    scheduler.Spawn("caller", [&client = client] {
      EXPECT_EQ(client.thread().ThreadExit(), Errc::kOk);
    });
    scheduler.Spawn("callee", [&service = service] {
      RunWriteRead(service.thread(), Commands().Reply(), 0);
    });
    scheduler.Run();
    EXPECT_EQ(Count(service.ReadAll(), Br::BR_TRANSACTION_COMPLETE), 1);
    EXPECT_TRUE(client.ReadAll().empty());
  });
}

// The same thread serves a call, whose end is that of its own.
// Rows: CC-03 DT-02 TX-23
TYPED_TEST(SteppedDriverTest, AReplyToAServingThreadThatExits) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().Transact(handle));
    EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
    service.Write(Commands().Transact(0));
    EXPECT_TRUE(manager.Read().Has(Br::BR_TRANSACTION));
    scheduler.Spawn("in the middle", [&service = service] {
      EXPECT_EQ(service.thread().ThreadExit(), Errc::kOk);
    });
    scheduler.Spawn("callee", [&manager = manager] {
      RunWriteRead(manager.thread(), Commands().Reply(), 0);
    });
    scheduler.Run();
    EXPECT_EQ(Codes(client.ReadAll()),
              (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  });
}

// --- The callee goes while the call comes ----------------------------------

template <class L>
void CalleeGoesVsCall(World<L>& world, SteppedScheduler& scheduler, bool kill) {
  auto [manager, service, client, handle] = world.Connected();
  client.proc().SetNonblocking(false);
  service.proc().SetNonblocking(false);
  InvariantWatch<L> watch(world);
  scheduler.Spawn("callee", [&service = service] { Serve(service.thread()); });
  Answer answer;
  scheduler.Spawn("caller", [&, &client = client, to = handle] {
    answer = CallAndWait(client.thread(), to);
  });
  scheduler.Spawn("end of callee", [kill, &watch, &service = service] {
    watch.Do([kill, &service] {
      if (kill) {
        service.proc().Kill();
      } else {
        service.proc().Close();
      }
    });
  });
  scheduler.Run();
  if (!Finished(scheduler)) return;
  EXPECT_EQ(answer.error, Errc::kOk);
  EXPECT_TRUE(answer.br == Br::BR_REPLY || answer.br == Br::BR_DEAD_REPLY)
      << ToString(answer.br);
  EXPECT_TRUE(service.proc().released());
  client.proc().SetNonblocking(true);
  client.Check();
}

// Rows: DT-13 DT-11 DT-04
TYPED_TEST(SteppedDriverTest, ACallToAProcThatIsClosed) {
  const auto story = [](auto& world, auto& scheduler) {
    CalleeGoesVsCall<TypeParam>(world, scheduler, /*kill=*/false);
  };
  this->Tell(Random(250), story);
  this->Tell(Pct(250), story);
}

// Rows: DT-13 DT-04
TYPED_TEST(SteppedDriverTest, ACallToAProcThatIsKilled) {
  const auto story = [](auto& world, auto& scheduler) {
    CalleeGoesVsCall<TypeParam>(world, scheduler, /*kill=*/true);
  };
  this->Tell(Random(250), story);
  this->Tell(Pct(250), story);
}

// Rows: DT-13 DT-03 TX-23. The middle of a chain makes its call while it dies,
// and so does the end of the chain: the beginning must be told.
TYPED_TEST(SteppedDriverTest, ANestedCallBetweenProcsThatAreKilled) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().Transact(handle));
    EXPECT_TRUE(service.Read().Has(Br::BR_TRANSACTION));
    scheduler.Spawn("middle", [&service = service] {
      RunWriteRead(service.thread(), Commands().Transact(0), 0);
    });
    scheduler.Spawn("killer", [&service = service, &manager = manager] {
      service.proc().Kill();
      manager.proc().Kill();
    });
    scheduler.Run();
    EXPECT_EQ(client.ReadCodes(),
              (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
    client.Check();
  });
}

// --- Every command while its own Proc is released --------------------------

// Whatever a thread is doing when its Proc is torn down, nothing leaks and
// nobody who waits is forgotten.
//
// Rows: DT-13 DT-15 CC-02 CC-13
TYPED_TEST(SteppedDriverTest, EveryCommandOfAProcThatIsKilled) {
  using L = TypeParam;
  struct Actors {
    Peer<L>& service;  // Lives.
    Peer<L>& victim;   // Serves a call of the service.
    std::uint32_t handle;
    std::uint64_t buffer;  // Of that call.
  };
  const Payload with_node = Payload().Binder(0x77, 0x88);
  const std::vector<std::pair<std::string, std::function<Commands(Actors&)>>>
      commands = {
          {"free", [](auto& a) { return Commands().Free(a.buffer); }},
          {"reply", [](auto&) { return Commands().Reply(); }},
          {"call", [](auto& a) { return Commands().Transact(a.handle); }},
          {"one-way with a node",
           [&](auto& a) { return Commands().OneWay(a.handle, with_node); }},
          {"reply with a node",
           [&](auto&) { return Commands().Reply(with_node); }},
          {"acquire", [](auto& a) { return Commands().Acquire(a.handle); }},
          {"last release",
           [](auto& a) { return Commands().Release(a.handle); }},
          {"weak count", [](auto& a) { return Commands().IncRefs(a.handle); }},
          {"acknowledge", [](auto&) { return Commands().AcquireDone(1, 2); }},
          {"request",
           [](auto& a) { return Commands().RequestDeath(a.handle, 1); }},
          {"request and clear",
           [](auto& a) {
             return Commands()
                 .RequestDeath(a.handle, 1)
                 .ClearDeath(a.handle, 1);
           }},
          {"clear as looper",
           [](auto& a) {
             return Commands()
                 .EnterLooper()
                 .RequestDeath(a.handle, 1)
                 .ClearDeath(a.handle, 1);
           }},
      };
  for (const auto& [name, make] : commands) {
    SCOPED_TRACE(name);
    if (this->HasFailure()) return;
    const auto story = [&make = make](World<L>& world, auto& scheduler) {
      auto [manager, service, victim, handle] = world.Connected();
      const std::uint32_t back = world.Give(manager, victim, service, 1, 2);
      service.Write(Commands().RequestDeath(back, 5).Transact(back));
      const std::uint64_t buffer =
          victim.Read().Get(Br::BR_TRANSACTION).tr.buffer;
      Actors actors{service, victim, handle, buffer};
      const Commands doomed = make(actors);
      scheduler.Spawn("doomed", [&doomed, &victim = victim] {
        RunWriteRead(victim.thread(), doomed, 0);
      });
      scheduler.Spawn("killer", [&victim = victim] { victim.proc().Kill(); });
      scheduler.Run();
      if (!Finished(scheduler)) return;
      int answers = 0;
      int deaths = 0;
      // Twice, since it may have to answer a nested call first.
      for (int i = 0; i < 2; ++i) {
        for (const Received& r : service.ReadAll()) {
          answers += r.br == Br::BR_REPLY || r.br == Br::BR_DEAD_REPLY ||
                             r.br == Br::BR_FAILED_REPLY
                         ? 1
                         : 0;
          deaths += r.br == Br::BR_DEAD_BINDER ? 1 : 0;
          if (r.tr.buffer != 0) service.Write(Commands().Free(r.tr.buffer));
          if (r.br == Br::BR_TRANSACTION && (r.tr.flags & kTfOneWay) == 0) {
            service.Write(Commands().Reply());
          }
        }
      }
      EXPECT_EQ(answers, 1);
      EXPECT_EQ(deaths, 1);
    };
    this->Tell(All(1), story);
    this->Tell(Pct(50), story);
  }
}

// Rows: DN-10 DN-19 CC-13. Likewise the acknowledgement of a death that has
// been cleared, by a looper, which would get the confirmation itself.
TYPED_TEST(SteppedDriverTest, AnAcknowledgementInAProcThatIsKilled) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().EnterLooper().RequestDeath(handle, 5));
    world.Close(service);
    EXPECT_TRUE(client.Read().Has(Br::BR_DEAD_BINDER));
    client.Write(Commands().ClearDeath(handle, 5));
    scheduler.Spawn("doomed", [&client = client] {
      RunWriteRead(client.thread(), Commands().DeadDone(5), 0);
    });
    scheduler.Spawn("killer", [&client = client] { client.proc().Kill(); });
    scheduler.Run();
  });
}

// Reads by two threads of a Proc that is killed: whatever they have taken is
// delivered or failed.
//
// Rows: DT-13 CC-05
TYPED_TEST(SteppedDriverTest, ReadsInAProcThatIsKilled) {
  const auto story = [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    Peer<TypeParam>& dying = world.Open();
    const std::uint32_t to_dying =
        world.Give(manager, dying, service, 0x10, 0x20);
    service.Write(Commands().RequestDeath(to_dying, 4));
    client.Write(Commands().Transact(handle));
    world.Close(dying);
    Actor<TypeParam> second = service.Spawn();
    for (Actor<TypeParam>* reader :
         {static_cast<Actor<TypeParam>*>(&service), &second}) {
      scheduler.Spawn("reader", [reader] {
        RunWriteRead(reader->thread(), {}, kReadSize);
      });
    }
    scheduler.Spawn("killer", [&service = service] { service.proc().Kill(); });
    scheduler.Run();
    if (!Finished(scheduler)) return;
    EXPECT_EQ(client.ReadCodes(),
              (BrList{Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
    client.Check();
  };
  this->Tell(Random(200), story);
  this->Tell(Pct(200), story);
}

// --- Death, clear, release -------------------------------------------------

// Rows: CC-11 CC-05 DN-09 DN-10 DN-14
TYPED_TEST(SteppedDriverTest, DeathAndClear) {
  for (const bool looper : {false, true}) {
    const auto story = [looper](World<TypeParam>& world, auto& scheduler) {
      auto [manager, service, client, handle] = world.Connected();
      Actor<TypeParam> clearer = client.Spawn();
      if (looper) clearer.Write(Commands().EnterLooper());
      client.Write(Commands().RequestDeath(handle, 5));
      scheduler.Spawn("owner",
                      [&service = service] { service.proc().Close(); });
      scheduler.Spawn("clearer", [&clearer, to = handle] {
        RunWriteRead(clearer.thread(), Commands().ClearDeath(to, 5), 0);
      });
      std::vector<Received> read;
      scheduler.Spawn("reader", [&, &client = client] {
        read = RunWriteRead(client.thread(), {}, kReadSize).received;
      });
      scheduler.Run();
      // The rest, one after the other.
      for (int i = 0; i < 3; ++i) {
        if (Count(read, Br::BR_DEAD_BINDER) > 0 &&
            Count(read, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE) == 0) {
          clearer.Write(Commands().DeadDone(5));
        }
        for (Actor<TypeParam>* actor :
             {static_cast<Actor<TypeParam>*>(&client), &clearer}) {
          for (const Received& r : actor->Read().received) read.push_back(r);
        }
      }
      const int deaths = Count(read, Br::BR_DEAD_BINDER);
      EXPECT_LE(deaths, 1);
      EXPECT_EQ(Count(read, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE), 1);
      if (deaths == 1) {
        std::erase_if(read, [](const auto& r) { return r.br == Br::BR_NOOP; });
        EXPECT_EQ(read.front().br, Br::BR_DEAD_BINDER) << "cleared, then dead";
      }
    };
    this->Tell(All(1), story);
    this->Tell(Pct(200), story);
  }
}

// Rows: CC-11 DN-13
TYPED_TEST(SteppedDriverTest, DeathAndClearAndRelease) {
  const auto story = [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    Actor<TypeParam> clearer = client.Spawn();
    Actor<TypeParam> releaser = client.Spawn();
    client.Write(Commands().RequestDeath(handle, 5));
    InvariantWatch<TypeParam> watch(world);
    scheduler.Spawn("owner", [&watch, &service = service] {
      watch.Do([&service] { service.proc().Close(); });
    });
    scheduler.Spawn("clearer", [&clearer, to = handle] {
      RunWriteRead(clearer.thread(), Commands().ClearDeath(to, 5), 0);
    });
    scheduler.Spawn("releaser", [&releaser, to = handle] {
      RunWriteRead(releaser.thread(), Commands().Release(to), 0);
    });
    client.proc().SetNonblocking(false);
    BrList read;
    scheduler.Spawn("reader", [&, &client = client] {
      Commands commands;
      for (;;) {
        const Result result =
            RunWriteRead(client.thread(), commands, kReadSize);
        if (result.error != Errc::kOk) return;
        commands = Commands();
        for (const Received& r : result.received) {
          if (r.br == Br::BR_NOOP) continue;
          read.push_back(r.br);
          if (r.br == Br::BR_DEAD_BINDER) commands.DeadDone(r.cookie);
        }
      }
    });
    scheduler.Run();
    EXPECT_TRUE(world.SnapshotOf(client).refs.empty());
    EXPECT_EQ(world.Snapshot().live(core::ObjectKind::kDeath), 0u);
    client.proc().Close();
    scheduler.Run();
    using List = BrList;
    const std::vector<List> allowed = {
        {},  // Released first.
        {Br::BR_DEAD_BINDER},
        {Br::BR_CLEAR_DEATH_NOTIFICATION_DONE},
        {Br::BR_DEAD_BINDER, Br::BR_CLEAR_DEATH_NOTIFICATION_DONE}};
    EXPECT_THAT(allowed, ::testing::Contains(read));
  };
  this->Tell(Random(300), story);
  this->Tell(Pct(300), story);
}

// --- Buffers ---------------------------------------------------------------

// Rows: AL-18
TYPED_TEST(SteppedDriverTest, TwoThreadsFreeOneBuffer) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().OneWay(handle));
    const std::uint64_t buffer =
        service.Read().Get(Br::BR_TRANSACTION).tr.buffer;
    Actor<TypeParam> second = service.Spawn();
    (void)world.gates().TakeErrors();
    for (Actor<TypeParam>* actor :
         {static_cast<Actor<TypeParam>*>(&service), &second}) {
      scheduler.Spawn("freer", [actor, buffer] {
        const Result result =
            RunWriteRead(actor->thread(), Commands().Free(buffer), 0);
        EXPECT_EQ(result.error, Errc::kOk);
        EXPECT_EQ(result.write_consumed, result.write_size);
      });
    }
    scheduler.Run();
    EXPECT_EQ(world.gates().TakeErrors(),
              std::vector<UserError>{UserError::kBadBuffer});
    EXPECT_EQ(world.SnapshotOf(service).buffers, 0u);
  });
}

// Rows: CC-06 AL-19
TYPED_TEST(SteppedDriverTest, ABufferIsFreedWhileItsCallIsAnswered) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().Transact(handle));
    const std::uint64_t buffer =
        service.Read().Get(Br::BR_TRANSACTION).tr.buffer;
    Actor<TypeParam> second = service.Spawn();
    scheduler.Spawn("replier", [&service = service] {
      RunWriteRead(service.thread(), Commands().Reply(), 0);
    });
    scheduler.Spawn("freer", [&second, buffer] {
      RunWriteRead(second.thread(), Commands().Free(buffer), 0);
    });
    scheduler.Run();
    EXPECT_TRUE(client.Read().Has(Br::BR_REPLY));
    EXPECT_EQ(world.SnapshotOf(service).buffers, 0u);
  });
}

// --- Nodes -----------------------------------------------------------------

// The last release of a node against its being sent again, its owner's reads,
// and a walk over the owner's nodes. Whatever the order, the owner is told a
// story that makes sense, and the new handle works.
//
// Rows: CC-07 CC-02 CC-04 RF-11
template <class L>
void LastReleaseVsSending(World<L>& world, SteppedScheduler& scheduler) {
  auto [manager, service, client, handle] = world.Connected();
  Actor<L> owner = service.Spawn();
  Actor<L> walker = service.Spawn();
  InvariantWatch<L> watch(world);
  std::vector<Received> told;
  scheduler.Spawn("releaser", [&client = client, to = handle] {
    RunWriteRead(client.thread(), Commands().Release(to), 0);
  });
  const Payload node = Payload().Binder(world.kPtr, world.kCookie);
  scheduler.Spawn("sender", [&service = service, &node] {
    RunWriteRead(service.thread(), Commands().OneWay(0, node), 0);
  });
  scheduler.Spawn("owner", [&owner, &told] {
    for (int i = 0; i < 2; ++i) {
      const Result result = RunWriteRead(owner.thread(), {}, kReadSize);
      for (const Received& r : result.received) told.push_back(r);
    }
  });
  scheduler.Spawn("walker", [&walker] {
    NodeDebugInfo info = {};
    do {
      EXPECT_EQ(walker.thread().GetNodeDebugInfo(info), Errc::kOk);
      EXPECT_TRUE(info.ptr == 0 || info.ptr == World<L>::kPtr);
    } while (info.ptr != 0);
  });
  scheduler.Run();
  if (!Finished(scheduler)) return;
  for (Actor<L>* actor : {&owner, static_cast<Actor<L>*>(&service)}) {
    for (const Received& r : actor->ReadAll()) told.push_back(r);
  }
  // Up and down in turns, and at the end the owner knows that it is held.
  int strong = 1;
  int weak = 1;
  for (const Received& r : told) {
    if (r.br == Br::BR_ACQUIRE) ++strong;
    if (r.br == Br::BR_RELEASE) --strong;
    if (r.br == Br::BR_INCREFS) ++weak;
    if (r.br == Br::BR_DECREFS) --weak;
    if (r.br == Br::BR_ACQUIRE) {
      service.Write(Commands().AcquireDone(r.ptr, r.cookie));
    }
    if (r.br == Br::BR_INCREFS) {
      service.Write(Commands().IncRefsDone(r.ptr, r.cookie));
    }
  }
  EXPECT_EQ(strong, 1);
  EXPECT_EQ(weak, 1);
  const Received sent = manager.Read().Get(Br::BR_TRANSACTION);
  const std::uint32_t again = sent.object(0).handle;
  manager.Write(Commands().OneWay(again));
  EXPECT_EQ(service.Read().Get(Br::BR_TRANSACTION).tr.target.ptr, world.kPtr);
  manager.Write(Commands().Free(sent.tr.buffer));
}

TYPED_TEST(SteppedDriverTest, TheLastReleaseOfANodeThatIsSentAgain) {
  this->Tell(Random(300), LastReleaseVsSending<TypeParam>);
  this->Tell(Pct(300), LastReleaseVsSending<TypeParam>);
}

// Rows: RF-14 RF-15 CC-07. The last count of a handle goes while another thread
// of the same Proc adds one: it is kept, or refused because it came too late.
TYPED_TEST(SteppedDriverTest, TheLastReleaseOfAHandleThatIsAcquired) {
  this->Tell(All(2), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    Actor<TypeParam> second = client.Spawn();
    (void)world.gates().TakeErrors();
    scheduler.Spawn("releaser", [&client = client, to = handle] {
      RunWriteRead(client.thread(), Commands().Release(to), 0);
    });
    scheduler.Spawn("acquirer", [&second, to = handle] {
      RunWriteRead(second.thread(), Commands().Acquire(to), 0);
    });
    scheduler.Run();
    const bool refused = !world.gates().TakeErrors().empty();
    EXPECT_EQ(world.SnapshotOf(client).refs.empty(), refused);
    world.Settle(service);
    EXPECT_EQ(world.SnapshotOf(service).nodes.empty(), refused);
  });
}

// --- Freezing --------------------------------------------------------------

template <class L>
FreezeInfo FreezeOf(Peer<L>& peer, std::uint32_t timeout_ms) {
  return {static_cast<std::uint32_t>(peer.pid()), 1, timeout_ms};
}

// Rows: FZ-06. The clock moves when nobody can: a wake-up that is lost would
// make the freezer come too late.
TYPED_TEST(SteppedDriverTest, AFreezerWaitsForTheLastTransaction) {
  this->Tell(All(1), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().OneWay(handle).Transact(handle));
    service.Write(
        Commands().Free(service.Read().Get(Br::BR_TRANSACTION).tr.buffer));
    (void)service.Read();
    Errc error = Errc::kBusy;
    scheduler.Spawn("freezer", [&, &by = manager, &service = service] {
      error = by.thread().Freeze(FreezeOf(service, 30'000));
    });
    scheduler.Spawn("replier", [&service = service] {
      RunWriteRead(service.thread(), Commands().Reply(), 0);
    });
    scheduler.Run();
    if (!Finished(scheduler)) return;
    EXPECT_EQ(error, Errc::kOk);
    EXPECT_TRUE(service.proc().state().is_frozen.load());
    service.Check();
  });
}

// Rows: FZ-06
TYPED_TEST(SteppedDriverTest, AFreezerWaitsAsLongAsItShould) {
  this->Tell(All(0), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    client.Write(Commands().Transact(handle));
    const TimePoint begin = scheduler.Now();
    scheduler.Spawn("freezer", [&, &by = manager, &service = service] {
      EXPECT_EQ(by.thread().Freeze(FreezeOf(service, 30'000)),
                Errc::kWouldBlock);
      EXPECT_EQ(scheduler.Now(), begin + std::chrono::seconds(30));
    });
    scheduler.Run();
    EXPECT_FALSE(service.proc().state().is_frozen.load());
  });
}

// Rows: FZ-05 FZ-10 FZ-11 TX-30. What is sent is either there to be seen by
// the freezer, or sees that its target is frozen.
TYPED_TEST(SteppedDriverTest, AFreezerAndSenders) {
  this->Tell(Pct(400), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    Actor<TypeParam> second = client.Spawn();
    Errc error = Errc::kBusy;
    scheduler.Spawn("freezer", [&, &by = manager, &service = service] {
      error = by.thread().Freeze(FreezeOf(service, 0));
    });
    scheduler.Spawn("caller", [&client = client, to = handle] {
      RunWriteRead(client.thread(), Commands().Transact(to), 0);
    });
    scheduler.Spawn("poster", [&second, to = handle] {
      RunWriteRead(second.thread(), Commands().OneWay(to), 0);
    });
    scheduler.Run();
    const bool frozen = error == Errc::kOk;
    EXPECT_EQ(service.proc().state().is_frozen.load(), frozen);
    const BrList call = client.ReadCodes();
    const BrList one_way = second.ReadCodes();
    ASSERT_EQ(one_way.size(), 1u);
    if (frozen) {
      EXPECT_EQ(call, BrList{Br::BR_FROZEN_REPLY});
      EXPECT_EQ(one_way, BrList{Br::BR_TRANSACTION_PENDING_FROZEN});
    } else {
      // The one that was in the way.
      EXPECT_GT(world.SnapshotOf(service).outstanding, 0);
    }
  });
}

// Rows: FN-01 FN-04 FN-13. Whoever watches knows the truth in the end.
TYPED_TEST(SteppedDriverTest, AFreezerAndAWatcher) {
  this->Tell(All(1), [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    scheduler.Spawn("freezer", [&by = manager, &service = service] {
      EXPECT_EQ(by.thread().Freeze(FreezeOf(service, 0)), Errc::kOk);
    });
    bool known = false;
    scheduler.Spawn("watcher", [&, &thread = client.thread(), to = handle] {
      EXPECT_EQ(thread.RequestFreezeNotification(to, 1), Errc::kOk);
      Incoming news;
      while (thread.NextWork(news) == Errc::kOk) {
        EXPECT_EQ(news.command, Br::BR_FROZEN_BINDER);
        known = news.is_frozen;
        EXPECT_EQ(thread.FreezeNotificationDone(1), Errc::kOk);
      }
    });
    scheduler.Run();
    Incoming news;
    while (client.thread().NextWork(news) == Errc::kOk) {
      known = news.is_frozen;
      EXPECT_EQ(client.thread().FreezeNotificationDone(1), Errc::kOk);
    }
    EXPECT_TRUE(known);
  });
}

// Rows: FZ-17 FN-12 FN-13 FN-15. Everybody may go at any moment: nothing leaks,
// and nobody hangs.
TYPED_TEST(SteppedDriverTest, FreezingWhileEverybodyGoes) {
  const auto story = [](World<TypeParam>& world, auto& scheduler) {
    auto [manager, service, client, handle] = world.Connected();
    Actor<TypeParam> second = client.Spawn();
    Peer<TypeParam>& freezer = world.Open();
    client.Write(Commands().Put(Bc::BC_REQUEST_FREEZE_NOTIFICATION,
                                HandleCookie{handle, 1}));
    second.Write(Commands().Transact(handle));
    scheduler.Spawn("freezer", [&freezer, &service = service] {
      (void)freezer.thread().Freeze(FreezeOf(service, 1000));
    });
    scheduler.Spawn("watcher", [&thread = client.thread(), to = handle] {
      Incoming news;
      (void)thread.NextWork(news);
      (void)thread.FreezeNotificationDone(1);
      (void)thread.ClearFreezeNotification(to, 1);
      (void)thread.Release(to);
    });
    scheduler.Spawn("killer", [&freezer, &client = client, &service = service] {
      freezer.thread().Kill();
      service.proc().Close();
      client.proc().Kill();
    });
    scheduler.Run();
    if (!Finished(scheduler)) return;
    EXPECT_FALSE(service.proc().state().is_frozen.load());
    EXPECT_TRUE(service.proc().released());
    EXPECT_TRUE(client.proc().released());
  };
  this->Tell(Random(300), story);
  this->Tell(Pct(300), story);
}

}  // namespace
}  // namespace binderlite::testing
