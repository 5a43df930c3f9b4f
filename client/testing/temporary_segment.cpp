#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <shmetrics/testing.hpp>
#include "client/attachment.hpp"
#include "client/writer.hpp"
#include "collector/plain_family.hpp"
#include "collector/scraper.hpp"
#include "collector/text_format.hpp"

namespace shmetrics::testing {
namespace {

using collector::Distribution;
using LabelList = std::vector<std::pair<std::string, std::string>>;

bool same_labels(LabelList a, TemporarySegment::Labels b) {
  LabelList wanted(b.begin(), b.end());
  std::sort(a.begin(), a.end());
  std::sort(wanted.begin(), wanted.end());
  return a == wanted;
}

std::optional<double> sample_of(const Distribution& value, std::string_view suffix, const LabelList& labels,
                                TemporarySegment::Labels wanted) {
  if (suffix == "_sum" && same_labels(labels, wanted)) return value.sum;
  if (suffix == "_count" && same_labels(labels, wanted)) return static_cast<double>(value.count);
  if (suffix != "_bucket") return std::nullopt;
  for (const auto& [bound, count] : value.buckets) {
    LabelList with_bound = labels;
    std::string le;
    std::isinf(bound) ? collector::append_number(le, bound) : collector::append_bound(le, bound);
    with_bound.emplace_back("le", le);
    if (same_labels(with_bound, wanted)) return static_cast<double>(count);
  }
  return std::nullopt;
}

std::optional<double> sample_of(const collector::PlainSeries& series, std::string_view suffix,
                                TemporarySegment::Labels wanted) {
  if (const auto* value = std::get_if<Distribution>(&series.value))
    return sample_of(*value, suffix, series.labels, wanted);
  if (!suffix.empty() || !same_labels(series.labels, wanted)) return std::nullopt;
  if (const auto* whole = std::get_if<std::uint64_t>(&series.value)) return static_cast<double>(*whole);
  return std::get<double>(series.value);
}

/// What families that outlive their segment point to.
std::vector<detail::Attachment*>& gone() {
  static auto& attachments = *new std::vector<detail::Attachment*>;
  return attachments;
}

std::string make_folder() {
  std::string name = std::filesystem::is_directory("/dev/shm")
                         ? "/dev/shm/shmetrics-XXXXXX"
                         : std::filesystem::temp_directory_path() / "shmetrics-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
  return name;
}

}  // namespace

Options TemporarySegment::small() {
  Options options;
  options.workers = 32;
  options.slots = 128;
  options.directory_bytes = 4u << 20;
  return options;
}

TemporarySegment::TemporarySegment(Options options) : folder_(make_folder()), path_(folder_ + "/test.seg") {
  options.path = path_;
  registry_ = Registry::open(options);
}

TemporarySegment::~TemporarySegment() {
  take_away();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

// Takes the segment out of this process, as far as that can be: its handles and families stay, and write where nobody
// reads.
void TemporarySegment::take_away() noexcept {
  const detail::ControlGuard control{detail::Deadline()};
  detail::Attachment* const found =
      detail::Attachment::find([this](const detail::Attachment& at) { return at.mapping.path == path_; });
  if (!control || found == nullptr) return;
  detail::give_back_slot(found->registry);
  found->entry.release();
  detail::Attachment::table[found->registry].store(nullptr, std::memory_order_release);
  gone().push_back(found);
  found->mapping.take_spare();
  close(found->mapping.file().kept_fd);
  // Memory of nobody takes the file's place.
  const shm::SegmentView& view = found->mapping.view;
  static_cast<void>(mmap(view.base(), view.geometry().file_bytes(), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
}

std::optional<double> TemporarySegment::value(std::string_view sample, Labels labels) const {
  collector::Scraper scraper(path_);
  scraper.read();
  for (const collector::PlainFamily& family : plain_families(scraper.view())) {
    if (!sample.starts_with(family.name)) continue;
    for (const collector::PlainSeries& series : family.series) {
      if (const auto value = sample_of(series, sample.substr(family.name.size()), labels)) return value;
    }
  }
  return std::nullopt;
}

std::string TemporarySegment::text() const {
  collector::Scraper scraper(path_);
  std::string text;
  scraper.scrape(text);
  return text;
}

}  // namespace shmetrics::testing
