// SPDX-License-Identifier: Apache-2.0
//
// Forward declarations of the driver's types, so that state types can point at
// each other without seeing each other's bodies.

#ifndef BINDERLITE_FWD_H_
#define BINDERLITE_FWD_H_

namespace binderlite {

class FileTable;
class Hooks;
class Priorities;
class SecurityPolicy;
class UserMemory;
template <class L>
class CallHandler;

namespace core {

// State, one concept a file in core/. L is a LockingPolicy.
template <class L>
class Arena;
template <class L>
class Buffer;
template <class L>
class Context;
template <class L>
class Death;
template <class L>
class Freeze;
template <class L>
struct HandlerInUse;
template <class L>
class Node;
template <class L>
class Proc;
template <class L>
class Ref;
template <class L>
class Task;
template <class L>
class Thread;
template <class L>
class Transaction;

}  // namespace core
}  // namespace binderlite

#endif  // BINDERLITE_FWD_H_
