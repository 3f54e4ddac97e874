/* job.c - see job.h. */
#include "tests/support/job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void job_start(struct job *j, int transport, uint32_t shards) {
    memset(j, 0, sizeof *j);
    j->transport = transport;
    rh_config_init(&j->cfg);
    j->cfg.servers = "local:";
    j->cfg.local_shards = shards;
    j->cfg.connect_timeout_ms = j->cfg.op_timeout_ms = 20000;
    if (transport == JOB_LOCAL)
        return;
    servers_start(&j->servers, transport == JOB_TCP ? "tcp" : "ipc", shards);
    j->cfg.servers = j->servers.list;
}

void job_stop(struct job *j) {
    servers_stop(&j->servers);
}

rh_client *job_connect(struct job *j, uint32_t rank) {
    rh_config cfg = j->cfg;
    rh_client *c = NULL;
    cfg.rank = rank;
    ck_assert_ok(rh_connect(&cfg, &c));
    return c;
}

rh_table *job_table(rh_client *c, const char *name, uint64_t rows, uint32_t dim) {
    rh_table_spec spec;
    rh_table *t = NULL;
    rh_table_spec_init(&spec, rows, dim);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(1);
    ck_assert_ok(rh_table_open(c, name, &spec, &t));
    return t;
}

int64_t job_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int job_main(Suite *s) {
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
