/* A fault at the Nth system call: a signal, a kill, or a connection that is gone.

Preloaded by LD_PRELOAD, see syscalls.py. It counts the calls of one thread, from `fault_arm` on,
which tasks.py calls there. With the number 0 it only writes the names of the calls into the log.
A cut counts what is sent and received on a network socket only. It shuts that socket down, and
all that is sent or received on it afterwards fails as if the server were gone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES = 4096 };

static int kind; /* a signal's number, or 0 for a cut */
static long number, calls;
static pid_t armed; /* the thread that is watched */
static int second;  /* a second signal comes this many calls after the first; 0 for none */
static int log_file = -1;
static char gone[FILES];

static void note(const char *name)
{
    char line[64];
    int size = snprintf(line, sizeof line, "%s\n", name);
    syscall(SYS_write, log_file, line, size);
}

/* Begin to count. `fault_arm(SIGINT, 7, 0, path)` sends SIGINT at the seventh call. */
void fault_arm(int what, long at, int again, const char *path)
{
    log_file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    kind = what;
    number = at;
    second = again;
    calls = 0;
    armed = syscall(SYS_gettid);
}

static int is_network(int file)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(file, (struct sockaddr *)&peer, &size) != 0)
        return 0;
    return peer.ss_family == AF_INET || peer.ss_family == AF_INET6;
}

/* Count a call; do what is to be done at this one. Returns whether a signal was sent. */
static int pass(const char *name, int file, int moves_data)
{
    int before = errno;
    if (!armed || armed != syscall(SYS_gettid))
        return 0;
    if (kind == 0 && (!moves_data || !is_network(file))) {
        errno = before;
        return 0;
    }
    calls++;
    if (number == 0)
        note(name);
    if (number != calls && !(number && second && calls == number + second)) {
        errno = before;
        return 0;
    }
    note(name);
    if (kind != 0) {
        raise(kind);
        errno = before;
        return 1;
    }
    syscall(SYS_shutdown, file, SHUT_RDWR);
    if (file >= 0 && file < FILES)
        gone[file] = 1;
    errno = before;
    return 0;
}

static int is_gone(int file)
{
    return file >= 0 && file < FILES && gone[file];
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define LOST(file) \
    if (is_gone(file)) { \
        errno = ECONNRESET; \
        return -1; \
    }

#define PLAIN(name, parameters, arguments, file) \
    int name parameters \
    { \
        REAL(name); \
        pass(#name, file, 0); \
        return real arguments; \
    }

#define MOVES(name, parameters, arguments, file) \
    ssize_t name parameters \
    { \
        REAL(name); \
        pass(#name, file, 1); \
        LOST(file) \
        return real arguments; \
    }

/* A call that waits: a signal ends it. */
#define WAITS(name, parameters, arguments) \
    int name parameters \
    { \
        REAL(name); \
        if (pass(#name, -1, 0)) { \
            errno = EINTR; \
            return -1; \
        } \
        return real arguments; \
    }

MOVES(read, (int f, void *b, size_t n), (f, b, n), f)
MOVES(write, (int f, const void *b, size_t n), (f, b, n), f)
MOVES(pread, (int f, void *b, size_t n, off_t o), (f, b, n, o), f)
MOVES(pread64, (int f, void *b, size_t n, off64_t o), (f, b, n, o), f)
MOVES(pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o), f)
MOVES(pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o), f)
MOVES(send, (int f, const void *b, size_t n, int g), (f, b, n, g), f)
MOVES(recv, (int f, void *b, size_t n, int g), (f, b, n, g), f)
MOVES(sendto, (int f, const void *b, size_t n, int g, const struct sockaddr *a, socklen_t l),
      (f, b, n, g, a, l), f)
MOVES(recvfrom, (int f, void *b, size_t n, int g, struct sockaddr *a, socklen_t *l),
      (f, b, n, g, a, l), f)
MOVES(sendmsg, (int f, const struct msghdr *m, int g), (f, m, g), f)
MOVES(recvmsg, (int f, struct msghdr *m, int g), (f, m, g), f)
PLAIN(fsync, (int f), (f), f)
PLAIN(fdatasync, (int f), (f), f)
PLAIN(ftruncate, (int f, off_t n), (f, n), f)
PLAIN(ftruncate64, (int f, off64_t n), (f, n), f)
PLAIN(rename, (const char *a, const char *b), (a, b), -1)
PLAIN(unlink, (const char *a), (a), -1)
PLAIN(rmdir, (const char *a), (a), -1)
PLAIN(mkdir, (const char *a, mode_t m), (a, m), -1)
PLAIN(connect, (int f, const struct sockaddr *a, socklen_t l), (f, a, l), f)
WAITS(poll, (struct pollfd *f, nfds_t n, int t), (f, n, t))
WAITS(epoll_wait, (int e, struct epoll_event *f, int n, int t), (e, f, n, t))
WAITS(select, (int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t), (n, r, w, x, t))

int close(int file)
{
    REAL(close);
    pass("close", file, 0);
    if (file >= 0 && file < FILES)
        gone[file] = 0;
    return real(file);
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = va_arg(rest, mode_t); \
        va_end(rest); \
        pass("open", -1, 0); \
        return real(path, flags, mode); \
    }

OPENS(open)
OPENS(open64)

#define CONTROLS(name) \
    int name(int file, int command, ...) \
    { \
        REAL(name); \
        va_list rest; \
        va_start(rest, command); \
        void *argument = va_arg(rest, void *); \
        va_end(rest); \
        pass("fcntl", file, 0); \
        return real(file, command, argument); \
    }

CONTROLS(fcntl)
CONTROLS(fcntl64)
