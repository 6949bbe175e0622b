// A disk that forgets: preloaded into the daemon (LD_PRELOAD), it records what has really reached the medium.
//
//   RNN_DISK_DIR     files below this directory are watched
//   RNN_DISK_SHADOW  a directory that holds, after a kill, what a power cut would have left:
//                    inode-N   content of file N as of its last fsync
//                    names     lines "N name": directory entries as of the last fsync of the directory
//   RNN_DISK_FAULT   a file: while it exists, its first word says what happens to writes and syncs in RNN_DISK_DIR:
//                    EIO, ENOSPC, EROFS; or SYNC: writes go well and every sync fails
//   RNN_DISK_KILL    a number N: SIGKILL in the middle of the Nth write, truncation, sync or removal in RNN_DISK_DIR;
//                    half of the bytes of a write are written before
//
// A file's bytes count as written at fsync or fdatasync, its name at fsync of the directory: the strictest reading of POSIX.
// A sync that fails leaves the pages clean that it could not write, as Linux does: the next one succeeds without them.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
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

static int fault(int fd, int is_sync) {
    const char *file = getenv("RNN_DISK_FAULT");
    if (!file || access(file, F_OK) != 0 || !watched(fd)) return 0;
    char word[16] = {0};
    int f = raw_open(file, O_RDONLY, 0);
    if (f < 0) return 0;
    if (syscall(SYS_read, f, word, sizeof word - 1) < 0) word[0] = 0;
    syscall(SYS_close, f);
    if (strncmp(word, "SYNC", 4) == 0) return is_sync ? EIO : 0;
    return strncmp(word, "ENOSPC", 6) == 0 ? ENOSPC : strncmp(word, "EROFS", 5) == 0 ? EROFS : EIO;
}

// Pages written since the last sync, per file.
#define PAGE 4096
static struct tracked {
    unsigned long long inode;
    unsigned char *dirty;
    size_t pages;
    int is_whole;
} tracked[64];

// The record of a file; one that was not seen before is dirty as a whole. The lock is held.
static struct tracked *record(int fd) {
    struct stat s;
    if (fstat(fd, &s) != 0) return NULL;
    struct tracked *free_one = NULL;
    for (size_t i = 0; i < sizeof tracked / sizeof *tracked; i++) {
        if (tracked[i].inode == s.st_ino) return &tracked[i];
        if (!tracked[i].inode && !free_one) free_one = &tracked[i];
    }
    if (!free_one) abort();
    free_one->inode = s.st_ino;
    free_one->is_whole = 1;
    return free_one;
}

static void wrote(int fd, off_t at, size_t count) {
    if (!getenv("RNN_DISK_SHADOW") || watched(fd) != 1 || count == 0) return;
    pthread_mutex_lock(&lock);
    struct tracked *file = record(fd);
    size_t last = (at + count - 1) / PAGE;
    if (file && last >= file->pages) {
        size_t pages = (last + 1) * 2;
        file->dirty = realloc(file->dirty, pages);
        if (!file->dirty) abort();
        memset(file->dirty + file->pages, 0, pages - file->pages);
        file->pages = pages;
    }
    for (size_t page = at / PAGE; file && page <= last; page++) file->dirty[page] = 1;
    pthread_mutex_unlock(&lock);
}

static void clean(int fd) {
    struct tracked *file = record(fd);
    if (!file) return;
    if (file->dirty) memset(file->dirty, 0, file->pages);
    file->is_whole = 0;
}

static void keep_file(int fd) {
    const char *shadow = getenv("RNN_DISK_SHADOW");
    struct stat s;
    if (!shadow || fstat(fd, &s) != 0) return;
    struct tracked *file = record(fd);
    char target[4096], from[64], buffer[PAGE];
    snprintf(target, sizeof target, "%s/inode-%llu", shadow, (unsigned long long)s.st_ino);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    int in = raw_open(from, O_RDONLY, 0), out = raw_open(target, O_WRONLY | O_CREAT | (file->is_whole ? O_TRUNC : 0), 0600);
    size_t pages = (s.st_size + PAGE - 1) / PAGE;
    for (size_t page = 0; in >= 0 && out >= 0 && page < pages; page++) {
        if (!file->is_whole && !(page < file->pages && file->dirty[page])) continue;
        ssize_t n = syscall(SYS_pread64, in, buffer, sizeof buffer, (off_t)page * PAGE);
        if (n > 0 && syscall(SYS_pwrite64, out, buffer, n, (off_t)page * PAGE) != n) abort();
    }
    if (out >= 0 && syscall(SYS_ftruncate, out, s.st_size) != 0) abort();
    if (in >= 0) syscall(SYS_close, in);
    if (out >= 0) syscall(SYS_close, out);
    clean(fd);
}

// Counts operations; true at the one that is the last.
static int ends_here(void) {
    static int visits;
    const char *number = getenv("RNN_DISK_KILL");
    return number && __atomic_add_fetch(&visits, 1, __ATOMIC_RELAXED) == atoi(number);
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
    int kind = watched(fd);
    if (kind && ends_here()) kill(getpid(), SIGKILL);
    int error = fault(fd, 1);
    pthread_mutex_lock(&lock);
    int result = error ? -1 : (int)syscall(number, fd);
    if (result == 0 && kind == 1) keep_file(fd);
    if (result == 0 && kind == 2) keep_names();
    if (result != 0 && kind == 1) clean(fd);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    int error = fault(fd, 0);
    if (error) {
        errno = error;
        return -1;
    }
    int is_last = watched(fd) && ends_here();
    ssize_t n = syscall(SYS_pwrite64, fd, bytes, is_last ? count / 2 : count, at);
    if (is_last) kill(getpid(), SIGKILL);
    if (n > 0) wrote(fd, at, n);
    return n;
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int ftruncate64(int fd, off_t size) {
    int error = fault(fd, 0);
    if (error) {
        errno = error;
        return -1;
    }
    int kind = watched(fd);
    if (kind && ends_here()) kill(getpid(), SIGKILL);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && kind == 1 && getenv("RNN_DISK_SHADOW")) {
        // What is cut off and grown again is zeros: the next sync takes everything.
        pthread_mutex_lock(&lock);
        struct tracked *file = record(fd);
        if (file) file->is_whole = 1;
        pthread_mutex_unlock(&lock);
    }
    return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int unlink(const char *path) {
    const char *dir = getenv("RNN_DISK_DIR");
    struct stat s;
    if (dir && strncmp(path, dir, strlen(dir)) == 0 && stat(path, &s) == 0) {
        if (ends_here()) kill(getpid(), SIGKILL);
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < sizeof tracked / sizeof *tracked; i++) {
            if (tracked[i].inode != s.st_ino) continue;
            free(tracked[i].dirty);
            memset(&tracked[i], 0, sizeof tracked[i]);
        }
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_unlink, path);
}
