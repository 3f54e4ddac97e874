/* supervise_watch.c - a supervisor while its child runs: it passes signals on, and what the child says; and
 * where the child dies, another one takes its place, as often as the budget allows. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/process.h"
#include "ps/supervise_inner.h"

enum {
    GRACE_MS = 30000,
    RETRY_MS = 200,       /* a server whose port is still taken is tried again after this ... */
    RETRY_FOR_MS = 10000, /* ... for so long */
    WINDOW_MIN = BUDGET_WINDOW_MS / 60000
};

/* ---- stopping ---- */

static void stop(struct supervisor *s) {
    if (s->stopping)
        return;
    s->stopping = true;
    s->kill_ms = clock_now_ms() + GRACE_MS;
    if (s->child == 0)
        return;
    /* A stopped process would not see the end coming. First, because a SIGCONT during that end would
     * undo the stop by which LeakSanitizer halts the threads it looks at. */
    kill(-s->child, SIGCONT);
    kill(-s->child, SIGTERM);
}

void supervise_orphaned(struct supervisor *s) {
    if (s->child != 0)
        kill(-s->child, SIGKILL);
    _exit(128 + SIGHUP);
}

static void on_signal(struct supervisor *s, uint32_t signal) {
    if (signal == SIGHUP)
        supervise_orphaned(s);
    if (signal == SIGTERM || signal == SIGINT || signal == (s->is_server ? SIGUSR2 : SIGUSR1))
        stop(s);
}

/* ---- another one ---- */

/* What is left of the last one. */
static void let_go(struct supervisor *s) {
    supervise_report_close(&s->report);
    if (s->stderr_fd >= 0)
        close(s->stderr_fd);
    s->stderr_fd = -1;
    s->child = 0;
}

static void say_restarted(const struct supervisor *s) {
    supervise_say("%s: restarted as process %d (%u of %u in %d min)", s->died, (int)s->child,
                  budget_used(&s->budget, clock_now_ms()), s->budget.max, WINDOW_MIN);
}

/* False: it cannot be started, and *code is ours. */
static bool start_again(struct supervisor *s, int *code) {
    s->lives++;
    s->listens = !s->is_server;
    *code = s->is_server ? supervise_start_server_again(s) : supervise_start_program(s);
    if (*code != 0)
        supervise_fail(*code, "%s; the job is stopped", err_text());
    else if (!s->is_server)
        say_restarted(s);
    return *code == 0;
}

/* A server that was started again has reported. False: it is not where it was. */
static bool on_report(struct supervisor *s, int *code) {
    bool same = supervise_report_same(s);
    s->listens = same;
    if (same) {
        say_restarted(s);
    } else {
        *code = supervise_fail(SUPERVISE_FAILED,
                               "%s was restarted at %s, where nobody looks for it; the job is "
                               "stopped",
                               s->name, s->report.text);
        kill(-s->child, SIGKILL);
    }
    supervise_report_close(&s->report);
    return same;
}

/* ---- the end of a child ---- */

/* Of a server that was started again, and has not come to listen: mostly because its port is not free
 * yet. */
static bool on_false_start(struct supervisor *s, int status, int *code) {
    char how[64];
    int64_t now_ms = clock_now_ms();
    *code = 0;
    if (s->stopping)
        return true;
    if (budget_mends(status) && now_ms < s->retry_until_ms) {
        let_go(s);
        s->next_ms = now_ms + RETRY_MS;
        return false;
    }
    if (!supervise_last_word(s))
        err_set(RH_EIO, "its process %d %s", (int)s->child, process_end(status, how, sizeof how));
    *code =
        supervise_fail(process_exit_code(status),
                       "%s, and cannot be restarted: %s; the job is stopped", s->died, err_text());
    return true;
}

/* How often it was restarted before, for the line that says that it is no more. */
static const char *spent(const struct supervisor *s, char *text, size_t cap) {
    uint32_t used = budget_used(&s->budget, clock_now_ms());
    text[0] = '\0';
    if (used > 0)
        snprintf(text, cap, ", after %u restart%s in %d min (--restarts %u)", used,
                 used == 1 ? "" : "s", WINDOW_MIN, s->budget.max);
    return text;
}

/* What a child's end means, for the job and for our exit code. True: it is over for this rank. A program
 * that was told to stop may end as it likes, and its supervisor exits with 0, because mpirun lets the
 * others live only two seconds longer than the first that does not. */
static bool on_end(struct supervisor *s, int status, int *code) {
    char how[64], often[64];
    *code = process_exit_code(status);
    bool expected = *code == 0 || (s->stopping && (!s->is_server || s->killed));
    if (expected) {
        if (!s->is_server)
            supervise_note('E', "");
        *code = 0;
        return true;
    }
    if (!s->listens && !WIFSIGNALED(status))
        return on_false_start(s, status, code);
    int64_t now_ms = clock_now_ms();
    snprintf(s->died, sizeof s->died, "%s (process %d) %s", s->name, (int)s->child,
             process_end(status, how, sizeof how));
    if (!s->stopping && budget_mends(status) && budget_take(&s->budget, now_ms)) {
        let_go(s);
        s->next_ms = budget_next_ms(s->started_ms, now_ms);
        s->retry_until_ms = s->next_ms + RETRY_FOR_MS;
        return false;
    }
    supervise_fail(*code, "%s%s; the job is stopped", s->died, spent(s, often, sizeof often));
    return true;
}

/* ---- watching ---- */

/* What the child says on its stderr, if that is a pipe to us. False: there is nothing more. */
static bool pass_on(struct supervisor *s) {
    char bytes[4096];
    ssize_t n = read(s->stderr_fd, bytes, sizeof bytes);
    if (n > 0 && write(STDERR_FILENO, bytes, (size_t)n) == n)
        return true;
    return n < 0 && errno == EINTR;
}

/* What it has said until now. Before it has reported, that may be the last word. */
static void hear_out(struct supervisor *s) {
    struct pollfd rest = {.fd = s->stderr_fd, .events = POLLIN};
    while (s->listens && poll(&rest, 1, 0) == 1 && pass_on(s))
        ;
}

/* For how long nothing is due; what is due is done. -1: for ever. */
static int idle_ms(struct supervisor *s) {
    int64_t now_ms = clock_now_ms(), until_ms = INT64_MAX;
    bool kills = s->stopping && !s->killed;
    bool late = s->report.fd >= 0 && now_ms >= s->report.until_ms;
    if (s->child != 0 && (late || (kills && now_ms >= s->kill_ms))) {
        s->killed = s->stopping;
        s->report.until_ms = INT64_MAX;
        kills = false;
        kill(-s->child, SIGKILL);
    }
    if (s->child == 0)
        until_ms = s->next_ms;
    else if (kills)
        until_ms = s->kill_ms;
    if (s->report.fd >= 0 && s->report.until_ms < until_ms)
        until_ms = s->report.until_ms;
    if (until_ms == INT64_MAX)
        return -1;
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

/* Sleeps until something happens, and sees to it. False: it is over. */
static bool turn(struct supervisor *s, int signal_fd, int *code) {
    int stderr_fd = s->listens ? s->stderr_fd : -1;
    struct pollfd p[3] = {{.fd = signal_fd, .events = POLLIN},
                          {.fd = stderr_fd, .events = POLLIN},
                          {.fd = s->report.fd, .events = POLLIN}};
    poll(p, 3, idle_ms(s));
    struct signalfd_siginfo info;
    if (p[0].revents & POLLIN && read(signal_fd, &info, sizeof info) == sizeof info)
        on_signal(s, info.ssi_signo);
    if (p[1].revents != 0 && !pass_on(s)) {
        close(s->stderr_fd);
        s->stderr_fd = -1;
    }
    int got = p[2].revents != 0 ? supervise_report_read(&s->report) : 0;
    if (got > 0)
        return on_report(s, code);
    if (got < 0)
        supervise_report_close(&s->report); /* it ends, too */
    return true;
}

/* True: it is over for this rank. */
static bool is_over(struct supervisor *s, int *code) {
    int status;
    if (s->child != 0) {
        if (waitpid(s->child, &status, WNOHANG) != s->child)
            return false;
        hear_out(s);
        kill(-s->child, SIGKILL); /* what it has started and left */
        return on_end(s, status, code);
    }
    if (s->stopping) {
        if (!s->is_server)
            supervise_note('E', "");
        *code = 0;
        return true;
    }
    return clock_now_ms() >= s->next_ms && !start_again(s, code);
}

int supervise_watch(struct supervisor *s, int signal_fd) {
    int code = 0;
    while (!is_over(s, &code) && turn(s, signal_fd, &code))
        ;
    return code;
}
