// Alluvium: an embedded historian for IoT gateways, in process.
//
// Made by bindings/c/header of bindings/c/src: change that, not this.
//
// Every function returns an alluvium_status, or what it is asked for; alluvium_error_message() has words for the last error of the calling thread. Texts
// are UTF-8. Handles come from functions that take a place for one, or return one, and are freed by the caller; a handle that was freed, is NULL, is of
// another kind or is used by two threads at a time where that may not be is ALLUVIUM_MISUSE, and nothing is done. Nothing is thrown, and no signal handled.
// A child that was forked cannot use what its parent has open, nor open anything else unless its parent had nothing open: threads are not forked, and
// locks are. Start programs (exec), or fork first.

#ifndef ALLUVIUM_H
#define ALLUVIUM_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The Arrow C data and stream interfaces, as https://arrow.apache.org/docs/format/CDataInterface.html has them.
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
  const char *(*get_last_error)(struct ArrowArrayStream *);
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

#endif  // ARROW_C_STREAM_INTERFACE


// The ABI that this header describes. It rises with every change that is not an addition.
#define ALLUVIUM_ABI_VERSION 1

// For `if_revision`: whatever is there.
#define ALLUVIUM_ANY UINT64_MAX

// For `if_revision`: only where there is none.
#define ALLUVIUM_ABSENT 0

// How a call ended. Everything from `ALLUVIUM_INPUT` on is an error, of which `alluvium_error_message` says more.
typedef enum {
  // It was done.
  ALLUVIUM_OK = 0,
  // There is nothing: no such key, document or item, or no more of what is gone through.
  ALLUVIUM_NONE = 1,
  // Nothing came within the time that was given. It may be asked again.
  ALLUVIUM_TIMEOUT = 2,
  // The request is wrong and will stay wrong: mend the input.
  ALLUVIUM_INPUT = 16,
  // What was asked for does not exist, or exists already.
  ALLUVIUM_MISSING = 17,
  // The same request may succeed later: another process holds the directory, the disk is full, or a target does not answer.
  ALLUVIUM_UNAVAILABLE = 18,
  // Bytes on disk are not what was written there. The loss is named.
  ALLUVIUM_DAMAGED = 19,
  // The device or the operating system refused: nothing further is acknowledged until the database is opened again.
  ALLUVIUM_FATAL = 20,
  // Others changed what a transaction had read: make it again.
  ALLUVIUM_CONFLICT = 21,
  // It is not in the revision that the write was made for: read it again and decide anew.
  ALLUVIUM_STALE = 22,
  // The database was closed.
  ALLUVIUM_CLOSED = 23,
  // The query was cancelled.
  ALLUVIUM_CANCELLED = 24,
  // A handle that is NULL, was freed, is of another kind, or is used by two threads at a time; or a pointer that must not be NULL.
  ALLUVIUM_MISUSE = 25,
  // A defect of this library. Please report it.
  ALLUVIUM_DEFECT = 26,
} alluvium_status;

// What a field holds.
typedef enum {
  // `double`.
  ALLUVIUM_FLOAT64 = 0,
  // `float`.
  ALLUVIUM_FLOAT32 = 1,
  // `int64_t`.
  ALLUVIUM_INT64 = 2,
  // `uint64_t`.
  ALLUVIUM_UINT64 = 3,
  // `bool`.
  ALLUVIUM_BOOL = 4,
  // UTF-8 text.
  ALLUVIUM_TEXT = 5,
  // Bytes.
  ALLUVIUM_BINARY = 6,
  // `int64_t` times a power of ten: 1234 with a scale of 2 is 12.34.
  ALLUVIUM_DECIMAL = 7,
} alluvium_type;

// What times are counted in, since 1970, UTC.
typedef enum {
  // Milliseconds.
  ALLUVIUM_MILLISECONDS = 0,
  // Microseconds, as tables have it unless told otherwise.
  ALLUVIUM_MICROSECONDS = 1,
  // Nanoseconds: 1677 to 2262.
  ALLUVIUM_NANOSECONDS = 2,
} alluvium_time_unit;

// When rows are acknowledged.
typedef enum {
  // Once they are on disk.
  ALLUVIUM_DURABLE = 0,
  // Once they are seen; a power cut may still take them back.
  ALLUVIUM_BUFFERED = 1,
} alluvium_durability;

// How a column is compared.
typedef enum {
  // It is the same.
  ALLUVIUM_EQUAL = 0,
  // It is another; of fields that are missing nothing is true.
  ALLUVIUM_NOT_EQUAL = 1,
  // It is less.
  ALLUVIUM_LESS = 2,
  // It is less, or the same.
  ALLUVIUM_LESS_OR_EQUAL = 3,
  // It is greater.
  ALLUVIUM_GREATER = 4,
  // It is greater, or the same.
  ALLUVIUM_GREATER_OR_EQUAL = 5,
} alluvium_comparison;

// In which order rows come.
typedef enum {
  // By tags, then by time: the fastest.
  ALLUVIUM_BY_SERIES = 0,
  // By time, the oldest first.
  ALLUVIUM_OLDEST_FIRST = 1,
  // By time, the newest first.
  ALLUVIUM_NEWEST_FIRST = 2,
} alluvium_order;

// What says when rows are on disk. Any thread, several at a time.
typedef struct alluvium_ack alluvium_ack;

// Bytes that the library made: read them with `alluvium_bytes_data` and `alluvium_bytes_size`, and free them.
typedef struct alluvium_bytes alluvium_bytes;

// What ends the answer to a query from another thread. Any thread, several at a time.
typedef struct alluvium_cancel alluvium_cancel;

// Changes on their way. One thread at a time.
typedef struct alluvium_changes alluvium_changes;

// An open database. Any thread, several at a time.
typedef struct alluvium_db alluvium_db;

// A page of documents. Any thread, several at a time.
typedef struct alluvium_documents alluvium_documents;

// One thing that happened. Any thread, several at a time.
typedef struct alluvium_event alluvium_event;

// An item that was popped, with the lease of it. Any thread, several at a time.
typedef struct alluvium_item alluvium_item;

// Pairs with their keys. Any thread, several at a time.
typedef struct alluvium_pairs alluvium_pairs;

// A query. One thread at a time.
typedef struct alluvium_query alluvium_query;

// Rows of one table on their way. One thread at a time.
typedef struct alluvium_rows alluvium_rows;

// How a database is to behave. One thread at a time.
typedef struct alluvium_settings alluvium_settings;

// A table that is to be. One thread at a time.
typedef struct alluvium_spec alluvium_spec;

// A list of texts.
typedef struct alluvium_strings alluvium_strings;

// A target and what carries everything there. Any thread, several at a time.
typedef struct alluvium_sync alluvium_sync;

// A transaction. One thread at a time.
typedef struct alluvium_tx alluvium_tx;

// Is told what became of rows: `ALLUVIUM_OK` and their sequence once they are on disk, or an error, of which `alluvium_error_message` says more in
// this call. It runs in a thread of the library and holds up other acknowledgements: it has to be short, and must not close the database.
typedef void (*alluvium_ack_callback)(void *context, alluvium_status status, uint64_t sequence);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What the last error of this thread was: what happened, where, and what to do next. Empty before the first.
//
// Ownership: the library's; it holds until the next call of this thread that fails. Threads: each has its own.
const char *alluvium_error_message(void);

// The name of a status, such as `ALLUVIUM_INPUT`, and of any other number "unknown status".
//
// Ownership: the library's, for ever. Threads: any.
const char *alluvium_status_name(int32_t status);

// The ABI that this library has. Programs that were compiled against a header with another `ALLUVIUM_ABI_VERSION` must not use it.
//
// Threads: any.
uint32_t alluvium_abi_version(void);

// The version of this library, such as "0.1.0".
//
// Ownership: the library's, for ever. Threads: any.
const char *alluvium_version(void);

// The bytes, followed by a NUL that does not count; NULL for what is no such handle.
//
// Ownership: the handle's; they hold until it is freed. Threads: any.
const uint8_t *alluvium_bytes_data(const alluvium_bytes *bytes);

// How many bytes there are; 0 for what is no such handle.
//
// Threads: any.
size_t alluvium_bytes_size(const alluvium_bytes *bytes);

// Frees bytes. NULL is none.
alluvium_status alluvium_bytes_free(alluvium_bytes *bytes);

// How many texts there are; 0 for what is no such handle.
//
// Threads: any.
size_t alluvium_strings_count(const alluvium_strings *strings);

// The text at a position from 0 on, which ends in a NUL; NULL where there is none.
//
// Ownership: the handle's; it holds until that is freed. Threads: any.
const char *alluvium_strings_get(const alluvium_strings *strings, size_t position);

// Frees a list of texts. NULL is none.
alluvium_status alluvium_strings_free(alluvium_strings *strings);

// The default settings.
//
// Ownership: the caller's, to be freed with `alluvium_settings_free`. Threads: any.
alluvium_settings *alluvium_settings_new(void);

// Changes one setting: sizes are bytes ("memtable_bytes", "33554432"), durations are written like "90s" or "1h30m" ("seal_after", "10m"); "keep" and
// "disk_bytes" bound what is kept. `README.md` lists them.
//
// Errors: `ALLUVIUM_INPUT` where there is no such setting, or none of that value.
alluvium_status alluvium_settings_set(alluvium_settings *settings,
                                      const char *name,
                                      const char *value);

// Frees settings. NULL is none.
alluvium_status alluvium_settings_free(alluvium_settings *settings);

// Opens the database in a directory, and makes one where there is none. One process at a time has it open; children that it forks meanwhile
// can use neither this one nor others.
//
// `settings` may be NULL for the default ones; they stay the caller's. Ownership: `*db` is the caller's, to be closed with `alluvium_close`.
// Threads: any.
//
// Errors: `ALLUVIUM_UNAVAILABLE` where another process has it open, `ALLUVIUM_INPUT` where the directory holds something else, `ALLUVIUM_DAMAGED`.
alluvium_status alluvium_open(const char *path,
                              const alluvium_settings *settings,
                              alluvium_db **db);

// Closes a database and frees its handle, when no call of another thread is under way any more. Everything that was acknowledged is on disk either way.
// NULL is none.
//
// Rows, queries and streams of it may be freed before or after. Not to be called by a callback of this library.
//
// Errors: `ALLUVIUM_INPUT`, and it stays open, while transactions or sync workers of it are not ended; with any other it is closed, and the handle freed.
alluvium_status alluvium_close(alluvium_db *db);

// Makes durable what was appended as `ALLUVIUM_BUFFERED`.
//
// Threads: any.
alluvium_status alluvium_flush(const alluvium_db *db);

// Makes segments of all rows there are, which happens by itself in the background.
//
// Threads: any.
alluvium_status alluvium_seal(const alluvium_db *db);

// Lets go of rows as the settings "keep" and "disk_bytes" say, at once; `*partitions` is how many partitions went, and may be NULL.
//
// Threads: any.
alluvium_status alluvium_evict(const alluvium_db *db,
                               uint64_t *partitions);

// The names of all tables.
//
// Ownership: `*tables` is the caller's. Threads: any.
alluvium_status alluvium_tables(const alluvium_db *db, alluvium_strings **tables);

// A table of this name without columns yet: microseconds, partitions chosen by rate. NULL for a name that is no text.
//
// Ownership: the caller's, to be freed with `alluvium_spec_free`. Threads: any.
alluvium_spec *alluvium_spec_new(const char *table);

// Adds a tag: text that helps to tell series apart.
alluvium_status alluvium_spec_tag(alluvium_spec *spec, const char *name);

// Adds a field of an `alluvium_type`; `scale` is that of an `ALLUVIUM_DECIMAL`, and else of no matter.
alluvium_status alluvium_spec_field(alluvium_spec *spec, const char *name, int32_t kind, uint8_t scale);

// Sets what times are counted in, an `alluvium_time_unit`.
alluvium_status alluvium_spec_time_unit(alluvium_spec *spec, int32_t unit);

// Sets the span of time that a segment may cover: "auto", "hour", "day", "month" or "year".
alluvium_status alluvium_spec_partitioning(alluvium_spec *spec, const char *span);

// Frees a specification. NULL is none.
alluvium_status alluvium_spec_free(alluvium_spec *spec);

// Makes a table. The specification stays the caller's.
//
// Threads: any. Errors: `ALLUVIUM_MISSING` where one of that name exists already.
alluvium_status alluvium_table_create(const alluvium_db *db, const alluvium_spec *spec);

// Makes a table, or adds the columns to it that it lacks: what a gateway does when it starts. The specification stays the caller's.
//
// Threads: any. Errors: `ALLUVIUM_INPUT` where it has a column of the same name that is something else.
alluvium_status alluvium_table_ensure(const alluvium_db *db,
                                      const alluvium_spec *spec);

// Gives a table another name.
//
// Threads: any.
alluvium_status alluvium_table_rename(const alluvium_db *db, const char *table, const char *name);

// Drops a table with all its rows.
//
// Threads: any.
alluvium_status alluvium_table_drop(const alluvium_db *db, const char *table);

// The columns of a table, as its rows have them: `time`, tags, fields, by the Arrow C data interface.
//
// Ownership: `*schema` is the caller's, to be released through its `release`. Threads: any.
alluvium_status alluvium_table_schema(const alluvium_db *db, const char *table, struct ArrowSchema *schema);

// An empty batch of rows for a table as it is now.
//
// Ownership: `*rows` is the caller's, to be freed with `alluvium_rows_free`. Threads: any.
alluvium_status alluvium_rows_new(const alluvium_db *db,
                                  const char *table,
                                  alluvium_rows **rows);

// The number of a column, by which its values are set: tags come first, from 0 on, then fields.
//
// Errors: `ALLUVIUM_MISSING` where the table has none of this name.
alluvium_status alluvium_rows_column(alluvium_rows *rows,
                                     const char *name,
                                     uint32_t *column);

// Begins a row at a time in the table's unit, since 1970, UTC. What it is not given is missing.
alluvium_status alluvium_rows_begin(alluvium_rows *rows, int64_t time);

// Sets a tag of the row that was begun last: `size` bytes of UTF-8, which are copied.
alluvium_status alluvium_rows_tag(alluvium_rows *rows, uint32_t column, const char *value, size_t size);

// Sets a field of the row that was begun last to text: `size` bytes of UTF-8, which are copied.
alluvium_status alluvium_rows_text(alluvium_rows *rows, uint32_t column, const char *value, size_t size);

// Sets a field of the row that was begun last to bytes, which are copied.
alluvium_status alluvium_rows_binary(alluvium_rows *rows, uint32_t column, const uint8_t *value, size_t size);

// Sets a field of the row that was begun last, an `ALLUVIUM_FLOAT64`.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_f64(alluvium_rows *rows, uint32_t column, double value);

// Sets a field of the row that was begun last, an `ALLUVIUM_FLOAT32`.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_f32(alluvium_rows *rows, uint32_t column, float value);

// Sets a field of the row that was begun last, an `ALLUVIUM_INT64`.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_i64(alluvium_rows *rows, uint32_t column, int64_t value);

// Sets a field of the row that was begun last, an `ALLUVIUM_UINT64`.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_u64(alluvium_rows *rows, uint32_t column, uint64_t value);

// Sets a field of the row that was begun last, an `ALLUVIUM_BOOL`.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_bool(alluvium_rows *rows, uint32_t column, bool value);

// Sets a field of the row that was begun last, an `ALLUVIUM_DECIMAL`: 1234 with a scale of 2 is 12.34.
//
// Errors: `ALLUVIUM_INPUT` where it has another type, or was set before in this row.
alluvium_status alluvium_rows_decimal(alluvium_rows *rows, uint32_t column, int64_t value);

// Sets `count` fields of the row that was begun last, all of them `ALLUVIUM_FLOAT64`, from a column on: what a loop that reads a block of
// registers has at hand.
alluvium_status alluvium_rows_doubles(alluvium_rows *rows,
                                      uint32_t column,
                                      const double *values,
                                      size_t count);

// How many rows were begun; 0 for what is no such handle.
size_t alluvium_rows_count(alluvium_rows *rows);

// Forgets the rows.
alluvium_status alluvium_rows_clear(alluvium_rows *rows);

// Appends the rows, all of them or none, acknowledged as an `alluvium_durability` says; the handle is empty then, ready for the next ones.
// `*sequence`, which may be NULL, is their place in the log. A bad row refuses all, which are lost with it.
alluvium_status alluvium_rows_append(alluvium_rows *rows,
                                     int32_t how,
                                     uint64_t *sequence);

// Appends the rows, which are seen when it returns, and says when they are on disk: `*ack` is waited for, polled, or calls back. The handle is
// empty then. So a control loop never waits for the disk.
//
// Ownership: `*ack` is the caller's, to be freed with `alluvium_ack_free`.
alluvium_status alluvium_rows_append_async(alluvium_rows *rows,
                                           alluvium_ack **ack);

// Puts the rows into a transaction, with which they are appended or not; the handle is empty then.
alluvium_status alluvium_rows_append_in(alluvium_rows *rows, alluvium_tx *tx);

// Frees rows, and forgets those that were not appended. NULL is none.
alluvium_status alluvium_rows_free(alluvium_rows *rows);

// Whether rows are on disk: `ALLUVIUM_OK` and their `*sequence`, which may be NULL; `ALLUVIUM_TIMEOUT` where that is open; an error where they will not be.
//
// Threads: any.
alluvium_status alluvium_ack_poll(const alluvium_ack *ack,
                                  uint64_t *sequence);

// The same, waited for, at most so many milliseconds; below zero, as long as it takes.
//
// Threads: any.
alluvium_status alluvium_ack_wait(const alluvium_ack *ack, int64_t timeout_ms, uint64_t *sequence);

// Has a function called once it is known, with the context that is given: at once, by this thread, where it is known already. The handle may be freed
// before.
//
// Ownership: the context is the caller's, and has to be there until the function was called. Threads: any.
alluvium_status alluvium_ack_on_done(const alluvium_ack *ack,
                                     alluvium_ack_callback callback,
                                     void *context);

// Frees an acknowledgement; what was appended becomes durable all the same, and callbacks are called. NULL is none.
alluvium_status alluvium_ack_free(alluvium_ack *ack);

// Appends a batch by the Arrow C data interface: a struct whose children are columns of the table by their names, among them `time`. Batches
// of up to 65,536 rows are appended whole or not at all, larger ones as several. `*sequence`, which may be NULL, is the place of the last in the log.
//
// Ownership: the array and the schema are taken and released, also with an error; nothing is copied that fits. Threads: any.
//
// Errors: `ALLUVIUM_INPUT` with the first bad row by name.
alluvium_status alluvium_append_arrow(const alluvium_db *db,
                                      const char *table,
                                      struct ArrowArray *array,
                                      struct ArrowSchema *schema,
                                      int32_t how,
                                      uint64_t *sequence);

// Appends all batches of a stream by the Arrow C stream interface, each as `alluvium_append_arrow` does. `*rows`, which may be NULL, is how many rows
// were appended, also with an error: those before it.
//
// Ownership: the stream is taken and released, also with an error. Threads: any.
alluvium_status alluvium_append_stream(const alluvium_db *db,
                                       const char *table,
                                       struct ArrowArrayStream *stream,
                                       int32_t how,
                                       uint64_t *rows);

// Every row and field of a table; NULL for a name that is no text.
//
// Ownership: the caller's, to be freed with `alluvium_query_free`. Threads: any.
alluvium_query *alluvium_query_new(const char *table);

// Only rows from `from` on and before `to`, in the table's unit.
alluvium_status alluvium_query_between(alluvium_query *query, int64_t from, int64_t to);

// Only rows whose tag or text field compares so, as an `alluvium_comparison` says. Conditions hold together.
alluvium_status alluvium_query_where_text(alluvium_query *query, const char *column, int32_t how, const char *value);

// Only rows whose field compares so with a floating-point number.
alluvium_status alluvium_query_where_f64(alluvium_query *query, const char *column, int32_t how, double value);

// Only rows whose field compares so with a whole number.
alluvium_status alluvium_query_where_i64(alluvium_query *query, const char *column, int32_t how, int64_t value);

// Only rows whose field compares so with a truth.
alluvium_status alluvium_query_where_bool(alluvium_query *query, const char *column, int32_t how, bool value);

// Returns this field, and others named so, instead of all.
alluvium_status alluvium_query_field(alluvium_query *query, const char *name);

// Returns an aggregate of each field instead of rows, and others named so, in columns named like `mean(co2)`: "count", "sum", "mean", "min", "max",
// "first", "last", …
//
// Errors: `ALLUVIUM_INPUT`, with all there are, where there is none of that name.
alluvium_status alluvium_query_aggregate(alluvium_query *query,
                                         const char *function);

// Aggregates for each bucket of time: "5m", "1h", "1d", "1w", "1mo"; days, weeks and months by the calendar of an IANA time zone such as
// "Europe/Berlin", or, where that is NULL, UTC.
alluvium_status alluvium_query_every(alluvium_query *query,
                                     const char *width,
                                     const char *zone);

// Aggregates for each value of this tag, and others named so.
alluvium_status alluvium_query_by(alluvium_query *query, const char *tag);

// Sets the order of rows, an `alluvium_order`.
alluvium_status alluvium_query_order(alluvium_query *query, int32_t order);

// Returns at most so many rows.
alluvium_status alluvium_query_limit(alluvium_query *query, uint64_t rows);

// Returns one row for each series: the latest value of each field that there is.
alluvium_status alluvium_query_last(alluvium_query *query);

// Frees a query. Answers to it are not touched. NULL is none.
alluvium_status alluvium_query_free(alluvium_query *query);

// Asks, within a transaction where there is one, and answers by the Arrow C stream interface: batch by batch, in bounded memory, as things stood when
// it was asked. `cancel` may be NULL, or is a place for what ends the answer from another thread.
//
// The stream's own errors are EIO (5) where the disk or what is on it is at fault, and else, as where it was cancelled, EINVAL (22), with words from its
// `get_last_error`.
//
// Ownership: `*answer` is the caller's, to be released through its `release`, also after the database was closed; `*cancel` to be freed with
// `alluvium_cancel_free`; nothing is copied. Threads: any; the stream one at a time.
alluvium_status alluvium_query_run(const alluvium_db *db,
                                   alluvium_tx *tx,
                                   const alluvium_query *query,
                                   struct ArrowArrayStream *answer,
                                   alluvium_cancel **cancel);

// Ends the answer to a query, soon: it then says that it was cancelled.
//
// Threads: any, while another reads the answer.
alluvium_status alluvium_cancel_now(const alluvium_cancel *cancel);

// Frees what ends an answer, which goes on. NULL is none.
alluvium_status alluvium_cancel_free(alluvium_cancel *cancel);

// Deletes the rows of a query's table that its times and its conditions on tags say, within a transaction where there is one; `*sequence`, which may be
// NULL, is its place in the log, and 0 within a transaction. Once it returns the rows are seen by nobody, after a power cut neither.
//
// Threads: any. Errors: `ALLUVIUM_INPUT` where the query has a condition on a field, or asks for anything but rows.
alluvium_status alluvium_delete(const alluvium_db *db,
                                alluvium_tx *tx,
                                const alluvium_query *query,
                                uint64_t *sequence);

// Begins a transaction, which sees the database as it is now and what is done within it. Functions that take a transaction do their part within it where
// they are given one, and by themselves where it is NULL.
//
// Ownership: `*tx` is the caller's, to be ended with `alluvium_commit` or `alluvium_rollback`. Threads: any.
alluvium_status alluvium_begin(const alluvium_db *db,
                               alluvium_tx **tx);

// Commits a transaction, all of it or nothing, and frees it either way. `*sequence`, which may be NULL, is its place in the log.
//
// Errors: `ALLUVIUM_CONFLICT` where others changed meanwhile what it had read: begin it anew.
alluvium_status alluvium_commit(alluvium_tx *tx,
                                uint64_t *sequence);

// Ends a transaction as if it had never been, and frees it. NULL is none.
alluvium_status alluvium_rollback(alluvium_tx *tx);

// The value of a key: `ALLUVIUM_NONE` where there is none. `*revision`, which may be NULL, changes with every write.
//
// Ownership: `*value` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
alluvium_status alluvium_kv_get(const alluvium_db *db,
                                alluvium_tx *tx,
                                const char *key,
                                alluvium_bytes **value,
                                uint64_t *revision);

// Puts a value, which is copied, in the place of any there; durable when it returns, or with its transaction. It expires after `ttl_ms` milliseconds
// that the machine is on; below zero, never. `if_revision` is `ALLUVIUM_ANY`, `ALLUVIUM_ABSENT` or the revision that is to be there.
// `*revision`, which may be NULL, is its new one, and 0 within a transaction.
//
// Threads: any. Errors: `ALLUVIUM_STALE` where it is not in that revision.
alluvium_status alluvium_kv_put(const alluvium_db *db,
                                alluvium_tx *tx,
                                const char *key,
                                const uint8_t *value,
                                size_t size,
                                int64_t ttl_ms,
                                uint64_t if_revision,
                                uint64_t *revision);

// Removes a pair: `ALLUVIUM_NONE` where there was none.
//
// Threads: any. Errors: `ALLUVIUM_STALE`.
alluvium_status alluvium_kv_delete(const alluvium_db *db, alluvium_tx *tx, const char *key, uint64_t if_revision);

// Adds to a counter, which begins at 0; `*sum`, which may be NULL, is what it comes to. Its value is the number in decimal digits.
//
// Threads: any.
alluvium_status alluvium_kv_increment(const alluvium_db *db,
                                      alluvium_tx *tx,
                                      const char *key,
                                      int64_t by,
                                      int64_t *sum);

// Pairs whose keys begin so, in the order of these, at most `limit` of them, 0 for all; only those behind the key `after`, which may be NULL.
//
// Ownership: `*pairs` is the caller's, to be freed with `alluvium_pairs_free`. Threads: any.
alluvium_status alluvium_kv_scan(const alluvium_db *db,
                                 alluvium_tx *tx,
                                 const char *beginning,
                                 const char *after,
                                 size_t limit,
                                 alluvium_pairs **pairs);

// How many pairs there are; 0 for what is no such handle.
//
// Threads: any.
size_t alluvium_pairs_count(const alluvium_pairs *pairs);

// The pair at a position from 0 on: `ALLUVIUM_NONE` where there is none. Places may be NULL; key and value end in a NUL, which does not count.
//
// Ownership: key and value are the handle's, until it is freed. Threads: any.
alluvium_status alluvium_pairs_get(const alluvium_pairs *pairs,
                                   size_t position,
                                   const char **key,
                                   const uint8_t **value,
                                   size_t *size,
                                   uint64_t *revision);

// Frees pairs. NULL is none.
alluvium_status alluvium_pairs_free(alluvium_pairs *pairs);

// Makes a collection; `ALLUVIUM_MISSING` where there is one of that name.
//
// Threads: any.
alluvium_status alluvium_collection_create(const alluvium_db *db, alluvium_tx *tx, const char *name);

// Sets the JSON Schema that documents of a collection have to agree with from now on.
//
// Threads: any. Errors: `ALLUVIUM_INPUT` where it is none, or does not agree with the one before as the collection asks.
alluvium_status alluvium_collection_set_schema(const alluvium_db *db,
                                               alluvium_tx *tx,
                                               const char *name,
                                               const char *schema,
                                               size_t size);

// Drops a collection with all its documents.
//
// Threads: any.
alluvium_status alluvium_collection_drop(const alluvium_db *db, alluvium_tx *tx, const char *name);

// The names of all collections.
//
// Ownership: `*names` is the caller's. Threads: any.
alluvium_status alluvium_collections(const alluvium_db *db, alluvium_tx *tx, alluvium_strings **names);

// A document, as JSON: `ALLUVIUM_NONE` where there is none. `*revision`, which may be NULL, changes with every write.
//
// Ownership: `*json` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
alluvium_status alluvium_document_get(const alluvium_db *db,
                                      alluvium_tx *tx,
                                      const char *collection,
                                      const char *id,
                                      alluvium_bytes **json,
                                      uint64_t *revision);

// Puts a document, `size` bytes of JSON, in the place of any there; durable when it returns, or with its transaction. `ttl_ms`, `if_revision` and
// `*revision` are as of `alluvium_kv_put`.
//
// Threads: any. Errors: `ALLUVIUM_STALE`; `ALLUVIUM_INPUT` where the schema of the collection, an index or a reference does not allow it.
alluvium_status alluvium_document_put(const alluvium_db *db,
                                      alluvium_tx *tx,
                                      const char *collection,
                                      const char *id,
                                      const char *json,
                                      size_t size,
                                      int64_t ttl_ms,
                                      uint64_t if_revision,
                                      uint64_t *revision);

// Changes what a JSON merge patch (RFC 7396) says in a document. `if_revision` and `*revision` are as of `alluvium_kv_put`.
//
// Threads: any. Errors: `ALLUVIUM_MISSING`, `ALLUVIUM_STALE`, `ALLUVIUM_INPUT`.
alluvium_status alluvium_document_merge(const alluvium_db *db,
                                        alluvium_tx *tx,
                                        const char *collection,
                                        const char *id,
                                        const char *patch,
                                        size_t size,
                                        uint64_t if_revision,
                                        uint64_t *revision);

// Deletes a document: `ALLUVIUM_NONE` where there was none.
//
// Threads: any. Errors: `ALLUVIUM_STALE`; `ALLUVIUM_INPUT` where another refers to it.
alluvium_status alluvium_document_delete(const alluvium_db *db,
                                         alluvium_tx *tx,
                                         const char *collection,
                                         const char *id,
                                         uint64_t if_revision);

// Documents that a condition, a text of JSON, holds for, a page at a time: `{"room": "cellar", "size": {"gt": 3, "le": 9}}`; NULL finds all. A field has a
// value, or one that is "gt", "ge", "lt", "le", "eq", "ne", "in" a list, "begins" with a text, or "exists"; "and", "or" and "not" take conditions. At
// most `limit` of them, 0 for as many as a page has; `after` is what `alluvium_documents_next` of the page before says, or NULL.
//
// Ownership: `*documents` is the caller's, to be freed with `alluvium_documents_free`. Threads: any.
alluvium_status alluvium_document_find(const alluvium_db *db,
                                       alluvium_tx *tx,
                                       const char *collection,
                                       const char *condition,
                                       size_t limit,
                                       const char *after,
                                       alluvium_documents **documents);

// How many documents a page has; 0 for what is no such handle.
//
// Threads: any.
size_t alluvium_documents_count(const alluvium_documents *documents);

// The document at a position from 0 on: `ALLUVIUM_NONE` where there is none. Places may be NULL.
//
// Ownership: id and JSON, which end in a NUL, are the handle's, until it is freed. Threads: any.
alluvium_status alluvium_documents_get(const alluvium_documents *documents,
                                       size_t position,
                                       const char **id,
                                       const char **json,
                                       uint64_t *revision);

// What the next page is found `after`; NULL on the last.
//
// Ownership: the handle's, until it is freed. Threads: any.
const char *alluvium_documents_next(const alluvium_documents *documents);

// Frees a page. NULL is none.
alluvium_status alluvium_documents_free(alluvium_documents *documents);

// Makes a queue whose items are popped at most `tries` times, 0 for five, before they are dead letters.
//
// Threads: any. Errors: `ALLUVIUM_MISSING` where there is one of that name.
alluvium_status alluvium_queue_create(const alluvium_db *db, const char *name, uint32_t tries);

// Drops a queue with all its items.
//
// Threads: any.
alluvium_status alluvium_queue_drop(const alluvium_db *db, const char *name);

// Pushes an item, which is copied; durable when it returns, or with its transaction. Those of higher `priority` come first. Where `key` is not NULL,
// nothing is pushed that was pushed with the same key within the queue's window. `*item`, which may be NULL, is its number.
//
// Threads: any.
alluvium_status alluvium_queue_push(const alluvium_db *db,
                                    alluvium_tx *tx,
                                    const char *queue,
                                    const uint8_t *payload,
                                    size_t size,
                                    uint8_t priority,
                                    const char *key,
                                    uint64_t *item);

// Pops the next item, for `lease_ms` milliseconds, below zero for as long as the queue says; where there is none, waits for one at most `wait_ms`
// milliseconds: `ALLUVIUM_TIMEOUT` where none came. The item comes back by itself when the lease ends before it is acknowledged.
//
// Ownership: `*item` is the caller's, to be freed with `alluvium_item_free`. Threads: any.
alluvium_status alluvium_queue_pop(const alluvium_db *db,
                                   const char *queue,
                                   int64_t lease_ms,
                                   uint32_t wait_ms,
                                   alluvium_item **item);

// The payload of an item, followed by a NUL that does not count, and its size, which may be NULL; NULL for what is no such handle.
//
// Ownership: the handle's, until it is freed. Threads: any.
const uint8_t *alluvium_item_payload(const alluvium_item *item,
                                     size_t *size);

// The number of an item, and how often it was popped, this time included; places may be NULL.
//
// Threads: any.
alluvium_status alluvium_item_describe(const alluvium_item *item, uint64_t *number, uint32_t *tries);

// Acknowledges an item, within a transaction where there is one: it is done, and gone. The handle stays the caller's.
//
// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
alluvium_status alluvium_item_ack(const alluvium_db *db, alluvium_tx *tx, const alluvium_item *item);

// Gives an item back, to be popped again after `delay_ms` milliseconds; below zero, after the queue's back-off. The handle stays the caller's.
//
// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
alluvium_status alluvium_item_nack(const alluvium_db *db,
                                   alluvium_tx *tx,
                                   const alluvium_item *item,
                                   int64_t delay_ms);

// Keeps an item for `lease_ms` milliseconds from now on.
//
// Threads: any. Errors: `ALLUVIUM_MISSING` where its lease has ended.
alluvium_status alluvium_item_extend(const alluvium_db *db, const alluvium_item *item, uint32_t lease_ms);

// Frees an item, which is neither acknowledged nor given back by that. NULL is none.
alluvium_status alluvium_item_free(alluvium_item *item);

// How many items of a queue can be popped now, are leased, and are dead letters; places may be NULL.
//
// Threads: any.
alluvium_status alluvium_queue_sizes(const alluvium_db *db,
                                     const char *queue,
                                     uint64_t *ready,
                                     uint64_t *leased,
                                     uint64_t *dead);

// Begins to read changes: behind what the cursor of this name has acknowledged, which is begun where there is none; or, where that is NULL, from a
// sequence on, 0 for the oldest that is kept. `table`, `collection`, `queue` and `key_beginning` show only what is about these; all may be NULL.
//
// Ownership: `*changes` is the caller's, to be freed with `alluvium_changes_free`. Threads: any.
alluvium_status alluvium_changes_open(const alluvium_db *db,
                                      const char *cursor,
                                      uint64_t from,
                                      const char *table,
                                      const char *collection,
                                      const char *queue,
                                      const char *key_beginning,
                                      alluvium_changes **changes);

// The next thing that happened, waited for at most so many milliseconds: `ALLUVIUM_TIMEOUT` where there was none.
//
// Ownership: `*event` is the caller's, to be freed with `alluvium_event_free`.
//
// Errors: `ALLUVIUM_MISSING` where changes are no longer kept; it goes on behind them when it is asked again.
alluvium_status alluvium_changes_next(alluvium_changes *changes, uint32_t timeout_ms, alluvium_event **event);

// Frees changes. A cursor stays where it is. NULL is none.
alluvium_status alluvium_changes_free(alluvium_changes *changes);

// Notes, durably or with its transaction, that a cursor has dealt with everything up to a sequence. Where several events have the same sequence, that is
// after the last of them.
//
// Threads: any.
alluvium_status alluvium_cursor_acknowledge(const alluvium_db *db,
                                            alluvium_tx *tx,
                                            const char *cursor,
                                            uint64_t sequence);

// The sequence of the change that an event belongs to, and whether it is the last of that; places may be NULL.
//
// Threads: any.
alluvium_status alluvium_event_place(const alluvium_event *event, uint64_t *sequence, bool *is_last);

// What happened: "rows", "rows_deleted", "table_created", "pair_put", "pair_removed", "document_put", "document_deleted", "item_pushed", …; NULL for what
// is no such handle.
//
// Ownership: the handle's, until it is freed. Threads: any.
const char *alluvium_event_name(const alluvium_event *event);

// The table, collection or queue it is about; NULL where there is none.
//
// Ownership: the handle's, until it is freed. Threads: any.
const char *alluvium_event_of(const alluvium_event *event);

// The key of a pair, the id of a document, or the number of an item; NULL where there is none.
//
// Ownership: the handle's, until it is freed. Threads: any.
const char *alluvium_event_key(const alluvium_event *event);

// The value of a pair, a document as JSON, or the payload of an item, followed by a NUL that does not count; NULL where there is none, as where it is
// gone. `size` may be NULL.
//
// Ownership: the handle's, until it is freed. Threads: any.
const uint8_t *alluvium_event_payload(const alluvium_event *event,
                                      size_t *size);

// The rows that were written, by the Arrow C data interface: `ALLUVIUM_NONE` where the event has none, as where they lie in segments by now.
//
// Ownership: `*array` and `*schema` are the caller's, to be released. Threads: any.
alluvium_status alluvium_event_rows(const alluvium_event *event,
                                    struct ArrowArray *array,
                                    struct ArrowSchema *schema);

// Frees an event. NULL is none.
alluvium_status alluvium_event_free(alluvium_event *event);

// How all deliveries stand, as JSON: a list of objects with `name`, `gateway`, `paused`, `cuts`, `cuts_left`, `units_left` and `delivered_through`.
//
// Ownership: `*json` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
alluvium_status alluvium_sync_status(const alluvium_db *db,
                                     alluvium_bytes **json);

// The delivery `name` to a target: a folder, `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`, with credentials from the environment, where the gateway is
// known as `gateway`. It carries nothing before `alluvium_sync_start` or `alluvium_sync_run_once`, and goes on where it was when the name was used
// before.
//
// Ownership: `*sync` is the caller's, to be freed with `alluvium_sync_free` before the database is closed. Threads: any.
alluvium_status alluvium_sync_new(const alluvium_db *db,
                                  const char *name,
                                  const char *gateway,
                                  const char *url,
                                  alluvium_sync **sync);

// Carries everything there is, and returns when the target has it.
//
// Threads: any. Errors: `ALLUVIUM_UNAVAILABLE` where the target does not do its part.
alluvium_status alluvium_sync_run_once(const alluvium_sync *sync);

// Carries what there is and what comes, in threads of its own, until it is stopped or freed.
//
// Threads: any.
alluvium_status alluvium_sync_start(const alluvium_sync *sync);

// Stops; what was on its way is gone on with the next time.
//
// Threads: any.
alluvium_status alluvium_sync_stop(const alluvium_sync *sync);

// Sends nothing until it is told otherwise, after a restart too, or sends again.
//
// Threads: any.
alluvium_status alluvium_sync_pause(const alluvium_sync *sync, bool paused);

// Tries at once what it waits for: a target that failed, and what was set aside.
//
// Threads: any.
alluvium_status alluvium_sync_retry(const alluvium_sync *sync);

// Stops, and frees the handle. NULL is none.
alluvium_status alluvium_sync_free(alluvium_sync *sync);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ALLUVIUM_H */
