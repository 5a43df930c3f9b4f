// Labels of families: names when one is declared, values when one is counted. Included by <shmetrics/shmetrics.hpp>,
// which says what holds for all of it: threads, processes, lifetime, cost, failure.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace shmetrics {

/// No labels: `{}` or nothing in a declaration.
struct NoLabels {};
/// Label names that are known at run time only; none is fine too. Views: they must live until the declaration returns.
struct RuntimeLabels {
  RuntimeLabels(std::span<const std::string_view> label_names) : names(label_names) {}
  RuntimeLabels(const std::vector<std::string_view>& label_names) : names(label_names) {}
  template <typename T>
  RuntimeLabels(const std::vector<T>&) {
    static_assert(sizeof(T) == 0, "label names are a braced list, or std::vector<std::string_view>");
  }
  std::span<const std::string_view> names;
};
/// Their number, as far as the compiler knows.
inline constexpr std::size_t kRuntimeLabels = static_cast<std::size_t>(-1);

namespace detail {

template <typename T>
concept Text = std::convertible_to<const T&, std::string_view> && !std::is_null_pointer_v<T>;
template <typename T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                  !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

class Digits {
 public:
  template <Integer T>
  explicit Digits(T value) noexcept
      : size_(static_cast<std::size_t>(std::to_chars(text_, text_ + sizeof text_, value).ptr - text_)) {}
  operator std::string_view() const noexcept { return {text_, size_}; }

 private:
  char text_[24];
  std::size_t size_;
};

// A null pointer, as from getenv(), is an empty value and no crash.
inline std::string_view label_text(const char* value) noexcept {
  return value == nullptr ? "" : value;
}
inline std::string_view label_text(std::string_view value) noexcept {
  return value;
}
template <std::same_as<bool> T>
std::string_view label_text(T value) noexcept {
  return value ? "true" : "false";
}
template <Integer T>
Digits label_text(T value) noexcept {
  return Digits(value);
}

}  // namespace detail

/// What with() takes for a label value: anything that is a string; an integer, as its digits; `true` or `false`.
template <typename T>
concept LabelValue = detail::Text<T> || detail::Integer<T> || std::same_as<T, bool>;

}  // namespace shmetrics
