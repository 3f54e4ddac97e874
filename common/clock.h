/* clock.h - monotonic time for the edges. State machines get time as an argument and do not include
 * this. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_now_us(void); /* since some moment in the past. Any thread */

static inline int64_t clock_now_ms(void) {
    return clock_now_us() / 1000;
}

/* The time of day, since 1970. It jumps: for people, never for waiting. */
int64_t clock_unix_ms(void);

#endif
