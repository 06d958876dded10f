/* The clocks of another host, for LD_PRELOAD: CLOCK_MONOTONIC and CLOCK_REALTIME of a process and of
 * all its children are ahead of this host's, and gain.
 *
 *   SHIFTED_AHEAD_NS      by how much, at the moment below
 *   SHIFTED_PPM           how much they gain from then on, in microseconds a second
 *   SHIFTED_SINCE_NS      the moment, by this host's CLOCK_MONOTONIC
 *   SHIFTED_SINCE_REAL_NS the same one by its CLOCK_REALTIME
 *
 * What the kernel is given or gives by these clocks is put from one to the other: absolute times of
 * waits, and the receive stamps of sockets. It cannot be done with what the kernel writes where
 * nobody reads it through a function: a capture (AF_PACKET) has to be forbidden to the process. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define NEXT(name, version) dlvsym(RTLD_NEXT, name, version)

static int64_t ahead, since_monotonic, since_realtime;
static double gained; /* ns a ns */
static int shifted;

static int64_t variable(const char *name) {
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *ppm = getenv("SHIFTED_PPM");
    ahead = variable("SHIFTED_AHEAD_NS");
    gained = ppm ? strtod(ppm, NULL) / 1e6 : 0;
    since_monotonic = variable("SHIFTED_SINCE_NS");
    since_realtime = variable("SHIFTED_SINCE_REAL_NS");
    shifted = since_monotonic != 0;
}

static int is_realtime(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

static int is_shifted(clockid_t clock) {
    return shifted && (is_realtime(clock) || clock == CLOCK_MONOTONIC ||
                       clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_MONOTONIC_RAW ||
                       clock == CLOCK_BOOTTIME);
}

static int64_t since(clockid_t clock) { return is_realtime(clock) ? since_realtime : since_monotonic; }

static struct timespec spec(int64_t ns) {
    if (ns < 0)
        ns = 0;
    return (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS};
}

static int64_t number(const struct timespec *time) { return time->tv_sec * NS + time->tv_nsec; }

/* This host's time as the other host has it, and back. */
static int64_t theirs(clockid_t clock, int64_t ours) {
    return ours + ahead + (int64_t)((double)(ours - since(clock)) * gained);
}

static int64_t ours(clockid_t clock, int64_t their) {
    int64_t elapsed = their - ahead - since(clock);
    return since(clock) + elapsed - (int64_t)((double)elapsed * gained / (1 + gained));
}

static struct timespec back(clockid_t clock, const struct timespec *their) {
    return is_shifted(clock) ? spec(ours(clock, number(their))) : *their;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real ? real(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
    if (!result && is_shifted(clock))
        *time = spec(theirs(clock, number(time)));
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_nanosleep");
    if (!(flags & TIMER_ABSTIME))
        return real(clock, flags, until, left);
    struct timespec at = back(clock, until);
    return real(clock, flags, &at, left);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec at = back(CLOCK_REALTIME, until);
    return real(semaphore, &at);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    static int (*real)(sem_t *, clockid_t, const struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "sem_clockwait");
    struct timespec at = back(clock, until);
    return real(semaphore, clock, &at);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real)
        real = NEXT("pthread_cond_timedwait", "GLIBC_2.3.2");
    /* Which clock it goes by the condition alone knows: one counts from 1970, the other from boot. */
    clockid_t clock = until->tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    struct timespec at = back(clock, until);
    return real(condition, mutex, &at);
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           clockid_t clock, const struct timespec *restrict until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    struct timespec at = back(clock, until);
    return real(condition, mutex, clock, &at);
}

ssize_t recvmsg(int descriptor, struct msghdr *message, int flags) {
    static ssize_t (*real)(int, struct msghdr *, int);
    if (!real)
        real = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t count = real(descriptor, message, flags);
    if (count < 0 || !shifted || !message->msg_control)
        return count;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each)) {
        struct timespec stamp;
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SO_TIMESTAMPNS)
            continue;
        memcpy(&stamp, CMSG_DATA(each), sizeof stamp);
        if (!stamp.tv_sec)
            continue;
        stamp = spec(theirs(CLOCK_REALTIME, number(&stamp)));
        memcpy(CMSG_DATA(each), &stamp, sizeof stamp);
    }
    return count;
}
