// Buckets of histograms: bounds by name, or a range of native ones. Included by <shmetrics/shmetrics.hpp>, which says
// what holds for all of it: threads, processes, lifetime, cost, failure.
#pragma once

#include <cstddef>
#include <vector>

#include <shmetrics/handles.hpp>

namespace shmetrics {

/// Upper bounds of buckets, +Inf not among them: it comes on top. 1 to 64 finite numbers, increasing.
using Buckets = std::vector<double>;
/// .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10: seconds of a web request.
SHMETRICS_API Buckets default_buckets();
/// `count` bounds: start, start + width, ...; an empty list when that makes no valid bounds.
SHMETRICS_API Buckets linear_buckets(double start, double width, std::size_t count);
/// `count` bounds: start, start * factor, ...; an empty list when that makes no valid bounds.
SHMETRICS_API Buckets exponential_buckets(double start, double factor, std::size_t count);

/// Buckets of a native histogram: docs/native-histograms.md. Both ends are rounded outward, to a bucket's border. A
/// series takes 4 cells and one a bucket, at most 1,024.
struct NativeBuckets {
  double low = 0;       ///< the least value that matters, above 0; smaller ones share a bucket
  double high = 0;      ///< the greatest; greater ones share a bucket
  double factor = 1.1;  ///< how wide a bucket may be, above 1: 1.1 makes buckets of 9 %
};

}  // namespace shmetrics
