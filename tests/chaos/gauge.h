/*
 * gauge.h - what a world does and holds over time: steps, ten times a second, by a process of its own; memory and
 * descriptors of its servers and workers, whenever it is asked to look.
 */
#ifndef TESTS_CHAOS_GAUGE_H
#define TESTS_CHAOS_GAUGE_H

#include "tests/chaos/world.h"

enum { GAUGE_TICK_MS = 100, GAUGE_ROLES = WORLD_SHARDS + WORLD_WORKERS };

struct gauge;
struct gauge *gauge_start(const struct world *w, uint32_t seconds_max);
void gauge_stop(struct gauge **g);

/* Memory and descriptors, now. Who has just come is not looked at. */
void gauge_look(struct gauge *g, const struct world *w);

/* Nothing strikes from here on; or something does. Between them is what the throughput is held against. */
void gauge_calm(struct gauge *g, bool calm);

/* Steps of all workers in a second: the median of the calm ones so far. */
double gauge_usual(const struct gauge *g);
/* Milliseconds from a time of job_now_ms until a second of at least 90 % of that had begun; -1: not yet. */
int64_t gauge_back_ms(const struct gauge *g, int64_t from_ms);

/* Tables of both, as Markdown. */
void gauge_print(const struct gauge *g);

#endif
