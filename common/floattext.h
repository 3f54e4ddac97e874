/* floattext.h - a number in text as a float: the nearest one, as strtof has it, several times as
 * fast and whatever the locale. Any thread. */
#ifndef COMMON_FLOATTEXT_H
#define COMMON_FLOATTEXT_H

enum { FLOATTEXT_MAX = 128 }; /* the longest number that is read, in bytes */

/* Reads [+-]digits[.digits][e[+-]digits], where digits may stand on one side of the point only, or
 * inf, infinity and nan in any case, from p on and before end. Returns where it stopped, or NULL if
 * no number begins at p. What is too large is infinite, what is too small is zero. */
const char *floattext_read(const char *p, const char *end, float *out);

#endif
