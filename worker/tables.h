/* tables.h - what tables.c has for others that deal with tables: those that change them, and those by
 * whom they are found again in a job that was restored. */
#ifndef WORKER_TABLES_H
#define WORKER_TABLES_H

#include "worker/client.h"

/* RH_ENOTFOUND: a restore has taken it away. Everything that names a table to a shard asks first. */
rh_status tables_check(const rh_table *t, const char *what) MUST_CHECK;

/* The job was restored, and joined anew: every handle gets the table of its name, or is lost if that
 * has another spec or is not there. No other thread has an operation. Not locked. */
rh_status tables_find_again(rh_client *c, const char *what) MUST_CHECK;

/* The handle's initializer and seed are those of s from now on. With the lock held. */
void tables_renew(rh_table *t, const struct spec *s);

#endif
