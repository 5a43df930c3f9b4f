// The queue: jobs are rows of the database, so they outlive every process; what works on them is a process of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "examples/mastercrm/database.hpp"

namespace mastercrm {

/// Seconds since 1970, as the tables have them.
double now_seconds();

/// Adds a waiting job; `payload` is JSON.
void enqueue(Database& database, std::string_view queue, std::string_view type, std::string payload);

/// Takes jobs one at a time and does them.
class QueueWorker {
 public:
  QueueWorker(const Catalogue& metrics, Database& database, std::uint16_t upstream_port)
      : metrics_(metrics), database_(database), upstream_port_(upstream_port) {}

  /// Does the oldest waiting job. False when there is none.
  bool do_one();

 private:
  struct Job {
    std::int64_t id;
    std::string queue, type, payload;
  };
  std::optional<Job> claim();
  void finish(const Job& job, bool completed);
  bool deliver_webhook(const std::string& payload);
  bool send_campaign_message(const std::string& payload);

  const Catalogue& metrics_;
  Database& database_;
  std::uint16_t upstream_port_;
};

/// The one who counts what is in the database, and tidies it up. One process calls it, twice a second.
void keep_house(const Catalogue& metrics, Database& database);

}  // namespace mastercrm
