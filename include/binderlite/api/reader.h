// SPDX-License-Identifier: Apache-2.0
//
// Reader: takes a received payload apart. The bytes are anybody's, so nothing
// in them is believed: every access is checked against the end, and objects are
// only seen where the driver says that there are some, in their order. Data is
// never read across an object either: what the driver has put there (handles,
// addresses of the receiver's) is no business of the sender's.
//
// Failing is sticky: `ok()` is false from then on, everything read later fails,
// and what was read into is in some valid state.
//
// The Reader owns the descriptors of the payload that nobody has taken, and
// closes them when it is destroyed. References need no such care: the driver
// gives them up when the buffer is freed.
//
// What the payload has beyond what is read is ignored: a method may gain
// arguments at its end, and those who do not know of them read what they know.
//
// No locks; allocates nothing.

#ifndef BINDERLITE_API_READER_H_
#define BINDERLITE_API_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "binderlite/api/fd.h"
#include "binderlite/api/objects.h"
#include "binderlite/api/writer.h"
#include "binderlite/config.h"
#include "binderlite/memory/align.h"
#include "binderlite/wire/objects.h"

namespace binderlite {

class Reader {
 public:
  // `data` begins at a multiple of 8, and stays as long as what is read in
  // place is used. `offsets` are those of its objects, ascending, from the
  // driver. Without `objects`, only null references can be read.
  explicit Reader(std::span<const std::byte> data,
                  std::span<const std::uint64_t> offsets = {},
                  ObjectReader* objects = nullptr)
      : data_(data.empty() ? &kNothing : data.data()),
        size_(data.size()),
        offsets_(offsets),
        objects_(objects) {
    BINDERLITE_ASSERT(reinterpret_cast<std::uintptr_t>(data_) %
                          api_internal::kMostAlignment ==
                      0);
    SetLimit();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  ~Reader() {
    for (; next_ < offsets_.size(); ++next_) {
      FdObject object;
      if (Peek(offsets_[next_], object)) {
        const Fd closed(static_cast<int>(object.fd));
      }
    }
  }

  // The next `size` bytes, at a multiple of `alignment` (1, 2, 4 or 8), in
  // place. Null: there are not so many, and the Reader has failed.
  [[nodiscard]] const std::byte* Take(std::size_t size, std::size_t alignment) {
    BINDERLITE_ASSERT(alignment - 1 < api_internal::kMostAlignment);
    const std::size_t at = memory::AlignUp(at_, alignment);
    if (at > limit_ || size > limit_ - at) [[unlikely]] {
      Fail("the payload is too short");
      return nullptr;
    }
    at_ = at + size;
    return data_ + at;
  }

  // An arithmetic value as it is in memory. Not for bool and long double, which
  // have representations without a value.
  template <class T>
  [[nodiscard]] bool Number(T& value) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool> &&
                  !std::is_same_v<T, long double>);
    const std::byte* const from = Take(sizeof(T), api_internal::kAlignment<T>);
    if (from == nullptr) return false;
    std::memcpy(&value, from, sizeof(T));
    return true;
  }

  // One byte that is 0 or 1.
  [[nodiscard]] bool Bool(bool& value) {
    const std::byte* const from = Take(1, 1);
    if (from == nullptr) return false;
    if (*from > std::byte{1}) return Fail("neither true nor false");
    value = *from == std::byte{1};
    return true;
  }

  // The number of elements that follow, each of at least `least` bytes. Fails
  // if the payload cannot have so many, before anybody makes room for them.
  [[nodiscard]] bool Length(std::uint32_t& length, std::size_t least = 1) {
    if (!Number(length)) return false;
    if (length > remaining() / least) return Fail("too many elements");
    return true;
  }

  // A strong reference, as the driver has written it.
  [[nodiscard]] bool Binder(FlatObject& object) {
    if (!Embedded(object)) return false;
    if (!Is(object, ObjectType::kBinder) && !Is(object, ObjectType::kHandle)) {
      return Fail("not a reference");
    }
    Passed(sizeof(object));
    return true;
  }

  // A descriptor of the receiver's, which `fd` now owns.
  [[nodiscard]] bool Descriptor(Fd& fd) {
    FdObject object;
    if (!Embedded(object)) return false;
    if (!Is(object, ObjectType::kFd)) return Fail("not a descriptor");
    Passed(sizeof(object));
    fd = Fd(static_cast<int>(object.fd));
    return true;
  }

  // A reference or null.
  [[nodiscard]] bool Object(std::shared_ptr<ApiObject>& object) {
    std::uint32_t present = 0;
    if (!Number(present)) return false;
    if (present > 1) return Fail("neither null nor a reference");
    object = nullptr;
    if (present == 0) return true;
    FlatObject flat;
    if (!Binder(flat)) return false;
    if (objects_ != nullptr) object = objects_->Unflatten(flat);
    return object != nullptr || Fail("a reference to nothing");
  }

  // Around the fields of a struct, as those of the Writer.
  [[nodiscard]] bool Enter() {
    if (nested_ == api_internal::kMostNested) {
      return Fail("structs within each other too deeply");
    }
    ++nested_;
    return true;
  }
  // Ends what Enter began.
  void Leave() { --nested_; }

  // What is being read is not valid. `why` is a literal; the first one counts.
  // Returns false.
  bool Fail(const char* why) {
    if (why_ == nullptr) why_ = why;
    // Nothing more is to be had.
    at_ = size_;
    limit_ = 0;
    return false;
  }
  // Whether everything that was read was valid.
  [[nodiscard]] bool ok() const { return why_ == nullptr; }
  // Null if nothing failed.
  [[nodiscard]] const char* why() const { return why_; }

  // Bytes that have not been read yet, with padding and objects.
  [[nodiscard]] std::size_t remaining() const { return size_ - at_; }
  // Whether the payload ends here, and did not fail: an argument that is
  // optional and was added later is not there.
  [[nodiscard]] bool AtEnd() const { return ok() && at_ == size_; }

 private:
  alignas(api_internal::kMostAlignment) static constexpr std::byte kNothing{};

  template <class T>
  static bool Is(const T& object, ObjectType type) {
    return object.hdr.type == static_cast<std::uint32_t>(type);
  }

  // Copies the descriptor that is embedded at `offset`, if it is one.
  [[nodiscard]] bool Peek(std::uint64_t offset, FdObject& object) const {
    if (offset > size_ || sizeof(object) > size_ - offset) return false;
    std::memcpy(&object, data_ + offset, sizeof(object));
    return Is(object, ObjectType::kFd);
  }

  // Copies the next object, if it is here; Passed() then goes beyond it. An
  // object of another type may be shorter than T, but not than its header.
  template <class T>
  [[nodiscard]] bool Embedded(T& object) {
    const std::size_t at = memory::AlignUp(at_, alignof(T));
    if (next_ == offsets_.size() || offsets_[next_] != at || at > size_ ||
        sizeof(T) > size_ - at) {
      return Fail("no object here");
    }
    std::memcpy(&object, data_ + at, sizeof(T));
    return true;
  }
  void Passed(std::size_t size) {
    at_ = static_cast<std::size_t>(offsets_[next_]) + size;
    ++next_;
    SetLimit();
  }

  // Data can be read up to the next object.
  void SetLimit() {
    limit_ = size_;
    if (next_ != offsets_.size() && offsets_[next_] < size_) {
      limit_ = static_cast<std::size_t>(offsets_[next_]);
    }
  }

  const std::byte* const data_;
  const std::size_t size_;
  std::size_t limit_ = 0;
  std::size_t at_ = 0;
  const char* why_ = nullptr;
  const std::span<const std::uint64_t> offsets_;
  std::size_t next_ = 0;  // in offsets_
  int nested_ = 0;
  ObjectReader* const objects_;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_READER_H_
