// SPDX-License-Identifier: Apache-2.0
//
// WriteReadTest: DriverTest with what the tests of the two halves of
// BINDER_WRITE_READ have in common.

#ifndef BINDERLITE_TESTS_SUPPORT_WRITE_READ_TEST_H_
#define BINDERLITE_TESTS_SUPPORT_WRITE_READ_TEST_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "binderlite/core/counts.h"
#include "binderlite/debug/json.h"
#include "binderlite/debug/snapshot.h"
#include "support/driver_test.h"

namespace binderlite::testing {

inline constexpr std::uint32_t kBadHandle = 0xbad;

inline std::uint32_t NumberOf(Br code) {
  return static_cast<std::uint32_t>(code);
}

template <class L>
class WriteReadTest : public DriverTest<L> {
 protected:
  using typename DriverTest<L>::Pair;

  // Like Connected, but the memory of service and client can be made to fault.
  Pair ConnectedOverFaultyMemory() {
    Peer<L>& manager = this->OpenManager({.name = "manager"});
    Peer<L>& service =
        this->Open({.name = "service", .memory = &this->memory()});
    Peer<L>& client = this->Open({.name = "client", .memory = &this->memory()});
    const std::uint32_t handle =
        this->Give(manager, service, client, this->kPtr, this->kCookie);
    return {manager, service, client, handle};
  }
  void Disconnect(Pair& pair) {
    for (Peer<L>* peer : {&pair.client, &pair.service, &pair.manager}) {
      this->Close(*peer);
    }
    EXPECT_EQ(this->Snapshot().live(core::ObjectKind::kTransaction), 0u);
  }

  // Everything that the driver knows.
  std::string State() { return debug::ToJson(this->Present()); }

  // The strong count of a handle; 0 when there is none.
  int StrongOf(Peer<L>& peer, std::uint32_t handle) {
    for (const debug::RefSnapshot& ref : this->SnapshotOf(peer).refs) {
      if (ref.handle == handle) return ref.strong;
    }
    return 0;
  }

  std::uint32_t LooperOf(Peer<L>& peer) {
    return this->ThreadOf(peer, peer).looper;
  }
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_WRITE_READ_TEST_H_
