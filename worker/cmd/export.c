/* export.c - `rowhouse export`: rows of a live job to a file, a few MiB of them at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/vecfile.h"
#include "worker/cmd/cmd.h"
#include "worker/cmd/ids.h"
#include "worker/cmd/look.h"
#include "worker/cmd/transfer.h"

struct settings {
    struct look look;
    const char *format, *ids, *vocab, *tensor;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    LOOK_ITEMS(SETTING(look)),
    {"format", CONF_STRING, SETTING(format), NULL, 0, 0, NULL, "NAME",
     "What to write: " TRANSFER_FORMATS ". Default: by the file's ending, .npy, .safetensors, .bin "
     "(word2vec binary), else word2vec text."},
    {"ids", CONF_STRING, SETTING(ids), NULL, 0, 0, NULL, "LIST|FILE",
     "These rows only, in this order: 3,17,42, or the name of a text file of ids, with white space "
     "between."},
    {"vocab", CONF_STRING, SETTING(vocab), NULL, 0, 0, NULL, "FILE",
     "The rows' words, for formats that have words: a word a line, whose row is the line's number "
     "from 0, or word<TAB>row a line. Without it words are the ids in figures."},
    {"tensor", CONF_STRING, SETTING(tensor), NULL, 0, 0, NULL, "NAME",
     "safetensors: the tensor's name. Default: the table's."},
    {"json", CONF_BOOL, SETTING(look.json), "no", 0, 0, NULL, NULL, "Print JSON, for programs."},
};

/* What was done. */
struct result {
    uint64_t rows, bytes;
    uint32_t dim;
    rh_format format;
    double seconds;
};

static rh_status print(const struct settings *set, const char *table, const char *path,
                       const struct result *r) {
    char size[BAR_TEXT], rows[BAR_TEXT];
    if (set->look.json)
        return look_print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f}", "table", table,
                                         "file", path, "format", transfer_name(r->format), "rows",
                                         (json_int_t)r->rows, "dim", (json_int_t)r->dim, "bytes",
                                         (json_int_t)r->bytes, "seconds", r->seconds));
    printf("%s: %s rows of %" PRIu32 " numbers in %s (%s), %s, %.1f s\n", table,
           bar_grouped(r->rows, rows), r->dim, path, vec_format_name((enum vec_format)r->format),
           look_bytes(r->bytes, size), r->seconds);
    return RH_OK;
}

static rh_status save(const struct settings *set, const char *name, const char *path,
                      const struct ids *ids, rh_format format) {
    rh_table *t;
    struct transfer transfer;
    struct stat st = {0};
    rh_status s = rh_table_find(set->look.client, name, &t);
    if (s != RH_OK)
        return s;
    rh_export_options o = {.size = sizeof o,
                           .format = format,
                           .n = ids->n,
                           .ids = set->ids != NULL ? ids->at : NULL,
                           .vocab = set->vocab,
                           .tensor = set->tensor,
                           .progress = transfer_progress,
                           .progress_arg = &transfer};
    transfer_begin(&transfer, name, transfer_rows);
    s = rh_export(t, path, &o);
    struct result r = {.rows = set->ids != NULL ? ids->n : rh_table_num_embeddings(t),
                       .dim = rh_table_embedding_dim(t),
                       .format =
                           format != RH_FORMAT_AUTO ? format : (rh_format)vec_format_for(path),
                       .seconds = transfer_end(&transfer)};
    if (s == RH_OK && stat(path, &st) != 0)
        s = err_sys(RH_EIO, "cannot look at %s", path);
    r.bytes = (uint64_t)st.st_size;
    return s == RH_OK ? print(set, name, path, &r) : s;
}

static rh_status run(struct settings *set, char **words, rh_format format, struct ids *ids) {
    rh_status s = RH_OK;
    if (set->ids != NULL && !ids_is_list(set->ids))
        s = ids_from_file(set->ids, ids);
    if (s == RH_OK && set->ids != NULL && ids->n == 0)
        s = err_set(RH_EINVAL, "%s has no ids", set->ids);
    if (s == RH_OK)
        s = look_join(&set->look);
    if (s != RH_OK)
        return s;
    s = save(set, words[0], words[1], ids, format);
    rh_close(set->look.client);
    return s;
}

int cmd_export(int argc, char **argv) {
    struct settings set = {0};
    struct ids ids = {0};
    rh_format format = RH_FORMAT_AUTO;
    struct conf conf = {
        .program = "rowhouse export",
        .usage = "TABLE FILE [--format NAME] [--ids LIST|FILE] [--vocab FILE] --servers ADDRESSES",
        .about = "Saves a table of a live job, or rows of it, as a pull has them. The file appears "
                 "whole or not at all. While workers train, rows are saved one after the other: "
                 "each is whole, but they need not be of one moment.",
        .items = ITEMS,
        .n_items = sizeof ITEMS / sizeof ITEMS[0]};
    int n_words, code;
    if (!cmd_begin(&conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words != 2)
        return cmd_misused(&conf, n_words == 0   ? "which table, and to which file?"
                                  : n_words == 1 ? "to which file?"
                                                 : "one table and one file at a time");
    rh_status s = look_check(&set.look);
    if (s == RH_OK)
        s = transfer_format(set.format, &format);
    if (s == RH_OK && set.ids != NULL && ids_is_list(set.ids))
        s = ids_from_list(set.ids, &ids);
    if (s != RH_OK) {
        ids_fini(&ids);
        return cmd_misused(&conf, err_text());
    }
    s = run(&set, argv + 1, format, &ids);
    ids_fini(&ids);
    return cmd_end(&conf, s);
}
