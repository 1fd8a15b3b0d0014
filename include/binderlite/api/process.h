// SPDX-License-Identifier: Apache-2.0
//
// Process: what an endpoint of the typed API consists of beside the driver's
// Proc: its threads, the objects it has given to others, those it has got from
// others, the asynchronous calls that are out, and whether it is closed.
// Endpoint (api/endpoint.h) is how users hold one; proxies and services keep
// it in memory, but not open.
//
//   open      calls go out and come in
//   closing   no call begins any more, those in progress answer kClosed, stop
//             tokens are stopped; handlers that run are waited for
//   closed    nothing runs in it; everyone connected has heard, or will soon
//
// Locks: `mu_`, a leaf: never held when the driver, a handler or a destructor
// of user objects is called. What is counted per call (ThreadSlot) has none.
// libbinder: ProcessState.

#ifndef BINDERLITE_API_PROCESS_H_
#define BINDERLITE_API_PROCESS_H_

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "binderlite/api/endpoint_options.h"
#include "binderlite/api/frame.h"
#include "binderlite/api/object.h"
#include "binderlite/api/pending.h"
#include "binderlite/core/readiness.h"
#include "binderlite/driver/driver.h"
#include "binderlite/sync/abseil_primitives.h"
#include "binderlite/sync/locking.h"
#include "binderlite/sync/mutex_lock.h"

namespace binderlite::api_internal {

template <LockingPolicy L>
class LocalObject;
template <LockingPolicy L>
class RemoteObject;

template <LockingPolicy L>
class Process final : public AnyProcess,
                      public std::enable_shared_from_this<Process<L>> {
 public:
  // How a looper runs; see api/looper.h.
  using LooperBody = void (*)(Process&, ThreadSlot<L>&, bool spawned);

  Process(BasicContext<L>& context, EndpointOptions its_options,
          std::shared_ptr<ReadinessListener> readiness, LooperBody body)
      : options(std::move(its_options)),
        proc(context.Open({.pid = options.pid,
                           .euid = options.euid,
                           .label = options.label,
                           .name = options.name,
                           .arena_size = options.arena_size,
                           .readiness = std::move(readiness)})),
        looper_body_(body) {
    ThreadSlot<L>* const slot = Take();
    const std::uint32_t more = options.max_loopers > options.loopers
                                   ? options.max_loopers - options.loopers
                                   : 0;
    (void)slot->thread.SetMaxThreads(options.loopers == 0 ? 0 : more);
    GiveBack(*slot);
  }

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    // They keep it until they are over.
    for (std::thread& looper : loopers_) looper.detach();
  }

  const EndpointOptions options;
  BasicProc<L> proc;
  const std::shared_ptr<PendingCalls<L>> pending =
      std::make_shared<PendingCalls<L>>();

  // Of results that are kept for their callers; see api/result_port.h.
  std::atomic<std::size_t> unsent_bytes{0};

  [[nodiscard]] std::int32_t pid() const { return proc.pid(); }
  [[nodiscard]] bool closing() const {
    return closing_.load(std::memory_order_seq_cst);
  }

  // --- Threads ---------------------------------------------------------------

  // A thread that nobody uses.
  [[nodiscard]] ThreadSlot<L>* Take() {
    {
      sync::MutexLock lock(mu_);
      if (!free_.empty()) {
        ThreadSlot<L>* const slot = free_.back();
        free_.pop_back();
        return slot;
      }
    }
    auto made = std::make_unique<ThreadSlot<L>>(proc.Attach());
    // So that its first read waits, like all others.
    std::int32_t version = 0;
    (void)made->thread.Version(version);
    sync::MutexLock lock(mu_);
    ThreadSlot<L>* const slot = slots_.emplace_back(std::move(made)).get();
    // Once the Proc is torn down it numbers its threads from the beginning.
    by_tid_.emplace(slot->thread.tid(), slot);
    return slot;
  }
  void GiveBack(ThreadSlot<L>& slot) {
    sync::MutexLock lock(mu_);
    free_.push_back(&slot);
  }
  [[nodiscard]] ThreadSlot<L>* Find(std::int32_t tid) {
    sync::MutexLock lock(mu_);
    const auto it = by_tid_.find(tid);
    return it == by_tid_.end() ? nullptr : it->second;
  }

  // Starts the loopers, once.
  void Serve() {
    if (serves_.load(std::memory_order_acquire) || options.loopers == 0) return;
    sync::MutexLock lock(mu_);
    if (closing() || serves_.exchange(true)) return;
    for (std::uint32_t i = 0; i < options.loopers; ++i) StartLooper(false);
  }
  // BR_SPAWN_LOOPER.
  void SpawnLooper() {
    sync::MutexLock lock(mu_);
    if (!closing()) StartLooper(true);
  }

  // Around each handler, whose frame is `frame`. Objects of this endpoint can
  // be used without holding them from the moment that it says may_run.
  class [[nodiscard]] HandlerScope {
   public:
    HandlerScope(Process& process, ThreadSlot<L>& slot, const Frame& frame)
        : process_(process),
          slot_(slot),
          frame_(frame),
          outer_interface_(slot.interface.load(std::memory_order_relaxed)),
          outer_code_(slot.code.load(std::memory_order_relaxed)),
          outer_caller_(slot.caller.load(std::memory_order_relaxed)),
          outer_since_(slot.since.load(std::memory_order_relaxed)) {
      // Against Close: it sees the depth, or this sees that it is closing.
      slot_.depth.store(slot_.depth.load(std::memory_order_relaxed) + 1,
                        std::memory_order_seq_cst);
      may_run_ = !process_.closing();
    }
    HandlerScope(const HandlerScope&) = delete;
    HandlerScope& operator=(const HandlerScope&) = delete;
    ~HandlerScope() {
      slot_.depth.store(slot_.depth.load(std::memory_order_relaxed) - 1,
                        std::memory_order_seq_cst);
      Show(outer_interface_, outer_code_, outer_caller_, outer_since_);
      if (process_.closing()) process_.HandlerEnds(frame_);
    }
    // False: it is closing, and no handler begins any more.
    [[nodiscard]] bool may_run() const { return may_run_; }
    // What it is, for reports.
    void Show(const InterfaceInfo* interface, std::uint32_t code,
              std::int32_t caller) {
      Show(interface, code, caller, Now());
    }

   private:
    void Show(const InterfaceInfo* interface, std::uint32_t code,
              std::int32_t caller, std::int64_t since) {
      slot_.interface.store(interface, std::memory_order_relaxed);
      slot_.code.store(code, std::memory_order_relaxed);
      slot_.caller.store(caller, std::memory_order_relaxed);
      slot_.since.store(since, std::memory_order_relaxed);
    }

    Process& process_;
    ThreadSlot<L>& slot_;
    const Frame& frame_;
    const InterfaceInfo* const outer_interface_;
    const std::uint32_t outer_code_;
    const std::int32_t outer_caller_;
    const std::int64_t outer_since_;
    bool may_run_ = false;
  };

  // The handlers that are running.
  [[nodiscard]] std::vector<RunningCall> Running() {
    sync::MutexLock lock(mu_);
    std::vector<RunningCall> running;
    for (const auto& [tid, slot] : by_tid_) {
      if (slot->depth.load(std::memory_order_acquire) == 0) continue;
      const InterfaceInfo* const interface =
          slot->interface.load(std::memory_order_relaxed);
      if (interface == nullptr) continue;  // Only just begins.
      const std::int64_t begin = slot->since.load(std::memory_order_relaxed);
      running.push_back({.endpoint = options.name,
                         .interface = std::string(interface->name),
                         .code = slot->code.load(std::memory_order_relaxed),
                         .caller = slot->caller.load(std::memory_order_relaxed),
                         .tid = tid,
                         .since = std::chrono::nanoseconds{Now() - begin},
                         .begin = std::chrono::steady_clock::time_point{
                             std::chrono::nanoseconds{begin}}});
    }
    return running;
  }

  // --- Objects of this endpoint ----------------------------------------------

  // A number for a new object, never used again; the driver knows it by this.
  [[nodiscard]] std::uint64_t NewPtr() {
    return next_ptr_.fetch_add(8, std::memory_order_relaxed);
  }
  // It is about to be sent: whoever holds a reference elsewhere keeps it alive.
  void Export(std::uint64_t ptr,
              const std::shared_ptr<LocalObject<L>>& object) {
    sync::MutexLock lock(mu_);
    if (!closed_) exports_[ptr].object = object;
  }
  // It is gone.
  void Forget(std::uint64_t ptr) {
    sync::MutexLock lock(mu_);
    exports_.erase(ptr);
  }
  // BR_ACQUIRE and BR_RELEASE, which may be read in either order. Answers what
  // nobody elsewhere holds any more.
  void Acquired(std::uint64_t ptr) { (void)CountHolders(ptr, +1); }
  [[nodiscard]] std::shared_ptr<LocalObject<L>> Released(std::uint64_t ptr) {
    return CountHolders(ptr, -1);
  }
  // The object with this number; null: it is gone.
  [[nodiscard]] std::shared_ptr<LocalObject<L>> FindLocal(std::uint64_t ptr) {
    sync::MutexLock lock(mu_);
    const auto it = exports_.find(ptr);
    return it == exports_.end() ? nullptr : it->second.object.lock();
  }

  // What takes the results of asynchronous calls; `make` makes it.
  template <class Make>
  [[nodiscard]] std::shared_ptr<ApiObject> ReplyPort(Make make) {
    {
      sync::MutexLock lock(mu_);
      if (reply_port_ != nullptr) return reply_port_;
    }
    std::shared_ptr<ApiObject> made = make();
    sync::MutexLock lock(mu_);
    if (closing()) return nullptr;
    if (reply_port_ == nullptr) reply_port_ = std::move(made);
    return reply_port_;
  }

  // The object behind handle 0, if it is ours: not behind a handle for us.
  void KeepManager(std::shared_ptr<ApiObject> manager) {
    sync::MutexLock lock(mu_);
    if (!closing()) manager_ = std::move(manager);
  }
  [[nodiscard]] std::shared_ptr<ApiObject> manager() {
    sync::MutexLock lock(mu_);
    return manager_;
  }

  // --- Objects of others -----------------------------------------------------

  // The reference that stands for `handle`, or what `make` makes, called with
  // the lock. At most one at a time: if the last one is just being destroyed in
  // another thread, waits for that, since the driver keeps one death
  // notification per handle.
  template <class Make>
  [[nodiscard]] std::shared_ptr<RemoteObject<L>> FindOrMake(
      std::uint32_t handle, Make make) {
    sync::MutexLock lock(mu_);
    const auto settled = [this, handle] {
      mu_.AssertHeld();
      const auto it = remotes_.find(handle);
      return it == remotes_.end() || !it->second.expired();
    };
    for (;;) {
      const auto it = remotes_.find(handle);
      if (it == remotes_.end()) break;
      if (auto found = it->second.lock()) return found;
      mu_.Await(settled);
    }
    std::shared_ptr<RemoteObject<L>> made = make();
    remotes_.emplace(handle, made);
    return made;
  }
  // The last reference is gone, and the driver knows.
  void ForgetRemote(std::uint32_t handle) {
    sync::MutexLock lock(mu_);
    remotes_.erase(handle);
  }

  // All references that there are.
  [[nodiscard]] std::vector<std::shared_ptr<RemoteObject<L>>> Remotes() {
    std::vector<std::shared_ptr<RemoteObject<L>>> all;
    sync::MutexLock lock(mu_);
    for (const auto& [handle, weak] : remotes_) {
      if (auto object = weak.lock()) all.push_back(std::move(object));
    }
    return all;
  }

  // Cookies of death notifications.
  [[nodiscard]] std::uint64_t NewDeath(std::weak_ptr<RemoteObject<L>> object) {
    sync::MutexLock lock(mu_);
    deaths_.emplace(++last_cookie_, std::move(object));
    return last_cookie_;
  }
  [[nodiscard]] std::shared_ptr<RemoteObject<L>> FindDeath(
      std::uint64_t cookie) {
    sync::MutexLock lock(mu_);
    const auto it = deaths_.find(cookie);
    return it == deaths_.end() ? nullptr : it->second.lock();
  }
  void ForgetDeath(std::uint64_t cookie) {
    sync::MutexLock lock(mu_);
    deaths_.erase(cookie);
  }

  // --- The end ---------------------------------------------------------------

  // Closes it and waits for the handlers that run, but for those that the
  // calling OS thread is in itself. From anywhere, any number of times. `end`
  // is called once, without locks, when no call begins any more.
  template <class End>
  void Close(End end) {
    if (!closing_.exchange(true, std::memory_order_seq_cst)) {
      {
        sync::MutexLock lock(mu_);  // Whoever starts a looper sees it now.
        ender_ = std::this_thread::get_id();
      }
      this->stop_.request_stop();
      proc.Close();
      end();
      sync::MutexLock lock(mu_);
      ender_ = {};
      ended_ = true;
    } else if (!IsInside()) {
      const auto ended = [this] {
        mu_.AssertHeld();
        return ended_;
      };
      sync::MutexLock lock(mu_);
      // Or `end` has called what calls this.
      if (ender_ != std::this_thread::get_id()) mu_.Await(ended);
    }
    bool in_handler = false;
    {
      sync::MutexLock lock(mu_);
      in_handler = AwaitHandlers();
    }
    pending->Join();
    // A handler may run as one of the loopers on another OS thread
    // (driver/loan.h), so that this would wait for itself. They end all the
    // same; whoever closes it once more joins them.
    if (!in_handler) JoinLoopers();
    {
      sync::MutexLock lock(mu_);
      closed_ = true;
    }
    LetGo();
  }

 private:
  struct Exported {
    std::weak_ptr<LocalObject<L>> object;
    std::shared_ptr<LocalObject<L>> kept;  // While somebody elsewhere holds it.
    int holders = 0;
  };

  static std::int64_t Now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  std::shared_ptr<LocalObject<L>> CountHolders(std::uint64_t ptr, int change) {
    sync::MutexLock lock(mu_);
    const auto it = exports_.find(ptr);
    if (it == exports_.end()) return nullptr;
    Exported& exported = it->second;
    exported.holders += change;
    if (closed_) return nullptr;
    if (exported.holders > 0) {
      exported.kept = exported.object.lock();
      return nullptr;
    }
    return std::exchange(exported.kept, nullptr);
  }

  void StartLooper(bool spawned) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const int number = ++looper_count_;
    loopers_.emplace_back([self = this->shared_from_this(), spawned, number] {
      self->NameThread(number);
      ThreadSlot<L>* const slot = self->Take();
      self->looper_body_(*self, *slot, spawned);
    });
  }

  void NameThread(int number) const {
    // The kernel takes 15 bytes.
    std::string name = options.name.empty() ? "binderlite" : options.name;
    const std::string suffix = ":" + std::to_string(number);
    name.resize(std::min<std::size_t>(name.size(), 15 - suffix.size()));
    (void)::pthread_setname_np(::pthread_self(), (name + suffix).c_str());
  }

  // How many of the handlers that run are on the calling OS thread. They are
  // counted as closers_ from now on.
  [[nodiscard]] int OwnHandlers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    int own = 0;
    for (Frame* frame = Frame::Innermost(); frame != nullptr;
         frame = frame->outer) {
      if (frame->process != this || !frame->handler) continue;
      ++own;
      if (!std::exchange(frame->closes, true)) ++closers_;
    }
    return own;
  }
  [[nodiscard]] int CountHandlers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    int running = 0;
    for (const auto& slot : slots_) {
      running += slot->depth.load(std::memory_order_seq_cst);
    }
    return running;
  }
  // Of those that close it themselves, none can wait for another one.
  // Whether this is one.
  bool AwaitHandlers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const bool in_handler = OwnHandlers() != 0;
    const auto idle = [this, in_handler] {
      mu_.AssertHeld();
      return CountHandlers() <= (in_handler ? closers_ : 0);
    };
    const std::chrono::nanoseconds interval =
        std::max(options.report_after, std::chrono::nanoseconds(1));
    while (!mu_.AwaitUntil(idle, Within(interval).deadline)) {
      mu_.Unlock();
      Report();
      mu_.Lock();
    }
    return in_handler;
  }
  // Waits for the loopers to end, whoever else joins them; but on one of them,
  // or within a call, only for those that nobody joins yet.
  void JoinLoopers() {
    const bool inside = IsInside();
    const auto none_joins = [this] {
      mu_.AssertHeld();
      return joiners_ == 0;
    };
    std::vector<std::thread> loopers;
    sync::MutexLock lock(mu_);
    do {
      loopers.swap(loopers_);
      ++joiners_;
      mu_.Unlock();
      std::thread own;
      for (std::thread& looper : loopers) {
        if (looper.get_id() != std::this_thread::get_id()) {
          looper.join();
        } else {
          own = std::move(looper);  // It ends when it gets out.
        }
      }
      loopers.clear();
      mu_.Lock();
      --joiners_;
      if (own.joinable()) loopers_.push_back(std::move(own));
      if (inside) return;
      mu_.Await(none_joins);
    } while (!loopers_.empty());
  }
  // Whether the calling OS thread is in something of this endpoint's.
  [[nodiscard]] bool IsInside() const {
    for (const Frame* frame = Frame::Innermost(); frame != nullptr;
         frame = frame->outer) {
      if (frame->process == this) return true;
    }
    return false;
  }
  // While it is closing.
  void HandlerEnds(const Frame& frame) {
    {
      sync::MutexLock lock(mu_);  // Has Close look again.
      if (frame.closes) --closers_;
    }
    LetGo();
  }
  // Once it is closed and no handler runs any more: its objects are held by
  // nobody elsewhere.
  void LetGo() {
    std::unordered_map<std::uint64_t, Exported> exports;
    std::shared_ptr<ApiObject> reply_port;
    std::shared_ptr<ApiObject> manager;
    sync::MutexLock lock(mu_);
    if (!closed_ || CountHandlers() != 0) return;
    exports.swap(exports_);
    manager.swap(manager_);
    reply_port.swap(reply_port_);
  }
  void Report() {
    const std::vector<RunningCall> running = Running();
    if (options.on_stuck) {
      options.on_stuck(running);
      return;
    }
    for (const RunningCall& call : running) {
      std::fprintf(stderr,
                   "binderlite: closing endpoint '%s' waits for a handler: "
                   "%s, method %u, called by pid %d, running for %.1f s\n",
                   call.endpoint.c_str(), call.interface.c_str(), call.code,
                   call.caller,
                   std::chrono::duration<double>(call.since).count());
    }
  }

  const LooperBody looper_body_;
  std::atomic<bool> closing_{false};
  std::atomic<bool> serves_{false};
  std::atomic<std::uint64_t> next_ptr_{8};

  sync::AbseilMutex mu_;
  // Close has come to its end, but for handlers that have called it.
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  int closers_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread::id ender_ ABSL_GUARDED_BY(mu_);  // Who calls `end` just now.
  bool ended_ ABSL_GUARDED_BY(mu_) = false;     // It has been called.
  std::vector<std::unique_ptr<ThreadSlot<L>>> slots_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::int32_t, ThreadSlot<L>*> by_tid_ ABSL_GUARDED_BY(mu_);
  std::vector<ThreadSlot<L>*> free_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> loopers_ ABSL_GUARDED_BY(mu_);
  int joiners_ ABSL_GUARDED_BY(mu_) = 0;  // Threads in JoinLoopers.
  int looper_count_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_map<std::uint64_t, Exported> exports_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<ApiObject> manager_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<ApiObject> reply_port_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::uint32_t, std::weak_ptr<RemoteObject<L>>> remotes_
      ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, std::weak_ptr<RemoteObject<L>>> deaths_
      ABSL_GUARDED_BY(mu_);
  std::uint64_t last_cookie_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace binderlite::api_internal

#endif  // BINDERLITE_API_PROCESS_H_
