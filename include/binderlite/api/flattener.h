// SPDX-License-Identifier: Apache-2.0
//
// Flattener and Unflattener: objects in payloads that go through the driver.
//
// No locks but the Process's.

#ifndef BINDERLITE_API_FLATTENER_H_
#define BINDERLITE_API_FLATTENER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "binderlite/api/object.h"
#include "binderlite/api/objects.h"
#include "binderlite/api/process.h"
#include "binderlite/api/remote.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/objects.h"

namespace binderlite::api_internal {

// Objects on their way: kept until whoever gets them holds them, which this
// thread reads of (BR_INCREFS, BR_ACQUIRE) before it reads what has become of
// the payload.
template <LockingPolicy L>
class Flattener final : public ObjectWriter {
 public:
  explicit Flattener(const Process<L>& process) : process_(process) {}
  [[nodiscard]] bool Flatten(const std::shared_ptr<ApiObject>& object,
                             FlatObject& flat) override {
    if (!object->Flatten(process_, flat)) return false;
    kept_.push_back(object);
    return true;
  }
  void Drop() { kept_.clear(); }
  [[nodiscard]] bool keeps() const { return !kept_.empty(); }

 private:
  const Process<L>& process_;
  std::vector<std::shared_ptr<ApiObject>> kept_;
};
// Objects that have come, on `thread`.
template <LockingPolicy L>
class Unflattener final : public ObjectReader {
 public:
  Unflattener(Process<L>& process, BasicThread<L>& thread)
      : process_(process), thread_(thread) {}
  // The buffer that it is in holds what a handle stands for until the new
  // reference does.
  [[nodiscard]] std::shared_ptr<ApiObject> Unflatten(
      const FlatObject& flat) override {
    if (flat.hdr.type == static_cast<std::uint32_t>(ObjectType::kBinder)) {
      return process_.FindLocal(flat.binder);
    }
    return FindRemote(process_, thread_, flat.handle);
  }

 private:
  Process<L>& process_;
  BasicThread<L>& thread_;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_FLATTENER_H_
