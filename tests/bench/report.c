/* report.c - see report.h. */
#include "tests/bench/report.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zmq.h>

#include "worker/rowhouse.h"

/* ---- the machine ---- */

/* The first line of a file behind prefix; "?" if there is none. */
static const char *line_of(const char *path, const char *prefix, char *line, size_t cap) {
    FILE *f = fopen(path, "r");
    const char *found = NULL;
    while (f != NULL && found == NULL && fgets(line, (int)cap, f) != NULL)
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            found = line + strlen(prefix);
    if (f != NULL)
        fclose(f);
    if (found == NULL)
        return "?";
    line[strcspn(line, "\n")] = '\0';
    return found + strspn(found, " \t:");
}

void report_machine(const char *command) {
    char a[256], b[256], c[256];
    struct utsname u = {0};
    uname(&u);
    printf("machine  %s, %ld cores, L2 %s, L3 %s",
           line_of("/proc/cpuinfo", "model name", a, sizeof a), sysconf(_SC_NPROCESSORS_ONLN),
           line_of("/sys/devices/system/cpu/cpu0/cache/index2/size", "", b, sizeof b),
           line_of("/sys/devices/system/cpu/cpu0/cache/index3/size", "", c, sizeof c));
    printf(", memory %s\n", line_of("/proc/meminfo", "MemTotal:", a, sizeof a));
    printf("system   %s %s, huge pages %s, tcp %s", u.sysname, u.release,
           line_of("/sys/kernel/mm/transparent_hugepage/enabled", "", a, sizeof a),
           line_of("/proc/sys/net/ipv4/tcp_congestion_control", "", b, sizeof b));
    printf(", load %s\n", line_of("/proc/loadavg", "", c, sizeof c));
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    printf("built    rowhouse %s, ZeroMQ %d.%d.%d, %s %s\n", rh_version(), major, minor, patch,
#ifdef __clang__
           "clang",
#else
           "gcc",
#endif
           __VERSION__);
    printf("command  %s\n", command);
}

/* ---- the table ---- */

void report_heading(void) {
    printf("Millions of rows per second, median [lowest..highest]; of plain, of bare: the medians' "
           "ratio.\n\n");
    printf("%-9s %4s %-8s %-13s %-22s %-22s %-22s %8s %8s\n", "transport", "dim", "ids", "work",
           "rowhouse", "plain", "bare", "of plain", "of bare");
    fflush(stdout);
}

void report_rate(const struct rate *r) {
    char text[64] = "-";
    if (r->median > 0)
        snprintf(text, sizeof text, "%.2f [%.2f..%.2f]", r->median / 1e6, r->low / 1e6,
                 r->high / 1e6);
    printf(" %-22s", text);
}

static double ratio(const struct result *r, unsigned against) {
    double other = r->rates[against].median;
    return other > 0 ? r->rates[ROWHOUSE].median / other : 0;
}

static void print_ratio(double x) {
    if (x > 0)
        printf(" %8.2f", x);
    else
        printf(" %8s", "-");
}

void report_result(const struct result *r) {
    printf("%-9s %4u %-8s %-13s", r->transport, r->dim, r->ids, r->work);
    for (unsigned i = 0; i < CONTENDERS; i++)
        report_rate(&r->rates[i]);
    print_ratio(ratio(r, PLAIN));
    print_ratio(ratio(r, BARE));
    printf("\n");
    fflush(stdout);
}

/* ---- the goals ---- */

static const struct goal {
    const char *transport, *work;
    unsigned against;
    double least;
    const char *words;
} goals[] = {
    {"local:", "pull", PLAIN, 0.5, "of the plain gather"},
    {"tcp://", "pull", BARE, 0.6, "of bare ZeroMQ"},
    {"tcp://", "pull x3", BARE, 0.6, "of bare ZeroMQ at the same depth"},
};

void report_goals(const struct result *results, size_t n) {
    printf("\n");
    for (const struct goal *g = goals; g < goals + sizeof goals / sizeof *goals; g++)
        for (const struct result *r = results; r < results + n; r++)
            if (r->dim == 64 && strcmp(r->ids, "uniform") == 0 &&
                strcmp(r->transport, g->transport) == 0 && strcmp(r->work, g->work) == 0)
                printf("goal: %s %s, dim 64, uniform: %.2f %s (at least %.2f)\n", g->transport,
                       g->work, ratio(r, g->against), g->words, g->least);
}
