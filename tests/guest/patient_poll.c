/* Preloaded into a BIRD whose guest skips idle time: BIRD looks around every three seconds, ten million times a year.
 * Here it does so every two minutes; its timers may be late by as much, which those of this test can bear. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stddef.h>

enum { OFTEN = 3000, RARELY = 120000 };

static int waited(const char *name, struct pollfd *fds, nfds_t count, int timeout)
{
    int (*real)(struct pollfd *, nfds_t, int) = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, name);
    return real(fds, count, timeout == OFTEN ? RARELY : timeout);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return waited("poll", fds, count, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size)
{
    (void)size;
    return waited("poll", fds, count, timeout);
}
