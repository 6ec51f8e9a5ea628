// What the tests in C share: checks that say where they failed, a directory of their own, and a look into answers.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alluvium.h"

#define CHECK(what)                                                                             \
  do {                                                                                          \
    if (!(what)) {                                                                              \
      fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #what, alluvium_error_message()); \
      abort();                                                                                  \
    }                                                                                           \
  } while (0)

#define OK(call) CHECK((call) == ALLUVIUM_OK)
#define FAILS(status, call) CHECK((call) == (status) && alluvium_error_message()[0] != '\0')

// The path of a directory in the one that the tests were given.
static inline const char *data_path(const char *name) {
  static _Thread_local char path[4096];
  const char *folder = getenv("ALLUVIUM_TEST_FOLDER");
  CHECK(folder != NULL);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

// A database with the table "air": tags room, floor; fields co2 (float64), count (int64), note (text), open (bool), raw (binary), price (decimal).
static inline alluvium_db *open_with_air(const char *name) {
  alluvium_db *db = NULL;
  OK(alluvium_open(data_path(name), NULL, &db));
  alluvium_spec *spec = alluvium_spec_new("air");
  CHECK(spec != NULL);
  OK(alluvium_spec_tag(spec, "room"));
  OK(alluvium_spec_tag(spec, "floor"));
  OK(alluvium_spec_field(spec, "co2", ALLUVIUM_FLOAT64, 0));
  OK(alluvium_spec_field(spec, "count", ALLUVIUM_INT64, 0));
  OK(alluvium_spec_field(spec, "note", ALLUVIUM_TEXT, 0));
  OK(alluvium_spec_field(spec, "open", ALLUVIUM_BOOL, 0));
  OK(alluvium_spec_field(spec, "raw", ALLUVIUM_BINARY, 0));
  OK(alluvium_spec_field(spec, "price", ALLUVIUM_DECIMAL, 2));
  OK(alluvium_table_ensure(db, spec));
  OK(alluvium_spec_free(spec));
  return db;
}

// Appends rows of one room at times first, first + 1, ….
static inline void append_rows(alluvium_db *db, const char *room, int64_t first, int count) {
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  uint32_t tag = 0, co2 = 0;
  OK(alluvium_rows_column(rows, "room", &tag));
  OK(alluvium_rows_column(rows, "co2", &co2));
  for (int row = 0; row < count; row++) {
    OK(alluvium_rows_begin(rows, first + row));
    OK(alluvium_rows_tag(rows, tag, room, strlen(room)));
    OK(alluvium_rows_f64(rows, co2, (double)(first + row)));
  }
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  OK(alluvium_rows_free(rows));
}

// Reads an answer to its end, and says how many rows it has, and what the doubles of a column come to.
static inline int64_t read_all(struct ArrowArrayStream *answer, const char *column, double *sum) {
  struct ArrowSchema schema;
  CHECK(answer->get_schema(answer, &schema) == 0);
  int64_t at = -1, rows = 0;
  for (int64_t child = 0; child < schema.n_children; child++)
    if (column != NULL && strcmp(schema.children[child]->name, column) == 0) at = child;
  CHECK(column == NULL || at >= 0);
  if (at >= 0) CHECK(strcmp(schema.children[at]->format, "g") == 0);
  for (;;) {
    struct ArrowArray batch;
    CHECK(answer->get_next(answer, &batch) == 0);
    if (batch.release == NULL) break;
    rows += batch.length;
    if (at >= 0 && sum != NULL) {
      const struct ArrowArray *values = batch.children[at];
      const double *doubles = (const double *)values->buffers[1] + values->offset;
      for (int64_t row = 0; row < values->length; row++) *sum += doubles[row];
    }
    batch.release(&batch);
  }
  schema.release(&schema);
  answer->release(answer);
  return rows;
}

static inline int64_t count_rows(alluvium_db *db, alluvium_tx *tx, const char *table) {
  alluvium_query *query = alluvium_query_new(table);
  struct ArrowArrayStream answer;
  OK(alluvium_query_run(db, tx, query, &answer, NULL));
  OK(alluvium_query_free(query));
  return read_all(&answer, NULL, NULL);
}

#endif
