// What the kernel knows about this process: the process_* rows.
//
// Threads: any. Blocking: reads a few files of /proc, at scrape only. Errors: what cannot be read is not told.
#pragma once

#include "core/metrics/metrics.h"

namespace engram {

GaugeSource ProcessGauges();

}  // namespace engram
