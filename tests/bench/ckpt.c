/* ckpt.c - see ckpt.h. Both sides take turns within a round, and each begins with nothing of the other
 * waiting for the disk. */
#include "tests/bench/ckpt.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/measure.h"
#include "tests/bench/plain_file.h"
#include "tests/support/full_shard.h"

#define GOAL_SAVE    0.6
#define GOAL_RESTORE 0.7

static const struct rows_kind {
    const char *name;
    bool zeros; /* all of the optimizer's state */
} kinds[] = {{"random", false}, {"state zeros", true}};

enum { N_KINDS = sizeof kinds / sizeof *kinds, FLOATS = 3, PATH = 256, HUGE_PAGE = 2 << 20 };

/* What one side has taken, round by round, in seconds. */
struct seen {
    double wall[MEASURE_ROUNDS_MAX], thread[MEASURE_ROUNDS_MAX];
};

/* What it comes to. Bytes per second by the clock on the wall; seconds that this thread worked, the
 * kernel's work for it included, for each GB: what else the machine does is hardly in those. */
struct speed {
    struct rate rate;
    double thread_s_per_gb;
};

/* One kind of rows, on which both sides run. */
struct run {
    const struct bench_ckpt *o;
    const struct rows_kind *kind;
    struct ckpt_io *io;
    struct full_shard full;
    uint64_t digest;                   /* of its rows */
    char folder[PATH], manifest[PATH]; /* of the checkpoint "a" */
    char file[PATH], copy[PATH];       /* its shard's, and cp's */
    uint64_t bytes;                    /* of the file */
    struct speed copied;
    void *memory; /* (memory_bytes) to read into; every page of it was touched */
    size_t memory_bytes;
};

/* ---- our side ---- */

static rh_status save(struct run *r) {
    return full_shard_save(&r->full, r->io, "a");
}

static rh_status restore(struct run *r) {
    return full_shard_restore(&r->full, r->io, "a");
}

/* ---- the other side ---- */

static rh_status copy(struct run *r) {
    return plain_file_copy(r->file, r->copy, r->o->dir);
}

static rh_status read_all(struct run *r) {
    return plain_file_read(r->file, r->memory, r->memory_bytes);
}

/* Memory as a server has it: huge pages, where the system gives them. */
static rh_status touch_memory(struct run *r) {
    r->memory_bytes = (r->bytes / HUGE_PAGE + 1) * HUGE_PAGE;
    r->memory = mmap(NULL, r->memory_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->memory == MAP_FAILED) {
        r->memory = NULL;
        return err_sys(RH_ENOMEM, "no memory for a file of %zu bytes", r->memory_bytes);
    }
    (void)madvise(r->memory, r->memory_bytes, MADV_HUGEPAGE);
    for (size_t at = 0; at < r->memory_bytes; at += 4096)
        ((volatile char *)r->memory)[at] = 1;
    return RH_OK;
}

/* ---- rounds ---- */

/* What would end this program waits until the files are away: they are large. */
static void hold_signals(sigset_t *before) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, before);
}

static bool signal_waits(void) {
    sigset_t s;
    return sigpending(&s) == 0 && (sigismember(&s, SIGINT) == 1 || sigismember(&s, SIGTERM) == 1 ||
                                   sigismember(&s, SIGHUP) == 1);
}

static rh_status timed(rh_status (*side)(struct run *), struct run *r, struct seen *seen,
                       unsigned round) {
    if (signal_waits())
        return err_set(RH_EIO, "stopped by a signal");
    const int64_t begin_us = clock_now_us();
    const double begin_s = measure_thread_s();
    rh_status st = side(r);
    seen->thread[round] = measure_thread_s() - begin_s;
    seen->wall[round] = (double)(clock_now_us() - begin_us) * 1e-6;
    return st;
}

static struct speed speed_of(const struct run *r, struct seen *seen) {
    const unsigned n = r->o->rounds;
    for (unsigned i = 0; i < n; i++)
        seen->wall[i] = (double)r->bytes / (seen->wall[i] > 0 ? seen->wall[i] : 1e-9);
    return (struct speed){.rate = measure_rate(seen->wall, n),
                          .thread_s_per_gb =
                              measure_rate(seen->thread, n).median / ((double)r->bytes / 1e9)};
}

static void remove_saved(struct run *r) {
    plain_file_remove(r->file, r->folder);
    plain_file_remove(r->manifest, r->folder);
    (void)rmdir(r->folder);
}

static rh_status run_saves(struct run *r, struct speed *ours) {
    struct seen a, b;
    rh_status st = RH_OK;
    for (unsigned i = 0; st == RH_OK && i < r->o->rounds; i++) {
        remove_saved(r);
        st = timed(save, r, &a, i);
        if (st == RH_OK)
            st = timed(copy, r, &b, i);
        plain_file_remove(r->copy, r->o->dir);
    }
    if (st == RH_OK)
        st = plain_file_bytes(r->file, &r->bytes);
    if (st != RH_OK)
        return st;
    *ours = speed_of(r, &a);
    r->copied = speed_of(r, &b);
    return RH_OK;
}

static rh_status restore_once(struct run *r, struct seen *seen, unsigned round) {
    rh_status st = full_shard_empty(&r->full);
    if (st != RH_OK)
        return st;
    st = timed(restore, r, seen, round);
    if (st == RH_OK && full_shard_digest(&r->full) != r->digest)
        st = err_set(RH_EIO, "what was restored is not what was saved");
    full_shard_free(&r->full);
    return st;
}

/* cache: makes the file warm or cold before each side. *able: it could. */
static rh_status run_restores(struct run *r, bool (*cache)(const char *path), struct speed *ours,
                              struct speed *others, bool *able) {
    struct seen a, b;
    rh_status st = RH_OK;
    *able = true;
    for (unsigned i = 0; st == RH_OK && *able && i < r->o->rounds; i++) {
        *able = cache(r->file);
        if (*able)
            st = restore_once(r, &a, i);
        *able = *able && cache(r->file);
        if (st == RH_OK && *able)
            st = timed(read_all, r, &b, i);
    }
    if (st == RH_OK && *able) {
        *ours = speed_of(r, &a);
        *others = speed_of(r, &b);
    }
    return st;
}

/* ---- the table ---- */

static void print_speed(const struct speed *s) {
    const struct rate *r = &s->rate;
    char text[64] = "-", thread[16] = "";
    if (r->median > 0) {
        snprintf(text, sizeof text, "%.2f [%.2f..%.2f]", r->median / 1e9, r->low / 1e9,
                 r->high / 1e9);
        snprintf(thread, sizeof thread, "%.2f", s->thread_s_per_gb);
    }
    printf(" %-17s %-4s", text, thread);
}

static double ratio(const struct speed *ours, const struct speed *other) {
    return other->rate.median > 0 ? ours->rate.median / other->rate.median : 0;
}

static void print_line(const struct run *r, const char *work, const struct speed *ours,
                       const struct speed *read, double goal) {
    const double of_copy = ratio(ours, &r->copied), of_read = ratio(ours, read);
    printf("%-11s %4.2f %-13s", r->kind->name, (double)r->bytes / 1e9, work);
    print_speed(ours);
    print_speed(&r->copied);
    print_speed(read);
    printf(" %5.2f ", of_copy);
    if (of_read > 0)
        printf(" %7.2f", of_read);
    else
        printf(" %7s", "-");
    printf("  %s\n", r->kind->zeros ? "" : of_copy >= goal ? "reached" : "BELOW ITS GOAL");
    fflush(stdout);
}

static rh_status print_restores(struct run *r, const char *work, bool (*cache)(const char *path)) {
    struct speed ours, read;
    bool able;
    rh_status st = run_restores(r, cache, &ours, &read, &able);
    if (st == RH_OK && able)
        print_line(r, work, &ours, &read, GOAL_RESTORE);
    else if (st == RH_OK)
        printf("%-11s %4.2f %-13s not here: the system does as it likes with its cache\n",
               r->kind->name, (double)r->bytes / 1e9, work);
    return st;
}

static rh_status run_lines(struct run *r) {
    const struct speed none = {0};
    struct speed saved;
    rh_status st = full_shard_new(r->o->rows, r->o->dim, r->kind->zeros, &r->full);
    if (st != RH_OK)
        return st;
    r->digest = full_shard_digest(&r->full);
    st = run_saves(r, &saved);
    full_shard_free(&r->full);
    if (st != RH_OK)
        return st;
    print_line(r, "save", &saved, &none, GOAL_SAVE);
    st = touch_memory(r);
    if (st == RH_OK)
        st = print_restores(r, "restore, warm", plain_file_warm);
    return st == RH_OK ? print_restores(r, "restore, cold", plain_file_cold) : st;
}

static rh_status run_kind(const struct bench_ckpt *o, const struct rows_kind *kind) {
    struct run r = {.o = o, .kind = kind};
    snprintf(r.folder, sizeof r.folder, "%s/a", o->dir);
    snprintf(r.manifest, sizeof r.manifest, "%s/a/MANIFEST.json", o->dir);
    snprintf(r.file, sizeof r.file, "%s/a/shard-00000-of-00001.rhs", o->dir);
    snprintf(r.copy, sizeof r.copy, "%s/copy", o->dir);
    rh_status st = ckpt_io_beneath(o->dir, &r.io);
    if (st == RH_OK)
        st = run_lines(&r);
    remove_saved(&r);
    if (r.memory != NULL)
        munmap(r.memory, r.memory_bytes);
    ckpt_io_free(&r.io);
    return st;
}

rh_status bench_ckpt(const struct bench_ckpt *o) {
    const double bytes = (double)o->rows * o->dim * sizeof(float) * FLOATS;
    const double need = 3 * bytes; /* a checkpoint, its copy, and room to spare */
    uint64_t room;
    sigset_t before;
    rh_status st = plain_file_room(o->dir, &room);
    printf(
        "\nSaving and restoring %" PRIu64
        " rows of dim %u with SparseAdam's state, %.2f GB in memory: GB of the file per\n"
        "second, median [lowest..highest], and behind it seconds of this thread for each GB; the "
        "medians' ratio.\nGoals: %.1f of cp + sync for a save of random rows, %.1f for a "
        "restore.\n\n",
        o->rows, o->dim, bytes / 1e9, GOAL_SAVE, GOAL_RESTORE);
    if (st == RH_OK && (double)room < need) {
        printf("not here: %s has %.1f GB free, %.1f are needed (TMPDIR says where)\n", o->dir,
               (double)room / 1e9, need / 1e9);
        return RH_OK;
    }
    printf("%-11s %4s %-13s %-17s %-4s %-17s %-4s %-17s %-4s %5s  %7s\n", "rows", "GB", "work",
           "rowhouse", "s/GB", "cp + sync", "s/GB", "read", "s/GB", "of cp", "of read");
    hold_signals(&before);
    for (size_t k = 0; st == RH_OK && k < N_KINDS; k++)
        if (o->only == NULL || strcmp(o->only, kinds[k].name) == 0)
            st = run_kind(o, &kinds[k]);
    if (!signal_waits()) /* else main ends, and takes away its folder */
        sigprocmask(SIG_SETMASK, &before, NULL);
    return st == RH_OK ? RH_OK : err_in(st, "checkpoints");
}
