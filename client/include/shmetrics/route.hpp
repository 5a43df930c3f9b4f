// Request paths as label values. Included by <shmetrics/shmetrics.hpp>, which says what holds for all of it: threads,
// processes, lifetime, cost, failure.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include <shmetrics/handles.hpp>

namespace shmetrics {

/// A request path as a route label should have it; see normalize_route().
class Route {
 public:
  /// As it is in `path`, which must outlive this.
  explicit Route(std::string_view path) : path_(path) {}
  explicit Route(std::string kept) : kept_(std::move(kept)), is_kept_(true) {}

  std::string_view view() const noexcept { return is_kept_ ? std::string_view(kept_) : path_; }
  operator std::string_view() const noexcept { return view(); }
  operator std::string() const { return std::string(view()); }
  friend bool operator==(const Route& a, std::string_view b) noexcept { return a.view() == b; }

 private:
  std::string_view path_;
  std::string kept_;
  bool is_kept_ = false;
};

/// "/users/123/orders/9b2e6f3c-..." -> "/users/:id/orders/:id": keeps label values few. A part of the path becomes
/// `:id` when it is a number, a UUID, a ULID, 16 or more hex digits, or looks like an e-mail address; a query or
/// fragment is cut off. `path` must outlive the route. Allocates only when a part changes, and throws std::bad_alloc
/// only then.
SHMETRICS_API Route normalize_route(std::string_view path);
/// The same of a temporary string: the route keeps it.
template <std::same_as<std::string> Text>
Route normalize_route(Text&& path) {
  Route route = normalize_route(std::string_view(path));
  if (route.view().data() != path.data()) return route;
  path.resize(route.view().size());
  return Route(std::forward<Text>(path));
}

}  // namespace shmetrics
