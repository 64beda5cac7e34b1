/* LD_PRELOAD: a virtual CLOCK_MONOTONIC for one process and its children, set by clock.py.
 *
 * $EMULATED_CLOCK names a file of three words, shared by all that map it: the time, the step, and
 * how far the wall clock is ahead. Reading CLOCK_MONOTONIC or CLOCK_REALTIME gives the time and then
 * moves it on by the step, so that what a program does between two readings takes time. A sleep
 * moves it on by its length and returns at once. A wait with a time limit (a lock, poll, epoll)
 * waits as long really, and when nothing came moves it on by that much. Every other clock is real,
 * CLOCK_MONOTONIC_RAW and CPU time among them, and so are the dates of files.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

typedef struct { int64_t now_ns, step_ns, wall_ahead_ns; } Shared;
static Shared *shared;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("EMULATED_CLOCK");
  if (!path) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  void *at = MAP_FAILED;
  if (file >= 0) at = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) { /* never on to a real clock unnoticed */
    fprintf(stderr, "the virtual clock %s cannot be opened\n", path);
    _exit(2);
  }
  close(file);
  shared = at;
}

static int is_wall(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}
static int is_virtual(clockid_t clock) {
  return shared && (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || is_wall(clock));
}
static int64_t ahead(clockid_t clock) {
  return is_wall(clock) ? __atomic_load_n(&shared->wall_ahead_ns, __ATOMIC_SEQ_CST) : 0;
}
static int64_t ns_of(const struct timespec *t) { return t->tv_sec * 1000000000LL + t->tv_nsec; }
static struct timespec timespec_of(int64_t ns) {
  return (struct timespec){ns / 1000000000LL, ns % 1000000000LL};
}
static int64_t now(void) { return __atomic_load_n(&shared->now_ns, __ATOMIC_SEQ_CST); }
static void forward_to(int64_t t_ns) { /* never back: another thread may be further on */
  int64_t seen = now();
  while (seen < t_ns && !__atomic_compare_exchange_n(&shared->now_ns, &seen, t_ns, 0,
                                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
}

int emulated_clock_active(void) { return shared != NULL; }
int64_t emulated_clock_now(void) { return shared ? now() : -1; }
void emulated_clock_set(int64_t t_ns) {
  if (shared) __atomic_store_n(&shared->now_ns, t_ns, __ATOMIC_SEQ_CST);
}
void emulated_clock_step_wall(int64_t ns) {
  if (shared) __atomic_fetch_add(&shared->wall_ahead_ns, ns, __ATOMIC_SEQ_CST);
}
void emulated_clock_step(int64_t ns) {
  if (shared) __atomic_store_n(&shared->step_ns, ns, __ATOMIC_SEQ_CST);
}
/* Also called by nvml.c, whose calls take virtual time. */
void emulated_clock_spend(int64_t ns) {
  if (shared) __atomic_fetch_add(&shared->now_ns, ns, __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t clock, struct timespec *t) {
  if (is_virtual(clock)) {
    int64_t step = __atomic_load_n(&shared->step_ns, __ATOMIC_RELAXED);
    int64_t t_ns = __atomic_fetch_add(&shared->now_ns, step, __ATOMIC_SEQ_CST);
    *t = timespec_of(t_ns + ahead(clock));
    return 0;
  }
  static int (*next)(clockid_t, struct timespec *);
  if (!next) next = real("clock_gettime");
  return next(clock, t);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *left) {
  if (is_virtual(clock)) {
    forward_to(flags & TIMER_ABSTIME ? ns_of(t) - ahead(clock) : now() + ns_of(t));
    return 0;
  }
  static int (*next)(clockid_t, int, const struct timespec *, struct timespec *);
  if (!next) next = real("clock_nanosleep");
  return next(clock, flags, t, left);
}
int nanosleep(const struct timespec *t, struct timespec *left) {
  if (shared) {
    emulated_clock_spend(ns_of(t));
    return 0;
  }
  static int (*next)(const struct timespec *, struct timespec *);
  if (!next) next = real("nanosleep");
  return next(t, left);
}
int usleep(useconds_t us) {
  struct timespec t = timespec_of(us * 1000LL);
  return nanosleep(&t, NULL);
}

/* A virtual deadline as the real one of the same clock that is as far away. */
static struct timespec real_deadline(clockid_t clock, const struct timespec *deadline) {
  static int (*next)(clockid_t, struct timespec *);
  if (!next) next = real("clock_gettime");
  struct timespec t;
  next(clock, &t);
  int64_t left = ns_of(deadline) - ahead(clock) - now();
  return timespec_of(ns_of(&t) + (left > 0 ? left : 0));
}
int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *deadline) {
  static int (*next)(sem_t *, clockid_t, const struct timespec *);
  if (!next) next = real("sem_clockwait");
  if (!is_virtual(clock)) return next(sem, clock, deadline);
  struct timespec until = real_deadline(clock, deadline);
  int failed = next(sem, clock, &until);
  if (failed && errno == ETIMEDOUT) forward_to(ns_of(deadline) - ahead(clock));
  return failed;
}
int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *deadline) {
  static int (*next)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
  if (!next) next = real("pthread_cond_clockwait");
  if (!is_virtual(clock)) return next(cond, mutex, clock, deadline);
  struct timespec until = real_deadline(clock, deadline);
  int error = next(cond, mutex, clock, &until);
  if (error == ETIMEDOUT) forward_to(ns_of(deadline) - ahead(clock));
  return error;
}
/* Of the clock in the condition's attributes, which cannot be asked for: of the two, the one that
 * the deadline is nearer to. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                           const struct timespec *deadline) {
  static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (!next) next = real("pthread_cond_timedwait");
  if (!shared) return next(cond, mutex, deadline);
  int64_t left = ns_of(deadline) - now(), wall_left = left - ahead(CLOCK_REALTIME);
  clockid_t clock = llabs(wall_left) < llabs(left) ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  struct timespec until = real_deadline(clock, deadline);
  int error = next(cond, mutex, &until);
  if (error == ETIMEDOUT) forward_to(ns_of(deadline) - ahead(clock));
  return error;
}
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms) {
  static int (*next)(int, struct epoll_event *, int, int);
  if (!next) next = real("epoll_wait");
  int found = next(epoll, events, most, timeout_ms);
  if (!found && timeout_ms > 0) emulated_clock_spend(timeout_ms * 1000000LL);
  return found;
}
int poll(struct pollfd *files, nfds_t count, int timeout_ms) {
  static int (*next)(struct pollfd *, nfds_t, int);
  if (!next) next = real("poll");
  int found = next(files, count, timeout_ms);
  if (!found && timeout_ms > 0) emulated_clock_spend(timeout_ms * 1000000LL);
  return found;
}
int select(int count, fd_set *in, fd_set *out, fd_set *odd, struct timeval *timeout) {
  static int (*next)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
  if (!next) next = real("select");
  int64_t ns = timeout ? timeout->tv_sec * 1000000000LL + timeout->tv_usec * 1000LL : 0;
  int found = next(count, in, out, odd, timeout);
  if (!found && ns > 0) emulated_clock_spend(ns);
  return found;
}
