#include "client/error.hpp"

#include <array>
#include <atomic>
#include <new>

#include <shmetrics/shmetrics.hpp>

namespace shmetrics {
namespace {

constexpr int kPlaces = 1024;
constexpr int kFaultBits = 8;  // an error's value: place + 1 above, fault below

const char* fault_text(int fault) {
  constexpr const char* kTexts[] = {"unknown error",
                                    "the segment is not ready yet: try again later",
                                    "the segment or the declaration is incompatible",
                                    "space or a limit is used up",
                                    "the segment is damaged: remove the file",
                                    "invalid argument",
                                    "the segment's file is refused",
                                    "the kernel refused a call"};
  static_assert(std::size(kTexts) == static_cast<std::size_t>(shm::Fault::kIo) + 1);
  return kTexts[fault > 0 && fault < static_cast<int>(std::size(kTexts)) ? fault : 0];
}

constinit std::array<std::atomic<const std::string*>, kPlaces> texts{};

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "shmetrics"; }

  std::string message(int value) const override { return text(value); }

  const char* text(int value) const noexcept {
    const int place = (value >> kFaultBits) - 1;
    if (place >= 0 && place < kPlaces) {
      if (const std::string* text = texts[place].load(std::memory_order_acquire)) return text->c_str();
    }
    return fault_text(value & ((1 << kFaultBits) - 1));
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    return {value & ((1 << kFaultBits) - 1), *this};
  }

  int value_of(shm::Fault fault, std::string_view text) {
    const int code = static_cast<int>(fault);
    for (int place = 0; place < kPlaces; ++place) {
      const std::string* known = texts[place].load(std::memory_order_acquire);
      if (known == nullptr) {
        const auto* mine = new std::string(text);
        if (texts[place].compare_exchange_strong(known, mine, std::memory_order_acq_rel)) known = mine;
        if (known != mine) delete mine;
      }
      if (*known == text) return (place + 1) << kFaultBits | code;
    }
    return code;
  }
};

// Constant-initialised and never destroyed: static families ask for messages until the very end.
union Immortal {
  constexpr Immortal() : category() {}
  ~Immortal() {}  // NOLINT(modernize-use-equals-default): a default would be deleted, for the category's sake
  Category category;
};
constinit Immortal immortal;

}  // namespace

std::error_condition make_error_condition(Errc code) noexcept {
  return {static_cast<int>(code), immortal.category};
}

std::error_code detail::make_error(shm::Fault fault, std::string_view message) noexcept {
  try {
    return {immortal.category.value_of(fault, message), immortal.category};
  } catch (const std::bad_alloc&) {
    return {static_cast<int>(fault), immortal.category};
  }
}

std::error_code detail::no_memory() noexcept {
  return make_error(shm::Fault::kFull, "this process has no memory left");
}

const char* detail::message_of(const std::error_code& error) noexcept {
  return immortal.category.text(error.value());
}

}  // namespace shmetrics
