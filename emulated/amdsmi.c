/* libamd_smi.so over GPUs whose true joules are known: what the real `amdsmi` package loads.
 *
 * amdsmi.py says what each setting means and writes the state file that $EMULATED_AMDSMI names; it
 * is read again when it changes. Time is the process's own CLOCK_MONOTONIC; the counter is dated on
 * CLOCK_BOOTTIME, as the kernel's driver does. Declarations follow AMD's amdsmi.h of ROCm 7.0. The
 * package wants every symbol of the library when it is imported: stubs.inc, which amdsmi.py makes
 * from the package itself, gives the rest.
 */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OK = 0, INVAL = 1, NOT_SUPPORTED = 2, BUSY = 30, NOT_INIT = 32, NO_DRIVER = 34 };
enum { MOST_GPUS = 16, MOST_PIDS = 64 };
typedef int status;
typedef void *handle;

typedef struct {
  char name[256];
  double unit_uj, gain, power_gain, temp_c, util, clock_mhz, vram_mib, limit_w, lag_ns;
  int64_t tick_ns, window_ns, frozen[2], fail[2], throttled[2];
  int silent, no_counter, average_only, no_metrics;
  int pids, pid[MOST_PIDS];
  int knots, room;
  double *t_ns, *joules;
} Gpu;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Gpu gpus[MOST_GPUS];
static int count, users, no_driver;
static struct timespec read_at;

static int64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
/* The boot clock less ours, looked at once and by the quickest of many looks: one tick of the table
 * has one date, however often it is asked for and wherever the thread was held up. */
static int64_t boot_ahead_ns(void) {
  static int64_t ahead, slack = INT64_MAX;
  for (int looks = slack == INT64_MAX ? 100 : 0; looks > 0; looks--) {
    int64_t before = now_ns(CLOCK_MONOTONIC), boot = now_ns(CLOCK_BOOTTIME);
    int64_t took = now_ns(CLOCK_MONOTONIC) - before;
    if (took < slack) slack = took, ahead = boot - before - took / 2;
  }
  return ahead;
}

static void set(Gpu *g, const char *key, double a, double b) {
  const struct { const char *key; double *to; } reals[] = {
      {"unit_uj", &g->unit_uj}, {"gain", &g->gain}, {"power_gain", &g->power_gain},
      {"temperature_c", &g->temp_c}, {"utilization", &g->util}, {"clock_mhz", &g->clock_mhz},
      {"vram_mib", &g->vram_mib}, {"limit_w", &g->limit_w}, {"lag_ns", &g->lag_ns}};
  const struct { const char *key; int64_t *to; } spans[] = {
      {"frozen_ns", g->frozen}, {"fail_ns", g->fail}, {"throttled_ns", g->throttled}};
  const struct { const char *key; int *to; } flags[] = {
      {"silent", &g->silent}, {"no_counter", &g->no_counter},
      {"average_only", &g->average_only}, {"no_metrics", &g->no_metrics}};
  for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
    if (!strcmp(key, reals[i].key)) *reals[i].to = a;
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
    if (!strcmp(key, spans[i].key)) spans[i].to[0] = (int64_t)a, spans[i].to[1] = (int64_t)b;
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (!strcmp(key, flags[i].key)) *flags[i].to = a != 0;
  if (!strcmp(key, "tick_ns")) g->tick_ns = (int64_t)a;
  if (!strcmp(key, "window_ns")) g->window_ns = (int64_t)a;
  if (!strcmp(key, "pid") && g->pids < MOST_PIDS) g->pid[g->pids++] = (int)a;
  if (!strcmp(key, "knot")) {
    if (g->knots == g->room) {
      g->room = g->room ? 2 * g->room : 64;
      g->t_ns = realloc(g->t_ns, g->room * sizeof(double));
      g->joules = realloc(g->joules, g->room * sizeof(double));
    }
    g->t_ns[g->knots] = a;
    g->joules[g->knots++] = b;
  }
}

static void refresh(void) {
  const char *path = getenv("EMULATED_AMDSMI");
  struct stat about;
  if (!path || stat(path, &about)) { no_driver = 1; return; }
  if (!memcmp(&about.st_mtim, &read_at, sizeof read_at)) return;
  FILE *file = fopen(path, "r");
  if (!file) { no_driver = 1; return; }
  read_at = about.st_mtim;
  no_driver = 0;
  for (int i = 0; i < count; i++) free(gpus[i].t_ns), free(gpus[i].joules);
  memset(gpus, 0, sizeof gpus);
  count = 0;
  char line[512], key[64];
  double a, b;
  while (fgets(line, sizeof line, file)) {
    if (!strncmp(line, "gpu ", 4) && count < MOST_GPUS) {
      Gpu *g = &gpus[count++];
      line[strcspn(line, "\n")] = 0;
      snprintf(g->name, sizeof g->name, "%.255s", line + 4);
    } else if (count && (b = 0, sscanf(line, "%63s %lf %lf", key, &a, &b)) >= 2) {
      set(&gpus[count - 1], key, a, b);
    }
  }
  fclose(file);
}

static double true_j(const Gpu *g, double t) {
  if (!g->knots || t <= g->t_ns[0]) return 0;
  int low = 0, high = g->knots - 1;
  if (t >= g->t_ns[high]) return g->joules[high] - g->joules[0];
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (g->t_ns[middle] <= t) low = middle; else high = middle;
  }
  double share = (t - g->t_ns[low]) / (g->t_ns[high] - g->t_ns[low]);
  return g->joules[low] + share * (g->joules[high] - g->joules[low]) - g->joules[0];
}
static int64_t ticked(const Gpu *g, int64_t t) { return g->tick_ns ? t - t % g->tick_ns : t; }
static int within(const int64_t *span, int64_t t) { return span[0] <= t && t < span[1]; }
static double power_w(const Gpu *g, int64_t t) {
  int64_t at = ticked(g, t), window = g->window_ns > 0 ? g->window_ns : 1000000;
  return g->power_gain * (true_j(g, at) - true_j(g, at - window)) * 1e9 / window;
}

/* The GPU behind a handle, with the lock held and the state fresh; NULL with the lock released. */
static Gpu *entered(handle h, status *why) {
  pthread_mutex_lock(&lock);
  refresh();
  int64_t index = (intptr_t)h - 1;
  *why = !users ? NOT_INIT : no_driver ? NO_DRIVER : index < 0 || index >= count ? INVAL : OK;
  if (*why == OK && within(gpus[index].fail, now_ns(CLOCK_MONOTONIC))) *why = BUSY;
  if (*why == OK) return &gpus[index];
  pthread_mutex_unlock(&lock);
  return NULL;
}
static status left(status result) { pthread_mutex_unlock(&lock); return result; }

status amdsmi_init(uint64_t flags) {
  (void)flags;
  pthread_mutex_lock(&lock);
  refresh();
  if (no_driver) return left(NO_DRIVER);
  users++;
  return left(OK);
}
status amdsmi_shut_down(void) {
  pthread_mutex_lock(&lock);
  if (users) users--;
  return left(OK);
}
/* One socket for each GPU, as the library has it for GPUs of one die. */
status amdsmi_get_socket_handles(uint32_t *n, handle *to) {
  pthread_mutex_lock(&lock);
  refresh();
  if (!users) return left(NOT_INIT);
  for (int i = 0; to && i < count; i++) to[i] = (handle)(intptr_t)(i + 1);
  *n = count;
  return left(OK);
}
status amdsmi_get_processor_handles(handle socket, uint32_t *n, handle *to) {
  *n = 1;
  if (to) to[0] = socket;
  return OK;
}

status amdsmi_get_energy_count(handle h, uint64_t *accumulator, float *unit, uint64_t *at) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  if (g->no_counter) return left(NOT_SUPPORTED);
  int64_t t = now_ns(CLOCK_MONOTONIC), boot = boot_ahead_ns();
  if (within(g->frozen, t)) t = g->frozen[0];
  int64_t tick = ticked(g, t);
  double joules = g->silent ? 0 : g->gain * true_j(g, tick - g->lag_ns);
  *accumulator = (uint64_t)floor(joules * 1e6 / g->unit_uj);
  *unit = (float)g->unit_uj;
  *at = tick + boot;
  return left(OK);
}

typedef struct {
  uint64_t socket_power;
  uint32_t current, average;
  uint64_t gfx_mv, soc_mv, mem_mv;
  uint32_t limit;
  uint64_t reserved[18];
} PowerInfo;
status amdsmi_get_power_info(handle h, PowerInfo *to) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  memset(to, 0, sizeof *to);
  double watts = g->silent ? 0 : power_w(g, now_ns(CLOCK_MONOTONIC));
  uint32_t none = 0xFFFF, shown = (uint32_t)llround(watts);
  to->socket_power = shown;
  to->current = g->average_only ? none : shown;
  to->average = g->average_only ? shown : none;
  to->gfx_mv = to->soc_mv = to->mem_mv = none;
  to->limit = (uint32_t)g->limit_w;
  return left(OK);
}

typedef struct {
  char market_name[256];
  uint32_t vendor_id;
  char vendor_name[256];
  uint32_t subvendor_id;
  uint64_t device_id;
  uint32_t rev_id;
  char serial[256];
  uint32_t oam_id, compute_units;
  uint64_t graphics_version;
  uint32_t subsystem_id, reserved[21];
} AsicInfo;
status amdsmi_get_gpu_asic_info(handle h, AsicInfo *to) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  memset(to, 0, sizeof *to);
  memcpy(to->market_name, g->name, sizeof g->name);
  strcpy(to->vendor_name, "Advanced Micro Devices Inc. [AMD/ATI]");
  to->vendor_id = 0x1002;
  strcpy(to->serial, "1f");
  return left(OK);
}

typedef struct {
  uint64_t cap, default_cap, dpm, least, most, reserved[3];
} PowerCap;
status amdsmi_get_power_cap_info(handle h, uint32_t sensor, PowerCap *to) {
  (void)sensor;
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  memset(to, 0, sizeof *to);
  to->cap = to->default_cap = to->most = (uint64_t)(g->limit_w * 1e6);
  return left(OK);
}

typedef struct {
  uint32_t total_mib, used_mib, reserved[2];
} Vram;
status amdsmi_get_gpu_vram_usage(handle h, Vram *to) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  to->total_mib = 65536;
  to->used_mib = (uint32_t)g->vram_mib;
  return left(OK);
}

/* The first fields of amdsmi_gpu_metrics_t, to the last that is read. */
typedef struct {
  uint8_t header[4];
  uint16_t temp_edge, temp_hotspot, temp_mem, temp_vr[3];
  uint16_t gfx_activity, umc_activity, mm_activity, average_power;
  uint64_t energy, system_clock;
  uint16_t average_clocks[7], gfxclk, other_clocks[6];
  uint32_t throttle_status;
  uint16_t fan, pcie_width, pcie_speed;
  uint32_t gfx_acc, mem_acc;
  uint16_t hbm[4];
  uint64_t firmware_timestamp;
  uint16_t volts[3];
  uint64_t throttle_bits;
  uint16_t current_power, vcn[4];
  uint32_t clock_lock;
  uint16_t xgmi[2];
  uint64_t pcie[5], xgmi_read[8], xgmi_write[8];
  uint16_t gfxclks[8], socclks[4], vclk0s[4], dclk0s[4], jpeg[32];
  uint32_t nak[2];
  uint64_t accumulation, prochot_acc, ppt_acc, socket_acc, vr_acc, hbm_acc;
} Metrics;
status amdsmi_get_gpu_metrics_info(handle h, Metrics *to) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  if (g->no_metrics) return left(NOT_SUPPORTED);
  memset(to, 0xFF, sizeof *to);
  int64_t t = now_ns(CLOCK_MONOTONIC), in = t - g->throttled[0];
  int64_t length = g->throttled[1] - g->throttled[0];
  to->temp_hotspot = (uint16_t)g->temp_c;
  to->gfx_activity = (uint16_t)g->util;
  to->gfxclk = (uint16_t)g->clock_mhz;
  to->throttle_bits = within(g->throttled, t);
  to->accumulation = t / 1000000;
  to->prochot_acc = to->socket_acc = to->vr_acc = to->hbm_acc = 0;
  to->ppt_acc = (in < 0 ? 0 : in > length ? length : in) / 1000000;
  return left(OK);
}

typedef struct {
  char name[256];
  uint32_t pid;
  uint64_t memory;
  struct { uint64_t gfx, enc; uint32_t reserved[12]; } engines;
  struct { uint64_t gtt, cpu, vram; uint32_t reserved[10]; } memories;
  char container[256];
  uint32_t occupancy, reserved[11];
} Process;
status amdsmi_get_gpu_process_list(handle h, uint32_t *n, Process *to) {
  status why;
  Gpu *g = entered(h, &why);
  if (!g) return why;
  uint32_t room = *n;
  *n = g->pids;
  for (uint32_t i = 0; to && i < room && i < *n; i++) {
    memset(&to[i], 0, sizeof to[i]);
    to[i].pid = g->pid[i];
  }
  return left(OK);
}

#include "stubs.inc"
