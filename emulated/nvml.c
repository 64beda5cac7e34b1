/* NVML's symbols over GPUs whose true joules are known: what pynvml loads as libnvidia-ml.so.1.
 *
 * nvml.py says what each setting means and writes the state (nvml_state.h). Time is the process's
 * own CLOCK_MONOTONIC, hence virtual under clock.c. Declarations follow NVIDIA's nvml.h, in the
 * versions that pynvml asks for (_v2, _v3).
 */
#include "nvml_state.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <time.h>

enum {
  OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7,
  DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999
};
enum { FI_ENERGY = 83, FI_AVERAGE = 185, FI_INSTANT = 186, FI_LIMIT = 190 };
enum { SCOPE_GPU = 0, SCOPE_MODULE = 1 };
enum { VALUE_UINT = 1, VALUE_ULONGLONG = 3 };

typedef struct { int32_t gpu, slice; } *Device; /* slice -1: the whole GPU */
typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } ProcessInfo;
typedef struct {
  unsigned field, scope;
  long long timestamp, latency_us;
  unsigned type;
  int error;
  union { double d; unsigned ui; unsigned long long ull; } value;
} FieldValue;

/* Of clock.c, where that is loaded too: a call then takes virtual time in place of real. */
extern void emulated_clock_spend(int64_t ns) __attribute__((weak));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users;
static __typeof__(*(Device)0) whole[MOST_GPUS], slices[MOST_GPUS][MOST_SLICES];

static int64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void spend(int64_t ns) {
  if (ns <= 0) return;
  if (emulated_clock_spend) { emulated_clock_spend(ns); return; }
  int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
  while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {}
}
static void hang(double seconds) {
  struct timespec left = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
  while (nanosleep(&left, &left) && errno == EINTR) {}
}

static int64_t floor_to(int64_t t, int64_t tick, int64_t phase) {
  if (tick <= 0) return t;
  int64_t past = (t - phase) % tick;
  return t - (past < 0 ? past + tick : past);
}
static const Fault *faults_of(const Gpu *g) { return (const Fault *)(state + g->faults_at); }
static const Fault *fault(const Gpu *g, int kind, int64_t t) {
  const Fault *all = faults_of(g);
  for (int64_t i = 0; i < g->faults; i++)
    if (all[i].kind == kind && all[i].from_ns <= t && t < all[i].to_ns) return &all[i];
  return NULL;
}

static double sensed_j(const Gpu *g, int64_t t) { return curve_at(g, TRUTH, t); }

static unsigned long long counter_mj(const Gpu *g, int64_t t) {
  const Fault *all = faults_of(g), *now;
  if ((now = fault(g, ZERO, t))) return 0;
  if ((now = fault(g, ABSURD, t))) return (unsigned long long)(now->value * 1e3);
  if ((now = fault(g, FROZEN, t))) t = now->from_ns;
  int64_t tick = floor_to(t, g->tick_ns, g->phase_ns), reset = INT64_MIN;
  for (int64_t i = 0; i < g->faults; i++)
    if (all[i].kind == RESET && all[i].from_ns <= tick && all[i].from_ns > reset)
      reset = all[i].from_ns;
  double before = reset == INT64_MIN ? 0 : sensed_j(g, reset - g->lag_ns);
  double j = g->gain * (sensed_j(g, tick - g->lag_ns) - before);
  if (reset == INT64_MIN) j += g->start_j;
  for (int64_t i = 0; i < g->faults; i++)
    if (all[i].kind == STEP && all[i].from_ns <= tick && all[i].from_ns > reset) j += all[i].value;
  if (g->wrap_j > 0) j = fmod(j, g->wrap_j);
  if (j < 0) j = 0;
  return (unsigned long long)llround(floor(j / g->quantum_j + 1e-9) * g->quantum_j * 1e3);
}

static unsigned power_mw(const Gpu *g, int64_t t, int64_t window_ns, int scope) {
  if (fault(g, POWER_ZERO, t)) return 0;
  int64_t end = floor_to(t, g->power_tick_ns, g->phase_ns) - g->lag_ns;
  double w = (sensed_j(g, end) - sensed_j(g, end - window_ns)) / ((double)window_ns / 1e9);
  if (scope == SCOPE_GPU && g->host_w > 0) w -= g->host_w;
  return w <= 0 ? 0 : (unsigned)llround(w * g->power_gain * 1e3);
}

/* Every look at a GPU: half the cost of the call before the moment it looks at, half after it. */
typedef struct { const Gpu *g; int64_t t; int error; } Look;
static Look begin(Device device) {
  Look look = {NULL, 0, OK};
  double hang_s = 0;
  pthread_mutex_lock(&lock);
  if (!users) look.error = UNINITIALIZED;
  else if (!device) look.error = INVALID;
  else if (refresh() || device->gpu >= gpu_count()) look.error = GPU_IS_LOST;
  if (look.error) return look;
  look.g = gpu_at(device->gpu);
  const Fault *found = look.g->faults ? fault(look.g, HANG, now_ns(CLOCK_MONOTONIC)) : NULL;
  if (found) hang_s = found->value;
  int64_t cost_ns = look.g->read_cost_ns;
  if (hang_s > 0) { /* the lock is not kept: other threads may go on */
    pthread_mutex_unlock(&lock);
    hang(hang_s);
    pthread_mutex_lock(&lock);
    if (refresh() || device->gpu >= gpu_count()) { look.error = GPU_IS_LOST; return look; }
    look.g = gpu_at(device->gpu);
  }
  spend(cost_ns / 2);
  look.t = now_ns(CLOCK_MONOTONIC);
  found = look.g->faults ? fault(look.g, DROPOUT, look.t) : NULL;
  if (found) look.error = (int)found->value;
  return look;
}
static int end(Look look, int error) {
  if (look.g) spend(look.g->read_cost_ns / 2);
  pthread_mutex_unlock(&lock);
  return look.error ? look.error : error;
}
#define LOOK(device)                          \
  Look look = begin(device);                  \
  if (look.error) return end(look, OK);       \
  const Gpu *g = look.g;                      \
  (void)g

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  pthread_mutex_lock(&lock);
  int error = open_page() ? DRIVER_NOT_LOADED : (int)((const Header *)state)->init_error;
  double hang_s = error == DRIVER_NOT_LOADED ? 0 : ((const Header *)state)->init_hang_s;
  pthread_mutex_unlock(&lock);
  if (hang_s > 0) hang(hang_s);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < MOST_GPUS; i++) {
    whole[i].gpu = i;
    whole[i].slice = -1;
    for (int k = 0; k < MOST_SLICES; k++) slices[i][k].gpu = i, slices[i][k].slice = k;
  }
  if (!error) users++;
  pthread_mutex_unlock(&lock);
  return error;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
  pthread_mutex_lock(&lock);
  int error = users ? OK : UNINITIALIZED;
  if (users) users--;
  pthread_mutex_unlock(&lock);
  return error;
}
const char *nvmlErrorString(int error) {
  switch (error) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case TOO_SMALL: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
  }
}
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  snprintf(text, length, "575.57.08");
  return OK;
}
int nvmlSystemGetNVMLVersion(char *text, unsigned length) {
  snprintf(text, length, "12.575.57.08");
  return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12090; return OK; }

int nvmlDeviceGetCount_v2(unsigned *count) {
  pthread_mutex_lock(&lock);
  int error = !users ? UNINITIALIZED : refresh() ? UNKNOWN : OK;
  if (!error) *count = (unsigned)gpu_count();
  pthread_mutex_unlock(&lock);
  return error;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
  unsigned count;
  int error = nvmlDeviceGetCount_v2(&count);
  if (error) return error;
  if (index >= count) return INVALID;
  *device = (Device)&whole[index];
  return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Device *device) {
  unsigned count;
  int error = nvmlDeviceGetCount_v2(&count);
  for (unsigned i = 0; !error && i < count; i++)
    if (!strcmp(gpu_at(i)->uuid, uuid)) { *device = (Device)&whole[i]; return OK; }
  return error ? error : NOT_FOUND;
}
/* "0000:03:00.0": the third GPU is on bus 3. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *text, Device *device) {
  unsigned domain, bus;
  if (sscanf(text, "%x:%x:", &domain, &bus) != 2 || !bus) return INVALID;
  return nvmlDeviceGetHandleByIndex_v2(bus - 1, device) ? NOT_FOUND : OK;
}
int nvmlDeviceGetIndex(Device device, unsigned *index) { *index = device->gpu; return OK; }
int nvmlDeviceGetName(Device device, char *text, unsigned length) {
  LOOK(device);
  snprintf(text, length, "%s", g->name);
  return end(look, OK);
}
int nvmlDeviceGetUUID(Device device, char *text, unsigned length) {
  LOOK(device);
  if (device->slice < 0) snprintf(text, length, "%s", g->uuid);
  else snprintf(text, length, "MIG-%d-%s", (int)device->slice, g->uuid);
  return end(look, OK);
}
/* The link between the CPU and the GPU of a superchip. */
int nvmlDeviceGetC2cModeInfoV(Device device, unsigned *enabled) {
  LOOK(device);
  *enabled = 1;
  return end(look, g->host_w > 0 ? OK : NOT_SUPPORTED);
}
int nvmlDeviceGetArchitecture(Device device, unsigned *architecture) {
  LOOK(device);
  *architecture = (unsigned)g->architecture;
  return end(look, OK);
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *mj) {
  LOOK(device);
  if (!g->has_counter || device->slice >= 0) return end(look, NOT_SUPPORTED);
  *mj = counter_mj(g, look.t);
  return end(look, OK);
}
int nvmlDeviceGetPowerUsage(Device device, unsigned *mw) {
  LOOK(device);
  if (device->slice >= 0) return end(look, NOT_SUPPORTED);
  *mw = power_mw(g, look.t, g->usage_is_average ? g->average_ns : g->instant_ns, SCOPE_GPU);
  return end(look, OK);
}
int nvmlDeviceGetFieldValues(Device device, int count, FieldValue *values) {
  LOOK(device);
  for (int i = 0; i < count; i++) {
    FieldValue *v = &values[i];
    int known = v->scope == SCOPE_GPU || (v->scope == SCOPE_MODULE && g->host_w > 0);
    v->timestamp = look.t / 1000;
    v->latency_us = 0;
    v->type = VALUE_UINT;
    v->error = OK;
    if (known && v->field == FI_INSTANT && g->has_instant)
      v->value.ui = power_mw(g, look.t, g->instant_ns, v->scope);
    else if (known && v->field == FI_AVERAGE && g->has_average)
      v->value.ui = power_mw(g, look.t, g->average_ns, v->scope);
    else if (known && v->field == FI_LIMIT)
      v->value.ui = (unsigned)g->power_limit_mw;
    else if (v->field == FI_ENERGY && g->has_counter) {
      v->type = VALUE_ULONGLONG;
      v->value.ull = counter_mj(g, look.t);
    } else
      v->error = NOT_SUPPORTED;
  }
  return end(look, OK);
}

static int limit(Device device, unsigned *mw) {
  LOOK(device);
  *mw = (unsigned)g->power_limit_mw;
  return end(look, OK);
}
int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned *mw) { return limit(device, mw); }
int nvmlDeviceGetPowerManagementLimit(Device device, unsigned *mw) { return limit(device, mw); }
int nvmlDeviceGetPowerManagementDefaultLimit(Device d, unsigned *mw) { return limit(d, mw); }
int nvmlDeviceGetPowerManagementLimitConstraints(Device d, unsigned *least, unsigned *most) {
  *least = 100000;
  return limit(d, most);
}
int nvmlDeviceGetUtilizationRates(Device device, unsigned *gpu_memory) {
  LOOK(device);
  gpu_memory[0] = (unsigned)llround(curve_at(g, UTILIZATION, look.t) * 100);
  gpu_memory[1] = 0;
  return end(look, OK);
}
int nvmlDeviceGetMemoryInfo(Device device, unsigned long long *total_free_used) {
  LOOK(device);
  total_free_used[0] = (unsigned long long)g->memory_total;
  total_free_used[2] = (unsigned long long)curve_at(g, MEMORY, look.t);
  total_free_used[1] = total_free_used[0] - total_free_used[2];
  return end(look, OK);
}
int nvmlDeviceGetTemperature(Device device, int sensor, unsigned *celsius) {
  LOOK(device);
  *celsius = (unsigned)llround(curve_at(g, TEMPERATURE, look.t));
  return end(look, sensor ? INVALID : OK);
}
int nvmlDeviceGetClockInfo(Device device, int kind, unsigned *mhz) {
  LOOK(device);
  (void)kind;
  *mhz = (unsigned)llround(curve_at(g, CLOCK, look.t));
  return end(look, OK);
}
int nvmlDeviceGetCurrentClocksEventReasons(Device device, unsigned long long *bits) {
  LOOK(device);
  const Throttle *all = (const Throttle *)(state + g->throttles_at);
  *bits = 0;
  for (int64_t i = 0; i < g->throttles; i++)
    if (all[i].from_ns <= look.t && look.t < all[i].to_ns) *bits |= (uint64_t)all[i].bits;
  return end(look, OK);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long *bits) {
  return nvmlDeviceGetCurrentClocksEventReasons(device, bits);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, ProcessInfo *list) {
  LOOK(device);
  const Process *all = (const Process *)(state + g->processes_at);
  unsigned room = *count, found = 0;
  for (int64_t i = 0; i < g->processes; i++) {
    if (device->slice >= 0 && all[i].slice != device->slice) continue;
    if (list && found < room) {
      unsigned slice = all[i].slice < 0 ? UINT32_MAX : (unsigned)all[i].slice;
      list[found] = (ProcessInfo){(unsigned)all[i].pid, 1 << 30, slice, 0};
    }
    found++;
  }
  *count = found;
  return end(look, found > (list ? room : 0) ? TOO_SMALL : OK);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Device device, unsigned *count, ProcessInfo *list) {
  LOOK(device);
  (void)list;
  *count = 0;
  return end(look, OK);
}

int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
  LOOK(device);
  *current = *pending = g->mig > 0;
  return end(look, g->mig < 0 ? NOT_SUPPORTED : OK);
}
int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count) {
  LOOK(device);
  *count = g->mig < 0 ? 0 : MOST_SLICES - 1;
  return end(look, OK);
}
int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *slice) {
  LOOK(device);
  if (g->mig <= 0 || index >= g->slices) return end(look, NOT_FOUND);
  *slice = (Device)&slices[device->gpu][index];
  return end(look, OK);
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device slice, Device *device) {
  *device = (Device)&whole[slice->gpu];
  return OK;
}
int nvmlDeviceIsMigDeviceHandle(Device device, unsigned *is) { *is = device->slice >= 0; return OK; }
int nvmlDeviceGetGpuInstanceId(Device device, unsigned *id) {
  *id = (unsigned)device->slice;
  return device->slice < 0 ? NOT_SUPPORTED : OK;
}
