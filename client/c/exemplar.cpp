// Updates of the C API that keep an exemplar.
#include <array>
#include <span>
#include <utility>

#include "client/c/c_api.hpp"
#include "shm/layout.hpp"

namespace shmetrics::detail {
namespace {

/// The exemplar in C++'s words, as long as this lives. Of labels that could never fit, those that show it are enough.
class ExemplarOf {
 public:
  explicit ExemplarOf(const shmetrics_exemplar* given) {
    if (given == nullptr) return;
    const bool has_labels = given->names != nullptr && given->values != nullptr;
    std::size_t count = 0;
    for (std::size_t i = 0; has_labels && i < given->label_count && count < labels_.size(); ++i) {
      const std::string_view value = view(given->values[i]);
      if (!value.empty()) labels_[count++] = {view(given->names[i]), value};
    }
    exemplar_ = {view(given->trace_id), view(given->span_id), std::span(labels_).first(count)};
  }
  operator const Exemplar&() const { return exemplar_; }

 private:
  // Each label takes four bytes at least.
  std::array<std::pair<std::string_view, std::string_view>, shm::kMaxExemplarText / 4 + 1> labels_;
  Exemplar exemplar_;
};

}  // namespace
}  // namespace shmetrics::detail

using namespace shmetrics;

void shmetrics_counter_add_exemplar(shmetrics_counter counter, int64_t n, const shmetrics_exemplar* exemplar) {
  Counter(detail::parts_of(counter.series)).inc(n, detail::ExemplarOf(exemplar));
}

void shmetrics_float_counter_add_exemplar(shmetrics_float_counter counter, double n,
                                          const shmetrics_exemplar* exemplar) {
  FloatCounter(detail::parts_of(counter.series)).inc(n, detail::ExemplarOf(exemplar));
}

void shmetrics_histogram_observe_exemplar(shmetrics_histogram histogram, double value,
                                          const shmetrics_exemplar* exemplar) {
  Histogram(detail::parts_of(histogram.series)).observe(value, detail::ExemplarOf(exemplar));
}
