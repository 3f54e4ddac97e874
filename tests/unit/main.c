/* main.c - runs the unit suites: all of them, or those that the arguments name. Check's own
 * variables hold: CK_FORK=no for debuggers, CK_RUN_SUITE, CK_VERBOSITY. Exits 1 if a test failed, 2
 * if there is no such suite. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "tests/unit/suites.h"

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define UNIT_SUITE(name) {#name, name##_suite},
    UNIT_SUITES(UNIT_SUITE)
#undef UNIT_SUITE
};

enum { SUITES = sizeof suites / sizeof *suites };

static int unknown(const char *name) {
    fprintf(stderr, "unit: there is no suite %s. There are:", name);
    for (int i = 0; i < SUITES; i++)
        fprintf(stderr, " %s", suites[i].name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv) {
    /* Thousands of tables of a few rows each are made here: clearing 2 MiB for the first row of each
     * took most of the time of some suites. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    SRunner *runner = srunner_create(NULL);
    for (int a = 1; a < argc; a++) {
        int i = 0;
        while (i < SUITES && strcmp(argv[a], suites[i].name) != 0)
            i++;
        if (i == SUITES)
            return unknown(argv[a]);
        srunner_add_suite(runner, suites[i].make());
    }
    for (int i = 0; argc == 1 && i < SUITES; i++)
        srunner_add_suite(runner, suites[i].make());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
