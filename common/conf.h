/* conf.h - settings: one table per program feeds its flags, environment, settings file, and --help.
 * A flag beats the environment, which beats the file, which beats the default; a default lives
 * once, in the table. For one thread, at the start of a program, in the C locale. Every refusal is
 * RH_EINVAL and names what was written, where, and what may stand there. */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/status.h"

enum { CONF_ITEMS_MAX = 128 };

enum conf_type {
    CONF_BOOL,   /* int field: "--x", "--no-x", "--x=yes|no"; everywhere yes no true false 1 0 */
    CONF_INT,    /* int64_t field, with bounds */
    CONF_REAL,   /* double field, with bounds; never infinite, never NaN */
    CONF_STRING, /* const char * field; the text is kept by the conf */
    CONF_SECTION /* no setting: a heading for --help in `help` */
};

struct conf_item {
    const char *name; /* "op-timeout": the flag is --op-timeout, or -op-timeout if the conf says
                            single_dash */
    enum conf_type type;
    size_t offset;       /* offsetof(struct of the program, field) */
    const char *initial; /* as a user would write it. NULL: none; the field is then NULL or 0 */
    double low, high;  /* bounds of numbers, both inclusive; INFINITY: no upper one; both 0: none */
    const char *env;   /* "RH_OP_TIMEOUT", or NULL. An empty variable counts as none */
    const char *value; /* what --help calls the value: "MS"; NULL for bool */
    const char *help;  /* one or more sentences, wrapped by --help */
};

struct conf {
    const char *program, *usage, *about; /* "rowhouse-server", "[options]", a sentence */
    const struct conf_item *items;
    size_t n_items;    /* at most CONF_ITEMS_MAX */
    bool single_dash;  /* also take -name, as fastText's flags are written */
    bool stop_at_word; /* stop at the first argument that is no flag, instead of collecting words */
    const char *file_item; /* "config": the string item that names a settings file, or NULL */
    /* internals */
    char **texts;
    size_t n_texts;
};

/* Defaults and environment into *out; bad environment is RH_EINVAL naming the variable. A default
 * that its own item refuses is a bug of the table (asserted). */
rh_status conf_defaults(struct conf *c, void *out) MUST_CHECK;

/* An INI file (inih) without sections, "name = value"; refusals name the line. " ;" begins a
 * comment, and so does # or ; at the start of a line. RH_ENOTFOUND, RH_EIO. Call between
 * conf_defaults and conf_args, or leave it to conf_args; what the environment has set stays. */
rh_status conf_file(struct conf *c, const char *path, void *out) MUST_CHECK;

/* argv[0] is skipped, argv[argc] is NULL. Flags may be "--name value" or "--name=value"; "--" ends
 * them; of repeats the last counts. Words that are no flags are moved to the front of argv from
 * argv[1], a NULL behind them, and *n_words counts them. Unknown flags are RH_EINVAL with "did you
 * mean". Reads the file that file_item names, if any, before flags count. --help and --version are
 * no settings: look for them first. */
rh_status conf_args(struct conf *c, int argc, char **argv, void *out, int *n_words) MUST_CHECK;

bool conf_wants_help(int argc, char **argv); /* -h, --help or -help before any "--" */
void conf_help(const struct conf *c, FILE *to);

/* "name = value" lines: what the settings are now, as conf_file reads them. A string that is not
 * set is a comment. */
void conf_print(const struct conf *c, const void *settings, FILE *to);
void conf_fini(struct conf *c); /* frees the texts: string fields die */

/* The candidate closest to word by edit distance, if close enough to be meant; NULL otherwise. */
const char *conf_did_you_mean(const char *word, const char *const *candidates, size_t n);

#endif
