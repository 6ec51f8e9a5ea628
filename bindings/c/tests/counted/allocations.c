// Rows go in without an allocation for each of them. malloc is counted here, so that no sanitizer can have it, too.

#include "../check.h"

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Thread_local uint64_t allocations;

void *malloc(size_t size) {
  allocations++;
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  allocations++;
  return __libc_calloc(count, size);
}

void *realloc(void *at, size_t size) {
  allocations++;
  return __libc_realloc(at, size);
}

int posix_memalign(void **at, size_t alignment, size_t size) {
  allocations++;
  *at = __libc_memalign(alignment, size);
  return *at == NULL ? 12 : 0;
}

struct counts {
  uint64_t filling, appending;
};

static struct counts counted(alluvium_rows *rows, int64_t first, int64_t count) {
  struct counts counts = {0};
  uint64_t before = allocations;
  for (int64_t row = 0; row < count; row++) {
    OK(alluvium_rows_begin(rows, first + row));
    OK(alluvium_rows_tag(rows, 0, row % 2 ? "attic" : "cellar", row % 2 ? 5 : 6));
    OK(alluvium_rows_tag(rows, 1, "2", 1));
    OK(alluvium_rows_f64(rows, 2, (double)row));
    OK(alluvium_rows_i64(rows, 3, row));
    OK(alluvium_rows_text(rows, 4, "as it should be", 15));
    OK(alluvium_rows_bool(rows, 5, true));
    OK(alluvium_rows_binary(rows, 6, (const uint8_t *)"\0\1", 2));
    OK(alluvium_rows_decimal(rows, 7, row));
  }
  counts.filling = allocations - before;
  before = allocations;
  OK(alluvium_rows_append(rows, ALLUVIUM_DURABLE, NULL));
  counts.appending = allocations - before;
  return counts;
}

int main(void) {
  alluvium_db *db = open_with_air("allocations");
  alluvium_rows *rows = NULL;
  OK(alluvium_rows_new(db, "air", &rows));
  // The count itself counts.
  uint64_t before = allocations;
  void *volatile one = malloc(1);
  free(one);
  CHECK(allocations == before + 1);
  for (int64_t turn = 0; turn < 5; turn++) counted(rows, turn * 1000, 100);
  struct counts few = counted(rows, 10000, 100);
  for (int64_t turn = 0; turn < 5; turn++) counted(rows, 20000 + turn * 1000, 1000);
  struct counts many = counted(rows, 30000, 1000);
  printf("allocations: 100 rows %d + %d, 1000 rows %d + %d\n", (int)few.filling, (int)few.appending, (int)many.filling, (int)many.appending);
  fflush(stdout);
  CHECK(few.filling == 0 && many.filling == 0);
  // What an append allocates, it does for the batch.
  CHECK(many.appending < few.appending + 50);
  OK(alluvium_rows_free(rows));
  OK(alluvium_close(db));
  puts("allocations: 1 passed, 0 failed");
  return 0;
}
