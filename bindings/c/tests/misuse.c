// What callers do wrong: it is told, and nothing happens.

#include <pthread.h>

#include "check.h"

#define MISUSED(call) FAILS(ALLUVIUM_MISUSE, call)

static void null_is_no_handle(void) {
  alluvium_db *db = open_with_air("null");
  struct ArrowArrayStream answer;
  struct ArrowArray array = {0};
  struct ArrowSchema schema = {0};
  void *place = NULL;
  uint64_t number = 0;
  MISUSED(alluvium_settings_set(NULL, "keep", "1d"));
  MISUSED(alluvium_flush(NULL));
  MISUSED(alluvium_seal(NULL));
  MISUSED(alluvium_evict(NULL, NULL));
  MISUSED(alluvium_tables(NULL, (alluvium_strings **)&place));
  MISUSED(alluvium_spec_tag(NULL, "a"));
  MISUSED(alluvium_spec_field(NULL, "a", ALLUVIUM_TEXT, 0));
  MISUSED(alluvium_table_create(NULL, NULL));
  MISUSED(alluvium_table_create(db, NULL));
  MISUSED(alluvium_table_ensure(db, NULL));
  MISUSED(alluvium_table_schema(NULL, "air", &schema));
  MISUSED(alluvium_rows_new(NULL, "air", (alluvium_rows **)&place));
  MISUSED(alluvium_rows_begin(NULL, 1));
  MISUSED(alluvium_rows_tag(NULL, 0, "A", 1));
  MISUSED(alluvium_rows_f64(NULL, 0, 1.0));
  MISUSED(alluvium_rows_doubles(NULL, 0, NULL, 0));
  MISUSED(alluvium_rows_append(NULL, ALLUVIUM_DURABLE, NULL));
  MISUSED(alluvium_rows_append_async(NULL, (alluvium_ack **)&place));
  MISUSED(alluvium_ack_poll(NULL, NULL));
  MISUSED(alluvium_ack_wait(NULL, 0, NULL));
  MISUSED(alluvium_append_arrow(db, "air", NULL, NULL, ALLUVIUM_DURABLE, NULL));
  MISUSED(alluvium_append_arrow(db, "air", &array, &schema, ALLUVIUM_DURABLE, NULL));
  MISUSED(alluvium_append_stream(db, "air", NULL, ALLUVIUM_DURABLE, NULL));
  MISUSED(alluvium_query_run(db, NULL, NULL, &answer, NULL));
  MISUSED(alluvium_query_limit(NULL, 1));
  MISUSED(alluvium_delete(db, NULL, NULL, NULL));
  MISUSED(alluvium_cancel_now(NULL));
  MISUSED(alluvium_begin(NULL, (alluvium_tx **)&place));
  MISUSED(alluvium_commit(NULL, NULL));
  MISUSED(alluvium_kv_put(NULL, NULL, "a", NULL, 0, -1, ALLUVIUM_ANY, NULL));
  MISUSED(alluvium_item_ack(db, NULL, NULL));
  MISUSED(alluvium_item_describe(NULL, NULL, NULL));
  MISUSED(alluvium_changes_next(NULL, 0, (alluvium_event **)&place));
  MISUSED(alluvium_event_place(NULL, &number, NULL));
  MISUSED(alluvium_sync_start(NULL));
  CHECK(place == NULL);
  CHECK(alluvium_bytes_data(NULL) == NULL && alluvium_bytes_size(NULL) == 0);
  CHECK(alluvium_strings_get(NULL, 0) == NULL && alluvium_rows_count(NULL) == 0);
  CHECK(alluvium_event_name(NULL) == NULL && alluvium_item_payload(NULL, NULL) == NULL);
  // To free nothing is nothing.
  OK(alluvium_close(NULL));
  OK(alluvium_rows_free(NULL));
  OK(alluvium_query_free(NULL));
  OK(alluvium_rollback(NULL));
  OK(alluvium_bytes_free(NULL));
  OK(alluvium_close(db));
}

static void null_is_no_place_and_no_text(void) {
  alluvium_db *db = open_with_air("places");
  alluvium_query *query = alluvium_query_new("air");
  alluvium_rows *rows = NULL;
  struct ArrowArrayStream answer;
  uint32_t column = 0;
  OK(alluvium_rows_new(db, "air", &rows));
  OK(alluvium_rows_begin(rows, 1));
  CHECK(alluvium_query_new(NULL) == NULL && alluvium_spec_new(NULL) == NULL);
  MISUSED(alluvium_open(data_path("places"), NULL, NULL));
  MISUSED(alluvium_open(NULL, NULL, &db));
  MISUSED(alluvium_rows_new(db, "air", NULL));
  MISUSED(alluvium_rows_column(rows, NULL, &column));
  MISUSED(alluvium_rows_column(rows, "room", NULL));
  MISUSED(alluvium_rows_tag(rows, 0, NULL, 1));
  MISUSED(alluvium_rows_tag(rows, 0, "A", SIZE_MAX));
  MISUSED(alluvium_rows_doubles(rows, 2, NULL, 1));
  MISUSED(alluvium_query_run(db, NULL, query, NULL, NULL));
  MISUSED(alluvium_query_field(query, NULL));
  MISUSED(alluvium_kv_get(db, NULL, "a", NULL, NULL));
  MISUSED(alluvium_kv_put(db, NULL, NULL, NULL, 0, -1, ALLUVIUM_ANY, NULL));
  FAILS(ALLUVIUM_INPUT, alluvium_query_field(query, "\xff"));
  // What was refused has left everything as it was.
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  OK(alluvium_query_run(db, NULL, query, &answer, NULL));
  CHECK(read_all(&answer, NULL, NULL) == 1);
  OK(alluvium_rows_free(rows));
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
}

static void what_was_freed_is_none(void) {
  alluvium_db *db = open_with_air("freed");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  alluvium_query *query = alluvium_query_new("air");
  OK(alluvium_query_free(query));
  MISUSED(alluvium_query_free(query));
  MISUSED(alluvium_query_limit(query, 1));
  alluvium_tx *tx = NULL;
  OK(alluvium_begin(db, &tx));
  OK(alluvium_commit(tx, NULL));
  MISUSED(alluvium_commit(tx, NULL));
  MISUSED(alluvium_rollback(tx));
  MISUSED(alluvium_kv_put(db, tx, "a", NULL, 0, -1, ALLUVIUM_ANY, NULL));
  OK(alluvium_kv_put(db, NULL, "a", (const uint8_t *)"1", 1, -1, ALLUVIUM_ANY, NULL));
  alluvium_bytes *value = NULL;
  OK(alluvium_kv_get(db, NULL, "a", &value, NULL));
  OK(alluvium_bytes_free(value));
  MISUSED(alluvium_bytes_free(value));
  CHECK(alluvium_bytes_data(value) == NULL && alluvium_bytes_size(value) == 0);
  OK(alluvium_close(db));
  MISUSED(alluvium_close(db));
  MISUSED(alluvium_flush(db));
  // What was made of a database that is closed knows that.
  OK(alluvium_rows_begin(rows, 1));
  FAILS(ALLUVIUM_CLOSED, alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  OK(alluvium_rows_free(rows));
  MISUSED(alluvium_rows_free(rows));
}

static void a_handle_of_another_kind_is_seen(void) {
  alluvium_db *db = open_with_air("kinds");
  alluvium_query *query = alluvium_query_new("air");
  MISUSED(alluvium_rows_begin((alluvium_rows *)query, 1));
  MISUSED(alluvium_rows_free((alluvium_rows *)query));
  MISUSED(alluvium_close((alluvium_db *)query));
  MISUSED(alluvium_flush((const alluvium_db *)query));
  MISUSED(alluvium_kv_put(db, (alluvium_tx *)query, "a", NULL, 0, -1, ALLUVIUM_ANY, NULL));
  OK(alluvium_query_limit(query, 1));
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
}

struct waiting {
  alluvium_changes *changes;
  alluvium_status status;
};

static void *waits(void *context) {
  struct waiting *waiting = context;
  alluvium_event *event = NULL;
  // The other thread may have it now and then, before this one waits.
  while ((waiting->status = alluvium_changes_next(waiting->changes, 60000, &event)) == ALLUVIUM_MISUSE) {}
  CHECK(alluvium_event_free(event) == ALLUVIUM_OK);
  return NULL;
}

// One thread has it until something happens; what another does meanwhile is refused.
static void what_is_for_one_thread_at_a_time_is_held_to_it(void) {
  alluvium_db *db = open_with_air("shared");
  struct waiting waiting = {0};
  OK(alluvium_changes_open(db, NULL, 0, NULL, NULL, NULL, "pump/", &waiting.changes));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, waits, &waiting) == 0);
  alluvium_event *event = NULL;
  alluvium_status status;
  while ((status = alluvium_changes_next(waiting.changes, 0, &event)) != ALLUVIUM_MISUSE) CHECK(status == ALLUVIUM_TIMEOUT);
  CHECK(strstr(alluvium_error_message(), "another thread") != NULL);
  MISUSED(alluvium_changes_free(waiting.changes));
  OK(alluvium_kv_put(db, NULL, "pump/7", (const uint8_t *)"on", 2, -1, ALLUVIUM_ANY, NULL));
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(waiting.status == ALLUVIUM_OK);
  OK(alluvium_changes_free(waiting.changes));
  OK(alluvium_close(db));
}

static void *fails_otherwise(void *context) {
  (void)context;
  CHECK(alluvium_error_message()[0] == '\0');
  MISUSED(alluvium_flush(NULL));
  return NULL;
}

static void every_thread_has_errors_of_its_own(void) {
  FAILS(ALLUVIUM_INPUT, alluvium_open("\xff", NULL, &(alluvium_db *){NULL}));
  char before[1024];
  snprintf(before, sizeof before, "%s", alluvium_error_message());
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, fails_otherwise, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(strcmp(before, alluvium_error_message()) == 0);
}

// Handles that come after are others, so that what was freed stays none for long.
static void freed_handles_are_not_given_out_at_once(void) {
  alluvium_query *first = alluvium_query_new("air");
  OK(alluvium_query_free(first));
  for (int other = 0; other < 60; other++) {
    alluvium_query *query = alluvium_query_new("air");
    CHECK(query != first);
    OK(alluvium_query_free(query));
  }
  MISUSED(alluvium_query_free(first));
}

int main(void) {
  null_is_no_handle();
  null_is_no_place_and_no_text();
  what_was_freed_is_none();
  a_handle_of_another_kind_is_seen();
  what_is_for_one_thread_at_a_time_is_held_to_it();
  every_thread_has_errors_of_its_own();
  freed_handles_are_not_given_out_at_once();
  puts("misuse: 7 passed, 0 failed");
  return 0;
}
