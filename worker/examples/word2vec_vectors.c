/* word2vec_vectors.c - see word2vec_vectors.h. */
#include "worker/examples/word2vec_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/examples/word2vec_status.h"

#include "common/err.h"

rh_status vectors_check(const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(RH_EINVAL, "%s: -output has to name a file, and this is none", path);
    char *trial = NULL;
    if (asprintf(&trial, "%s.XXXXXX", path) < 0)
        return err_set(RH_ENOMEM, "no memory for a file name");
    int fd = mkstemp(trial);
    rh_status s = fd < 0 ? err_sys(RH_EIO, "%s: cannot write the vectors there", path) : RH_OK;
    if (fd >= 0) {
        close(fd);
        unlink(trial);
    }
    free(trial);
    return s;
}

rh_status vectors_write(rh_table *t, const struct vocab *v, const char *path) {
    const char **words = malloc(v->n * sizeof *words);
    if (!words)
        return err_set(RH_ENOMEM, "no memory for a list of %u words", v->n);
    for (uint32_t i = 0; i < v->n; i++)
        words[i] = vocab_word(v, i);
    rh_export_options o = {.size = sizeof o, .format = RH_FORMAT_W2V, .n = v->n, .words = words};
    rh_status s = from_library(rh_export(t, path, &o));
    free(words);
    return s;
}
