/* tables.c - `rowhouse tables`: the tables of a live job, all shards taken together. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/facts.h"

#define PROGRAM "rowhouse tables"

struct totals {
    uint64_t parameters, trainable, memory_bytes;
};

static struct totals add_up(const struct facts_table *list, uint32_t n) {
    struct totals sum = {0};
    for (uint32_t i = 0; i < n; i++) {
        sum.parameters += facts_parameters(&list[i]);
        sum.trainable += facts_trainable(&list[i]);
        sum.memory_bytes += list[i].table.memory_bytes;
    }
    return sum;
}

/* "no", "all", or how many rows. */
static const char *frozen_text(const struct msg_table_facts *t, char text[24]) {
    if (t->frozen_rows == 0)
        return "no";
    if (t->frozen_rows == t->spec.rows)
        return "all";
    snprintf(text, 24, "%" PRIu64, t->frozen_rows);
    return text;
}

static void print_text(const struct facts_table *list, uint32_t n) {
    char memory[24], frozen[24];
    printf("%-24s %16s %5s %-14s %16s %10s %16s %10s\n", "name", "num_embeddings", "dim",
           "optimizer", "touched", "T", "frozen", "memory");
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_table_facts *t = &list[i].table;
        printf("%-24s %16" PRIu64 " %5" PRIu32 " %-14s %16" PRIu64 " %10" PRIu64 " %16s %10s\n",
               t->name, t->spec.rows, t->spec.dim, spec_opt_name(t->spec.opt), t->touched, t->steps,
               frozen_text(t, frozen), look_bytes(t->memory_bytes, memory));
    }
    struct totals sum = add_up(list, n);
    printf("%" PRIu32 " table%s, %" PRIu64 " parameters, %" PRIu64 " trainable, %s\n", n,
           n == 1 ? "" : "s", sum.parameters, sum.trainable, look_bytes(sum.memory_bytes, memory));
}

static json_t *table_json(const struct facts_table *f) {
    const struct msg_table_facts *t = &f->table;
    return json_pack(
        "{s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I}", "name", t->name,
        "num_embeddings", (json_int_t)t->spec.rows, "embedding_dim", (json_int_t)t->spec.dim,
        "optimizer", spec_opt_name(t->spec.opt), "init", spec_init_name(t->spec.init), "touched",
        (json_int_t)t->touched, "steps", (json_int_t)t->steps, "frozen",
        (int)(t->frozen_rows == t->spec.rows), "frozen_rows", (json_int_t)t->frozen_rows,
        "parameters", (json_int_t)facts_parameters(f), "trainable", (json_int_t)facts_trainable(f),
        "skipped", (json_int_t)t->skipped, "memory_bytes", (json_int_t)t->memory_bytes);
}

static rh_status print_json(const struct facts_table *list, uint32_t n) {
    json_t *tables = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(tables, table_json(&list[i]));
    struct totals sum = add_up(list, n);
    return look_print_json(json_pack(
        "{s:o, s:I, s:I, s:I}", "tables", tables, "parameters", (json_int_t)sum.parameters,
        "trainable", (json_int_t)sum.trainable, "memory_bytes", (json_int_t)sum.memory_bytes));
}

static rh_status show(const struct look *k) {
    struct facts_table *list;
    uint32_t n;
    rh_status s = facts_ask_tables(k->client, &list, &n);
    if (s != RH_OK)
        return s;
    if (k->json)
        s = print_json(list, n);
    else
        print_text(list, n);
    free(list);
    return s;
}

int cmd_tables(int argc, char **argv) {
    struct look k;
    int code;
    if (!look_begin(argc, argv, PROGRAM,
                    "Shows the tables of a live job: their shape, and how much of them is in use.",
                    &k, &code))
        return code;
    return look_end(&k, PROGRAM, show(&k));
}
