/* supervise_start.c - starting a rank's child: its arguments, its environment, and what a server
 * reports. The children know nothing of MPI: they find RH_ names in their environment. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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
    REPORT_MAX = PLACE_SHARDS_MAX * ROSTER_ADDRESS_MAX + 24 + PATH_MAX,
    SAID_MAX = 65536 + 1, /* a pipe holds no more */
    OWN_VARIABLES = 4,
    EXIT_FAILED = 1,
    EXIT_NOT_RUN = 126,
    EXIT_NOT_FOUND = 127
};

#define PREFIX "rowhouse-server: "

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
    static const char *const hidden[] = {"OMPI_",    "PMIX_",     "PMI_",        "ORTE_",
                                         "RH_RANK=", "RH_WORLD=", "RH_SERVERS=", SUPERVISE_NOTES};
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

/* What the user gives a flag of the server, or NULL. */
static const char *given(const struct supervisor *s, const char *flag) {
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
    const char *value = given(s, "--shards");
    unsigned long n = value == NULL ? 1 : strtoul(value, NULL, 10);
    return n >= 1 && n <= PLACE_SHARDS_MAX ? (uint32_t)n : 1; /* the server says what is wrong */
}

/* Until when a server must report. One that restores a checkpoint (which a settings file may say,
 * too) reports behind that, and has the time that it takes. */
static int64_t report_until_ms(const struct supervisor *s) {
    bool restores = given(s, "--restore") != NULL || given(s, "--config") != NULL;
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
    return status == RH_OK ? 0 : status == RH_ENOTFOUND ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}

/* Forks a server that reports to report_fd. Our flags come first: the user's --listen wins. */
static int start_server(struct supervisor *s, int report_fd, int stderr_fd) {
    char self[4096], fd[16], shard[48];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    uint32_t each = shards_each(s);
    snprintf(fd, sizeof fd, "%d", report_fd);
    snprintf(shard, sizeof shard, "%u/%u", s->index * each, s->servers * each);
    char *own[] = {
        self,      "--child", "--listen",    s->one_host ? "tcp://127.0.0.1:*" : "tcp://*:*",
        "--shard", shard,     "--report-fd", fd};
    size_t n_own = sizeof own / sizeof *own;
    char **argv = calloc(n_own + s->n_flags + 1, sizeof *argv);
    struct environment e;
    int code = EXIT_FAILED;
    if (argv != NULL && environment_init(&e)) {
        memcpy(argv, own, sizeof own);
        memcpy(argv + n_own, s->flags, s->n_flags * sizeof *argv);
        if (environment_add_number(&e, "RH_WORLD", s->world))
            code = start(s, argv, &e, stderr_fd);
        environment_fini(&e);
    } else {
        err_set(RH_ENOMEM, "no memory to start %s", s->name);
    }
    free(argv);
    return code;
}

/* Reads up to a newline, cap bytes, the end, or the deadline (INT64_MAX: none). True: there is a
 * newline, now a 0. */
static bool read_line(int fd, char *line, size_t cap, int64_t until_ms) {
    size_t len = 0;
    line[0] = '\0';
    for (;;) {
        int64_t left_ms = until_ms - clock_now_ms();
        int wait_ms = until_ms == INT64_MAX ? -1 : left_ms > 0 ? (int)left_ms : 0;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, wait_ms);
        ssize_t n = ready == 1 ? read(fd, line + len, cap - 1 - len) : -1;
        if (ready < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        len += (size_t)n;
        line[len] = '\0';
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
            return true;
        }
    }
}

/* The last line that the server, which has ended, has left on its stderr: with the prefix of a
 * program's own last word if there is one with it. What it has logged before goes on to our stderr.
 * NULL: nothing is there. */
static const char *last_word(int fd, char said[SAID_MAX]) {
    size_t len = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (ssize_t n = 1; n > 0 && len + 1 < SAID_MAX && poll(&p, 1, 0) == 1; len += n > 0 ? n : 0)
        n = read(fd, said + len, SAID_MAX - 1 - len);
    said[len] = '\0';
    char *rest = NULL, *word = NULL;
    for (char *line = strtok_r(said, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        bool better = word == NULL || starts(line, PREFIX) || !starts(word, PREFIX);
        const char *other = better ? word : line;
        if (other != NULL)
            dprintf(STDERR_FILENO, "%s\n", other);
        word = better ? line : word;
    }
    return word;
}

/* The server has not reported. Why: its own last word, if it has ended with one. */
static int no_report(struct supervisor *s, bool late) {
    char said[SAID_MAX], how[64];
    const char *word;
    int status = 0;
    if (late)
        kill(-s->child, SIGKILL);
    while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
        ;
    if (late)
        err_set(RH_ETIMEDOUT, "%s (process %d) has not begun to listen within %d s", s->name,
                (int)s->child, REPORT_MS / 1000);
    else if ((word = last_word(s->stderr_fd, said)) != NULL)
        err_set(RH_EIO, "%s cannot start: %s", s->name,
                word + (starts(word, PREFIX) ? strlen(PREFIX) : 0));
    else
        err_set(RH_EIO, "%s (process %d) %s before it listened", s->name, (int)s->child,
                process_end(status, how, sizeof how));
    int code = process_exit_code(status);
    return code == 0 ? EXIT_FAILED : code;
}

/* "tcp://a:1,tcp://a:2 7 folder", or without the folder. */
static bool cut_report(struct supervisor *s) {
    s->addresses = calloc(PLACE_SHARDS_MAX, sizeof *s->addresses);
    if (s->addresses == NULL)
        return false;
    char *blank = strchr(s->report, ' '), *rest = NULL;
    s->folder = "";
    if (blank != NULL) {
        *blank = '\0';
        s->generation = strtoull(blank + 1, &rest, 10);
        s->folder = *rest == ' ' ? rest + 1 : "";
        rest = NULL;
    }
    for (char *a = strtok_r(s->report, ",", &rest); a != NULL && s->n_addresses < PLACE_SHARDS_MAX;
         a = strtok_r(NULL, ",", &rest))
        s->addresses[s->n_addresses++] = a;
    return true;
}

static int open_pipes(const struct supervisor *s, int report[2], int says[2]) {
    if (pipe2(report, O_CLOEXEC) == 0) {
        if (pipe2(says, O_CLOEXEC) == 0)
            return 0;
        close(report[0]);
        close(report[1]);
    }
    err_sys(RH_EIO, "cannot start %s", s->name);
    return EXIT_FAILED;
}

int supervise_start_server(struct supervisor *s) {
    int report[2], says[2];
    s->report = malloc(REPORT_MAX);
    if (s->report == NULL) {
        err_set(RH_ENOMEM, "no memory to start %s", s->name);
        return EXIT_FAILED;
    }
    if (open_pipes(s, report, says) != 0)
        return EXIT_FAILED;
    fcntl(report[1], F_SETFD, 0);
    int64_t until_ms = report_until_ms(s);
    /* Its stderr is a pipe, so that what it says before it can start becomes our one line. */
    int code = start_server(s, report[1], says[1]);
    close(report[1]);
    close(says[1]);
    s->stderr_fd = says[0];
    if (code == 0 && !read_line(report[0], s->report, REPORT_MAX, until_ms))
        code = no_report(s, clock_now_ms() >= until_ms);
    close(report[0]);
    if (code == 0 && !cut_report(s)) {
        err_set(RH_ENOMEM, "no memory for the addresses of %s", s->name);
        code = EXIT_FAILED;
    }
    return code;
}

/* ---- the program ---- */

int supervise_start_program(struct supervisor *s, const struct roster *r) {
    size_t cap = (size_t)r->shards * (ROSTER_ADDRESS_MAX + 1), at = 0;
    char *list = malloc(cap);
    struct environment e;
    int code = EXIT_FAILED;
    err_set(RH_ENOMEM, "no memory to start %s", s->name);
    if (list == NULL || !environment_init(&e)) {
        free(list);
        return code;
    }
    for (uint32_t i = 0; i < r->shards; i++)
        at += (size_t)snprintf(list + at, cap - at, "%s%s", i == 0 ? "" : ",", r->servers[i]);
    if (environment_add(&e, "RH_SERVERS", list) &&
        environment_add_number(&e, "RH_RANK", s->index) &&
        environment_add_number(&e, "RH_WORLD", s->world))
        code = start(s, s->program, &e, -1);
    environment_fini(&e);
    free(list);
    return code;
}

void supervise_fini(struct supervisor *s) {
    if (s->stderr_fd >= 0)
        close(s->stderr_fd);
    free(s->addresses);
    free(s->report);
}
