#include "client/attachment.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "client/creation_options.hpp"
#include "client/process_hooks.hpp"

namespace shmetrics::detail {

constinit std::atomic<Attachment*> Attachment::table[kMaxRegistries] = {};

Attachment::Attachment(std::uint32_t index, const std::string& path, shm::OpenedSegment&& opened,
                       const Options& options)
    : registry(index),
      series_per_family(options.series_per_family),
      mapping(path, std::move(opened)),
      mirror(*this, mapping.view, index),
      entry(mapping, mirror),
      is_quiet_(is_quiet(options)),
      on_error_(options.on_error) {}

Attachment& Attachment::open(const Options& options) {
  if (!process_hooks_work()) {
    throw shm::Error(shm::Fault::kFull, "no room for the fork handlers of this library: open no segment");
  }
  const std::string path =
      std::filesystem::absolute(options.path.empty() ? shm::default_path() : options.path).string();
  const bool is_fresh = options.start == Start::fresh;
  // Before opening: a process that has dropped its privileges still has what it opened before.
  const auto present = shm::file_id(path);
  const bool is_hidden = !present && errno == EACCES;
  Attachment* known = find([&](const Attachment& at) {
    return !is_fresh && (at.mapping.id == present || (is_hidden && at.mapping.path == path));
  });
  if (known == nullptr) {
    shm::OpenedSegment opened = shm::open_or_create(path, creation_options(options), is_fresh);
    known = find([&](const Attachment& at) { return at.mapping.id == opened.id; });
    if (known == nullptr) known = &attach(path, opened, options);
  }
  if (known->mirror.refresh() == DirectoryMirror::Refreshed::kDamaged) {
    throw shm::Error(shm::Fault::kDamaged, known->mapping.path + " has a damaged directory, see shmetrics check");
  }
  return *known;
}

Attachment& Attachment::attach(const std::string& path, shm::OpenedSegment& opened, const Options& options) {
  static std::uint32_t last = kMaxRegistries - 1;  // control lock
  // In turn, so that a stale handle of a test's segment finds nothing at its index for as long as possible.
  for (std::uint32_t tried = 0; tried < kMaxRegistries; ++tried) {
    last = (last + 1) % kMaxRegistries;
    if (at(last) != nullptr) continue;
    auto made = std::make_unique<Attachment>(last, path, std::move(opened), options);
    table[last].store(made.get(), std::memory_order_release);
    return *made.release();
  }
  throw shm::Error(shm::Fault::kFull,
                   std::to_string(kMaxRegistries) + " segments are open in this process, no more fit: share them");
}

void Attachment::forget_process(bool is_whole) noexcept {
  mapping.forget_in_child();
  entry.forget_in_child();
  mirror.forget_in_child(is_whole);
  memory_breaker.close();
}

void Attachment::say_what_is_not_as_asked(const Options& options) noexcept {
  for (const char* name : {shm::kPathVariable, "SHMETRICS_MODE", "SHMETRICS_GROUP", "SHMETRICS_QUIET"}) {
    if (!shm::is_ignored_variable(name)) continue;
    say_once(kIgnoredVariable, "SHMETRICS_* in the environment is ignored: this program has more rights than its user");
  }
  try {
    const std::string narrower = narrower_mode(mapping.path, mapping.file().kept_fd, options);
    if (!narrower.empty()) say_once(kNarrowerMode, narrower.c_str());
  } catch (const std::exception&) {  // a variable that is wrong keeps a new segment from being made, no other
  }
}

void Attachment::say_once(std::uint32_t cause, const char* line) noexcept {
  const std::uint32_t bit = 1u << cause;
  if ((said_.fetch_or(bit, std::memory_order_relaxed) & bit) != 0) return;
  if (on_error_ != nullptr) return on_error_(line);
  if (!is_quiet_) dprintf(STDERR_FILENO, "shmetrics: %s\n", line);
}

}  // namespace shmetrics::detail
