// The bodies of all functions where SHMETRICS_STUB is defined. They do nothing and succeed: registries and families say
// that they work, so that a program takes the way that it takes on Linux. Included by <shmetrics/shmetrics.hpp>.
#pragma once

#if !defined(SHMETRICS_STUB)
#error "include <shmetrics/shmetrics.hpp>"
#endif

namespace shmetrics {

namespace detail {

class StubCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "shmetrics"; }
  std::string message(int) const override { return "this program was built without shmetrics"; }
};

// What handles to registries and families point to; nobody looks there.
inline constexpr char kStubObject = 0;

inline void add_slow(std::uint32_t, std::uint32_t, std::uint64_t) noexcept {}
inline void add_slow(std::uint32_t, std::uint32_t, double) noexcept {}
inline void refuse_increment(std::uint32_t, std::uint32_t, double) noexcept {}
inline void refuse(std::uint32_t, std::uint32_t, Refusal) noexcept {}
inline void keep_exemplar(const HandleParts&, std::uint32_t, double, const Exemplar&) noexcept {}
inline HandleParts find_series(const FamilyState*, std::span<const std::string_view>) noexcept {
  return {};
}
inline HandleParts only_series(const FamilyState*) noexcept {
  return {};
}

// `count` numbers from `start` on; none beyond what a family may have.
Buckets stub_buckets(double start, std::size_t count, auto next) {
  Buckets bounds;
  for (; count <= 64 && bounds.size() < count; start = next(start)) bounds.push_back(start);
  return bounds;
}

}  // namespace detail

inline void Gauge::set(double) const noexcept {}
inline void Gauge::set_to_current_time() const noexcept {}
inline void Gauge::unset() const noexcept {}
inline bool Gauge::add(double) const noexcept {
  return true;
}
inline void Histogram::observe(double) const noexcept {
  static_cast<void>(series_);  // or clang warns that nobody uses them
}
inline void Histogram::observe(double, const Exemplar&) const noexcept {}
inline void Summary::observe(double) const noexcept {
  static_cast<void>(series_);  // or clang warns that nobody uses them
}

inline std::error_condition make_error_condition(Errc code) noexcept {
  static const detail::StubCategory category;
  return {static_cast<int>(code), category};
}

inline Buckets default_buckets() {
  return {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
}
inline Buckets linear_buckets(double start, double width, std::size_t count) {
  return detail::stub_buckets(start, count, [width](double bound) { return bound + width; });
}
inline Buckets exponential_buckets(double start, double factor, std::size_t count) {
  return detail::stub_buckets(start, count, [factor](double bound) { return bound * factor; });
}

inline Registry Registry::open(const Options& options) {
  std::error_code error;
  return open(options, error);
}
inline Registry Registry::open(const Options&, std::error_code& error) noexcept {
  error = {};
  return default_registry();
}
inline Registry default_registry() noexcept {
  Registry registry;
  registry.attachment_ = reinterpret_cast<detail::Attachment*>(const_cast<char*>(&detail::kStubObject));
  return registry;
}
inline void release_worker() noexcept {}
inline std::error_code Registry::info(
    std::string_view, std::string_view,
    std::initializer_list<std::pair<std::string_view, std::string_view>>) const noexcept {
  return {};
}
inline const std::string& Registry::path() const {
  static const std::string none;
  return none;
}
inline const detail::FamilyState* Registry::declare(const Declaration&, const FamilyOptions&,
                                                    std::error_code&) const noexcept {
  return attachment_ == nullptr ? nullptr : reinterpret_cast<const detail::FamilyState*>(&detail::kStubObject);
}

inline Route normalize_route(std::string_view path) {
  return Route(path);
}

}  // namespace shmetrics
