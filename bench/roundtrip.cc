// SPDX-License-Identifier: Apache-2.0
//
// Synchronous round trips between two threads: the driver through its typed
// operations and through byte streams, as it comes (typed, streams), and
// through the typed API (api, and on the caller's thread, api-caller); with
// Abseil's deadlock detection as Debian ships it (-detect), with threads that
// sleep at once (-park), and in each locking discipline; beside what plain C++
// needs to hand a payload over and back. support/payload.h says what is written
// and checked.
//
//   roundtrip/<subject>/<same|split|free>/<bytes>
//
// Compare figures of one run only. scripts/bench runs it with the rest.

#include "binderlite/binderlite.h"
#include "support/api.h"
#include "support/binder.h"
#include "support/measure.h"
#include "support/peers.h"
#include "support/subject.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;

using Default = bl::FineGrained<>;

template <bl::Relock relock>
using Discipline = bench::TypedBinder<bl::BinderLock<relock>>;

}  // namespace

int main(int argc, char** argv) {
  using bench::Detecting;
  using bench::kAllSizes;
  using bench::kSizes;
  using bench::kTwoSizes;
  using bench::PingPong;
  using bench::RegisterRoundTrips;
  using Typed = bench::TypedBinder<Default>;
  using Streams = bench::StreamBinder<Default>;

  RegisterRoundTrips<Typed>("typed", kAllSizes);
  RegisterRoundTrips<Streams>("streams", kSizes);
  RegisterRoundTrips<Detecting<Typed>>("typed-detect", kSizes);
  RegisterRoundTrips<Detecting<Streams>>("streams-detect", kSizes);
  RegisterRoundTrips<bench::OnCallerBinder<Default>>("caller", kSizes);
  RegisterRoundTrips<bench::ApiBinder>("api", kSizes);
  RegisterRoundTrips<bench::ApiBinder>("api-caller", kSizes,
                                       /*on_callers=*/true);
  RegisterRoundTrips<Typed>("typed-park", kSizes,
                            bl::sync::WaitOptions::ParkAtOnce());
  RegisterRoundTrips<Streams>("streams-park", kTwoSizes,
                              bl::sync::WaitOptions::ParkAtOnce());
  RegisterRoundTrips<Discipline<bl::Relock::kAlways>>("kAlways", kTwoSizes);
  RegisterRoundTrips<Discipline<bl::Relock::kUnlessKilled>>("kUnlessKilled",
                                                            kTwoSizes);
  RegisterRoundTrips<Discipline<bl::Relock::kInterruptible>>("kInterruptible",
                                                             kTwoSizes);

  RegisterRoundTrips<bench::Direct>("direct", kAllSizes);
  RegisterRoundTrips<PingPong<bench::SpinTurn>>("spin", kAllSizes);
  RegisterRoundTrips<PingPong<bench::FutexTurn>>("futex", kAllSizes);
  RegisterRoundTrips<PingPong<bench::AwaitTurn>>("await", kSizes);
  RegisterRoundTrips<PingPong<bench::CondvarTurn>>("condvar", kSizes);
  RegisterRoundTrips<PingPong<bench::AtomicTurn>>("atomic", kSizes);
  return bench::RunRows(argc, argv);
}
