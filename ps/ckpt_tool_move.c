/* ckpt_tool_move.c - rowhouse ckpt reshard and export: what leaves a checkpoint. One shard, or one table,
 * is in memory at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/vecfile.h"
#include "common/vocab.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/ckpt_tool.h"

/* ---- reshard ---- */

/* A shard that is never talked to: restored, written, let go. */
static rh_status one_shard(struct ckpt_tool *t, uint32_t shard, const struct ckpt_fd *to,
                           const struct ckpt_manifest *m) {
    struct shard_config c;
    struct shard *s = NULL;
    shard_config_init(&c);
    c.shard = shard;
    c.shards = m->shards;
    c.job = m->job;
    rh_status st = shard_new(&c, NULL, &s);
    if (st == RH_OK)
        st = ckpt_shard_restore(s, &t->folder, &t->m, t->name);
    if (st == RH_OK)
        st = ckpt_shard_write(s, to, m->generation, &m->files[shard]);
    shard_free(&s);
    return st;
}

static rh_status reshard_into(struct ckpt_tool *t, struct ckpt_io *io, const char *name) {
    struct ckpt_fd to = {.fd = -2};
    struct ckpt_manifest was = t->m, m = t->m; /* m: the same arrays, but for the files */
    uint64_t next = 1;
    rh_status st = ckpt_newest(io, NULL, &next);
    if (st == RH_ENOTFOUND)
        st = RH_OK;
    if (st == RH_OK && ckpt_open_folder(io, name, &to) == RH_OK) {
        ckpt_drop(&to);
        st = err_set(RH_EINVAL, "%s/%s is there already", io->root, name);
    }
    m.files = NULL;
    m.generation = next;
    if (st == RH_OK)
        st = ckpt_manifest_files(&m, (uint32_t)t->set->shards);
    if (st == RH_OK)
        st = ckpt_begin(io, name, &to);
    bool begun = st == RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < m.shards; i++) {
        st = one_shard(t, i, &to, &m);
        if (st == RH_OK)
            ckpt_tool_progress("resharding", i + 1, m.shards);
    }
    if (st == RH_OK)
        st = ckpt_commit(io, name, &to, &m);
    else if (begun)
        ckpt_abandon(io, name, &to);
    if (st == RH_OK && t->set->json)
        printf("{\"name\": \"%s\", \"generation\": %" PRIu64 ", \"shards\": %" PRIu32 "}\n", name,
               m.generation, m.shards);
    else if (st == RH_OK)
        printf("%s: %" PRIu32 " shard%s of %" PRIu32 "'s rows\n", name, m.shards,
               m.shards == 1 ? "" : "s", was.shards);
    free(m.files);
    return st;
}

rh_status ckpt_tool_reshard(struct ckpt_tool *t) {
    char name[CKPT_NAME_MAX + 1];
    struct ckpt_io *io = NULL;
    if (t->set->shards < 1 || t->set->to == NULL)
        return err_set(RH_EINVAL, "reshard needs --shards M and --to DIR/NAME");
    rh_status st = ckpt_tool_path(t->set->to, &io, name);
    if (st == RH_OK)
        st = reshard_into(t, io, name);
    ckpt_io_free(&io);
    return st;
}

/* ---- export ---- */

static rh_status format_of(const char *name, enum vec_format *out) {
    static const char *const names[] = {
        [VEC_AUTO] = "auto",        [VEC_NPY] = "npy",
        [VEC_W2V] = "w2v",          [VEC_SAFETENSORS] = "safetensors",
        [VEC_W2V_BIN] = "w2v-bin",  [VEC_GLOVE] = "glove",
        [VEC_FASTTEXT] = "fasttext"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum vec_format)i;
            return RH_OK;
        }
    }
    return err_set(RH_EINVAL,
                   "--format %s: must be auto, npy, safetensors, w2v, w2v-bin, glove or fasttext",
                   name);
}

/* The rows in order of their ids, as a pull would give them. */
static rh_status put_all(struct table *t, const struct vocab_file *v, const char *vocab,
                         struct vec_writer *w) {
    float *row = malloc(t->spec.dim * sizeof *row);
    rh_status st = row != NULL ? RH_OK : err_set(RH_ENOMEM, "no memory for a row");
    for (uint64_t id = 0; st == RH_OK && id < t->spec.rows; id++) {
        char figures[24];
        const char *word = figures;
        uint32_t i;
        snprintf(figures, sizeof figures, "%" PRIu64, id);
        if (v != NULL && !vocab_file_find_id(v, id, &i))
            st = err_set(RH_EINVAL, "%s has no word for row %" PRIu64, vocab, id);
        else if (v != NULL)
            word = vocab_file_word(v, i);
        if (st == RH_OK)
            st = table_locate(t, (const uint8_t *)&id, 1);
        if (st != RH_OK)
            break;
        table_pull(t, (const uint8_t *)&id, 1, (uint8_t *)row);
        st = vec_put(w, word, row);
        if (id % 4096 == 0 || id + 1 == t->spec.rows)
            ckpt_tool_progress("exporting", id + 1, t->spec.rows);
    }
    free(row);
    return st;
}

static rh_status export_table(struct ckpt_tool *t, const struct ckpt_table *is) {
    const struct ckpt_tool_settings *set = t->set;
    struct vec_options o = {.tensor = set->tensor};
    struct table *table = NULL;
    struct vocab_file *v = NULL;
    struct vec_writer *w = NULL;
    rh_status st = format_of(set->format, &o.format);
    if (st == RH_OK && set->vocab != NULL)
        st = vocab_file_open(set->vocab, &v);
    if (st == RH_OK)
        st = ckpt_table_load(&t->folder, &t->m, is->number, 0, 1, false, &table);
    if (st == RH_OK)
        st = vec_create_with(set->output, &o, is->spec.rows, is->spec.dim, &w);
    if (st == RH_OK)
        st = put_all(table, v, set->vocab, w);
    if (st == RH_OK)
        st = vec_commit(&w);
    else
        vec_abandon(&w);
    if (v != NULL)
        vocab_file_close(&v);
    table_free(&table);
    return st;
}

rh_status ckpt_tool_export(struct ckpt_tool *t, const char *name) {
    if (t->set->output == NULL)
        return err_set(RH_EINVAL, "export needs --output FILE");
    const struct ckpt_table *is = NULL;
    for (uint32_t i = 0; i < t->m.n_tables; i++)
        if (strcmp(t->m.tables[i].name, name) == 0 && t->m.tables[i].dropped_by == CKPT_NOT_DROPPED)
            is = &t->m.tables[i];
    if (is == NULL)
        return err_set(RH_ENOTFOUND, "%s has no table \"%s\"", t->folder.name, name);
    rh_status st = export_table(t, is);
    if (st == RH_OK && t->set->json)
        printf("{\"table\": \"%s\", \"rows\": %" PRIu64 ", \"dim\": %" PRIu32 "}\n", name,
               is->spec.rows, is->spec.dim);
    else if (st == RH_OK)
        printf("%s: %" PRIu64 " x %" PRIu32 " of table %s\n", t->set->output, is->spec.rows,
               is->spec.dim, name);
    return st;
}
