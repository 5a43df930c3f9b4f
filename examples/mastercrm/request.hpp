// A request and its response, as all but the sockets see them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace mastercrm {

struct Request {
  std::string_view method, target;
  std::string body;
  std::string peer;  // the client's address
};

struct Response {
  unsigned status = 200;
  std::string body = "{}";  // JSON
};

using Handler = std::function<Response(const Request&)>;

}  // namespace mastercrm
