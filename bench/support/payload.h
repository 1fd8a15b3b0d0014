// SPDX-License-Identifier: Apache-2.0
//
// Payloads that are written and checked. A sender fills all bytes with one
// value, another one for each call; a receiver looks at each byte, and answers
// with as many bytes of the same value. So no subject gets by with memory that
// it does not touch, and a payload that is torn or stale does not go unseen.

#ifndef BINDERLITE_BENCH_SUPPORT_PAYLOAD_H_
#define BINDERLITE_BENCH_SUPPORT_PAYLOAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace binderlite::bench {

using Bytes = std::vector<std::byte>;

// What all bytes are; 0 if there are none.
[[nodiscard]] inline unsigned char ValueOf(const void* data, std::size_t size) {
  return size == 0 ? 0 : *static_cast<const unsigned char*>(data);
}

inline void Fill(Bytes& bytes, unsigned char value) {
  if (!bytes.empty()) std::memset(bytes.data(), value, bytes.size());
}

// Whether all bytes are `value`. In words, as a byte at a time would cost more
// than all the rest.
[[nodiscard]] inline bool IsFilled(const void* data, std::size_t size,
                                   unsigned char value) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  const std::uint64_t expected = value * std::uint64_t{0x0101010101010101};
  // Four at a time, which do not wait for each other.
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
  std::uint64_t d = 0;
  std::size_t at = 0;
  for (; at + 4 * sizeof(a) <= size; at += 4 * sizeof(a)) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), bytes + at, sizeof(words));
    a |= words[0] ^ expected;
    b |= words[1] ^ expected;
    c |= words[2] ^ expected;
    d |= words[3] ^ expected;
  }
  std::uint64_t rest = a | b | c | d;
  for (; at < size; ++at) {
    rest |= static_cast<std::uint64_t>(bytes[at] ^ value);
  }
  return rest == 0;
}

// What a server does with a request: looks at each byte, and makes `answer` as
// many bytes of the same value (of another one if the request was torn).
inline void AnswerTo(const void* request, std::size_t size, Bytes& answer) {
  unsigned char value = ValueOf(request, size);
  if (!IsFilled(request, size, value)) ++value;
  answer.resize(size);
  Fill(answer, value);
}

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_PAYLOAD_H_
