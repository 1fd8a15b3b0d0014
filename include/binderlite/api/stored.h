// SPDX-License-Identifier: Apache-2.0
//
// StoredPayload: a payload that is kept in its endpoint: that of a call of its
// own objects (api/loopback.h), and a result that its receiver has no room for
// yet (api/result_port.h). What the driver makes of one on its way, but for
// memory and counts: objects stay what they are, descriptors are duplicated.
//
// No locks.

#ifndef BINDERLITE_API_STORED_H_
#define BINDERLITE_API_STORED_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <span>
#include <vector>

#include "binderlite/api/object.h"
#include "binderlite/api/objects.h"
#include "binderlite/api/process.h"
#include "binderlite/api/reader.h"
#include "binderlite/api/writer.h"
#include "binderlite/core/file.h"
#include "binderlite/sync/locking.h"
#include "binderlite/wire/errc.h"
#include "binderlite/wire/objects.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
class StoredPayload final : public ObjectWriter, public ObjectReader {
 public:
  // Of `process`, whose objects it can have.
  explicit StoredPayload(const Process<L>& process) : process_(process) {}
  StoredPayload(const StoredPayload&) = delete;
  StoredPayload& operator=(const StoredPayload&) = delete;

  // Calls write(writer), twice if it is long. Why it cannot be sent, or null.
  template <class Write>
  [[nodiscard]] const char* Fill(Write write) {
    Writer writer(std::as_writable_bytes(std::span{room_}), this);
    write(writer);
    if (writer.failed()) return writer.why();
    size_ = writer.size();
    if (writer.fits()) return Send(room_, writer);
    many_.resize(size_ / sizeof(std::uint64_t) + 1);
    objects_.clear();
    Writer again(std::as_writable_bytes(std::span{many_}), this);
    write(again);
    return Send(many_.data(), again);
  }
  [[nodiscard]] std::span<const std::byte> data() const {
    return std::as_bytes(
               std::span(many_.empty() ? room_ : many_.data(),
                         many_.empty() ? std::size(room_) : many_.size()))
        .first(size_);
  }
  [[nodiscard]] std::span<const std::uint64_t> offsets() const {
    return offsets_;
  }

  // Writes all of it to `writer`, which is at a multiple of 8, to be sent. It
  // keeps its objects and descriptors.
  void CopyTo(Writer& writer) const {
    const std::span<const std::byte> all = data();
    std::size_t at = 0;
    for (const std::uint64_t offset : offsets_) {
      writer.Bytes(&all[at], static_cast<std::size_t>(offset) - at, 1);
      at = static_cast<std::size_t>(offset);
      FdObject fd;
      std::memcpy(&fd, &all[at], sizeof(fd));
      if (fd.hdr.type == static_cast<std::uint32_t>(ObjectType::kFd)) {
        writer.Descriptor(static_cast<int>(fd.fd));
        at += sizeof(fd);
        continue;
      }
      FlatObject flat{};
      std::memcpy(&flat, &all[at], sizeof(flat));
      at += sizeof(flat);
      if (!objects_[flat.binder]->Flatten(process_, flat)) {
        return writer.Fail(
            "an object of another endpoint, which alone can send it");
      }
      writer.Binder(flat);
    }
    writer.Bytes(all.data() + at, all.size() - at, 1);
  }
  // Closes the descriptors, which nobody has read.
  void Drop() {
    { const Reader closes(data(), offsets_); }
    offsets_.clear();
  }

  // An object is its place in `objects_`.
  [[nodiscard]] bool Flatten(const std::shared_ptr<ApiObject>& object,
                             FlatObject& flat) override {
    if (!object->BelongsTo(process_)) return false;
    flat = FlatObject{};
    flat.hdr.type = static_cast<std::uint32_t>(ObjectType::kBinder);
    flat.binder = objects_.size();
    objects_.push_back(object);
    return true;
  }
  [[nodiscard]] std::shared_ptr<ApiObject> Unflatten(
      const FlatObject& flat) override {
    return flat.binder < objects_.size() ? objects_[flat.binder] : nullptr;
  }

 private:
  static constexpr std::size_t kRoom = 512;

  // The receiver gets descriptors of its own.
  [[nodiscard]] const char* Send(std::uint64_t* payload, const Writer& writer) {
    const auto offsets = writer.offsets();
    offsets_.assign(offsets.begin(), offsets.end());
    FileTable files;
    const char* error = nullptr;
    for (const std::uint64_t offset : offsets_) {
      FdObject object;
      auto* const at = reinterpret_cast<std::byte*>(payload) + offset;
      std::memcpy(&object, at, sizeof(object));
      if (object.hdr.type != static_cast<std::uint32_t>(ObjectType::kFd)) {
        continue;
      }
      OpenFile file;
      int fd = -1;
      if (error == nullptr &&
          files.Get(static_cast<int>(object.fd), file) == Errc::kOk) {
        fd = files.Install(file);
      }
      if (fd < 0) error = "a descriptor that is not open";
      object.fd = static_cast<std::uint32_t>(fd);
      std::memcpy(at, &object, sizeof(object));
    }
    if (error != nullptr) Drop();
    return error;
  }

  const Process<L>& process_;
  std::uint64_t room_[kRoom / sizeof(std::uint64_t)];
  std::vector<std::uint64_t> many_;
  std::size_t size_ = 0;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::shared_ptr<ApiObject>> objects_;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_STORED_H_
