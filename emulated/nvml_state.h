/* The state file that nvml.py writes and nvml.c reads: layout, mapping, curves.
 *
 * $EMULATED_NVML names a page of two words, MAGIC and a generation. The state itself is in the file
 * of that name with ".<generation>" behind it, mapped when the generation changes, so that a process
 * that has the library loaded sees a new state at its next call, at the cost of reading one word.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x314c4d564e575045LL /* "EPWNVML1" */
#define MOST_GPUS 64
#define MOST_SLICES 8

enum { TRUTH, TEMPERATURE, UTILIZATION, MEMORY, CLOCK, CURVES };
enum { RESET = 1, STEP, FROZEN, DROPOUT, ZERO, ABSURD, POWER_ZERO, HANG };

typedef struct { int64_t magic, generation; } Page;
typedef struct { int64_t count, t_ns_at, value_at; } Curve;      /* int64[count], double[count] */
typedef struct { int64_t kind, from_ns, to_ns; double value; } Fault;
typedef struct { int64_t from_ns, to_ns, bits; } Throttle;
typedef struct { int64_t pid, slice; } Process;
typedef struct {
  char name[96], uuid[96];
  int64_t architecture, tick_ns, phase_ns, lag_ns, power_tick_ns, instant_ns, average_ns;
  int64_t has_counter, has_instant, has_average, usage_is_average, memory_total, power_limit_mw;
  int64_t mig, slices, read_cost_ns;
  double gain, power_gain, quantum_j, start_j, wrap_j, host_w;
  Curve curves[CURVES];
  int64_t faults, faults_at, throttles, throttles_at, processes, processes_at;
} Gpu;
typedef struct { int64_t magic, bytes, gpus, init_error; double init_hang_s; } Header;

_Static_assert(sizeof(Gpu) == 192 + 16 * 8 + 6 * 8 + CURVES * 24 + 6 * 8, "as in nvml.py");

static Page *page;
static char page_path[3584];
static const char *state;
static int64_t mapped_generation = -1, mapped_bytes;

static void *map_file(const char *path, int64_t *bytes) {
  struct stat seen;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  void *at = MAP_FAILED;
  if (!fstat(file, &seen) && seen.st_size >= (off_t)sizeof(Page)) {
    at = mmap(NULL, seen.st_size, PROT_READ, MAP_SHARED, file, 0);
    *bytes = seen.st_size;
  }
  close(file);
  return at == MAP_FAILED ? NULL : at;
}

/* 0, or -1 where there is no state to be read. The caller holds the lock. */
static int refresh(void) {
  for (int tries = 0; page && tries < 100; tries++) {
    int64_t generation = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE), bytes = 0;
    if (generation == mapped_generation) return 0;
    char path[4096];
    snprintf(path, sizeof path, "%s.%lld", page_path, (long long)generation);
    const Header *header = map_file(path, &bytes);
    if (!header) continue; /* replaced between the two looks: look again */
    if (header->magic != MAGIC || header->bytes != bytes) return -1;
    if (state) munmap((void *)state, mapped_bytes);
    state = (const char *)header;
    mapped_generation = generation;
    mapped_bytes = bytes;
    return 0;
  }
  return -1;
}

/* Look at the file that the environment names now: tests change it between two nvmlInit. */
static int open_page(void) {
  const char *path = getenv("EMULATED_NVML");
  int64_t bytes = 0;
  if (!path || strlen(path) >= sizeof page_path) return -1;
  if (!page || strcmp(path, page_path)) {
    if (page) munmap(page, sizeof *page);
    page = map_file(path, &bytes);
    if (page && page->magic != MAGIC) page = NULL;
    snprintf(page_path, sizeof page_path, "%s", path);
    mapped_generation = -1;
  }
  return refresh();
}

static const Gpu *gpu_at(int64_t index) { return (const Gpu *)(state + sizeof(Header)) + index; }
static int64_t gpu_count(void) { return ((const Header *)state)->gpus; }

/* Linear between the knots, level outside them. */
static double curve_at(const Gpu *g, int which, int64_t t_ns) {
  const Curve *curve = &g->curves[which];
  const int64_t *t = (const int64_t *)(state + curve->t_ns_at);
  const double *value = (const double *)(state + curve->value_at);
  int64_t low = 0, high = curve->count - 1;
  if (high < 0) return 0;
  if (t_ns <= t[0]) return value[0];
  if (t_ns >= t[high]) return value[high];
  while (high - low > 1) {
    int64_t middle = (low + high) / 2;
    if (t[middle] <= t_ns) low = middle; else high = middle;
  }
  double share = (double)(t_ns - t[low]) / (double)(t[high] - t[low]);
  return value[low] + share * (value[high] - value[low]);
}
