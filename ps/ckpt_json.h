/* ckpt_json.h - how MANIFEST.json begins; for the two files that write and read it. */
#ifndef PS_CKPT_JSON_H
#define PS_CKPT_JSON_H

#define CKPT_SUM_BEGIN "{\"xxh3_128\":\""
#define CKPT_SUM_END   "\",\n"
enum { CKPT_SUM_DIGITS = 32, CKPT_SUM_HEAD = 48 };
_Static_assert(sizeof CKPT_SUM_BEGIN - 1 + CKPT_SUM_DIGITS + sizeof CKPT_SUM_END - 1 ==
                   CKPT_SUM_HEAD,
               "CHECKPOINT.md, section 2");

#endif
