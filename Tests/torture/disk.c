// A disk that forgets: preloaded into the daemon (LD_PRELOAD), it records what has really reached the medium.
//
//   RNN_DISK_DIR     files below this directory are watched
//   RNN_DISK_SHADOW  a directory that holds, after a kill, what a power cut would have left:
//                    inode-N   content of file N as of its last fsync
//                    names     lines "N name": directory entries as of the last fsync of the directory
//   RNN_DISK_FAULT   a file: while it exists, its first word says what happens to writes and syncs in RNN_DISK_DIR:
//                    EIO, ENOSPC or EROFS
//
// A file's bytes count as written at fsync or fdatasync, its name at fsync of the directory: the strictest reading of POSIX.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int raw_open(const char *path, int flags, int mode) { return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode); }

// 1: a file below RNN_DISK_DIR, 2: the directory itself, 0: something else.
static int watched(int fd) {
    const char *dir = getenv("RNN_DISK_DIR");
    if (!dir) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    size_t length = strlen(dir);
    if (strncmp(path, dir, length) != 0) return 0;
    return path[length] == 0 ? 2 : path[length] == '/';
}

static int fault(int fd) {
    const char *file = getenv("RNN_DISK_FAULT");
    if (!file || access(file, F_OK) != 0 || !watched(fd)) return 0;
    char word[16] = {0};
    int f = raw_open(file, O_RDONLY, 0);
    if (f < 0) return 0;
    if (syscall(SYS_read, f, word, sizeof word - 1) < 0) word[0] = 0;
    syscall(SYS_close, f);
    return strncmp(word, "ENOSPC", 6) == 0 ? ENOSPC : strncmp(word, "EROFS", 5) == 0 ? EROFS : EIO;
}

static void keep_file(int fd) {
    const char *shadow = getenv("RNN_DISK_SHADOW");
    struct stat s;
    if (!shadow || fstat(fd, &s) != 0) return;
    char target[4096], making[4200], from[64], buffer[1 << 16];
    snprintf(target, sizeof target, "%s/inode-%llu", shadow, (unsigned long long)s.st_ino);
    snprintf(making, sizeof making, "%s.new", target);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    int in = raw_open(from, O_RDONLY, 0), out = raw_open(making, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;
    while (in >= 0 && out >= 0 && (n = syscall(SYS_read, in, buffer, sizeof buffer)) > 0)
        if (syscall(SYS_write, out, buffer, n) != n) break;
    if (in >= 0) syscall(SYS_close, in);
    if (out >= 0) syscall(SYS_close, out);
    rename(making, target);
}

static void keep_names(void) {
    const char *shadow = getenv("RNN_DISK_SHADOW"), *dir = getenv("RNN_DISK_DIR");
    if (!shadow || !dir) return;
    char target[4096], making[4200];
    snprintf(target, sizeof target, "%s/names", shadow);
    snprintf(making, sizeof making, "%s.new", target);
    FILE *out = fopen(making, "w");
    DIR *open_dir = opendir(dir);
    struct dirent *entry;
    while (out && open_dir && (entry = readdir(open_dir)))
        if (entry->d_type == DT_REG) fprintf(out, "%llu %s\n", (unsigned long long)entry->d_ino, entry->d_name);
    if (open_dir) closedir(open_dir);
    if (out) fclose(out);
    rename(making, target);
}

static int synced(int fd, long number) {
    int error = fault(fd);
    if (error) {
        errno = error;
        return -1;
    }
    int kind = watched(fd);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(number, fd);
    if (result == 0 && kind == 1) keep_file(fd);
    if (result == 0 && kind == 2) keep_names();
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

#define REFUSE(fd) do { int error = fault(fd); if (error) { errno = error; return -1; } } while (0)
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { REFUSE(fd); return syscall(SYS_pwrite64, fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { REFUSE(fd); return syscall(SYS_pwrite64, fd, bytes, count, at); }
int ftruncate(int fd, off_t size) { REFUSE(fd); return (int)syscall(SYS_ftruncate, fd, size); }
int ftruncate64(int fd, off_t size) { REFUSE(fd); return (int)syscall(SYS_ftruncate, fd, size); }
