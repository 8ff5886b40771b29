// Where the /metrics page of a daemon under measurement is read.
//
// Threads: one at a time. Ownership: values. Blocking: up to five seconds a page.
// Errors:  Scrape's. Where a page was read before, one that cannot be is an error and no empty page: what moved since
//          an empty one is all that was ever counted.
#pragma once

#include <string>

#include "core/base/status.h"
#include "loadtest/measure/metric_page.h"

namespace engram {

class MetricSource {
 public:
  // None: each page is empty.
  MetricSource() = default;
  // `address` may be empty. Where nobody answers at first there is none, as of a daemon elsewhere that shows its metrics
  // to its own machine only; with `promised` it is an error.
  static absl::StatusOr<MetricSource> Open(const std::string& address, bool promised);

  absl::StatusOr<MetricPage> Read();
  // The last one that was read.
  const MetricPage& last() const { return last_; }

 private:
  std::string address_;
  MetricPage last_;
};

}  // namespace engram
