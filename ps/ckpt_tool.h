/* ckpt_tool.h - rowhouse-server --ckpt ...: tools on the files of checkpoints, without any server. The
 * command `rowhouse ckpt` execs it. */
#ifndef PS_CKPT_TOOL_H
#define PS_CKPT_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"
#include "ps/ckpt_io.h"
#include "ps/ckpt_manifest.h"

/* argv[1] is --ckpt. What the process exits with: 0, 1 failed, 2 wrong usage. */
int ckpt_tool_main(int argc, char **argv);

/* ---- between the files of the tool ---- */

struct ckpt_tool_settings {
    const char *to, *output, *format, *tensor, *vocab;
    int64_t shards;
    int json;
};

/* A checkpoint that is open. */
struct ckpt_tool {
    const struct ckpt_tool_settings *set;
    struct ckpt_io *io;
    char name[CKPT_NAME_MAX + 1];
    struct ckpt_fd folder;
    struct ckpt_manifest m;
};

/* DIR/NAME; NAME alone is in the current folder. RH_EINVAL. */
rh_status ckpt_tool_path(const char *path, struct ckpt_io **io,
                         char name[CKPT_NAME_MAX + 1]) MUST_CHECK;

rh_status ckpt_tool_inspect(struct ckpt_tool *t) MUST_CHECK;
rh_status ckpt_tool_reshard(struct ckpt_tool *t) MUST_CHECK;
rh_status ckpt_tool_export(struct ckpt_tool *t, const char *table) MUST_CHECK;

/* A bar on a terminal's stderr; nothing elsewhere. done == total ends its line. */
void ckpt_tool_progress(const char *what, uint64_t done, uint64_t total);

#endif
