// Appends 5,000 groups of 200 rows of 10 doubles, each group durable before the next, as a control loop would; prints the seconds of all and of the
// slowest. `bindings/common/examples/rows.rs` does the same in Rust; `bindings/c/bench` runs both.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "alluvium.h"

enum { GROUPS = 5000, DEVICES = 200, FIELDS = 10 };

static void must(alluvium_status status) {
  if (status == ALLUVIUM_OK) return;
  fprintf(stderr, "%s: %s\n", alluvium_status_name(status), alluvium_error_message());
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double value(size_t group, size_t device, size_t field) {
  return (double)((group / 8 + device * 17) % 1000 * (field + 1)) / 100.0;
}

// Value by value, or `at_once`, as a block of registers.
static void append(alluvium_rows *rows, const char *names[DEVICES], size_t group, bool at_once) {
  for (size_t device = 0; device < DEVICES; device++) {
    must(alluvium_rows_begin(rows, 1767225600000000 + (int64_t)group * 1000000));
    must(alluvium_rows_tag(rows, 0, names[device], 10));
    double values[FIELDS];
    for (uint32_t field = 0; field < FIELDS; field++) {
      values[field] = value(group, device, field);
      if (!at_once) must(alluvium_rows_f64(rows, field + 1, values[field]));
    }
    if (at_once) must(alluvium_rows_doubles(rows, 1, values, FIELDS));
  }
  must(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
}

int main(int count, char **words) {
  if (count < 2) return 2;
  static char texts[DEVICES][16];
  const char *names[DEVICES];
  for (int device = 0; device < DEVICES; device++) {
    snprintf(texts[device], sizeof texts[device], "device-%03d", device);
    names[device] = texts[device];
  }
  alluvium_db *db = NULL;
  must(alluvium_open(words[1], NULL, &db));
  alluvium_spec *spec = alluvium_spec_new("fleet");
  must(alluvium_spec_tag(spec, "device"));
  for (int field = 0; field < FIELDS; field++) {
    char name[16];
    snprintf(name, sizeof name, "f%d", field);
    must(alluvium_spec_field(spec, name, ALLUVIUM_FLOAT64, 0));
  }
  must(alluvium_table_create(db, spec));
  must(alluvium_spec_free(spec));
  alluvium_rows *rows = NULL;
  must(alluvium_rows_new(db, "fleet", &rows));
  double begin = now(), slowest = 0;
  for (size_t group = 0; group < GROUPS; group++) {
    double before = now();
    append(rows, names, group, count > 2);
    if (now() - before > slowest) slowest = now() - before;
  }
  printf("%.6f %.6f\n", now() - begin, slowest);
  must(alluvium_rows_free(rows));
  must(alluvium_close(db));
  return 0;
}
