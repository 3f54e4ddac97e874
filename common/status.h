/* status.h - the one list of statuses: name, number, a few words. Grouped by what to do about them;
 * numbers never change. The public header states the same enum for its readers; worker/errors.c
 * proves at compile time that they agree. */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

#define RH_STATUS_MAP(X)                                    \
    X(RH_OK, 0, "ok")                                       \
    X(RH_EINVAL, 1, "invalid argument")                     \
    X(RH_ERANGE, 2, "id out of range")                      \
    X(RH_EMISMATCH, 3, "exists with other settings")        \
    X(RH_ENOTFOUND, 4, "not found")                         \
    X(RH_ETIMEDOUT, 5, "timed out")                         \
    X(RH_EUNREACHABLE, 6, "nobody answers")                 \
    X(RH_EFENCED, 7, "fenced off by another job or client") \
    X(RH_EROLLBACK, 8, "rolled back to a checkpoint")       \
    X(RH_EPROTO, 9, "protocol broken")                      \
    X(RH_EVERSION, 10, "other protocol version")            \
    X(RH_ECORRUPT, 11, "file damaged")                      \
    X(RH_ELIMIT, 12, "limit reached")                       \
    X(RH_ENOMEM, 13, "out of memory")                       \
    X(RH_EIO, 14, "input or output failed")

#ifndef ROWHOUSE_H
typedef enum rh_status {
#define RH_STATUS_ENUM(name, number, text) name = number,
    RH_STATUS_MAP(RH_STATUS_ENUM)
#undef RH_STATUS_ENUM
} rh_status;
#endif

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* "id out of range" for RH_ERANGE; "unknown status" for a number that is none. Never NULL. */
const char *status_text(rh_status s);

/* 1 if the number is a status (it came over a wire). */
int status_known(unsigned number);

#endif
