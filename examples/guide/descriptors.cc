// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iostream>
#include <string>

namespace bl = binderlite;

struct Files {
  static constexpr bl::InterfaceName kName = "guide.Files";
  bl::Method<1, bl::Fd(std::string_view text)> Make;
  bl::Method<2, std::string(bl::Fd file)> Read;
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Files{
      .Make = [](std::string_view text) -> bl::Result<bl::Fd> {
        bl::Fd file(::memfd_create("example", MFD_CLOEXEC));
        if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
          return bl::Status::Error(1, "no file");
        }
        return file;
      },
      // `file` is a descriptor of the handler's own, and closed at its end.
      .Read =
          [](const bl::Fd& file) {
            char text[16];
            const ssize_t size = ::pread(file.get(), text, sizeof(text), 0);
            return std::string(text,
                               size < 0 ? 0 : static_cast<std::size_t>(size));
          }});
  if (!server.Publish("files", service).ok()) return 1;

  const auto files = client.Find<Files>("files").value();
  const bl::Fd file = files->Make("some words").value();
  std::cout << files->Read(file).value() << '\n';
  std::cout << files->Read(bl::Fd()).status() << '\n';
}

// Prints:
//   some words
//   malformed payload: the arguments cannot be sent: no descriptor
