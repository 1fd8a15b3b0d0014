// SPDX-License-Identifier: Apache-2.0
//
// Payloads that are written and checked. A sender fills all bytes with one
// value, another one for each call; a receiver looks at each byte, and answers
// with as many bytes of the same value. So no subject gets by with memory that
// it does not touch, and a payload that is torn or stale does not go unseen.

#ifndef BINDERLITE_BENCH_SUPPORT_PAYLOAD_H_
#define BINDERLITE_BENCH_SUPPORT_PAYLOAD_H_

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
  std::uint64_t differences[4] = {};
  std::size_t at = 0;
  for (; at + sizeof(differences) <= size; at += sizeof(differences)) {
    std::uint64_t words[4];
    std::memcpy(words, bytes + at, sizeof(words));
    for (int i = 0; i < 4; ++i) differences[i] |= words[i] ^ expected;
  }
  std::uint64_t rest =
      differences[0] | differences[1] | differences[2] | differences[3];
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
