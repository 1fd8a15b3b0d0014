// SPDX-License-Identifier: Apache-2.0
//
// EndpointList: what a Binder has opened is listed for as long as it is in
// memory, and not kept there.

#include "binderlite/api/endpoint_list.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "binderlite/api/binder.h"

namespace binderlite::testing {
namespace {

std::vector<std::string> NamesIn(EndpointList& list) {
  std::vector<std::string> names;
  for (const auto& process : list.Get()) names.push_back(process->options.name);
  return names;
}
using Names = std::vector<std::string>;

TEST(EndpointListTest, HasWhatABinderOpens) {
  Binder binder;
  EXPECT_EQ(NamesIn(*binder.endpoints()), Names{"servicemanager"});
  Endpoint a = binder.Open("a");
  std::optional<Endpoint> b = binder.Open(EndpointOptions{.name = "b"});
  EXPECT_EQ(NamesIn(*binder.endpoints()), (Names{"servicemanager", "a", "b"}));
  const Endpoint moved = std::move(a);
  EXPECT_EQ(NamesIn(*binder.endpoints()), (Names{"servicemanager", "a", "b"}));
  b.reset();
  EXPECT_EQ(NamesIn(*binder.endpoints()), (Names{"servicemanager", "a"}));
}

TEST(EndpointListTest, TakesThoseThatWereOpenedElsewhere) {
  Context context;
  EndpointList list;
  list.Add(Endpoint());  // Not open.
  EXPECT_TRUE(list.Get().empty());
  const Endpoint endpoint(context, {.name = "mine"});
  list.Add(endpoint);
  EXPECT_EQ(NamesIn(list), Names{"mine"});
}

TEST(EndpointListTest, OutlivesItsBinder) {
  auto binder = std::make_unique<Binder>();
  const std::shared_ptr<EndpointList> list = binder->endpoints();
  const Endpoint endpoint = binder->Open("a");
  binder.reset();
  EXPECT_EQ(NamesIn(*list), Names{"a"});
}

TEST(EndpointListTest, ThoseThatAreGoneMakeRoom) {
  Context context;
  EndpointList list;
  const Endpoint kept(context, {.name = "kept"});
  list.Add(kept);
  for (int i = 0; i < 50; ++i) {
    const Endpoint passing(context, {.name = "passing"});
    list.Add(passing);
  }
  EXPECT_EQ(NamesIn(list), Names{"kept"});
}

}  // namespace
}  // namespace binderlite::testing
