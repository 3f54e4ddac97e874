/* client.c - see client.h: the lock, the waiting and the driving. Joining the job is connect.c's. */
#include "worker/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/batch.h"
#include "worker/cancel.h"
#include "worker/frozen.h"
#include "worker/op.h"
#include "worker/param.h"

/* ---- time ---- */

static int64_t real_now_ms(void *arg) {
    (void)arg;
    return clock_now_ms();
}

uint32_t client_draw(const rh_client *c) {
    uint32_t n = 0;
    if (getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
        n = (uint32_t)getpid() * 2654435761u ^ (uint32_t)client_now(c);
    return n != 0 ? n : 1;
}

static int ms_until(int64_t until_ms, int64_t now_ms) {
    int64_t ms = until_ms - now_ms;
    return ms <= 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void real_pause(void *arg, int64_t until_ms) {
    (void)arg;
    poll(NULL, 0, ms_until(until_ms, clock_now_ms()));
}

const struct client_time client_real_time = {real_now_ms, real_pause, NULL};

int64_t client_now(const rh_client *c) {
    return c->time.now_ms(c->time.arg);
}

int64_t client_deadline(const rh_client *c, int timeout_ms) {
    return client_now(c) + (timeout_ms < 0 ? c->op_timeout_ms : timeout_ms);
}

/* Releases the lock, sleeps until cond is signalled or until_ms, locks again. */
static void sleep_on(rh_client *c, pthread_cond_t *cond, int64_t until_ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int ms = ms_until(until_ms, client_now(c));
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, &c->lock, &t);
}

/* ---- what a call begins and ends with ---- */

rh_status client_failed(const rh_client *c) {
    return err_set(c->failed, "%s", c->failed_text);
}

rh_status client_check(const rh_client *c) {
    if (getpid() != c->pid)
        return err_set(RH_EINVAL,
                       "this client belongs to process %ld: after a fork() the child must connect "
                       "a client of its own",
                       (long)c->pid);
    return RH_OK;
}

rh_status client_may(const rh_client *c) {
    if (c->failed != RH_OK)
        return client_failed(c);
    if (c->renewing && !pthread_equal(c->renewer, pthread_self()))
        return err_set(RH_EROLLBACK,
                       "the job goes back to a checkpoint: another thread of this client is in "
                       "rh_restore, or in rh_cursor");
    return RH_OK;
}

rh_status client_enter(rh_client *c) {
    rh_status s = client_check(c);
    if (s != RH_OK)
        return s;
    pthread_mutex_lock(&c->lock);
    s = client_may(c);
    if (s != RH_OK)
        pthread_mutex_unlock(&c->lock);
    return s;
}

static bool is_blocked(const rh_client *c) {
    for (uint32_t i = 0; i < c->shards; i++)
        if (link_is_blocked(&c->links[i]))
            return true;
    return false;
}

/* Wakes those whose operations are over; who polls is not woken by a condition. */
static void tell_news(rh_client *c) {
    if (!c->news)
        return;
    c->news = false;
    if (c->waiters > 0)
        pthread_cond_broadcast(&c->changed);
    if (c->polling)
        c->net->ops->wake(c->net);
}

rh_status client_leave(rh_client *c, rh_status status) {
    client_drain(c);
    cancel_refused(c);
    tell_news(c);
    if (c->has_thread && c->waiters == 0 && is_blocked(c))
        pthread_cond_signal(&c->rest);
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* ---- driving ---- */

void client_fail(rh_client *c, uint32_t shard, rh_status status, const char *text) {
    c->failed = status;
    c->failed_shard = shard;
    snprintf(c->failed_text, sizeof c->failed_text, "%s", text);
    c->news = true;
    for (uint32_t i = 0; i < c->shards; i++)
        link_fail(&c->links[i], c->failed, c->failed_text);
}

static struct link *link_of(rh_client *c, uint32_t peer) {
    for (uint32_t i = 0; i < c->shards; i++)
        if (c->links[i].cfg.peer == peer)
            return &c->links[i];
    return NULL;
}

void client_drain(rh_client *c) {
    struct frame *f;
    uint32_t peer;
    while ((f = c->net->ops->recv(c->net, &peer)) != NULL) {
        struct link *l = link_of(c, peer);
        if (l != NULL) {
            uint32_t freezes = l->freezes;
            enum link_state state = l->state;
            link_frame(l, f, client_now(c));
            c->news |= l->state != state; /* who joins may not be the one that polls */
            if (l->freezes != freezes)
                atomic_store(&c->freezes, (uint32_t)(c->freezes + l->freezes - freezes));
            /* One session is over for a reason that concerns all: nothing can be exact any more. */
            if (l->state != state && l->state == LINK_FAILED && c->failed == RH_OK)
                client_fail(c, l->cfg.shard, l->status, l->text);
        }
        frame_unref(f);
    }
}

/* Does what is due, then takes in what came; in this order, for the net's fd tells nothing of what
 * came before a send. Returns when something is due again. */
static int64_t drive(rh_client *c) {
    int64_t now_ms = client_now(c), next = INT64_MAX;
    for (uint32_t i = 0; i < c->shards; i++) {
        int64_t due = link_turn(&c->links[i], now_ms);
        next = due < next ? due : next;
    }
    client_drain(c);
    cancel_refused(c);
    tell_news(c);
    return next;
}

static void poll_net(rh_client *c, int64_t until_ms) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    int ms = ms_until(until_ms, client_now(c));
    pthread_mutex_unlock(&c->lock);
    poll(&p, 1, ms);
    pthread_mutex_lock(&c->lock);
}

/* The caller's own code runs here: without the lock, which it might never get back. */
static bool is_interrupted(rh_client *c) {
    pthread_mutex_unlock(&c->lock);
    bool yes = c->interrupted(c->interrupted_arg) != 0;
    pthread_mutex_lock(&c->lock);
    return yes;
}

enum { INTERRUPTED_MS = 100 };

bool client_wait(rh_client *c, bool (*over)(const void *arg), const void *arg,
                 int64_t deadline_ms) {
    bool asks = c->interrupted != NULL && pthread_equal(c->connector, pthread_self());
    int64_t ask_ms = asks ? client_now(c) + INTERRUPTED_MS : INT64_MAX;
    c->waiters++;
    for (;;) {
        int64_t next = drive(c);
        c->driven_ms = client_now(c);
        if (over(arg) || c->failed != RH_OK || c->driven_ms >= deadline_ms)
            break;
        if (c->driven_ms >= ask_ms) {
            if (is_interrupted(c))
                break;
            ask_ms = c->driven_ms + INTERRUPTED_MS;
            continue;
        }
        int64_t until = deadline_ms < ask_ms ? deadline_ms : ask_ms;
        if (next > until)
            next = until;
        if (c->fd < 0) {
            c->time.pause(c->time.arg, next);
        } else if (c->polling) {
            sleep_on(c, &c->changed, until);
        } else {
            c->polling = true;
            poll_net(c, next);
            c->polling = false;
        }
    }
    c->waiters--;
    if (c->waiters > 0 && !c->polling)
        pthread_cond_signal(&c->changed); /* somebody else drives now */
    return over(arg);
}

static bool is_false(const void *flag) {
    return !*(const bool *)flag;
}

/* A net in memory is driven by nobody, so that it is never waited for with others in mind: it would
 * not let go of the lock, and whoever is waited for could not go on. */
static void sleep_until(rh_client *c, bool (*over)(const void *arg), const void *arg,
                        int64_t deadline_ms) {
    c->waiters++;
    while (!over(arg) && c->failed == RH_OK && client_now(c) < deadline_ms)
        sleep_on(c, &c->changed, deadline_ms);
    c->waiters--;
}

bool client_wait_others(rh_client *c, bool (*over)(const void *arg), const void *arg,
                        int64_t deadline_ms) {
    if (c->fd < 0)
        sleep_until(c, over, arg, deadline_ms);
    return client_wait(c, over, arg, deadline_ms) && c->failed == RH_OK;
}

bool client_wait_turn(rh_client *c, const bool *flag, int64_t deadline_ms) {
    return client_wait_others(c, is_false, flag, deadline_ms);
}

/* ---- the background thread ---- */

/* It keeps away from the net while callers drive it, and for a while after. */
enum { BACKGROUND_GRACE_MS = 100 };

static void *background(void *arg) {
    rh_client *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        int64_t grace_ms = c->driven_ms + BACKGROUND_GRACE_MS, now_ms = client_now(c);
        if (c->waiters > 0)
            sleep_on(c, &c->rest, now_ms + BACKGROUND_GRACE_MS);
        else if (now_ms < grace_ms && !is_blocked(c))
            sleep_on(c, &c->rest, grace_ms);
        else
            poll_net(c, drive(c));
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

rh_status client_start_thread(rh_client *c) {
    int e = pthread_create(&c->thread, NULL, background, c);
    if (e != 0) {
        errno = e;
        return err_sys(RH_ENOMEM, "cannot start the client's thread");
    }
    c->has_thread = true;
    return RH_OK;
}

static void stop_thread(rh_client *c) {
    if (!c->has_thread)
        return;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_signal(&c->rest);
    c->net->ops->wake(c->net);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->has_thread = false;
}

/* ---- birth and death ---- */

rh_client *client_new(struct net *net, const struct roster *roster,
                      const struct client_time *time) {
    rh_client *c = calloc(1, sizeof *c);
    struct link *links = calloc(roster->shards, sizeof *links);
    if (c == NULL || links == NULL) {
        free(c);
        free(links);
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_cond_init(&c->rest, &monotonic);
    pthread_condattr_destroy(&monotonic);
    c->pid = getpid();
    c->net = net;
    c->time = *time;
    c->roster = *roster;
    c->shards = roster->shards;
    c->links = links;
    return c;
}

void client_free(rh_client *c) {
    if (c == NULL)
        return;
    stop_thread(c);
    for (uint32_t i = 0; i < c->shards; i++)
        link_fini(&c->links[i]);
    while (c->live != NULL) {
        rh_op *op = c->live;
        c->live = op->next;
        op_destroy(op);
    }
    while (c->spare != NULL) {
        rh_op *op = c->spare;
        c->spare = op->next;
        op_destroy(op);
    }
    batch_free_all(c);
    param_free_all(c);
    while (c->tables != NULL) {
        rh_table *t = c->tables;
        c->tables = t->next;
        frozen_forget(t);
        free(t);
    }
    c->net->ops->close(c->net, CLIENT_LINGER_MS);
    roster_fini(&c->roster);
    pthread_cond_destroy(&c->rest);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->cursor);
    free(c->links);
    free(c);
}
