/* journal_read.c - one segment of a journal, record by record, and what stands behind the last whole one:
 * the torn end of a write, or damage. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ps/journal_inner.h"

enum { WINDOW_BYTES = 4 << 20 };

static struct ckpt_fd root_of(struct ckpt_io *io) {
    struct ckpt_fd root = {.io = io, .fd = CKPT_ROOT};
    size_t n = strlen(io->root);
    n = n < sizeof root.name ? n : sizeof root.name - 1;
    memcpy(root.name, io->root, n);
    return root;
}

rh_status journal_reader_open(struct ckpt_io *io, const char *name, struct journal_reader *r) {
    uint8_t head[JOURNAL_HEAD];
    const struct ckpt_fd root = root_of(io);
    *r = (struct journal_reader){.at = JOURNAL_HEAD, .file = {.fd = -2}};
    rh_status st = ckpt_open_file(&root, name, CKPT_READ, &r->file);
    if (st == RH_OK)
        st = ckpt_size(&r->file, &r->size);
    if (st == RH_OK)
        st = ckpt_read(&r->file, head, sizeof head, 0);
    if (st == RH_OK)
        st = journal_head_get(head, r->file.name, &r->head);
    if (st != RH_OK)
        journal_reader_close(r);
    return st;
}

void journal_reader_close(struct journal_reader *r) {
    ckpt_drop(&r->file);
    free(r->p);
    r->p = NULL;
}

/* n bytes at `at`, which the file has. */
static rh_status window(struct journal_reader *r, uint64_t at, uint64_t n, const uint8_t **out) {
    if (at < r->from || at + n > r->from + r->n) {
        uint64_t most = r->size - at < WINDOW_BYTES ? r->size - at : WINDOW_BYTES;
        size_t want = (size_t)(n > most ? n : most);
        if (want > r->cap) {
            uint8_t *p = realloc(r->p, want);
            if (p == NULL)
                return err_set(RH_ENOMEM, "no memory to read %s", r->file.name);
            r->p = p;
            r->cap = want;
        }
        r->n = 0;
        rh_status st = ckpt_read(&r->file, r->p, want, at);
        if (st != RH_OK)
            return st;
        r->from = at;
        r->n = want;
    }
    *out = r->p + (at - r->from);
    return RH_OK;
}

/* The record at `at`, if all of one is there. *head: its head is. */
static rh_status record_at(struct journal_reader *r, uint64_t at, uint64_t end,
                           struct journal_record *out, const uint8_t **p, bool *head, bool *is) {
    *head = *is = false;
    if (end - at < JOURNAL_RECORD)
        return RH_OK;
    rh_status st = window(r, at, JOURNAL_RECORD, p);
    *head = st == RH_OK && journal_record_get(*p, r->head.sum, out);
    if (!*head || out->len > end - at - JOURNAL_RECORD)
        return st;
    st = window(r, at, JOURNAL_RECORD + (uint64_t)out->len, p);
    *is = st == RH_OK && journal_record_is_whole(*p, out, r->head.sum);
    return st;
}

rh_status journal_next(struct journal_reader *r, uint64_t end, struct journal_record *out,
                       const uint8_t **payload, bool *is) {
    const uint8_t *p = NULL;
    bool head;
    rh_status st = record_at(r, r->at, end, out, &p, &head, is);
    if (st != RH_OK || !*is)
        return st;
    if (out->number != r->number)
        return err_set(RH_ECORRUPT,
                       "%s is damaged: record %" PRIu64 " at byte %" PRIu64 " is number %" PRIu64,
                       r->file.name, r->number, r->at, out->number);
    *payload = p + JOURNAL_RECORD;
    r->at += JOURNAL_RECORD + out->len;
    r->number++;
    return RH_OK;
}

rh_status journal_tail(struct journal_reader *r, struct journal_tail *out) {
    const uint64_t left = r->size - r->at;
    struct journal_record is;
    const uint8_t *p;
    bool head, whole;
    rh_status st = record_at(r, r->at, r->size, &is, &p, &head, &whole);
    *out = (struct journal_tail){.bytes = left};
    out->torn = left < JOURNAL_RECORD || (head && is.len > left - JOURNAL_RECORD);
    for (uint64_t at = r->at + 1; st == RH_OK && at < r->size;) {
        st = record_at(r, at, r->size, &is, &p, &head, &whole);
        at += st == RH_OK && whole ? JOURNAL_RECORD + (uint64_t)is.len : 1;
        if (st != RH_OK || !whole)
            continue;
        out->whole++;
        out->synced = is.synced > out->synced ? is.synced : out->synced;
    }
    return st;
}
