// SPDX-License-Identifier: Apache-2.0
//
// Many clients that call one server of one or four threads, 128 bytes there and
// back, wherever the system has the threads: the driver, as it comes and with
// threads that sleep at once, beside a call without a hand-over and the same
// queue of calls on a futex and on absl::Mutex::Await.
//
//   clients/<subject>/M<loopers>/N<clients>

#include "binderlite/binderlite.h"
#include "support/binder.h"
#include "support/measure.h"
#include "support/peers.h"
#include "support/subject.h"

namespace {

namespace bl = binderlite;
namespace bench = binderlite::bench;

}  // namespace

int main(int argc, char** argv) {
  using Typed = bench::TypedBinder<bl::FineGrained<>>;
  bench::RegisterClients<Typed>("typed");
  bench::RegisterClients<Typed>("typed-park",
                                bl::sync::WaitOptions::ParkAtOnce());
  bench::RegisterClients<bench::OnCallerBinder<bl::FineGrained<>>>("caller");
  bench::RegisterClients<bench::Direct>("direct");
  bench::RegisterClients<bench::CallQueue<bench::FutexQueue>>("futex");
  bench::RegisterClients<bench::CallQueue<bench::AwaitQueue>>("await");
  return bench::RunRows(argc, argv);
}
