// Values -> Prometheus text format 0.0.4. Pure: appends to a string, touches nothing else.
//
// Source: prometheus.io/docs/instrumenting/exposition_formats. HELP escapes backslash and line feed, label values also
// the quote; not-a-number and infinities are `NaN`, `+Inf`, `-Inf`; every line ends in a line feed. Doubles are written
// in the shortest form that reads back as the same double, integers in all their digits, both whatever the locale says.
//
// Threads: any, on a string of its own. Failure: std::bad_alloc alone. Lifetime: a call keeps nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace shmetrics::collector {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// The `# HELP` line, where there is a help, and the `# TYPE` line of a family; once a family, before its first sample.
/// `type` is one of the format's own words: counter, gauge, histogram, summary, untyped.
void append_head(std::string& out, std::string_view name, std::string_view help, std::string_view type);

/// One line: name, labels in the order given, value.
void append_sample(std::string& out, std::string_view name, Labels labels, double value);
void append_sample(std::string& out, std::string_view name, Labels labels, std::uint64_t value);

/// `name` or `name{a="1",b="2"}`, without the blank that comes before the value.
void append_series(std::string& out, std::string_view name, Labels labels);
/// One more label to an open brace: `a="1"`, after a comma unless it is the first.
void append_label(std::string& out, std::string_view label, std::string_view value, bool is_first);

/// Digits alone.
void append_number(std::string& out, double value);
void append_number(std::string& out, std::uint64_t value);
/// A histogram's bound as Go's %g writes it: one spelling a number, so that queries by `le` find it.
void append_bound(std::string& out, double bound);

/// The same digits into raw memory of at least kNumberBytes; returns their end.
inline constexpr std::size_t kNumberBytes = 32;  // 20 digits of 2^64, 24 characters of the longest shortest double
char* write_number(char* at, double value);
char* write_number(char* at, std::uint64_t value);

/// Whether append_escaped_label() would write anything but the value itself.
bool needs_escape(std::string_view value);
/// Escapes of a label value and of a help text.
void append_escaped_label(std::string& out, std::string_view value);
void append_escaped_help(std::string& out, std::string_view help);

}  // namespace shmetrics::collector
