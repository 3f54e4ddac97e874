/* supervise_start.c - starting a rank's child: its arguments and its environment. The children know
 * nothing of MPI: they find RH_ names in their environment. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/process.h"
#include "ps/supervise_inner.h"

enum {
    REPORT_MS = 60000,
    OWN_VARIABLES = 4,
    AGAIN_FLAGS = 4,
    EXIT_NOT_RUN = 126,
    EXIT_NOT_FOUND = 127
};

/* ---- environments ---- */

struct environment {
    char **p;
    size_t n, own; /* the first `own` are ours to free */
};

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Not for children: that we are a rank of an mpirun, and what another job may have left. */
static bool is_hidden(const char *variable) {
    static const char *const hidden[] = {"OMPI_",       "PMIX_",        "PMI_",
                                         "ORTE_",       "RH_RANK=",     "RH_WORLD=",
                                         "RH_SERVERS=", "RH_SUCCEEDS=", SUPERVISE_NOTES};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (starts(variable, hidden[i]))
            return true;
    return false;
}

static void environment_fini(struct environment *e) {
    for (size_t i = 0; i < e->own; i++)
        free(e->p[i]);
    free(e->p);
    *e = (struct environment){0};
}

static bool environment_add(struct environment *e, const char *name, const char *value) {
    assert(e->n == e->own && e->own < OWN_VARIABLES);
    if (asprintf(&e->p[e->n], "%s=%s", name, value) < 0)
        return false;
    e->own = ++e->n;
    return true;
}

static bool environment_add_number(struct environment *e, const char *name, uint32_t value) {
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    return environment_add(e, name, text);
}

static bool environment_init(struct environment *e) {
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    *e = (struct environment){.p = calloc(n + OWN_VARIABLES + 1, sizeof *e->p)};
    return e->p != NULL;
}

/* Behind our own: what we have been given ourselves. */
static void environment_inherit(struct environment *e) {
    for (char **v = environ; *v != NULL; v++)
        if (!is_hidden(*v))
            e->p[e->n++] = *v;
    e->p[e->n] = NULL;
}

/* ---- a server ---- */

const char *supervise_given(const struct supervisor *s, const char *flag) {
    const char *value = NULL;
    size_t len = strlen(flag);
    for (size_t i = 0; i < s->n_flags; i++) {
        if (strcmp(s->flags[i], flag) == 0 && i + 1 < s->n_flags)
            value = s->flags[i + 1];
        else if (starts(s->flags[i], flag) && s->flags[i][len] == '=')
            value = s->flags[i] + len + 1;
    }
    return value;
}

/* How many shards each server process has. */
static uint32_t shards_each(const struct supervisor *s) {
    const char *value = supervise_given(s, "--shards");
    unsigned long n = value == NULL ? 1 : strtoul(value, NULL, 10);
    return n >= 1 && n <= PLACE_SHARDS_MAX ? (uint32_t)n : 1; /* the server says what is wrong */
}

/* Until when a server must report. One that restores a checkpoint (which a settings file may say,
 * too) reports behind that, and has the time that it takes; one that succeeds another reads none. */
static int64_t report_until_ms(const struct supervisor *s) {
    bool restores =
        supervise_given(s, "--restore") != NULL || supervise_given(s, "--config") != NULL;
    return restores ? INT64_MAX : clock_now_ms() + REPORT_MS;
}

static int start(struct supervisor *s, char **argv, struct environment *e, int stderr_fd) {
    environment_inherit(e);
    struct process_plan plan = {.argv = argv,
                                .environment = e->p,
                                .mask = &s->child_mask,
                                .death_signal = SIGKILL,
                                .stderr_fd = stderr_fd};
    rh_status status = process_start(&plan, &s->child);
    s->started_ms = clock_now_ms();
    return status == RH_OK ? 0 : status == RH_ENOTFOUND ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}

/* Forks a server that reports to report_fd. Our flags come first, so that the user's --listen wins;
 * but one that succeeds another has to be where that was. */
static int start_server(struct supervisor *s, int report_fd, int stderr_fd) {
    char self[4096], fd[16], shard[48], generation[24];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    uint32_t each = shards_each(s);
    snprintf(fd, sizeof fd, "%d", report_fd);
    snprintf(generation, sizeof generation, "%" PRIu64, s->generation);
    snprintf(shard, sizeof shard, "%u/%u", s->index * each, s->servers * each);
    char *own[] = {self, "--child", "--listen", s->own_listen, "--shard", shard, "--report-fd", fd};
    char *again[AGAIN_FLAGS] = {"--listen", s->listen, "--rejoin", generation};
    size_t n_own = sizeof own / sizeof *own;
    char **argv = calloc(n_own + s->n_flags + AGAIN_FLAGS + 1, sizeof *argv);
    struct environment e;
    int code = SUPERVISE_FAILED;
    if (argv != NULL && environment_init(&e)) {
        memcpy(argv, own, sizeof own);
        memcpy(argv + n_own, s->flags, s->n_flags * sizeof *argv);
        if (s->lives > 0)
            memcpy(argv + n_own + s->n_flags, again, sizeof again);
        if (environment_add_number(&e, "RH_WORLD", s->world))
            code = start(s, argv, &e, stderr_fd);
        environment_fini(&e);
    } else {
        err_set(RH_ENOMEM, "no memory to start %s", s->name);
    }
    free(argv);
    return code;
}

static int open_pipes(const struct supervisor *s, int report[2], int says[2]) {
    if (pipe2(report, O_CLOEXEC) == 0) {
        if (pipe2(says, O_CLOEXEC) == 0)
            return 0;
        close(report[0]);
        close(report[1]);
    }
    err_sys(RH_EIO, "cannot start %s", s->name);
    return SUPERVISE_FAILED;
}

/* Its stderr is a pipe, so that what it says before it can start becomes our one line. */
int supervise_start_server_again(struct supervisor *s) {
    int report[2], says[2];
    if (open_pipes(s, report, says) != 0)
        return SUPERVISE_FAILED;
    fcntl(report[1], F_SETFD, 0);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    int64_t until_ms = report_until_ms(s);
    int code = start_server(s, report[1], says[1]);
    close(report[1]);
    close(says[1]);
    s->stderr_fd = says[0];
    s->report.fd = report[0];
    s->report.until_ms = until_ms;
    return code;
}

/* Sleeps until the report is whole. False: it does not come, or not in time. */
static bool await_report(struct report *r) {
    for (;;) {
        int64_t left_ms = r->until_ms - clock_now_ms();
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (left_ms <= 0)
            return false;
        int ready = poll(&p, 1, r->until_ms == INT64_MAX ? -1 : (int)left_ms);
        int got = ready == 1 ? supervise_report_read(r) : 0;
        if (got != 0)
            return got > 0;
    }
}

/* The server has not reported. Why: its own last word, if it has ended with one. */
static int no_report(struct supervisor *s) {
    char how[64];
    int status = 0;
    bool late = clock_now_ms() >= s->report.until_ms;
    if (late)
        kill(-s->child, SIGKILL);
    while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
        ;
    if (late)
        err_set(RH_ETIMEDOUT, "%s (process %d) has not begun to listen within %d s", s->name,
                (int)s->child, REPORT_MS / 1000);
    else if (supervise_last_word(s))
        err_in(RH_EIO, "%s cannot start", s->name);
    else
        err_set(RH_EIO, "%s (process %d) %s before it listened", s->name, (int)s->child,
                process_end(status, how, sizeof how));
    int code = process_exit_code(status);
    return code == 0 ? SUPERVISE_FAILED : code;
}

int supervise_start_server(struct supervisor *s) {
    int code = supervise_start_server_again(s);
    if (code == 0 && !await_report(&s->report))
        code = no_report(s);
    if (code == 0 && !supervise_report_keep(s)) {
        err_set(RH_ENOMEM, "no memory for the addresses of %s", s->name);
        code = SUPERVISE_FAILED;
    }
    supervise_report_close(&s->report);
    return code;
}

/* ---- the program ---- */

int supervise_start_program(struct supervisor *s) {
    const struct roster *r = s->roster;
    size_t cap = (size_t)r->shards * (ROSTER_ADDRESS_MAX + 1), at = 0;
    char *list = malloc(cap);
    struct environment e;
    int code = SUPERVISE_FAILED;
    err_set(RH_ENOMEM, "no memory to start %s", s->name);
    if (list == NULL || !environment_init(&e)) {
        free(list);
        return code;
    }
    for (uint32_t i = 0; i < r->shards; i++)
        at += (size_t)snprintf(list + at, cap - at, "%s%s", i == 0 ? "" : ",", r->servers[i]);
    if (environment_add(&e, "RH_SERVERS", list) &&
        environment_add_number(&e, "RH_RANK", s->index) &&
        environment_add_number(&e, "RH_WORLD", s->world) &&
        (s->lives == 0 || environment_add_number(&e, "RH_SUCCEEDS", s->lives)))
        code = start(s, s->program, &e, -1);
    environment_fini(&e);
    free(list);
    return code;
}
