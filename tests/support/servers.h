/*
 * servers.h - real rowhouse-server processes for tests, found in RH_BIN (else build/bin). They die
 * with the test process. Whatever cannot be started fails the test.
 */
#ifndef TESTS_SERVERS_H
#define TESTS_SERVERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SERVERS_MAX = 8, SERVERS_ADDRESS = 256 };

struct servers {
    uint32_t n;
    pid_t pids[SERVERS_MAX];
    char addresses[SERVERS_MAX][SERVERS_ADDRESS];
    char list[SERVERS_MAX * SERVERS_ADDRESS]; /* for rh_config.servers */
};

/* One process per shard, each listening. scheme: "tcp" or "ipc". */
void servers_start(struct servers *s, const char *scheme, uint32_t shards);

/* One process that says it is shard `shard` of `shards`; appended to *s. address NULL: a free one
 * of that scheme. extra: another flag, or NULL. */
void servers_add(struct servers *s, const char *scheme, const char *address, uint32_t shard,
                 uint32_t shards, const char *extra);

/* Server i, which is dead, begins another life at its address. False: it has ended before it listened;
 * the others fail the test then. */
bool servers_again(struct servers *s, uint32_t i, uint32_t shard, uint32_t shards,
                   const char *extra);

/* Sends a signal to one. Of SIGKILL and SIGSTOP the effect is waited for. */
void servers_signal(struct servers *s, uint32_t i, int sig);

/* Ends all that are left. */
void servers_stop(struct servers *s);

#endif
