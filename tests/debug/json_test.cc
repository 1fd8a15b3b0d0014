// SPDX-License-Identifier: Apache-2.0
//
// ToJson: what it writes is JSON, and what it should be.

#include "binderlite/debug/json.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "support/consistent_snapshot.h"
#include "support/json_reader.h"

namespace binderlite::testing {
namespace {

using debug::Snapshot;
using debug::ToJson;

TEST(ToJsonTest, ReaderOfThisTestIsNotTooKind) {
  EXPECT_TRUE(IsJson(R"({"a":[1,-2,true],"b":{},"c":"\u001f\"\\"})"));
  for (const std::string_view bad :
       {"", "{", "{}}", "[1,]", "[1 2]", "{\"a\"}", "{1:2}", "\"", "\"\\x\"",
        "\"\n\"", "01", "-", "\"\\u00g0\""}) {
    EXPECT_FALSE(IsJson(bad)) << bad;
  }
}

// Rows: DB-10
TEST(ToJsonTest, WritesEverythingThatThereIs) {
  constexpr std::string_view kExpected =
      R"({"discipline":"FineGrained","context":"binder","objects":{)"
      R"("proc":{"created":3,"deleted":1},)"
      R"("thread":{"created":2,"deleted":0},)"
      R"("node":{"created":2,"deleted":1},)"
      R"("ref":{"created":1,"deleted":0},)"
      R"("death":{"created":4,"deleted":3},)"
      R"("transaction":{"created":7,"deleted":6},)"
      R"("transaction_complete":{"created":0,"deleted":0},)"
      R"("freeze":{"created":0,"deleted":0}},)"
      R"("commands":{"BC_REPLY":3,"BR_TRANSACTION":4},)"
      R"("procs":[{"pid":100,"name":"owner","dead":false,"frozen":false,)"
      R"("max_threads":4,"requested":1,"started":2,"ready":1,)"
      R"("outstanding":1,"arena_size":4096,"arena_free":4080,)"
      R"("arena_free_async":2048,"delivered_deaths":0,)"
      R"("delivered_freezes":0,"todo":[{"type":"node work","node":5},)"
      R"({"type":"dead binder"}],"threads":[)"
      R"({"tid":101,"looper":18,"need_return":false,"waiting":true,)"
      R"("todo":[],"stack":[]},)"
      R"({"tid":102,"looper":0,"need_return":true,"waiting":false,)"
      R"("todo":[{"type":"transaction complete"}],)"
      R"("stack":[{"incoming":true,"transaction":{"id":9,"kind":"call",)"
      R"("from_pid":200,"from_tid":201,"to_pid":100,"to_tid":102,)"
      R"("code":17,"flags":16,"priority":-5}}]}],)"
      R"("nodes":[{"id":5,"ptr":4096,"cookie":8192,"has_strong":true,)"
      R"("has_weak":true,"local_strong":0,"local_weak":1,)"
      R"("internal_strong":1,"holders":[200],"has_async":false,)"
      R"("one_ways":[]}],"refs":[],"buffers":[{"id":9,"node":5,)"
      R"("offset":32,"data_size":12,"offsets_size":0,"extra_size":0,)"
      R"("active":true}],"commands":{"BC_REPLY":3,"BR_TRANSACTION":4}},)"
      R"({"pid":200,"name":"holder","dead":false,"frozen":false,)"
      R"("max_threads":0,"requested":0,"started":0,"ready":0,)"
      R"("outstanding":0,"arena_size":4096,"arena_free":4096,)"
      R"("arena_free_async":2048,"delivered_deaths":0,)"
      R"("delivered_freezes":0,"todo":[],"threads":[],"nodes":[],)"
      R"("refs":[{"id":6,"handle":1,"node":5,"dead":false,"strong":2,)"
      R"("weak":0,"death":true,"freeze":false}],"buffers":[],)"
      R"("commands":{}}],"dead_nodes":[],"log":[{"id":9,"kind":"call",)"
      R"("from_pid":200,"from_tid":201,"to_pid":100,"to_tid":0,"node":5,)"
      R"("handle":1,"data_size":12,"offsets_size":0,"return_error":0,)"
      R"("param":0,"complete":false}],"failed_log":[]})";
  EXPECT_EQ(ToJson(Consistent()), kExpected);
  EXPECT_TRUE(IsJson(kExpected));
}

TEST(ToJsonTest, NamesAreEscaped) {
  Snapshot s;
  s.context = std::string("a\"b\\c\n\x01\x1f\x7f") + "\xc3\xa9";
  const std::string json = ToJson(s);
  EXPECT_NE(json.find(R"("context":"a\"b\\c\u000a\u0001\u001f)"
                      "\x7f\xc3\xa9\""),
            std::string::npos)
      << json;
  EXPECT_TRUE(IsJson(json));
}

// Rows: DB-06 DB-10
TEST(ToJsonTest, EachKindOfWorkSaysWhatItIs) {
  Snapshot s;
  s.procs.resize(1);
  s.procs[0].work = {
      {.type = core::WorkType::kTransaction,
       .transaction = {.id = 3, .kind = core::TransactionKind::kOneWay}},
      {.type = core::WorkType::kReturnError, .error = Br::BR_FAILED_REPLY},
      {.type = core::WorkType::kClearFreezeNotification}};
  const std::string json = ToJson(s);
  EXPECT_TRUE(IsJson(json)) << json;
  EXPECT_NE(json.find(R"("todo":[{"type":"transaction","transaction":{"id":3,)"
                      R"("kind":"async")"),
            std::string::npos);
  EXPECT_NE(json.find(R"({"type":"error","command":"BR_FAILED_REPLY"},)"
                      R"({"type":"cleared freeze notification"}])"),
            std::string::npos);
}

}  // namespace
}  // namespace binderlite::testing
