// Processes that are forked, and processes that are killed.

#include <signal.h>
#include <sys/wait.h>

#include "check.h"

// What a child finds wrong has to reach its parent: children end with 0 only when all was as it should be.
static void ends_well(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_forked_child_touches_nothing(void) {
  alluvium_db *db = open_with_air("forked");
  append_rows(db, "A", 0, 100);
  alluvium_rows *rows = NULL;
  alluvium_ack *ack = NULL;
  alluvium_tx *tx = NULL;
  alluvium_changes *changes = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  OK(alluvium_rows_begin(rows, 100));
  OK(alluvium_rows_append_async(rows, &ack));
  OK(alluvium_ack_wait(ack, -1, NULL));
  OK(alluvium_begin(db, &tx));
  OK(alluvium_kv_put(db, tx, "a", (const uint8_t *)"1", 1, -1, ALLUVIUM_ANY, NULL));
  OK(alluvium_changes_open(db, NULL, 0, NULL, NULL, NULL, NULL, &changes));
  alluvium_query *query = alluvium_query_new("air");
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    struct ArrowArrayStream answer;
    alluvium_event *event = NULL;
    CHECK(alluvium_query_run(db, NULL, query, &answer, NULL) >= ALLUVIUM_INPUT);
    CHECK(strstr(alluvium_error_message(), "forked") != NULL);
    CHECK(alluvium_rows_begin(rows, 101) == ALLUVIUM_OK);
    CHECK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL) >= ALLUVIUM_INPUT);
    CHECK(alluvium_ack_poll(ack, NULL) == ALLUVIUM_MISUSE);
    CHECK(alluvium_changes_next(changes, 0, &event) >= ALLUVIUM_INPUT);
    CHECK(alluvium_commit(tx, NULL) >= ALLUVIUM_INPUT);
    CHECK(alluvium_seal(db) >= ALLUVIUM_INPUT);
    alluvium_rows_free(rows);
    alluvium_ack_free(ack);
    alluvium_changes_free(changes);
    alluvium_query_free(query);
    alluvium_close(db);
    // Threads that its parent has at work are not here, and locks count with them: it opens none of its own either.
    FAILS(ALLUVIUM_INPUT, alluvium_open(data_path("child"), NULL, &db));
    CHECK(strstr(alluvium_error_message(), "forked") != NULL);
    // What belonged to threads that are not here is nobody's any more, which a look for leaks would find.
    _exit(0);
  }
  ends_well(child);
  OK(alluvium_commit(tx, NULL));
  append_rows(db, "A", 101, 10);
  CHECK(count_rows(db, NULL, "air") == 111);
  OK(alluvium_query_free(query));
  OK(alluvium_changes_free(changes));
  OK(alluvium_ack_free(ack));
  OK(alluvium_rows_free(rows));
  OK(alluvium_close(db));
  db = open_with_air("forked");
  CHECK(count_rows(db, NULL, "air") == 111);
  OK(alluvium_close(db));
}

// Once everything is closed, no thread of the library is left that a child would miss.
static void a_child_of_who_has_nothing_open_has_its_own(void) {
  alluvium_db *db = open_with_air("closed");
  append_rows(db, "A", 0, 10);
  OK(alluvium_close(db));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    db = open_with_air("closed");
    append_rows(db, "A", 10, 10);
    CHECK(count_rows(db, NULL, "air") == 20);
    CHECK(alluvium_close(db) == ALLUVIUM_OK);
    exit(0);
  }
  ends_well(child);
  db = open_with_air("closed");
  CHECK(count_rows(db, NULL, "air") == 20);
  OK(alluvium_close(db));
}

// Appends batches for ever, and says of each that it was acknowledged.
static void append_and_tell(int told, int64_t from) {
  alluvium_db *db = open_with_air("killed");
  for (int64_t batch = from;; batch++) {
    append_rows(db, "A", batch * 10, 10);
    CHECK(write(told, &batch, sizeof batch) == sizeof batch);
  }
}

static void what_was_acknowledged_survives_kill_9(void) {
  int64_t acknowledged = -1;
  for (int turn = 0; turn < 5; turn++) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      close(ends[0]);
      append_and_tell(ends[1], acknowledged + 1);
    }
    close(ends[1]);
    for (int batch = 0; batch < 10; batch++) CHECK(read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged);
    CHECK(kill(child, SIGKILL) == 0);
    // What it has told of before it died.
    while (read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {}
    close(ends[0]);
    CHECK(waitpid(child, NULL, 0) == child);
    alluvium_db *db = open_with_air("killed");
    int64_t rows = count_rows(db, NULL, "air");
    // One batch may have been on its way, of which nobody was told.
    CHECK(rows == (acknowledged + 1) * 10 || rows == (acknowledged + 2) * 10);
    acknowledged = rows / 10 - 1;
    OK(alluvium_close(db));
  }
}

// What a process that ends still has; it is no leak.
static alluvium_db *left_open;
static alluvium_tx *left_begun;

static void a_process_may_end_without_closing(void) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    left_open = open_with_air("left");
    append_rows(left_open, "A", 0, 10);
    CHECK(alluvium_begin(left_open, &left_begun) == ALLUVIUM_OK);
    CHECK(alluvium_kv_put(left_open, left_begun, "a", (const uint8_t *)"1", 1, -1, ALLUVIUM_ANY, NULL) == ALLUVIUM_OK);
    exit(0);
  }
  ends_well(child);
  alluvium_db *db = open_with_air("left");
  alluvium_bytes *value = NULL;
  CHECK(count_rows(db, NULL, "air") == 10 && alluvium_kv_get(db, NULL, "a", &value, NULL) == ALLUVIUM_NONE);
  OK(alluvium_close(db));
}

int main(void) {
  a_process_may_end_without_closing();
  what_was_acknowledged_survives_kill_9();
  a_child_of_who_has_nothing_open_has_its_own();
  a_forked_child_touches_nothing();
  puts("processes: 4 passed, 0 failed");
  return 0;
}
