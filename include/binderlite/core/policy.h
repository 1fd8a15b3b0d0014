// SPDX-License-Identifier: Apache-2.0
//
// SecurityPolicy: who may become context manager, call whom, pass what to whom;
// and what label a sender shows. Asked by the driver at the places where Linux
// asks its security module; the default allows everything, and a Proc's label
// is the one it was opened with.
//
// The credentials are always those of whoever opened the Proc. Called from the
// thread that makes the call, with no mutex of a bounded section held; may be
// called from many threads at once. Must outlive the Context.
// Kernel: security_binder_set_context_mgr and its three sisters.

#ifndef BINDERLITE_CORE_POLICY_H_
#define BINDERLITE_CORE_POLICY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "binderlite/wire/errc.h"

namespace binderlite {

// Whoever opened a Proc.
struct Credentials {
  std::int32_t pid = 0;
  std::uint32_t euid = 0;
  std::string_view label;
};

class SecurityPolicy {
 public:
  virtual ~SecurityPolicy() = default;

  // False refuses: EPERM from SET_CONTEXT_MGR, otherwise BR_FAILED_REPLY with
  // EPERM for the sender (TG-11, SC-07).
  [[nodiscard]] virtual bool MaySetContextMgr(const Credentials& /*who*/) {
    return true;
  }
  [[nodiscard]] virtual bool MayTransact(const Credentials& /*from*/,
                                         const Credentials& /*to*/) {
    return true;
  }
  // For each node or handle in a payload.
  [[nodiscard]] virtual bool MayTransferBinder(const Credentials& /*from*/,
                                               const Credentials& /*to*/) {
    return true;
  }
  // For each descriptor in a payload; `fd` is the sender's.
  [[nodiscard]] virtual bool MayTransferFile(const Credentials& /*from*/,
                                             const Credentials& /*to*/,
                                             int /*fd*/) {
    return true;
  }
  // The label that a call from `who` carries, for nodes that ask for it. An
  // error fails the call with it (SC-04).
  [[nodiscard]] virtual Errc GetLabel(const Credentials& who,
                                      std::string& label) {
    label = who.label;
    return Errc::kOk;
  }
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_POLICY_H_
