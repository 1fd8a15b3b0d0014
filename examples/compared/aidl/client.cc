// SPDX-License-Identifier: Apache-2.0

#include <binder/IServiceManager.h>
#include <demo/IGreeter.h>
#include <utils/String8.h>

#include <iostream>

int main() {
  const auto greeter =
      android::waitForService<demo::IGreeter>(android::String16("greeter"));
  if (greeter == nullptr) return 1;
  android::String16 text;
  if (!greeter->hello(android::String16("binder"), &text).isOk()) return 1;
  std::cout << android::String8(text).c_str() << '\n';
}
