// SPDX-License-Identifier: Apache-2.0
//
// Writer: makes a payload, in one pass, in memory that it is given. That can be
// the receiver's (driver/reserve.h), so every byte of it is written, padding as
// zeros, and none is read. docs/wire-format.md has the format.
//
//   Writer writer(room);
//   WriteArguments(writer, a, b);     // api/codec.h
//   if (!writer.fits()) ...           // make room of writer.size(), once more
//
// Where there is no room any more, it goes on counting: `size()` and the number
// of `offsets()` are what the whole takes, whatever the room was.
//
// Failing is sticky: `failed()` says that a value cannot be sent at all, and
// what was written is not to be used.
//
// No locks. Allocates only for more than eight objects.

#ifndef BINDERLITE_API_WRITER_H_
#define BINDERLITE_API_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "binderlite/api/objects.h"
#include "binderlite/config.h"
#include "binderlite/memory/align.h"
#include "binderlite/memory/copy.h"
#include "binderlite/wire/objects.h"

namespace binderlite {

namespace api_internal {

// Where values may begin: multiples of their size, but no more than this.
inline constexpr std::size_t kMostAlignment = 8;

template <class T>
inline constexpr std::size_t kAlignment = sizeof(T) < kMostAlignment
                                              ? sizeof(T)
                                              : kMostAlignment;

// How many structs may be within each other. The limit is the reader's, who
// must not run out of stack; a writer has it so that it is noticed early.
inline constexpr int kMostNested = 64;

// Offsets of objects, with room for a few.
class OffsetList {
 public:
  void Add(std::uint64_t offset) {
    if (size_ < kInline) {
      few_[size_++] = offset;
      return;
    }
    if (size_ == kInline) many_.assign(few_, few_ + kInline);
    many_.push_back(offset);
    ++size_;
  }
  [[nodiscard]] std::span<const std::uint64_t> all() const {
    return {size_ <= kInline ? few_ : many_.data(), size_};
  }

 private:
  static constexpr std::size_t kInline = 8;

  std::size_t size_ = 0;
  std::uint64_t few_[kInline];  // as long as they suffice
  std::vector<std::uint64_t> many_;
};

}  // namespace api_internal

class Writer {
 public:
  // Writes to `room`, whose begin is to be that of the payload. Without
  // `objects`, only null references can be written.
  explicit Writer(std::span<std::byte> room, ObjectWriter* objects = nullptr)
      : room_(room.data()), capacity_(room.size()), objects_(objects) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // The next `size` bytes, at a multiple of `alignment` (1, 2, 4 or 8). The
  // caller fills all of them. Null: there is no room, and they are counted.
  [[nodiscard]] std::byte* Append(std::size_t size, std::size_t alignment) {
    BINDERLITE_ASSERT(alignment - 1 < api_internal::kMostAlignment);
    const std::size_t at = memory::AlignUp(size_, alignment);
    // Once something has not fitted, nothing does: size_ is above capacity_.
    if (at > capacity_ || size > capacity_ - at) [[unlikely]] {
      Count(at, size);
      return nullptr;
    }
    for (; size_ != at; ++size_) room_[size_] = std::byte{0};
    size_ = at + size;
    return room_ + at;
  }

  // Copies of `data` there, at a multiple of `alignment`.
  void Bytes(const void* data, std::size_t size, std::size_t alignment) {
    std::byte* const to = Append(size, alignment);
    // An empty range may be at null, which is not for memcpy.
    if (to != nullptr && size != 0) memory::Copy(to, data, size);
  }

  // An arithmetic value as it is in memory. Not for long double, which has
  // bytes without a meaning.
  template <class T>
  void Number(T value) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, long double>);
    std::byte* const to = Append(sizeof(T), api_internal::kAlignment<T>);
    if (to != nullptr) std::memcpy(to, &value, sizeof(T));
  }

  // The number of elements that follow. Fails for more than 2^32 - 1.
  void Length(std::size_t length) {
    if (length > 0xffffffff) Fail("more than 2^32 - 1 elements");
    Number(static_cast<std::uint32_t>(length));
  }

  // An object, whose place is noted for the driver.
  void Binder(const FlatObject& object) { Embed(object); }

  // A descriptor of the sender's, which keeps it.
  void Descriptor(int fd) {
    if (fd < 0) Fail("no descriptor");
    FdObject object{};
    object.hdr.type = static_cast<std::uint32_t>(ObjectType::kFd);
    object.fd = static_cast<std::uint32_t>(fd);
    Embed(object);
  }

  // A reference or null: a word that says which, then the object if there is
  // one.
  void Object(const std::shared_ptr<ApiObject>& object) {
    Number(std::uint32_t{object != nullptr});
    if (object == nullptr) return;
    FlatObject flat{};
    // What is only counted is of one size anyway.
    if (!failed() && size_ <= capacity_ &&
        (objects_ == nullptr || !objects_->Flatten(object, flat))) {
      Fail("an object of another endpoint, which alone can send it");
    }
    Binder(flat);
  }

  // Around the fields of a struct. Enter fails when there are too many within
  // each other; only if it succeeds is there a Leave.
  [[nodiscard]] bool Enter() {
    if (nested_ == api_internal::kMostNested) {
      Fail("structs within each other too deeply");
      return false;
    }
    ++nested_;
    return true;
  }
  // Ends what Enter began.
  void Leave() { --nested_; }

  // What is being written cannot be. `why` is a literal; the first one counts.
  void Fail(const char* why) {
    if (why_ == nullptr) why_ = why;
    capacity_ = 0;  // write no more
  }
  // Whether there was a value that cannot be sent.
  [[nodiscard]] bool failed() const { return why_ != nullptr; }
  // Null if nothing failed.
  [[nodiscard]] const char* why() const { return why_; }

  // Bytes that the payload takes, if nothing failed.
  [[nodiscard]] std::size_t size() const { return size_; }
  // Whether the payload is complete in the room.
  [[nodiscard]] bool fits() const { return !failed() && size_ <= capacity_; }
  // Where objects are, in ascending order. Valid until the next one is written.
  [[nodiscard]] std::span<const std::uint64_t> offsets() const {
    return offsets_.all();
  }

 private:
  void Count(std::size_t at, std::size_t size) {
    // Far more than there can be memory for, so that sums do not overflow.
    constexpr std::size_t kMostBytes = std::size_t{1} << 48;
    if (failed()) return;
    if (size > kMostBytes || at + size > kMostBytes) {
      Fail("more bytes than there can be");
      return;
    }
    size_ = at + size;
  }

  template <class T>
  void Embed(const T& object) {
    std::byte* const to = Append(sizeof(T), alignof(T));
    if (failed()) return;
    if (to != nullptr) std::memcpy(to, &object, sizeof(T));
    offsets_.Add(size_ - sizeof(T));
  }

  std::byte* const room_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  const char* why_ = nullptr;
  int nested_ = 0;
  ObjectWriter* const objects_;
  api_internal::OffsetList offsets_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_WRITER_H_
