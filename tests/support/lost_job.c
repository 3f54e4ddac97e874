/* lost_job.c - see lost_job.h. */
#include "tests/support/lost_job.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support/scratch.h"

struct job lost_job;
static char list[sizeof lost_job.servers.list]; /* as it is: that of the servers grows */

void lost_job_setup(void) {
    scratch_enter();
}

void lost_job_teardown(void) {
    job_stop(&lost_job);
    unsetenv("RH_CHECKPOINT_DIR");
    scratch_leave();
}

void lost_job_start(int transport, rh_mode mode, uint32_t world) {
    setenv("RH_CHECKPOINT_DIR", "ck", 1);
    job_start(&lost_job, transport, LOST_SHARDS);
    snprintf(list, sizeof list, "%s", lost_job.cfg.servers);
    lost_job.cfg.servers = list;
    lost_job.cfg.world = world;
    lost_job.cfg.mode = mode;
    lost_job.cfg.op_timeout_ms = lost_job.cfg.connect_timeout_ms = 60000;
}

void lost_job_kill(uint32_t victims) {
    for (uint32_t i = 0; i < LOST_SHARDS; i++)
        if (victims >> i & 1)
            servers_signal(&lost_job.servers, i, SIGKILL);
}

void lost_job_replace(uint32_t victims) {
    for (uint32_t i = 0; i < LOST_SHARDS; i++)
        if (victims >> i & 1)
            ck_assert(servers_again(&lost_job.servers, i, i, LOST_SHARDS, "--rejoin=0"));
}

rh_status lost_job_table(rh_client *c, rh_table **out) {
    rh_table_spec spec;
    rh_table_spec_init(&spec, LOST_ROWS, LOST_DIM);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    return rh_table_open(c, "t", &spec, out);
}

void lost_job_draw(uint32_t rank, uint64_t step, uint64_t ids[LOST_BATCH],
                   float grads[LOST_BATCH * LOST_DIM]) {
    struct rng g;
    rng_init(&g, step, rank);
    for (int i = 0; i < LOST_BATCH; i++)
        ids[i] = rng_below(&g, LOST_ROWS);
    for (int i = 0; i < LOST_BATCH * LOST_DIM; i++)
        grads[i] = (float)rng_below(&g, 9) - 4;
}

rh_status lost_job_step(rh_client *c, rh_table *t, uint64_t number) {
    uint64_t ids[LOST_BATCH], next = number + 1;
    float grads[LOST_BATCH * LOST_DIM], rows[LOST_BATCH * LOST_DIM];
    lost_job_draw(rh_rank(c), number, ids, grads);
    rh_status s = rh_pull(t, ids, LOST_BATCH, rows);
    if (s == RH_OK)
        s = rh_push(t, ids, LOST_BATCH / 2, grads);
    if (s == RH_OK)
        s = rh_push(t, ids + LOST_BATCH / 2, LOST_BATCH / 2, grads + LOST_BATCH / 2 * LOST_DIM);
    if (s == RH_OK)
        s = rh_set_cursor(c, &next, sizeof next);
    return s == RH_OK ? rh_tick(c) : s;
}

void lost_job_check(rh_table *t, uint32_t workers, uint64_t steps) {
    static double want[LOST_ROWS * LOST_DIM];
    static float rows[LOST_ROWS * LOST_DIM];
    uint64_t ids[LOST_ROWS];
    memset(want, 0, sizeof want);
    for (uint32_t rank = 0; rank < workers; rank++)
        for (uint64_t k = 0; k < steps; k++) {
            uint64_t batch[LOST_BATCH];
            float grads[LOST_BATCH * LOST_DIM];
            lost_job_draw(rank, k, batch, grads);
            for (int i = 0; i < LOST_BATCH * LOST_DIM; i++)
                want[batch[i / LOST_DIM] * LOST_DIM + (uint64_t)i % LOST_DIM] -= (double)grads[i];
        }
    for (uint64_t i = 0; i < LOST_ROWS; i++)
        ids[i] = i;
    ck_assert_ok(rh_read(t, ids, LOST_ROWS, rows));
    for (int i = 0; i < LOST_ROWS * LOST_DIM; i++)
        ck_assert_msg((double)rows[i] == want[i],
                      "row %d is %g and must be %g after %" PRIu64 " steps", i / LOST_DIM,
                      (double)rows[i], want[i], steps);
}
