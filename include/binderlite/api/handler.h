// SPDX-License-Identifier: Apache-2.0
//
// Handler: what serves one method of an object; and ReplySink, where it puts
// what it answers.
//
// No locks here.

#ifndef BINDERLITE_API_HANDLER_H_
#define BINDERLITE_API_HANDLER_H_

#include "binderlite/api/object.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/status.h"
#include "binderlite/api/writer.h"

namespace binderlite::api_internal {

// Takes what a handler answers, once.
class ReplySink {
 public:
  // `write` is called before this returns, perhaps twice.
  virtual void Send(void (*write)(Writer&, const void* result),
                    const void* result) = 0;
  virtual void Fail(const Status& status) = 0;

 protected:
  ~ReplySink() = default;
};

// Serves the calls of one method, from any number of threads at a time.
class Handler {
 public:
  virtual ~Handler() = default;
  // Answers by `reply`, once; of a one-way call, not at all.
  virtual void Run(const Caller& caller, Reader& arguments,
                   ReplySink& reply) = 0;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_HANDLER_H_
