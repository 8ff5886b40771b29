// One GET of a /metrics page over plain HTTP.
//
// Threads: any. Blocking: up to five seconds. Errors: UNAVAILABLE (nobody answers), INTERNAL (an answer other than
//          200).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

// `address` is IPV4:PORT. The answer's body.
absl::StatusOr<std::string> Scrape(const std::string& address, const std::string& path);

// The page's sample lines whose metric is one of `names`, in the page's order, those with value 0 left out.
std::vector<std::string> SampleLines(std::string_view page, const std::vector<std::string>& names);

// The sum over all series of the counter or gauge `name`; nullopt when the page does not have it.
std::optional<double> MetricValue(std::string_view page, std::string_view name);

}  // namespace engram
