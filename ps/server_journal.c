/* server_journal.c - see server_journal.h. */
#include "ps/server_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/log.h"
#include "ps/journal.h"

enum { SYNC_MS_MAX = 60000 };

struct one {
    struct journal *journal;
    struct shard *shard;
    uint32_t number; /* of the shard */
    pthread_t thread;
    rh_status status;
    char text[ERR_TEXT_MAX];
};

struct journals {
    struct ckpt_io *io;
    enum journal_mode mode;
    uint32_t every_ms; /* JOURNAL_SOON */
    struct one *all;   /* (n) */
    uint32_t n;

    pthread_t syncer;
    bool syncing;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
};

/* ---- settings ---- */

static rh_status read_sync(const char *text, enum journal_mode *mode, uint32_t *every_ms) {
    char *end;
    *every_ms = 0;
    *mode = JOURNAL_SOON;
    if (strcmp(text, "never") == 0)
        *mode = JOURNAL_NEVER;
    else if (strcmp(text, "always") == 0)
        *mode = JOURNAL_ALWAYS;
    if (*mode != JOURNAL_SOON)
        return RH_OK;
    unsigned long ms = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || ms < 1 || ms > SYNC_MS_MAX)
        return err_set(RH_EINVAL,
                       "--journal-sync %s: must be never, always, or milliseconds from 1 "
                       "to %d",
                       text, SYNC_MS_MAX);
    *every_ms = (uint32_t)ms;
    return RH_OK;
}

rh_status journals_open(const struct server_journal *set, struct journals **out) {
    enum journal_mode mode;
    uint32_t every_ms;
    *out = NULL;
    rh_status st = read_sync(set->sync, &mode, &every_ms);
    if (st != RH_OK || set->dir == NULL)
        return st;
    if (mkdir(set->dir, 0700) != 0 && errno != EEXIST)
        return err_sys(RH_EINVAL, "--journal %s is not there, and cannot be made", set->dir);
    struct journals *k = calloc(1, sizeof *k);
    if (k == NULL)
        return err_set(RH_ENOMEM, "no memory for the journals");
    k->mode = mode;
    k->every_ms = every_ms;
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&k->stopped, &clock);
    pthread_condattr_destroy(&clock);
    st = ckpt_io_beneath(set->dir, &k->io);
    if (st != RH_OK)
        st = err_in(st, "--journal");
    else if (faccessat(AT_FDCWD, set->dir, W_OK | X_OK, AT_EACCESS) != 0)
        st = err_sys(RH_EINVAL, "--journal %s: this process cannot write there", set->dir);
    if (st == RH_OK)
        *out = k;
    else
        journals_close(&k, false);
    return st;
}

/* ---- what is there ---- */

/* A number of the time since this machine was started: who was killed since then has lost nothing that
 * it wrote. */
static uint64_t boot(void) {
    char id[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, id, sizeof id);
    if (fd >= 0)
        close(fd);
    return n <= 0 ? 0 : hash64(id, (size_t)n);
}

rh_status journals_look(struct journals *k, const struct shard_config *base, uint32_t n,
                        bool restore, bool *found) {
    struct journal_options o = {.io = k->io,
                                .ckpt = base->ckpt,
                                .job = base->job,
                                .boot = boot(),
                                .shards = base->shards,
                                .mode = k->mode};
    uint32_t has = 0;
    k->all = calloc(n, sizeof *k->all);
    if (k->all == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu32 " journals", n);
    k->n = n;
    for (uint32_t i = 0; i < n; i++) {
        o.shard = k->all[i].number = base->shard + i;
        rh_status st = journal_open(&o, &k->all[i].journal);
        if (st != RH_OK)
            return err_in(st, "--journal");
        has += journal_found(k->all[i].journal);
    }
    *found = has == n;
    if (restore && has > 0 && has < n)
        return err_set(RH_EINVAL,
                       "--restore, but %" PRIu32 " of %" PRIu32 " shards here have a journal in %s "
                       "already: remove those to begin with the checkpoint",
                       has, n, k->io->root);
    return RH_OK;
}

struct net *journals_net(struct journals *k, uint32_t i, struct net *under) {
    return journal_net(k->all[i].journal, under);
}

struct journal *journals_of(struct journals *k, uint32_t i) {
    return k->all[i].journal;
}

/* ---- the beginning ---- */

static void say(uint32_t shard, const struct journal_report *r, int64_t took_ms) {
    if (r->cut_bytes > 0)
        log_warn("shard %" PRIu32 ": the journal ends within a record: its last %" PRIu64
                 " bytes are passed over",
                 shard, r->cut_bytes);
    if (r->may_have_lost)
        log_warn("shard %" PRIu32
                 ": the machine was stopped, and the last ops may be lost: workers "
                 "must connect again",
                 shard);
    char from[128] = "";
    if (r->generation != 0)
        snprintf(from, sizeof from, " behind checkpoint %s (generation %" PRIu64 ")", r->name,
                 r->generation);
    log_info("shard %" PRIu32 ": back from its journal, %" PRIu64 " records%s, %.1f s", shard,
             r->records, from, (double)took_ms / 1000);
}

static void *begin(void *arg) {
    struct one *o = arg;
    const int64_t began_ms = clock_now_ms();
    struct journal_report r;
    if (journal_found(o->journal))
        o->status = journal_replay(o->journal, o->shard, began_ms, &r);
    else
        o->status = journal_begin(o->journal, o->shard);
    if (o->status != RH_OK)
        memcpy(o->text, err_text(), strlen(err_text()) + 1);
    else if (journal_found(o->journal))
        say(o->number, &r, clock_now_ms() - began_ms);
    return NULL;
}

/* Every journal, now and then. One that cannot be synced takes nothing more: its shard will say so. */
static void *sync_all(void *arg) {
    struct journals *k = arg;
    int64_t next_ms = clock_now_ms();
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        next_ms += k->every_ms;
        struct timespec t = {.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
        while (!k->stop && pthread_cond_timedwait(&k->stopped, &k->lock, &t) != ETIMEDOUT)
            ;
        pthread_mutex_unlock(&k->lock);
        for (uint32_t i = 0; i < k->n; i++)
            if (journal_sync(k->all[i].journal) != RH_OK)
                log_error("%s", err_text());
        int64_t now_ms = clock_now_ms();
        next_ms = next_ms < now_ms ? now_ms : next_ms;
        pthread_mutex_lock(&k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

rh_status journals_begin(struct journals *k, struct server *s) {
    rh_status st = RH_OK;
    uint32_t begun = 0;
    for (; st == RH_OK && begun < k->n; begun += st == RH_OK) {
        k->all[begun].shard = server_shard(s, begun);
        int e = pthread_create(&k->all[begun].thread, NULL, begin, &k->all[begun]);
        if (e != 0)
            st = err_set(RH_ENOMEM, "cannot start a thread for a journal: %s", strerror(e));
    }
    for (uint32_t i = 0; i < begun; i++) {
        pthread_join(k->all[i].thread, NULL);
        if (st == RH_OK && k->all[i].status != RH_OK)
            st = err_set(k->all[i].status, "--journal: %s", k->all[i].text);
    }
    if (st != RH_OK || k->mode != JOURNAL_SOON)
        return st;
    int e = pthread_create(&k->syncer, NULL, sync_all, k);
    k->syncing = e == 0;
    return e == 0 ? RH_OK
                  : err_set(RH_ENOMEM, "cannot start a thread to sync journals: %s", strerror(e));
}

void journals_close(struct journals **out, bool finished) {
    struct journals *k = *out;
    if (k == NULL)
        return;
    if (k->syncing) {
        pthread_mutex_lock(&k->lock);
        k->stop = true;
        pthread_cond_signal(&k->stopped);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->syncer, NULL);
    }
    for (uint32_t i = 0; i < k->n; i++)
        journal_close(&k->all[i].journal, finished);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->stopped);
    ckpt_io_free(&k->io);
    free(k->all);
    free(k);
    *out = NULL;
}
