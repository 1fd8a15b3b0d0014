// SPDX-License-Identifier: Apache-2.0
//
// Exchange: one BINDER_WRITE_READ with every field and every byte in the hands
// of the test, for what Actor::Do has no room for: odd sizes, calls that are
// repeated with the same struct, memory that faults.
//
//   Exchange call(Commands().EnterLooper());
//   call.args.write_consumed = 4;
//   EXPECT_EQ(call.Run(actor), Errc::kOk);      // through Thread::WriteRead
//   EXPECT_EQ(call.RunIoctl(actor), Errc::kOk);  // through Thread::Ioctl

#ifndef BINDERLITE_TESTS_SUPPORT_EXCHANGE_H_
#define BINDERLITE_TESTS_SUPPORT_EXCHANGE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "binderlite/driver/driver.h"
#include "binderlite/wire/commands.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/structs.h"
#include "support/driver_test.h"
#include "support/gates.h"
#include "support/streams.h"

namespace binderlite::testing {

// A deadline that is over: a call that would sleep answers kTimedOut instead.
inline constexpr TimePoint kNoPatience = TimePoint::min();

class Exchange {
 public:
  // What an untouched read buffer is full of; not the begin of any command.
  static constexpr std::byte kUntouched{0xee};

  explicit Exchange(const Commands& commands = {},
                    std::size_t read_size = kReadSize)
      : written(commands.bytes()), read(read_size, kUntouched) {
    // Never empty, so that there always is an address.
    written.reserve(sizeof(std::uint32_t));
    read.reserve(sizeof(std::uint32_t));
    args.write_size = written.size();
    args.write_buffer = AddressOf(written.data());
    args.read_size = read.size();
    args.read_buffer = AddressOf(read.data());
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  template <class L>
  Errc Run(Actor<L>& actor, TimePoint deadline = kNoDeadline) {
    const Errc error = actor.thread().WriteRead(args, {}, deadline);
    actor.Check();
    return error;
  }
  template <class L>
  Errc RunIoctl(Actor<L>& actor) {
    const Errc error = actor.thread().Ioctl(
        static_cast<std::uint32_t>(Ioctl::kWriteRead), AddressOf(&args));
    actor.Check();
    return error;
  }

  // The commands between two offsets of the read buffer.
  [[nodiscard]] std::vector<Received> Parsed(std::size_t begin,
                                             std::size_t end) const {
    auto parsed = Parse(std::span(read).subspan(begin, end - begin));
    EXPECT_TRUE(parsed.has_value()) << "unparsable read buffer";
    return parsed.value_or(std::vector<Received>());
  }
  // All that was read.
  [[nodiscard]] std::vector<Br> codes() const {
    return Codes(Parsed(0, static_cast<std::size_t>(args.read_consumed)));
  }
  // The word at an offset of the read buffer.
  [[nodiscard]] std::uint32_t word(std::size_t offset = 0) const {
    std::uint32_t word = 0;
    std::memcpy(&word, read.data() + offset, sizeof(word));
    return word;
  }

  WriteRead args = {};
  std::vector<std::byte> written;
  std::vector<std::byte> read;
};

inline constexpr std::uint32_t kUntouchedWord = 0xeeeeeeee;

// An Exchange that waits in a thread of its own; see Blocked.
template <class L>
class BlockedExchange {
 public:
  BlockedExchange(GateHooks& gates, BasicProc<L>& proc, BasicThread<L>& thread,
                  Exchange& call)
      : gates_(gates), tid_(thread.tid()) {
    const int before = gates.Visits(Point::kParking, thread.tid());
    gates.Close(Point::kWoken, tid_);
    proc.SetNonblocking(false);
    runner_ = std::jthread(
        [this, &thread, &call] { error_ = thread.WriteRead(call.args); });
    gates.WaitFor(Point::kParking, thread.tid(), before + 1);
    proc.SetNonblocking(true);
  }

  ~BlockedExchange() { gates_.Open(Point::kWoken, tid_); }

  // Waits for the end of the call, which something must have brought about.
  Errc Join() {
    gates_.Open(Point::kWoken, tid_);
    runner_.join();
    return error_;
  }

 private:
  GateHooks& gates_;
  const std::int32_t tid_;
  Errc error_ = Errc::kOk;
  std::jthread runner_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_EXCHANGE_H_
