#include "loadtest/measure/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace engram {
namespace {

// How near to its end something has to be to be called a bottleneck.
constexpr double kNear = 0.75;
// Pools that serve less than this are too small; the share of the memory's speed, in single passes, that copying may
// take before it is what bounds; what may be written of each byte sent.
constexpr double kLeastReuse = 0.8, kCopyShare = 0.2, kMostWritten = 1.5;
constexpr double kSmallSync = 256 * 1024;

// A class, how near it is to its end, and what speaks for it.
struct Suspect {
  const char* name;
  double nearness = 0;
  Diagnosis diagnosis;
};

class Figures {
 public:
  explicit Figures(const BenchDocument& document) : document_(document) {}
  double operator()(const char* path, double otherwise = 0) const {
    return document_.Number(path).value_or(otherwise);
  }
  bool Same(const char* path, const char* other) const { return document_.Text(path) == document_.Text(other); }

 private:
  const BenchDocument& document_;
};

// Processor time of daemon and client, which share the cores when both are on one machine.
struct Cores {
  double daemon = 0, client = 0;
  double all = 0;  // Of the daemon's machine; 0: unknown.
  bool shared = true;

  explicit Cores(const Figures& of)
      : daemon(of("resources.daemon_cpu_cores")),
        client(of("resources.client_cpu_cores")),
        all(of("environment.daemon.cores")),
        shared(of.Same("environment.daemon.machine", "environment.client.machine")) {}

  // The share of the daemon's cores that is used up.
  double Used() const { return all > 0 ? (daemon + (shared ? client : 0)) / all : 0; }
  std::string Text() const {
    const std::string of = all > 0 ? fmt::format("of {:.0f} cores", all) : "cores";
    return fmt::format("the daemon used {:.2f} {}, this client {:.2f}{}", daemon, of, client,
                       shared ? "" : " elsewhere");
  }
};

std::string Percent(double share) { return fmt::format("{:.0f} %", share * 100); }

Suspect Disk(const Figures& of) {
  const double busy = of("resources.journal_busy_share"), share = of("limits.disk_sync.share");
  const double each = of("resources.bytes_per_sync");
  Suspect suspect{"disk-bound", std::max(share, busy), {}};
  suspect.diagnosis.evidence = {
      fmt::format("the journal was writing and syncing {} of the time", Percent(busy)),
      fmt::format("{:.0f} KiB a sync", each / 1024),
  };
  if (share > 0) {
    suspect.diagnosis.evidence.push_back(fmt::format("{} of what synced writes of 1 MiB allow", Percent(share)));
  }
  if (each < kSmallSync) {
    suspect.diagnosis.knob = "max_batch_size";
    suspect.diagnosis.advice = "raise it, or send more at once: each sync carries little, and costs the same";
  } else if (share > kNear) {
    suspect.diagnosis.knob = "durability.mode";
    suspect.diagnosis.advice =
        "the disk is at its end; `interval` syncs less often, and a power cut may take the last of it. Half-precision "
        "embeddings halve the bytes";
  } else {
    suspect.diagnosis.knob = "storage.group_bytes";
    suspect.diagnosis.advice = "raise it: larger groups spread the cost of each sync";
  }
  return suspect;
}

Suspect Cpu(const Figures& of) {
  const Cores cores(of);
  const double workers = of("config.workers", 4), backlog = of("scheduling.link_backlog_peak");
  // Only where the daemon has the larger part of what is used up.
  const bool largest = cores.daemon >= cores.client;
  Suspect suspect{"CPU-bound", largest || cores.all == 0 ? cores.Used() : cores.daemon / cores.all, {}};
  suspect.diagnosis.evidence = {cores.Text(),
                                fmt::format("{:.1f} s of its processor time for a million observations",
                                            of("resources.daemon_cpu_seconds_per_million"))};
  if (backlog > 10'000) {
    suspect.diagnosis.evidence.push_back(fmt::format("{:.0f} observations waited for the graph", backlog));
    suspect.diagnosis.knob = "hnsw.ef_construction";
    suspect.diagnosis.advice = "lower it: linking takes the processor, and recall stays within its bar down to about 40";
  } else if (workers < cores.all) {
    suspect.diagnosis.knob = "num_workers";
    suspect.diagnosis.advice = fmt::format("raise it to the {:.0f} cores there are", cores.all);
  } else if (of("scheduling.burst_batch_size_p50", 1000) < 200) {
    suspect.diagnosis.knob = "max_batch_size";
    suspect.diagnosis.advice = "raise it: a batch costs much the same whatever it holds";
  } else {
    suspect.diagnosis.knob = "--batch";
    suspect.diagnosis.advice = "send larger frames, or embeddings in half precision: decoding is most of the work";
  }
  return suspect;
}

Suspect Client(const Figures& of) {
  const Cores cores(of);
  const double capacity = of("scheduling.queue_capacity");
  const double full = of("scheduling.queue_peak") / std::max(capacity, 1.0);
  Suspect suspect{"client-bound", cores.shared && cores.client > cores.daemon ? cores.Used() : 0, {}};
  // A queue that hardly fills, and a daemon that hardly works: what comes is too little.
  if (capacity > 0 && full < 0.1 && cores.daemon < 0.5 * cores.all) {
    suspect.nearness = std::max(suspect.nearness, kNear);
  }
  suspect.diagnosis.evidence = {
      cores.Text(),
      fmt::format("the queue was at most {} full", Percent(full)),
  };
  if (const double share = of("limits.grpc_sink.share"); share > 0) {
    suspect.diagnosis.evidence.push_back(fmt::format("{} of what a bare gRPC sink takes from it", Percent(share)));
  }
  suspect.diagnosis.knob = "--streams";
  suspect.diagnosis.advice = cores.shared && cores.all > 0 && cores.client >= 0.9 * cores.all
                                 ? "run the client on a machine of its own: it leaves the daemon no cores"
                                 : "raise it: the daemon waits for what is sent";
  return suspect;
}

Suspect Memory(const Figures& of) {
  const double used = of("resources.memory_used_share"), reuse = of("resources.pool_reuse_rate", 1);
  Suspect suspect{"memory-bound", 0, {}};
  suspect.nearness = std::max(used / 0.9 * kNear, reuse < kLeastReuse ? 1 - reuse / kLeastReuse * (1 - kNear) : 0.0);
  suspect.diagnosis.evidence = {fmt::format("{} of the memory the daemon may use was in use", Percent(used)),
                                fmt::format("{} of the buffers came from a pool", Percent(reuse))};
  if (used >= 0.8) {
    suspect.diagnosis.knob = "limits.memory_bytes";
    suspect.diagnosis.advice = "raise it, or forget what is old (ttl): near the limit observations are refused";
  } else {
    suspect.diagnosis.knob = "--batch";
    suspect.diagnosis.advice = "send smaller frames: buffers this large are allocated each time";
  }
  return suspect;
}

Suspect Copy(const Figures& of) {
  const double share = of("limits.memory_scan.share"), written = of("resources.written_per_byte", 1);
  Suspect suspect{"copy-bound", 0, {}};
  suspect.nearness = std::max(share / kCopyShare * kNear, written > kMostWritten ? written / kMostWritten * kNear : 0.0);
  suspect.diagnosis.evidence = {
      fmt::format("one pass over what was sent is {} of what the memory can be read at", Percent(share)),
      fmt::format("{:.2f} bytes were written for each byte sent", written)};
  if (const double copies = of("resources.copies_per_observation"); copies > 0) {
    suspect.diagnosis.evidence.push_back(
        fmt::format("each byte was copied {:.1f} times on its way to the disk, where 3 are the least", copies));
  }
  if (written > kMostWritten) {
    suspect.diagnosis.knob = "--batch";
    suspect.diagnosis.advice = "send more observations a frame: the framing of small records outweighs them";
  } else {
    suspect.diagnosis.knob = "storage.embeddings";
    suspect.diagnosis.advice =
        "keep them as f16, and send them so where you can: every pass over them then moves half the bytes";
  }
  return suspect;
}

Suspect Backpressure(const Figures& of) {
  const double full = of("scheduling.queue_peak") / std::max(of("scheduling.queue_capacity", 1), 1.0);
  const double pressed = of("scheduling.pressed_share");
  const double wait = of("stages.queue.p50_seconds"), durable = of("stages.durable.p50_seconds");
  Suspect suspect{"backpressure-bound", full >= 0.5 || pressed >= 0.3 ? std::max(full, pressed) : 0, {}};
  suspect.diagnosis.evidence = {
      fmt::format("the queue was up to {} full, and under pressure at {} of the looks", Percent(full), Percent(pressed)),
      fmt::format("pressure was told to streams {:.0f} times", of("scheduling.pressure_events"))};
  if (durable > 0) {
    suspect.diagnosis.evidence.push_back(
        fmt::format("an observation waits {:.2f} of {:.2f} ms in the queue", wait * 1e3, durable * 1e3));
  }
  suspect.diagnosis.knob = "queue.capacity";
  suspect.diagnosis.advice =
      "raise it to absorb bursts; for a stream that is always too fast it only adds waiting, and num_workers is next";
  return suspect;
}

}  // namespace

Diagnosis Diagnose(const BenchDocument& document) {
  const Figures of(document);
  // Of equally near ones the first: what is further down explains what is above it.
  std::vector<Suspect> suspects = {Disk(of), Memory(of), Copy(of), Cpu(of), Client(of)};
  const auto nearest = std::max_element(suspects.begin(), suspects.end(), [](const Suspect& a, const Suspect& b) {
    return std::min(a.nearness, 1.0) < std::min(b.nearness, 1.0);
  });
  Suspect found = *nearest;
  if (found.nearness < kNear) {
    const Suspect queue = Backpressure(of);
    if (queue.nearness < kNear) {
      return {"none",
              {fmt::format("nearest to its end: {}, at {}", found.name, Percent(found.nearness))},
              "--streams",
              "send more at once: nothing of the daemon is used up"};
    }
    found = queue;
  }
  found.diagnosis.bottleneck = found.name;
  return found.diagnosis;
}

void PutDiagnosis(const Diagnosis& diagnosis, BenchDocument& document) {
  document.Put("diagnosis", Json{{"bottleneck", diagnosis.bottleneck},
                                 {"evidence", diagnosis.evidence},
                                 {"knob", diagnosis.knob},
                                 {"advice", diagnosis.advice}});
}

}  // namespace engram
