#include "shm/exemplar.hpp"

#include "shm/naming.hpp"

namespace shmetrics::shm {

void ExemplarLabels::add(std::string_view name, std::string_view value) noexcept {
  if (value.empty()) return;
  if (name.size() + value.size() + 2 > kMaxExemplarText - bytes_) {
    refusal_ = Refusal::kTooLong;
  } else if (!is_valid_label_name(name) || has(name) || !is_valid_text(value)) {
    refusal_ = Refusal::kInvalid;
  } else {
    append(name);
    append(value);
  }
}

void ExemplarLabels::add_text(std::string_view text) noexcept {
  for (std::string_view rest = text; !rest.empty();) {
    const ExemplarLabel label = take_label(rest);
    add(label.name, label.value);
  }
  if (this->text() != text) refusal_ = Refusal::kInvalid;
}

bool ExemplarLabels::has(std::string_view name) const {
  for (std::string_view rest = text(); !rest.empty();) {
    if (take_label(rest).name == name) return true;
  }
  return false;
}

void ExemplarLabels::append(std::string_view part) {
  std::memcpy(reinterpret_cast<char*>(words_.data()) + bytes_, part.data(), part.size());
  bytes_ += part.size() + 1;  // its NUL is there
}

}  // namespace shmetrics::shm
