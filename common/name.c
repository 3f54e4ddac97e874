/* name.c - see name.h. */
#include "common/name.h"

#include <string.h>

#include "common/err.h"

rh_status name_check(const char *what, const char *name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strnlen(name, NAME_MAX_BYTES + 1);
    if (n == 0)
        return err_set(RH_EINVAL, "a %s's name is empty", what);
    if (n > NAME_MAX_BYTES)
        return err_set(RH_EINVAL, "%s name \"%.*s...\" is longer than %d characters", what,
                       NAME_MAX_BYTES, name, NAME_MAX_BYTES);
    size_t good = strspn(name, allowed);
    if (good < n)
        return err_set(RH_EINVAL,
                       "%s name \"%s\": character %zu (0x%02x) is none of A-Z a-z 0-9 _ . -", what,
                       name, good + 1, (unsigned char)name[good]);
    return RH_OK;
}
