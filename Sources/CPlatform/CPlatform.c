#define _GNU_SOURCE
#include "CPlatform.h"
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static uint32_t to_native(uint32_t e) {
    return (e & RW_EPOLL_IN ? (uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP : 0) | (e & RW_EPOLL_OUT ? (uint32_t)EPOLLOUT : 0);
}
static int control(int epoll, int op, int fd, uint32_t events, uint64_t token) {
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.events = to_native(events);
    e.data.u64 = token;
    return epoll_ctl(epoll, op, fd, &e);
}
int rw_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
int rw_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) { return control(epoll, EPOLL_CTL_ADD, fd, events, token); }
int rw_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) { return control(epoll, EPOLL_CTL_MOD, fd, events, token); }
int rw_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }
int rw_epoll_wait(int epoll, rw_epoll_event *out, int events_max, int timeout_milliseconds) {
    struct epoll_event e[64];
    if (events_max > 64) events_max = 64;
    int n = epoll_wait(epoll, e, events_max, timeout_milliseconds);
    for (int i = 0; i < n; i++) {
        out[i].token = e[i].data.u64;
        out[i].events = (e[i].events & EPOLLIN ? RW_EPOLL_IN : 0) | (e[i].events & EPOLLOUT ? RW_EPOLL_OUT : 0) |
                        (e[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) ? RW_EPOLL_HANGUP : 0);
    }
    return n;
}
int rw_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
int rw_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
int rw_signalfd(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
int rw_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof info);
    return n == (ssize_t)sizeof info ? (int)info.ssi_signo : -1;
}
int rw_peer_credentials(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid) {
    struct ucred c;
    socklen_t n = sizeof c;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) != 0) return -1;
    *pid = c.pid; *uid = c.uid; *gid = c.gid;
    return 0;
}
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
int rw_peer_groups(int fd, uint32_t *groups, int groups_max) {
    socklen_t n = (socklen_t)groups_max * (socklen_t)sizeof *groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0) return -1;
    return (int)(n / sizeof *groups);
}
int rw_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int rw_unix_socket(int datagram) { return socket(AF_UNIX, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
static int address(const char *path, struct sockaddr_un *a) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof a->sun_path) { errno = ENAMETOOLONG; return -1; }
    strcpy(a->sun_path, path);
    return 0;
}
int rw_unix_bind(int fd, const char *path) {
    struct sockaddr_un a;
    return address(path, &a) == 0 ? bind(fd, (struct sockaddr *)&a, sizeof a) : -1;
}
int rw_unix_connect(int fd, const char *path) {
    struct sockaddr_un a;
    return address(path, &a) == 0 ? connect(fd, (struct sockaddr *)&a, sizeof a) : -1;
}
static int release_code(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    const unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || (part->p_flags & PF_W)) continue;
        unsigned long start = (object->dlpi_addr + part->p_vaddr) & ~(page - 1);
        unsigned long end = (object->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void rw_release_code(void) { dl_iterate_phdr(release_code, NULL); }
void rw_release_heap(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
int rw_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int rw_processor(void) {
    return sched_getcpu();
}

int rw_thread(void) {
    return (int)syscall(SYS_gettid);
}

int rw_confine(int thread, int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (processor >= 0) CPU_SET(processor, &set);
    else for (int i = 0; i < CPU_SETSIZE; i++) CPU_SET(i, &set);
    return sched_setaffinity(thread, sizeof set, &set);
}

void rw_return_large_blocks(size_t bytes) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, (int)bytes);
#else
    (void)bytes;
#endif
}

int rw_set_blocking(int fd, int blocking) {
    int f = fcntl(fd, F_GETFL);
    if (f < 0) return -1;
    return fcntl(fd, F_SETFL, blocking ? f & ~O_NONBLOCK : f | O_NONBLOCK);
}
int rw_is_unix_socket(int fd, int *is_datagram) {
    int type = 0, domain = 0;
    socklen_t n = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0) return 0;
    n = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) != 0) return 0;
    *is_datagram = type == SOCK_DGRAM;
    return domain == AF_UNIX;
}
int rw_pthread_set_name(const char *name) { return pthread_setname_np(pthread_self(), name); }
void rw_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
int rw_open(const char *path, int flags, unsigned mode) { return open(path, flags | O_CLOEXEC, mode); }
static rw_crash_mark *crash_marks;
static void on_crash(int number) {
    int saved = errno, self = (int)syscall(SYS_gettid);
    for (int i = 0; i < RW_CRASH_MARKS; i++)
        if (crash_marks[i].kind != 0 && crash_marks[i].thread == self) crash_marks[i].crashed = 1;
    errno = saved;
    // SA_RESETHAND: the default action follows, with the signal of the crash.
    raise(number);
}
rw_crash_mark *rw_crash_marks(int fd) {
    void *place = mmap(NULL, RW_CRASH_MARKS * sizeof(rw_crash_mark), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED) return NULL;
    crash_marks = place;
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_crash;
    a.sa_flags = (int)SA_RESETHAND | SA_NODEFER;
    const int fatal[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
    for (unsigned i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaction(fatal[i], &a, NULL);
    return crash_marks;
}
int rw_rename_new(const char *from, const char *to) {
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1u /* RENAME_NOREPLACE */) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    // A file system without that: a second name is never given over an existing file either.
    return link(from, to) == 0 ? unlink(from) : -1;
}
// struct sched_attr of <linux/sched/types.h>, as far as every kernel with the call knows it; older C libraries have no wrapper.
int rw_set_time_slice(int64_t nanoseconds) {
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; } a;
    memset(&a, 0, sizeof a);
    if (syscall(SYS_sched_getattr, 0, &a, (unsigned)sizeof a, 0u) != 0) return -1;
    a.size = sizeof a;
    a.runtime = (uint64_t)nanoseconds;
    return (int)syscall(SYS_sched_setattr, 0, &a, 0u);
}
