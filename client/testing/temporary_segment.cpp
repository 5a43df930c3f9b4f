#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <shmetrics/reader.hpp>
#include <shmetrics/testing.hpp>
#include "client/attachment.hpp"
#include "client/writer.hpp"

namespace shmetrics::testing {
namespace {

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
  // Private memory takes the place of the file.
  const shm::SegmentView& view = found->mapping.view;
  static_cast<void>(mmap(view.base(), view.geometry().file_bytes(), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0));
}

std::optional<double> TemporarySegment::value(std::string_view sample, Labels labels) const {
  return Reading::of(path_).value(std::string(sample), labels);
}

std::string TemporarySegment::text() const {
  return Reading::of(path_).text();
}

}  // namespace shmetrics::testing
