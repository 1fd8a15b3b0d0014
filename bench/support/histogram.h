// SPDX-License-Identifier: Apache-2.0
//
// Histogram: durations in nanoseconds, in 32 buckets for each power of two, so
// that a quantile is wrong by at most 2 %. Not thread safe: one a thread, and
// then Add. Recording allocates nothing.

#ifndef BINDERLITE_BENCH_SUPPORT_HISTOGRAM_H_
#define BINDERLITE_BENCH_SUPPORT_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace binderlite::bench {

class Histogram {
 public:
  // `weight`: how many values of this size it stands for.
  void Record(std::int64_t nanoseconds, std::uint64_t weight = 1) {
    const auto value =
        static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
    buckets_[IndexOf(value)] += weight;
    count_ += weight;
    max_ = std::max(max_, value);
  }

  void Add(const Histogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double max() const { return static_cast<double>(max_); }

  // The middle of the bucket in which the value is than which a share `q` of
  // all is not larger.
  [[nodiscard]] double Quantile(double q) const {
    const auto wanted = static_cast<std::uint64_t>(
        q * static_cast<double>(count_ == 0 ? 0 : count_ - 1));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > wanted) return std::min(MiddleOf(i), max());
    }
    return max();
  }

 private:
  static constexpr int kBits = 5;
  static constexpr std::size_t kPerPower = std::size_t{1} << kBits;

  // Below 32: itself. Above: the power of two and the five bits after it.
  static std::size_t IndexOf(std::uint64_t value) {
    if (value < kPerPower) return static_cast<std::size_t>(value);
    const int power = static_cast<int>(std::bit_width(value)) - 1;
    const auto below =
        static_cast<std::size_t>(value >> (power - kBits)) - kPerPower;
    return static_cast<std::size_t>(power - kBits + 1) * kPerPower + below;
  }
  static double MiddleOf(std::size_t index) {
    if (index < kPerPower) return static_cast<double>(index);
    const auto shift = index / kPerPower - 1;
    const std::uint64_t low = (kPerPower + index % kPerPower) << shift;
    return static_cast<double>(low) +
           static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
  }

  std::array<std::uint64_t, (64 - kBits + 1)* kPerPower> buckets_ = {};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_HISTOGRAM_H_
