/* status.c - see status.h. */
#include "common/status.h"

const char *status_text(rh_status s) {
    switch (s) {
#define TEXT(name, number, text) \
    case name:                   \
        return text;
        RH_STATUS_MAP(TEXT)
#undef TEXT
    }
    return "unknown status";
}

int status_known(unsigned number) {
    switch (number) {
#define KNOWN(name, number, text) case number:
        RH_STATUS_MAP(KNOWN)
#undef KNOWN
        return 1;
    }
    return 0;
}
