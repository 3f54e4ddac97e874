/* servers.c - see servers.h. */
#include "tests/support/servers.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *binary(void) {
    static char path[4096];
    const char *bin = getenv("RH_BIN");
    snprintf(path, sizeof path, "%s/rowhouse-server", bin != NULL ? bin : "build/bin");
    return path;
}

static void run_child(const char *listen, const char *shard, const char *report,
                      const char *extra) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(binary(), "rowhouse-server", "--listen", listen, "--shard", shard, "--report-fd", report,
          extra, (char *)NULL);
    perror(binary());
    _exit(127);
}

/* The addresses of a report, which is one line. A server that dies says nothing. */
static void read_line(int fd, char *line, size_t cap) {
    size_t n = 0;
    while (n + 1 < cap && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    n = strcspn(line, " ");
    line[n] = '\0';
}

/* What it reports: "" if it has ended before. */
static pid_t start(const char *listen, uint32_t shard, uint32_t shards, const char *extra,
                   char address[SERVERS_ADDRESS]) {
    char place[32], report[16];
    int ends[2];
    snprintf(place, sizeof place, "%u/%u", shard, shards);
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(report, sizeof report, "%d", ends[1]);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        run_child(listen, place, report, extra);
    }
    close(ends[1]);
    read_line(ends[0], address, SERVERS_ADDRESS);
    close(ends[0]);
    return pid;
}

void servers_add(struct servers *s, const char *scheme, const char *address, uint32_t shard,
                 uint32_t shards, const char *extra) {
    static int sockets;
    char listen[SERVERS_ADDRESS];
    const char *tmp = getenv("TMPDIR");
    ck_assert_uint_lt(s->n, SERVERS_MAX);
    if (address != NULL)
        snprintf(listen, sizeof listen, "%s", address);
    else if (strcmp(scheme, "tcp") == 0)
        snprintf(listen, sizeof listen, "tcp://127.0.0.1:*");
    else
        snprintf(listen, sizeof listen, "ipc://%s/rh-%ld-%d.sock", tmp != NULL ? tmp : "/tmp",
                 (long)getpid(), sockets++);
    s->pids[s->n] = start(listen, shard, shards, extra, s->addresses[s->n]);
    ck_assert_msg(s->addresses[s->n][0] != '\0', "%s did not start at %s", binary(), listen);
    snprintf(s->list + strlen(s->list), sizeof s->list - strlen(s->list), "%s%s",
             s->n == 0 ? "" : ",", s->addresses[s->n]);
    s->n++;
}

bool servers_again(struct servers *s, uint32_t i, uint32_t shard, uint32_t shards,
                   const char *extra) {
    char address[SERVERS_ADDRESS];
    ck_assert_int_eq(s->pids[i], 0);
    s->pids[i] = start(s->addresses[i], shard, shards, extra, address);
    if (address[0] != '\0')
        return true;
    ck_assert_int_eq(waitpid(s->pids[i], NULL, 0), s->pids[i]);
    s->pids[i] = 0;
    return false;
}

void servers_start(struct servers *s, const char *scheme, uint32_t shards) {
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < shards; i++)
        servers_add(s, scheme, NULL, i, shards, NULL);
}

void servers_signal(struct servers *s, uint32_t i, int sig) {
    ck_assert_int_eq(kill(s->pids[i], sig), 0);
    if (sig == SIGSTOP) {
        /* kill returns before the threads have stopped: one of them may still answer a push. */
        int status;
        ck_assert_int_eq(waitpid(s->pids[i], &status, WUNTRACED), s->pids[i]);
        ck_assert(WIFSTOPPED(status));
    }
    if (sig != SIGKILL)
        return;
    ck_assert_int_eq(waitpid(s->pids[i], NULL, 0), s->pids[i]);
    s->pids[i] = 0;
}

void servers_stop(struct servers *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->pids[i] == 0)
            continue;
        /* First: a SIGCONT during its end would undo the SIGSTOP by which LeakSanitizer halts it. */
        kill(s->pids[i], SIGCONT);
        kill(s->pids[i], SIGTERM);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        int status = 0;
        if (s->pids[i] == 0)
            continue;
        ck_assert_int_eq(waitpid(s->pids[i], &status, 0), s->pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      "server %u ended with status 0x%x", i, (unsigned)status);
        s->pids[i] = 0;
    }
}
