/* tables.h - what the files that deal with tables share: tables.c opens them, resets.c has them begin
 * anew, or end. */
#ifndef WORKER_TABLES_H
#define WORKER_TABLES_H

#include "worker/client.h"

/* The handle's initializer and seed are those of s from now on. With the lock held. */
void tables_renew(rh_table *t, const struct spec *s);

#endif
