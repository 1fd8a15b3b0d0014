// SPDX-License-Identifier: Apache-2.0
//
// FaultyMemory: user memory of which a range of bytes cannot be touched, as a
// page that is not mapped; the rest is accessed directly. A copy that meets the
// range does what is before it and then faults. From any thread.

#ifndef BINDERLITE_TESTS_SUPPORT_FAULTY_MEMORY_H_
#define BINDERLITE_TESTS_SUPPORT_FAULTY_MEMORY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "binderlite/memory/user_memory.h"

namespace binderlite::testing {

class FaultyMemory : public UserMemory {
 public:
  // From now on exactly these bytes fault; size 0: none.
  void Fault(std::uint64_t address, std::uint64_t size = 1) {
    FaultReads(address, size);
    FaultWrites(address, size);
  }
  // The same for what the driver reads, or writes. The first `skip` accesses
  // that touch the bytes still work.
  void FaultReads(std::uint64_t address, std::uint64_t size = 1, int skip = 0) {
    const std::lock_guard lock(mu_);
    reads_ = {address, address + size, skip};
  }
  void FaultWrites(std::uint64_t address, std::uint64_t size = 1,
                   int skip = 0) {
    const std::lock_guard lock(mu_);
    writes_ = {address, address + size, skip};
  }
  void Heal() { Fault(0, 0); }

  [[nodiscard]] bool CopyIn(void* to, std::uint64_t from,
                            std::size_t size) override {
    const std::size_t good = Good(reads_, from, size);
    return direct_.CopyIn(to, from, good) && good == size;
  }
  [[nodiscard]] bool CopyOut(std::uint64_t to, const void* from,
                             std::size_t size) override {
    const std::size_t good = Good(writes_, to, size);
    return direct_.CopyOut(to, from, good) && good == size;
  }

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    int skip = 0;
  };

  // How many of the bytes come before the first that faults.
  [[nodiscard]] std::size_t Good(Range& bad, std::uint64_t address,
                                 std::size_t size) {
    const std::lock_guard lock(mu_);
    if (bad.begin == bad.end || bad.end <= address ||
        bad.begin >= address + size || bad.skip-- > 0) {
      return size;
    }
    return static_cast<std::size_t>(std::max(bad.begin, address) - address);
  }

  const memory::UserAccess direct_;
  std::mutex mu_;
  Range reads_;
  Range writes_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_FAULTY_MEMORY_H_
