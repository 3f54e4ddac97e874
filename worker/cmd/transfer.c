/* transfer.c - see transfer.h. */
#include "worker/cmd/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "worker/cmd/look.h"

enum { TEXT_MAX = 256 };

static const struct {
    const char *name;
    rh_format format;
} formats[] = {{"npy", RH_FORMAT_NPY},     {"safetensors", RH_FORMAT_SAFETENSORS},
               {"w2v", RH_FORMAT_W2V},     {"w2v-bin", RH_FORMAT_W2V_BIN},
               {"glove", RH_FORMAT_GLOVE}, {"fasttext", RH_FORMAT_FASTTEXT}};
enum { FORMATS = sizeof formats / sizeof *formats };

rh_status transfer_format(const char *name, rh_format *out) {
    *out = RH_FORMAT_AUTO;
    if (name == NULL)
        return RH_OK;
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i].name, name) != 0)
            continue;
        *out = formats[i].format;
        return RH_OK;
    }
    return err_set(RH_EINVAL, "--format %s: there is " TRANSFER_FORMATS, name);
}

const char *transfer_name(rh_format format) {
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i].format == format)
            return formats[i].name;
    return "";
}

const char *transfer_rows(double per_second, char *text) {
    char figures[BAR_TEXT];
    snprintf(text, BAR_TEXT + 8, "%s rows/s", bar_grouped((uint64_t)per_second, figures));
    return text;
}

const char *transfer_bytes(double per_second, char *text) {
    char figures[BAR_TEXT];
    snprintf(text, BAR_TEXT + 8, "%s/s", look_bytes((uint64_t)per_second, figures));
    return text;
}

void transfer_begin(struct transfer *t, const char *name,
                    const char *(*show)(double per_second, char *text)) {
    *t = (struct transfer){.name = name, .show = show};
    bar_begin(&t->bar, true);
}

static void draw(struct transfer *t, bool last) {
    char text[TEXT_MAX], rate[BAR_TEXT + 8], eta[BAR_TEXT];
    double seconds = bar_seconds(&t->bar), per_second = seconds > 0 ? (double)t->done / seconds : 0;
    int percent = t->total > 0 ? (int)(100.0 * (double)t->done / (double)t->total) : 100;
    snprintf(text, sizeof text, "%s %3d %%  %s  ETA %s", t->name, percent,
             t->show(per_second, rate), bar_duration(bar_left(seconds, t->done, t->total), eta));
    bar_draw(&t->bar, t->done, t->total, text, last);
}

void transfer_progress(void *arg, uint64_t done, uint64_t total) {
    struct transfer *t = arg;
    t->done = done;
    t->total = total;
    if (bar_due(&t->bar))
        draw(t, false);
}

double transfer_end(struct transfer *t) {
    if (t->bar.drawn)
        draw(t, true);
    return bar_seconds(&t->bar);
}
