/* rowhouse.c - ours: a client with its default settings, and for all but local: a rowhouse-server
 * of one shard beside it. */
#include "worker/rowhouse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/child.h"
#include "tests/bench/fill.h"

struct ours {
    const struct stage *stage;
    struct child server;
    rh_client *client;
    rh_table *table;
};

static bool takes_part(const struct stage *s) {
    (void)s;
    return true;
}

static void close_ours(void *self) {
    struct ours *o = self;
    rh_close(o->client);
    child_stop(&o->server);
    free(o);
}

static rh_status start_server(struct ours *o) {
    const struct stage *s = o->stage;
    char program[4096], listen[CHILD_ADDRESS_MAX];
    snprintf(program, sizeof program, "%s/rowhouse-server", s->bin);
    child_place(s->transport, s->dir, "server", listen);
    const char *argv[] = {program, "--listen", listen, "--report-fd", "3", NULL};
    return child_start(argv, &o->server);
}

static rh_status connect_to(struct ours *o, const char *servers) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = servers;
    cfg.rank = 0;
    cfg.world = 1;
    cfg.mode = RH_MODE_ASYNC;
    rh_status st = rh_connect(&cfg, &o->client);
    if (st != RH_OK)
        return st;
    rh_table_spec spec;
    rh_table_spec_init(&spec, o->stage->rows, o->stage->dim);
    spec.optimizer = o->stage->adam ? rh_sparse_adam(1e-3) : rh_sgd(1e-3);
    return rh_table_open(o->client, "bench", &spec, &o->table);
}

/* ---- opening ---- */

/* Pulls a few rows from all over the table: a benchmark of wrong answers is worth nothing. */
static rh_status check(struct ours *o) {
    const struct stage *s = o->stage;
    static uint64_t ids[BENCH_BATCH];
    for (size_t i = 0; i < BENCH_BATCH; i++)
        ids[i] = i * 2654435761 % s->rows;
    rh_status st = rh_pull(o->table, ids, BENCH_BATCH, s->out[0]);
    if (st != RH_OK)
        return st;
    fill_rows(s, ids, s->out[1]);
    if (memcmp(s->out[0], s->out[1], BENCH_BATCH * s->dim * sizeof(float)) != 0)
        return err_set(RH_ECORRUPT, "%s did not pull what had been written", s->transport);
    return RH_OK;
}

static rh_status open_ours(const struct stage *s, void **out) {
    struct ours *o = calloc(1, sizeof *o);
    if (o == NULL)
        return err_set(RH_ENOMEM, "no memory");
    o->stage = s;
    bool local = strcmp(s->transport, "local:") == 0;
    rh_status st = local ? RH_OK : start_server(o);
    if (st == RH_OK)
        st = connect_to(o, local ? s->transport : o->server.address);
    if (st == RH_OK)
        st = fill_table(s, o->table, s->adam);
    if (st == RH_OK && !s->adam)
        st = check(o);
    if (st != RH_OK) {
        close_ours(o);
        return st;
    }
    *out = o;
    return RH_OK;
}

/* ---- running ---- */

static rh_status run_alone(struct ours *o, const struct job *j) {
    const struct stage *s = o->stage;
    rh_status st = RH_OK;
    for (uint32_t b = 0; st == RH_OK && b < j->batches; b++) {
        const uint64_t *ids = j->ids + (size_t)b * BENCH_BATCH;
        st = j->push ? rh_push(o->table, ids, BENCH_BATCH, s->grads)
                     : rh_pull(o->table, ids, BENCH_BATCH, s->out[0]);
    }
    return st;
}

static rh_status run_in_flight(struct ours *o, const struct job *j) {
    const struct stage *s = o->stage;
    rh_op *ops[BENCH_DEPTH_MAX] = {0};
    rh_status st = RH_OK;
    for (uint32_t b = 0; st == RH_OK && b < j->batches; b++) {
        const uint64_t *ids = j->ids + (size_t)b * BENCH_BATCH;
        uint32_t at = b % j->depth;
        st = rh_wait(&ops[at], -1);
        if (st != RH_OK)
            break;
        st = j->push ? rh_push_begin(o->table, ids, BENCH_BATCH, s->grads, &ops[at])
                     : rh_pull_begin(o->table, ids, BENCH_BATCH, s->out[at], &ops[at]);
    }
    for (uint32_t at = 0; st == RH_OK && at < j->depth; at++)
        st = rh_wait(&ops[at], -1);
    return st;
}

static rh_status run(void *self, const struct job *j) {
    return j->depth == 1 ? run_alone(self, j) : run_in_flight(self, j);
}

const struct contender bench_rowhouse = {.name = "rowhouse",
                                         .takes_part = takes_part,
                                         .open = open_ours,
                                         .run = run,
                                         .close = close_ours};
