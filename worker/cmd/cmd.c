/* cmd.c - see cmd.h. */
#include "worker/cmd/cmd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"

static int complain(struct conf *c, const char *why, int code) {
    fprintf(stderr, "%s: %s\n", c->program, why);
    conf_fini(c);
    return code;
}

bool cmd_begin(struct conf *c, int argc, char **argv, void *settings, int *n_words, int *code) {
    if (conf_wants_help(argc, argv)) {
        conf_help(c, stdout);
        *code = CMD_OK;
        return false;
    }
    rh_status s = conf_defaults(c, settings);
    if (s == RH_OK)
        s = conf_args(c, argc, argv, settings, n_words);
    if (s != RH_OK)
        *code = complain(c, err_text(), CMD_USAGE);
    return s == RH_OK;
}

int cmd_misused(struct conf *c, const char *why) {
    return complain(c, why, CMD_USAGE);
}

int cmd_end(struct conf *c, rh_status status) {
    if (status == RH_EUNREACHABLE || status == RH_ETIMEDOUT)
        return complain(c, err_text(), CMD_UNREACHABLE);
    if (status != RH_OK)
        return complain(c, err_text(), CMD_FAILED);
    if (fflush(stdout) != 0 || ferror(stdout))
        return complain(c, "cannot write to standard output", CMD_FAILED);
    conf_fini(c);
    return CMD_OK;
}

bool cmd_find_server(char *out, size_t cap) {
    ssize_t n = readlink("/proc/self/exe", out, cap - 1);
    if (n < 0)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL || (size_t)(slash + 1 - out) + sizeof "rowhouse-server" > cap)
        return false;
    strcpy(slash + 1, "rowhouse-server");
    return access(out, X_OK) == 0;
}
