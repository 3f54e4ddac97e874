/* conf.c - see conf.h. Bottom up: one value, the environment, a file, the arguments. --help and
 * printing are in conf_help.c, "did you mean" in conf_near.c. */
#include "common/conf.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_inner.h"
#include "common/err.h"

/* ---- one value ---- */

/* The text of a refusal is "must be ..."; callers put in front what was written, and where. */

void conf_bounds(const struct conf_item *item, char out[CONF_BOUNDS_MAX]) {
    out[0] = '\0';
    if (item->low == 0 && item->high == 0)
        return;
    if (isinf(item->high))
        snprintf(out, CONF_BOUNDS_MAX, " at least %.15g", item->low);
    else
        snprintf(out, CONF_BOUNDS_MAX, " from %.15g to %.15g", item->low, item->high);
}

static rh_status check_bounds(const struct conf_item *item, double v) {
    bool bounded = item->low != 0 || item->high != 0;
    if (!bounded || (v >= item->low && v <= item->high))
        return RH_OK;
    char bounds[CONF_BOUNDS_MAX];
    conf_bounds(item, bounds);
    return err_set(RH_EINVAL, "must be%s", bounds);
}

static rh_status no_number(const struct conf_item *item, const char *what) {
    char bounds[CONF_BOUNDS_MAX];
    conf_bounds(item, bounds);
    return err_set(RH_EINVAL, "must be %s%s", what, bounds);
}

static rh_status set_bool(const char *text, int *field) {
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(text, words[i]) == 0) {
            *field = i % 2;
            return RH_OK;
        }
    }
    return err_set(RH_EINVAL, "must be yes or no");
}

/* strtoll and strtod skip spaces, and the latter takes words: a number begins like one. */
static bool begins_as_number(const char *text) {
    return *text != '\0' && strchr("+-.0123456789", *text) != NULL;
}

static rh_status set_int(const struct conf_item *item, const char *text, int64_t *field) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    bool too_large = errno == ERANGE;
    if (!begins_as_number(text) || end == text || *end != '\0')
        return no_number(item, "a whole number");
    rh_status st = check_bounds(item, (double)v);
    if (st == RH_OK && too_large)
        st = no_number(item, "a whole number of 64 bits");
    if (st == RH_OK)
        *field = v;
    return st;
}

static rh_status set_real(const struct conf_item *item, const char *text, double *field) {
    char *end;
    double v = strtod(text, &end);
    if (!begins_as_number(text) || end == text || *end != '\0' || !isfinite(v))
        return no_number(item, "a number");
    rh_status st = check_bounds(item, v);
    if (st == RH_OK)
        *field = v;
    return st;
}

static rh_status set_string(struct conf *c, const char *text, const char **field) {
    char **texts = realloc(c->texts, (c->n_texts + 1) * sizeof *texts);
    if (texts != NULL)
        c->texts = texts;
    char *copy = texts != NULL ? strdup(text) : NULL;
    if (copy == NULL)
        return err_set(RH_ENOMEM, "no memory to keep a setting");
    c->texts[c->n_texts++] = copy;
    *field = copy;
    return RH_OK;
}

static rh_status set_item(struct conf *c, const struct conf_item *item, const char *text,
                          void *out) {
    void *field = (char *)out + item->offset;
    switch (item->type) {
    case CONF_BOOL:
        return set_bool(text, field);
    case CONF_INT:
        return set_int(item, text, field);
    case CONF_REAL:
        return set_real(item, text, field);
    case CONF_STRING:
        return set_string(c, text, field);
    case CONF_SECTION:
        break;
    }
    assert(!"a heading has no value");
    return RH_EINVAL;
}

static const struct conf_item *find(const struct conf *c, const char *name, size_t len) {
    for (size_t i = 0; i < c->n_items; i++) {
        const struct conf_item *item = &c->items[i];
        if (item->type != CONF_SECTION && strlen(item->name) == len &&
            memcmp(item->name, name, len) == 0)
            return item;
    }
    return NULL;
}

/* The name of the setting that is nearest to these len letters, or NULL. */
static const char *nearest(const struct conf *c, const char *name, size_t len) {
    const char *names[CONF_ITEMS_MAX];
    char word[64];
    size_t n = 0;
    for (size_t i = 0; i < c->n_items; i++)
        if (c->items[i].type != CONF_SECTION)
            names[n++] = c->items[i].name;
    if (len >= sizeof word)
        return NULL;
    memcpy(word, name, len);
    word[len] = '\0';
    return conf_did_you_mean(word, names, n);
}

/* ---- defaults and environment ---- */

static void set_nothing(const struct conf_item *item, void *out) {
    void *field = (char *)out + item->offset;
    switch (item->type) {
    case CONF_BOOL:
        *(int *)field = 0;
        break;
    case CONF_INT:
        *(int64_t *)field = 0;
        break;
    case CONF_REAL:
        *(double *)field = 0;
        break;
    case CONF_STRING:
        *(const char **)field = NULL;
        break;
    case CONF_SECTION:
        break;
    }
}

static rh_status read_environment(struct conf *c, void *out) {
    for (size_t i = 0; i < c->n_items; i++) {
        const struct conf_item *item = &c->items[i];
        const char *text = item->env != NULL ? getenv(item->env) : NULL;
        if (text == NULL || text[0] == '\0')
            continue;
        rh_status st = set_item(c, item, text, out);
        if (st != RH_OK)
            return err_in(st, "%s=%s", item->env, text);
    }
    return RH_OK;
}

rh_status conf_defaults(struct conf *c, void *out) {
    assert(c->n_items <= CONF_ITEMS_MAX);
    for (size_t i = 0; i < c->n_items; i++) {
        const struct conf_item *item = &c->items[i];
        set_nothing(item, out);
        if (item->initial == NULL)
            continue;
        rh_status st = set_item(c, item, item->initial, out);
        assert(st == RH_OK || st == RH_ENOMEM);
        if (st != RH_OK)
            return st;
    }
    return read_environment(c, out);
}

/* ---- a file ---- */

struct reading {
    struct conf *c;
    void *out;
    const char *path;
    FILE *f;
    int line;
    rh_status st; /* the first refusal; its text is set */
};

/* inih's way to get a line. It would read a line longer than its memory as two, and an indented one
 * as a continuation of the line above: the first is refused here, the second taken as a line. */
static char *next_line(char *line, int size, void *stream) {
    struct reading *r = stream;
    if (r->st != RH_OK || fgets(line, size, r->f) == NULL)
        return NULL;
    r->line++;
    size_t len = strlen(line);
    if ((len == 0 || line[len - 1] != '\n') && !feof(r->f)) {
        r->st = err_set(RH_EINVAL, "%s:%d: the line is longer than %d bytes, or no text", r->path,
                        r->line, size - 2);
        return NULL;
    }
    size_t blank = strspn(line, " \t");
    memmove(line, line + blank, len - blank + 1);
    return line;
}

static int take_setting(void *user, const char *section, const char *name, const char *value) {
    struct reading *r = user;
    if (r->st != RH_OK)
        return 0;
    const struct conf_item *item = find(r->c, name, strlen(name));
    if (section[0] != '\0') {
        r->st = err_set(RH_EINVAL, "%s:%d: settings stand in no section, and this is in [%s]",
                        r->path, r->line, section);
    } else if (item == NULL) {
        const char *meant = nearest(r->c, name, strlen(name));
        r->st = err_set(RH_EINVAL, "%s:%d: unknown setting %s%s%s%s", r->path, r->line, name,
                        meant != NULL ? "; did you mean " : "", meant != NULL ? meant : "",
                        meant != NULL ? "?" : "");
    } else {
        r->st = set_item(r->c, item, value, r->out);
        if (r->st != RH_OK)
            err_in(r->st, "%s:%d: %s = %s", r->path, r->line, name, value);
    }
    return r->st == RH_OK;
}

rh_status conf_file(struct conf *c, const char *path, void *out) {
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot read settings from %s",
                       path);
    struct reading r = {.c = c, .out = out, .path = path, .f = f};
    int bad_line = ini_parse_stream(next_line, &r, take_setting, &r);
    if (r.st == RH_OK && ferror(f))
        r.st = err_sys(RH_EIO, "cannot read settings from %s", path);
    else if (r.st == RH_OK && bad_line < 0)
        r.st = err_set(RH_ENOMEM, "no memory to read settings from %s", path);
    else if (r.st == RH_OK && bad_line > 0)
        r.st = err_set(RH_EINVAL, "%s:%d: expected name = value", path, bad_line);
    fclose(f);
    return r.st == RH_OK ? read_environment(c, out) : r.st;
}

/* ---- the arguments ---- */

static rh_status unknown_flag(const struct conf *c, const char *flag, size_t dashes, size_t len) {
    const char *meant = nearest(c, flag + dashes, len);
    if (meant == NULL)
        return err_set(RH_EINVAL, "unknown flag %.*s; --help lists those that there are",
                       (int)(dashes + len), flag);
    return err_set(RH_EINVAL, "unknown flag %.*s; did you mean %s%s?", (int)(dashes + len), flag,
                   c->single_dash && dashes == 1 ? "-" : "--", meant);
}

/* The flag at argv[*i], and its value where that is the next argument; moves *i behind them. */
static rh_status take_flag(struct conf *c, char **argv, int *i, void *out) {
    const char *flag = argv[(*i)++];
    size_t dashes = flag[1] == '-' ? 2 : 1;
    const char *name = flag + dashes;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;

    const struct conf_item *item = find(c, name, len), *negated = NULL;
    if (item == NULL && strncmp(name, "no-", 3) == 0)
        negated = find(c, name + 3, len - 3);
    if (negated != NULL && negated->type == CONF_BOOL && value == NULL) {
        item = negated;
        value = "no";
    }
    if (item == NULL || (dashes == 1 && !c->single_dash))
        return unknown_flag(c, flag, dashes, len);

    if (value == NULL && item->type == CONF_BOOL)
        value = "yes";
    else if (value == NULL && argv[*i] != NULL)
        value = argv[(*i)++];
    if (value == NULL)
        return err_set(RH_EINVAL, "%s: a value is missing behind it (%s)", flag,
                       item->value != NULL ? item->value : item->name);
    rh_status st = set_item(c, item, value, out);
    if (st != RH_OK)
        err_in(st, "%.*s%s%s", (int)(dashes + len), flag, item->type == CONF_BOOL ? "=" : " ",
               value);
    return st;
}

/* Takes the flags and counts the words; if collect, also moves these to the front. */
static rh_status walk(struct conf *c, int argc, char **argv, void *out, bool collect,
                      int *n_words) {
    int words = 0, i = 1;
    bool flags = true;
    while (i < argc) {
        const char *arg = argv[i];
        if (flags && strcmp(arg, "--") == 0) {
            flags = false;
            i++;
        } else if (flags && arg[0] == '-' && arg[1] != '\0') {
            rh_status st = take_flag(c, argv, &i, out);
            if (st != RH_OK)
                return st;
        } else {
            flags = flags && !c->stop_at_word;
            words++;
            if (collect)
                argv[words] = argv[i];
            i++;
        }
    }
    if (collect)
        argv[words + 1] = NULL;
    *n_words = words;
    return RH_OK;
}

/* The file that the flags name is weaker than the flags: they are taken once to find it, and again
 * behind it. */
static rh_status read_named_file(struct conf *c, int argc, char **argv, void *out) {
    int words;
    rh_status st = walk(c, argc, argv, out, false, &words);
    const struct conf_item *item = find(c, c->file_item, strlen(c->file_item));
    assert(item != NULL && item->type == CONF_STRING);
    const char *path = *(const char **)((char *)out + item->offset);
    return st == RH_OK && path != NULL ? conf_file(c, path, out) : st;
}

rh_status conf_args(struct conf *c, int argc, char **argv, void *out, int *n_words) {
    rh_status st = c->file_item != NULL ? read_named_file(c, argc, argv, out) : RH_OK;
    return st == RH_OK ? walk(c, argc, argv, out, true, n_words) : st;
}

bool conf_wants_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0 ||
            strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

void conf_fini(struct conf *c) {
    for (size_t i = 0; i < c->n_texts; i++)
        free(c->texts[i]);
    free(c->texts);
    c->texts = NULL;
    c->n_texts = 0;
}
