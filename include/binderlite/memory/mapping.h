// SPDX-License-Identifier: Apache-2.0
//
// Mapping: the address range behind a receive arena. It is reserved at once
// and committed page by page as it is touched; fresh pages read as zero.
//
// No locks. Construction can fail: then data() is null.

#ifndef BINDERLITE_MEMORY_MAPPING_H_
#define BINDERLITE_MEMORY_MAPPING_H_

#include <sys/mman.h>

#include <cstddef>
#include <utility>

namespace binderlite::memory {

class Mapping {
 public:
  Mapping() = default;

  // Reserves `size` bytes; size 0 reserves nothing.
  explicit Mapping(std::size_t size) {
    if (size == 0) return;
    void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(base);
    size_ = size;
  }

  // A view of the first `size` bytes of the file, shared with all other views.
  Mapping(int file, std::size_t size) {
    void* base =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (base == MAP_FAILED) return;
    data_ = static_cast<std::byte*>(base);
    size_ = size;
  }

  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace binderlite::memory

#endif  // BINDERLITE_MEMORY_MAPPING_H_
