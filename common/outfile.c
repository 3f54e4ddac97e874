/* outfile.c - see outfile.h. */
#include "common/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

enum { TMP_TRIES = 100, BUFFER_BYTES = 1 << 18 };

/* path.PID.tmp, made by this call: a name that is taken belongs to another writer in this process,
 * or to one that was killed and had our number (in containers numbers repeat), so the next is
 * path.PID.1.tmp. */
static int open_tmp(const char *path, char **tmp) {
    for (int try = 0; try < TMP_TRIES; try++) {
        char infix[16] = "";
        if (try > 0)
            snprintf(infix, sizeof infix, ".%d", try);
        if (asprintf(tmp, "%s.%ld%s.tmp", path, (long)getpid(), infix) < 0) {
            *tmp = NULL;
            errno = ENOMEM;
            return -1;
        }
        int fd = open(*tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
        free(*tmp);
        *tmp = NULL;
    }
    errno = EEXIST;
    return -1;
}

rh_status outfile_create(struct outfile *o, const char *path) {
    *o = (struct outfile){0};
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return err_set(RH_EINVAL, "%s is there and is no regular file: it cannot be replaced",
                       path);
    int fd = -1;
    o->path = strdup(path);
    if (o->path != NULL)
        fd = open_tmp(path, &o->tmp);
    else
        errno = ENOMEM;
    if (fd < 0)
        goto fail;
    o->f = fdopen(fd, "w");
    if (o->f == NULL) {
        int why = errno;
        close(fd);
        unlink(o->tmp);
        errno = why;
        goto fail;
    }
    setvbuf(o->f, NULL, _IOFBF, BUFFER_BYTES);
    return RH_OK;
fail:
    err_sys(RH_EIO, "cannot create %s", o->tmp != NULL ? o->tmp : path);
    free(o->path);
    free(o->tmp);
    *o = (struct outfile){0};
    return RH_EIO;
}

rh_status outfile_write(struct outfile *o, const void *p, size_t len_bytes) {
    if (o->failed == 0 && fwrite(p, 1, len_bytes, o->f) != len_bytes)
        o->failed = errno != 0 ? errno : EIO;
    if (o->failed == 0)
        return RH_OK;
    errno = o->failed;
    return err_sys(RH_EIO, "cannot write %s", o->tmp);
}

static bool sync_folder_of(const char *path) {
    char *copy = strdup(path);
    int fd = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(copy);
    if (fd < 0)
        return false;
    /* EINVAL: a file system whose folders cannot be synced, and have nothing to sync. */
    bool synced = fsync(fd) == 0 || errno == EINVAL;
    int why = errno;
    close(fd);
    errno = why;
    return synced;
}

/* NULL, or the step that failed, with errno. */
static const char *put_in_place(struct outfile *o) {
    if (o->failed != 0) {
        errno = o->failed;
        return "write";
    }
    if (fflush(o->f) != 0)
        return "write";
    if (fsync(fileno(o->f)) != 0)
        return "sync";
    FILE *f = o->f;
    o->f = NULL;
    if (fclose(f) != 0)
        return "close";
    if (rename(o->tmp, o->path) != 0)
        return "rename";
    free(o->tmp);
    o->tmp = NULL;
    return sync_folder_of(o->path) ? NULL : "sync the folder of";
}

rh_status outfile_commit(struct outfile *o) {
    const char *step = put_in_place(o);
    if (step != NULL)
        err_sys(RH_EIO, "cannot %s %s", step, o->tmp != NULL ? o->tmp : o->path);
    outfile_abandon(o);
    return step == NULL ? RH_OK : RH_EIO;
}

void outfile_abandon(struct outfile *o) {
    if (o->f != NULL)
        fclose(o->f);
    if (o->tmp != NULL)
        unlink(o->tmp);
    free(o->path);
    free(o->tmp);
    *o = (struct outfile){0};
}
