#include <stdlib.h>
#include "common/err.h"
#include "ps/ckpt_shard.h"
struct ckpt_cut { struct shard *s; };
rh_status ckpt_cut_take(struct shard *s, struct ckpt_cut **out) {
    *out = malloc(sizeof **out);
    (*out)->s = s;
    return RH_OK;
}
rh_status ckpt_cut_write(struct ckpt_cut *c, const struct ckpt_fd *folder, uint64_t generation,
                         struct ckpt_file *out) {
    return ckpt_shard_write(c->s, folder, generation, out);
}
uint64_t ckpt_cut_done_bytes(const struct ckpt_cut *c) { (void)c; return 0; }
void ckpt_cut_free(struct ckpt_cut **c) { free(*c); *c = NULL; }
