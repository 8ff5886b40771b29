// GET /metrics: the table of core/metrics in Prometheus' text format, over plain HTTP on an address of its own.
//
// Threads:  Start and the destructor from one; scrapes run on two threads of the HTTP server.
// Ownership: `metrics` outlives the exporter. The destructor waits for scrapes under way.
// Blocking: a scrape takes Metrics' mutexes and calls its gauge sources; the data path is never stopped.
// Errors:   INVALID_ARGUMENT for an address that is none, UNAVAILABLE for one that cannot be listened on; both name it.
// Why:      prometheus-cpp throws and knows civetweb; this is the only file that includes it. Plaintext only, since the
//           HTTP server's TLS is not trusted; the address is a loopback one unless told otherwise.
#pragma once

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/metrics/metrics.h"

namespace engram {

class MetricsExporter {
 public:
  // `address` is HOST:PORT or [IPV6]:PORT; port 0 takes any free one.
  static absl::StatusOr<std::unique_ptr<MetricsExporter>> Start(const std::string& address, Metrics* metrics);
  virtual ~MetricsExporter() = default;

  // As started, with the port in use.
  virtual std::string address() const = 0;
};

}  // namespace engram
