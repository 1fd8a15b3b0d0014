// SPDX-License-Identifier: Apache-2.0
//
// Payloads with memory of the sender's: where it goes, which objects may refer
// to which, and that of a payload that is refused nothing stays behind.

#include "binderlite/driver/scatter.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "binderlite/wire/flags.h"
#include "support/call_test.h"
#include "support/faulty_memory.h"
#include "support/files.h"

namespace binderlite::testing {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};

std::uint64_t Align8(std::uint64_t size) {
  return (size + 7) & ~std::uint64_t{7};
}

std::uint64_t WordAt(std::uint64_t address) {
  std::uint64_t word = 0;
  std::memcpy(&word, reinterpret_cast<const void*>(address), sizeof(word));
  return word;
}

// 64 bytes of the sender, to be pointed at.
struct Memory {
  explicit Memory(char c) { bytes.fill(c); }
  alignas(8) std::array<char, 64> bytes;
  [[nodiscard]] const char* data() const { return bytes.data(); }
};

// Counts how often each byte is read, and may change the bytes afterwards.
class ReadOnceMemory : public UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    if (!direct_.CopyIn(to, from, size)) return false;
    for (std::size_t i = 0; i < size; ++i) ++reads_[from + i];
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    return direct_.CopyOut(to, from, size);
  }
  // The most that any of the bytes has been read.
  [[nodiscard]] int Most(const void* begin, std::size_t size) const {
    int most = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto it = reads_.find(AddressOf(begin) + i);
      if (it != reads_.end() && it->second > most) most = it->second;
    }
    return most;
  }

 private:
  const memory::UserAccess direct_;
  std::map<std::uint64_t, int> reads_;
};

// Before all else, since the Context and the Procs need it to the end.
struct ScatterSeams {
  TestFiles files;  // Of the client.
  ReadOnceMemory read_once;
};

template <class L>
class ScatterTest : protected ScatterSeams, public CallTest<L> {
 protected:
  explicit ScatterTest(ContextOptions options = {})
      : CallTest<L>(std::move(options)) {}

  struct World {
    Peer<L>& manager;
    Peer<L>& service;
    Peer<L>& client;
    std::uint32_t handle;
  };
  World Build(ProcOptions client_options = {},
              std::uint32_t flags = kFlatAcceptsFds) {
    client_options.files = &files;
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& service = this->Open({.name = "service", .files = &files});
    Peer<L>& client = this->Open(std::move(client_options));
    return {
        manager, service, client,
        this->Give(manager, service, client, this->kPtr, this->kCookie, flags)};
  }

  // The payload is refused, and nothing is left of it.
  void ExpectRefused(World& w, const Payload& payload, std::uint64_t room,
                     Errc why = Errc::kInvalid) {
    const std::string before = this->State();
    const std::size_t descriptors = files.size();
    for (const std::uint32_t flags : {0u, kTfOneWay}) {
      this->ExpectFails(
          w.client, Commands().TransactSg(w.handle, payload, room, 0, flags),
          kFailed, why);
    }
    EXPECT_EQ(this->State(), before);
    EXPECT_EQ(files.size(), descriptors);
  }
  // It arrives; its buffer is not freed.
  Received Pass(World& w, const Payload& payload, std::uint64_t room) {
    w.client.Write(Commands().TransactSg(w.handle, payload, room));
    const Received got = this->Receive(w.service);
    w.service.Write(Commands().Reply());
    this->Settle(w.service);
    this->Settle(w.client);
    return got;
  }
  void PassAndFree(World& w, const Payload& payload, std::uint64_t room) {
    w.service.Write(Commands().Free(Pass(w, payload, room).tr.buffer));
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ScatterTest);

// What every payload here begins with, so that no object is at offset 0.
Payload Start() { return Payload("8 bytes."); }

std::uint64_t PtrOf(const Received& r, std::size_t i) {
  return r.ObjectAt<BufferObject>(i).buffer;
}

// --- Where it goes ----------------------------------------------------------

// Rows: OB-23 OB-44 TX-25
TYPED_TEST(ScatterTest, MemoryIsCopiedBehindTheOffsets) {
  auto w = this->Build();
  const std::array<std::string, 4> texts = {"five.", "eightby.", "elevenbytes",
                                            "x"};
  Payload payload("odd");
  for (const std::string& text : texts) payload.Ptr(text.data(), text.size());
  payload.Bytes("tail", 4);
  const std::vector<std::byte> sent = payload.data();
  constexpr std::size_t kRoom = 8 + 8 + 16 + 8;
  for (const bool reply : {false, true}) {
    Actor<TypeParam>& to =
        reply ? static_cast<Actor<TypeParam>&>(w.client) : w.service;
    w.client.Write(Commands().TransactSg(w.handle, payload, kRoom));
    Received got = this->Receive(w.service);
    if (reply) {
      w.service.Write(Commands().Free(got.tr.buffer).ReplySg(payload, kRoom));
      got = w.client.Read().Get(kReply);
    }
    EXPECT_EQ(got.tr.data_size, sent.size());
    EXPECT_EQ(got.tr.offsets, got.tr.buffer + Align8(sent.size()));
    std::uint64_t at = got.tr.offsets + got.tr.offsets_size;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto object = got.template ObjectAt<BufferObject>(i);
      EXPECT_EQ(object.hdr.type, static_cast<std::uint32_t>(ObjectType::kPtr));
      EXPECT_EQ(object.buffer, at);
      EXPECT_EQ(object.length, texts[i].size());
      EXPECT_EQ(object.flags, 0u);
      EXPECT_EQ(TextAt(object.buffer, texts[i].size()), texts[i]);
      at += Align8(texts[i].size());
    }
    EXPECT_EQ(TextAt(got.tr.buffer + sent.size() - 4, 4), "tail");
    EXPECT_EQ(payload.data(), sent);
    to.Write(Commands().Free(got.tr.buffer));
    if (!reply) w.service.Write(Commands().Reply());
    this->Settle(w.service);
    this->Settle(w.client);
  }
}

// Rows: OB-24
TYPED_TEST(ScatterTest, NoRoom) {
  auto w = this->Build();
  const Memory memory('m');
  for (const std::uint64_t length : {std::uint64_t{17}, std::uint64_t{24},
                                     std::uint64_t{1} << 32, kMax - 7, kMax}) {
    SCOPED_TRACE(length);
    this->ExpectRefused(w, Start().Ptr(memory.data(), length), 16);
  }
  this->ExpectRefused(w, Start().Ptr(memory.data(), 1), 0);
  this->ExpectFails(w.client,
                    Commands().Transact(w.handle, Start().Ptr("x", 1)), kFailed,
                    Errc::kInvalid);
  // The first one takes up whole words.
  this->ExpectRefused(w, Start().Ptr(memory.data(), 9).Ptr(memory.data(), 1),
                      16);
  this->ExpectRefused(w, Start().Ptr(memory.data(), 8).Ptr(memory.data(), 9),
                      16);
  this->PassAndFree(w, Start().Ptr(memory.data(), 8).Ptr(memory.data(), 8), 16);
  this->PassAndFree(w, Start().Ptr(memory.data(), 16), 16);
  // Room that is not used is no error.
  this->PassAndFree(w, Start().Ptr(memory.data(), 3), 4096);
  this->ExpectFails(
      w.client,
      Commands().TransactSg(w.handle, Start(), std::uint64_t{1} << 40), kFailed,
      Errc::kNoSpace);
}

// Rows: OB-25
TYPED_TEST(ScatterTest, NothingAtAll) {
  auto w = this->Build();
  const Memory memory('m');
  w.client.Write(Commands().Transact(
      w.handle, Start().Ptr(memory.data(), 0).Ptr(nullptr, 0)));
  const Received got = this->Receive(w.service);
  const std::uint64_t end = got.tr.offsets + got.tr.offsets_size;
  EXPECT_EQ(PtrOf(got, 0), end);
  EXPECT_EQ(PtrOf(got, 1), end);
  w.service.Write(Commands().Free(got.tr.buffer).Reply());
  this->Settle(w.service);
  this->Settle(w.client);
  // Also where all the room has been taken.
  this->PassAndFree(w, Start().Ptr(memory.data(), 8).Ptr(memory.data(), 0), 8);
}

// --- Parents ----------------------------------------------------------------

// Rows: OB-30 OB-44
TYPED_TEST(ScatterTest, AddressesOfTheCopies) {
  auto w = this->Build();
  const Memory parent('p');
  const Memory child('c');
  const Memory grandchild('g');
  Payload payload = Start();
  payload.Ptr(parent.data(), 64)
      .PtrIn(child.data(), 32, 0, 8)
      .PtrIn(grandchild.data(), 5, 1, 24)
      .PtrIn(grandchild.data(), 6, 0, 56);
  const Received got = this->Pass(w, payload, 64 + 32 + 8 + 8);
  const std::uint64_t p = PtrOf(got, 0);
  const std::uint64_t c = PtrOf(got, 1);
  EXPECT_EQ(TextAt(p, 8), std::string(8, 'p'));
  EXPECT_EQ(WordAt(p + 8), c);
  EXPECT_EQ(TextAt(p + 16, 40), std::string(40, 'p'));
  EXPECT_EQ(WordAt(p + 56), PtrOf(got, 3));
  EXPECT_EQ(TextAt(c, 24), std::string(24, 'c'));
  EXPECT_EQ(WordAt(c + 24), PtrOf(got, 2));
  EXPECT_EQ(TextAt(PtrOf(got, 2), 5), "ggggg");
  EXPECT_EQ(TextAt(PtrOf(got, 3), 6), "gggggg");
  const auto object = got.template ObjectAt<BufferObject>(1);
  EXPECT_EQ(object.flags, kBufferFlagHasParent);
  EXPECT_EQ(object.parent, 0u);
  EXPECT_EQ(object.parent_offset, 8u);
  // The sender's memory is as it was.
  EXPECT_EQ(TextAt(AddressOf(parent.data()), 64), std::string(64, 'p'));
  EXPECT_EQ(TextAt(AddressOf(child.data()), 64), std::string(64, 'c'));
}

// Rows: OB-30 AL-26
TYPED_TEST(ScatterTest, MemoryIsReadOnce) {
  auto w = this->Build({.memory = &this->read_once});
  const Memory parent('p');
  const Memory child('c');
  Payload payload = Start();
  payload.Ptr(parent.data(), 64).PtrIn(child.data(), 64, 0, 8).Handle(w.handle);
  payload.Bytes("the end", 7);
  this->PassAndFree(w, payload, 128);
  EXPECT_EQ(this->read_once.Most(parent.data(), 64), 1);
  EXPECT_EQ(this->read_once.Most(child.data(), 64), 1);
  EXPECT_EQ(this->read_once.Most(payload.offsets().data(), 24), 1);
}

// Rows: OB-26
TYPED_TEST(ScatterTest, ParentMustBeAnEarlierPtr) {
  auto w = this->Build();
  const Memory m('m');
  for (const std::uint64_t parent :
       {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{3}, kMax,
        std::uint64_t{1} << 61}) {
    SCOPED_TRACE(parent);
    Payload payload = Start();
    // Object 1, whose parent is itself, a later one, none.
    payload.Ptr(m.data(), 16).PtrIn(m.data(), 8, parent, 0).Ptr(m.data(), 16);
    this->ExpectRefused(w, payload, 64);
  }
  this->ExpectRefused(w, Start().PtrIn(m.data(), 16, 0, 0), 64);
  // Other objects are no parents.
  const Memory number('\0');
  const TestFile file;
  const int fd = this->files.Add(file);
  for (int i = 0; i < 5; ++i) {
    SCOPED_TRACE(i);
    Payload payload = Start().Ptr(number.data(), 16);
    switch (i) {
      case 0:
        payload.Binder(0x7000, 1);
        break;
      case 1:
        payload.Handle(w.handle);
        break;
      case 2:
        payload.WeakBinder(0x7000, 1);
        break;
      case 3:
        payload.FdArray(0, 0);
        break;
      default:
        payload.Fd(fd);
        break;
    }
    Payload with_array = payload;
    this->ExpectRefused(w, payload.PtrIn(m.data(), 8, 1, 0), 64);
    this->ExpectRefused(w, with_array.FdArray(0, 1), 64);
  }
}

// Rows: OB-27
TYPED_TEST(ScatterTest, AddressMustFitIntoTheParent) {
  auto w = this->Build();
  const Memory m('m');
  struct Case {
    std::uint64_t length;
    std::uint64_t offset;
    bool fits;
  };
  for (const Case& c :
       {Case{0, 0, false}, Case{7, 0, false}, Case{8, 0, true},
        Case{8, 1, false}, Case{15, 8, false}, Case{16, 8, true},
        Case{16, 16, false}, Case{64, 56, true}, Case{64, 57, false},
        Case{64, 64, false}, Case{64, kMax, false}, Case{64, kMax - 7, false},
        Case{7, kMax, false}}) {
    SCOPED_TRACE(std::to_string(c.offset) + " of " + std::to_string(c.length));
    Payload payload = Start();
    payload.Ptr(m.data(), c.length).PtrIn(m.data(), 8, 0, c.offset);
    if (c.fits) {
      this->PassAndFree(w, payload, 128);
    } else {
      this->ExpectRefused(w, payload, 128);
    }
  }
}

// Which parents and which offsets are allowed, in which order. Object 0 is a
// PTR to 64 bytes; each further one is a child {parent, offset}, or a PTR
// without one {-1, 0}.
//
// Rows: OB-28
TYPED_TEST(ScatterTest, OrderOfPlaces) {
  auto w = this->Build();
  const Memory m('m');
  struct Step {
    int parent;
    std::uint64_t offset;
  };
  struct Case {
    const char* what;
    std::vector<Step> steps;
    bool good;
  };
  const std::vector<Case> cases = {
      {"upwards, side by side", {{0, 0}, {0, 8}, {0, 16}, {0, 56}}, true},
      {"upwards, with gaps", {{0, 4}, {0, 20}, {0, 44}}, true},
      {"the same place", {{0, 8}, {0, 8}}, false},
      {"overlapping", {{0, 8}, {0, 15}}, false},
      {"downwards", {{0, 16}, {0, 8}}, false},
      {"downwards later on", {{0, 8}, {0, 24}, {0, 16}}, false},
      {"a chain", {{0, 8}, {1, 8}, {2, 8}, {3, 8}}, true},
      {"a chain, and back", {{0, 8}, {1, 8}, {2, 8}, {0, 16}}, true},
      {"a chain, back one by one", {{0, 8}, {1, 8}, {1, 16}, {0, 16}}, true},
      {"a chain, and back to the same place", {{0, 8}, {1, 8}, {0, 8}}, false},
      {"a chain, and back overlapping", {{0, 8}, {1, 8}, {0, 12}}, false},
      {"a fresh one has no places taken", {{0, 24}, {1, 0}}, true},
      {"a sibling that is done", {{0, 8}, {0, 16}, {1, 8}}, false},
      {"a cousin that is done", {{0, 8}, {1, 8}, {0, 16}, {2, 8}}, false},
      {"another one in between", {{0, 8}, {-1, 0}, {0, 16}}, false},
      {"another one in between is the parent", {{0, 8}, {-1, 0}, {2, 0}}, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Payload payload = Start();
    payload.Ptr(m.data(), 64);
    for (const Step& step : c.steps) {
      if (step.parent < 0) {
        payload.Ptr(m.data(), 64);
      } else {
        payload.PtrIn(m.data(), 64, static_cast<std::uint64_t>(step.parent),
                      step.offset);
      }
    }
    if (c.good) {
      this->PassAndFree(w, payload, 64 * 5);
    } else {
      this->ExpectRefused(w, payload, 64 * 5);
    }
  }
}

// Two payloads of which the parent is the first thing in the data.
std::array<Payload, 2> WithParentAtZero(const Memory& m) {
  std::array<Payload, 2> payloads;
  payloads[0].Ptr(m.data(), 16).PtrIn(m.data(), 8, 0, 0);
  payloads[1].Ptr(m.data(), 16).FdArray(0, 0);
  return payloads;
}

// Rows: OB-29
TYPED_TEST(ScatterTest, ParentAtOffsetZero) {
  auto w = this->Build();
  const Memory m('m');
  for (const Payload& payload : WithParentAtZero(m)) {
    this->ExpectRefused(w, payload, 32);
  }
  // A child of a child of it would be one, too. But it may be there.
  this->ExpectRefused(
      w, Payload().Ptr(m.data(), 16).Ptr(m.data(), 16).PtrIn(m.data(), 8, 0, 0),
      64);
  this->PassAndFree(
      w, Payload().Ptr(m.data(), 16).Ptr(m.data(), 16).PtrIn(m.data(), 8, 1, 0),
      64);
}

class ScatterQuirkTest : public ScatterTest<FineGrained<>> {
 protected:
  ScatterQuirkTest()
      : ScatterTest({.quirks = {.parent_at_offset_zero = true}}) {}
};

// Rows: OB-29
TEST_F(ScatterQuirkTest, ParentAtOffsetZero) {
  auto w = Build();
  const Memory m('m');
  for (const Payload& payload : WithParentAtZero(m)) {
    PassAndFree(w, payload, 32);
  }
  const Received got = Pass(w, WithParentAtZero(m)[0], 32);
  EXPECT_EQ(WordAt(PtrOf(got, 0)), PtrOf(got, 1));
}

// --- Arrays of descriptors --------------------------------------------------

// Rows: OB-31 OB-30
TYPED_TEST(ScatterTest, ArraysWithinMemory) {
  auto w = this->Build();
  const TestFile file;
  const int fd = this->files.Add(file);
  std::array<std::int32_t, 16> numbers;
  numbers.fill(fd);
  const Memory child('c');
  Payload payload = Start();
  // fds 1 and 2, an address at 16, fds 6 to 8, fd 15; the rest is data.
  payload.Ptr(numbers.data(), sizeof(numbers))
      .FdArray(2, 0, 4)
      .PtrIn(child.data(), 8, 0, 16)
      .FdArray(3, 0, 24)
      .FdArray(1, 0, 60);
  const Received got = this->Pass(w, payload, 64 + 8);
  std::array<std::int32_t, 16> read = {};
  std::memcpy(read.data(), reinterpret_cast<const void*>(PtrOf(got, 0)),
              sizeof(read));
  int next = fd + 1;
  for (const std::size_t i : {1u, 2u, 6u, 7u, 8u, 15u}) {
    EXPECT_EQ(read[i], next);
    EXPECT_TRUE(this->files.Has(next++, file));
  }
  for (const std::size_t i : {0u, 3u, 9u, 14u}) EXPECT_EQ(read[i], fd) << i;
  EXPECT_EQ(WordAt(PtrOf(got, 0) + 16), PtrOf(got, 2));
  const auto array = got.template ObjectAt<FdArrayObject>(1);
  EXPECT_EQ(array.num_fds, 2u);
  EXPECT_EQ(array.parent, 0u);
  EXPECT_EQ(array.parent_offset, 4u);
  EXPECT_EQ(numbers[1], fd);
  w.service.Write(Commands().Free(got.tr.buffer));
  EXPECT_EQ(this->files.size(), 1u);
}

// Rows: OB-31 OB-32 OB-26
TYPED_TEST(ScatterTest, ArraysThatAreNotWithinMemory) {
  auto w = this->Build();
  const TestFile file;
  const int fd = this->files.Add(file);
  std::array<std::int32_t, 16> numbers;
  numbers.fill(fd);
  struct Case {
    std::uint64_t count;
    std::uint64_t parent;
    std::uint64_t offset;
  };
  for (const Case& c :
       {// The last one does not fit.
        Case{17, 0, 0}, Case{16, 0, 4}, Case{1, 0, 64}, Case{2, 0, 60},
        // Not even by much.
        Case{1, 0, 68}, Case{1, 0, kMax}, Case{1, 0, kMax - 3}, Case{0, 0, 68},
        Case{0, 0, kMax - 3},
        // Overflows.
        Case{std::uint64_t{1} << 62, 0, 0}, Case{kMax, 0, 0},
        Case{(std::uint64_t{1} << 62) + 1, 0, 0},
        Case{(std::uint64_t{1} << 62) + 16, 0, 0}, Case{kMax / 4, 0, 60},
        Case{kMax / 4 + 1, 0, 4},
        // Not aligned.
        Case{1, 0, 1}, Case{1, 0, 2}, Case{1, 0, 6}, Case{0, 0, 3},
        // No parent.
        Case{1, 1, 0}, Case{1, 2, 0}, Case{0, 1, 0}, Case{0, kMax, 0}}) {
    SCOPED_TRACE(std::to_string(c.count) + " in " + std::to_string(c.parent) +
                 " at " + std::to_string(c.offset));
    Payload payload = Start();
    payload.Ptr(numbers.data(), sizeof(numbers))
        .FdArray(c.count, c.parent, c.offset);
    this->ExpectRefused(w, payload, 64);
  }
  // The sender's address is not aligned.
  for (const int off : {1, 2, 3}) {
    SCOPED_TRACE(off);
    const auto* bytes = reinterpret_cast<const char*>(numbers.data()) + off;
    this->ExpectRefused(w, Start().Ptr(bytes, 16).FdArray(1, 0), 64);
    this->ExpectRefused(w, Start().Ptr(bytes, 16).FdArray(0, 0), 64);
  }
  // Out of order: with one another, and with addresses.
  const auto* data = numbers.data();
  this->ExpectRefused(
      w, Start().Ptr(data, 64).FdArray(2, 0, 4).FdArray(1, 0, 8), 64);
  this->ExpectRefused(
      w, Start().Ptr(data, 64).FdArray(1, 0, 8).FdArray(1, 0, 0), 64);
  this->ExpectRefused(
      w, Start().Ptr(data, 64).FdArray(2, 0, 4).PtrIn(data, 8, 0, 8), 72);
  this->ExpectRefused(
      w, Start().Ptr(data, 64).PtrIn(data, 8, 0, 8).FdArray(1, 0, 12), 72);
  EXPECT_EQ(this->files.TakeClosed(), std::vector<int>{});
}

// Rows: OB-33 OB-35
TYPED_TEST(ScatterTest, EmptyArrays) {
  // Also where none with something in it would be accepted.
  auto w = this->Build({}, /*flags=*/0);
  const Memory m('m');
  for (const std::uint64_t offset : {0u, 4u, 60u, 64u}) {
    SCOPED_TRACE(offset);
    const Received got =
        this->Pass(w, Start().Ptr(m.data(), 64).FdArray(0, 0, offset), 64);
    EXPECT_EQ(TextAt(PtrOf(got, 0), 64), std::string(64, 'm'));
    w.service.Write(Commands().Free(got.tr.buffer));
  }
  this->PassAndFree(w, Start().Ptr(m.data(), 0).FdArray(0, 0), 0);
  this->PassAndFree(w, Start().Ptr(m.data(), 3).FdArray(0, 0), 8);
  EXPECT_EQ(this->files.gets(), 0);
  EXPECT_EQ(this->files.TakeClosed(), std::vector<int>{});
}

// --- Faults -----------------------------------------------------------------

// Rows: OB-42 OB-43
TYPED_TEST(ScatterTest, MemoryThatFaults) {
  auto w = this->Build({.memory = &this->memory()});
  const TestFile file;
  const int fd = this->files.Add(file);
  std::array<std::int32_t, 4> numbers;
  numbers.fill(fd);
  const Memory parent('p');
  const Memory child('c');
  Payload payload = Start();
  payload.Ptr(numbers.data(), sizeof(numbers))
      .FdArray(2, 0, 4)
      .Binder(0x7000, 1)
      .Ptr(parent.data(), 17)
      .PtrIn(child.data(), 9, 3, 8);
  constexpr std::uint64_t kRoom = 16 + 24 + 16;
  const auto ExpectFaults = [&](const void* begin, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      SCOPED_TRACE(i);
      this->memory().Fault(AddressOf(begin) + i);
      this->ExpectRefused(w, payload, kRoom);
    }
  };
  ExpectFaults(numbers.data(), sizeof(numbers));
  ExpectFaults(parent.data(), 17);
  ExpectFaults(child.data(), 9);
  // Not a byte more.
  this->memory().Fault(AddressOf(parent.data()) + 17);
  this->PassAndFree(w, payload, kRoom);
  this->memory().Fault(AddressOf(child.data()) + 9);
  this->PassAndFree(w, payload, kRoom);
  // Nothing is read where there is nothing.
  this->PassAndFree(w, Start().Ptr(nullptr, 0), 8);
  this->ExpectRefused(w, Start().Ptr(nullptr, 1), 8);
}

// --- The label behind it ----------------------------------------------------

// Rows: SC-02 SC-03
TYPED_TEST(ScatterTest, TheLabelIsOutOfReach) {
  auto w = this->Build({.label = "sender's label"}, kFlatTxnSecurityCtx);
  const Memory m('m');
  for (const std::uint64_t room : {0u, 8u, 32u}) {
    SCOPED_TRACE(room);
    this->ExpectRefused(w, Start().Ptr(m.data(), room + 1), room);
    this->ExpectRefused(w, Start().Ptr(m.data(), room).Ptr(m.data(), 1), room);
    w.client.Write(Commands().TransactSg(
        w.handle, Start().Ptr(m.data(), room).Ptr(m.data(), 0), room));
    const Received got = w.service.Read().Get(Br::BR_TRANSACTION_SEC_CTX);
    EXPECT_EQ(TextAt(PtrOf(got, 0), room), std::string(room, 'm'));
    EXPECT_EQ(got.secctx, got.tr.offsets + got.tr.offsets_size + room);
    EXPECT_EQ(TextAt(got.secctx, 16), std::string("sender's label\0\0", 16));
    this->Answer(w.service, got);
    this->Settle(w.client);
  }
}

}  // namespace
}  // namespace binderlite::testing
