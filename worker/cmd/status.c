/* status.c - `rowhouse status`: how the shards of a live job are, who works with them, who waits for
 * whom, and how stale what they pull may be. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/cmd/why.h"
#include "worker/facts.h"

#define PROGRAM "rowhouse status"

enum { MODE_TEXT = 24 };

/* What is known of the job. */
struct status {
    const struct look *look;
    struct facts_shard *shards; /* (n) */
    uint32_t n;
    struct facts_table *tables; /* (n_tables) */
    uint32_t n_tables;
};

static const char *mode_text(const struct msg_shard_facts *s, char out[MODE_TEXT]) {
    if (s->mode == RH_MODE_SSP)
        snprintf(out, MODE_TEXT, "ssp:%" PRIu32, s->staleness);
    else
        snprintf(out, MODE_TEXT, "%s",
                 s->mode == RH_MODE_ASYNC ? "async"
                 : s->mode == RH_MODE_BSP ? "bsp"
                                          : "no worker yet");
    return out;
}

static const char *state_name(uint32_t state) {
    return state == 1 ? "here" : state == 2 ? "gone" : "never";
}

static const char *const ages[WIRE_AGES] = {"0", "1", "2", "3", "4", "5-8", "9-16", "17+"};

static const char *address_of(const struct status *t, uint32_t shard) {
    return t->look->client->roster.servers[shard];
}

/* One more than the highest rank that any shard knows. */
static uint32_t ranks_of(const struct status *t) {
    uint32_t ranks = 0;
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t k = 0; k < t->shards[i].shard.members; k++)
            if (t->shards[i].members[k].rank >= ranks)
                ranks = t->shards[i].members[k].rank + 1;
    return ranks;
}

/* ---- text ---- */

static void print_kept(const char *what, uint32_t n, uint64_t bytes) {
    char text[24];
    if (n > 0)
        printf(", %" PRIu32 " ops %s (%s)", n, what, look_bytes(bytes, text));
}

static void print_member(const struct msg_member_facts *m) {
    printf("  worker %" PRIu32 ": %s, clock %" PRIu32 ", incarnation %" PRIu32
           ", heard of %.1f s ago",
           m->rank, state_name(m->state), m->clock, m->incarnation, (double)m->silent_ms / 1000);
    if (m->pulls > 0)
        printf(", %" PRIu32 " pulls parked", m->pulls);
    print_kept("early", m->early, m->early_bytes);
    print_kept("held", m->held, m->held_bytes);
    printf("\n");
}

static void print_in_hand(const struct facts_shard *f) {
    char text[WHY_TEXT];
    why_saves(f, text);
    if (text[0] != '\0')
        printf("  %s\n", text);
    why_restores(f, text);
    if (text[0] != '\0')
        printf("  %s\n", text);
}

static void print_shard(const struct facts_shard *f, const char *address) {
    const struct msg_shard_facts *s = &f->shard;
    char mode[MODE_TEXT];
    printf("shard %" PRIu32 " of %" PRIu32 " at %s: %s, up %.1f s, process %" PRIu32 "\n", s->shard,
           s->shards, address, mode_text(s, mode), (double)s->uptime_ms / 1000, f->pid);
    printf("  %" PRIu64 " clocks closed, %" PRIu32 " tables, world %" PRIu32 "\n", s->closed,
           s->tables, s->world);
    printf("  %" PRIu64 " pulls of %" PRIu64 " rows, %" PRIu64 " pushes of %" PRIu64 " rows\n",
           s->pulls, s->pulled_rows, s->pushes, s->pushed_rows);
    printf("  %" PRIu64 " repeats, %" PRIu64 " parked, %" PRIu64 " refused, %" PRIu64
           " bad frames\n",
           s->repeats, s->parked, s->refused, s->bad_frames);
    print_in_hand(f);
    for (uint32_t i = 0; i < s->members; i++)
        print_member(&f->members[i]);
}

/* Tables that nobody has pulled from under async or ssp have nothing to tell. */
static void print_ages(const struct msg_table_facts *t) {
    bool any = false;
    for (int i = 0; i < WIRE_AGES; i++) {
        if (t->ages[i] == 0)
            continue;
        if (!any)
            printf("table %s: pulls by how many clocks stale they may have been:", t->name);
        printf("%s %s: %" PRIu64, any ? "," : "", ages[i], t->ages[i]);
        any = true;
    }
    if (any)
        printf("\n");
}

static void print_text(const struct status *t) {
    struct why why;
    for (uint32_t i = 0; i < t->n; i++)
        print_shard(&t->shards[i], address_of(t, i));
    for (uint32_t i = 0; i < t->n_tables; i++)
        print_ages(&t->tables[i].table);
    for (uint32_t rank = 0, ranks = ranks_of(t); rank < ranks; rank++)
        if (why_waits(t->shards, t->n, rank, &why))
            printf("%s\n", why.text);
}

/* ---- JSON ---- */

static json_t *rank_json(uint32_t rank) {
    return rank == WIRE_NOBODY ? json_null() : json_integer(rank);
}

static json_t *member_json(const struct msg_member_facts *m) {
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rank",
                     (json_int_t)m->rank, "state", state_name(m->state), "clock",
                     (json_int_t)m->clock, "incarnation", (json_int_t)m->incarnation, "silent_ms",
                     (json_int_t)m->silent_ms, "pulls_parked", (json_int_t)m->pulls, "ops_early",
                     (json_int_t)m->early, "early_bytes", (json_int_t)m->early_bytes, "ops_held",
                     (json_int_t)m->held, "held_bytes", (json_int_t)m->held_bytes);
}

static json_t *saving_json(const struct msg_in_hand *h) {
    static const char *const phases[] = {"", "gathering", "writing", "written"};
    if (h->saving == 0)
        return json_null();
    return json_pack("{s:s, s:I, s:s, s:I, s:o}", "name", h->saving_name, "generation",
                     (json_int_t)h->generation, "phase", phases[h->saving], "ms",
                     (json_int_t)h->saving_ms, "waits_for", rank_json(h->waiting_for));
}

static json_t *restoring_json(const struct msg_in_hand *h) {
    if (h->restoring == 0)
        return json_null();
    return json_pack("{s:s, s:s, s:I}", "name", h->restoring_name, "phase",
                     h->restoring == 1 ? "reading" : "read", "ms", (json_int_t)h->restoring_ms);
}

static json_t *shard_json(const struct facts_shard *f, const char *address) {
    const struct msg_shard_facts *s = &f->shard;
    char mode[MODE_TEXT];
    json_t *members = json_array();
    for (uint32_t i = 0; i < s->members; i++)
        json_array_append_new(members, member_json(&f->members[i]));
    return json_pack(
        "{s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:o, s:o, s:o}",
        "shard", (json_int_t)s->shard, "shards", (json_int_t)s->shards, "address", address, "mode",
        mode_text(s, mode), "world", (json_int_t)s->world, "pid", (json_int_t)f->pid, "uptime_ms",
        (json_int_t)s->uptime_ms, "clocks_closed", (json_int_t)s->closed, "tables",
        (json_int_t)s->tables, "pulls", (json_int_t)s->pulls, "pulled_rows",
        (json_int_t)s->pulled_rows, "pushes", (json_int_t)s->pushes, "pushed_rows",
        (json_int_t)s->pushed_rows, "repeats", (json_int_t)s->repeats, "parked",
        (json_int_t)s->parked, "refused", (json_int_t)s->refused, "bad_frames",
        (json_int_t)s->bad_frames, "saving", saving_json(&f->in_hand), "restoring",
        restoring_json(&f->in_hand), "members", members);
}

static json_t *table_json(const struct msg_table_facts *t) {
    json_t *by_age = json_object();
    for (int i = 0; i < WIRE_AGES; i++)
        json_object_set_new(by_age, ages[i], json_integer((json_int_t)t->ages[i]));
    return json_pack("{s:s, s:o}", "name", t->name, "pulls_by_age", by_age);
}

static json_t *why_json(const struct why *w) {
    static const char *const names[] = {"", "clock", "checkpoint", "barrier", "op"};
    const struct msg_wait *for_ = &w->who->wait;
    const int64_t silent_ms = why_silent_ms(w->at, for_->rank);
    return json_pack("{s:I, s:I, s:I, s:s, s:o, s:I, s:o, s:s}", "worker", (json_int_t)w->who->rank,
                     "shard", (json_int_t)w->at->shard.shard, "ms", (json_int_t)w->who->wait_ms,
                     "for", names[for_->why], "rank", rank_json(for_->rank), "number",
                     (json_int_t)for_->number, "rank_silent_ms",
                     silent_ms < 0 ? json_null() : json_integer(silent_ms), "text", w->text);
}

static rh_status print_json(const struct status *t) {
    struct why why;
    json_t *shards = json_array(), *tables = json_array(), *waiting = json_array();
    for (uint32_t i = 0; i < t->n; i++)
        json_array_append_new(shards, shard_json(&t->shards[i], address_of(t, i)));
    for (uint32_t i = 0; i < t->n_tables; i++)
        json_array_append_new(tables, table_json(&t->tables[i].table));
    for (uint32_t rank = 0, ranks = ranks_of(t); rank < ranks; rank++)
        if (why_waits(t->shards, t->n, rank, &why))
            json_array_append_new(waiting, why_json(&why));
    return look_print_json(
        json_pack("{s:o, s:o, s:o}", "shards", shards, "tables", tables, "waiting", waiting));
}

/* ---- the command ---- */

static rh_status ask(struct status *t) {
    rh_client *c = t->look->client;
    t->shards = calloc(rh_shards(c), sizeof *t->shards);
    if (t->shards == NULL)
        return err_set(RH_ENOMEM, "no memory for the facts of %" PRIu32 " shards", rh_shards(c));
    rh_status s = RH_OK;
    while (s == RH_OK && t->n < rh_shards(c)) {
        s = facts_ask_shard(c, t->n, &t->shards[t->n]);
        t->n += s == RH_OK;
    }
    if (s == RH_OK)
        s = facts_ask_tables(c, &t->tables, &t->n_tables);
    return s == RH_ELIMIT ? RH_OK : s; /* more tables than an answer holds: without them, then */
}

static rh_status show(const struct look *k) {
    struct status t = {.look = k};
    rh_status s = ask(&t);
    if (s == RH_OK && k->json)
        s = print_json(&t);
    else if (s == RH_OK)
        print_text(&t);
    for (uint32_t i = 0; i < t.n; i++)
        facts_fini_shard(&t.shards[i]);
    free(t.shards);
    free(t.tables);
    return s;
}

int cmd_status(int argc, char **argv) {
    struct look k;
    int code;
    if (!look_begin(argc, argv, PROGRAM,
                    "Shows the shards of a live job: what they have done, their workers, and who "
                    "waits for whom.",
                    &k, &code))
        return code;
    return look_end(&k, PROGRAM, show(&k));
}
