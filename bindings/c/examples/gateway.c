// A gateway in C11: a control loop that reads registers, keeps them on disk and never waits for it, a command queue, and a question about the last minute.
//
//     cc -std=c11 gateway.c $(pkg-config --cflags --libs alluvium) && ./a.out data

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alluvium.h"

enum { REGISTERS = 4, SECONDS = 120 };

// What any call of the library may end with. A gateway would go on without its history; an example ends.
static void must(alluvium_status status) {
  if (status < ALLUVIUM_INPUT) return;
  fprintf(stderr, "%s: %s\n", alluvium_status_name(status), alluvium_error_message());
  exit(1);
}

// Stands for the bus: two temperatures, a pressure and a flow.
static void read_registers(int64_t second, double registers[REGISTERS]) {
  for (int which = 0; which < REGISTERS; which++) registers[which] = 20.0 * (which + 1) + (double)(second % 10) / 4.0;
}

static void make_table(alluvium_db *db) {
  static const char *fields[REGISTERS] = {"supply", "return", "pressure", "flow"};
  alluvium_spec *pumps = alluvium_spec_new("pumps");
  must(alluvium_spec_tag(pumps, "pump"));
  for (int field = 0; field < REGISTERS; field++) must(alluvium_spec_field(pumps, fields[field], ALLUVIUM_FLOAT64, 0));
  must(alluvium_table_ensure(db, pumps));
  must(alluvium_spec_free(pumps));
}

// Runs in a thread of the library once the rows of a turn are on disk.
static void on_disk(void *context, alluvium_status status, uint64_t sequence) {
  if (status != ALLUVIUM_OK) fprintf(stderr, "not on disk: %s\n", alluvium_error_message());
  *(uint64_t *)context = sequence;
}

// One row a second, handed over without waiting.
static void control(alluvium_db *db, int64_t begin, uint64_t *durable) {
  alluvium_rows *rows = NULL;
  uint32_t pump = 0, first = 0;
  must(alluvium_rows_new(db, "pumps", &rows));
  must(alluvium_rows_column(rows, "pump", &pump));
  must(alluvium_rows_column(rows, "supply", &first));
  for (int64_t second = 0; second < SECONDS; second++) {
    double registers[REGISTERS];
    read_registers(second, registers);
    must(alluvium_rows_begin(rows, (begin + second) * 1000000));
    must(alluvium_rows_tag(rows, pump, "pump-7", 6));
    must(alluvium_rows_doubles(rows, first, registers, REGISTERS));
    alluvium_ack *ack = NULL;
    must(alluvium_rows_append_async(rows, &ack));
    must(alluvium_ack_on_done(ack, on_disk, durable));
    must(alluvium_ack_free(ack));
  }
  must(alluvium_rows_free(rows));
}

// Commands come with the history of who sent what: done, and counted, together or not at all.
static void obey(alluvium_db *db) {
  if (alluvium_queue_create(db, "commands", 0) >= ALLUVIUM_INPUT) puts("(the queue was there)");
  must(alluvium_queue_push(db, NULL, "commands", (const uint8_t *)"open valve 3", 12, 0, NULL, NULL));
  alluvium_item *item = NULL;
  alluvium_status status;
  while ((status = alluvium_queue_pop(db, "commands", -1, 0, &item)) == ALLUVIUM_OK) {
    alluvium_tx *tx = NULL;
    must(alluvium_begin(db, &tx));
    must(alluvium_kv_increment(db, tx, "valves/3/opened", 1, NULL));
    must(alluvium_item_ack(db, tx, item));
    must(alluvium_commit(tx, NULL));
    printf("done: %s\n", (const char *)alluvium_item_payload(item, NULL));
    must(alluvium_item_free(item));
  }
  must(status);
}

// The mean of the supply temperature in each minute, as Arrow gives it: columns of numbers, and no copy of them.
static void report(alluvium_db *db) {
  alluvium_query *query = alluvium_query_new("pumps");
  must(alluvium_query_where_text(query, "pump", ALLUVIUM_EQUAL, "pump-7"));
  must(alluvium_query_field(query, "supply"));
  must(alluvium_query_aggregate(query, "mean"));
  must(alluvium_query_every(query, "1m", NULL));
  struct ArrowArrayStream answer;
  must(alluvium_query_run(db, NULL, query, &answer, NULL));
  must(alluvium_query_free(query));
  struct ArrowArray batch;
  int failed = 0;
  while ((failed = answer.get_next(&answer, &batch)) == 0 && batch.release != NULL) {
    const int64_t *times = (const int64_t *)batch.children[0]->buffers[1] + batch.children[0]->offset;
    const struct ArrowArray *means = batch.children[batch.n_children - 1];
    const double *values = (const double *)means->buffers[1] + means->offset;
    for (int64_t row = 0; row < batch.length; row++) printf("%" PRId64 " s: %.3f\n", times[row] / 1000000, values[row]);
    batch.release(&batch);
  }
  if (failed != 0) fprintf(stderr, "%s\n", answer.get_last_error(&answer));
  answer.release(&answer);
}

int main(int count, char **words) {
  if (alluvium_abi_version() != ALLUVIUM_ABI_VERSION) return 2;
  alluvium_db *db = NULL;
  must(alluvium_open(count > 1 ? words[1] : "data", NULL, &db));
  make_table(db);
  uint64_t durable = 0;
  control(db, 1700000040, &durable);
  obey(db);
  report(db);
  // Everything is on disk, and was told, when it is closed.
  must(alluvium_close(db));
  if (durable == 0) return 1;
  puts("everything is on disk");
  return 0;
}
