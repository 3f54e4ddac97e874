/* ckpt_tool_inspect.c - rowhouse ckpt inspect: what a checkpoint says of itself. Reads the manifest and
 * the indexes, no rows. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "ps/ckpt_file.h"
#include "ps/ckpt_tool.h"

/* Rows of each table, by number - 1. */
static rh_status count_rows(const struct ckpt_tool *t, uint64_t *rows) {
    for (uint32_t i = 0; i < t->m.shards; i++) {
        struct ckpt_reader *r = NULL;
        rh_status st = ckpt_reader_open(&t->folder, &t->m, i, &r);
        if (st != RH_OK)
            return st;
        for (uint32_t k = 0; k < ckpt_reader_blocks(r); k++) {
            const struct ckpt_entry *e = ckpt_reader_entry(r, k);
            if (e->kind == CKPT_ROWS)
                rows[e->table - 1] += e->count;
        }
        ckpt_reader_close(&r);
    }
    return RH_OK;
}

static void print_text(const struct ckpt_tool *t, const uint64_t *rows) {
    const struct ckpt_manifest *m = &t->m;
    printf("%s: generation %" PRIu64 ", mode %s, %" PRIu32 " worker%s, clock %" PRIu64 ", %" PRIu32
           " shard%s\n",
           t->name, m->generation, ckpt_mode_name(m->mode), m->world, m->world == 1 ? "" : "s",
           m->clock, m->shards, m->shards == 1 ? "" : "s");
    printf("\n%-24s %16s %5s %-14s %-12s %10s %14s\n", "table", "num_embeddings", "dim",
           "optimizer", "init", "T", "rows saved");
    for (uint32_t i = 0; i < m->n_tables; i++) {
        const struct ckpt_table *b = &m->tables[i];
        if (b->dropped_by != CKPT_NOT_DROPPED)
            printf("%-24s dropped by worker %" PRIu32 "\n", b->name, b->dropped_by);
        else
            printf("%-24s %16" PRIu64 " %5" PRIu32 " %-14s %-12s %10" PRIu64 " %14" PRIu64 "\n",
                   b->name, b->spec.rows, b->spec.dim, spec_opt_name(b->spec.opt),
                   spec_init_name(b->spec.init), b->steps, rows[i]);
    }
    printf("\n%-24s %16s %14s\n", "file", "bytes", "rows");
    for (uint32_t i = 0; i < m->shards; i++)
        printf("%-24s %16" PRIu64 " %14" PRIu64 "\n", m->files[i].name, m->files[i].bytes,
               m->files[i].rows);
    printf("\n%-24s %16s %14s\n", "worker", "clock", "cursor bytes");
    for (uint32_t i = 0; i < m->n_workers; i++)
        printf("%-24" PRIu32 " %16" PRIu64 " %14" PRIu32 "%s\n", m->workers[i].rank,
               m->workers[i].clock, m->workers[i].cursor_len,
               m->workers[i].left ? "  (had said goodbye)" : "");
}

/* The manifest as it is, and with each table its rows. */
static rh_status print_json(const struct ckpt_tool *t, const uint64_t *rows) {
    struct buf text;
    buf_init(&text, CKPT_MANIFEST_MAX + 1);
    rh_status st = ckpt_manifest_put(&t->m, &text);
    json_t *o = st == RH_OK ? json_loadb((char *)text.p, text.len, 0, NULL) : NULL;
    buf_fini(&text);
    bool bad = o == NULL || json_object_set_new(o, "name", json_string(t->name)) != 0;
    for (uint32_t i = 0; !bad && i < t->m.n_tables; i++)
        bad = json_object_set_new(json_array_get(json_object_get(o, "tables"), i), "rows",
                                  json_integer((json_int_t)rows[i])) != 0;
    bad = bad || json_dumpf(o, stdout, JSON_INDENT(2)) != 0;
    json_decref(o);
    if (bad)
        return err_set(RH_ENOMEM, "no memory for the JSON, or nowhere to print it");
    putchar('\n');
    return RH_OK;
}

rh_status ckpt_tool_inspect(struct ckpt_tool *t) {
    uint64_t *rows = calloc((size_t)t->m.n_tables + 1, sizeof *rows);
    if (rows == NULL)
        return err_set(RH_ENOMEM, "no memory for %" PRIu32 " tables", t->m.n_tables);
    rh_status st = count_rows(t, rows);
    if (st == RH_OK && t->set->json)
        st = print_json(t, rows);
    else if (st == RH_OK)
        print_text(t, rows);
    free(rows);
    return st;
}
