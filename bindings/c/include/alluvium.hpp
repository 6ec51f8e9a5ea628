// Alluvium in C++17: the functions of alluvium.h, with handles that free themselves and errors that are thrown.
//
// Handles are moved and not copied; what alluvium.h says of ownership and of threads holds here too. To destroy a handle ignores errors: where they
// matter, as of Database::close, there is a function. Nothing is allocated here per row.

#ifndef ALLUVIUM_HPP
#define ALLUVIUM_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "alluvium.h"

namespace alluvium {

// Why a call failed.
class Error : public std::runtime_error {
 public:
  explicit Error(alluvium_status status) : std::runtime_error(alluvium_error_message()), status_(status) {}

  alluvium_status status() const noexcept { return status_; }

 private:
  alluvium_status status_;
};

// Throws what is an error, and passes on what is none.
inline alluvium_status check(alluvium_status status) {
  if (status >= ALLUVIUM_INPUT) throw Error(status);
  return status;
}

namespace detail {

template <auto Free>
struct Freed {
  template <typename Handle>
  void operator()(Handle *handle) const noexcept {
    Free(handle);
  }
};

template <typename Handle, auto Free>
using Owned = std::unique_ptr<Handle, Freed<Free>>;

// What a function of C puts into a place, where there is something.
template <typename Handle, auto Free, typename Makes>
std::optional<Owned<Handle, Free>> made_if(Makes makes) {
  Handle *handle = nullptr;
  if (check(makes(&handle)) != ALLUVIUM_OK) return std::nullopt;
  return Owned<Handle, Free>(handle);
}

inline const uint8_t *bytes(std::string_view text) { return reinterpret_cast<const uint8_t *>(text.data()); }

inline std::string_view view(const uint8_t *data, std::size_t size) { return {reinterpret_cast<const char *>(data), size}; }

inline uint32_t milliseconds(std::chrono::milliseconds time) {
  const auto count = time.count();
  return count < 0 ? 0 : count > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(count);
}

}  // namespace detail

// How a database is to behave: `Settings().set("keep", "90d").set("disk_bytes", "8000000000")`.
class Settings {
 public:
  Settings() : handle_(alluvium_settings_new()) {}

  Settings &set(const std::string &name, const std::string &value) {
    check(alluvium_settings_set(handle_.get(), name.c_str(), value.c_str()));
    return *this;
  }

  const alluvium_settings *get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<alluvium_settings, alluvium_settings_free> handle_;
};

// A table that is to be.
class Spec {
 public:
  explicit Spec(const std::string &table) : handle_(alluvium_spec_new(table.c_str())) {}

  Spec &tag(const std::string &name) {
    check(alluvium_spec_tag(handle_.get(), name.c_str()));
    return *this;
  }

  // `scale` is that of an ALLUVIUM_DECIMAL.
  Spec &field(const std::string &name, alluvium_type type, uint8_t scale = 0) {
    check(alluvium_spec_field(handle_.get(), name.c_str(), type, scale));
    return *this;
  }

  Spec &time_unit(alluvium_time_unit unit) {
    check(alluvium_spec_time_unit(handle_.get(), unit));
    return *this;
  }

  Spec &partitioning(const std::string &span) {
    check(alluvium_spec_partitioning(handle_.get(), span.c_str()));
    return *this;
  }

  const alluvium_spec *get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<alluvium_spec, alluvium_spec_free> handle_;
};

// Says when rows are on disk.
class Ack {
 public:
  explicit Ack(alluvium_ack *handle) : handle_(handle) {}

  // Their sequence, once they are; throws where they will not be.
  std::optional<uint64_t> poll() const {
    uint64_t sequence = 0;
    if (check(alluvium_ack_poll(handle_.get(), &sequence)) != ALLUVIUM_OK) return std::nullopt;
    return sequence;
  }

  // The same, waited for.
  std::optional<uint64_t> wait(std::chrono::milliseconds time) const {
    uint64_t sequence = 0;
    if (check(alluvium_ack_wait(handle_.get(), time.count() < 0 ? 0 : time.count(), &sequence)) != ALLUVIUM_OK) return std::nullopt;
    return sequence;
  }

  uint64_t wait() const {
    uint64_t sequence = 0;
    check(alluvium_ack_wait(handle_.get(), -1, &sequence));
    return sequence;
  }

  // Has a function called, as alluvium_ack_on_done says. It must not throw.
  void on_done(alluvium_ack_callback callback, void *context) const { check(alluvium_ack_on_done(handle_.get(), callback, context)); }

 private:
  detail::Owned<alluvium_ack, alluvium_ack_free> handle_;
};

// A transaction: rolled back when it is destroyed before it was committed.
class Transaction {
 public:
  explicit Transaction(alluvium_tx *handle) : handle_(handle) {}

  // Commits, and returns its sequence. Either way it is over.
  uint64_t commit() {
    uint64_t sequence = 0;
    check(alluvium_commit(handle_.release(), &sequence));
    return sequence;
  }

  alluvium_tx *get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<alluvium_tx, alluvium_rollback> handle_;
};

// Rows of one table on their way.
class Rows {
 public:
  explicit Rows(alluvium_rows *handle) : handle_(handle) {}

  uint32_t column(const std::string &name) const {
    uint32_t column = 0;
    check(alluvium_rows_column(handle_.get(), name.c_str(), &column));
    return column;
  }

  // Begins a row; what is set then is set in it.
  Rows &begin(int64_t time) {
    check(alluvium_rows_begin(handle_.get(), time));
    return *this;
  }

  Rows &tag(uint32_t column, std::string_view value) {
    check(alluvium_rows_tag(handle_.get(), column, value.data(), value.size()));
    return *this;
  }

  Rows &text(uint32_t column, std::string_view value) {
    check(alluvium_rows_text(handle_.get(), column, value.data(), value.size()));
    return *this;
  }

  Rows &binary(uint32_t column, const void *data, std::size_t size) {
    check(alluvium_rows_binary(handle_.get(), column, static_cast<const uint8_t *>(data), size));
    return *this;
  }

  Rows &set(uint32_t column, double value) {
    check(alluvium_rows_f64(handle_.get(), column, value));
    return *this;
  }

  Rows &set(uint32_t column, float value) {
    check(alluvium_rows_f32(handle_.get(), column, value));
    return *this;
  }

  Rows &set(uint32_t column, int64_t value) {
    check(alluvium_rows_i64(handle_.get(), column, value));
    return *this;
  }

  Rows &set(uint32_t column, uint64_t value) {
    check(alluvium_rows_u64(handle_.get(), column, value));
    return *this;
  }

  Rows &set(uint32_t column, bool value) {
    check(alluvium_rows_bool(handle_.get(), column, value));
    return *this;
  }

  Rows &decimal(uint32_t column, int64_t value) {
    check(alluvium_rows_decimal(handle_.get(), column, value));
    return *this;
  }

  Rows &doubles(uint32_t column, const double *values, std::size_t count) {
    check(alluvium_rows_doubles(handle_.get(), column, values, count));
    return *this;
  }

  std::size_t count() const noexcept { return alluvium_rows_count(handle_.get()); }

  void clear() { check(alluvium_rows_clear(handle_.get())); }

  // Appends the rows, and returns their sequence.
  uint64_t append(alluvium_durability how = ALLUVIUM_DURABLE) {
    uint64_t sequence = 0;
    check(alluvium_rows_append(handle_.get(), how, &sequence));
    return sequence;
  }

  Ack append_async() {
    alluvium_ack *ack = nullptr;
    check(alluvium_rows_append_async(handle_.get(), &ack));
    return Ack(ack);
  }

  void append_in(const Transaction &tx) { check(alluvium_rows_append_in(handle_.get(), tx.get())); }

  alluvium_rows *get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<alluvium_rows, alluvium_rows_free> handle_;
};

// A batch of rows by the Arrow C data interface.
class Batch {
 public:
  Batch() = default;
  Batch(Batch &&other) noexcept : array_(std::exchange(other.array_, ArrowArray{})) {}
  Batch &operator=(Batch &&other) noexcept {
    std::swap(array_, other.array_);
    return *this;
  }
  ~Batch() {
    if (array_.release != nullptr) array_.release(&array_);
  }

  int64_t rows() const noexcept { return array_.length; }

  // The values of a column, one for each row, of the type that the column has; which of them are missing is in `column(number).buffers[0]`.
  template <typename T>
  const T *values(int64_t number) const {
    const ArrowArray &array = column(number);
    return static_cast<const T *>(array.buffers[1]) + array.offset;
  }

  const ArrowArray &column(int64_t number) const {
    if (number < 0 || number >= array_.n_children) throw std::out_of_range("no such column");
    return *array_.children[number];
  }

  ArrowArray *get() noexcept { return &array_; }

 private:
  ArrowArray array_{};
};

// The answer to a query: an Arrow C stream.
class Answer {
 public:
  explicit Answer(ArrowArrayStream stream) : stream_(stream) {}
  Answer(Answer &&other) noexcept : stream_(std::exchange(other.stream_, ArrowArrayStream{})) {}
  Answer &operator=(Answer &&other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Answer() {
    if (stream_.release != nullptr) stream_.release(&stream_);
  }

  // The next batch; none at the end.
  std::optional<Batch> next() {
    Batch batch;
    told(stream_.get_next(&stream_, batch.get()));
    if (batch.get()->release == nullptr) return std::nullopt;
    return batch;
  }

  // The position of a column.
  int64_t column(std::string_view name) {
    ArrowSchema schema{};
    told(stream_.get_schema(&stream_, &schema));
    int64_t found = -1;
    for (int64_t number = 0; number < schema.n_children && found < 0; number++)
      if (name == schema.children[number]->name) found = number;
    schema.release(&schema);
    if (found < 0) throw std::out_of_range("the answer has no column " + std::string(name));
    return found;
  }

  // Gives the stream away, to whoever takes Arrow streams.
  ArrowArrayStream release() noexcept { return std::exchange(stream_, ArrowArrayStream{}); }

 private:
  void told(int error) {
    if (error == 0) return;
    const char *words = stream_.get_last_error(&stream_);
    throw std::runtime_error(words != nullptr ? words : "the answer failed");
  }

  ArrowArrayStream stream_;
};

// A query; see alluvium.h of what each part means.
class Query {
 public:
  explicit Query(const std::string &table) : handle_(alluvium_query_new(table.c_str())) {}

  Query &between(int64_t from, int64_t to) { return done(alluvium_query_between(get(), from, to)); }
  Query &where(const std::string &column, const std::string &value, alluvium_comparison how = ALLUVIUM_EQUAL) {
    return done(alluvium_query_where_text(get(), column.c_str(), how, value.c_str()));
  }
  Query &where(const std::string &column, const char *value, alluvium_comparison how = ALLUVIUM_EQUAL) {
    return done(alluvium_query_where_text(get(), column.c_str(), how, value));
  }
  Query &where(const std::string &column, double value, alluvium_comparison how = ALLUVIUM_EQUAL) {
    return done(alluvium_query_where_f64(get(), column.c_str(), how, value));
  }
  Query &where(const std::string &column, int64_t value, alluvium_comparison how = ALLUVIUM_EQUAL) {
    return done(alluvium_query_where_i64(get(), column.c_str(), how, value));
  }
  Query &where(const std::string &column, bool value, alluvium_comparison how = ALLUVIUM_EQUAL) {
    return done(alluvium_query_where_bool(get(), column.c_str(), how, value));
  }
  Query &field(const std::string &name) { return done(alluvium_query_field(get(), name.c_str())); }
  Query &aggregate(const std::string &function) { return done(alluvium_query_aggregate(get(), function.c_str())); }
  Query &every(const std::string &width) { return done(alluvium_query_every(get(), width.c_str(), nullptr)); }
  Query &every(const std::string &width, const std::string &zone) {
    return done(alluvium_query_every(get(), width.c_str(), zone.c_str()));
  }
  Query &by(const std::string &tag) { return done(alluvium_query_by(get(), tag.c_str())); }
  Query &order(alluvium_order order) { return done(alluvium_query_order(get(), order)); }
  Query &limit(uint64_t rows) { return done(alluvium_query_limit(get(), rows)); }
  Query &last() { return done(alluvium_query_last(get())); }

  alluvium_query *get() const noexcept { return handle_.get(); }

 private:
  Query &done(alluvium_status status) {
    check(status);
    return *this;
  }

  detail::Owned<alluvium_query, alluvium_query_free> handle_;
};

// An item that was popped; given back by itself when its lease ends, unless it is acknowledged.
class Item {
 public:
  explicit Item(alluvium_item *handle) : handle_(handle) {}

  std::string_view payload() const {
    std::size_t size = 0;
    const uint8_t *data = alluvium_item_payload(handle_.get(), &size);
    return detail::view(data, size);
  }

  const alluvium_item *get() const noexcept { return handle_.get(); }

 private:
  detail::Owned<alluvium_item, alluvium_item_free> handle_;
};

// One thing that happened.
class Event {
 public:
  explicit Event(alluvium_event *handle) : handle_(handle) {}

  std::string_view name() const { return text(alluvium_event_name(handle_.get())); }
  std::string_view of() const { return text(alluvium_event_of(handle_.get())); }
  std::string_view key() const { return text(alluvium_event_key(handle_.get())); }

  std::string_view payload() const {
    std::size_t size = 0;
    const uint8_t *data = alluvium_event_payload(handle_.get(), &size);
    return detail::view(data, data == nullptr ? 0 : size);
  }

  uint64_t sequence() const {
    uint64_t sequence = 0;
    check(alluvium_event_place(handle_.get(), &sequence, nullptr));
    return sequence;
  }

  const alluvium_event *get() const noexcept { return handle_.get(); }

 private:
  static std::string_view text(const char *text) { return text == nullptr ? std::string_view() : std::string_view(text); }

  detail::Owned<alluvium_event, alluvium_event_free> handle_;
};

// Changes on their way.
class Changes {
 public:
  explicit Changes(alluvium_changes *handle) : handle_(handle) {}

  // The next one; none where nothing came in this time.
  std::optional<Event> next(std::chrono::milliseconds time) {
    alluvium_event *event = nullptr;
    if (check(alluvium_changes_next(handle_.get(), detail::milliseconds(time), &event)) != ALLUVIUM_OK) return std::nullopt;
    return Event(event);
  }

 private:
  detail::Owned<alluvium_changes, alluvium_changes_free> handle_;
};

// A target and what carries everything there.
class Sync {
 public:
  explicit Sync(alluvium_sync *handle) : handle_(handle) {}

  void run_once() { check(alluvium_sync_run_once(handle_.get())); }
  void start() { check(alluvium_sync_start(handle_.get())); }
  void stop() { check(alluvium_sync_stop(handle_.get())); }
  void pause(bool paused = true) { check(alluvium_sync_pause(handle_.get(), paused)); }
  void retry() { check(alluvium_sync_retry(handle_.get())); }

 private:
  detail::Owned<alluvium_sync, alluvium_sync_free> handle_;
};

// An open database. Destroy what was made of it before: while a transaction or a sync is there, it stays open.
class Database {
 public:
  explicit Database(const std::string &path) : Database(path, nullptr) {}
  Database(const std::string &path, const Settings &settings) : Database(path, settings.get()) {}

  // Closes it, and says whether that went well.
  void close() {
    const alluvium_status closed = alluvium_close(handle_.get());
    // It is freed, but where somebody still keeps it.
    if (closed != ALLUVIUM_INPUT) static_cast<void>(handle_.release());
    check(closed);
  }

  void flush() const { check(alluvium_flush(get())); }
  void seal() const { check(alluvium_seal(get())); }

  void create(const Spec &spec) const { check(alluvium_table_create(get(), spec.get())); }
  void ensure(const Spec &spec) const { check(alluvium_table_ensure(get(), spec.get())); }
  void drop_table(const std::string &table) const { check(alluvium_table_drop(get(), table.c_str())); }

  Rows rows(const std::string &table) const {
    return Rows(handle<alluvium_rows>([&](auto place) { return alluvium_rows_new(get(), table.c_str(), place); }));
  }

  Answer run(const Query &query) const { return run(query, nullptr); }
  Answer run(const Query &query, const Transaction &tx) const { return run(query, tx.get()); }

  // Deletes the rows that a query asks for.
  uint64_t remove(const Query &query) const {
    uint64_t sequence = 0;
    check(alluvium_delete(get(), nullptr, query.get(), &sequence));
    return sequence;
  }

  Transaction begin() const {
    return Transaction(handle<alluvium_tx>([&](auto place) { return alluvium_begin(get(), place); }));
  }

  // The value of a key.
  std::optional<std::string> value(const std::string &key) const {
    auto found = detail::made_if<alluvium_bytes, alluvium_bytes_free>(
        [&](auto place) { return alluvium_kv_get(get(), nullptr, key.c_str(), place, nullptr); });
    return text(found);
  }

  void put(const std::string &key, std::string_view value) const { put(nullptr, key, value); }
  void put(const Transaction &tx, const std::string &key, std::string_view value) const { put(tx.get(), key, value); }

  int64_t increment(const std::string &key, int64_t by = 1) const {
    int64_t sum = 0;
    check(alluvium_kv_increment(get(), nullptr, key.c_str(), by, &sum));
    return sum;
  }

  void create_collection(const std::string &name) const { check(alluvium_collection_create(get(), nullptr, name.c_str())); }

  // A document, as JSON.
  std::optional<std::string> document(const std::string &collection, const std::string &id) const {
    auto found = detail::made_if<alluvium_bytes, alluvium_bytes_free>(
        [&](auto place) { return alluvium_document_get(get(), nullptr, collection.c_str(), id.c_str(), place, nullptr); });
    return text(found);
  }

  // Puts a document; returns its revision.
  uint64_t put_document(const std::string &collection, const std::string &id, std::string_view json,
                        uint64_t if_revision = ALLUVIUM_ANY) const {
    uint64_t revision = 0;
    check(alluvium_document_put(get(), nullptr, collection.c_str(), id.c_str(), json.data(), json.size(), -1, if_revision,
                                &revision));
    return revision;
  }

  void create_queue(const std::string &name, uint32_t tries = 0) const { check(alluvium_queue_create(get(), name.c_str(), tries)); }
  void push(const std::string &queue, std::string_view payload) const { push(nullptr, queue, payload); }
  void push(const Transaction &tx, const std::string &queue, std::string_view payload) const { push(tx.get(), queue, payload); }

  std::optional<Item> pop(const std::string &queue, std::chrono::milliseconds wait = {}) const {
    alluvium_item *item = nullptr;
    if (check(alluvium_queue_pop(get(), queue.c_str(), -1, detail::milliseconds(wait), &item)) != ALLUVIUM_OK) return std::nullopt;
    return Item(item);
  }

  void ack(const Item &item) const { check(alluvium_item_ack(get(), nullptr, item.get())); }
  void ack(const Item &item, const Transaction &tx) const { check(alluvium_item_ack(get(), tx.get(), item.get())); }

  // Everything that changes, from a sequence on.
  Changes changes(uint64_t from = 0) const {
    return Changes(handle<alluvium_changes>(
        [&](auto place) { return alluvium_changes_open(get(), nullptr, from, nullptr, nullptr, nullptr, nullptr, place); }));
  }

  Sync sync(const std::string &name, const std::string &gateway, const std::string &url) const {
    return Sync(handle<alluvium_sync>(
        [&](auto place) { return alluvium_sync_new(get(), name.c_str(), gateway.c_str(), url.c_str(), place); }));
  }

  // For what alluvium.h has and is not here.
  alluvium_db *get() const noexcept { return handle_.get(); }

 private:
  Database(const std::string &path, const alluvium_settings *settings)
      : handle_(handle<alluvium_db>([&](auto place) { return alluvium_open(path.c_str(), settings, place); })) {}

  template <typename Handle, typename Makes>
  static Handle *handle(Makes makes) {
    Handle *handle = nullptr;
    check(makes(&handle));
    return handle;
  }

  template <typename Found>
  static std::optional<std::string> text(const Found &found) {
    if (!found) return std::nullopt;
    return std::string(detail::view(alluvium_bytes_data(found->get()), alluvium_bytes_size(found->get())));
  }

  Answer run(const Query &query, alluvium_tx *tx) const {
    ArrowArrayStream stream{};
    check(alluvium_query_run(get(), tx, query.get(), &stream, nullptr));
    return Answer(stream);
  }

  void put(alluvium_tx *tx, const std::string &key, std::string_view value) const {
    check(alluvium_kv_put(get(), tx, key.c_str(), detail::bytes(value), value.size(), -1, ALLUVIUM_ANY, nullptr));
  }

  void push(alluvium_tx *tx, const std::string &queue, std::string_view payload) const {
    check(alluvium_queue_push(get(), tx, queue.c_str(), detail::bytes(payload), payload.size(), 0, nullptr, nullptr));
  }

  detail::Owned<alluvium_db, alluvium_close> handle_;
};

}  // namespace alluvium

#endif  // ALLUVIUM_HPP
