/* any_msg.h - the structs of proto/msg.h with random contents that the protocol allows. */
#ifndef TESTS_SUPPORT_ANY_MSG_H
#define TESTS_SUPPORT_ANY_MSG_H

#include "common/rng.h"
#include "proto/msg.h"

enum { ANY_CURSOR = 64 };

void any_name(struct rng *g, char out[WIRE_NAME_MAX + 1]);
double any_real(struct rng *g); /* finite, of any sign, 0 among them */

struct spec any_spec(struct rng *g); /* passes spec_check */
struct msg_hello any_hello(struct rng *g);
struct msg_welcome any_welcome(struct rng *g);
struct msg_open any_open(struct rng *g);
struct msg_opened any_opened(struct rng *g);
struct msg_freeze any_freeze(struct rng *g);
struct msg_reset any_reset(struct rng *g, uint32_t count);
struct msg_count any_count(struct rng *g);
struct msg_init any_init(struct rng *g);
struct msg_drop any_drop(struct rng *g);
struct msg_cancel any_cancel(struct rng *g);
struct msg_freeze_ids any_freeze_ids(struct rng *g);   /* its ids live until the next one's */
struct msg_frozen_rows any_frozen_rows(struct rng *g); /* without its pairs */
struct msg_tick any_tick(struct rng *g);
struct msg_wait any_wait(struct rng *g);
struct msg_alive any_alive(struct rng *g);
struct msg_stage any_stage(struct rng *g);
struct msg_staged any_staged(struct rng *g);
struct msg_load any_load(struct rng *g);
struct msg_mark any_mark(struct rng *g,
                         const uint8_t cursor[ANY_CURSOR]); /* of some of these bytes */
struct msg_save any_save(struct rng *g);
struct msg_written any_written(struct rng *g);
struct msg_saving any_saving(struct rng *g);
struct msg_cursor_is any_cursor_is(struct rng *g, const uint8_t cursor[ANY_CURSOR]);
struct msg_restore any_restore(struct rng *g);
struct msg_restored any_restored(struct rng *g);
struct msg_shard_facts any_shard_facts(struct rng *g, uint32_t members);
struct msg_member_facts any_member_facts(struct rng *g);
struct msg_in_hand any_in_hand(struct rng *g);
struct msg_table_facts any_table_facts(struct rng *g);
struct msg_life any_life(struct rng *g, uint32_t count);

#endif
