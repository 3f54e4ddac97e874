/* fuzz_ckpt.c - libFuzzer on checkpoints: the bytes as a shard's file or as a manifest, beside a good one of the
 * other kind, as they came and once more under right sums. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/ckpt_small.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts the bytes in the file's place, and reads. */
static void read_with(const char *name, const uint8_t *data, size_t size, int reseal) {
    struct memory_disk d;
    uint64_t digest;
    memory_disk_init(&d);
    if (ckpt_small_write(&d.io, "a") != RH_OK)
        abort();
    struct disk_node *f = memory_disk_find(&d, "a", name);
    f->bytes = realloc(f->bytes, size + 1);
    if (f->bytes == NULL)
        abort();
    memcpy(f->bytes, data, size);
    f->len = size;
    if (reseal)
        ckpt_small_reseal(&d, "a");
    rh_status ignored = ckpt_small_read(&d.io, "a", &digest);
    (void)ignored;
    if (memory_disk_open_files(&d) != 0)
        abort();
    memory_disk_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const char *name = data[0] & 1 ? "MANIFEST.json" : "shard-00000-of-00001.rhs";
    read_with(name, data + 1, size - 1, data[0] & 2);
    return 0;
}
