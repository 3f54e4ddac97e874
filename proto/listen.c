/* listen.c - see listen.h. */
#include "proto/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"

rh_status listen_failed(const char *address, int error, const char *text) {
    if (error == EADDRINUSE)
        text = strncmp(address, "ipc:", 4) == 0
                   ? "address already in use; is another server running? Choose another path"
                   : "address already in use; is another server running? Choose another port, or "
                     "* for a free one";
    else if (error == ENODEV || error == EADDRNOTAVAIL)
        text = "no interface of this host has that address";
    return err_set(RH_EIO, "cannot listen on %s: %s", address, text);
}

/* ZeroMQ unlinks whatever lies at the path before it binds: the socket of a live server, or a
 * user's file. So only the socket of a dead server may be in the way. */
static rh_status check_path(const char *address, const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0)
        return RH_OK;
    if (!S_ISSOCK(st.st_mode))
        return listen_failed(address, 0, "something that is not a socket has that path");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(RH_EIO, "cannot look for a server on %s", address);
    int error = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? EADDRINUSE : errno;
    close(fd);
    if (error == ECONNREFUSED)
        return RH_OK;
    return listen_failed(address, error == EAGAIN ? EADDRINUSE : error, strerror(error));
}

/* ZeroMQ binds numbers only. */
static rh_status resolve(const char *address, const char *name, char *host, size_t cap) {
    struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int e = getaddrinfo(name, NULL, &want, &found);
    if (e == 0) {
        e = getnameinfo(found->ai_addr, found->ai_addrlen, host, (socklen_t)cap, NULL, 0,
                        NI_NUMERICHOST);
        freeaddrinfo(found);
    }
    return e == 0 ? RH_OK : listen_failed(address, 0, gai_strerror(e));
}

rh_status listen_endpoint(const char *address, const struct address *a,
                          char endpoint[LISTEN_ENDPOINT_MAX]) {
    if (a->ipc) {
        snprintf(endpoint, LISTEN_ENDPOINT_MAX, "ipc://%s", a->path);
        return check_path(address, a->path);
    }
    char host[ADDRESS_HOST_MAX];
    snprintf(host, sizeof host, "%s", a->host);
    if (!a->every && !a->v6) {
        rh_status s = resolve(address, a->host, host, sizeof host);
        if (s != RH_OK)
            return s;
    }
    char port[8] = "*";
    if (a->port != 0)
        snprintf(port, sizeof port, "%u", a->port);
    snprintf(endpoint, LISTEN_ENDPOINT_MAX, a->v6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
    return RH_OK;
}

rh_status listen_bound(const char *endpoint, const struct address *a, char *bound, size_t cap) {
    char host[ADDRESS_HOST_MAX] = "localhost";
    if (!a->every)
        snprintf(host, sizeof host, "%s", a->host);
    else
        gethostname(host, sizeof host - 1);
    int n;
    if (a->ipc)
        n = snprintf(bound, cap, "%s", endpoint);
    else
        n = snprintf(bound, cap, a->v6 && !a->every ? "tcp://[%s]%s" : "tcp://%s%s", host,
                     strrchr(endpoint, ':'));
    if (n < 0 || (size_t)n >= cap)
        return err_set(RH_EIO, "the address of %s does not fit into %zu bytes", endpoint, cap);
    return RH_OK;
}
