// SPDX-License-Identifier: Apache-2.0
//
// LabHistogram: how often which value was seen, in buckets that grow with the
// value: 32 of them between a power of two and the next, so what it says of a
// value is wrong by at most a sixty-fourth of it.
//
// Takes no locks and is no meeting point of threads: each thread has one of its
// own, and they are merged when the threads are done.

#ifndef BINDERLITE_BENCH_SUPPORT_LAB_HISTOGRAM_H_
#define BINDERLITE_BENCH_SUPPORT_LAB_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace binderlite::bench {

class LabHistogram {
 public:
  // `weight`: how many values of this size it stands for.
  void Add(std::uint64_t value, std::uint64_t weight = 1) {
    counts_[BucketOf(value)] += weight;
    total_ += weight;
    max_ = std::max(max_, value);
  }

  void Merge(const LabHistogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      counts_[i] += other.counts_[i];
    }
    total_ += other.total_;
    max_ = std::max(max_, other.max_);
  }

  // The value that the part `fraction` of all does not exceed; 0: none there.
  [[nodiscard]] double Percentile(double fraction) const {
    if (total_ == 0) return 0;
    const double wanted = fraction * static_cast<double>(total_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) {
        return std::min(MiddleOf(i), static_cast<double>(max_));
      }
    }
    return static_cast<double>(max_);
  }
  [[nodiscard]] double max() const { return static_cast<double>(max_); }
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  static constexpr int kBits = 5;
  static constexpr std::size_t kPerOctave = std::size_t{1} << kBits;

  // Values below 32 have a bucket each.
  static std::size_t BucketOf(std::uint64_t value) {
    if (value < kPerOctave) return static_cast<std::size_t>(value);
    const int octave = 63 - std::countl_zero(value) - kBits;
    return (static_cast<std::size_t>(octave) << kBits) +
           static_cast<std::size_t>(value >> octave);
  }
  static double MiddleOf(std::size_t bucket) {
    if (bucket < kPerOctave) return static_cast<double>(bucket);
    const auto octave = static_cast<int>(bucket >> kBits) - 1;
    const std::uint64_t low = (bucket & (kPerOctave - 1)) + kPerOctave;
    return static_cast<double>(low << octave) +
           static_cast<double>((std::uint64_t{1} << octave) - 1) / 2;
  }

  std::array<std::uint64_t, (64 - kBits + 1)* kPerOctave> counts_ = {};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace binderlite::bench

#endif  // BINDERLITE_BENCH_SUPPORT_LAB_HISTOGRAM_H_
