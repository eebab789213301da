/* Runs a program, and answers some of what it asks of the file system in the kernel's place.
 *
 * supervise RECORD DIRECTORY[:DIRECTORY] CALL PATTERN WHICH ACTION PROGRAM [ARGUMENT]...
 *
 * Each call on a path below one of the directories is written into RECORD: its name, a tab, the path; a second path after
 * another tab, and "!" at the end where it was answered here. CALL and PATTERN (as of fnmatch, on the path) choose calls, WHICH
 * the first of them (1, 2, ...), 0 all, -2 every second. ACTION is
 *   none         nothing
 *   error=E      the call fails with errno E and is not made
 *   sticky=E     the same, and so do all later calls that such a disk would refuse
 *   short=N      a write writes at most N bytes
 *   run=COMMAND  the shell runs COMMAND while the program stands still before the call, with the path in AT; whether it
 *                succeeded is whether the call counts as answered
 *
 * It is done with seccomp's user notifications: unlike strace, one count goes over all threads and children, paths with random
 * parts can be named, and a write can be a short one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a call has its path: an open file, a path, a directory and a path, two paths, twice a directory and a path. */
enum where { FD, PATH, AT, PATHS, ATS };

static const struct call {
    long number;
    const char *name;
    enum where where;
    int changes; /* what a file system that is read-only refuses */
    int grows;   /* what one that is full refuses */
} calls[] = {
    {SYS_openat, "openat", AT, 0, 0},
    {SYS_write, "write", FD, 1, 1},
    {SYS_pwrite64, "pwrite64", FD, 1, 1},
    {SYS_writev, "writev", FD, 1, 1},
    {SYS_fsync, "fsync", FD, 0, 0},
    {SYS_fdatasync, "fdatasync", FD, 0, 0},
    {SYS_sync_file_range, "sync_file_range", FD, 0, 0},
    {SYS_fallocate, "fallocate", FD, 1, 1},
    {SYS_ftruncate, "ftruncate", FD, 1, 0},
    {SYS_renameat2, "renameat2", ATS, 1, 0},
    {SYS_linkat, "linkat", ATS, 1, 1},
    {SYS_unlinkat, "unlinkat", AT, 1, 0},
    {SYS_mkdirat, "mkdirat", AT, 1, 1},
    {SYS_fchmod, "fchmod", FD, 1, 0},
    {SYS_fchmodat, "fchmodat", AT, 1, 0},
    {SYS_fchown, "fchown", FD, 1, 0},
    {SYS_fchownat, "fchownat", AT, 1, 0},
    {SYS_utimensat, "utimensat", AT, 1, 0},
    {SYS_read, "read", FD, 0, 0},
    {SYS_pread64, "pread64", FD, 0, 0},
    {SYS_getdents64, "getdents64", FD, 0, 0},
    {SYS_statx, "statx", AT, 0, 0},
    {SYS_fstat, "fstat", FD, 0, 0},
    {SYS_statfs, "statfs", PATH, 0, 0},
    {SYS_fstatfs, "fstatfs", FD, 0, 0},
    {SYS_flock, "flock", FD, 0, 0},
#ifdef SYS_open
    {SYS_open, "openat", PATH, 0, 0},
    {SYS_rename, "renameat2", PATHS, 1, 0},
    {SYS_renameat, "renameat2", ATS, 1, 0},
    {SYS_link, "linkat", PATHS, 1, 1},
    {SYS_unlink, "unlinkat", PATH, 1, 0},
    {SYS_rmdir, "unlinkat", PATH, 1, 0},
    {SYS_mkdir, "mkdirat", PATH, 1, 1},
    {SYS_chmod, "fchmodat", PATH, 1, 0},
    {SYS_chown, "fchownat", PATH, 1, 0},
    {SYS_lchown, "fchownat", PATH, 1, 0},
#else
    {SYS_renameat, "renameat2", ATS, 1, 0},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, "statx", AT, 0, 0},
#endif
};
enum { CALLS = sizeof calls / sizeof *calls };

static const char *below, *wanted, *pattern, *action;
static long which, seen;
static int stuck;
static FILE *record;

static void fail(const char *what) {
    perror(what);
    exit(125);
}

static int starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* Runs the program, with the filter whose listener goes to the supervisor first. */
static void begin(int channel, char **program) {
    struct sock_filter filter[CALLS + 3];
    filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++)
        filter[1 + i] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number, CALLS - i, 0);
    filter[CALLS + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[CALLS + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog compiled = {CALLS + 3, filter};
    /* Root may do without, and then the program can still become somebody else. */
    if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
    int listener =
        (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &compiled);
    if (listener < 0) fail("seccomp");
    char byte = 0, space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &listener, sizeof(int));
    if (sendmsg(channel, &message, 0) != 1) fail("sendmsg");
    close(channel);
    execv(program[0], program);
    fail(program[0]);
}

static int receive(int channel) {
    char byte, space[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == NULL) exit(125);
    int listener;
    memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return listener;
}

static int link_of(pid_t thread, const char *name, char *path) {
    char from[64];
    snprintf(from, sizeof from, "/proc/%d/%s", thread, name);
    ssize_t length = readlink(from, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static int file_of(pid_t thread, int fd, char *path) {
    char name[32];
    snprintf(name, sizeof name, "fd/%d", fd);
    return link_of(thread, fd == AT_FDCWD ? "cwd" : name, path);
}

static ssize_t memory_of(pid_t thread, uint64_t at, char *bytes, size_t count) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", thread);
    int memory = open(name, O_RDONLY | O_CLOEXEC);
    if (memory < 0) return -1;
    ssize_t length = pread(memory, bytes, count, (off_t)at);
    close(memory);
    return length;
}

static int path_of(pid_t thread, int directory, uint64_t at, char *path) {
    char name[PATH_MAX];
    /* To the end of its page first: what follows may be no memory. */
    size_t first = 4096 - at % 4096;
    ssize_t length = memory_of(thread, at, name, first);
    if (length > 0 && memchr(name, 0, (size_t)length) == NULL && first < sizeof name) {
        ssize_t more = memory_of(thread, at + first, name + first, sizeof name - first);
        length += more > 0 ? more : 0;
    }
    if (length <= 0 || memchr(name, 0, (size_t)length) == NULL) return 0;
    if (name[0] == '/') return strcpy(path, name) != NULL;
    if (!file_of(thread, directory, path)) return 0;
    if (name[0] != 0 && strlen(path) + strlen(name) + 2 < PATH_MAX) strcat(strcat(path, "/"), name);
    return 1;
}

static int is_below(const char *path) {
    for (const char *at = below; *at;) {
        size_t length = strcspn(at, ":");
        if (strncmp(path, at, length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
        at += length + (at[length] == ':');
    }
    return 0;
}

static int is_refused(const struct call *call, int creates, int error) {
    if (error == EROFS) return call->changes || creates;
    if (error == ENOSPC || error == EDQUOT) return call->grows || creates;
    return 1;
}

/* Writes fewer bytes than the program wants to; gives how many, or nothing where there are not more. */
static ssize_t write_short(const struct seccomp_notif *asked, size_t most) {
    if (asked->data.nr != SYS_write || asked->data.args[2] <= most || most > 4096) return -1;
    char bytes[4096], line[256], name[64];
    snprintf(name, sizeof name, "/proc/%d/status", asked->pid);
    FILE *status = fopen(name, "re");
    pid_t process = 0;
    while (status && fgets(line, sizeof line, status)) sscanf(line, "Tgid: %d", &process);
    if (status) fclose(status);
    int of = (int)syscall(SYS_pidfd_open, process, 0);
    int file = (int)syscall(SYS_pidfd_getfd, of, (int)asked->data.args[0], 0);
    ssize_t written = -1;
    if (file >= 0 && memory_of((pid_t)asked->pid, asked->data.args[1], bytes, most) == (ssize_t)most)
        written = write(file, bytes, most);
    close(file);
    close(of);
    return written;
}

static void answer(const struct seccomp_notif *asked, struct seccomp_notif_resp *said) {
    const __u64 *args = asked->data.args;
    pid_t thread = (pid_t)asked->pid;
    const struct call *call = calls;
    while (call->number != asked->data.nr) call++;
    char path[2 * PATH_MAX] = "", second[2 * PATH_MAX] = "";
    int found = 0;
    switch (call->where) {
    case FD: found = file_of(thread, (int)args[0], path); break;
    case PATH: found = path_of(thread, AT_FDCWD, args[0], path); break;
    case AT: found = path_of(thread, (int)args[0], args[1], path); break;
    case PATHS:
        found = path_of(thread, AT_FDCWD, args[0], path) && path_of(thread, AT_FDCWD, args[1], second);
        break;
    case ATS: found = path_of(thread, (int)args[0], args[1], path) && path_of(thread, (int)args[2], args[3], second);
    }
    said->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (!found || (!is_below(path) && !is_below(second))) return;
    uint64_t flags = call->number == SYS_openat ? args[2] : strcmp(call->name, "openat") == 0 ? args[1] : 0;
    int creates = (flags & O_CREAT) != 0;
    const char *name = creates ? "create" : call->name;
    const char *judged = second[0] ? second : path;
    int is_chosen = strcmp(name, wanted) == 0 && fnmatch(pattern, judged, 0) == 0;
    if (is_chosen) seen++;
    int is_met = is_chosen && (which > 0 ? seen == which : which == 0 || seen % -which == 0);
    int done = 0;
    if (starts(action, "run=") && is_met) {
        setenv("AT", judged, 1);
        done = system(action + 4) == 0;
    } else if (starts(action, "short=") && is_met) {
        ssize_t written = write_short(asked, (size_t)atol(action + 6));
        if (written >= 0) {
            done = 1;
            said->flags = 0;
            said->val = written;
        }
    } else if (starts(action, "error=") || starts(action, "sticky=")) {
        int error = atoi(strchr(action, '=') + 1);
        if (is_met || (stuck && is_refused(call, creates, error))) {
            stuck = starts(action, "sticky=");
            done = 1;
            said->flags = 0;
            said->error = -error;
        }
    }
    fprintf(record, "%s\t%s%s%s%s\n", name, path, second[0] ? "\t" : "", second, done ? "\t!" : "");
}

static void serve(int listener, int process) {
    struct pollfd polled[] = {{.fd = listener, .events = POLLIN}, {.fd = process, .events = POLLIN}};
    while (poll(polled, 2, -1) >= 0 || errno == EINTR) {
        if (polled[0].revents & POLLIN) {
            struct seccomp_notif asked = {0};
            struct seccomp_notif_resp said = {0};
            if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
            said.id = asked.id;
            answer(&asked, &said);
            /* A call that a signal has ended meanwhile wants no answer. */
            ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &said);
        } else if (polled[0].revents || polled[1].revents) {
            return;
        }
    }
}

int main(int count, char **arguments) {
    if (count < 8) return 125;
    record = fopen(arguments[1], "we");
    if (record == NULL) fail(arguments[1]);
    below = arguments[2];
    wanted = arguments[3];
    pattern = arguments[4];
    which = atol(arguments[5]);
    action = arguments[6];
    int channel[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0) fail("socketpair");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) begin(channel[0], arguments + 7);
    close(channel[0]);
    int listener = receive(channel[1]);
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    if (process < 0) fail("pidfd_open");
    serve(listener, process);
    int status;
    waitpid(child, &status, 0);
    fclose(record);
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}
