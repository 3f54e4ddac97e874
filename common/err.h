/* err.h - this thread's last failure, in words. The first function that sees a failure sets the
 * text; callers pass the status on, or put the larger circumstance in front. No allocation, so it
 * works when memory is short. Any thread; each has its own text, which may be an argument of the
 * next. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include "common/status.h"

enum { ERR_TEXT_MAX = 1024 };

/* Sets the text and returns s, so that `return err_set(RH_EIO, "...", ...)` says all. A longer text
 * is cut. */
rh_status err_set(rh_status s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "fmt: " in front of the text that is there. Returns s. */
rh_status err_in(rh_status s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* As err_set, with ": " and strerror(errno) behind it. */
rh_status err_sys(rh_status s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Never NULL; "" if nothing failed on this thread. Valid until this thread's next err_ call. */
const char *err_text(void);
void err_clear(void);

#endif
