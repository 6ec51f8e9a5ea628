// The same gateway in C++17.
//
//     c++ -std=c++17 gateway.cpp $(pkg-config --cflags --libs alluvium) && ./a.out data

#include <array>
#include <cstdio>
#include <exception>

#include "alluvium.hpp"

namespace {

constexpr int64_t begin_second = 1700000040;
constexpr int64_t seconds = 120;

// Stands for the bus: two temperatures, a pressure and a flow.
std::array<double, 4> read_registers(int64_t second) {
  const double swing = static_cast<double>(second % 10) / 4.0;
  return {20.0 + swing, 40.0 + swing, 60.0 + swing, 80.0 + swing};
}

void control(const alluvium::Database &db) {
  alluvium::Rows rows = db.rows("pumps");
  const uint32_t pump = rows.column("pump"), first = rows.column("supply");
  std::optional<alluvium::Ack> last;
  for (int64_t second = 0; second < seconds; second++) {
    const auto registers = read_registers(second);
    rows.begin((begin_second + second) * 1000000).tag(pump, "pump-7").doubles(first, registers.data(), registers.size());
    last = rows.append_async();
  }
  std::printf("on disk: %s\n", last->wait() > 0 ? "yes" : "no");
}

void obey(const alluvium::Database &db) {
  db.push("commands", "open valve 3");
  while (const auto item = db.pop("commands")) {
    alluvium::Transaction tx = db.begin();
    db.put(tx, "valves/3", "open");
    db.ack(*item, tx);
    tx.commit();
    std::printf("done: %s\n", std::string(item->payload()).c_str());
  }
}

void report(const alluvium::Database &db) {
  alluvium::Answer answer = db.run(alluvium::Query("pumps").where("pump", "pump-7").field("supply").aggregate("mean").every("1m"));
  const int64_t mean = answer.column("mean(supply)");
  while (const auto batch = answer.next())
    for (int64_t row = 0; row < batch->rows(); row++)
      std::printf("%lld s: %.3f\n", static_cast<long long>(batch->values<int64_t>(0)[row] / 1000000), batch->values<double>(mean)[row]);
}

}  // namespace

int main(int count, char **words) try {
  alluvium::Database db(count > 1 ? words[1] : "data", alluvium::Settings().set("keep", "90d"));
  db.ensure(alluvium::Spec("pumps")
                .tag("pump")
                .field("supply", ALLUVIUM_FLOAT64)
                .field("return", ALLUVIUM_FLOAT64)
                .field("pressure", ALLUVIUM_FLOAT64)
                .field("flow", ALLUVIUM_FLOAT64));
  if (!db.value("made")) db.create_queue("commands");
  db.put("made", "yes");
  control(db);
  obey(db);
  report(db);
  db.close();
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
