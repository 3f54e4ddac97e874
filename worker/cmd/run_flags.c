/* run_flags.c - see run_flags.h. All else about checkpoints the servers say themselves. */
#include "worker/cmd/run_flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

#define DIR_FLAG "--checkpoint-dir"

/* Where the last --name stands, and its value: behind "=", or in the next word. NULL: it is not
 * given. */
static char **find(char **flags, const char *name, const char **value) {
    char **at = NULL;
    size_t len = strlen(name);
    *value = NULL;
    for (; *flags != NULL; flags++) {
        bool whole = strcmp(*flags, name) == 0 && flags[1] != NULL;
        if (!whole && (strncmp(*flags, name, len) != 0 || (*flags)[len] != '='))
            continue;
        at = flags;
        *value = whole ? flags[1] : *flags + len + 1;
        flags += whole;
    }
    return at;
}

static bool is_read_only(char **flags) {
    for (; *flags != NULL; flags++)
        if (strcmp(*flags, "--read-only") == 0)
            return true;
    return false;
}

/* What no server could begin with, whatever is on its disk. */
static rh_status check(char **flags, const char *dir, const char *restore) {
    const char *file;
    if (find(flags, "--config", &file) != NULL)
        return RH_OK; /* the rest may stand there: the servers will say */
    if (restore != NULL && dir == NULL)
        return err_set(RH_EINVAL, "--restore %s: where from? Give --checkpoint-dir DIR, before --",
                       restore);
    if (restore == NULL && is_read_only(flags))
        return err_set(RH_EINVAL, "--read-only serves a checkpoint and takes nothing: which one? "
                                  "Give --restore NAME, before --");
    return RH_OK;
}

static rh_status look(const char *dir, const char *name) {
    struct stat st;
    char path[4096];
    bool one = strcmp(name, "latest") != 0 && strchr(name, '/') == NULL;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(RH_EINVAL, "--restore %s: %s is no folder", name, dir);
    if (one && snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path &&
        stat(path, &st) != 0 && errno == ENOENT)
        return err_set(RH_ENOTFOUND, "--restore %s: there is no checkpoint \"%s\" in %s", name,
                       name, dir);
    return RH_OK;
}

/* mpirun starts the ranks where it was started itself, if such a place is there; else elsewhere. */
static rh_status make_flag(const char *dir, char **made) {
    char *here = dir[0] == '/' ? NULL : getcwd(NULL, 0);
    if (dir[0] != '/' && here == NULL)
        return err_sys(RH_EIO, "cannot tell which folder %s is", dir);
    int n =
        asprintf(made, DIR_FLAG "=%s%s%s", here == NULL ? "" : here, here == NULL ? "" : "/", dir);
    free(here);
    if (n >= 0)
        return RH_OK;
    *made = NULL;
    return err_set(RH_ENOMEM, "no memory for the flag of a folder");
}

/* In place of what stands at `at` (NULL: behind all), in one word. */
static void put_flag(char **flags, char **at, char *made) {
    if (at == NULL)
        for (at = flags; *at != NULL; at++)
            ;
    bool two = *at != NULL && strcmp(*at, DIR_FLAG) == 0;
    *at = made;
    while (two && *++at != NULL)
        *at = at[1];
}

rh_status run_flags_settle(char **flags, bool here, char **made) {
    const char *dir, *restore;
    char **at = find(flags, DIR_FLAG, &dir);
    if (at == NULL)
        dir = getenv("RH_CHECKPOINT_DIR");
    if (dir != NULL && *dir == '\0')
        dir = NULL;
    find(flags, "--restore", &restore);
    rh_status st = check(flags, dir, restore);
    if (st != RH_OK || dir == NULL)
        return st;
    st = make_flag(dir, made);
    if (st != RH_OK)
        return st;
    put_flag(flags, at, *made);
    return here && restore != NULL ? look(*made + strlen(DIR_FLAG "="), restore) : RH_OK;
}
