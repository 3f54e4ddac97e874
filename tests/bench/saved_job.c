/* saved_job.c - see saved_job.h. */
#include "tests/bench/saved_job.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/err.h"

static rh_status start_server(const char *bin, struct saved_job *j, int i) {
    char program[4096], shard[16];
    snprintf(program, sizeof program, "%s/rowhouse-server", bin);
    snprintf(shard, sizeof shard, "%d/%d", i, SAVED_SERVERS);
    const char *argv[] = {program,   "--listen",    "tcp://127.0.0.1:*",
                          "--shard", shard,         "--checkpoint-dir",
                          j->folder, "--report-fd", "3",
                          NULL};
    rh_status st = child_start(argv, &j->servers[i]);
    if (st == RH_OK)
        snprintf(j->list + strlen(j->list), sizeof j->list - strlen(j->list), "%s%s",
                 i == 0 ? "" : ",", j->servers[i].address);
    return st;
}

rh_status saved_job_start(const char *bin, const char *dir, uint32_t world, struct saved_job *j) {
    memset(j, 0, sizeof *j);
    snprintf(j->folder, sizeof j->folder, "%s/saved", dir);
    rh_status st = RH_OK;
    for (int i = 0; st == RH_OK && i < SAVED_SERVERS; i++)
        st = start_server(bin, j, i);
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = j->list;
    cfg.world = world;
    cfg.observer = 1;
    if (st == RH_OK)
        st = rh_connect(&cfg, &j->looks);
    if (st != RH_OK)
        saved_job_stop(j);
    return st;
}

static int remove_it(const char *path, const struct stat *is, int kind, struct FTW *at) {
    (void)is;
    (void)kind;
    (void)at;
    return remove(path);
}

void saved_job_stop(struct saved_job *j) {
    rh_close(j->looks);
    for (int i = 0; i < SAVED_SERVERS; i++)
        child_stop(&j->servers[i]);
    nftw(j->folder, remove_it, 8, FTW_DEPTH | FTW_PHYS);
    j->looks = NULL;
}

static void *save(void *arg) {
    struct saved_job *j = arg;
    const int64_t begin_us = clock_now_us();
    j->status = rh_save(j->looks, "bench");
    snprintf(j->text, sizeof j->text, "%s", j->status == RH_OK ? "" : rh_errmsg());
    j->seconds = (double)(clock_now_us() - begin_us) * 1e-6;
    atomic_store(&j->saving, false);
    return NULL;
}

rh_status saved_job_save(struct saved_job *j) {
    atomic_store(&j->saving, true);
    if (pthread_create(&j->thread, NULL, save, j) != 0)
        return err_sys(RH_ENOMEM, "no thread for a save");
    return RH_OK;
}

rh_status saved_job_end(struct saved_job *j) {
    pthread_join(j->thread, NULL);
    return j->status == RH_OK ? RH_OK : err_set(j->status, "%s", j->text);
}
