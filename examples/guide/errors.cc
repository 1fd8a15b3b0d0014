// SPDX-License-Identifier: Apache-2.0

#include <binderlite/binderlite.h>

#include <iostream>
#include <string>

namespace bl = binderlite;

struct Account {
  static constexpr bl::InterfaceName kName = "guide.Account";
  bl::Method<1, int(std::string_view owner)> Balance;
  bl::Method<2, void(std::string_view owner, int amount)> Withdraw;
  bl::Method<3, void()> Audit;
};
// Declared by the service, for service_code().
enum AccountError : std::int32_t { kUnknownOwner = 1, kTooLittle = 2 };

struct Other {
  static constexpr bl::InterfaceName kName = "guide.Other";
};

int main() {
  bl::Binder binder;
  bl::Endpoint server = binder.Open("server"), client = binder.Open("client");
  const auto service = server.Create(Account{
      // A handler returns its result, or a Result, or a Status.
      .Balance = [](std::string_view owner) -> bl::Result<int> {
        if (owner != "ann") {
          return bl::Status::Error(kUnknownOwner, "who is that?");
        }
        return 100;
      },
      .Withdraw = [](std::string_view, int amount) -> bl::Status {
        if (amount > 100) return bl::Status::Error(kTooLittle);
        return {};
      },
      .Audit = {},  // Not implemented.
  });
  if (!server.Publish("account", service).ok()) return 1;
  const auto account = client.Find<Account>("account").value();

  std::cout << account->Balance("ann").value() << '\n';

  // The service said no.
  const bl::Result<int> nobody = account->Balance("bob");
  std::cout << nobody.status() << '\n';
  const bl::Status status = account->Withdraw("ann", 500);
  if (status.service_code() == kTooLittle) std::cout << "not so much\n";

  // The call did not get there, for one of the reasons in StatusCode.
  std::cout << account->Audit() << '\n';
  std::cout << client.Find<Account>("accounts").status() << '\n';
  std::cout << client.Find<Other>("account").status() << '\n';
  std::cout << bl::Proxy<Account>()->Audit() << '\n';

  // Delivery tells whether it is safe to try elsewhere.
  server.Close();
  const bl::Status dead = account->Withdraw("ann", 1);
  std::cout << dead
            << (dead.delivery() == bl::Delivery::kNo ? ", not delivered" : "")
            << '\n';
}

// Prints:
//   100
//   service error 1: who is that?
//   not so much
//   no such method: guide.Account, method 3
//   no such object: no service 'accounts'
//   wrong interface: it is a guide.Account
//   no such object
//   dead, not delivered
