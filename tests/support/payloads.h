// SPDX-License-Identifier: Apache-2.0
//
// What stands for a driver where values are sent to oneself:
//
//   const Delivered delivery(payload);      // as the driver hands it over
//   Reader reader = delivery.reader();
//
// FakeObjects numbers objects, and knows them again by their number.
//
// A delivery lies in a block of its exact size, so that AddressSanitizer sees
// whoever reads beyond it. Nothing here needs GoogleTest: a fuzzer includes it.

#ifndef BINDERLITE_TESTS_SUPPORT_PAYLOADS_H_
#define BINDERLITE_TESTS_SUPPORT_PAYLOADS_H_

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "binderlite/api/objects.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/writer.h"
#include "binderlite/wire/objects.h"

namespace binderlite::testing {

class FakeObjects : public ObjectWriter, public ObjectReader {
 public:
  // A new one. What it points at is not an ApiObject, and never looked at.
  [[nodiscard]] std::shared_ptr<ApiObject> Make() {
    auto body = std::make_shared<int>(0);
    auto* const address = reinterpret_cast<ApiObject*>(body.get());
    objects_.emplace_back(std::move(body), address);
    return objects_.back();
  }
  // From now on no object can be sent.
  void Refuse() { refuse_ = true; }
  [[nodiscard]] int flattened() const { return flattened_; }

  [[nodiscard]] bool Flatten(const std::shared_ptr<ApiObject>& object,
                             FlatObject& flat) override {
    ++flattened_;
    const auto it = std::find(objects_.begin(), objects_.end(), object);
    if (it == objects_.end() || refuse_) return false;
    flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kHandle);
    flat.handle = static_cast<std::uint32_t>(it - objects_.begin());
    return true;
  }
  [[nodiscard]] std::shared_ptr<ApiObject> Unflatten(
      const FlatObject& flat) override {
    if (flat.handle >= objects_.size()) return nullptr;
    return objects_[flat.handle];
  }

 private:
  std::vector<std::shared_ptr<ApiObject>> objects_;
  bool refuse_ = false;
  int flattened_ = 0;
};

// As sent: descriptors are the sender's.
struct Payload {
  std::vector<std::byte> data;
  std::vector<std::uint64_t> offsets;

  // Whether an object is at `at`.
  [[nodiscard]] bool IsObject(std::size_t at) const {
    return std::any_of(offsets.begin(), offsets.end(), [at](auto offset) {
      return at >= offset && at - offset < sizeof(FlatObject);
    });
  }
  // What a driver would deliver if only the first `size` bytes were sent.
  [[nodiscard]] Payload Truncated(std::size_t size) const {
    Payload shorter;
    shorter.data.assign(data.begin(),
                        data.begin() + static_cast<std::ptrdiff_t>(size));
    for (const std::uint64_t offset : offsets) {
      if (offset + sizeof(FlatObject) <= size) {
        shorter.offsets.push_back(offset);
      }
    }
    return shorter;
  }
};

// As received: descriptors are new ones, which whoever reads has to close.
class Delivered {
 public:
  explicit Delivered(const Payload& payload)
      : data_(new std::byte[payload.data.size()]),
        size_(payload.data.size()),
        offsets_(payload.offsets) {
    std::copy(payload.data.begin(), payload.data.end(), data_.get());
    for (const std::uint64_t offset : offsets_) {
      FdObject object;
      std::memcpy(&object, data_.get() + offset, sizeof(object));
      if (object.hdr.type != static_cast<std::uint32_t>(ObjectType::kFd)) {
        continue;
      }
      object.fd = static_cast<std::uint32_t>(
          ::fcntl(static_cast<int>(object.fd), F_DUPFD_CLOEXEC, 0));
      std::memcpy(data_.get() + offset, &object, sizeof(object));
      descriptors_.push_back(static_cast<int>(object.fd));
    }
  }

  [[nodiscard]] std::span<const std::byte> data() const {
    return {data_.get(), size_};
  }
  [[nodiscard]] std::span<const std::uint64_t> offsets() const {
    return offsets_;
  }
  // Those that have been made.
  [[nodiscard]] const std::vector<int>& descriptors() const {
    return descriptors_;
  }
  // To be made once: it owns the descriptors.
  [[nodiscard]] Reader reader(ObjectReader* objects = nullptr) const {
    return Reader(data(), offsets(), objects);
  }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_;
  std::vector<std::uint64_t> offsets_;
  std::vector<int> descriptors_;
};

}  // namespace binderlite::testing

#endif  // BINDERLITE_TESTS_SUPPORT_PAYLOADS_H_
