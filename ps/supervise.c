/* supervise.c - see supervise.h. A server child is started first and reports its addresses; then
 * the ranks tell each other, by MPI; then the workers start. Nobody is left behind: a child dies
 * with its supervisor, a supervisor with mpirun. */
#include "ps/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/process.h"
#include "proto/roster.h"
#include "ps/supervise_inner.h"

enum { GRACE_MS = 30000 };

/* ---- notes ---- */

/* One line, written whole: several ranks share the terminal. */
static void note(char letter, const char *text) {
    if (getenv(SUPERVISE_NOTES) == NULL)
        return;
    char line[ERR_TEXT_MAX + 64];
    int n = snprintf(line, sizeof line, "%c%c%s\n", SUPERVISE_NOTE, letter, text);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
    (void)ignored;
}

static int fail(int code, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%d ", code);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, args);
    va_end(args);
    note('F', text);
    if (getenv(SUPERVISE_NOTES) == NULL)
        dprintf(STDERR_FILENO, "rowhouse run: %s\n", text + n);
    return code;
}

/* In pieces: a note is short, so that no other rank's words come between. */
static void tell_servers(const struct supervisor *s, const struct roster *r) {
    char list[ERR_TEXT_MAX];
    size_t len = 0;
    for (uint32_t i = 0; i < r->shards; i++) {
        if (len + strlen(r->servers[i]) + 2 > sizeof list) {
            note('S', list);
            len = 0;
        }
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len == 0 ? "" : ",",
                                r->servers[i]);
    }
    note('S', list);
    note('C', s->folder);
}

/* ---- the end of a child ---- */

/* What a child's end means, for the job and for our exit code. Today: the job ends as the child
 * has ended. A program that was told to stop may end as it likes, and its supervisor exits with 0,
 * because mpirun lets the others live only two seconds longer than the first that does not. */
static int on_child_end(const struct supervisor *s, int status) {
    char how[64];
    int code = process_exit_code(status);
    bool expected = code == 0 || (s->stopping && (!s->is_server || s->killed));
    kill(-s->child, SIGKILL); /* what it has started and left */
    if (!expected)
        return fail(code, "%s (process %d) %s; the job is stopped", s->name, (int)s->child,
                    process_end(status, how, sizeof how));
    if (!s->is_server)
        note('E', "");
    return 0;
}

static void stop(struct supervisor *s) {
    if (s->stopping)
        return;
    s->stopping = true;
    s->kill_ms = clock_now_ms() + GRACE_MS;
    /* A stopped process would not see the end coming. First, because a SIGCONT during that end would
     * undo the stop by which LeakSanitizer halts the threads it looks at. */
    kill(-s->child, SIGCONT);
    kill(-s->child, SIGTERM);
}

/* Kills a child whose time to stop is over. How long to wait for that; -1: for ever. */
static int grace_ms(struct supervisor *s) {
    if (!s->stopping || s->killed)
        return -1;
    int64_t left_ms = s->kill_ms - clock_now_ms();
    if (left_ms > 0)
        return (int)left_ms;
    s->killed = true;
    kill(-s->child, SIGKILL);
    return -1;
}

/* ---- watching it ---- */

static void on_signal(struct supervisor *s, uint32_t signal) {
    if (signal == SIGHUP) { /* mpirun has died */
        kill(-s->child, SIGKILL);
        _exit(128 + SIGHUP);
    }
    if (signal == SIGTERM || signal == SIGINT || signal == (s->is_server ? SIGUSR2 : SIGUSR1))
        stop(s);
}

/* What the child says on its stderr, if that is a pipe to us. False: there is nothing more. */
static bool pass_on(struct supervisor *s) {
    char bytes[4096];
    ssize_t n = read(s->stderr_fd, bytes, sizeof bytes);
    if (n > 0 && write(STDERR_FILENO, bytes, (size_t)n) == n)
        return true;
    return n < 0 && errno == EINTR;
}

/* Sleeps until the child has ended. Its status. */
static int watch(struct supervisor *s, int signal_fd) {
    int status;
    while (waitpid(s->child, &status, WNOHANG) != s->child) {
        struct pollfd p[2] = {{.fd = signal_fd, .events = POLLIN},
                              {.fd = s->stderr_fd, .events = POLLIN}};
        poll(p, 2, grace_ms(s));
        struct signalfd_siginfo info;
        if (p[0].revents & POLLIN && read(signal_fd, &info, sizeof info) == sizeof info)
            on_signal(s, info.ssi_signo);
        if (p[1].revents != 0 && !pass_on(s)) {
            close(s->stderr_fd);
            s->stderr_fd = -1;
        }
    }
    struct pollfd rest = {.fd = s->stderr_fd, .events = POLLIN};
    while (poll(&rest, 1, 0) == 1 && pass_on(s))
        ;
    return status;
}

/* ---- a rank's life ---- */

static void block_signals(sigset_t *mask) {
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigemptyset(mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(mask, signals[i]);
    sigprocmask(SIG_BLOCK, mask, NULL);
}

/* From here on mpirun's death is told to us, so that we can take with us what the child has
 * started. Until now it killed us, for nobody looks at signals inside MPI. */
static bool hear_of_death(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGHUP);
    return getppid() == parent;
}

/* Now that everybody is known: starts the program, and watches the child. */
static int live(struct supervisor *s, const struct roster *r, pid_t parent) {
    sigset_t mask;
    block_signals(&mask);
    int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return fail(1, "%s: cannot wait for signals: %s", s->name, strerror(errno));
    int code = s->is_server ? 0 : supervise_start_program(s, r);
    if (code != 0)
        return fail(code, "%s", err_text());
    if (!hear_of_death(parent))
        on_signal(s, SIGHUP);
    return on_child_end(s, watch(s, signal_fd));
}

static int supervise(struct supervisor *s, pid_t parent) {
    struct roster r;
    int code = s->is_server ? supervise_start_server(s) : 0;
    if (code != 0)
        return fail(code, "%s", err_text());
    if (roster_from_mpi(s->addresses, s->n_addresses, NULL, NULL, &r) != RH_OK)
        return fail(1, "%s: %s", s->name, err_text());
    if (s->is_server && s->index == 0)
        tell_servers(s, &r);
    code = live(s, &r, parent);
    roster_fini(&r);
    return code;
}

static bool read_number(const char *text, uint32_t *out) {
    char *end = NULL;
    unsigned long v = text == NULL ? 0 : strtoul(text, &end, 10);
    *out = (uint32_t)v;
    return end != NULL && end != text && *end == '\0' && v <= UINT32_MAX;
}

static bool read_arguments(struct supervisor *s, int argc, char **argv) {
    uint32_t rank, size, servers;
    int dashes = 3;
    while (dashes < argc && strcmp(argv[dashes], "--") != 0)
        dashes++;
    if (strcmp(argv[1], "--supervise") != 0 || dashes + 1 >= argc ||
        !read_number(argv[2], &servers) || !read_number(getenv("OMPI_COMM_WORLD_RANK"), &rank) ||
        !read_number(getenv("OMPI_COMM_WORLD_SIZE"), &size) || servers < 1 || servers >= size)
        return false;
    s->is_server = rank < servers;
    s->index = s->is_server ? rank : rank - servers;
    s->servers = servers;
    s->world = size - servers;
    s->flags = argv + 3;
    s->n_flags = (size_t)dashes - 3;
    s->program = argv + dashes + 1;
    snprintf(s->name, sizeof s->name, "%s %u", s->is_server ? "server" : "worker", s->index);
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    uint32_t n;
    s->one_host = read_number(here, &n) && n == size;
    return true;
}

int supervise_main(int argc, char **argv) {
    struct supervisor s = {.stderr_fd = -1};
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        return 1;
    if (!read_arguments(&s, argc, argv)) {
        fprintf(stderr, "rowhouse-server: --supervise is for a rank of rowhouse run; use that\n");
        return 2;
    }
    sigprocmask(SIG_SETMASK, NULL, &s.child_mask);
    /* SIGUSR2 comes when the workers have ended, which a server may not have seen the start of. */
    sigset_t early;
    sigemptyset(&early);
    sigaddset(&early, SIGUSR2);
    sigprocmask(SIG_BLOCK, &early, NULL);
    signal(SIGUSR1, SIG_DFL); /* rowhouse run ignores them, which is inherited */
    signal(SIGUSR2, SIG_DFL);
    int code = supervise(&s, parent);
    supervise_fini(&s);
    return code;
}
