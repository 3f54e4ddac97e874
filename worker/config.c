/* config.c - rh_config: defaults, environment, bounds. What cannot be read from the environment
 * leaves a value in the field that no caller could mean, so that a caller who sets the field is not
 * bothered, and one who does not hears the variable's name from rh_connect. */
#include "worker/rowhouse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "proto/place.h"
#include "proto/roster.h"
#include "worker/connect.h"

enum { RANK_UNREADABLE = -1, WORLD_UNREADABLE = 0, MODE_UNREADABLE = 99, TIMEOUT_UNREADABLE = -1 };
enum { SUCCEEDS_MAX = UINT16_MAX, SUCCEEDS_UNREADABLE = -1 };
enum { WORLD_MAX = 65536, LOCAL_SHARDS_MAX = 64 };

/* A whole number from 0 to INT32_MAX, or unreadable. */
static int number_of(const char *text, int unreadable) {
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    bool digits = *text != '\0' && strspn(text, "0123456789") == strlen(text);
    return !digits || errno != 0 || n > INT32_MAX ? unreadable : (int)n;
}

static int read_number(const char *name, int missing, int unreadable) {
    const char *text = getenv(name);
    return text == NULL || *text == '\0' ? missing : number_of(text, unreadable);
}

rh_status rh_config_set_mode(rh_config *cfg, const char *name) {
    static const char ssp[] = "ssp:";
    int staleness = 0;
    rh_mode mode = RH_MODE_SSP;
    if (strcmp(name, "async") == 0)
        mode = RH_MODE_ASYNC;
    else if (strcmp(name, "bsp") == 0)
        mode = RH_MODE_BSP;
    else
        staleness = strncmp(name, ssp, strlen(ssp)) == 0 ? number_of(name + strlen(ssp), -1) : -1;
    if (staleness < 0)
        return err_set(RH_EINVAL,
                       "a mode is \"async\", \"ssp:N\" (N: how many clocks others may be behind, 0 "
                       "or more) or \"bsp\", not \"%s\"",
                       name);
    cfg->mode = mode;
    cfg->staleness = (uint32_t)staleness;
    return RH_OK;
}

static void read_mode(rh_config *cfg) {
    const char *text = getenv("RH_MODE");
    cfg->mode = RH_MODE_ASYNC;
    if (text != NULL && *text != '\0' && rh_config_set_mode(cfg, text) != RH_OK)
        cfg->mode = (rh_mode)MODE_UNREADABLE;
}

void rh_config_init(rh_config *cfg) {
    memset(cfg, 0, sizeof *cfg);
    cfg->size = sizeof *cfg;
    cfg->rank = (uint32_t)read_number("RH_RANK", 0, RANK_UNREADABLE);
    cfg->world = (uint32_t)read_number("RH_WORLD", 1, WORLD_UNREADABLE);
    read_mode(cfg);
    cfg->op_timeout_ms = read_number("RH_OP_TIMEOUT_MS", 60000, TIMEOUT_UNREADABLE);
    cfg->connect_timeout_ms = 60000;
    cfg->local_shards = 1;
    cfg->succeeds = (uint32_t)read_number("RH_SUCCEEDS", 0, SUCCEEDS_UNREADABLE);
    cfg->servers = getenv("RH_SERVERS");
    if (cfg->servers == NULL || *cfg->servers == '\0')
        cfg->servers = roster_under_mpi() ? "mpi:" : "local:";
    cfg->job = getenv("RH_JOB");
    if (cfg->job == NULL)
        cfg->job = "";
    cfg->checkpoint_dir = getenv("RH_CHECKPOINT_DIR");
    if (cfg->checkpoint_dir != NULL && *cfg->checkpoint_dir == '\0')
        cfg->checkpoint_dir = NULL;
}

/* The value of a variable for a text. */
static const char *env(const char *name) {
    const char *text = getenv(name);
    return text == NULL ? "" : text;
}

static rh_status check_worker(const rh_config *cfg) {
    if (cfg->world == WORLD_UNREADABLE)
        return err_set(RH_EINVAL,
                       "rh_config: world is 0 (RH_WORLD is \"%s\"): it is how many workers the job "
                       "has, 1 to %d",
                       env("RH_WORLD"), WORLD_MAX);
    if (cfg->rank == (uint32_t)RANK_UNREADABLE)
        return err_set(RH_EINVAL,
                       "rh_config: no rank (RH_RANK is \"%s\"): it is a number from 0 to %u",
                       env("RH_RANK"), cfg->world - 1);
    if (cfg->world > WORLD_MAX || cfg->rank >= cfg->world)
        return err_set(RH_EINVAL, "rh_config: rank %u of world %u: world is 1 to %d, rank below it",
                       cfg->rank, cfg->world, WORLD_MAX);
    if (cfg->succeeds > SUCCEEDS_MAX)
        return err_set(
            RH_EINVAL,
            "rh_config: succeeds is %d (RH_SUCCEEDS is \"%s\"): it is how many processes "
            "had this rank before, at most %d",
            (int)cfg->succeeds, env("RH_SUCCEEDS"), SUCCEEDS_MAX);
    if ((int)cfg->mode < RH_MODE_DEFAULT || cfg->mode > RH_MODE_BSP)
        return err_set(
            RH_EINVAL,
            "rh_config: mode is %d (RH_MODE is \"%s\"): use \"async\", \"ssp:N\" or \"bsp\"",
            (int)cfg->mode, env("RH_MODE"));
    return RH_OK;
}

rh_status config_check(const rh_config *cfg) {
    if (cfg->size != sizeof *cfg)
        return err_set(RH_EINVAL,
                       "rh_config: size is %u, not %zu: fill it in with rh_config_init, and build "
                       "with the header of the library that is loaded",
                       cfg->size, sizeof *cfg);
    if (cfg->servers == NULL || cfg->job == NULL)
        return err_set(RH_EINVAL, "rh_config: %s is NULL",
                       cfg->servers == NULL ? "servers" : "job");
    if (cfg->op_timeout_ms <= 0)
        return err_set(RH_EINVAL,
                       "rh_config: op_timeout_ms is %d (RH_OP_TIMEOUT_MS is \"%s\"): it must be at "
                       "least 1",
                       cfg->op_timeout_ms, env("RH_OP_TIMEOUT_MS"));
    if (cfg->connect_timeout_ms <= 0)
        return err_set(RH_EINVAL, "rh_config: connect_timeout_ms is %d: it must be at least 1",
                       cfg->connect_timeout_ms);
    if (cfg->local_shards < 1 || cfg->local_shards > LOCAL_SHARDS_MAX)
        return err_set(RH_EINVAL, "rh_config: local_shards is %u: it must be from 1 to %d",
                       cfg->local_shards, LOCAL_SHARDS_MAX);
    return cfg->observer ? RH_OK : check_worker(cfg);
}
