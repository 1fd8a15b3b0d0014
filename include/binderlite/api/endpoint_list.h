// SPDX-License-Identifier: Apache-2.0
//
// EndpointList: the endpoints that are open, for those who report on them. A
// Binder has one; endpoints that were opened without it can be added. It keeps
// none of them open, nor in memory.
//
// Locks: `mu_`, a leaf: nothing is called with it.

#ifndef BINDERLITE_API_ENDPOINT_LIST_H_
#define BINDERLITE_API_ENDPOINT_LIST_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/endpoint.h"
#include "binderlite/api/process.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite {

// See the head of this file. With the default locking, EndpointList.
template <LockingPolicy L = FineGrained<>>
class BasicEndpointList {
 public:
  // Once each.
  void Add(const BasicEndpoint<L>& endpoint) {
    const auto& process = endpoint.internal();
    if (process == nullptr) return;
    sync::MutexLock lock(mu_);
    // Those that are gone make room.
    if (list_.size() == list_.capacity()) {
      std::erase_if(list_, [](const auto& weak) { return weak.expired(); });
    }
    list_.push_back(process);
  }

  // Those that are in memory, the oldest first.
  [[nodiscard]] std::vector<std::shared_ptr<api_internal::Process<L>>> Get() {
    std::vector<std::weak_ptr<api_internal::Process<L>>> list;
    {
      sync::MutexLock lock(mu_);
      list = list_;
    }
    std::vector<std::shared_ptr<api_internal::Process<L>>> all;
    all.reserve(list.size());
    for (const auto& weak : list) {
      if (auto process = weak.lock()) all.push_back(std::move(process));
    }
    return all;
  }

 private:
  sync::AbseilMutex mu_;
  std::vector<std::weak_ptr<api_internal::Process<L>>> list_
      ABSL_GUARDED_BY(mu_);
};

// Of the default locking.
using EndpointList = BasicEndpointList<>;

}  // namespace binderlite

#endif  // BINDERLITE_API_ENDPOINT_LIST_H_
