// SPDX-License-Identifier: Apache-2.0
//
// Task: the identity behind a Thread, which outlives the driver's record of
// it: its number, where it sleeps, whether it has been interrupted or killed.
// One caller at a time makes driver calls as a Task; Interrupt and the kill may
// come from anywhere, at any time, and take no driver lock.
// Kernel: the parts of task_struct that binder relies on.

#ifndef BINDERLITE_CORE_TASK_H_
#define BINDERLITE_CORE_TASK_H_

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "binderlite/core/pin.h"
#include "binderlite/core/table.h"
#include "binderlite/fwd.h"
#include "binderlite/sync/stop.h"

namespace binderlite::core {

// How a call stands with the binder lock, where the discipline has one; a hint,
// for who wants to know why everything hangs (debug/wait_graph.h).
enum class LockStage : std::uint8_t { kAway, kWants, kHolds };

template <class L>
class Task : public TableLink<Task<L>>, public Pinned<Task<L>> {
 public:
  // `proc_kill` is the stop token of the Proc: its kill is the Task's kill.
  Task(std::int32_t the_tid, const std::stop_token& proc_kill)
      : tid(the_tid), on_proc_kill_(proc_kill, Forward{this}) {}

  const std::int32_t tid;
  // Its place in the Proc's table of tasks.
  [[nodiscard]] std::uint64_t table_key() const { return KeyOf(tid); }

  // Ends every wait and lock acquisition of this Task, now and from now on.
  void Kill() {
    kill_.request_stop();
    parker.Wake();  // As kill_signals() promise.
  }
  [[nodiscard]] const sync::StopSignals& kill_signals() const {
    return kill_signals_;
  }

  // The next blocking wait that has to sleep ends with EINTR, once; if one is
  // sleeping now, it is that one.
  void Interrupt() {
    interrupted_.store(true, std::memory_order_release);
    parker.Wake();
  }
  [[nodiscard]] bool interrupted() const {
    return interrupted_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool TakeInterrupt() {
    return interrupted_.load(std::memory_order_relaxed) &&
           interrupted_.exchange(false, std::memory_order_acquire);
  }

  // Marks the begin and the end of a driver call; false when another call of
  // this Task has not ended: the caller shares a Thread, which is an error.
  [[nodiscard]] bool Begin() {
    ended_.store(false, std::memory_order_relaxed);
    return !busy_.exchange(true, std::memory_order_acquire);
  }
  void End() { busy_.store(false, std::memory_order_release); }
  [[nodiscard]] bool busy() const {
    return busy_.load(std::memory_order_acquire);
  }

  // The OS thread behind it has ended. Its record stays, for whoever gets the
  // same number (DT-09), but until then nobody polls as this Task.
  void SetEnded() { ended_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool ended() const {
    return ended_.load(std::memory_order_relaxed);
  }

  // Of its call, or of that of whoever runs its thread meanwhile.
  std::atomic<LockStage> lock_stage{LockStage::kAway};

  typename L::Primitives::Parker parker;

 private:
  struct Forward {
    Task* task;
    void operator()() const { task->Kill(); }
  };

  std::atomic<bool> interrupted_{false};
  std::atomic<bool> busy_{false};
  std::atomic<bool> ended_{false};
  std::stop_source kill_;
  const sync::StopSignals kill_signals_{kill_.get_token(), &parker};
  // Last, so that it is gone before what it calls.
  std::stop_callback<Forward> on_proc_kill_;
};

}  // namespace binderlite::core

#endif  // BINDERLITE_CORE_TASK_H_
