/* conf_help.c - the table of settings as text: --help for people, "name = value" for conf_file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/conf_inner.h"

enum { COLUMNS = 80, HELP_COLUMN = 26 };

/* Words of text, each line beginning at column indent; the first continues at column at. */
static void put_wrapped(FILE *to, const char *text, int at, int indent) {
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        int space = at > indent;
        if (space && at + space + len > COLUMNS) {
            fputc('\n', to);
            at = 0;
            space = 0;
        }
        int pad = at < indent ? indent - at : space;
        fprintf(to, "%*s%.*s", pad, "", len, text);
        at += pad + len;
        text += len;
        text += strspn(text, " ");
    }
}

/* The help of an item, then "[default 7700, from 1 to 65535, RH_PORT]" where there is such. */
static void put_help(const struct conf_item *item, FILE *to, int at) {
    char bounds[CONF_BOUNDS_MAX];
    conf_bounds(item, bounds);
    bool off = item->type == CONF_BOOL && item->initial != NULL && strcmp(item->initial, "no") == 0;
    const char *before = " [";
    struct buf text;
    buf_init(&text, 8192);
    buf_printf(&text, "%s", item->help);
    if (item->initial != NULL && item->initial[0] != '\0' && !off) {
        buf_printf(&text, "%sdefault %s", before, item->initial);
        before = ", ";
    }
    if (bounds[0] != '\0') {
        buf_printf(&text, "%s%s", before, bounds + 1);
        before = ", ";
    }
    if (item->env != NULL) {
        buf_printf(&text, "%s%s", before, item->env);
        before = ", ";
    }
    if (before[0] == ',')
        buf_put_u8(&text, ']');
    buf_put_u8(&text, '\0');
    put_wrapped(to, text.bad ? item->help : (const char *)text.p, at, HELP_COLUMN);
    fputc('\n', to);
    buf_fini(&text);
}

static void put_flag(const struct conf *c, const struct conf_item *item, FILE *to) {
    bool on = item->type == CONF_BOOL && item->initial != NULL && strcmp(item->initial, "yes") == 0;
    int at = fprintf(to, "  %s%s%s%s%s", c->single_dash ? "-" : "--", on ? "[no-]" : "", item->name,
                     item->value != NULL ? " " : "", item->value != NULL ? item->value : "");
    if (at > HELP_COLUMN - 2) {
        fputc('\n', to);
        at = 0;
    }
    put_help(item, to, at);
}

void conf_help(const struct conf *c, FILE *to) {
    fprintf(to, "usage: %s %s\n\n", c->program, c->usage);
    put_wrapped(to, c->about, 0, 0);
    fputs("\n\n", to);
    bool environment = false;
    for (size_t i = 0; i < c->n_items; i++) {
        const struct conf_item *item = &c->items[i];
        environment = environment || item->env != NULL;
        if (item->type == CONF_SECTION)
            fprintf(to, "%s%s\n", i > 0 ? "\n" : "", item->help);
        else
            put_flag(c, item, to);
    }
    if (environment)
        fputs("\nA flag beats the environment variable that is named behind it.\n", to);
    if (c->single_dash)
        fputs("\nFlags may be written with one dash or with two.\n", to);
}

/* The shortest of two spellings that is read back as the same number. */
static void put_real(double v, FILE *to) {
    char text[32];
    snprintf(text, sizeof text, "%.15g", v);
    if (strtod(text, NULL) != v)
        snprintf(text, sizeof text, "%.17g", v);
    fputs(text, to);
}

void conf_print(const struct conf *c, const void *settings, FILE *to) {
    for (size_t i = 0; i < c->n_items; i++) {
        const struct conf_item *item = &c->items[i];
        const void *field = (const char *)settings + item->offset;
        const char *text = item->type == CONF_STRING ? *(const char *const *)field : "";
        if (item->type == CONF_SECTION)
            continue;
        fprintf(to, text != NULL ? "%s = " : "# %s is not set", item->name);
        if (item->type == CONF_BOOL)
            fputs(*(const int *)field ? "yes" : "no", to);
        else if (item->type == CONF_INT)
            fprintf(to, "%" PRId64, *(const int64_t *)field);
        else if (item->type == CONF_REAL)
            put_real(*(const double *)field, to);
        else if (text != NULL)
            fputs(text, to);
        fputc('\n', to);
    }
}
