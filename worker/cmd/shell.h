/* shell.h - words as a shell reads them back: lines that a person may copy, files that one sources. */
#ifndef WORKER_CMD_SHELL_H
#define WORKER_CMD_SHELL_H

#include <stdio.h>

/* The word, in quotes where it needs them. */
void shell_put(FILE *to, const char *word);

#endif
