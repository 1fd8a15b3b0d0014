// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <cstdint>
#include <iostream>
#include <string>

namespace bl = binderlite;

// A class with an invariant, so not simply the sum of its fields.
class Percent {
 public:
  Percent() = default;
  static constexpr bool IsValid(int value) {
    return value >= 0 && value <= 100;
  }
  explicit Percent(int value) : value_(value) {}
  [[nodiscard]] int value() const { return value_; }

 private:
  int value_ = 0;
};

template <>
struct binderlite::Codec<Percent> {
  static void Write(Writer& writer, const Percent& percent) {
    WriteValue(writer, percent.value());
  }
  // What arrives is anybody's. False fails the call with kMalformed.
  static bool Read(Reader& reader, Percent& percent) {
    int value = 0;
    if (!ReadValue(reader, value) || !Percent::IsValid(value)) return false;
    percent = Percent(value);
    return true;
  }
};

struct Dimmer {
  static constexpr bl::InterfaceName kName = "guide.Dimmer";
  bl::Method<1, Percent(Percent by)> Darken;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(
      Dimmer{.Darken = [](Percent by) { return Percent(100 - by.value()); }});
  if (!server.Publish("dimmer", service).ok()) return 1;

  const auto dimmer = client.Find<Dimmer>("dimmer").value();
  std::cout << dimmer->Darken(Percent(30)).value().value() << '\n';
  // The service never sees this one.
  std::cout << dimmer->Darken(Percent(130)).status() << '\n';
}

// Prints:
//   70
//   malformed payload: a value that its Codec refuses
