// Rows in, and answers out.

#include <errno.h>

#include "check.h"

static void every_type_goes_in_and_comes_out(void) {
  alluvium_db *db = open_with_air("types");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  uint32_t at[8];
  const char *names[] = {"room", "floor", "co2", "count", "note", "open", "raw", "price"};
  for (uint32_t name = 0; name < 8; name++) {
    OK(alluvium_rows_column(rows, names[name], &at[name]));
    CHECK(at[name] == name);
  }
  FAILS(ALLUVIUM_MISSING, alluvium_rows_column(rows, "humidity", &at[0]));
  OK(alluvium_rows_begin(rows, 1700000000000000));
  OK(alluvium_rows_tag(rows, 0, "A", 1));
  OK(alluvium_rows_f64(rows, 2, 612.5));
  OK(alluvium_rows_i64(rows, 3, -7));
  OK(alluvium_rows_text(rows, 4, "open\0window", 11));
  OK(alluvium_rows_bool(rows, 5, true));
  OK(alluvium_rows_binary(rows, 6, (const uint8_t *)"\x00\xff", 2));
  OK(alluvium_rows_decimal(rows, 7, 1234));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_f64(rows, 2, 1.0));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_f64(rows, 3, 1.0));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_f64(rows, 0, 1.0));
  FAILS(ALLUVIUM_MISSING, alluvium_rows_f64(rows, 99, 1.0));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_tag(rows, 1, "\xff", 1));
  CHECK(alluvium_rows_count(rows) == 1);
  uint64_t sequence = 0;
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, &sequence));
  CHECK(sequence > 0 && alluvium_rows_count(rows) == 0);
  OK(alluvium_rows_free(rows));

  alluvium_query *query = alluvium_query_new("air");
  struct ArrowArrayStream answer;
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  struct ArrowSchema schema;
  struct ArrowArray batch;
  CHECK(answer.get_schema(&answer, &schema) == 0);
  CHECK(schema.n_children == 9 && strcmp(schema.children[0]->format, "tsu:UTC") == 0);
  CHECK(answer.get_next(&answer, &batch) == 0);
  CHECK(batch.length == 1 && batch.n_children == 9);
  CHECK(((const int64_t *)batch.children[0]->buffers[1])[0] == 1700000000000000);
  CHECK(((const double *)batch.children[3]->buffers[1])[0] == 612.5);
  CHECK(((const int64_t *)batch.children[4]->buffers[1])[0] == -7);
  CHECK(memcmp(batch.children[5]->buffers[2], "open\0window", 11) == 0);
  CHECK(memcmp(batch.children[7]->buffers[2], "\x00\xff", 2) == 0);
  CHECK(batch.children[2]->null_count == 1);
  // An answer outlives its query and its database.
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
  CHECK(((const double *)batch.children[3]->buffers[1])[0] == 612.5);
  batch.release(&batch);
  schema.release(&schema);
  answer.release(&answer);
}

static void questions_are_answered(void) {
  alluvium_db *db = open_with_air("questions");
  append_rows(db, "A", 1000, 100);
  append_rows(db, "B", 2000, 50);
  alluvium_query *query = alluvium_query_new("air");
  OK(alluvium_query_where_text(query, "room", ALLUVIUM_EQUAL, "A"));
  OK(alluvium_query_where_f64(query, "co2", ALLUVIUM_GREATER_OR_EQUAL, 1010.0));
  OK(alluvium_query_between(query, 1000, 1020));
  OK(alluvium_query_field(query, "co2"));
  OK(alluvium_query_order(query, ALLUVIUM_NEWEST_FIRST));
  OK(alluvium_query_limit(query, 3));
  struct ArrowArrayStream answer;
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  double sum = 0;
  CHECK(read_all(&answer, "co2", &sum) == 3 && sum == 1019 + 1018 + 1017);
  OK(alluvium_query_free(query));

  query = alluvium_query_new("air");
  OK(alluvium_query_field(query, "co2"));
  OK(alluvium_query_aggregate(query, "mean"));
  OK(alluvium_query_by(query, "room"));
  OK(alluvium_query_every(query, "1d", "Europe/Berlin"));
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  sum = 0;
  CHECK(read_all(&answer, "mean(co2)", &sum) == 2 && sum == 1049.5 + 2024.5);
  FAILS(ALLUVIUM_INPUT, alluvium_query_aggregate(query, "average"));
  FAILS(ALLUVIUM_INPUT, alluvium_query_every(query, "1x", NULL));
  FAILS(ALLUVIUM_INPUT, alluvium_query_order(query, 7));
  OK(alluvium_query_free(query));

  query = alluvium_query_new("air");
  OK(alluvium_query_last(query));
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  sum = 0;
  CHECK(read_all(&answer, "co2", &sum) == 2 && sum == 1099 + 2049);
  FAILS(ALLUVIUM_INPUT, alluvium_delete(db, NULL, query, NULL));
  OK(alluvium_query_free(query));

  query = alluvium_query_new("water");
  FAILS(ALLUVIUM_MISSING, alluvium_query_run(db, NULL, query, &answer, NULL));
  OK(alluvium_query_free(query));

  query = alluvium_query_new("air");
  OK(alluvium_query_where_text(query, "room", ALLUVIUM_EQUAL, "A"));
  OK(alluvium_query_between(query, 1000, 1090));
  uint64_t sequence = 0;
  OK(alluvium_delete(db, NULL, query, &sequence));
  OK(alluvium_query_free(query));
  CHECK(sequence > 0 && count_rows(db, NULL, "air") == 60);
  OK(alluvium_close(db));
}

static void an_answer_can_be_cancelled(void) {
  alluvium_db *db = open_with_air("cancelled");
  append_rows(db, "A", 1000, 100);
  alluvium_query *query = alluvium_query_new("air");
  OK(alluvium_query_aggregate(query, "mean"));
  struct ArrowArrayStream answer;
  alluvium_cancel *cancel = NULL;
  OK(alluvium_query_run(db, NULL, query, &answer, &cancel));
  OK(alluvium_cancel_now(cancel));
  struct ArrowArray batch;
  CHECK(answer.get_next(&answer, &batch) != 0);
  CHECK(strstr(answer.get_last_error(&answer), "cancelled") != NULL);
  answer.release(&answer);
  OK(alluvium_cancel_free(cancel));
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
}

static void answers_go_in_as_batches(void) {
  alluvium_db *db = open_with_air("batches");
  append_rows(db, "A", 1000, 100);
  alluvium_spec *spec = alluvium_spec_new("copy");
  OK(alluvium_spec_tag(spec, "room"));
  OK(alluvium_spec_tag(spec, "floor"));
  OK(alluvium_spec_field(spec, "co2", ALLUVIUM_FLOAT64, 0));
  OK(alluvium_table_create(db, spec));
  FAILS(ALLUVIUM_MISSING, alluvium_table_create(db, spec));
  OK(alluvium_spec_free(spec));
  alluvium_query *query = alluvium_query_new("air");
  OK(alluvium_query_field(query, "co2"));
  struct ArrowArrayStream answer;
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  uint64_t rows = 0, sequence = 0;
  OK(alluvium_append_stream(db, "copy", &answer, ALLUVIUM_DURABLE, &rows));
  CHECK(rows == 100 && answer.release == NULL && count_rows(db, NULL, "copy") == 100);

  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  struct ArrowSchema schema;
  struct ArrowArray batch;
  CHECK(answer.get_schema(&answer, &schema) == 0 && answer.get_next(&answer, &batch) == 0);
  answer.release(&answer);
  OK(alluvium_append_arrow(db, "copy", &batch, &schema, ALLUVIUM_BUFFERED, &sequence));
  CHECK(batch.release == NULL && schema.release == NULL && sequence > 0);
  CHECK(count_rows(db, NULL, "copy") == 100);
  FAILS(ALLUVIUM_MISUSE, alluvium_append_arrow(db, "copy", &batch, &schema, ALLUVIUM_DURABLE, NULL));
  OK(alluvium_flush(db));

  // What the table has no column for is refused, and released.
  OK(alluvium_query_free(query));
  query = alluvium_query_new("air");
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  FAILS(ALLUVIUM_MISSING, alluvium_append_stream(db, "copy", &answer, ALLUVIUM_DURABLE, &rows));
  CHECK(rows == 0 && answer.release == NULL);
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
}

// A producer's buffers that are shorter than it says are refused, not read.
static void hostile_batches_are_refused(void) {
  alluvium_db *db = open_with_air("hostile");
  int32_t offsets[] = {0, 1000000};
  char text[] = "A";
  int64_t times[] = {1};
  const void *time_buffers[] = {NULL, times}, *room_buffers[] = {NULL, offsets, text}, *none[] = {NULL};
  extern void released_array(struct ArrowArray *), released_schema(struct ArrowSchema *);
  struct ArrowArray time = {.length = 1, .n_buffers = 2, .buffers = time_buffers, .release = released_array};
  struct ArrowArray room = {.length = 1, .n_buffers = 3, .buffers = room_buffers, .release = released_array};
  struct ArrowArray *columns[] = {&time, &room};
  struct ArrowArray batch = {.length = 1, .n_buffers = 1, .n_children = 2, .buffers = none, .children = columns, .release = released_array};
  struct ArrowSchema time_schema = {.format = "tsu:UTC", .name = "time", .release = released_schema};
  struct ArrowSchema room_schema = {.format = "u", .name = "room", .flags = 2, .release = released_schema};
  struct ArrowSchema *schemas[] = {&time_schema, &room_schema};
  struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 2, .children = schemas, .release = released_schema};
  // Offsets that go backward: what they claim cannot be believed.
  offsets[0] = 1;
  offsets[1] = 0;
  FAILS(ALLUVIUM_INPUT, alluvium_append_arrow(db, "air", &batch, &schema, ALLUVIUM_DURABLE, NULL));
  CHECK(batch.release == NULL && schema.release == NULL && count_rows(db, NULL, "air") == 0);

  struct ArrowArray number = {.length = 1, .n_buffers = 2, .buffers = time_buffers, .release = released_array};
  struct ArrowSchema number_schema = {.format = "l", .name = "", .release = released_schema};
  FAILS(ALLUVIUM_INPUT, alluvium_append_arrow(db, "air", &number, &number_schema, ALLUVIUM_DURABLE, NULL));
  struct ArrowArray strange = {.length = 1, .n_buffers = 2, .buffers = time_buffers, .release = released_array};
  struct ArrowSchema strange_schema = {.format = "?!", .name = "", .release = released_schema};
  FAILS(ALLUVIUM_INPUT, alluvium_append_arrow(db, "air", &strange, &strange_schema, ALLUVIUM_DURABLE, NULL));
  OK(alluvium_close(db));
}

void released_array(struct ArrowArray *array) { array->release = NULL; }
void released_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static void a_bad_row_refuses_all(void) {
  alluvium_db *db = open_with_air("bad_rows");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_f64(rows, 2, 1.0));
  OK(alluvium_rows_begin(rows, 1));
  OK(alluvium_rows_begin(rows, INT64_MAX));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  CHECK(strstr(alluvium_error_message(), "row 1") != NULL);
  CHECK(alluvium_rows_count(rows) == 0 && count_rows(db, NULL, "air") == 0);
  OK(alluvium_rows_begin(rows, 1));
  OK(alluvium_rows_clear(rows));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_append(rows, 9, NULL));
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  const double values[] = {1.0, 2.0};
  OK(alluvium_rows_begin(rows, 1));
  FAILS(ALLUVIUM_INPUT, alluvium_rows_doubles(rows, 2, values, 2));
  OK(alluvium_rows_begin(rows, 2));
  OK(alluvium_rows_doubles(rows, 2, values, 1));
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  CHECK(count_rows(db, NULL, "air") == 2);
  OK(alluvium_rows_free(rows));
  OK(alluvium_close(db));
}

static void tables_are_listed_described_renamed_and_dropped(void) {
  alluvium_db *db = open_with_air("tables");
  struct ArrowSchema schema;
  OK(alluvium_table_schema(db, "air", &schema));
  CHECK(schema.n_children == 9 && strcmp(schema.children[8]->name, "price") == 0);
  schema.release(&schema);
  OK(alluvium_table_rename(db, "air", "water"));
  alluvium_strings *tables = NULL;
  OK(alluvium_tables(db, &tables));
  CHECK(alluvium_strings_count(tables) == 1 && strcmp(alluvium_strings_get(tables, 0), "water") == 0);
  CHECK(alluvium_strings_get(tables, 1) == NULL);
  OK(alluvium_strings_free(tables));
  OK(alluvium_table_drop(db, "water"));
  FAILS(ALLUVIUM_MISSING, alluvium_table_drop(db, "water"));
  alluvium_spec *spec = alluvium_spec_new("air");
  FAILS(ALLUVIUM_INPUT, alluvium_spec_field(spec, "x", 99, 0));
  FAILS(ALLUVIUM_INPUT, alluvium_spec_time_unit(spec, 99));
  FAILS(ALLUVIUM_INPUT, alluvium_spec_partitioning(spec, "fortnight"));
  OK(alluvium_spec_time_unit(spec, ALLUVIUM_MILLISECONDS));
  OK(alluvium_spec_partitioning(spec, "day"));
  OK(alluvium_table_create(db, spec));
  OK(alluvium_spec_free(spec));
  OK(alluvium_table_schema(db, "air", &schema));
  CHECK(strcmp(schema.children[0]->format, "tsm:UTC") == 0);
  schema.release(&schema);
  OK(alluvium_close(db));
}

static void settings_are_known_by_their_names(void) {
  alluvium_settings *settings = alluvium_settings_new();
  OK(alluvium_settings_set(settings, "memtable_bytes", "33554432"));
  FAILS(ALLUVIUM_INPUT, alluvium_settings_set(settings, "memory", "1"));
  FAILS(ALLUVIUM_INPUT, alluvium_settings_set(settings, "seal_after", "soon"));
  alluvium_db *db = NULL, *again = NULL;
  OK(alluvium_open(data_path("settings"), settings, &db));
  FAILS(ALLUVIUM_UNAVAILABLE, alluvium_open(data_path("settings"), settings, &again));
  OK(alluvium_seal(db));
  uint64_t evicted = 9;
  OK(alluvium_evict(db, &evicted));
  CHECK(evicted == 0);
  OK(alluvium_close(db));
  OK(alluvium_settings_free(settings));
}

int main(void) {
  CHECK(alluvium_abi_version() == ALLUVIUM_ABI_VERSION && strlen(alluvium_version()) >= 5);
  CHECK(strcmp(alluvium_status_name(ALLUVIUM_STALE), "ALLUVIUM_STALE") == 0);
  CHECK(strcmp(alluvium_status_name(12345), "unknown status") == 0);
  every_type_goes_in_and_comes_out();
  questions_are_answered();
  an_answer_can_be_cancelled();
  answers_go_in_as_batches();
  hostile_batches_are_refused();
  a_bad_row_refuses_all();
  tables_are_listed_described_renamed_and_dropped();
  settings_are_known_by_their_names();
  puts("readings: 8 passed, 0 failed");
  return 0;
}
