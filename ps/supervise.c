/* supervise.c - see supervise.h. A server child is started first and reports its addresses; then
 * the ranks tell each other, by MPI; then the workers start. Nobody is left behind: a child dies
 * with its supervisor, a supervisor with mpirun. */
#include "ps/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/roster.h"
#include "ps/supervise_inner.h"

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
static int live(struct supervisor *s, pid_t parent) {
    sigset_t mask;
    block_signals(&mask);
    int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return supervise_fail(SUPERVISE_FAILED, "%s: cannot wait for signals: %s", s->name,
                              strerror(errno));
    int code = s->is_server ? 0 : supervise_start_program(s);
    if (code != 0)
        return supervise_fail(code, "%s", err_text());
    s->listens = true;
    if (!hear_of_death(parent))
        supervise_orphaned(s);
    return supervise_watch(s, signal_fd);
}

static int supervise(struct supervisor *s, pid_t parent) {
    struct roster r;
    int code = s->is_server ? supervise_start_server(s) : 0;
    if (code != 0)
        return supervise_fail(code, "%s", err_text());
    if (roster_from_mpi(s->addresses, s->n_addresses, NULL, NULL, &r) != RH_OK)
        return supervise_fail(SUPERVISE_FAILED, "%s: %s", s->name, err_text());
    s->roster = &r;
    if (s->is_server && s->index == 0)
        supervise_tell_servers(s, &r);
    code = live(s, parent);
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
    uint32_t rank, size, servers, restarts;
    int dashes = 5;
    while (dashes < argc && strcmp(argv[dashes], "--") != 0)
        dashes++;
    if (dashes + 1 >= argc || strcmp(argv[1], "--supervise") != 0 ||
        strcmp(argv[3], "--restarts") != 0 || !read_number(argv[2], &servers) ||
        !read_number(argv[4], &restarts) || restarts > BUDGET_MAX ||
        !read_number(getenv("OMPI_COMM_WORLD_RANK"), &rank) ||
        !read_number(getenv("OMPI_COMM_WORLD_SIZE"), &size) || servers < 1 || servers >= size)
        return false;
    s->is_server = rank < servers;
    s->index = s->is_server ? rank : rank - servers;
    s->servers = servers;
    s->world = size - servers;
    budget_init(&s->budget, restarts);
    s->flags = argv + 5;
    s->n_flags = (size_t)dashes - 5;
    s->program = argv + dashes + 1;
    snprintf(s->name, sizeof s->name, "%s %u", s->is_server ? "server" : "worker", s->index);
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    uint32_t n;
    s->one_host = read_number(here, &n) && n == size;
    s->own_listen = s->one_host ? "tcp://127.0.0.1:*" : "tcp://*:*";
    return true;
}

static void fini(struct supervisor *s) {
    supervise_report_close(&s->report);
    if (s->stderr_fd >= 0)
        close(s->stderr_fd);
    free(s->addresses);
    free(s->listen);
    free(s->told);
}

int supervise_main(int argc, char **argv) {
    struct supervisor s = {.stderr_fd = -1, .report.fd = -1};
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
    fini(&s);
    return code;
}
