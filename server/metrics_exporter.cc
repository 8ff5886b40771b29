#include "server/metrics_exporter.h"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <charconv>
#include <exception>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace engram {
namespace {

constexpr size_t kThreads = 2;

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
    case MetricType::kSampledCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      break;
  }
  return prometheus::MetricType::Histogram;
}

prometheus::ClientMetric Convert(const MetricRow& row, const Metrics::Sample& sample) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
  switch (row.type) {
    case MetricType::kCounter:
    case MetricType::kSampledCounter:
      metric.counter.value = sample.value;
      break;
    case MetricType::kGauge:
      metric.gauge.value = sample.value;
      break;
    case MetricType::kHistogram: {
      uint64_t below = 0;
      for (size_t i = 0; i < sample.counts.size(); ++i) {
        below += sample.counts[i];
        const double bound = i < row.buckets.size() ? row.buckets[i] : std::numeric_limits<double>::infinity();
        metric.histogram.bucket.push_back({below, bound});
      }
      metric.histogram.sample_count = below;
      metric.histogram.sample_sum = sample.sum;
      break;
    }
  }
  return metric;
}

class MetricsCollectable final : public prometheus::Collectable {
 public:
  explicit MetricsCollectable(Metrics* metrics) : metrics_(metrics) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    for (const Metrics::Family& family : metrics_->Collect()) {
      if (family.samples.empty()) continue;  // A HELP without a value would claim that there is one.
      prometheus::MetricFamily out{std::string(family.row->name), std::string(family.row->help),
                                   TypeOf(family.row->type), {}};
      for (const Metrics::Sample& sample : family.samples) out.metric.push_back(Convert(*family.row, sample));
      families.push_back(std::move(out));
    }
    return families;
  }

 private:
  Metrics* const metrics_;
};

// The HOST of HOST:PORT. The HTTP server reads more into its option (lists, TLS marks), so no more than this is let by.
std::optional<std::string_view> HostOf(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
  if (!bracketed && host.find_first_of("[]:") != std::string_view::npos) return std::nullopt;
  if (host.find_first_of(", +\t\r\n") != std::string_view::npos) return std::nullopt;
  return host;
}

class HttpExporter final : public MetricsExporter {
 public:
  // Throws what prometheus::Exposer throws.
  HttpExporter(std::string_view host, const std::string& address, Metrics* metrics)
      : collectable_(std::make_shared<MetricsCollectable>(metrics)), exposer_(address, kThreads) {
    exposer_.RegisterCollectable(collectable_);
    address_ = fmt::format("{}:{}", host, exposer_.GetListeningPorts().at(0));
  }

  std::string address() const override { return address_; }

 private:
  // Outlives the exposer, which only knows it weakly.
  std::shared_ptr<MetricsCollectable> collectable_;
  prometheus::Exposer exposer_;
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsExporter>> MetricsExporter::Start(const std::string& address, Metrics* metrics) {
  const std::optional<std::string_view> host = HostOf(address);
  if (!host) {
    return absl::InvalidArgumentError(
        fmt::format("metrics address \"{}\" is not HOST:PORT with a port of 0 to 65535", address));
  }
  try {
    return std::make_unique<HttpExporter>(*host, address, metrics);
  } catch (const std::exception& e) {
    return absl::UnavailableError(fmt::format("cannot listen on metrics address \"{}\": {}", address, e.what()));
  }
}

}  // namespace engram
