/* NVML's symbols over GPUs of known power: what pynvml loads in test_sensors_nvml.py.
 *
 * $FAKE_NVML names a text file, read at nvmlInit:
 *   gpu TICK_NS HAS_COUNTER PID            one line for each GPU, 0 to 3
 *   step GPU T_NS MILLIWATTS               power from T_NS (CLOCK_MONOTONIC) on; steps rise in time
 *   fail GPU FROM_NS TO_NS                 its energy cannot be read in this stretch
 *   init ERROR                             nvmlInit gives this error
 * The counter stands still between ticks, as the real one does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OK 0
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define GPU_IS_LOST 15
#define GPUS 4
#define STEPS 64

typedef struct {
  long long tick_ns, fail_from, fail_to, step_ns[STEPS];
  double step_mw[STEPS];
  int has_counter, steps;
  unsigned pid;
} Gpu;

typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } Process;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;

static Gpu gpus[GPUS];
static int count, init_error;

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  FILE *file = fopen(getenv("FAKE_NVML"), "r");
  char word[16];
  long long a, b;
  int gpu;
  count = init_error = 0;
  memset(gpus, 0, sizeof gpus);
  while (file && fscanf(file, "%15s", word) == 1) {
    if (!strcmp(word, "gpu")) {
      Gpu *g = &gpus[count++];
      if (fscanf(file, "%lld %d %u", &g->tick_ns, &g->has_counter, &g->pid) != 3) return 999;
    } else if (!strcmp(word, "init")) {
      if (fscanf(file, "%d", &init_error) != 1) return 999;
    } else {
      if (fscanf(file, "%d %lld %lld", &gpu, &a, &b) != 3) return 999;
      Gpu *g = &gpus[gpu];
      if (!strcmp(word, "step")) {
        g->step_ns[g->steps] = a;
        g->step_mw[g->steps++] = (double)b;
      } else {
        g->fail_from = a;
        g->fail_to = b;
      }
    }
  }
  if (file) fclose(file);
  return init_error;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) {
  return error == GPU_IS_LOST ? "GPU is lost" : error == NOT_SUPPORTED ? "Not Supported" : "Error";
}
int nvmlDeviceGetCount_v2(unsigned *n) { *n = count; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, Gpu **g) {
  if ((int)i >= count) return NOT_FOUND;
  *g = &gpus[i];
  return OK;
}
int nvmlDeviceGetName(Gpu *g, char *name, unsigned length) {
  snprintf(name, length, "Emulated GPU %d", (int)(g - gpus));
  return OK;
}
static int failing(Gpu *g) {
  long long now = now_ns();
  return g->fail_from <= now && now < g->fail_to;
}
int nvmlDeviceGetTotalEnergyConsumption(Gpu *g, unsigned long long *mj) {
  if (!g->has_counter) return NOT_SUPPORTED;
  if (failing(g)) return GPU_IS_LOST;
  long long seen = now_ns() / g->tick_ns * g->tick_ns;
  double sum = 1e6;
  for (int i = 0; i < g->steps && g->step_ns[i] < seen; i++) {
    long long end = i + 1 < g->steps && g->step_ns[i + 1] < seen ? g->step_ns[i + 1] : seen;
    sum += g->step_mw[i] * (double)(end - g->step_ns[i]) / 1e9;
  }
  *mj = (unsigned long long)sum;
  return OK;
}
int nvmlDeviceGetPowerUsage(Gpu *g, unsigned *mw) {
  if (failing(g)) return GPU_IS_LOST;
  long long now = now_ns();
  *mw = 0;
  for (int i = 0; i < g->steps && g->step_ns[i] <= now; i++) *mw = (unsigned)g->step_mw[i];
  return OK;
}
int nvmlDeviceGetEnforcedPowerLimit(Gpu *g, unsigned *mw) { (void)g; *mw = 700000; return OK; }
int nvmlDeviceGetMigMode(Gpu *g, unsigned *c, unsigned *p) {
  (void)g; (void)c; (void)p;
  return NOT_SUPPORTED;
}
int nvmlDeviceGetUtilizationRates(Gpu *g, Utilization *u) {
  (void)g;
  u->gpu = 37;
  u->memory = 5;
  return OK;
}
int nvmlDeviceGetMemoryInfo(Gpu *g, Memory *m) {
  (void)g;
  m->total = 80000000000ULL;
  m->used = 1234567890ULL;
  m->free = m->total - m->used;
  return OK;
}
int nvmlDeviceGetTemperature(Gpu *g, int kind, unsigned *c) { (void)g; (void)kind; *c = 41; return OK; }
int nvmlDeviceGetClockInfo(Gpu *g, int kind, unsigned *mhz) {
  (void)g; (void)kind;
  *mhz = 1755;
  return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *g, unsigned *n, Process *list) {
  if (!g->pid) { *n = 0; return OK; }
  if (!list) { *n = 1; return INSUFFICIENT_SIZE; }
  *n = 1;
  list[0].pid = g->pid;
  return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(Gpu *g, unsigned *n, Process *list) {
  (void)g; (void)list;
  *n = 0;
  return OK;
}
