// SPDX-License-Identifier: Apache-2.0
//
// What is the preload library's own: devices with other names, opens that count
// as processes, descriptors that are kept from a program which closes
// everything, and the refusal of fork.

#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int Version(int fd) {
  binder_version version = {};
  return ioctl(fd, BINDER_VERSION, &version) != 0 ? -errno
                                                  : version.protocol_version;
}

// The last command that is read after a one-way call of handle 0.
uint32_t SendOneWay(int fd) {
  struct __attribute__((packed)) {
    uint32_t command = BC_TRANSACTION;
    binder_transaction_data tr = {};
  } stream;
  stream.tr.flags = TF_ONE_WAY;
  uint32_t read[64] = {};
  binder_write_read args = {};
  args.write_size = sizeof(stream);
  args.write_buffer = reinterpret_cast<uintptr_t>(&stream);
  args.read_size = sizeof(read);
  args.read_buffer = reinterpret_cast<uintptr_t>(read);
  if (ioctl(fd, BINDER_WRITE_READ, &args) != 0) return 0;
  return read[args.read_consumed / sizeof(uint32_t) - 1];
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  const int manager = open("/some/where/device", O_RDWR);
  const int client = open("/some/where/../where/device", O_RDWR);
  printf("%d %d\n", Version(manager), Version(client));
  printf("elsewhere: %d\n", open("/some/where", O_RDWR));
  mmap(nullptr, 4096, PROT_READ, MAP_SHARED, manager, 0);
  ioctl(manager, BINDER_SET_CONTEXT_MGR, 0);
  printf("another process: %s\n",
         SendOneWay(client) == BR_TRANSACTION_COMPLETE ? "yes" : "no");

  // As daemons do.
  for (int fd = 3; fd < 20000; ++fd) {
    if (fd != manager && fd != client) close(fd);
  }
  printf("after closing everything: %d\n", Version(manager));
  close_range(static_cast<unsigned>(client) + 1, ~0U, 0);
  printf("and again: %d\n", Version(manager));

  const pid_t child = fork();
  if (child == 0) {
    printf("child: %s\n", strerror(-Version(manager)));
    const int another = open("/dev/binder", O_RDWR);
    printf("child: %d %s\n", another, strerror(errno));
    printf("child: %d\n", close(manager));
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  printf("parent: %d\n", Version(manager));
  close(client);
  close(manager);
  return 0;
}
