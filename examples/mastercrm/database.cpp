#include "examples/mastercrm/database.hpp"

#include <memory>

namespace mastercrm {
namespace {

constexpr auto kPoolTimeout = std::chrono::seconds(5);
constexpr int kBusyTimeoutMs = 5000;  // writers of all processes take turns

constexpr const char* kTables = R"sql(
CREATE TABLE IF NOT EXISTS contacts(id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conversations(id INTEGER PRIMARY KEY, contact INTEGER NOT NULL, channel TEXT NOT NULL,
  opened REAL NOT NULL, closed REAL);
CREATE TABLE IF NOT EXISTS messages(id INTEGER PRIMARY KEY, conversation INTEGER, contact INTEGER,
  channel TEXT NOT NULL, direction TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions(type TEXT NOT NULL, event TEXT NOT NULL, path TEXT NOT NULL,
  PRIMARY KEY(type, event));
CREATE TABLE IF NOT EXISTS sessions(user INTEGER PRIMARY KEY, company TEXT NOT NULL, type TEXT NOT NULL,
  seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs(id INTEGER PRIMARY KEY, queue TEXT NOT NULL, type TEXT NOT NULL, payload TEXT NOT NULL,
  status TEXT NOT NULL, changed REAL NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs(status, queue);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
  INSERT OR IGNORE INTO contacts SELECT i, 'contact' || i || '@example.com', 'Contact ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
  INSERT OR IGNORE INTO conversations SELECT i, i, 'email', unixepoch(), NULL FROM n;
)sql";

std::string_view type_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return "constraint";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "busy";
    default:
      return "other";
  }
}

[[noreturn]] void fail(sqlite3* connection) {
  throw DatabaseError(sqlite3_errmsg(connection), type_of(sqlite3_extended_errcode(connection)));
}

sqlite3* open(const std::string& path) {
  sqlite3* connection = nullptr;
  // NORMAL is safe in WAL mode: a power cut may take the last transactions, never the database.
  if (sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) != SQLITE_OK ||
      sqlite3_busy_timeout(connection, kBusyTimeoutMs) != SQLITE_OK ||
      sqlite3_exec(connection, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", nullptr, nullptr, nullptr) !=
          SQLITE_OK) {
    const DatabaseError error(path + ": " + sqlite3_errmsg(connection), "other");
    sqlite3_close(connection);
    throw error;
  }
  return connection;
}

void bind(sqlite3_stmt* statement, int place, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(statement, place, *number);
  } else if (const auto* real = std::get_if<double>(&value)) {
    sqlite3_bind_double(statement, place, *real);
  } else {
    const auto& text = std::get<std::string>(value);
    sqlite3_bind_text(statement, place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
}

}  // namespace

/// A connection for the length of a query.
class Database::Lease {
 public:
  explicit Lease(Database& database) : database_(database) {
    std::unique_lock lock(database_.mutex_);
    ++database_.waiters_;
    database_.report_pool();
    const bool got = database_.returned_.wait_for(lock, kPoolTimeout, [this] { return !database_.free_.empty(); });
    --database_.waiters_;
    if (got) {
      connection = database_.free_.back();
      database_.free_.pop_back();
    }
    database_.report_pool();
    if (!got) throw DatabaseError("no connection became free", "pool_timeout");
  }
  ~Lease() {
    const std::lock_guard lock(database_.mutex_);
    database_.free_.push_back(connection);
    database_.report_pool();
    database_.returned_.notify_one();
  }
  Lease(const Lease&) = delete;

  sqlite3* connection = nullptr;

 private:
  Database& database_;
};

Database::Database(const Catalogue& metrics, const std::string& path, std::size_t connections)
    : metrics_(metrics),
      active_(metrics.db_connection_pool_size.with("active")),
      idle_(metrics.db_connection_pool_size.with("idle")),
      waiting_(metrics.db_connection_pool_size.with("waiting")),
      connections_(connections) {
  while (free_.size() < connections_) free_.push_back(open(path));
  report_pool();
}

Database::~Database() {
  for (sqlite3* connection : free_) sqlite3_close(connection);
}

void Database::report_pool() {
  active_.set(static_cast<double>(connections_ - free_.size()));
  idle_.set(static_cast<double>(free_.size()));
  waiting_.set(static_cast<double>(waiters_));
}

Rows Database::query(const QueryName& name, const char* sql, const std::vector<Value>& parameters) try {
  const Lease lease(*this);
  // Whether it succeeds is a label, known at the end only: so not a Timer.
  const auto start = std::chrono::steady_clock::now();
  const auto observe = [&](const char* success) {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    metrics_.db_query_duration.with(name.operation, name.table, success).observe(seconds.count());
  };
  try {
    Rows rows = run(lease.connection, sql, parameters);
    observe("true");
    return rows;
  } catch (const DatabaseError&) {
    observe("false");
    throw;
  }
} catch (const DatabaseError& error) {
  metrics_.db_errors.with(name.operation, error.type).inc();
  throw;
}

Rows Database::run(sqlite3* connection, const char* sql, const std::vector<Value>& parameters) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(connection, sql, -1, &prepared, nullptr) != SQLITE_OK) fail(connection);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared, sqlite3_finalize);
  for (std::size_t i = 0; i < parameters.size(); ++i) bind(prepared, static_cast<int>(i + 1), parameters[i]);
  Rows rows;
  int status;
  while ((status = sqlite3_step(prepared)) == SQLITE_ROW) {
    auto& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(prepared); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, i));
      row.emplace_back(text == nullptr ? "" : text);
    }
  }
  if (status != SQLITE_DONE) fail(connection);
  return rows;
}

void create_tables(const std::string& path) {
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection(open(path), sqlite3_close);
  if (sqlite3_exec(connection.get(), kTables, nullptr, nullptr, nullptr) != SQLITE_OK) fail(connection.get());
}

}  // namespace mastercrm
