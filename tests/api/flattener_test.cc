// SPDX-License-Identifier: Apache-2.0
//
// Checks api/flattener.h: how objects get into payloads and out of them, and
// that they are kept on their way.

#include "binderlite/api/flattener.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

#include "support/api_test.h"

namespace binderlite::testing {
namespace {

using Flattener = api_internal::Flattener<FineGrained<>>;
using LocalObject = api_internal::LocalObject<FineGrained<>>;
using Process = api_internal::Process<FineGrained<>>;
using RemoteObject = api_internal::RemoteObject<FineGrained<>>;
using Unflattener = api_internal::Unflattener<FineGrained<>>;

constexpr api_internal::InterfaceInfo kNothing = {"test.Nothing", 1};

class FlattenerTest : public ApiTest {
 protected:
  static Process& ProcessOf(const Endpoint& endpoint) {
    return *endpoint.internal();
  }
  static std::shared_ptr<ApiObject> NewObject(const Endpoint& endpoint) {
    return std::make_shared<LocalObject>(endpoint.internal(), &kNothing,
                                         ServiceOptions());
  }
  static std::uint32_t HandleOf(const Object& remote) {
    return static_cast<const RemoteObject&>(*remote.internal()).handle();
  }
  static bool Is(const FlatObject& flat, ObjectType type) {
    return flat.hdr.type == static_cast<std::uint32_t>(type);
  }
};

TEST_F(FlattenerTest, KeepsObjectsUntilTheyHaveArrived) {
  Endpoint endpoint = Open("endpoint");
  Flattener flattener(ProcessOf(endpoint));
  auto one = NewObject(endpoint);
  auto two = NewObject(endpoint);
  const std::weak_ptr<ApiObject> weak_one = one;
  const std::weak_ptr<ApiObject> weak_two = two;
  EXPECT_FALSE(flattener.keeps());
  FlatObject flat_one{};
  FlatObject flat_two{};
  ASSERT_TRUE(flattener.Flatten(one, flat_one));
  ASSERT_TRUE(flattener.Flatten(two, flat_two));
  EXPECT_TRUE(Is(flat_one, ObjectType::kBinder));
  EXPECT_NE(flat_one.binder, flat_two.binder);
  one = nullptr;
  two = nullptr;
  EXPECT_TRUE(flattener.keeps());
  EXPECT_FALSE(weak_one.expired());
  EXPECT_FALSE(weak_two.expired());
  flattener.Drop();
  EXPECT_FALSE(flattener.keeps());
  EXPECT_TRUE(weak_one.expired());
  EXPECT_TRUE(weak_two.expired());
}

TEST_F(FlattenerTest, RefusesWhatBelongsToOthers) {
  Pair pair = Connect(Worker{});
  Flattener flattener(ProcessOf(pair.client));
  FlatObject flat{};
  EXPECT_FALSE(flattener.Flatten(NewObject(pair.server), flat));
  EXPECT_FALSE(flattener.keeps());
  // Its own reference to an object of another's, it can send.
  const Object remote = pair.remote.object();
  ASSERT_TRUE(flattener.Flatten(remote.internal(), flat));
  EXPECT_TRUE(Is(flat, ObjectType::kHandle));
  EXPECT_EQ(flat.handle, HandleOf(remote));
  EXPECT_FALSE(
      Flattener(ProcessOf(pair.server)).Flatten(remote.internal(), flat));
}

TEST_F(FlattenerTest, ObjectsThatComeHomeAreWhatTheyWere) {
  Endpoint endpoint = Open("endpoint");
  auto object = NewObject(endpoint);
  FlatObject flat{};
  {
    Flattener flattener(ProcessOf(endpoint));
    ASSERT_TRUE(flattener.Flatten(object, flat));
  }
  Thread thread = endpoint.proc().Attach();
  Unflattener unflattener(ProcessOf(endpoint), thread);
  EXPECT_EQ(unflattener.Unflatten(flat), object);
  // Nobody has it any more; its number is never used again.
  object = nullptr;
  EXPECT_EQ(unflattener.Unflatten(flat), nullptr);
}

// It stands for one strong count in the driver, however often it comes.
TEST_F(FlattenerTest, AHandleIsOneReference) {
  Pair pair = Connect(Worker{.Do = &Answered});
  FlatObject flat{};
  flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kHandle);
  flat.handle = HandleOf(pair.remote.object());
  const auto strong = [&] {
    for (const auto& ref : SnapshotOf(pair.client).refs) {
      if (ref.handle == flat.handle) return ref.strong;
    }
    return 0;
  };
  Thread thread = pair.client.proc().Attach();
  Unflattener unflattener(ProcessOf(pair.client), thread);
  EXPECT_EQ(Object(unflattener.Unflatten(flat)), pair.remote.object());
  EXPECT_EQ(strong(), 1);
  // The buffer that it comes in holds it, too.
  ASSERT_EQ(thread.Acquire(flat.handle), Errc::kOk);
  pair.remote = {};
  EXPECT_EQ(strong(), 1);
  auto again = unflattener.Unflatten(flat);
  EXPECT_EQ(strong(), 2);
  ASSERT_EQ(thread.Release(flat.handle), Errc::kOk);
  EXPECT_EQ(Proxy<Worker>(Object(again))->Do("x").value(), "x!");
  again = nullptr;
  EXPECT_EQ(strong(), 0);
}

}  // namespace
}  // namespace binderlite::testing
