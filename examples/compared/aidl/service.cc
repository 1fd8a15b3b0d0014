// SPDX-License-Identifier: Apache-2.0

#include <binder/IPCThreadState.h>
#include <binder/IServiceManager.h>
#include <binder/ProcessState.h>
#include <demo/BnGreeter.h>

class Greeter final : public demo::BnGreeter {
  android::binder::Status hello(const android::String16& who,
                                android::String16* result) override {
    *result = android::String16("hello, ") + who;
    return android::binder::Status::ok();
  }
};

int main() {
  const auto added = android::defaultServiceManager()->addService(
      android::String16("greeter"), android::sp<Greeter>::make());
  if (added != android::OK) return 1;
  android::ProcessState::self()->startThreadPool();
  android::IPCThreadState::self()->joinThreadPool();
}
