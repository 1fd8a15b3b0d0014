// SPDX-License-Identifier: Apache-2.0

#include <binder/IPCThreadState.h>
#include <binder/IServiceManager.h>
#include <binder/ProcessState.h>
#include <demo/BnCounter.h>

#include <mutex>
#include <vector>

using android::sp;
using android::wp;
using android::binder::Status;

class CounterService final : public demo::BnCounter,
                             public android::IBinder::DeathRecipient {
 public:
  Status increment(int32_t by, int32_t* result) override {
    if (by < 0) {
      return Status::fromServiceSpecificError(NEGATIVE, "only up");
    }
    const std::lock_guard lock(mu_);
    value_ += by;
    for (const sp<demo::ICounterListener>& listener : listeners_) {
      (void)listener->onChanged(value_);  // Who is dead goes soon.
    }
    *result = value_;
    return Status::ok();
  }

  Status registerListener(const sp<demo::ICounterListener>& listener) override {
    const auto watching = android::IInterface::asBinder(listener)->linkToDeath(
        sp<android::IBinder::DeathRecipient>::fromExisting(this));
    if (watching != android::OK) return Status::fromStatusT(watching);
    const std::lock_guard lock(mu_);
    listeners_.push_back(listener);
    return Status::ok();
  }

  void binderDied(const wp<android::IBinder>& who) override {
    const std::lock_guard lock(mu_);
    std::erase_if(listeners_, [&](const auto& listener) {
      return who == android::IInterface::asBinder(listener);
    });
  }

 private:
  std::mutex mu_;
  int32_t value_ = 0;
  std::vector<sp<demo::ICounterListener>> listeners_;
};

int main() {
  const auto added = android::defaultServiceManager()->addService(
      android::String16("counter"), sp<CounterService>::make());
  if (added != android::OK) return 1;
  android::ProcessState::self()->setThreadPoolMaxThreadCount(4);
  android::ProcessState::self()->startThreadPool();
  android::IPCThreadState::self()->joinThreadPool();
}
