/* vocab.h - a vocabulary: which id a word has. One word a line, whose id is the line's number counted
 * from 0; or, if the first line has a tab, word<TAB>id on every line. Words are UTF-8 and may hold
 * spaces, LF and CRLF are alike, empty lines at the end do no harm. A word or an id that comes twice
 * is refused. One thread at a time; once open it is only read, so by any. */
#ifndef COMMON_VOCAB_H
#define COMMON_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct vocab_file;

/* Holds the whole file in memory. RH_ENOTFOUND, RH_EIO, RH_ENOMEM; RH_EINVAL for what is no file;
 * RH_ECORRUPT names the line; RH_ELIMIT above 2 GiB. */
rh_status vocab_file_open(const char *path, struct vocab_file **out) MUST_CHECK;
/* The same for a file that is open for reading already; name is for texts. Takes fd in any case. */
rh_status vocab_file_adopt(int fd, const char *name, struct vocab_file **out) MUST_CHECK;
void vocab_file_close(struct vocab_file **v); /* sets *v to NULL; NULL is fine */

const char *vocab_file_name(const struct vocab_file *v); /* the path that it was opened by */

/* Entry i is of line i + 1. */
uint32_t vocab_file_count(const struct vocab_file *v);
const char *vocab_file_word(const struct vocab_file *v, uint32_t i); /* as long as v */
uint64_t vocab_file_id(const struct vocab_file *v, uint32_t i);

/* The entry of a word, or of an id; false if there is none. */
bool vocab_file_find(const struct vocab_file *v, const char *word, uint32_t *i);
bool vocab_file_find_id(const struct vocab_file *v, uint64_t id, uint32_t *i);

#endif
