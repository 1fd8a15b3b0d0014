// SPDX-License-Identifier: Apache-2.0
//
// What the driver asks a SecurityPolicy, what it makes of a refusal, and the
// labels that calls carry.

#include "binderlite/core/policy.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/call_test.h"
#include "support/files.h"

namespace binderlite::testing {
namespace {

enum class Question { kManager, kTransact, kBinder, kFile, kLabel };

// Whom it is asked about, as "pid/euid/label".
std::string ToText(const Credentials& who) {
  return std::to_string(who.pid) + "/" + std::to_string(who.euid) + "/" +
         std::string(who.label);
}

class FakePolicy : public SecurityPolicy {
 public:
  // From now on these answers are no, once so many have been yes.
  void Refuse(Question question, int after = 0) {
    refused_ = {question};
    after_ = after;
  }
  void AllowAll() { refused_.clear(); }
  void SetLabel(Errc error, std::string label = {}) {
    label_error_ = error;
    label_ = std::move(label);
  }
  // What has been asked since the last call.
  std::vector<std::string> Take() { return std::exchange(asked_, {}); }

  bool MaySetContextMgr(const Credentials& who) override {
    return Ask(Question::kManager, "manager " + ToText(who));
  }
  bool MayTransact(const Credentials& from, const Credentials& to) override {
    return Ask(Question::kTransact,
               "transact " + ToText(from) + " " + ToText(to));
  }
  bool MayTransferBinder(const Credentials& from,
                         const Credentials& to) override {
    return Ask(Question::kBinder, "binder " + ToText(from) + " " + ToText(to));
  }
  bool MayTransferFile(const Credentials& from, const Credentials& to,
                       int fd) override {
    return Ask(Question::kFile, "file " + std::to_string(fd) + " " +
                                    ToText(from) + " " + ToText(to));
  }
  Errc GetLabel(const Credentials& who, std::string& label) override {
    asked_.push_back("label " + ToText(who));
    label = label_.empty() ? std::string(who.label) : label_;
    return label_error_;
  }

 private:
  bool Ask(Question question, std::string text) {
    asked_.push_back(std::move(text));
    return !refused_.contains(question) || after_-- > 0;
  }

  std::set<Question> refused_;
  int after_ = 0;
  Errc label_error_ = Errc::kOk;
  std::string label_;
  std::vector<std::string> asked_;
};

// Before all else, since the Context and the Procs need it to the end.
struct PolicySeams {
  FakePolicy policy;
  TestFiles files;  // Of the client.
};

constexpr char kClient[] = "20/2/client";
constexpr char kService[] = "10/1/service";

std::string Asked(std::string_view what, const char* from, const char* to) {
  return std::string(what) + " " + from + " " + to;
}

template <class L>
class PolicyTest : protected PolicySeams, public CallTest<L> {
 protected:
  PolicyTest() : CallTest<L>({.policy = &policy}) {}

  struct World {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
    std::uint32_t back;
  };
  World Build(std::uint32_t flags = kFlatAcceptsFds) {
    Peer<L>& manager =
        this->OpenManager({.pid = 1, .label = "boss", .name = "manager"});
    Peer<L>& service = this->Open({.pid = 10, .euid = 1, .label = "service"});
    Peer<L>& client =
        this->Open({.pid = 20, .euid = 2, .label = "client", .files = &files});
    const std::uint32_t handle =
        this->Give(manager, service, client, this->kPtr, this->kCookie, flags);
    const std::uint32_t back =
        this->Give(manager, client, service, 0x5000, 1, kFlatTxnSecurityCtx);
    (void)policy.Take();
    return {manager, service, client, handle, back};
  }

  // The call is refused, and nothing is left of it; the same for a one-way.
  void ExpectRefused(World& w, const Payload& payload,
                     Errc why = Errc::kNotPermitted, std::uint64_t room = 0) {
    const std::string before = this->State();
    for (const std::uint32_t flags : {0u, kTfOneWay}) {
      this->ExpectFails(
          w.client, Commands().TransactSg(w.handle, payload, room, 0, flags),
          kFailed, why);
      EXPECT_EQ(this->State(), before);
    }
  }
  // The same for a reply: the caller, which is the service, hears of it.
  void ExpectReplyRefused(World& w, const Payload& payload) {
    const std::string before = this->State();
    policy.AllowAll();
    w.service.Write(Commands().Transact(w.back, {}, 0, kTfAcceptFds));
    w.client.Write(Commands().Free(
        w.client.Read().Get(Br::BR_TRANSACTION_SEC_CTX).tr.buffer));
    (void)policy.Take();
    policy.Refuse(refusing_);
    w.client.Write(Commands().Reply(payload));
    EXPECT_EQ(w.client.ReadCodes(), BrList{kComplete});
    EXPECT_EQ(w.service.ReadCodes(), (BrList{kComplete, kFailed}));
    EXPECT_EQ(
        w.service.TakeError(),
        (std::pair{kFailed, -static_cast<std::int32_t>(Errc::kNotPermitted)}));
    EXPECT_EQ(this->State(), before);
  }
  void Refuse(Question question) {
    refusing_ = question;
    policy.Refuse(question);
  }
  // The payload arrives as a call that is answered.
  void PassAndFree(World& w, const Payload& payload, std::uint64_t room = 0) {
    w.client.Write(Commands().TransactSg(w.handle, payload, room));
    this->Answer(w.service, this->Receive(w.service));
    this->ExpectReply(w.client, 0);
  }

 private:
  Question refusing_ = Question::kTransact;
};
BINDERLITE_FOR_ALL_DISCIPLINES(PolicyTest);

// --- The four questions -----------------------------------------------------

// Rows: SC-07 SC-06
TYPED_TEST(PolicyTest, ContextManager) {
  Peer<TypeParam>& one = this->Open({.pid = 5, .euid = 6, .label = "would be"});
  this->policy.Refuse(Question::kManager);
  const std::string before = this->State();
  EXPECT_EQ(one.thread().SetContextMgr(), Errc::kNotPermitted);
  EXPECT_EQ(one.thread().SetContextMgrExt({}), Errc::kNotPermitted);
  EXPECT_EQ(this->policy.Take(),
            (std::vector<std::string>(2, "manager 5/6/would be")));
  EXPECT_EQ(this->State(), before);
  // Nor has its euid been kept (IO-08).
  this->policy.AllowAll();
  Peer<TypeParam>& other = this->Open({.euid = 7});
  EXPECT_EQ(other.thread().SetContextMgr(), Errc::kOk);
}

// Rows: SC-07 IO-07
TYPED_TEST(PolicyTest, ContextManagerThatThereIsAlready) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& other = this->Open();
  this->policy.Refuse(Question::kManager);
  EXPECT_EQ(other.thread().SetContextMgr(), Errc::kBusy);
  EXPECT_EQ(manager.thread().SetContextMgr(), Errc::kBusy);
}

// Rows: TG-11 SC-07 SC-06
TYPED_TEST(PolicyTest, Transactions) {
  auto w = this->Build();
  this->policy.Refuse(Question::kTransact);
  this->ExpectRefused(w, Payload("text"));
  this->ExpectRefused(w, Payload().Binder(0x7000, 1));
  // Whichever thread it is, whoever is its caller.
  Actor<TypeParam> other = w.client.Spawn();
  this->ExpectFails(other, Commands().Transact(w.handle), kFailed,
                    Errc::kNotPermitted);
  EXPECT_EQ(this->policy.Take(),
            std::vector(5, Asked("transact", kClient, kService)));
  // The manager is not asked about.
  this->ExpectFails(w.client, Commands().Transact(0), kFailed,
                    Errc::kNotPermitted);
  EXPECT_EQ(this->policy.Take(),
            std::vector{Asked("transact", kClient, "1/0/boss")});
  // Not about a call that goes nowhere.
  this->ExpectFails(w.client, Commands().Transact(99), kFailed, Errc::kInvalid);
  EXPECT_EQ(this->policy.Take(), std::vector<std::string>());
  // The others go on as before, and replies are not asked about.
  this->policy.Refuse(Question::kTransact, 1);
  this->PassAndFree(w, {});
  EXPECT_EQ(this->policy.Take(),
            std::vector{Asked("transact", kClient, kService)});
}

// Rows: SC-07 OB-43
TYPED_TEST(PolicyTest, NodesAndHandles) {
  auto w = this->Build();
  Peer<TypeParam>& third = this->Open({.name = "third"});
  const std::uint32_t to_third =
      this->Give(w.manager, third, w.client, 0x3000, 1);
  w.client.Write(Commands().IncRefs(to_third));
  (void)this->policy.Take();
  const std::array payloads = {
      Payload().Binder(0x7000, 1),    Payload().WeakBinder(0x7000, 1),
      Payload().Binder(0x5000, 1),    Payload().Handle(w.handle),
      Payload().WeakHandle(w.handle), Payload().Handle(to_third),
      Payload().WeakHandle(to_third)};
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    SCOPED_TRACE(i);
    this->Refuse(Question::kBinder);
    this->ExpectRefused(w, payloads[i]);
    const std::vector<std::string> asked = this->policy.Take();
    ASSERT_EQ(asked.size(), 4u);
    EXPECT_EQ(asked[1], Asked("binder", kClient, kService));
    EXPECT_EQ(asked[3], asked[1]);
    this->ExpectReplyRefused(w, payloads[i]);
    EXPECT_EQ(this->policy.Take(),
              std::vector{Asked("binder", kClient, kService)});
    // It is the second one that is refused.
    Payload two = payloads[i];
    two.Binder(0x7100, 1);
    for (int j = 0; j < 2; ++j) {
      this->policy.Refuse(Question::kBinder, 1);
      this->ExpectFails(
          w.client,
          Commands().Transact(w.handle, two, 0, j == 0 ? 0 : kTfOneWay),
          kFailed, Errc::kNotPermitted);
    }
    (void)this->policy.Take();
  }
  // What is no handle of the sender's is not asked about.
  this->policy.Refuse(Question::kBinder);
  this->ExpectRefused(w, Payload().Handle(99), Errc::kInvalid);
  EXPECT_EQ(this->policy.Take().size(), 2u);
  this->policy.AllowAll();
  for (const Payload& payload : payloads) this->PassAndFree(w, payload);
}

// Rows: SC-07 OB-14 OB-16
TYPED_TEST(PolicyTest, Descriptors) {
  auto w = this->Build();
  TestFile file;
  const int fd = this->files.Add(file);
  const std::string asked =
      Asked("file " + std::to_string(fd), kClient, kService);
  this->Refuse(Question::kFile);
  this->ExpectRefused(w, Payload().Fd(fd));
  EXPECT_EQ(this->policy.Take(),
            (std::vector{Asked("transact", kClient, kService), asked,
                         Asked("transact", kClient, kService), asked}));
  this->ExpectReplyRefused(w, Payload().Fd(fd));
  EXPECT_EQ(this->policy.Take(), std::vector{asked});
  // Each one of an array.
  std::array fds = {fd, fd, fd};
  Payload array("8 bytes.");
  array.Ptr(fds.data(), sizeof(fds)).FdArray(fds.size(), 0);
  for (int good = 0; good < 3; ++good) {
    this->policy.Refuse(Question::kFile, good);
    this->ExpectFails(w.client, Commands().TransactSg(w.handle, array, 16),
                      kFailed, Errc::kNotPermitted);
    EXPECT_EQ(this->policy.Take().size(), static_cast<std::size_t>(good) + 2);
  }
  // Not about one that is not open.
  this->policy.Refuse(Question::kFile);
  this->ExpectRefused(w, Payload().Fd(fd + 1), Errc::kBadFile);
  EXPECT_EQ(this->policy.Take().size(), 2u);
  this->files.Remove(fd);
  file.Close();
  EXPECT_TRUE(file.gone());
}

// --- Labels -----------------------------------------------------------------

// Rows: SC-01 SC-02 SC-08
TYPED_TEST(PolicyTest, TheLabelIsAtTheEndOfTheBuffer) {
  auto w = this->Build(kFlatTxnSecurityCtx);
  const debug::ProcSnapshot empty = this->SnapshotOf(w.service);
  Payload payload("twelve bytes");  // 16 with its padding,
  payload.WeakHandle(w.handle);     // 24, and 8 for its offset.
  for (const std::size_t length : {1u, 6u, 7u, 8u, 15u, 16u, 5000u}) {
    for (const std::uint64_t room : {0u, 8u, 24u}) {
      for (const std::uint32_t flags : {0u, kTfOneWay}) {
        SCOPED_TRACE(length);
        const std::string label(length, 'a');
        this->policy.SetLabel(Errc::kOk, label);
        w.client.Write(
            Commands().TransactSg(w.handle, payload, room, 3, flags));
        EXPECT_EQ(this->policy.Take().back(),
                  std::string("binder ") + kClient + " " + kService);
        const std::size_t padded = (length + 8) & ~std::size_t{7};
        const std::size_t size = 16 + 24 + 8 + room + padded;
        const debug::ProcSnapshot full = this->SnapshotOf(w.service);
        EXPECT_EQ(empty.arena_free - full.arena_free, size);
        EXPECT_EQ(empty.arena_free_async - full.arena_free_async,
                  flags == 0 ? 0 : size);
        const Result result = w.service.Read();
        EXPECT_EQ(result.codes(), (BrList{kNoop, Br::BR_TRANSACTION_SEC_CTX}));
        const Received got = result.Get(Br::BR_TRANSACTION_SEC_CTX);
        EXPECT_EQ(got.tr.code, 3u);
        EXPECT_EQ(got.tr.target.ptr, this->kPtr);
        EXPECT_EQ(got.tr.cookie, this->kCookie);
        EXPECT_EQ(got.tr.sender_euid, 2u);
        EXPECT_EQ(got.tr.data_size, 40u);
        EXPECT_EQ(got.secctx, got.tr.buffer + size - padded);
        EXPECT_EQ(TextAt(got.secctx, padded),
                  label + std::string(padded - length, '\0'));
        w.service.Write(Commands().Free(got.tr.buffer));
        const debug::ProcSnapshot after = this->SnapshotOf(w.service);
        EXPECT_EQ(after.arena_free, empty.arena_free);
        EXPECT_EQ(after.arena_free_async, empty.arena_free_async);
        if (flags == 0) w.service.Write(Commands().Reply());
        this->Settle(w.service);
        this->Settle(w.client);
      }
    }
  }
}

// Rows: SC-01 SC-06
TYPED_TEST(PolicyTest, TheLabelIsThatOfTheSendersProc) {
  auto w = this->Build(kFlatTxnSecurityCtx);
  Actor<TypeParam> other = w.client.Spawn();
  for (Actor<TypeParam>* actor :
       {static_cast<Actor<TypeParam>*>(&w.client), &other}) {
    actor->Write(Commands().Transact(w.handle));
    const Received got = w.service.Read().Get(Br::BR_TRANSACTION_SEC_CTX);
    EXPECT_EQ(TextAt(got.secctx, 7), std::string("client\0", 7));
    EXPECT_EQ(this->policy.Take().back(), std::string("label ") + kClient);
    this->Answer(w.service, got);
    this->Settle(*actor);
  }
}

// Rows: SC-01 SC-05
TYPED_TEST(PolicyTest, OnlyNodesThatAskForItGetIt) {
  auto w = this->Build();
  // A node that does not; a reply, though to somebody whose node does.
  w.client.Write(Commands().Transact(w.handle));
  w.service.Write(Commands().Free(this->Receive(w.service).tr.buffer).Reply());
  EXPECT_EQ(w.client.ReadCodes(), (BrList{kComplete, kReply}));
  this->Settle(w.service);
  w.service.Write(Commands().Transact(w.back));
  const Received got = w.client.Read().Get(Br::BR_TRANSACTION_SEC_CTX);
  EXPECT_EQ(TextAt(got.secctx, 8), std::string("service\0", 8));
  w.client.Write(Commands().Free(got.tr.buffer).Reply());
  EXPECT_EQ(w.service.ReadCodes(), (BrList{kComplete, kReply}));
  const std::vector<std::string> asked = this->policy.Take();
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[2], std::string("label ") + kService);
}

// Rows: SC-01 IO-09
TYPED_TEST(PolicyTest, TheContextManagersNode) {
  Peer<TypeParam>& manager = this->Open();
  FlatObject object = {};
  object.flags = kFlatTxnSecurityCtx;
  EXPECT_EQ(manager.thread().SetContextMgrExt(object), Errc::kOk);
  // An empty label is one, too.
  Peer<TypeParam>& client = this->Open();
  client.Write(Commands().Transact(0));
  const Received got = manager.Read().Get(Br::BR_TRANSACTION_SEC_CTX);
  EXPECT_EQ(got.secctx, got.tr.buffer);
  EXPECT_EQ(TextAt(got.secctx, 8), std::string(8, '\0'));
}

// Rows: SC-01
TYPED_TEST(PolicyTest, WithoutByteStreams) {
  auto w = this->Build(kFlatTxnSecurityCtx);
  TransactionData data = {};
  data.target.handle = w.handle;
  EXPECT_EQ(w.client.thread().Transact(data), Errc::kOk);
  Incoming incoming;
  EXPECT_EQ(w.service.thread().NextWork(incoming), Errc::kOk);
  EXPECT_EQ(TextAt(incoming.label, 7), std::string("client\0", 7));
  EXPECT_EQ(w.service.thread().FreeBuffer(incoming.transaction.buffer),
            Errc::kOk);
}

// Rows: SC-04
TYPED_TEST(PolicyTest, NoLabel) {
  auto w = this->Build(kFlatTxnSecurityCtx);
  for (const Errc error :
       {Errc::kInvalid, Errc::kNoMemory, Errc::kNotPermitted, Errc::kFault}) {
    this->policy.SetLabel(error, "half a label");
    this->ExpectRefused(w, Payload().Binder(0x7000, 1), error);
  }
  // Sizes that wrap around, by themselves and with it.
  this->policy.SetLabel(Errc::kOk, "label");
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  for (const std::uint64_t room : {kMax, kMax - 7, kMax - 15}) {
    SCOPED_TRACE(room);
    this->ExpectRefused(w, Payload("text"), Errc::kInvalid, room);
  }
  for (const std::uint64_t room : {kMax - 23, std::uint64_t{1} << 40}) {
    this->ExpectRefused(w, Payload("text"), Errc::kNoSpace, room);
  }
}

// --- Without a policy -------------------------------------------------------

template <class L>
class LabelTest : public CallTest<L> {};
BINDERLITE_FOR_ALL_DISCIPLINES(LabelTest);

// Rows: SC-01 SC-04
TYPED_TEST(LabelTest, TheLabelIsThatOfTheOptions) {
  Peer<TypeParam>& manager = this->OpenManager();
  Peer<TypeParam>& client = this->Open({.label = "plain"});
  const std::uint32_t handle =
      this->Give(manager, manager, client, 0x7000, 1, kFlatTxnSecurityCtx);
  client.Write(Commands().OneWay(handle));
  const Received got = manager.Read().Get(Br::BR_TRANSACTION_SEC_CTX);
  EXPECT_EQ(TextAt(got.secctx, 8), std::string("plain\0\0\0", 8));
  manager.Write(Commands().Free(got.tr.buffer));
  // A label that does not fit is no error of its own.
  Peer<TypeParam>& large = this->Open({.label = std::string(2 << 20, 'x')});
  const std::uint32_t too =
      this->Give(manager, manager, large, 0x7000, 1, kFlatTxnSecurityCtx);
  this->ExpectFails(large, Commands().Transact(too), kFailed, Errc::kNoSpace);
}

}  // namespace
}  // namespace binderlite::testing
