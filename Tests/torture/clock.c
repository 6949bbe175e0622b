// A clock that can be set: preloaded into the daemon (LD_PRELOAD), it shifts what clock_gettime says.
//
//   RNN_CLOCK_FILE   16 bytes, two signed 64-bit numbers: seconds added to CLOCK_REALTIME, and to CLOCK_BOOTTIME
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offsets(void) {
    static const volatile int64_t *map;
    const volatile int64_t *known = __atomic_load_n(&map, __ATOMIC_ACQUIRE);
    if (known) return known;
    static const int64_t none[2];
    const char *path = getenv("RNN_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = fd >= 0 ? mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0) close(fd);
    known = memory == MAP_FAILED ? none : memory;
    __atomic_store_n(&map, known, __ATOMIC_RELEASE);
    return known;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += offsets()[0];
    if (result == 0 && clock == CLOCK_BOOTTIME) time->tv_sec += offsets()[1];
    return result;
}
