/* A wire of known length between two network namespaces: every frame is handed on a given time after
 * it came.
 *
 *   delayed_wire PID PID NAME
 *
 * The first process' namespace gets the interface eth0, the second one's an interface NAME, and what
 * goes into the one comes out of the other. Writes "ready" when both are there; ends, and both
 * interfaces with it, at the end of its standard input, on which it takes commands, a line each:
 * "delay THERE BACK" (microseconds, from the first to the second and back, from now on), "cut" (all
 * frames are lost from now on) and "heal". */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME 2048
#define FRAMES 16384 /* on the way at once, in one direction; what is more is lost */

struct way {
    int in, out;
    int64_t delay;
    unsigned first, count;
    struct {
        int64_t due;
        ssize_t length;
        char bytes[FRAME];
    } *frames;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int interface(const char *pid, const char *name) {
    char path[64];
    struct ifreq request = {0};
    snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET))
        fail(path);
    close(namespace);
    int end = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (end < 0)
        fail("/dev/net/tun");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(end, TUNSETIFF, &request))
        fail("TUNSETIFF");
    return end;
}

static void take(struct way *way, int is_cut) {
    char lost[FRAME];
    for (;;) {
        int has_room = way->count < FRAMES && !is_cut;
        unsigned place = (way->first + way->count) % FRAMES;
        ssize_t length = read(way->in, has_room ? way->frames[place].bytes : lost, FRAME);
        if (length <= 0)
            return;
        if (has_room) {
            way->frames[place].due = now() + way->delay;
            way->frames[place].length = length;
            way->count++;
        }
    }
}

static void give(struct way *way, int is_cut) {
    while (way->count && way->frames[way->first].due <= now()) {
        /* A frame that an interface which is down does not take is lost, as on any wire. */
        if (!is_cut && write(way->out, way->frames[way->first].bytes, way->frames[way->first].length))
            errno = 0;
        way->first = (way->first + 1) % FRAMES;
        way->count--;
    }
}

/* One read is one line or more of them, as short as commands are; 0 at the end. */
static int obey(struct way ways[2], int *is_cut) {
    char text[256];
    long there, back;
    ssize_t length = read(0, text, sizeof text - 1);
    if (length <= 0)
        return 0;
    text[length] = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (sscanf(line, "delay %ld %ld", &there, &back) == 2) {
            ways[0].delay = there * 1000LL;
            ways[1].delay = back * 1000LL;
        } else {
            *is_cut = !strcmp(line, "cut");
        }
        puts("done");
        fflush(stdout);
    }
    return 1;
}

int main(int count, char **arguments) {
    struct way ways[2] = {0};
    int is_cut = 0;
    if (count != 4)
        return 2;
    /* The kernel rounds waits by 50 us otherwise. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0);
    /* Nor has a wire to wait for a core. */
    struct sched_param first = {.sched_priority = 20};
    if (sched_setscheduler(0, SCHED_FIFO, &first))
        perror("delayed_wire: no real-time priority");
    ways[0].in = ways[1].out = interface(arguments[1], "eth0");
    ways[1].in = ways[0].out = interface(arguments[2], arguments[3]);
    for (int each = 0; each < 2; each++)
        if (!(ways[each].frames = calloc(FRAMES, sizeof *ways[each].frames)))
            fail("calloc");
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd ends[] = {{0, POLLIN, 0}, {ways[0].in, POLLIN, 0}, {ways[1].in, POLLIN, 0}};
        int64_t due = INT64_MAX;
        for (int each = 0; each < 2; each++)
            if (ways[each].count && ways[each].frames[ways[each].first].due < due)
                due = ways[each].frames[ways[each].first].due;
        int64_t left = due == INT64_MAX ? 0 : due - now();
        struct timespec until = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
        if (ppoll(ends, 3, due == INT64_MAX ? NULL : &until, NULL) < 0 && errno != EINTR)
            fail("ppoll");
        if (ends[0].revents && !obey(ways, &is_cut))
            return 0;
        for (int each = 0; each < 2; each++) {
            take(&ways[each], is_cut);
            give(&ways[each], is_cut);
        }
    }
}
