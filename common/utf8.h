/* utf8.h - whether bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. Any
 * thread. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>

enum utf8 {
    UTF8_GOOD,
    UTF8_CUT, /* good but for its last character, which lacks its end */
    UTF8_BAD
};

enum utf8 utf8_check(const void *p, size_t len_bytes);

#endif
