// Many threads with one database, and acknowledgements that come later.

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { WRITERS = 4, BATCHES = 25, ROWS = 40 };

struct writer {
  alluvium_db *db;
  int number;
};

static void *writes(void *context) {
  const struct writer *writer = context;
  char room[16];
  int size = snprintf(room, sizeof room, "room-%d", writer->number);
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(writer->db, "air", &rows));
  uint64_t last = 0, sequence = 0;
  for (int64_t batch = 0; batch < BATCHES; batch++) {
    for (int64_t row = 0; row < ROWS; row++) {
      OK(alluvium_rows_begin(rows, batch * ROWS + row));
      OK(alluvium_rows_tag(rows, 0, room, (size_t)size));
      OK(alluvium_rows_f64(rows, 2, 1.0));
    }
    OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, &sequence));
    CHECK(sequence > last);
    last = sequence;
    OK(alluvium_kv_increment(writer->db, NULL, "batches", 1, NULL));
    // What this thread has appended is seen by it.
    alluvium_query *query = alluvium_query_new("air");
    OK(alluvium_query_where_text(query, "room", ALLUVIUM_EQUAL, room));
    struct ArrowArrayStream answer;
    OK(alluvium_query_run(writer->db, NULL, query, &answer, NULL));
    CHECK(read_all(&answer, NULL, NULL) == (batch + 1) * ROWS);
    OK(alluvium_query_free(query));
  }
  OK(alluvium_rows_free(rows));
  return NULL;
}

static void threads_share_a_database(void) {
  alluvium_db *db = open_with_air("threads");
  pthread_t threads[WRITERS];
  struct writer writers[WRITERS];
  for (int number = 0; number < WRITERS; number++) {
    writers[number] = (struct writer){db, number};
    CHECK(pthread_create(&threads[number], NULL, writes, &writers[number]) == 0);
  }
  for (int number = 0; number < WRITERS; number++) CHECK(pthread_join(threads[number], NULL) == 0);
  int64_t batches = 0;
  OK(alluvium_kv_increment(db, NULL, "batches", 0, &batches));
  CHECK(batches == WRITERS * BATCHES && count_rows(db, NULL, "air") == WRITERS * BATCHES * ROWS);
  OK(alluvium_close(db));
}

static _Atomic uint64_t called, highest;

static void count_call(void *context, alluvium_status status, uint64_t sequence) {
  CHECK(status == ALLUVIUM_OK && sequence > 0);
  uint64_t before = atomic_load(&highest);
  while (before < sequence && !atomic_compare_exchange_weak(&highest, &before, sequence)) {}
  atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

static alluvium_ack *append_later(alluvium_rows *rows, int64_t time) {
  alluvium_ack *ack = NULL;
  OK(alluvium_rows_begin(rows, time));
  OK(alluvium_rows_append_async(rows, &ack));
  CHECK(alluvium_rows_count(rows) == 0);
  return ack;
}

static void acknowledgements_are_waited_for_polled_and_told(void) {
  alluvium_db *db = open_with_air("acks");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  uint64_t waited = 0, polled = 0;
  alluvium_ack *ack = append_later(rows, 1);
  // It is seen before it is on disk.
  CHECK(count_rows(db, NULL, "air") == 1);
  OK(alluvium_ack_wait(ack, -1, &waited));
  OK(alluvium_ack_poll(ack, &polled));
  CHECK(waited > 0 && polled == waited);
  OK(alluvium_ack_on_done(ack, count_call, &called));
  CHECK(atomic_load(&called) == 1);
  FAILS(ALLUVIUM_MISUSE, alluvium_ack_on_done(ack, NULL, NULL));
  OK(alluvium_ack_free(ack));
  FAILS(ALLUVIUM_MISUSE, alluvium_ack_poll(ack, NULL));

  for (int64_t time = 2; time <= 101; time++) {
    ack = append_later(rows, time);
    alluvium_status status = alluvium_ack_poll(ack, NULL);
    CHECK(status == ALLUVIUM_OK || status == ALLUVIUM_TIMEOUT);
    OK(alluvium_ack_on_done(ack, count_call, &called));
    OK(alluvium_ack_free(ack));
  }
  // What comes after is on disk after; and to close tells of all.
  ack = append_later(rows, 102);
  OK(alluvium_ack_wait(ack, 60000, &waited));
  OK(alluvium_ack_free(ack));
  OK(alluvium_rows_free(rows));
  OK(alluvium_close(db));
  CHECK(atomic_load(&called) == 101 && atomic_load(&highest) < waited);
}

struct slot {
  alluvium_ack *ack;
  uint64_t sequence;
};

static void *waits(void *context) {
  struct slot *slot = context;
  OK(alluvium_ack_wait(slot->ack, -1, &slot->sequence));
  return NULL;
}

static void threads_may_wait_for_the_same(void) {
  alluvium_db *db = open_with_air("waiting");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  alluvium_ack *ack = append_later(rows, 1);
  pthread_t threads[WRITERS];
  struct slot slots[WRITERS];
  for (int number = 0; number < WRITERS; number++) {
    slots[number] = (struct slot){ack, 0};
    CHECK(pthread_create(&threads[number], NULL, waits, &slots[number]) == 0);
  }
  for (int number = 0; number < WRITERS; number++) {
    CHECK(pthread_join(threads[number], NULL) == 0);
    CHECK(slots[number].sequence == slots[0].sequence && slots[0].sequence > 0);
  }
  OK(alluvium_ack_free(ack));
  OK(alluvium_rows_free(rows));
  OK(alluvium_close(db));
}

struct answered {
  struct ArrowArrayStream *answer;
  int error;
};

static void *reads(void *context) {
  struct answered *answered = context;
  struct ArrowArray batch;
  do {
    answered->error = answered->answer->get_next(answered->answer, &batch);
    if (answered->error != 0 || batch.release == NULL) break;
    batch.release(&batch);
  } while (true);
  return NULL;
}

// Whatever the reader is doing, it ends, with an error or at its end, and the handle stays good.
static void another_thread_may_cancel(void) {
  alluvium_db *db = open_with_air("cancelling");
  append_rows(db, "A", 0, 20000);
  alluvium_query *query = alluvium_query_new("air");
  for (int turn = 0; turn < 20; turn++) {
    struct ArrowArrayStream answer;
    alluvium_cancel *cancel = NULL;
    OK(alluvium_query_run(db, NULL, query, &answer, &cancel));
    struct answered answered = {&answer, 0};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, reads, &answered) == 0);
    OK(alluvium_cancel_now(cancel));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(answered.error == 0 || (answered.error == EINVAL && strstr(answer.get_last_error(&answer), "cancelled") != NULL));
    answer.release(&answer);
    OK(alluvium_cancel_now(cancel));
    OK(alluvium_cancel_free(cancel));
  }
  OK(alluvium_query_free(query));
  OK(alluvium_close(db));
}

int main(void) {
  threads_share_a_database();
  acknowledgements_are_waited_for_polled_and_told();
  threads_may_wait_for_the_same();
  another_thread_may_cancel();
  puts("threads: 4 passed, 0 failed");
  return 0;
}
