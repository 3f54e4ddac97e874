/* word2vec_text.h - a text file as words, in parts that every worker finds by itself. A word is
 * what stands between white space; upper and lower case, commas and accents are left as they are.
 */
#ifndef EXAMPLES_WORD2VEC_TEXT_H
#define EXAMPLES_WORD2VEC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/rowhouse.h"

#include "common/status.h"

enum {
    TEXT_WORD_MAX = 100,      /* longer "words" are addresses or tables: they are left out */
    TEXT_BLOCK = 64 << 10,    /* so long without white space, and it is no text */
    TEXT_LINE_LOOK = 4 << 10, /* how far a cut looks for the end of a line */
    TEXT_START = 4 << 10
};

/* An open file. Any number of readers, in any threads. */
struct text {
    const char *path; /* the caller's */
    int fd;
    uint64_t size_bytes;
    uint64_t start_hash; /* of the first TEXT_START bytes */
};

/* RH_ENOTFOUND, RH_EIO; RH_EINVAL for what is no file, or has no bytes. */
rh_status text_open(const char *path, struct text *out) MUST_CHECK;
void text_close(struct text *t);

/*
 * Where part `part` of `parts` begins; part `parts` begins at the end of the file. The cut is at
 * the first line that begins in the part; in a line that goes on for more than TEXT_LINE_LOOK, at
 * the next word. It depends on the file and the numbers alone, so every byte is in exactly one part
 * without a word between the workers.
 */
rh_status text_cut(const struct text *t, uint64_t part, uint64_t parts, uint64_t *out) MUST_CHECK;

struct text_word {
    const char *p; /* not 0-terminated; until the next text_next */
    size_t len;
    bool opens_line; /* the first word of a line, or of the range */
};

struct text_reader {
    const struct text *text;
    uint64_t at, end; /* the bytes of the range that are still in the file */
    char *block;      /* (TEXT_BLOCK) what was read; [pos, len) is still to be given out */
    size_t pos, len;
    bool line_opened;
    uint64_t too_long; /* words left out so far */
    rh_status status;  /* why text_next said false: RH_OK at the end */
};

rh_status text_reader_init(struct text_reader *r, const struct text *t) MUST_CHECK;
void text_reader_fini(struct text_reader *r);

/* Bytes [begin, end) come next. */
void text_seek(struct text_reader *r, uint64_t begin, uint64_t end);

/* The next word, or false: at the end of the range, or because of r->status (RH_EIO; RH_EINVAL for
 * zero bytes and for a run without white space). */
bool text_next(struct text_reader *r, struct text_word *out);

#endif
