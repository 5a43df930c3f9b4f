// What MasterCRM does for a request: contacts, conversations, messages, webhooks, campaigns, replies by a language
// model. Knows nothing of sockets. Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "examples/mastercrm/cache.hpp"
#include "examples/mastercrm/database.hpp"
#include "examples/mastercrm/rate_limiter.hpp"
#include "examples/mastercrm/request.hpp"

namespace mastercrm {

class Api {
 public:
  Api(const Catalogue& metrics, Database& database, std::uint16_t upstream_port);

  /// What is served at `route` (a normalised one), or nothing.
  const Handler* find(std::string_view method, std::string_view route) const;

 private:
  using Action = Response (Api::*)(const Request&);
  Response act(Action action, const Request& request);  // its failures become statuses
  Response list_contacts(const Request& request);
  Response get_contact(const Request& request);
  Response add_contact(const Request& request);
  Response change_contact(const Request& request);
  Response get_conversation(const Request& request);
  Response open_conversation(const Request& request);
  Response add_message(const Request& request);
  Response close_conversation(const Request& request);
  Response subscribe(const Request& request);
  Response start_campaign(const Request& request);
  Response write_reply(const Request& request);
  Response see_user(const Request& request);
  Response forecast(const Request& request);
  void publish(std::string_view event, const nlohmann::json& what);

  const Catalogue& metrics_;
  Database& database_;
  std::uint16_t upstream_port_;
  Cache contacts_, conversations_;
  RateLimiter limiter_;
  std::map<std::string, Handler, std::less<>> handlers_;  // by "METHOD route"
};

}  // namespace mastercrm
