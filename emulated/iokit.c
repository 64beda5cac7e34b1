/* IOKit's symbols over an emulated management controller: what apple_smc.py loads in its place.
 *
 * $EMULATED_IOKIT names a file of lines `KEY value`; the value is a float, or `refused` for a
 * controller that nobody may open. Without the file there is no controller.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOT_PERMITTED = (int)0xE00002E2, BAD_ARGUMENT = (int)0xE00002C2, KEY_NOT_FOUND = 0x84 };
enum { SERVICE = 7, CONNECTION = 9, TASK = 259 };
typedef struct {
  uint32_t key;
  struct { uint8_t major, minor, build, reserved; uint16_t release; } version;
  struct { uint16_t version, length; uint32_t cpu, gpu, memory; } limits;
  struct { uint32_t size, type; uint8_t attributes; } info;
  uint8_t result, status, command;
  uint32_t data32;
  uint8_t bytes[32];
} KeyData;
_Static_assert(sizeof(KeyData) == 80, "the record of the AppleSMC user client");

uint32_t mach_task_self_ = TASK;

static int look(uint32_t key, float *value) {
  const char *path = getenv("EMULATED_IOKIT");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return -1;
  char name[8], text[32];
  int found = 0;
  while (!found && fscanf(file, "%7s %31s", name, text) == 2) {
    uint32_t code = (uint32_t)(uint8_t)name[0] << 24 | (uint32_t)(uint8_t)name[1] << 16 |
                    (uint32_t)(uint8_t)name[2] << 8 | (uint8_t)name[3];
    if (!strcmp(text, "refused")) found = 2;
    else if (code == key) *value = strtof(text, NULL), found = 1;
  }
  fclose(file);
  return found;
}

void *IOServiceMatching(const char *name) { return (void *)name; }
uint32_t IOServiceGetMatchingService(uint32_t port, void *matching) {
  (void)port;
  float unused;
  return !strcmp(matching, "AppleSMC") && look(0, &unused) >= 0 ? SERVICE : 0;
}
int IOServiceOpen(uint32_t service, uint32_t task, uint32_t type, uint32_t *connection) {
  float unused;
  if (service != SERVICE || task != TASK || type != 0) return BAD_ARGUMENT;
  if (look(0, &unused) == 2) return NOT_PERMITTED;
  *connection = CONNECTION;
  return 0;
}
int IOServiceClose(uint32_t connection) { return connection == CONNECTION ? 0 : BAD_ARGUMENT; }
int IOObjectRelease(uint32_t object) { return object == SERVICE ? 0 : BAD_ARGUMENT; }

int IOConnectCallStructMethod(uint32_t connection, uint32_t selector, const void *in,
                              size_t in_size, void *out, size_t *out_size) {
  const KeyData *asked = in;
  KeyData *answer = out;
  float value;
  if (connection != CONNECTION || selector != 2 || in_size != 80 || *out_size != 80)
    return BAD_ARGUMENT;
  memset(answer, 0, sizeof *answer);
  if (look(asked->key, &value) != 1) {
    answer->result = KEY_NOT_FOUND;
  } else if (asked->command == 9) {
    answer->info.size = 4;
    answer->info.type = 'f' << 24 | 'l' << 16 | 't' << 8 | ' ';
  } else if (asked->command == 5 && asked->info.size == 4) {
    memcpy(answer->bytes, &value, 4);
  } else {
    return BAD_ARGUMENT;
  }
  return 0;
}
