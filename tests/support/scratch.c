/* scratch.c - see scratch.h. */
#include "tests/support/scratch.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *folder, *home;

void scratch_enter(void) {
    const char *where = getenv("TMPDIR");
    home = getcwd(NULL, 0);
    ck_assert_ptr_nonnull(home);
    ck_assert_int_gt(asprintf(&folder, "%s/rowhouse-unit-XXXXXX", where != NULL ? where : "/tmp"),
                     0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

/* Calls with(name) for each entry of the folder. */
static int each(int (*with)(const char *name)) {
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            n += with(e->d_name);
    closedir(d);
    return n;
}

static int count(const char *name) {
    (void)name;
    return 1;
}

void scratch_leave(void) {
    each(remove);
    ck_assert_int_eq(chdir(home), 0);
    rmdir(folder);
    free(folder);
    free(home);
}

int scratch_count(void) {
    return each(count);
}

void scratch_file(const char *name, const void *bytes, size_t len) {
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

void scratch_text(const char *name, const char *text) {
    scratch_file(name, text, strlen(text));
}

char *scratch_read(const char *name, size_t *len) {
    FILE *f = fopen(name, "r");
    if (f == NULL)
        return NULL;
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(n + 1);
    ck_assert_uint_eq(fread(bytes, 1, n, f), n);
    bytes[n] = '\0';
    fclose(f);
    if (len != NULL)
        *len = n;
    return bytes;
}
