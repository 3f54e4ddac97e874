/* ckpt_tool.c - see ckpt_tool.h: the line, list and verify. */
#include "ps/ckpt_tool.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "ps/ckpt_file.h"
#include "ps/ckpt_folder.h"

#define AT(field) offsetof(struct ckpt_tool_settings, field)
static const struct conf_item items[] = {
    {"json", CONF_BOOL, AT(json), "no", 0, 0, NULL, NULL, "Print JSON."},
    {"shards", CONF_INT, AT(shards), "0", 0, 1024, NULL, "M", "reshard: how many files to make."},
    {"to", CONF_STRING, AT(to), NULL, 0, 0, NULL, "PATH",
     "reshard: the new checkpoint, DIR/NAME, which must not be there yet."},
    {"output", CONF_STRING, AT(output), NULL, 0, 0, NULL, "FILE", "export: the file to write."},
    {"format", CONF_STRING, AT(format), "auto", 0, 0, NULL, "FORMAT",
     "export: npy, safetensors, w2v (text), w2v-bin, glove or fasttext; auto goes by the file's "
     "ending."},
    {"tensor", CONF_STRING, AT(tensor), NULL, 0, 0, NULL, "NAME",
     "export: the tensor's name in a safetensors file."},
    {"vocab", CONF_STRING, AT(vocab), NULL, 0, 0, NULL, "FILE",
     "export: words of the ids, one a line; without it a row's word is its id in figures."},
};

rh_status ckpt_tool_path(const char *path, struct ckpt_io **io, char name[CKPT_NAME_MAX + 1]) {
    char *copy = strdup(path);
    if (copy == NULL)
        return err_set(RH_ENOMEM, "no memory for a path");
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/')
        copy[--n] = '\0';
    char *slash = strrchr(copy, '/');
    const char *base = slash == NULL ? copy : slash + 1;
    rh_status st = ckpt_check_name(base);
    if (st == RH_OK) {
        memcpy(name, base, strlen(base) + 1);
        if (slash != NULL)
            slash[slash == copy] = '\0';
        st = ckpt_io_beneath(slash == NULL ? "." : copy, io);
    }
    free(copy);
    return st;
}

void ckpt_tool_progress(const char *what, uint64_t done, uint64_t total) {
    enum { WIDTH = 40 };
    static int last = -1; /* of this process' one terminal */
    int now = total == 0 ? WIDTH : (int)((double)done / (double)total * WIDTH);
    if (!isatty(STDERR_FILENO) || (now == last && done != total))
        return;
    last = now;
    fprintf(stderr, "\r%s [%.*s%*s] %3d%%%s", what, now, "########################################",
            WIDTH - now, "", now * 100 / WIDTH, done == total ? "\n" : "");
}

static rh_status print_json(json_t *o) {
    int bad = o == NULL || json_dumpf(o, stdout, JSON_INDENT(2)) != 0;
    json_decref(o);
    if (bad)
        return err_set(RH_ENOMEM, "no memory for the JSON, or nowhere to print it");
    putchar('\n');
    return RH_OK;
}

/* ---- list ---- */

static void print_when(uint64_t unix_ms, char out[32]) {
    time_t t = (time_t)(unix_ms / 1000);
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        strcpy(out, "?");
}

static rh_status list(const char *dir, bool json) {
    struct ckpt_io *io;
    struct ckpt_seen *all;
    uint32_t n;
    rh_status st = ckpt_io_beneath(dir, &io);
    if (st != RH_OK)
        return st;
    st = ckpt_list(io, &all, &n);
    ckpt_io_free(&io);
    if (st != RH_OK)
        return st;
    json_t *a = json_array();
    if (!json)
        printf("%-24s %10s %-20s %12s %6s %6s %14s %16s\n", "name", "generation", "saved (UTC)",
               "clock", "tables", "shards", "rows", "bytes");
    for (uint32_t i = 0; i < n; i++) {
        const struct ckpt_seen *s = &all[i];
        char when[32];
        print_when(s->saved_unix_ms, when);
        json_array_append_new(a, json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
                                           s->name, "good", s->status == RH_OK, "generation",
                                           (json_int_t)s->generation, "saved_unix_ms",
                                           (json_int_t)s->saved_unix_ms, "clock",
                                           (json_int_t)s->clock, "tables", (json_int_t)s->tables,
                                           "shards", (json_int_t)s->shards, "rows",
                                           (json_int_t)s->rows, "bytes", (json_int_t)s->bytes));
        if (!json && s->status != RH_OK)
            printf("%-24s %s\n", s->name, status_text(s->status));
        else if (!json)
            printf("%-24s %10" PRIu64 " %-20s %12" PRIu64 " %6" PRIu32 " %6" PRIu32 " %14" PRIu64
                   " %16" PRIu64 "\n",
                   s->name, s->generation, when, s->clock, s->tables, s->shards, s->rows, s->bytes);
    }
    free(all);
    if (json)
        return print_json(a);
    json_decref(a);
    return RH_OK;
}

/* ---- verify ---- */

struct far {
    uint64_t done, total;
};

static void grow(void *arg, uint64_t bytes) {
    struct far *f = arg;
    f->done += bytes;
    ckpt_tool_progress("verifying", f->done, f->total);
}

/* Every byte, and that the rows can be put together: a restore onto one shard knows no more. */
static rh_status verify(struct ckpt_tool *t) {
    struct far f = {0};
    uint64_t rows = 0;
    rh_status st = RH_OK;
    for (uint32_t i = 0; i < t->m.shards; i++)
        f.total += t->m.files[i].bytes;
    for (uint32_t i = 0; st == RH_OK && i < t->m.shards; i++) {
        struct ckpt_reader *r = NULL;
        st = ckpt_reader_open(&t->folder, &t->m, i, &r);
        if (st == RH_OK)
            st = ckpt_reader_verify(r, grow, &f);
        ckpt_reader_close(&r);
        rows += t->m.files[i].rows;
    }
    if (st != RH_OK)
        return st;
    if (t->set->json)
        return print_json(json_pack("{s:s, s:b, s:I, s:I, s:I}", "name", t->name, "good", 1,
                                    "files", (json_int_t)t->m.shards, "rows", (json_int_t)rows,
                                    "bytes", (json_int_t)f.total));
    printf("%s is whole: %" PRIu32 " file%s, %" PRIu64 " rows, %" PRIu64 " bytes\n", t->name,
           t->m.shards, t->m.shards == 1 ? "" : "s", rows, f.total);
    return RH_OK;
}

/* ---- the line ---- */

static rh_status on_checkpoint(const char *action, const char *path, const char *table,
                               const struct ckpt_tool_settings *set) {
    struct ckpt_tool t = {.set = set, .folder.fd = -2};
    rh_status st = ckpt_tool_path(path, &t.io, t.name);
    if (st != RH_OK)
        return st;
    st = ckpt_open(t.io, t.name, &t.folder, &t.m);
    if (st == RH_OK && strcmp(action, "inspect") == 0)
        st = ckpt_tool_inspect(&t);
    else if (st == RH_OK && strcmp(action, "verify") == 0)
        st = verify(&t);
    else if (st == RH_OK && strcmp(action, "reshard") == 0)
        st = ckpt_tool_reshard(&t);
    else if (st == RH_OK)
        st = ckpt_tool_export(&t, table);
    ckpt_manifest_fini(&t.m);
    ckpt_drop(&t.folder);
    ckpt_io_free(&t.io);
    return st;
}

/* words[0] is the action. */
static rh_status act(char **words, int n, const struct ckpt_tool_settings *set) {
    static const char *const actions[] = {"list", "inspect", "verify", "reshard", "export"};
    enum { N = sizeof actions / sizeof *actions };
    int i = 0;
    while (n > 0 && i < N && strcmp(words[0], actions[i]) != 0)
        i++;
    if (n == 0 || i == N)
        return err_set(RH_EINVAL,
                       "which of list, inspect, verify, reshard, export, save and restore? "
                       "See --help");
    if (n != (i == 4 ? 3 : 2))
        return err_set(RH_EINVAL, "%s takes %s", words[0],
                       i == 0   ? "the folder of checkpoints"
                       : i == 4 ? "a checkpoint, DIR/NAME, and a table's name"
                                : "a checkpoint, DIR/NAME");
    return i == 0 ? list(words[1], set->json) : on_checkpoint(words[0], words[1], words[2], set);
}

int ckpt_tool_main(int argc, char **argv) {
    struct conf conf = {
        .program = "rowhouse ckpt",
        .usage = "list DIR | inspect|verify DIR/NAME | reshard DIR/NAME --shards M --to DIR/NAME | "
                 "export DIR/NAME TABLE --output FILE | save|restore NAME --servers ADDRESSES",
        .about = "Looks at checkpoints, without any server: what there is and what is in one, "
                 "whether every byte is as it was written; rewrites one for another number of "
                 "shards, and a table of one as a file of vectors. save and restore are for a live "
                 "job: rowhouse ckpt save --help.",
        .items = items,
        .n_items = sizeof items / sizeof *items};
    struct ckpt_tool_settings set;
    int words = 0;
    argc--;
    argv++; /* --ckpt stands for the program */
    if (conf_wants_help(argc, argv)) {
        conf_help(&conf, stdout);
        return 0;
    }
    rh_status st = conf_defaults(&conf, &set);
    if (st == RH_OK)
        st = conf_args(&conf, argc, argv, &set, &words);
    if (st == RH_OK)
        st = act(argv + 1, words, &set);
    if (st == RH_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = err_set(RH_EIO, "cannot write to standard output");
    if (st != RH_OK)
        fprintf(stderr, "rowhouse ckpt: %s\n", err_text());
    conf_fini(&conf);
    return st == RH_OK ? 0 : st == RH_EINVAL ? 2 : 1;
}
