/* journal_job.c - see journal_job.h. */
#include "tests/support/journal_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "ps/journal_inner.h"
#include "ps/shard_inner.h"

static void must(rh_status st, const char *what) {
    if (st == RH_OK)
        return;
    fprintf(stderr, "journal_job: %s: %s\n", what, err_text());
    abort();
}

static rh_status open_one(struct ckpt_job *j, uint32_t i, struct journal **out,
                          const struct journal_options *o) {
    struct journal_options mine = *o;
    mine.shard = i;
    mine.shards = j->shards;
    rh_status st = journal_open(&mine, out);
    if (st == RH_OK)
        j->shard[i]->net = journal_net(*out, &j->nets[i].net);
    return st;
}

void journal_job_begin(struct ckpt_job *j, struct journal *of[JOB_SHARDS],
                       const struct journal_options *o) {
    for (uint32_t i = 0; i < j->shards; i++) {
        must(open_one(j, i, &of[i], o), "open");
        must(journal_begin(of[i], j->shard[i]), "begin");
    }
}

rh_status journal_job_revive(struct ckpt_job *j, uint32_t shards, struct journal *of[JOB_SHARDS],
                             const struct journal_options *o, struct journal_report *report) {
    rh_status st = RH_OK;
    ckpt_job_shards(j, shards);
    for (uint32_t i = 0; st == RH_OK && i < shards; i++) {
        of[i] = NULL;
        j->shard[i]->cfg.ckpt = o->ckpt;
        st = open_one(j, i, &of[i], o);
        if (st == RH_OK && !journal_found(of[i]))
            st = err_set(RH_ENOTFOUND, "shard %u has no journal", i);
        if (st == RH_OK)
            st = journal_replay(of[i], j->shard[i], 5000, report);
    }
    if (st != RH_OK) {
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", err_text());
        journal_job_kill(j, of);
        return err_set(st, "%s", text);
    }
    return RH_OK;
}

void journal_job_move(struct ckpt_job *to, const struct ckpt_job *from) {
    to->mode = from->mode;
    to->steps = from->steps;
    to->g = from->g;
    memcpy(to->pushes, from->pushes, sizeof to->pushes);
    memcpy(to->talk, from->talk, sizeof to->talk);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        for (uint32_t i = 0; i < to->shards; i++) {
            to->talk[rank][i].shard = to->shard[i];
            to->talk[rank][i].net = &to->nets[i];
        }
}

void journal_job_kill(struct ckpt_job *j, struct journal *of[JOB_SHARDS]) {
    for (uint32_t i = 0; i < j->shards; i++) {
        if (of[i] == NULL)
            continue;
        ckpt_drop(&of[i]->file);
        journal_close(&of[i], false);
    }
    ckpt_job_fini(j);
}

uint64_t journal_job_state(const struct ckpt_job *j, uint32_t i) {
    struct buf b;
    buf_init(&b, NOTES_STATE_MAX);
    notes_state_put(j->shard[i], &b);
    uint64_t sum = hash64(b.p, b.len) + b.bad;
    buf_fini(&b);
    return sum + j->shard[i]->cfg.incarnation;
}
