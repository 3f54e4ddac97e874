/* look.c - see look.h. */
#include "worker/cmd/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

static const struct conf_item items[] = {
    LOOK_ITEMS(0),
    {"json", CONF_BOOL, offsetof(struct look, json), "no", 0, 0, NULL, NULL,
     "Print JSON, for programs."},
};

static int fail(const char *program, rh_status s) {
    fprintf(stderr, "%s: %s\n", program, err_text());
    return s == RH_EUNREACHABLE || s == RH_ETIMEDOUT ? EXIT_UNREACHABLE : EXIT_FAILED;
}

rh_status look_check(const struct look *k) {
    if (k->servers == NULL)
        return err_set(RH_EINVAL,
                       "which job? Give --servers tcp://host:port,... or set RH_SERVERS");
    if (strncmp(k->servers, "local:", 6) == 0 || strcmp(k->servers, "mpi:") == 0)
        return err_set(RH_EINVAL,
                       "--servers %s: only servers with an address can be looked at from "
                       "outside, such as tcp://host:7700",
                       k->servers);
    return RH_OK;
}

static rh_status read_flags(struct conf *conf, int argc, char **argv, struct look *k) {
    int words = 0;
    rh_status s = conf_defaults(conf, k);
    if (s == RH_OK)
        s = conf_args(conf, argc, argv, k, &words);
    if (s == RH_OK && words > 0)
        s = err_set(RH_EINVAL, "what is \"%s\"? This command takes flags only; see --help",
                    argv[1]);
    return s == RH_OK ? look_check(k) : s;
}

rh_status look_join(struct look *k) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = k->servers;
    cfg.job = k->job;
    cfg.observer = 1;
    cfg.connect_timeout_ms = (int)k->timeout_ms;
    cfg.op_timeout_ms = (int)(k->patience_ms > 0 ? k->patience_ms : k->timeout_ms);
    return rh_connect(&cfg, &k->client);
}

bool look_begin(int argc, char **argv, const char *program, const char *about, struct look *out,
                int *exit_code) {
    struct conf conf = {.program = program,
                        .usage = "--servers ADDRESSES [options]",
                        .about = about,
                        .items = items,
                        .n_items = sizeof items / sizeof *items};
    memset(out, 0, sizeof *out);
    if (conf_wants_help(argc, argv)) {
        conf_help(&conf, stdout);
        *exit_code = EXIT_SUCCESS;
        return false;
    }
    rh_status s = read_flags(&conf, argc, argv, out);
    if (s != RH_OK) {
        fprintf(stderr, "%s: %s\n", program, err_text());
        *exit_code = EXIT_USAGE;
    } else {
        s = look_join(out);
        if (s != RH_OK)
            *exit_code = fail(program, s);
    }
    conf_fini(&conf);
    out->servers = out->job = NULL; /* the conf kept their texts */
    return s == RH_OK;
}

int look_end(struct look *k, const char *program, rh_status status) {
    int code = status == RH_OK ? EXIT_SUCCESS : fail(program, status);
    rh_close(k->client);
    if (code == EXIT_SUCCESS && fflush(stdout) != 0) {
        fprintf(stderr, "%s: cannot write to standard output\n", program);
        code = EXIT_FAILED;
    }
    return code;
}

rh_status look_print_json(json_t *document) {
    if (document == NULL)
        return err_set(RH_ENOMEM, "no memory for JSON");
    int bad = json_dumpf(document, stdout, JSON_INDENT(2));
    json_decref(document);
    if (bad != 0)
        return err_set(RH_EIO, "cannot write JSON to standard output");
    putchar('\n');
    return RH_OK;
}

char *look_bytes(uint64_t bytes, char *text) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, 24, "%" PRIu64 " B", bytes);
    else
        snprintf(text, 24, "%.1f %s", value, units[unit]);
    return text;
}
