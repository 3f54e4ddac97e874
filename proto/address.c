/* address.c - see address.h. ZeroMQ reads addresses leniently (port 99999 becomes 34463, port -5
 * becomes 65531), so they are checked here before it sees them. */
#include "proto/address.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static rh_status read_port(const char *text, const char *port, bool listening, uint16_t *out) {
    if (listening && strcmp(port, "*") == 0) {
        *out = 0;
        return RH_OK;
    }
    unsigned long v = 0;
    size_t digits = strspn(port, "0123456789");
    if (digits >= 1 && digits <= 5 && port[digits] == '\0')
        v = strtoul(port, NULL, 10);
    if (v < 1 || v > 65535)
        return err_set(RH_EINVAL,
                       "the address \"%s\" needs a port from 1 to 65535%s: tcp://host:7700", text,
                       listening ? ", or * for a free one" : "");
    *out = (uint16_t)v;
    return RH_OK;
}

/* host[0 .. n - 1], as it stands between "tcp://" and the last colon. */
static rh_status read_host(const char *text, const char *host, size_t n, bool listening,
                           struct address *out) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char v6_letters[] = "0123456789abcdefABCDEF:.";
    out->v6 = n > 2 && host[0] == '[' && host[n - 1] == ']';
    if (out->v6) {
        host++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof out->host)
        return err_set(RH_EINVAL, "the address \"%s\" needs a host: tcp://host:7700", text);
    memcpy(out->host, host, n);
    out->host[n] = '\0';
    bool star = listening && strcmp(out->host, "*") == 0;
    if (!star && strspn(out->host, out->v6 ? v6_letters : letters) != n)
        return err_set(RH_EINVAL,
                       "the address \"%s\" has a host that cannot be one: a name, a number such as "
                       "10.0.0.1, or [::1] in brackets",
                       text);
    out->every = star || strcmp(out->host, "0.0.0.0") == 0 || strcmp(out->host, "::") == 0;
    return RH_OK;
}

static rh_status read_tcp(const char *text, bool listening, struct address *out) {
    const char *host = text + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    if (colon == NULL || strchr(colon, ']') != NULL)
        return read_port(text, "", listening, &out->port);
    rh_status s = read_host(text, host, (size_t)(colon - host), listening, out);
    if (s != RH_OK)
        return s;
    return read_port(text, colon + 1, listening, &out->port);
}

static rh_status read_ipc(const char *text, struct address *out) {
    const char *path = text + strlen("ipc://");
    size_t n = strlen(path);
    if (n == 0)
        return err_set(RH_EINVAL, "the address \"%s\" needs a path: ipc:///run/rowhouse.sock",
                       text);
    if (n >= sizeof out->path)
        return err_set(
            RH_EINVAL,
            "the address \"%s\" has a path of %zu bytes, and a socket's may have %d: choose "
            "a shorter one",
            text, n, ADDRESS_PATH_MAX - 1);
    /* ZeroMQ would take these for an abstract name, that any user may connect to, and for a
     * path of its own choice. */
    if (path[0] == '@' || path[0] == '*')
        return err_set(RH_EINVAL, "the address \"%s\" must name a file: ipc:///run/rowhouse.sock",
                       text);
    out->ipc = true;
    memcpy(out->path, path, n + 1);
    return RH_OK;
}

rh_status address_parse(const char *text, bool listening, struct address *out) {
    struct address a = {0};
    rh_status s;
    if (strlen(text) >= ADDRESS_MAX)
        s = err_set(RH_EINVAL, "the address \"%.40s...\" is longer than %d bytes", text,
                    ADDRESS_MAX - 1);
    else if (starts(text, "tcp://"))
        s = read_tcp(text, listening, &a);
    else if (starts(text, "ipc://"))
        s = read_ipc(text, &a);
    else
        s = err_set(RH_EINVAL, "the address \"%s\" must begin with tcp:// or ipc://", text);
    if (s == RH_OK)
        *out = a;
    return s;
}
