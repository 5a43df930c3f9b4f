// SQLite behind a pool of connections. Every query is timed by operation and table, and its failure is counted.
//
// Threads: all functions, from any thread. Processes: no connection goes through a fork, so open one Database in each
// worker, after it.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "examples/mastercrm/catalogue.hpp"

namespace mastercrm {

/// `type` is the label value: constraint, busy, pool_timeout or other.
struct DatabaseError : std::runtime_error {
  DatabaseError(const std::string& message, std::string_view type_) : std::runtime_error(message), type(type_) {}
  std::string_view type;
};

/// What a query is called in the metrics.
struct QueryName {
  std::string_view operation;  // select, insert, update, delete, report
  std::string_view table;
};

using Value = std::variant<std::int64_t, double, std::string>;
using Rows = std::vector<std::vector<std::string>>;  // as text; NULL is empty

class Database {
 public:
  /// Throws DatabaseError when the file cannot be opened.
  Database(const Catalogue& metrics, const std::string& path, std::size_t connections);
  ~Database();
  Database(const Database&) = delete;

  /// One statement, its parameters bound in order. Waits for a free connection. Throws DatabaseError.
  Rows query(const QueryName& name, const char* sql, const std::vector<Value>& parameters = {});

 private:
  class Lease;
  Rows run(sqlite3* connection, const char* sql, const std::vector<Value>& parameters);
  void report_pool();  // under mutex_

  const Catalogue& metrics_;
  Gauge active_, idle_, waiting_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<sqlite3*> free_;
  std::size_t connections_ = 0, waiters_ = 0;
};

/// Tables, and rows to begin with, where they are missing. For the master, before it forks.
void create_tables(const std::string& path);

}  // namespace mastercrm
