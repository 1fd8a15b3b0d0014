// SPDX-License-Identifier: Apache-2.0
//
// ReadinessListener: who wants to know when a thread that polls a Proc has
// become able to read. For those who make a Proc pollable together with other
// things; a Proc without a listener pays nothing for it.
//
// OnReady is called with no mutex of bounded sections held, under the
// disciplines with a binder lock perhaps with that lock held, by whichever
// thread brought the work; at the same time by several. It must not block, nor
// call the driver.

#ifndef BINDERLITE_CORE_READINESS_H_
#define BINDERLITE_CORE_READINESS_H_

namespace binderlite {

class ReadinessListener {
 public:
  virtual ~ReadinessListener() = default;

  // A thread that polls, and is not in a call, may have become able to read.
  // Each piece of work that it could be woken for counts, so that an edge is
  // told although it was readable before. May be called for nothing.
  virtual void OnReady() = 0;
};

}  // namespace binderlite

#endif  // BINDERLITE_CORE_READINESS_H_
