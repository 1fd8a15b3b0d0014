// SPDX-License-Identifier: Apache-2.0
//
// The receive arena: by itself (ArenaTest), and as senders and receivers see
// it through the driver (ArenaBehaviourTest).

#include "binderlite/core/arena.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/core/buffer.h"
#include "binderlite/memory/mapping.h"
#include "binderlite/memory/user_memory.h"
#include "binderlite/sync/locking.h"
#include "support/driver_test.h"

namespace binderlite::testing {
namespace {

using ErrorList = std::vector<UserError>;
using Arena = core::Arena<FineGrained<>>;
using Buffer = core::Buffer<FineGrained<>>;

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();

// --- By itself -------------------------------------------------------------

Buffer* Allocate(Arena& arena, std::size_t size, bool is_async = false) {
  const Arena::Allocation result =
      arena.Allocate({.data_size = size}, is_async);
  EXPECT_EQ(result.error, Errc::kOk);
  return result.buffer;
}

Errc ErrorOf(Arena& arena, const Arena::Layout& layout, bool is_async = false) {
  const Arena::Allocation result = arena.Allocate(layout, is_async);
  EXPECT_EQ(result.buffer == nullptr, result.error != Errc::kOk);
  return result.error;
}

// Rows: AL-01
TEST(ArenaTest, MapsAtMostFourMebibytesInWholePages) {
  const std::map<std::size_t, std::size_t> usable = {
      {1, kPage},
      {kPage, kPage},
      {kPage + 1, 2 * kPage},
      {Arena::kMaxSize, std::size_t{4} << 20},
      {Arena::kMaxSize + 1, std::size_t{4} << 20},
      {kHuge, std::size_t{4} << 20}};
  for (const auto& [asked, size] : usable) {
    Arena arena;
    EXPECT_EQ(arena.Map(asked), Errc::kOk);
    EXPECT_EQ(arena.usage().size, size);
    EXPECT_EQ(arena.usage().free_bytes, size);
    EXPECT_EQ(arena.usage().free_async, size / 2);
    EXPECT_EQ(arena.usage().holes, 1u);
    EXPECT_TRUE(arena.usage().mapped);
  }
}

TEST(ArenaTest, NothingCanBeMappedWithoutASize) {
  Arena arena;
  EXPECT_EQ(arena.Map(0), Errc::kInvalid);
  EXPECT_FALSE(arena.usage().mapped);
  EXPECT_EQ(arena.Map(kPage), Errc::kOk);
}

// Rows: AL-03
TEST(ArenaTest, IsMappedOnceInItsLife) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  EXPECT_EQ(arena.Map(2 * kPage), Errc::kBusy);
  EXPECT_EQ(arena.usage().size, kPage);
  arena.Unmap();
  EXPECT_EQ(arena.Map(kPage), Errc::kBusy);
  EXPECT_FALSE(arena.usage().mapped);
}

// Rows: RD-26 AL-15
TEST(ArenaTest, ItsOwnerMaySeeItElsewhere) {
  constexpr std::uint64_t kElsewhere = 0x12340000;
  Arena arena;
  ASSERT_EQ(arena.Map(memory::Mapping(2 * kPage), kElsewhere), Errc::kOk);
  EXPECT_EQ(arena.Map(kPage), Errc::kBusy);
  EXPECT_EQ(arena.usage().size, 2 * kPage);
  EXPECT_EQ(arena.usage().address, kElsewhere);
  Buffer* const first = Allocate(arena, 64);
  Buffer* const second = Allocate(arena, 64);
  EXPECT_EQ(first->address(), kElsewhere);
  EXPECT_EQ(second->address(), kElsewhere + 64);
  EXPECT_EQ(second->data - first->data, 64);
  second->data[0] = std::byte{1};  // Is memory, and not at that address.
  arena.MarkDelivered(*first);
  arena.MarkDelivered(*second);
  for (const std::uint64_t wrong :
       {reinterpret_cast<std::uint64_t>(second->data), kElsewhere - 64,
        kElsewhere + 2 * kPage}) {
    EXPECT_FALSE(arena.ClaimOrFree(wrong).found);
  }
  EXPECT_TRUE(arena.ClaimOrFree(kElsewhere + 64).found);
  EXPECT_TRUE(arena.ClaimOrFree(kElsewhere).found);
}

// Rows: AL-05
TEST(ArenaTest, AllocatesNothingUnlessMapped) {
  Arena arena;
  EXPECT_EQ(ErrorOf(arena, {.data_size = 8}), Errc::kNoProcess);
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  Buffer* const buffer = Allocate(arena, 8);
  arena.Unmap();
  EXPECT_EQ(ErrorOf(arena, {.data_size = 8}), Errc::kNoProcess);
  // What there is can be used and freed still.
  buffer->data[7] = std::byte{1};
  arena.MarkDelivered(*buffer);
  EXPECT_TRUE(arena.ClaimOrFree(buffer->address()).found);
  EXPECT_EQ(arena.usage().buffers, 0u);
}

// Rows: AL-07
TEST(ArenaTest, AccountsForThreePartsRoundedUpToEight) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  const std::vector<std::pair<Arena::Layout, std::size_t>> cases = {
      {{0, 0, 0}, 8},  {{1, 0, 0}, 8},    {{8, 0, 0}, 8},
      {{9, 0, 0}, 16}, {{0, 8, 0}, 8},    {{0, 0, 1}, 8},
      {{1, 1, 1}, 24}, {{24, 8, 40}, 72}, {{25, 9, 41}, 96}};
  for (const auto& [layout, size] : cases) {
    const std::size_t before = arena.usage().free_bytes;
    const Arena::Allocation result = arena.Allocate(layout, false);
    ASSERT_EQ(result.error, Errc::kOk);
    EXPECT_EQ(result.buffer->size, size);
    EXPECT_EQ(before - arena.usage().free_bytes, size);
  }
}

// Rows: AL-07
TEST(ArenaTest, SumsThatWrapAreInvalidAndHugeOnesDoNotFit) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  constexpr std::size_t kHalf = std::size_t{1} << 63;
  for (const bool is_async : {false, true}) {
    for (const Arena::Layout& layout :
         std::vector<Arena::Layout>{{kHuge, 0, 0},
                                    {0, kHuge - 6, 0},
                                    {0, 0, kHuge},
                                    {kHalf, kHalf, 0},
                                    {kHalf, 0, kHalf},
                                    {8, kHalf, kHalf},
                                    {kHuge - 7, 8, 0},
                                    {kHuge - 15, 8, 8}}) {
      EXPECT_EQ(ErrorOf(arena, layout, is_async), Errc::kInvalid);
    }
    for (const Arena::Layout& layout :
         std::vector<Arena::Layout>{{kHuge - 7, 0, 0},
                                    {kHuge - 15, 8, 0},
                                    {kHalf, kHalf - 8, 0},
                                    {kHuge - 23, 8, 8},
                                    {kPage + 1, 0, 0}}) {
      EXPECT_EQ(ErrorOf(arena, layout, is_async), Errc::kNoSpace);
    }
  }
  EXPECT_EQ(arena.usage().free_bytes, kPage);
}

// Rows: AL-08 AL-10
TEST(ArenaTest, TakesTheSmallestHoleThatFits) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  const std::uint64_t base = arena.usage().address;
  Buffer* const large = Allocate(arena, 512);
  (void)Allocate(arena, 8);
  Buffer* const small = Allocate(arena, 128);
  (void)Allocate(arena, 8);
  Buffer* const middle = Allocate(arena, 256);
  Buffer* const last = Allocate(arena, kPage - 512 - 8 - 128 - 8 - 256);
  EXPECT_EQ(large->address(), base);
  EXPECT_EQ(last->offset + last->size, kPage);
  EXPECT_EQ(arena.usage().holes, 0u);
  const std::uint64_t small_at = small->address();
  const std::uint64_t middle_at = middle->address();
  for (Buffer* buffer : {large, small, middle}) arena.Free(*buffer);

  // Split at exactly what was asked for.
  EXPECT_EQ(Allocate(arena, 96)->address(), small_at);
  EXPECT_EQ(Allocate(arena, 32)->address(), small_at + 96);
  EXPECT_EQ(Allocate(arena, 129)->address(), middle_at);
  EXPECT_EQ(Allocate(arena, 260)->address(), base);
  EXPECT_EQ(Allocate(arena, 120)->address(), middle_at + 136);
  // 248 bytes are left, all in one hole.
  EXPECT_EQ(arena.usage().free_bytes, 248u);
  EXPECT_EQ(ErrorOf(arena, {.data_size = 249}), Errc::kNoSpace);
  EXPECT_EQ(Allocate(arena, 248)->address(), base + 264);
}

// Rows: AL-10
TEST(ArenaTest, HolesDoNotAddUp) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  std::vector<Buffer*> buffers;
  for (std::size_t i = 0; i < 4; ++i) {
    buffers.push_back(Allocate(arena, kPage / 4));
  }
  arena.Free(*buffers[0]);
  arena.Free(*buffers[2]);
  EXPECT_EQ(arena.usage().free_bytes, kPage / 2);
  EXPECT_EQ(ErrorOf(arena, {.data_size = kPage / 4 + 1}), Errc::kNoSpace);
}

// Rows: AL-09
TEST(ArenaTest, FreedBuffersMergeIntoOneHole) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  std::vector<Buffer*> buffers;
  for (std::size_t i = 0; i < 4; ++i) {
    buffers.push_back(Allocate(arena, kPage / 4));
  }
  for (const auto& [index, holes] :
       std::vector<std::pair<std::size_t, std::size_t>>{
           {1, 1}, {3, 2}, {2, 1}, {0, 1}}) {
    arena.Free(*buffers[index]);
    EXPECT_EQ(arena.usage().holes, holes);
  }
  EXPECT_EQ(Allocate(arena, kPage)->offset, 0u);
}

// Rows: AL-12 AL-13
TEST(ArenaTest, OneWaysHaveHalfOfItExactly) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  std::vector<Buffer*> tiny;
  for (std::size_t left = kPage / 2; left != 0; left -= 8) {
    EXPECT_EQ(arena.usage().free_async, left);
    tiny.push_back(Allocate(arena, 0, /*is_async=*/true));
  }
  EXPECT_EQ(ErrorOf(arena, {}, /*is_async=*/true), Errc::kNoSpace);
  // A synchronous one neither needs the budget nor changes it.
  Buffer* const rest = Allocate(arena, kPage / 2);
  arena.Free(*rest);
  EXPECT_EQ(arena.usage().free_async, 0u);
  for (Buffer* buffer : tiny) arena.Free(*buffer);
  EXPECT_EQ(arena.usage().free_async, kPage / 2);
  (void)Allocate(arena, kPage / 2, /*is_async=*/true);
}

// One-ways of `sender`, `count` of them, of `size` bytes; returns the numbers,
// from 1, of those that are suspects.
std::vector<int> SpamFrom(Arena& arena, std::int32_t sender, int count,
                          std::size_t size) {
  std::vector<int> suspects;
  for (int i = 1; i <= count; ++i) {
    const Arena::Allocation result = arena.Allocate(
        {.data_size = size}, /*is_async=*/true, {.sender_pid = sender});
    EXPECT_EQ(result.error, Errc::kOk) << i;
    if (result.spam_suspect) suspects.push_back(i);
  }
  return suspects;
}

// Of 64 KiB, 32 are for one-ways; less than 6553 bytes of them is little.
//
// Rows: AL-22
TEST(ArenaTest, SpamIsAQuarterOfTheArenaFromOneSender) {
  Arena arena;
  EXPECT_EQ(arena.Map(16 * kPage), Errc::kOk);
  EXPECT_EQ(SpamFrom(arena, 1, 1, 3 * kPage), std::vector<int>{});
  // Exactly a quarter, and little is left: not yet.
  EXPECT_EQ(SpamFrom(arena, 2, 4, kPage), std::vector<int>{});
  EXPECT_EQ(arena.usage().free_async, kPage);
  EXPECT_EQ(SpamFrom(arena, 2, 1, 8), std::vector<int>{});
  // A byte more, not counting the one that is made.
  EXPECT_EQ(SpamFrom(arena, 1, 1, 8), std::vector<int>{});
  EXPECT_EQ(SpamFrom(arena, 2, 1, 8), std::vector<int>{1});
}

// Rows: AL-22
TEST(ArenaTest, SpamIsMoreThanFiftyBuffersOfOneSender) {
  Arena arena;
  EXPECT_EQ(arena.Map(16 * kPage), Errc::kOk);
  EXPECT_EQ(SpamFrom(arena, 1, 2, 13000), std::vector<int>{});
  EXPECT_EQ(SpamFrom(arena, 2, 49, 8), std::vector<int>{});
  // Those of others do not count, nor does what is no one-way.
  EXPECT_EQ(SpamFrom(arena, 3, 20, 16), std::vector<int>{});
  for (int i = 0; i < 60; ++i) (void)Allocate(arena, 8);
  EXPECT_LT(arena.usage().free_async, 6553u);
  EXPECT_EQ(SpamFrom(arena, 2, 3, 8), std::vector<int>{3});
}

// Rows: AL-22
TEST(ArenaTest, SpamCountsANewBufferWhereOneOfItsSenderHasBeen) {
  for (const std::int32_t sender : {1, 2}) {
    for (const bool is_async : {false, true}) {
      Arena arena;
      EXPECT_EQ(arena.Map(2 * kPage), Errc::kOk);
      const Arena::Allocation before =
          arena.Allocate({.data_size = 64}, is_async, {.sender_pid = sender});
      ASSERT_EQ(before.error, Errc::kOk);
      arena.Free(*before.buffer);
      // 816 bytes are left, and less than 819 is little.
      EXPECT_EQ(SpamFrom(arena, 1, 1, 3280),
                sender == 1 ? std::vector<int>{1} : std::vector<int>{});
    }
  }
}

// Rows: AL-22
TEST(ArenaTest, SpamCountsNoMemoryCutOffBehindOneThatIsMadeAgain) {
  for (const std::size_t again : {std::size_t{64}, std::size_t{72}}) {
    Arena arena;
    EXPECT_EQ(arena.Map(2 * kPage), Errc::kOk);
    Buffer* const first = Allocate(arena, 64);
    const Arena::Allocation second = arena.Allocate(
        {.data_size = 64}, /*is_async=*/false, {.sender_pid = 1});
    ASSERT_EQ(second.error, Errc::kOk);
    arena.Free(*second.buffer);
    arena.Free(*first);
    EXPECT_NE(Allocate(arena, again), nullptr);
    // Where the second one was, unless it is larger, but not in its memory.
    EXPECT_EQ(SpamFrom(arena, 1, 1, 3280), std::vector<int>{});
  }
}

// A buffer that is freed may rest where it is; nobody can tell.
// Rows: AL-07
TEST(ArenaTest, OneThatIsMadeAgainIsLikeANewOne) {
  Arena arena;
  EXPECT_EQ(arena.Map(2 * kPage), Errc::kOk);
  Buffer* const first = Allocate(arena, 64);
  arena.MarkDelivered(*first);
  const std::uint64_t address = first->address();
  EXPECT_TRUE(arena.ClaimOrFree(address).found);
  EXPECT_FALSE(arena.ClaimOrFree(address).found);
  EXPECT_TRUE(arena.ListBuffers().empty());
  EXPECT_EQ(arena.usage().buffers, 0u);
  EXPECT_EQ(arena.usage().free_bytes, 2 * kPage);
  EXPECT_EQ(arena.usage().holes, 1u);

  const Arena::Allocation same =
      arena.Allocate({.data_size = 60, .offsets_size = 0}, /*is_async=*/false,
                     {.id = 7, .node_id = 8, .sender_pid = 9});
  ASSERT_EQ(same.error, Errc::kOk);
  EXPECT_EQ(same.buffer->address(), address);
  EXPECT_EQ(same.buffer->layout.data_size, 60u);
  EXPECT_EQ(same.buffer->purpose.id, 7u);
  EXPECT_FALSE(same.buffer->clear_on_free);
  EXPECT_EQ(arena.usage().free_bytes, 2 * kPage - 64);
  arena.Free(*same.buffer);

  // A one-way and one of another size find the memory free.
  const Arena::Allocation one_way =
      arena.Allocate({.data_size = 64}, /*is_async=*/true);
  ASSERT_EQ(one_way.error, Errc::kOk);
  EXPECT_EQ(one_way.buffer->address(), address);
  EXPECT_EQ(arena.usage().free_async, kPage - 64);
  arena.Free(*one_way.buffer);
  Buffer* const all = Allocate(arena, 2 * kPage);
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(all->address(), address);
  arena.Free(*all);
  arena.Unmap();
  EXPECT_EQ(arena.Allocate({.data_size = 2 * kPage}, false).error,
            Errc::kNoProcess);
}

// Rows: AL-22
TEST(ArenaTest, NoSpamAsLongAsThereIsRoom) {
  Arena arena;
  EXPECT_EQ(arena.Map(16 * kPage), Errc::kOk);
  EXPECT_EQ(SpamFrom(arena, 1, 408, 64), std::vector<int>{});
  EXPECT_EQ(arena.usage().free_async, 6656u);
  EXPECT_EQ(SpamFrom(arena, 1, 12, 8), std::vector<int>{});
  EXPECT_EQ(arena.usage().free_async, 6560u);
  EXPECT_EQ(SpamFrom(arena, 1, 1, 8), std::vector<int>{1});
}

// Rows: AL-22
TEST(ArenaTest, SpamIsToldOnceUntilThereIsRoomAgain) {
  Arena arena;
  EXPECT_EQ(arena.Map(16 * kPage), Errc::kOk);
  Buffer* const others = Allocate(arena, 3 * kPage, /*is_async=*/true);
  EXPECT_EQ(SpamFrom(arena, 1, 4, kPage), std::vector<int>{});
  EXPECT_EQ(SpamFrom(arena, 1, 9, 8), std::vector<int>{2});
  // There is room, but not once the next one is there.
  arena.Free(*others);
  Buffer* const large =
      arena.Allocate({.data_size = 16000}, /*is_async=*/true, {.sender_pid = 1})
          .buffer;
  EXPECT_EQ(SpamFrom(arena, 1, 2, 8), std::vector<int>{});
  // Room by itself changes nothing; a one-way has to find it.
  arena.Free(*large);
  EXPECT_EQ(SpamFrom(arena, 1, 1, 12000), std::vector<int>{});
}

// Rows: AL-22
TEST(ArenaTest, SpamIsToldAgainOnceThereHasBeenRoom) {
  Arena arena;
  EXPECT_EQ(arena.Map(16 * kPage), Errc::kOk);
  Buffer* const others = Allocate(arena, 3 * kPage, /*is_async=*/true);
  EXPECT_EQ(SpamFrom(arena, 1, 4, kPage), std::vector<int>{});
  EXPECT_EQ(SpamFrom(arena, 1, 9, 8), std::vector<int>{2});
  arena.Free(*others);
  EXPECT_EQ(SpamFrom(arena, 1, 1, 8), std::vector<int>{});
  EXPECT_EQ(SpamFrom(arena, 1, 1, 12000), std::vector<int>{1});
  EXPECT_EQ(SpamFrom(arena, 1, 1, 8), std::vector<int>{});
}

// Rows: AL-15 AL-16 AL-17
TEST(ArenaTest, OnlyTheStartOfADeliveredBufferCanBeClaimed) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  Buffer* const buffer = Allocate(arena, 64);
  const std::uint64_t at = buffer->address();
  EXPECT_FALSE(arena.ClaimOrFree(at).found);  // In flight.
  buffer->clear_on_free = true;
  arena.MarkDelivered(*buffer);
  EXPECT_EQ(arena.usage().delivered, 1u);
  for (const std::uint64_t wrong : {std::uint64_t{0}, at - 8, at + 1, at + 8,
                                    at + 64, at + kPage, ~std::uint64_t{0}}) {
    EXPECT_FALSE(arena.ClaimOrFree(wrong).found) << wrong - at;
  }
  EXPECT_EQ(arena.ClaimOrFree(at).buffer, buffer);
  EXPECT_FALSE(arena.ClaimOrFree(at).found);  // Claimed.
  EXPECT_EQ(arena.usage().delivered, 0u);
  arena.Free(*buffer);
  EXPECT_FALSE(arena.ClaimOrFree(at).found);  // Freed.
}

TEST(ArenaTest, OrphansCannotBeClaimedAndGoWhenItRetires) {
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  Buffer* const orphan = Allocate(arena, 64, /*is_async=*/true);
  Buffer* const delivered = Allocate(arena, 64);
  Buffer* const carried = Allocate(arena, 64);
  arena.MarkOrphaned(*orphan);
  arena.MarkDelivered(*delivered);
  EXPECT_FALSE(arena.ClaimOrFree(orphan->address()).found);
  arena.Retire();
  EXPECT_EQ(arena.usage().buffers, 1u);
  EXPECT_EQ(arena.usage().free_async, kPage / 2);
  EXPECT_EQ(ErrorOf(arena, {}), Errc::kNoProcess);
  carried->data[63] = std::byte{1};
  arena.Free(*carried);
  EXPECT_EQ(arena.usage().buffers, 0u);
  EXPECT_EQ(arena.usage().free_bytes, kPage);
}

// Rows: AL-18
TEST(ArenaTest, OfThreadsThatClaimABufferExactlyOneWins) {
  constexpr std::size_t kBuffers = 256;
  Arena arena;
  ASSERT_EQ(arena.Map(kPage), Errc::kOk);
  std::vector<Buffer*> buffers;
  for (std::size_t i = 0; i < kBuffers; ++i) {
    buffers.push_back(Allocate(arena, 8));
    buffers.back()->clear_on_free = i % 2 == 0;  // Is claimed, not freed.
    arena.MarkDelivered(*buffers.back());
  }
  const std::uint64_t base = arena.usage().address;
  std::atomic<std::size_t> won{0};
  std::atomic<int> ready{0};
  const auto ClaimAll = [&] {
    ++ready;
    while (ready < 2) std::this_thread::yield();
    for (std::size_t i = 0; i < kBuffers; ++i) {
      const auto mine = arena.ClaimOrFree(base + i * 8);
      if (mine.buffer != nullptr) arena.Free(*mine.buffer);
      if (mine.found) ++won;
    }
  };
  {
    const std::jthread one(ClaimAll);
    const std::jthread two(ClaimAll);
  }
  EXPECT_EQ(won, kBuffers);
  EXPECT_EQ(arena.usage().buffers, 0u);
  EXPECT_EQ(arena.usage().holes, 1u);
}

// --- Through the driver ----------------------------------------------------

template <class L>
class ArenaBehaviourTest : public DriverTest<L> {
 protected:
  // A manager with an arena of a page, and who sends to it over handle 0.
  struct Two {
    Peer<L>& receiver;
    Peer<L>& sender;
  };
  Two SenderAndReceiver(std::size_t arena_size = kPage) {
    Peer<L>& receiver = this->OpenManager({.arena_size = arena_size});
    return {receiver, this->Open()};
  }

  using Usage = typename core::Arena<L>::Usage;
  static Usage UsageOf(Peer<L>& peer) {
    return peer.proc().state().arena.usage();
  }

  static Payload OfSize(std::size_t size) {
    return Payload(std::string(size, 'x'));
  }

  // A one-way of the sender that is accepted.
  void OneWay(Actor<L>& sender, const Payload& payload) {
    EXPECT_EQ(sender.Do(Commands().OneWay(0, payload)).codes(),
              (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  }
  // Sends what must be refused: the code that the sender reads, and the errno.
  static std::pair<Br, Errc> Refused(Actor<L>& sender,
                                     const Commands& commands) {
    const Result result = sender.Do(commands);
    EXPECT_EQ(result.received.size(), 2u);
    const auto [command, param] = sender.TakeError();
    EXPECT_EQ(command, result.received.back().br);
    return {command, static_cast<Errc>(-param)};
  }
  static constexpr std::pair<Br, Errc> kFailedNoSpace = {Br::BR_FAILED_REPLY,
                                                         Errc::kNoSpace};

  Received Take(Actor<L>& receiver) {
    return receiver.Read().Get(Br::BR_TRANSACTION);
  }

  void ExpectBadBuffers(std::size_t count) {
    EXPECT_EQ(this->gates().TakeErrors(),
              ErrorList(count, UserError::kBadBuffer));
  }
};
BINDERLITE_FOR_ALL_DISCIPLINES(ArenaBehaviourTest);

// Rows: AL-01 AL-11
TYPED_TEST(ArenaBehaviourTest, OnePayloadMayFillTheWholeMapping) {
  auto [receiver, sender] = this->SenderAndReceiver(std::size_t{8} << 20);
  constexpr std::size_t kUsable = std::size_t{4} << 20;
  EXPECT_EQ(this->UsageOf(receiver).size, kUsable);
  EXPECT_EQ(
      this->Refused(sender, Commands().Transact(0, this->OfSize(kUsable + 1))),
      this->kFailedNoSpace);
  const Payload all = this->OfSize(kUsable);
  sender.Write(Commands().Transact(0, all));
  const Received call = this->Take(receiver);
  EXPECT_EQ(call.tr.buffer, this->UsageOf(receiver).address);
  EXPECT_EQ(call.text().size(), kUsable);
  EXPECT_EQ(call.text(), std::string(kUsable, 'x'));
}

// Rows: AL-03
TYPED_TEST(ArenaBehaviourTest, ProcIsMappedOnce) {
  Peer<TypeParam>& mapped = this->Open({.arena_size = kPage});
  EXPECT_EQ(mapped.proc().Map(kPage), Errc::kBusy);
  Peer<TypeParam>& late = this->Open({.arena_size = 0});
  EXPECT_EQ(late.proc().Map(2 * kPage), Errc::kOk);
  EXPECT_EQ(late.proc().Map(2 * kPage), Errc::kBusy);
  late.proc().Unmap();
  EXPECT_EQ(late.proc().Map(2 * kPage), Errc::kBusy);
}

// Rows: AL-05
TYPED_TEST(ArenaBehaviourTest, WhoHasUnmappedSendsButReceivesNothing) {
  auto [manager, service, client, handle] = this->Connected();
  client.proc().Unmap();
  // Sending works, but the answer cannot be delivered (TX-20).
  const Payload question("question");
  client.Write(Commands().Transact(handle, question));
  const Received call = this->Take(service);
  EXPECT_EQ(call.text(), "question");
  EXPECT_EQ(service.Do(Commands().Free(call.tr.buffer).Reply()).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(
      client.Read().codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  // Nobody can send to it.
  service.proc().Unmap();
  for (const std::uint32_t flags : {0u, kTfOneWay}) {
    EXPECT_EQ(
        this->Refused(client, Commands().Transact(handle, Payload(), 0, flags)),
        std::pair(Br::BR_DEAD_REPLY, Errc::kNoProcess));
  }
}

// Rows: AL-07
TYPED_TEST(ArenaBehaviourTest, SizesThatDoNotAddUpAreInvalid) {
  auto [receiver, sender] = this->SenderAndReceiver();
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
  const auto Send = [&, &from = sender](std::uint64_t data,
                                        std::uint64_t offsets,
                                        std::uint64_t extra) {
    TransactionDataSg sg = {};
    sg.data.data_size = data;
    sg.data.offsets_size = offsets;
    sg.buffers_size = extra;
    return this->Refused(from, Commands().Put(Bc::BC_TRANSACTION_SG, sg));
  };
  constexpr std::pair kInvalid(Br::BR_FAILED_REPLY, Errc::kInvalid);
  EXPECT_EQ(Send(kHuge, 0, 0), kInvalid);
  EXPECT_EQ(Send(0, kHuge, 0), kInvalid);
  EXPECT_EQ(Send(0, 0, kHuge), kInvalid);
  EXPECT_EQ(Send(kHalf, kHalf, 0), kInvalid);
  EXPECT_EQ(Send(kHalf, 8, kHalf), kInvalid);
  EXPECT_EQ(Send(kHalf, 0, 0), this->kFailedNoSpace);
  EXPECT_EQ(Send(8, kHalf, 0), this->kFailedNoSpace);
  EXPECT_EQ(Send(8, 8, kHalf), this->kFailedNoSpace);
  // What adds up is accounted for: 1, 0 and 3 bytes are 16.
  const Payload one("x");
  TransactionDataSg sg = {};
  sg.data = one.Data();
  sg.buffers_size = 8;
  sender.Write(Commands().Put(Bc::BC_TRANSACTION_SG, sg));
  EXPECT_EQ(this->UsageOf(receiver).free_bytes, kPage - 16);
  // And an empty one takes 8.
  Actor other = sender.Spawn();
  other.Write(Commands().Transact(0));
  EXPECT_EQ(this->UsageOf(receiver).free_bytes, kPage - 24);
}

// Rows: AL-08 AL-09 AL-10
TYPED_TEST(ArenaBehaviourTest, BuffersGoIntoTheSmallestHole) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const std::uint64_t base = this->UsageOf(receiver).address;
  std::vector<Actor<TypeParam>> callers;
  const auto Call = [&, &from = sender](std::size_t size) {
    callers.push_back(from.Spawn());
    const Payload payload = this->OfSize(size);
    callers.back().Write(Commands().Transact(0, payload));
  };
  std::vector<Actor<TypeParam>> servers;
  const auto Next = [&, &to = receiver] {
    servers.push_back(to.Spawn());
    return this->Take(servers.back()).tr.buffer - base;
  };
  const auto Free = [&, &to = receiver](std::uint64_t offset) {
    to.Write(Commands().Free(base + offset));
  };
  for (const std::size_t size : {512u, 8u, 128u, 8u, 3440u}) Call(size);
  for (const std::uint64_t offset : {0u, 512u, 520u, 648u, 656u}) {
    EXPECT_EQ(Next(), offset);
  }
  Free(0);
  Free(520);
  Call(520);  // 640 bytes are free, 512 in one piece.
  EXPECT_EQ(callers.back().Read().codes(),
            (BrList{Br::BR_NOOP, Br::BR_FAILED_REPLY}));
  EXPECT_EQ(callers.back().TakeError(),
            std::pair(Br::BR_FAILED_REPLY, -ENOSPC));
  Call(100);  // 104 of the 128.
  EXPECT_EQ(Next(), 520u);
  Call(24);
  EXPECT_EQ(Next(), 624u);
  Call(24);
  EXPECT_EQ(Next(), 0u);
  for (const std::uint64_t offset : {0u, 512u, 520u, 624u, 648u, 656u}) {
    Free(offset);
  }
  EXPECT_EQ(this->UsageOf(receiver).holes, 1u);
  EXPECT_EQ(this->UsageOf(receiver).free_bytes, kPage);
}

// Rows: AL-12
TYPED_TEST(ArenaBehaviourTest, OneWaysMayUseHalfAndCallsTheRest) {
  auto [receiver, sender] = this->SenderAndReceiver();
  this->OneWay(sender, this->OfSize(kPage / 2 - 8));
  this->OneWay(sender, Payload());
  EXPECT_EQ(this->Refused(sender, Commands().OneWay(0)), this->kFailedNoSpace);
  const Payload half = this->OfSize(kPage / 2);
  sender.Write(Commands().Transact(0, half));
  EXPECT_EQ(this->UsageOf(receiver).free_bytes, 0u);
}

// Rows: AL-12
TYPED_TEST(ArenaBehaviourTest, CallsMayUseEverything) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const Payload all = this->OfSize(kPage);
  sender.Write(Commands().Transact(0, all));
  EXPECT_EQ(this->UsageOf(receiver).free_async, kPage / 2);
  Actor other = sender.Spawn();
  EXPECT_EQ(this->Refused(other, Commands().OneWay(0)), this->kFailedNoSpace);
}

// Rows: AL-13
TYPED_TEST(ArenaBehaviourTest, FreedOneWayGivesBackWhatItTook) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const auto Left = [&, &to = receiver] {
    return kPage / 2 - this->UsageOf(to).free_async;
  };
  for (const auto& [size, cost] :
       std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 8}, {1, 8}, {8, 8}, {9, 16}, {2048, 2048}}) {
    this->OneWay(sender, this->OfSize(size));
    EXPECT_EQ(Left(), cost);
    receiver.Write(Commands().Free(this->Take(receiver).tr.buffer));
    EXPECT_EQ(Left(), 0u);
  }
  // Never more than that: a full budget can be spent once.
  this->OneWay(sender, this->OfSize(2048));
  EXPECT_EQ(this->Refused(sender, Commands().OneWay(0)), this->kFailedNoSpace);
}

// Rows: AL-14
TYPED_TEST(ArenaBehaviourTest, FailedOneWayGivesBackItsBudget) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const std::string filler(1500, 'x');
  Payload bad_object;
  bad_object.Bytes(filler.data(), filler.size()).Handle(77);
  Payload bad_offset(filler);
  bad_offset.Offset(1600);
  TransactionData unreadable = Payload(filler).Data();
  unreadable.flags = kTfOneWay;
  unreadable.buffer = 16;
  EXPECT_EQ(this->Refused(sender, Commands().OneWay(0, bad_object)),
            std::pair(Br::BR_FAILED_REPLY, Errc::kInvalid));
  EXPECT_EQ(this->UsageOf(receiver).free_async, kPage / 2);
  EXPECT_EQ(this->Refused(sender, Commands().OneWay(0, bad_offset)),
            std::pair(Br::BR_FAILED_REPLY, Errc::kFault));
  EXPECT_EQ(this->UsageOf(receiver).free_async, kPage / 2);
  EXPECT_EQ(
      this->Refused(sender, Commands().Put(Bc::BC_TRANSACTION, unreadable)),
      std::pair(Br::BR_FAILED_REPLY, Errc::kFault));
  EXPECT_EQ(this->UsageOf(receiver).free_async, kPage / 2);
  EXPECT_EQ(this->UsageOf(receiver).buffers, 0u);
  this->OneWay(sender, this->OfSize(kPage / 2));
}

// Rows: AL-15
TYPED_TEST(ArenaBehaviourTest, FreeingReleasesAllThatTheBufferHeld) {
  auto [manager, service, client, handle] = this->Connected();
  const Payload first = Payload("first").Binder(0x77, 7);
  const Payload second("second");
  client.Write(
      Commands().OneWay(handle, first).OneWay(handle, second).Release(handle));
  this->Settle(client);  // It is told of its node, and says so.
  const Received got = this->Take(service);
  EXPECT_EQ(this->SnapshotOf(service).nodes.front().local_strong, 2);
  EXPECT_EQ(service.Read().error, Errc::kWouldBlock);

  service.Write(Commands().Free(got.tr.buffer));
  EXPECT_TRUE(this->SnapshotOf(service).refs.empty());
  EXPECT_EQ(Codes(client.ReadAll()), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  EXPECT_EQ(this->SnapshotOf(service).nodes.front().local_strong, 1);
  const Received next = this->Take(service);
  EXPECT_EQ(next.text(), "second");
  service.Write(Commands().Free(next.tr.buffer));
  EXPECT_EQ(Codes(service.ReadAll()), (BrList{Br::BR_RELEASE, Br::BR_DECREFS}));
  EXPECT_EQ(this->UsageOf(service).buffers, 0u);
}

// Rows: AL-16
TYPED_TEST(ArenaBehaviourTest, FreeingWhatIsNoBufferIsIgnored) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const Payload text("0123456789abcdef");
  sender.Write(Commands().Transact(0, text));
  const Received call = this->Take(receiver);
  const std::uint64_t at = call.tr.buffer;
  (void)this->gates().TakeErrors();
  receiver.Write(Commands()
                     .Free(0)
                     .Free(at + 8)
                     .Free(at - 8)
                     .Free(at + kPage)
                     .EnterLooper());
  this->ExpectBadBuffers(4);
  EXPECT_EQ(this->SnapshotOf(receiver).threads.front().looper,
            core::kLooperEntered);  // What follows is executed.
  EXPECT_EQ(this->UsageOf(receiver).delivered, 1u);
  EXPECT_EQ(call.text(), "0123456789abcdef");
  // It is not the sender's to free, and can be freed once.
  sender.Write(Commands().Free(at));
  this->ExpectBadBuffers(1);
  receiver.Write(Commands().Free(at).Free(at));
  this->ExpectBadBuffers(1);
  EXPECT_EQ(this->UsageOf(receiver).buffers, 0u);
}

// Rows: AL-17
TYPED_TEST(ArenaBehaviourTest, UndeliveredBufferCannotBeFreed) {
  auto [receiver, sender] = this->SenderAndReceiver();
  const Payload question("question");
  sender.Write(Commands().Transact(0, question));
  (void)this->gates().TakeErrors();
  receiver.Write(Commands().Free(this->UsageOf(receiver).address));
  this->ExpectBadBuffers(1);
  const Received call = this->Take(receiver);
  EXPECT_EQ(call.text(), "question");
  // Neither can that of a reply.
  const Payload answer("answer");
  receiver.Write(Commands().Reply(answer));
  (void)this->gates().TakeErrors();
  sender.Write(Commands().Free(this->UsageOf(sender).address));
  this->ExpectBadBuffers(1);
  EXPECT_EQ(sender.Read().Get(Br::BR_REPLY).text(), "answer");
}

// Rows: AL-18
TYPED_TEST(ArenaBehaviourTest, OfThreadsThatFreeABufferExactlyOneWins) {
  auto [receiver, sender] = this->SenderAndReceiver();
  constexpr std::size_t kBuffers = 128;
  Commands free_all;
  for (std::size_t i = 0; i < kBuffers; ++i) {
    Actor caller = sender.Spawn();
    caller.Write(Commands().Transact(0));
    Actor server = receiver.Spawn();
    free_all.Free(this->Take(server).tr.buffer);
  }
  Actor one = receiver.Spawn();
  Actor two = receiver.Spawn();
  (void)this->gates().TakeErrors();
  {
    const std::jthread first(
        [&] { (void)RunWriteRead(one.thread(), free_all, 0); });
    const std::jthread second(
        [&] { (void)RunWriteRead(two.thread(), free_all, 0); });
  }
  this->ExpectBadBuffers(kBuffers);
  EXPECT_EQ(this->UsageOf(receiver).buffers, 0u);
  receiver.Check();
}

// Rows: AL-19
TYPED_TEST(ArenaBehaviourTest, BufferOfACallMayBeFreedBeforeTheReply) {
  auto [receiver, sender] = this->SenderAndReceiver();
  sender.Write(Commands().Transact(0));
  receiver.Write(Commands().Free(this->Take(receiver).tr.buffer));
  EXPECT_EQ(this->UsageOf(receiver).buffers, 0u);
  const Payload answer("answer");
  EXPECT_EQ(receiver.Do(Commands().Reply(answer)).codes(),
            (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE}));
  EXPECT_EQ(sender.Read().Get(Br::BR_REPLY).text(), "answer");
}

// Rows: AL-21
TYPED_TEST(ArenaBehaviourTest, BuffersAreReleasedWithTheirProc) {
  auto [manager, service, client, handle] = this->Connected();
  // Delivered: one with a node of the client's in it, one with a node of the
  // service's own; and one that the service has not read.
  const Payload foreign = Payload().Binder(0x77, 7);
  const Payload own = Payload().Handle(handle);
  client.Write(Commands().Transact(handle, foreign));
  (void)this->Take(service);
  Actor second = client.Spawn();
  second.Write(Commands().Transact(handle, own));
  Actor server = service.Spawn();
  (void)this->Take(server);
  Actor third = client.Spawn();
  third.Write(Commands().OneWay(handle, foreign));
  EXPECT_EQ(this->UsageOf(service).buffers, 3u);
  EXPECT_EQ(this->UsageOf(service).delivered, 2u);

  this->Close(service);
  EXPECT_EQ(this->UsageOf(service).buffers, 0u);
  EXPECT_EQ(this->UsageOf(service).free_bytes, this->UsageOf(service).size);
  // The handle in the buffers was the last to the client's node: before it
  // could be announced, it is gone.
  EXPECT_TRUE(this->SnapshotOf(client).nodes.empty());
  EXPECT_EQ(
      client.Read().codes(),
      (BrList{Br::BR_NOOP, Br::BR_TRANSACTION_COMPLETE, Br::BR_DEAD_REPLY}));
  // The service's node lives on as a dead one behind the client's handle.
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kNode), 2u);
  client.Write(Commands().Release(handle));
  EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kNode), 1u);
}

// --- What is read of the sender --------------------------------------------

// Memory of a sender that changes an object once it has been read, and counts
// how often each byte is read.
class RestlessMemory : public UserMemory {
 public:
  bool CopyIn(void* to, std::uint64_t from, std::size_t size) override {
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    for (std::size_t i = 0; i < size; ++i) ++reads_[from + i];
    if (victim_ != nullptr && from == AddressOf(victim_)) *victim_ = evil_;
    return true;
  }
  bool CopyOut(std::uint64_t to, const void* from, std::size_t size) override {
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return true;
  }

  void ChangeWhenRead(FlatObject& victim, const FlatObject& evil) {
    victim_ = &victim;
    evil_ = evil;
  }
  int reads(const void* byte) { return reads_[AddressOf(byte)]; }

 private:
  std::map<std::uint64_t, int> reads_;
  FlatObject* victim_ = nullptr;
  FlatObject evil_ = {};
};

// Rows: AL-26
TYPED_TEST(ArenaBehaviourTest, SenderCannotChangeWhatHasBeenChecked) {
  RestlessMemory memory;
  Peer<TypeParam>& receiver = this->OpenManager();
  Peer<TypeParam>& sender = this->Open({.memory = &memory});
  FlatObject evil = {};
  evil.hdr.type = static_cast<std::uint32_t>(ObjectType::kWeakBinder);
  evil.binder = 0xbad;
  evil.cookie = 0xbad;
  Payload payload("before: ");
  payload.Binder(0x77, 7).Bytes("after", 5);
  std::vector<std::byte>& data = payload.data();
  memory.ChangeWhenRead(*reinterpret_cast<FlatObject*>(data.data() + 8), evil);
  sender.Write(Commands().Transact(0, payload));

  const Received got = this->Take(receiver);
  EXPECT_EQ(got.object(0).hdr.type,
            static_cast<std::uint32_t>(ObjectType::kHandle));
  const debug::ProcSnapshot holder = this->SnapshotOf(receiver);
  ASSERT_EQ(holder.refs.size(), 1u);
  EXPECT_EQ(holder.refs.front().handle, got.object(0).handle);
  EXPECT_EQ(holder.refs.front().strong, 1);
  EXPECT_EQ(holder.refs.front().weak, 0);
  const debug::ProcSnapshot owner = this->SnapshotOf(sender);
  ASSERT_EQ(owner.nodes.size(), 1u);
  EXPECT_EQ(owner.nodes.front().ptr, 0x77u);
  EXPECT_EQ(owner.nodes.front().cookie, 7u);
  EXPECT_EQ(got.text().substr(0, 8), "before: ");
  EXPECT_EQ(got.text().substr(8 + sizeof(FlatObject)), "after");
  // (What follows an object may be read with it, and again to be copied.)
  for (std::size_t i = 0; i < 8 + sizeof(FlatObject); ++i) {
    EXPECT_EQ(memory.reads(&data[i]), 1) << "byte " << i;
  }
  EXPECT_EQ(memory.reads(payload.offsets().data()), 1);
  this->Close(sender);  // Before its memory goes.
}

}  // namespace
}  // namespace binderlite::testing
