/* status.c - `rowhouse status`: how the shards of a live job are, and who works with them. */
#include <inttypes.h>
#include <stdio.h>

#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/facts.h"

#define PROGRAM "rowhouse status"

static const char *mode_name(uint32_t mode) {
    switch (mode) {
    case RH_MODE_ASYNC:
        return "async";
    case RH_MODE_SSP:
        return "ssp";
    case RH_MODE_BSP:
        return "bsp";
    default:
        return "no worker yet";
    }
}

static const char *state_name(uint32_t state) {
    return state == 1 ? "here" : state == 2 ? "gone" : "never";
}

/* ---- text ---- */

static void print_member(const struct msg_member_facts *m) {
    printf("  worker %" PRIu32 ": %s, clock %" PRIu32 ", incarnation %" PRIu32
           ", heard of %.1f s ago\n",
           m->rank, state_name(m->state), m->clock, m->incarnation, (double)m->silent_ms / 1000);
}

static void print_shard(const struct facts_shard *f, const char *address) {
    const struct msg_shard_facts *s = &f->shard;
    printf("shard %" PRIu32 " of %" PRIu32 " at %s: %s, up %.1f s, process %" PRIu32 "\n", s->shard,
           s->shards, address, mode_name(s->mode), (double)s->uptime_ms / 1000, f->pid);
    printf("  %" PRIu64 " clocks closed, %" PRIu32 " tables, world %" PRIu32 "\n", s->closed,
           s->tables, s->world);
    printf("  %" PRIu64 " pulls of %" PRIu64 " rows, %" PRIu64 " pushes of %" PRIu64 " rows\n",
           s->pulls, s->pulled_rows, s->pushes, s->pushed_rows);
    printf("  %" PRIu64 " repeats, %" PRIu64 " parked, %" PRIu64 " refused, %" PRIu64
           " bad frames\n",
           s->repeats, s->parked, s->refused, s->bad_frames);
    for (uint32_t i = 0; i < s->members; i++)
        print_member(&f->members[i]);
}

/* ---- JSON ---- */

static json_t *member_json(const struct msg_member_facts *m) {
    return json_pack("{s:I, s:s, s:I, s:I, s:I}", "rank", (json_int_t)m->rank, "state",
                     state_name(m->state), "clock", (json_int_t)m->clock, "incarnation",
                     (json_int_t)m->incarnation, "silent_ms", (json_int_t)m->silent_ms);
}

static json_t *shard_json(const struct facts_shard *f, const char *address) {
    const struct msg_shard_facts *s = &f->shard;
    json_t *members = json_array();
    for (uint32_t i = 0; i < s->members; i++)
        json_array_append_new(members, member_json(&f->members[i]));
    return json_pack("{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:I, s:I, s:o}",
                     "shard", (json_int_t)s->shard, "shards", (json_int_t)s->shards, "address",
                     address, "mode", mode_name(s->mode), "world", (json_int_t)s->world, "pid",
                     (json_int_t)f->pid, "uptime_ms", (json_int_t)s->uptime_ms, "clocks_closed",
                     (json_int_t)s->closed, "tables", (json_int_t)s->tables, "pulls",
                     (json_int_t)s->pulls, "pulled_rows", (json_int_t)s->pulled_rows, "pushes",
                     (json_int_t)s->pushes, "pushed_rows", (json_int_t)s->pushed_rows, "repeats",
                     (json_int_t)s->repeats, "parked", (json_int_t)s->parked, "refused",
                     (json_int_t)s->refused, "bad_frames", (json_int_t)s->bad_frames, "members",
                     members);
}

/* ---- the command ---- */

static rh_status show(const struct look *k) {
    rh_status s = RH_OK;
    json_t *shards = k->json ? json_array() : NULL;
    for (uint32_t i = 0; s == RH_OK && i < rh_shards(k->client); i++) {
        const char *address = k->client->roster.servers[i];
        struct facts_shard f;
        s = facts_ask_shard(k->client, i, &f);
        if (s != RH_OK)
            break;
        if (k->json)
            json_array_append_new(shards, shard_json(&f, address));
        else
            print_shard(&f, address);
        facts_fini_shard(&f);
    }
    if (s == RH_OK && k->json)
        return look_print_json(json_pack("{s:o}", "shards", shards));
    json_decref(shards);
    return s;
}

int cmd_status(int argc, char **argv) {
    struct look k;
    int code;
    if (!look_begin(argc, argv, PROGRAM,
                    "Shows the shards of a live job: what they have done, and their workers.", &k,
                    &code))
        return code;
    return look_end(&k, PROGRAM, show(&k));
}
