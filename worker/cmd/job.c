/* job.c - see job.h. The notes and signals between us and the supervisors are those of
 * ps/supervise.h, seen from the other end. */
#include "worker/cmd/job.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/outfile.h"
#include "common/process.h"
#include "proto/roster.h"
#include "worker/cmd/job_save.h"
#include "worker/cmd/shell.h"

enum {
    NOTE = '\x1e',
    STOP_MS = 35000,     /* supervisors kill what does not end within 30 s */
    TEARDOWN_MS = 10000, /* mpirun's own way takes two seconds */
    SERVERS_MAX = PLACE_SHARDS_MAX * ROSTER_ADDRESS_MAX,
    STATUS_NOT_FOUND = 127
};

struct job {
    const struct job_plan *plan;
    const sigset_t *mask; /* the signals that children have blocked */
    pid_t mpirun;
    int stderr_fd; /* mpirun's, with that of all ranks */
    uint32_t ended;
    struct buf servers; /* their addresses, as far as they were told */
    bool wrote_env_file;
    struct job_save save;

    int failed;      /* the exit code of a failure that a rank has told, or 0; */
    int64_t over_ms; /* and then mpirun must have ended */
    bool said;       /* the one line of a failure */
    bool mid_line;   /* what was passed on last did not end a line */
    bool in_note;
    char note[ERR_TEXT_MAX + 2];
    size_t note_len;

    int stopped_by; /* the signal that we were told to stop by, or 0 */
    int stops;      /* how far we have gone: asked, told, killed */
    int64_t stop_ms;
};

/* ---- what is said ---- */

static void put(struct job *j, const char *bytes, size_t n) {
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, n);
        if (done < 0 && errno != EINTR)
            return; /* nobody is left to tell */
        if (done > 0) {
            j->mid_line = bytes[done - 1] != '\n';
            bytes += done;
            n -= (size_t)done;
        }
    }
}

static void tell(struct job *j, const char *text) {
    char *line;
    int n = asprintf(&line, "%srowhouse run: %s\n", j->mid_line ? "\n" : "", text);
    if (n < 0)
        return;
    put(j, line, (size_t)n);
    free(line);
}

/* The first reason is the one: what fails behind it fails because of it. */
static void say(struct job *j, const char *fmt, ...) {
    char text[ERR_TEXT_MAX + 64];
    if (j->said)
        return;
    j->said = true;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tell(j, text);
}

/* ---- stopping ---- */

/* Asks the workers to end, and the servers once they have; in earnest the second time. */
static void stop(struct job *j) {
    static const int signals[] = {SIGUSR1, SIGTERM, SIGKILL};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    if (j->stops == SIGNALS)
        return;
    kill(j->mpirun, signals[j->stops]);
    j->stop_ms = clock_now_ms() + (j->stops == 0 ? STOP_MS : TEARDOWN_MS);
    if (++j->stops == SIGNALS)
        j->stop_ms = INT64_MAX;
}

/* The first one saves before it stops, unless there is a failure that may be in the rows, or nobody left
 * to save for. */
static void on_signal(struct job *j, int number) {
    bool first = j->stopped_by == 0, working = !j->said && j->ended < j->plan->workers;
    j->stopped_by = number;
    if (first && working && job_save_begin(&j->save, j->mask)) {
        tell(j, "saving \"" JOB_SAVE_NAME "\" before the job is stopped; another signal stops it "
                "at once");
        return;
    }
    job_save_give_up(&j->save, "another signal came before that was done");
    stop(j);
}

static void on_worker_end(struct job *j) {
    if (++j->ended < j->plan->workers)
        return;
    kill(j->mpirun, SIGUSR2);
    if (j->stops == 1)
        j->stop_ms = clock_now_ms() + STOP_MS;
}

/* ---- where the servers are ---- */

/* The token in it is nobody else's business. */
static rh_status write_env_file(const char *path, const char *servers) {
    struct outfile o;
    mode_t before = umask(077);
    rh_status s = outfile_create(&o, path);
    umask(before);
    if (s != RH_OK)
        return s;
    fputs("export RH_SERVERS=", o.f);
    shell_put(o.f, servers);
    fputs("\nexport RH_JOB=", o.f);
    shell_put(o.f, getenv("RH_JOB"));
    putc('\n', o.f);
    return outfile_commit(&o);
}

static void on_servers(struct job *j, const char *folder) {
    buf_put_u8(&j->servers, 0);
    if (j->servers.bad)
        return;
    const char *list = (const char *)j->servers.p;
    setenv("RH_SERVERS", list, 1); /* mpirun runs already: this is for our own children */
    snprintf(j->save.folder, sizeof j->save.folder, "%s", folder);
    if (j->plan->env_file == NULL)
        return;
    j->wrote_env_file = write_env_file(j->plan->env_file, list) == RH_OK;
    if (!j->wrote_env_file)
        tell(j, err_text());
}

/* ---- what mpirun says ---- */

/* mpirun ends the other ranks then; but where they end while it still starts some, it may hang in a
 * lock for ever. */
static void on_failure(struct job *j, const char *note) {
    char *text;
    int code = (int)strtol(note, &text, 10);
    say(j, "%s", text + (*text == ' '));
    if (j->failed != 0)
        return;
    j->failed = code;
    j->over_ms = clock_now_ms() + TEARDOWN_MS;
}

static void on_note(struct job *j) {
    j->note[j->note_len] = '\0';
    const char *text = j->note + 1;
    if (j->note[0] == 'F')
        on_failure(j, text);
    else if (j->note[0] == 'R')
        tell(j, text);
    else if (j->note[0] == 'E')
        on_worker_end(j);
    else if (j->note[0] == 'S')
        buf_printf(&j->servers, "%s%s", j->servers.len == 0 ? "" : ",", text);
    else if (j->note[0] == 'C')
        on_servers(j, text);
    j->in_note = false;
    j->note_len = 0;
}

static void take(struct job *j, const char *bytes, size_t n) {
    const char *end = bytes + n, *plain = bytes;
    for (const char *p = bytes; p < end; p++) {
        if (j->in_note) {
            plain = p + 1;
            if (*p == '\n')
                on_note(j);
            else if (j->note_len + 1 < sizeof j->note)
                j->note[j->note_len++] = *p;
        } else if (*p == NOTE) {
            put(j, plain, (size_t)(p - plain));
            plain = p + 1;
            j->in_note = true;
        }
    }
    put(j, plain, (size_t)(end - plain));
}

/* Takes all that is there. The pipe closes when mpirun ends, unless somebody has inherited it. */
static void take_in(struct job *j) {
    char bytes[8192];
    ssize_t n;
    while ((n = read(j->stderr_fd, bytes, sizeof bytes)) > 0)
        take(j, bytes, (size_t)n);
    if (n == 0) {
        close(j->stderr_fd);
        j->stderr_fd = -1;
    }
}

/* ---- its life ---- */

/* Does what is due, and says for how long nothing is. */
static int turn(struct job *j) {
    int64_t now_ms = clock_now_ms(), until_ms = INT64_MAX;
    if (j->stops > 0 && now_ms >= j->stop_ms)
        stop(j);
    if (j->failed != 0 && now_ms >= j->over_ms) {
        kill(j->mpirun, SIGKILL);
        j->over_ms = INT64_MAX;
    }
    if (j->stops > 0)
        until_ms = j->stop_ms;
    if (j->failed != 0 && j->over_ms < until_ms)
        until_ms = j->over_ms;
    if (until_ms == INT64_MAX)
        return -1;
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static int watch(struct job *j, int signal_fd) {
    for (;;) {
        int status;
        if (waitpid(j->mpirun, &status, WNOHANG) == j->mpirun) {
            if (j->stderr_fd >= 0)
                take_in(j);
            return status;
        }
        if (job_save_ended(&j->save))
            stop(j);
        struct pollfd p[2] = {{.fd = signal_fd, .events = POLLIN},
                              {.fd = j->stderr_fd, .events = POLLIN}};
        poll(p, 2, turn(j));
        struct signalfd_siginfo info;
        if (p[0].revents & POLLIN && read(signal_fd, &info, sizeof info) == sizeof info &&
            info.ssi_signo != SIGCHLD)
            on_signal(j, (int)info.ssi_signo);
        if (p[1].revents != 0)
            take_in(j);
    }
}

/* What the end of mpirun means, and the line for it if nobody has said one. */
static int conclude(struct job *j, int status) {
    char how[64];
    int code = process_exit_code(status);
    if (j->stops > 0) {
        say(j, "stopped by signal %d (%s)", j->stopped_by, strsignal(j->stopped_by));
        return 128 + j->stopped_by;
    }
    if (j->failed != 0)
        return j->failed;
    if (WIFSIGNALED(status))
        say(j, "mpirun %s; the job is stopped", process_end(status, how, sizeof how));
    else if (code > 128 && code < 128 + NSIG) /* 255 is ssh's, too */
        say(j, "one of mpirun's processes was killed by signal %d; the job is stopped", code - 128);
    else if (code != 0)
        say(j, "mpirun ended with status %d; the line of --dry-run, run by hand, says why%s", code,
            j->plan->doubt);
    return code;
}

static void tell_outcome(struct job *j) {
    if (!j->save.tried)
        return;
    char *text = job_save_outcome(&j->save, j->plan->resume);
    if (text != NULL)
        tell(j, text);
    free(text);
}

/* Where a failure has left something to go on from. A folder that is not seen from here may have it. */
static bool has_checkpoints(const char *folder) {
    char pattern[PATH_MAX + 32];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/*/MANIFEST.json", folder);
    int e = glob(pattern, GLOB_NOSORT, NULL, &found);
    globfree(&found);
    return e == 0 || access(folder, R_OK) != 0;
}

static void tell_way_on(struct job *j, int code) {
    const char *folder = j->save.folder;
    if (code == 0 || j->stops > 0 || folder[0] == '\0' || !has_checkpoints(folder))
        return;
    char *text;
    if (asprintf(
            &text,
            "to go on from the newest checkpoint in %s (the program may want a flag for it): %s",
            folder, j->plan->go_on) < 0)
        return;
    tell(j, text);
    free(text);
}

static int start(struct job *j) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        say(j, "cannot start mpirun: %s", strerror(errno));
        return 1;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    struct process_plan plan = {
        .argv = j->plan->line, .mask = j->mask, .death_signal = SIGTERM, .stderr_fd = fds[1]};
    rh_status s = process_start(&plan, &j->mpirun);
    close(fds[1]);
    j->stderr_fd = fds[0];
    if (s == RH_OK)
        return 0;
    close(fds[0]);
    say(j, "%s%s", err_text(), s == RH_ENOTFOUND ? "; it comes with the package openmpi-bin" : "");
    return s == RH_ENOTFOUND ? STATUS_NOT_FOUND : 1;
}

/* Until mpirun has ended, and what we have started with it. The exit code. */
static int live(struct job *j, int signal_fd) {
    int code = start(j);
    if (code != 0)
        return code;
    int status = watch(j, signal_fd);
    job_save_give_up(&j->save, "the job ended before that was done");
    code = conclude(j, status);
    tell_outcome(j);
    tell_way_on(j, code);
    if (j->wrote_env_file)
        unlink(j->plan->env_file);
    if (j->stderr_fd >= 0)
        close(j->stderr_fd);
    return code;
}

int job_run(const struct job_plan *plan) {
    sigset_t wanted, before;
    struct job j = {.plan = plan, .mask = &before, .stderr_fd = -1};
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGHUP);
    sigprocmask(SIG_BLOCK, &wanted, &before);
    int signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    /* mpirun inherits this: without it a note that comes late, when it has given up passing signals
     * on but not yet exited, makes us kill it. Supervisors undo it. */
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    buf_init(&j.servers, SERVERS_MAX);
    int code = 1;
    if (signal_fd < 0)
        say(&j, "cannot wait for signals: %s", strerror(errno));
    else
        code = live(&j, signal_fd);
    buf_fini(&j.servers);
    close(signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}
