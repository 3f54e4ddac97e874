/* cmd.h - the subcommands of `rowhouse`, and what they begin and end with. Each is called with its
 * own name as argv[0] and returns what the process exits with. */
#ifndef WORKER_CMD_CMD_H
#define WORKER_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/status.h"

enum cmd_exit { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2, CMD_UNREACHABLE = 3 };

int cmd_ckpt(int argc, char **argv);
int cmd_ckpt_restore(int argc, char **argv);
int cmd_ckpt_save(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_freeze(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_nearest(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_tables(int argc, char **argv);
int cmd_unfreeze(int argc, char **argv);

/* Reads the flags into settings. True: go on, with n_words words from argv[1] on, and call cmd_end.
 * False: help or an error was printed, and *code is what to return. */
bool cmd_begin(struct conf *c, int argc, char **argv, void *settings, int *n_words, int *code);

/* The arguments make no sense: prints why and frees the conf. The exit code. */
int cmd_misused(struct conf *c, const char *why);

/* Prints what went wrong, if status says so, and frees the conf. The exit code. */
int cmd_end(struct conf *c, rh_status status);

/* The path of rowhouse-server, which lies beside us; false if it does not. */
bool cmd_find_server(char *out, size_t cap);

#endif
