/* ckpt.c - `rowhouse ckpt`: save and restore ask the servers of a live job; for the rest it steps aside
 * for rowhouse-server's tool mode, which knows the files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/cmd/cmd.h"

static int step_aside(int argc, char **argv) {
    char server[4096];
    char **line = calloc((size_t)argc + 2, sizeof *line);
    if (line == NULL || !cmd_find_server(server, sizeof server)) {
        fputs("rowhouse ckpt: rowhouse-server is not beside this program: they belong together\n",
              stderr);
        free(line);
        return CMD_FAILED;
    }
    line[0] = server;
    line[1] = "--ckpt";
    for (int i = 1; i < argc; i++)
        line[i + 1] = argv[i];
    execv(server, line);
    perror("rowhouse ckpt: rowhouse-server cannot be run");
    free(line);
    return CMD_FAILED;
}

int cmd_ckpt(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "save") == 0)
        return cmd_ckpt_save(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return cmd_ckpt_restore(argc - 1, argv + 1);
    return step_aside(argc, argv);
}
