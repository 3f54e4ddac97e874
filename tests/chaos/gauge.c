/* gauge.c - see gauge.h. */
#include "tests/chaos/gauge.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/job.h"

enum { SECOND = 1000 / GAUGE_TICK_MS, LOOKS_MAX = 1 << 16, YOUNG_MS = 10000 };

/* Shared with who counts. */
struct counts {
    atomic_uint_least64_t n; /* ticks so far */
    atomic_bool calm;
    struct {
        uint64_t steps; /* ever acked */
        bool calm;
    } at[];
};

struct look {
    double minutes;
    long rss_kib, fds;
};

/* The process of a role; another one when that was killed. */
struct role {
    pid_t pid;
    int64_t since_ms;
    struct look *looks; /* (n) */
    uint32_t n;
};

struct gauge {
    pid_t pid;
    int64_t began_ms;
    size_t bytes;
    uint64_t ticks_max;
    struct counts *counts;
    struct role roles[GAUGE_ROLES];
};

/* ---- steps ---- */

static void count(const struct gauge *g, const struct world *w) {
    struct counts *c = g->counts;
    for (uint64_t i = 0; i < g->ticks_max; i++) {
        const int64_t wait_ms = g->began_ms + (int64_t)i * GAUGE_TICK_MS - job_now_ms();
        if (wait_ms > 0)
            usleep((useconds_t)wait_ms * 1000);
        uint64_t steps = 0;
        for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
            steps += atomic_load(&w->told->acked[rank]);
        c->at[i].steps = steps;
        c->at[i].calm = atomic_load(&c->calm);
        atomic_store(&c->n, i + 1);
    }
    for (;;)
        pause();
}

struct gauge *gauge_start(const struct world *w, uint32_t seconds_max) {
    struct gauge *g = calloc(1, sizeof *g);
    g->ticks_max = (uint64_t)seconds_max * SECOND;
    g->bytes = sizeof *g->counts + g->ticks_max * sizeof *g->counts->at;
    g->counts = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(g->counts != MAP_FAILED);
    for (int i = 0; i < GAUGE_ROLES; i++)
        g->roles[i].looks = calloc(LOOKS_MAX, sizeof *g->roles[i].looks);
    g->began_ms = job_now_ms();
    g->pid = fork();
    ck_assert_int_ge(g->pid, 0);
    if (g->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        count(g, w);
    }
    return g;
}

void gauge_stop(struct gauge **out) {
    struct gauge *g = *out;
    *out = NULL;
    kill(g->pid, SIGKILL);
    ck_assert_int_eq(waitpid(g->pid, NULL, 0), g->pid);
    munmap(g->counts, g->bytes);
    for (int i = 0; i < GAUGE_ROLES; i++)
        free(g->roles[i].looks);
    free(g);
}

void gauge_calm(struct gauge *g, bool calm) {
    atomic_store(&g->counts->calm, calm);
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Steps in the second that ends with tick i. */
static double second_to(const struct counts *c, uint64_t i) {
    return (double)(c->at[i].steps - c->at[i - SECOND].steps);
}

static bool was_calm(const struct counts *c, uint64_t i) {
    bool calm = true;
    for (uint64_t k = i - SECOND; k <= i; k++)
        calm = calm && c->at[k].calm;
    return calm;
}

double gauge_usual(const struct gauge *g) {
    const struct counts *c = g->counts;
    const uint64_t n = atomic_load(&c->n);
    double *all = calloc(n / SECOND + 1, sizeof *all);
    size_t k = 0;
    for (uint64_t i = SECOND; i < n; i += SECOND)
        if (was_calm(c, i))
            all[k++] = second_to(c, i);
    qsort(all, k, sizeof *all, by_size);
    const double median = k > 0 ? all[k / 2] : 0;
    free(all);
    return median;
}

int64_t gauge_back_ms(const struct gauge *g, int64_t from_ms) {
    const struct counts *c = g->counts;
    const uint64_t n = atomic_load(&c->n);
    const double enough = 0.9 * gauge_usual(g);
    const int64_t begin = (from_ms - g->began_ms) / GAUGE_TICK_MS + 1;
    for (uint64_t i = (uint64_t)begin + SECOND; i < n; i++)
        if (second_to(c, i) >= enough)
            return ((int64_t)i - SECOND - begin) * GAUGE_TICK_MS;
    return -1;
}

/* ---- memory and descriptors ---- */

static long resident_kib(pid_t pid) {
    char path[64], line[128];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && kib < 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %ld kB", &kib) != 1)
            kib = -1;
    if (f != NULL)
        fclose(f);
    return kib;
}

static long descriptors(pid_t pid) {
    char path[64];
    long n = -2; /* . and .. */
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

static void look_at(const struct gauge *g, struct role *r, pid_t pid) {
    const int64_t now_ms = job_now_ms();
    if (pid != r->pid) {
        r->pid = pid;
        r->since_ms = now_ms;
    }
    if (pid == 0 || now_ms - r->since_ms < YOUNG_MS || r->n == LOOKS_MAX)
        return;
    const struct look now = {(double)(now_ms - g->began_ms) / 60000, resident_kib(pid),
                             descriptors(pid)};
    if (now.rss_kib > 0)
        r->looks[r->n++] = now;
}

void gauge_look(struct gauge *g, const struct world *w) {
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        look_at(g, &g->roles[i], w->servers.pids[i]);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        look_at(g, &g->roles[WORLD_SHARDS + rank], w->workers[rank]);
}

/* KiB a minute: least squares over all looks but those of the first tenth. */
static double slope(const struct role *r, uint32_t first) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (uint32_t i = first; i < r->n; i++) {
        const double at = r->looks[i].minutes, is = (double)r->looks[i].rss_kib;
        n += 1;
        x += at;
        y += is;
        xx += at * at;
        xy += at * is;
    }
    const double under = n * xx - x * x;
    return under > 0 ? (n * xy - x * y) / under : 0;
}

static void print_role(const struct role *r, const char *name, uint32_t number) {
    long most = 0, fds_least = 1 << 30, fds_most = 0;
    const uint32_t first = r->n / 10;
    for (uint32_t i = first; i < r->n; i++) {
        most = r->looks[i].rss_kib > most ? r->looks[i].rss_kib : most;
        fds_most = r->looks[i].fds > fds_most ? r->looks[i].fds : fds_most;
        fds_least = r->looks[i].fds < fds_least ? r->looks[i].fds : fds_least;
    }
    if (r->n == first)
        return;
    printf("| %s %u | %.1f | %.1f | %.1f | %+.1f | %ld to %ld |\n", name, number,
           (double)r->looks[first].rss_kib / 1024, (double)r->looks[r->n - 1].rss_kib / 1024,
           (double)most / 1024, slope(r, first), fds_least, fds_most);
}

void gauge_print(const struct gauge *g) {
    printf("| process | MiB at first | at last | at most | slope, KiB/min | descriptors |\n"
           "|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < WORLD_SHARDS; i++)
        print_role(&g->roles[i], "server", i);
    for (uint32_t rank = 0; rank < WORLD_WORKERS; rank++)
        print_role(&g->roles[WORLD_SHARDS + rank], "worker", rank);
    fflush(stdout);
}
