// SPDX-License-Identifier: Apache-2.0
//
// The seam between payloads and references: what turns an object of the typed
// API into what a payload carries of it, and back. A Writer and a Reader know
// objects only by these two interfaces.
//
// No locks here; what implements them says what it takes.

#ifndef BINDERLITE_API_OBJECTS_H_
#define BINDERLITE_API_OBJECTS_H_

#include <memory>

#include "binderlite/wire/objects.h"

namespace binderlite {

// Anything that calls can be made to, here or elsewhere.
class ApiObject;

// Turns references into what a payload carries.
class ObjectWriter {
 public:
  // Writes to `flat` what stands for `object`, which is not null. False: it
  // cannot be sent. Called again for the same object when a payload has to be
  // written a second time.
  [[nodiscard]] virtual bool Flatten(const std::shared_ptr<ApiObject>& object,
                                     FlatObject& flat) = 0;

 protected:
  ~ObjectWriter() = default;
};

// Turns what a payload carries into references.
class ObjectReader {
 public:
  // The object that `flat` stands for: a strong reference, to a node of the
  // receiver's (kBinder) or elsewhere (kHandle), as the driver has written it.
  // Null: there is none.
  [[nodiscard]] virtual std::shared_ptr<ApiObject> Unflatten(
      const FlatObject& flat) = 0;

 protected:
  ~ObjectReader() = default;
};

}  // namespace binderlite

#endif  // BINDERLITE_API_OBJECTS_H_
