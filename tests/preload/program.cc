// SPDX-License-Identifier: Apache-2.0
//
// A program written for the kernel's binder: it opens /dev/binder and includes
// nothing of binderlite. It runs as it is on the kernel (linked statically,
// scripts/run-on-kernel-binder) and under the preload library, and writes the
// same either way, which is recorded in program.kernel-output.
//
// In one process it shows two loopers that serve at the same time, a client
// that waits in an epoll set, a descriptor that is passed, and a death.
// Handle 0 does not work within one process, so it gets at the context manager
// by way of a dead one's handle; see section 0.1 of docs/semantics.md.

#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t kMapSize = 128 * 1024;

// What the service does.
enum Code : uint32_t { kReverse = 1, kMeet, kWriteTo, kKeep, kGive, kQuit };

void Die(const char* what) {
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

struct Device {
  int fd = -1;
  void* map = nullptr;

  explicit Device(int flags) {
    fd = open("/dev/binder", O_RDWR | O_CLOEXEC | flags);
    if (fd < 0) Die("open");
    map = mmap(nullptr, kMapSize, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) Die("mmap");
  }
  void Close() {
    if (munmap(map, kMapSize) != 0) Die("munmap");
    if (close(fd) != 0) Die("close");
  }
};

// A stream of commands.
class Stream {
 public:
  template <class T>
  Stream& Put(const T& value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
    return *this;
  }
  template <class T>
  Stream& Put(uint32_t command, const T& payload) {
    return Put(command).Put(payload);
  }
  [[nodiscard]] const std::vector<char>& bytes() const { return bytes_; }

 private:
  std::vector<char> bytes_;
};

// The data of a transaction.
struct Parcel {
  std::vector<char> data;
  std::vector<binder_size_t> offsets;

  Parcel& Text(const char* text) {
    data.insert(data.end(), text, text + strlen(text));
    return *this;
  }
  template <class T>
  Parcel& Object(const T& object) {
    offsets.push_back(data.size());
    const auto* bytes = reinterpret_cast<const char*>(&object);
    data.insert(data.end(), bytes, bytes + sizeof(T));
    return *this;
  }
  [[nodiscard]] binder_transaction_data Transaction(uint32_t handle,
                                                    uint32_t code) const {
    binder_transaction_data tr = {};
    tr.target.handle = handle;
    tr.code = code;
    tr.flags = TF_ACCEPT_FDS;
    tr.data_size = data.size();
    tr.offsets_size = offsets.size() * sizeof(binder_size_t);
    tr.data.ptr.buffer = reinterpret_cast<uintptr_t>(data.data());
    tr.data.ptr.offsets = reinterpret_cast<uintptr_t>(offsets.data());
    return tr;
  }
};

// What was read in one call.
struct Reading {
  std::string codes;
  binder_transaction_data tr = {};  // Of BR_TRANSACTION or BR_REPLY.
  bool has_transaction = false;
  binder_uintptr_t death = 0;
  std::vector<binder_ptr_cookie> incref, acquire;
};

int WriteRead(int fd, const Stream& stream, Reading* reading) {
  char buffer[512];
  binder_write_read args = {};
  args.write_size = stream.bytes().size();
  args.write_buffer = reinterpret_cast<uintptr_t>(stream.bytes().data());
  if (reading != nullptr) {
    args.read_size = sizeof(buffer);
    args.read_buffer = reinterpret_cast<uintptr_t>(buffer);
  }
  if (ioctl(fd, BINDER_WRITE_READ, &args) != 0) return errno;
  if (args.write_consumed != args.write_size) Die("write stopped");
  if (reading == nullptr) return 0;
  *reading = Reading();
  for (size_t at = 0; at < args.read_consumed;) {
    uint32_t code = 0;
    memcpy(&code, buffer + at, sizeof(code));
    at += sizeof(code);
    const char* const payload = buffer + at;
    at += _IOC_SIZE(code);
    const char* name = "?";
    binder_ptr_cookie node = {};
    switch (code) {
      case BR_NOOP:
        continue;
      case BR_TRANSACTION_COMPLETE:
        name = "COMPLETE";
        break;
      case BR_TRANSACTION:
      case BR_REPLY:
        name = code == BR_REPLY ? "REPLY" : "TRANSACTION";
        memcpy(&reading->tr, payload, sizeof(reading->tr));
        reading->has_transaction = true;
        break;
      case BR_INCREFS:
        name = "INCREFS";
        memcpy(&node, payload, sizeof(node));
        reading->incref.push_back(node);
        break;
      case BR_ACQUIRE:
        name = "ACQUIRE";
        memcpy(&node, payload, sizeof(node));
        reading->acquire.push_back(node);
        break;
      case BR_DEAD_BINDER:
        name = "DEAD_BINDER";
        memcpy(&reading->death, payload, sizeof(reading->death));
        break;
      case BR_CLEAR_DEATH_NOTIFICATION_DONE:
        name = "CLEAR_DONE";
        break;
      case BR_DEAD_REPLY:
        name = "DEAD_REPLY";
        break;
      case BR_FAILED_REPLY:
        name = "FAILED_REPLY";
        break;
      default:
        break;
    }
    if (!reading->codes.empty()) reading->codes += ' ';
    reading->codes += name;
  }
  return 0;
}

void Write(int fd, const Stream& stream) {
  const int error = WriteRead(fd, stream, nullptr);
  if (error != 0) {
    errno = error;
    Die("write");
  }
}

std::string TextOf(const binder_transaction_data& tr) {
  return {
      reinterpret_cast<const char*>(static_cast<uintptr_t>(tr.data.ptr.buffer)),
      static_cast<size_t>(tr.data_size)};
}

template <class T>
T ObjectOf(const binder_transaction_data& tr) {
  T object;
  memcpy(
      &object,
      reinterpret_cast<const void*>(static_cast<uintptr_t>(tr.data.ptr.buffer)),
      sizeof(object));
  return object;
}

// --- The service -----------------------------------------------------------

int service_fd = -1;
pthread_barrier_t meeting;
uint32_t kept = 0;  // A handle.

Parcel Serve(const binder_transaction_data& call) {
  Parcel reply;
  switch (call.code) {
    case kReverse: {
      const std::string text = TextOf(call);
      reply.Text(std::string(text.rbegin(), text.rend()).c_str());
      break;
    }
    case kMeet:
      // Returns when the other looper is here, too.
      pthread_barrier_wait(&meeting);
      reply.Text("met");
      break;
    case kWriteTo: {
      const int fd = static_cast<int>(ObjectOf<binder_fd_object>(call).fd);
      const char text[] = "written by the service";
      if (write(fd, text, strlen(text)) < 0)
        Die("write to a passed descriptor");
      close(fd);
      break;
    }
    case kKeep:
      kept = ObjectOf<flat_binder_object>(call).handle;
      Write(service_fd, Stream().Put(BC_ACQUIRE, kept));
      break;
    case kGive: {
      flat_binder_object object = {};
      object.hdr.type = BINDER_TYPE_HANDLE;
      object.handle = kept;
      reply.Object(object);
      break;
    }
    default:
      break;
  }
  return reply;
}

void* Looper(void*) {
  Write(service_fd, Stream().Put(uint32_t{BC_ENTER_LOOPER}));
  for (bool quit = false; !quit;) {
    Reading reading;
    if (WriteRead(service_fd, {}, &reading) != 0) Die("looper");
    if (!reading.has_transaction) continue;
    const Parcel reply = Serve(reading.tr);
    quit = reading.tr.code == kQuit;
    Write(service_fd, Stream()
                          .Put(BC_FREE_BUFFER, reading.tr.data.ptr.buffer)
                          .Put(BC_REPLY, reply.Transaction(0, 0)));
  }
  // The completion of the last reply; then there is nothing more to do.
  Reading reading;
  if (WriteRead(service_fd, {}, &reading) != 0) Die("looper");
  if (ioctl(service_fd, BINDER_THREAD_EXIT, 0) != 0) Die("thread exit");
  return nullptr;
}

// --- Clients ---------------------------------------------------------------

void Free(int fd, const Reading& reading) {
  Write(fd, Stream().Put(BC_FREE_BUFFER, reading.tr.data.ptr.buffer));
}

// A call that waits in the driver.
Reading Call(int fd, uint32_t handle, uint32_t code, const Parcel& parcel) {
  Reading reading;
  Stream stream;
  stream.Put(BC_TRANSACTION, parcel.Transaction(handle, code));
  std::string codes;
  do {
    if (WriteRead(fd, stream, &reading) != 0) Die("call");
    if (!codes.empty() && !reading.codes.empty()) codes += ' ';
    codes += reading.codes;
    stream = Stream();
  } while (!reading.has_transaction);
  reading.codes = codes;
  return reading;
}

struct Meeting {
  int fd;
  uint32_t handle;
  std::string result;
};

void* Meet(void* argument) {
  auto& meeting_of = *static_cast<Meeting*>(argument);
  const Reading reading = Call(meeting_of.fd, meeting_of.handle, kMeet, {});
  meeting_of.result = reading.codes + ": " + TextOf(reading.tr);
  Free(meeting_of.fd, reading);
  if (ioctl(meeting_of.fd, BINDER_THREAD_EXIT, 0) != 0) Die("thread exit");
  return nullptr;
}

// Waits in the epoll set until a non-blocking read gives something.
Reading AwaitRead(int set, int fd) {
  for (;;) {
    epoll_event event = {};
    if (epoll_wait(set, &event, 1, -1) != 1) Die("epoll_wait");
    if (event.data.fd != fd || event.events != EPOLLIN) Die("event");
    Reading reading;
    const int error = WriteRead(fd, {}, &reading);
    if (error == 0 && !reading.codes.empty()) return reading;
    if (error != 0 && error != EAGAIN) Die("read");
  }
}

int Run() {
  pthread_barrier_init(&meeting, nullptr, 2);

  Device first(0);
  Device service(0);
  Device client(0);
  Device polling(O_NONBLOCK);
  Device mortal(0);
  binder_version version = {};
  if (ioctl(client.fd, BINDER_VERSION, &version) != 0) Die("version");
  printf("version %d\n", version.protocol_version);
  void* const again =
      mmap(nullptr, kMapSize, PROT_READ, MAP_PRIVATE, client.fd, 0);
  printf("mapped twice: %s\n", again == MAP_FAILED ? strerror(errno) : "yes");
  printf("made writable: %s\n",
         mprotect(client.map, kMapSize, PROT_READ | PROT_WRITE) != 0
             ? strerror(errno)
             : "yes");
  printf("no such address: %s\n",
         ioctl(client.fd, BINDER_WRITE_READ, reinterpret_cast<void*>(16)) != 0
             ? strerror(errno)
             : "yes");

  // A manager that dies leaves its handle 0 behind, so that the next one's is
  // not 0 but 1.
  if (ioctl(first.fd, BINDER_SET_CONTEXT_MGR, 0) != 0) Die("manager");
  const Stream acquire = Stream().Put(BC_ACQUIRE, uint32_t{0});
  const int clients[] = {client.fd, polling.fd, mortal.fd};
  for (const int fd : clients) Write(fd, acquire);
  first.Close();
  flat_binder_object manager = {};
  manager.flags = FLAT_BINDER_FLAG_ACCEPTS_FDS;
  while (ioctl(service.fd, BINDER_SET_CONTEXT_MGR_EXT, &manager) != 0) {
    if (errno != EBUSY) Die("second manager");
    poll(nullptr, 0, 1);  // It is released in the background.
  }
  for (const int fd : clients) Write(fd, acquire);
  constexpr uint32_t kService = 1;

  service_fd = service.fd;
  pthread_t loopers[2];
  for (pthread_t& looper : loopers) {
    pthread_create(&looper, nullptr, Looper, nullptr);
  }

  Reading reading =
      Call(client.fd, kService, kReverse, Parcel().Text("redniB"));
  printf("call: %s: %s\n", reading.codes.c_str(), TextOf(reading.tr).c_str());
  Free(client.fd, reading);

  Meeting meetings[2] = {{client.fd, kService, {}}, {client.fd, kService, {}}};
  pthread_t callers[2];
  for (int i = 0; i < 2; ++i) {
    pthread_create(&callers[i], nullptr, Meet, &meetings[i]);
  }
  for (int i = 0; i < 2; ++i) pthread_join(callers[i], nullptr);
  for (const Meeting& one : meetings) {
    printf("two loopers: %s\n", one.result.c_str());
  }

  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = polling.fd;
  if (epoll_ctl(set, EPOLL_CTL_ADD, polling.fd, &event) != 0) Die("epoll_ctl");
  printf("nothing to read: epoll %d\n", epoll_wait(set, &event, 1, 0));
  const Parcel question = Parcel().Text("llope");
  Write(polling.fd,
        Stream().Put(BC_TRANSACTION, question.Transaction(kService, kReverse)));
  reading = AwaitRead(set, polling.fd);
  printf("epoll: %s: %s\n", reading.codes.c_str(), TextOf(reading.tr).c_str());
  Free(polling.fd, reading);
  pollfd both = {polling.fd, POLLIN | POLLOUT, 0};
  printf("nothing to read: poll %d\n", poll(&both, 1, 0));

  int ends[2] = {-1, -1};
  if (pipe(ends) != 0) Die("pipe");
  binder_fd_object file = {};
  file.hdr.type = BINDER_TYPE_FD;
  file.fd = static_cast<uint32_t>(ends[1]);
  reading = Call(client.fd, kService, kWriteTo, Parcel().Object(file));
  Free(client.fd, reading);
  close(ends[1]);
  char text[100];
  const ssize_t size = read(ends[0], text, sizeof(text));
  printf("descriptor: %s: %.*s\n", reading.codes.c_str(),
         static_cast<int>(size), text);
  printf("and it is closed: %zd\n", read(ends[0], text, sizeof(text)));
  close(ends[0]);

  flat_binder_object node = {};
  node.hdr.type = BINDER_TYPE_BINDER;
  node.binder = 0x1234;
  node.cookie = 0x5678;
  reading = Call(mortal.fd, kService, kKeep, Parcel().Object(node));
  printf("a node is given: %s\n", reading.codes.c_str());
  Free(mortal.fd, reading);
  Write(polling.fd,
        Stream().Put(BC_TRANSACTION, Parcel().Transaction(kService, kGive)));
  reading = AwaitRead(set, polling.fd);
  const uint32_t handle = ObjectOf<flat_binder_object>(reading.tr).handle;
  printf("its handle: %s: %u\n", reading.codes.c_str(), handle);
  struct __attribute__((packed)) {
    uint32_t handle;
    binder_uintptr_t cookie;
  } death = {handle, 0x9abc};
  Write(polling.fd, Stream()
                        .Put(BC_ACQUIRE, handle)
                        .Put(BC_FREE_BUFFER, reading.tr.data.ptr.buffer)
                        .Put(uint32_t{BC_REQUEST_DEATH_NOTIFICATION})
                        .Put(death));
  printf("alive: epoll %d\n", epoll_wait(set, &event, 1, 0));
  mortal.Close();
  reading = AwaitRead(set, polling.fd);
  printf("dead: %s: %llx\n", reading.codes.c_str(),
         static_cast<unsigned long long>(reading.death));
  Write(polling.fd, Stream().Put(BC_DEAD_BINDER_DONE, reading.death));
  WriteRead(polling.fd,
            Stream().Put(BC_TRANSACTION, Parcel().Transaction(handle, 0)),
            &reading);
  printf("called: %s\n", reading.codes.c_str());
  close(set);

  for (int i = 0; i < 2; ++i) {
    Free(client.fd, Call(client.fd, kService, kQuit, {}));
  }
  for (const pthread_t looper : loopers) pthread_join(looper, nullptr);
  for (Device* device : {&polling, &client, &service}) device->Close();
  printf("done\n");
  return 0;
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  return Run();
}
