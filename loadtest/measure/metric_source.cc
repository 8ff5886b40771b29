#include "loadtest/measure/metric_source.h"

#include "loadtest/scrape.h"

namespace engram {

absl::StatusOr<MetricSource> MetricSource::Open(const std::string& address, bool promised) {
  MetricSource source;
  source.address_ = address;
  const absl::Status answered = source.Read().status();
  if (!answered.ok() && promised) return answered;
  if (!answered.ok()) source.address_.clear();
  return source;
}

absl::StatusOr<MetricPage> MetricSource::Read() {
  if (address_.empty()) return MetricPage();
  ENGRAM_ASSIGN_OR_RETURN(const std::string text, Scrape(address_, "/metrics"));
  last_ = MetricPage(text);
  return last_;
}

}  // namespace engram
