/* scratch.h - a folder for the files of one test. As a checked fixture: scratch_enter makes it,
 * beneath TMPDIR, and goes there, so that tests name files plainly; scratch_leave takes it away. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

void scratch_enter(void);
void scratch_leave(void);

/* A file with just these bytes. */
void scratch_file(const char *name, const void *bytes, size_t len);
void scratch_text(const char *name, const char *text);

/* The bytes of a file, with a 0 behind them, to be freed; NULL if there is none. len may be
 * NULL. */
char *scratch_read(const char *name, size_t *len);

/* How many files there are. */
int scratch_count(void);

#endif
