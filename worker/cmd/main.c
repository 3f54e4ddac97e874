/* main.c - the `rowhouse` command: finds the subcommand and steps aside. */
#include <stdio.h>
#include <string.h>

#include "worker/rowhouse.h"

#include "worker/cmd/cmd.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} COMMANDS[] = {
    {"run", cmd_run, "runs a job: servers, and copies of a program as workers"},
    {"status", cmd_status, "how the servers of a live job are"},
    {"tables", cmd_tables, "the tables of a live job"},
    {"export", cmd_export, "saves a table of a live job to a file, in any format"},
    {"import", cmd_import, "loads a file into a table, before its workers start"},
    {"freeze", cmd_freeze, "freezes a table of a live job, or rows of it"},
    {"unfreeze", cmd_unfreeze, "lets them learn again"},
    {"ckpt", cmd_ckpt,
     "saves a live job; looks at checkpoints, verifies, reshards and exports them"},
    {"nearest", cmd_nearest, "the nearest neighbours of words, in a file of vectors"},
    {"eval", cmd_eval, "how well a file of vectors agrees with people on pairs of words"},
};
enum { N_COMMANDS = sizeof COMMANDS / sizeof COMMANDS[0] };

static int help(FILE *to) {
    fputs("usage: rowhouse COMMAND [arguments]\n\n"
          "Embedding tables that outgrow one machine: runs jobs, looks at them, and at what they "
          "have learned.\n\n",
          to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    fputs("\nrowhouse COMMAND --help tells more, rowhouse --version which one this is.\n"
          "It exits with 0 when all went well, 1 when something failed, 2 for wrong usage, and 3 "
          "when nobody answers.\n",
          to);
    return CMD_OK;
}

static int unknown(const char *word) {
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = COMMANDS[i].name;
    const char *meant = conf_did_you_mean(word, names, N_COMMANDS);
    if (meant)
        fprintf(stderr, "rowhouse: no command '%s'; did you mean %s?\n", word, meant);
    else
        fprintf(stderr, "rowhouse: no command '%s'; rowhouse --help lists them\n", word);
    return CMD_USAGE;
}

static int is_any(const char *word, const char *a, const char *b) {
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        help(stderr);
        return CMD_USAGE;
    }
    if (is_any(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0)
        return help(stdout);
    if (is_any(argv[1], "--version", "-V")) {
        printf("rowhouse %s\n", rh_version());
        return CMD_OK;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
