// What lies beside readings: pairs, documents, queues, transactions, the change feed, sync.

#include "check.h"

static void pairs_are_put_read_and_removed(void) {
  alluvium_db *db = open_with_air("pairs");
  uint64_t revision = 0, second = 0;
  OK(alluvium_kv_put(db, NULL, "pump/7/state", (const uint8_t *)"on", 2, -1, ALLUVIUM_ABSENT, &revision));
  FAILS(ALLUVIUM_STALE, alluvium_kv_put(db, NULL, "pump/7/state", (const uint8_t *)"off", 3, -1, ALLUVIUM_ABSENT, NULL));
  OK(alluvium_kv_put(db, NULL, "pump/7/state", (const uint8_t *)"off", 3, 3600000, revision, &second));
  CHECK(second > revision);
  alluvium_bytes *value = NULL;
  OK(alluvium_kv_get(db, NULL, "pump/7/state", &value, &revision));
  CHECK(revision == second && alluvium_bytes_size(value) == 3 && strcmp((const char *)alluvium_bytes_data(value), "off") == 0);
  OK(alluvium_bytes_free(value));
  CHECK(alluvium_kv_get(db, NULL, "nothing", &value, NULL) == ALLUVIUM_NONE);
  int64_t sum = 0;
  OK(alluvium_kv_increment(db, NULL, "pump/7/starts", 3, &sum));
  OK(alluvium_kv_increment(db, NULL, "pump/7/starts", -1, &sum));
  CHECK(sum == 2);
  FAILS(ALLUVIUM_INPUT, alluvium_kv_increment(db, NULL, "pump/7/state", 1, NULL));
  alluvium_pairs *pairs = NULL;
  OK(alluvium_kv_scan(db, NULL, "pump/", NULL, 1, &pairs));
  const char *key = NULL;
  const uint8_t *bytes = NULL;
  size_t size = 0;
  CHECK(alluvium_pairs_count(pairs) == 1);
  OK(alluvium_pairs_get(pairs, 0, &key, &bytes, &size, NULL));
  CHECK(strcmp(key, "pump/7/starts") == 0 && size == 1 && bytes[0] == '2');
  CHECK(alluvium_pairs_get(pairs, 1, NULL, NULL, NULL, NULL) == ALLUVIUM_NONE);
  alluvium_pairs *next = NULL;
  OK(alluvium_kv_scan(db, NULL, "pump/", key, 0, &next));
  CHECK(alluvium_pairs_count(next) == 1);
  OK(alluvium_pairs_free(next));
  OK(alluvium_pairs_free(pairs));
  OK(alluvium_kv_delete(db, NULL, "pump/7/state", ALLUVIUM_ANY));
  CHECK(alluvium_kv_delete(db, NULL, "pump/7/state", ALLUVIUM_ANY) == ALLUVIUM_NONE);
  OK(alluvium_close(db));
}

static void documents_are_put_found_and_merged(void) {
  alluvium_db *db = open_with_air("documents");
  OK(alluvium_collection_create(db, NULL, "devices"));
  FAILS(ALLUVIUM_MISSING, alluvium_collection_create(db, NULL, "devices"));
  const char *schema = "{\"required\": [\"room\"]}";
  OK(alluvium_collection_set_schema(db, NULL, "devices", schema, strlen(schema)));
  FAILS(ALLUVIUM_INPUT, alluvium_document_put(db, NULL, "devices", "x", "{}", 2, -1, ALLUVIUM_ANY, NULL));
  FAILS(ALLUVIUM_INPUT, alluvium_document_put(db, NULL, "devices", "x", "{", 1, -1, ALLUVIUM_ANY, NULL));
  for (int number = 0; number < 10; number++) {
    char id[32], json[64];
    snprintf(id, sizeof id, "pump-%d", number);
    int size = snprintf(json, sizeof json, "{\"room\": \"%s\", \"size\": %d}", number % 2 ? "cellar" : "attic", number);
    OK(alluvium_document_put(db, NULL, "devices", id, json, (size_t)size, -1, ALLUVIUM_ABSENT, NULL));
  }
  alluvium_documents *page = NULL, *rest = NULL;
  const char *condition = "{\"room\": \"cellar\", \"size\": {\"gt\": 2}}";
  OK(alluvium_document_find(db, NULL, "devices", condition, 3, NULL, &page));
  CHECK(alluvium_documents_count(page) == 3 && alluvium_documents_next(page) != NULL);
  const char *id = NULL, *json = NULL;
  uint64_t revision = 0;
  OK(alluvium_documents_get(page, 0, &id, &json, &revision));
  CHECK(strcmp(id, "pump-3") == 0 && strstr(json, "cellar") != NULL && revision > 0);
  OK(alluvium_document_find(db, NULL, "devices", condition, 3, alluvium_documents_next(page), &rest));
  CHECK(alluvium_documents_count(rest) == 1 && alluvium_documents_next(rest) == NULL);
  FAILS(ALLUVIUM_INPUT, alluvium_document_find(db, NULL, "devices", "[]", 0, NULL, &rest));
  OK(alluvium_documents_free(rest));
  OK(alluvium_documents_free(page));
  const char *patch = "{\"size\": null, \"on\": true}";
  OK(alluvium_document_merge(db, NULL, "devices", "pump-3", patch, strlen(patch), revision, NULL));
  FAILS(ALLUVIUM_STALE, alluvium_document_merge(db, NULL, "devices", "pump-3", patch, strlen(patch), revision, NULL));
  alluvium_bytes *found = NULL;
  OK(alluvium_document_get(db, NULL, "devices", "pump-3", &found, &revision));
  CHECK(strcmp((const char *)alluvium_bytes_data(found), "{\"room\":\"cellar\",\"on\":true}") == 0);
  OK(alluvium_bytes_free(found));
  OK(alluvium_document_delete(db, NULL, "devices", "pump-3", revision));
  CHECK(alluvium_document_delete(db, NULL, "devices", "pump-3", ALLUVIUM_ANY) == ALLUVIUM_NONE);
  CHECK(alluvium_document_get(db, NULL, "devices", "pump-3", &found, NULL) == ALLUVIUM_NONE);
  alluvium_strings *names = NULL;
  OK(alluvium_collections(db, NULL, &names));
  CHECK(alluvium_strings_count(names) == 1);
  OK(alluvium_strings_free(names));
  OK(alluvium_collection_drop(db, NULL, "devices"));
  OK(alluvium_close(db));
}

static void items_are_popped_and_acknowledged(void) {
  alluvium_db *db = open_with_air("queues");
  OK(alluvium_queue_create(db, "commands", 2));
  uint64_t first = 0, number = 0, again = 0;
  OK(alluvium_queue_push(db, NULL, "commands", (const uint8_t *)"open", 4, 0, "valve/3", &first));
  OK(alluvium_queue_push(db, NULL, "commands", (const uint8_t *)"open", 4, 0, "valve/3", &again));
  CHECK(first == again);
  OK(alluvium_queue_push(db, NULL, "commands", (const uint8_t *)"stop!", 5, 9, NULL, NULL));
  alluvium_item *item = NULL;
  OK(alluvium_queue_pop(db, "commands", -1, 0, &item));
  size_t size = 0;
  CHECK(strcmp((const char *)alluvium_item_payload(item, &size), "stop!") == 0 && size == 5);
  OK(alluvium_item_extend(db, item, 60000));
  OK(alluvium_item_ack(db, NULL, item));
  FAILS(ALLUVIUM_MISSING, alluvium_item_ack(db, NULL, item));
  OK(alluvium_item_free(item));
  uint32_t tries = 0;
  for (uint32_t pop = 1; pop <= 2; pop++) {
    OK(alluvium_queue_pop(db, "commands", 60000, 1000, &item));
    OK(alluvium_item_describe(item, &number, &tries));
    CHECK(number == first && tries == pop);
    OK(alluvium_item_nack(db, NULL, item, 0));
    OK(alluvium_item_free(item));
  }
  CHECK(alluvium_queue_pop(db, "commands", -1, 1, &item) == ALLUVIUM_TIMEOUT);
  uint64_t ready = 9, leased = 9, dead = 9;
  OK(alluvium_queue_sizes(db, "commands", &ready, &leased, &dead));
  CHECK(ready == 0 && leased == 0 && dead == 1);
  OK(alluvium_queue_drop(db, "commands"));
  FAILS(ALLUVIUM_MISSING, alluvium_queue_pop(db, "commands", -1, 0, &item));
  OK(alluvium_close(db));
}

static void a_transaction_is_whole_or_nothing(void) {
  alluvium_db *db = open_with_air("transactions");
  OK(alluvium_queue_create(db, "commands", 0));
  alluvium_tx *tx = NULL;
  for (int commits = 0; commits < 2; commits++) {
    OK(alluvium_begin(db, &tx));
    alluvium_rows *rows = NULL;
    OK(alluvium_rows_new(db, "air", &rows));
    OK(alluvium_rows_begin(rows, 1));
    OK(alluvium_rows_append_in(rows, tx));
    OK(alluvium_rows_free(rows));
    OK(alluvium_kv_put(db, tx, "state", (const uint8_t *)"on", 2, -1, ALLUVIUM_ANY, NULL));
    OK(alluvium_queue_push(db, tx, "commands", (const uint8_t *)"go", 2, 0, NULL, NULL));
    CHECK(count_rows(db, tx, "air") == 1 && count_rows(db, NULL, "air") == 0);
    FAILS(ALLUVIUM_INPUT, alluvium_close(db));
    uint64_t sequence = 0;
    if (commits) {
      OK(alluvium_commit(tx, &sequence));
      CHECK(sequence > 0 && count_rows(db, NULL, "air") == 1);
    } else {
      OK(alluvium_rollback(tx));
      alluvium_bytes *value = NULL;
      CHECK(alluvium_kv_get(db, NULL, "state", &value, NULL) == ALLUVIUM_NONE);
    }
  }
  alluvium_tx *other = NULL;
  alluvium_bytes *value = NULL;
  OK(alluvium_begin(db, &tx));
  OK(alluvium_begin(db, &other));
  for (int which = 0; which < 2; which++) {
    OK(alluvium_kv_get(db, which ? other : tx, "state", &value, NULL));
    OK(alluvium_bytes_free(value));
    OK(alluvium_kv_put(db, which ? other : tx, "state", (const uint8_t *)"x", 1, -1, ALLUVIUM_ANY, NULL));
  }
  OK(alluvium_commit(tx, NULL));
  FAILS(ALLUVIUM_CONFLICT, alluvium_commit(other, NULL));
  OK(alluvium_close(db));
}

static void every_change_is_told_in_order(void) {
  alluvium_db *db = open_with_air("changes");
  append_rows(db, "A", 1, 3);
  OK(alluvium_kv_put(db, NULL, "pump/7", (const uint8_t *)"on", 2, -1, ALLUVIUM_ANY, NULL));
  alluvium_changes *changes = NULL;
  OK(alluvium_changes_open(db, "reader", 0, NULL, NULL, NULL, NULL, &changes));
  alluvium_event *event = NULL;
  bool saw_rows = false, saw_pair = false;
  uint64_t last = 0;
  while (!saw_pair) {
    OK(alluvium_changes_next(changes, 1000, &event));
    uint64_t sequence = 0;
    bool is_last = false;
    OK(alluvium_event_place(event, &sequence, &is_last));
    CHECK(sequence >= last);
    last = sequence;
    if (strcmp(alluvium_event_name(event), "rows") == 0) {
      struct ArrowArray rows;
      struct ArrowSchema schema;
      OK(alluvium_event_rows(event, &rows, &schema));
      CHECK(rows.length == 3 && strcmp(alluvium_event_of(event), "air") == 0);
      rows.release(&rows);
      schema.release(&schema);
      saw_rows = true;
    } else if (strcmp(alluvium_event_name(event), "pair_put") == 0) {
      size_t size = 0;
      CHECK(strcmp(alluvium_event_key(event), "pump/7") == 0);
      CHECK(strcmp((const char *)alluvium_event_payload(event, &size), "on") == 0 && size == 2);
      saw_pair = is_last;
    }
    OK(alluvium_event_free(event));
  }
  CHECK(saw_rows && alluvium_changes_next(changes, 0, &event) == ALLUVIUM_TIMEOUT);
  OK(alluvium_cursor_acknowledge(db, NULL, "reader", last));
  OK(alluvium_changes_free(changes));
  OK(alluvium_kv_delete(db, NULL, "pump/7", ALLUVIUM_ANY));
  OK(alluvium_changes_open(db, "reader", 0, NULL, NULL, NULL, "pump/", &changes));
  OK(alluvium_changes_next(changes, 1000, &event));
  CHECK(strcmp(alluvium_event_name(event), "pair_removed") == 0 && alluvium_event_payload(event, NULL) == NULL);
  OK(alluvium_event_free(event));
  OK(alluvium_changes_free(changes));
  OK(alluvium_close(db));
}

static void a_folder_gets_what_there_is(void) {
  alluvium_db *db = open_with_air("synced");
  append_rows(db, "A", 1, 3);
  char bucket[4096];
  snprintf(bucket, sizeof bucket, "%s", data_path("bucket"));
  alluvium_sync *sync = NULL;
  OK(alluvium_sync_new(db, "cloud", "pump-7", bucket, &sync));
  OK(alluvium_sync_run_once(sync));
  alluvium_bytes *status = NULL;
  OK(alluvium_sync_status(db, &status));
  CHECK(strstr((const char *)alluvium_bytes_data(status), "\"units_left\":0") != NULL);
  OK(alluvium_bytes_free(status));
  OK(alluvium_sync_pause(sync, true));
  OK(alluvium_sync_start(sync));
  OK(alluvium_sync_retry(sync));
  FAILS(ALLUVIUM_MISUSE, alluvium_sync_run_once(sync));
  OK(alluvium_sync_stop(sync));
  OK(alluvium_sync_pause(sync, false));
  FAILS(ALLUVIUM_INPUT, alluvium_close(db));
  OK(alluvium_sync_free(sync));
  FAILS(ALLUVIUM_INPUT, alluvium_sync_new(db, "other", "pump-7", "ftp://nowhere", &sync));
  OK(alluvium_close(db));
}

int main(void) {
  pairs_are_put_read_and_removed();
  documents_are_put_found_and_merged();
  items_are_popped_and_acknowledged();
  a_transaction_is_whole_or_nothing();
  every_change_is_told_in_order();
  a_folder_gets_what_there_is();
  puts("metadata: 6 passed, 0 failed");
  return 0;
}
