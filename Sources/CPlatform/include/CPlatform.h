// What Glibc's Swift module leaves out: epoll, accept4, signalfd, eventfd, SO_PEERCRED, descriptor passing.
#pragma once
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct { uint64_t token; uint32_t events; } rw_epoll_event;
enum { RW_EPOLL_IN = 1, RW_EPOLL_OUT = 2, RW_EPOLL_HANGUP = 4 };

int rw_epoll_create(void);
int rw_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int rw_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int rw_epoll_remove(int epoll, int fd);
int rw_epoll_wait(int epoll, rw_epoll_event *events, int events_max, int timeout_milliseconds);

int rw_accept(int listener);                       // non-blocking, close-on-exec
int rw_eventfd(void);                              // non-blocking, close-on-exec
int rw_signalfd(const int *signals, int count);    // blocks the signals in the calling thread and returns a descriptor
int rw_signalfd_read(int fd);                      // the signal number, or -1
int rw_peer_credentials(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid);
int rw_peer_groups(int fd, uint32_t *groups, int groups_max);   // SO_PEERGROUPS; the count, or -1
int rw_memory_file(const char *name);              // memfd, close-on-exec
int rw_unix_socket(int datagram);                  // non-blocking, close-on-exec
int rw_unix_bind(int fd, const char *path);        // -1 and errno; ENAMETOOLONG for a path over 107 bytes
int rw_unix_connect(int fd, const char *path);
int rw_set_blocking(int fd, int blocking);
void rw_release_heap(void);                        // gives free memory back to the system
int rw_processors(void);                           // that this process may run on
int rw_processor(void);                            // on which the calling thread runs just now, or -1
int rw_thread(void);                               // the system's number of the calling thread
/* Confines a thread (0: the calling one, and those it starts) to one processor; -1: to none. -1 and errno when it cannot. */
int rw_confine(int thread, int processor);
void rw_return_large_blocks(size_t bytes);         // blocks from so many bytes on go back to the system as soon as they are freed
void rw_release_code(void);                        // unmaps pages of code until they are used again
int rw_is_unix_socket(int fd, int *is_datagram);
int rw_pthread_set_name(const char *name);
int rw_set_time_slice(int64_t nanoseconds);        // of the calling thread; -1 where the system does not let it
void rw_ignore_sigpipe(void);
int rw_open(const char *path, int flags, unsigned mode);
/* What a thread is doing with something stored, kept in a mapped file: it is still there when the process has crashed. */
typedef struct { volatile uint64_t kind, number; volatile int32_t thread; volatile uint32_t crashed; } rw_crash_mark;
enum { RW_CRASH_MARKS = 4 };
/* Maps fd (of at least RW_CRASH_MARKS marks); from then on a fatal signal in a thread sets `crashed` in that thread's mark. */
rw_crash_mark *rw_crash_marks(int fd);
int rw_rename_new(const char *from, const char *to);   // never over an existing file: -1 and EEXIST
