// The engine: spaces, the queue and workers that fill them, and the recalls that read them. The front door of core/.
//
// Threads:  every method from any thread. Ownership: owns spaces, queue and worker pool; answers pin what their views
//           point into. Blocking: said per method. Errors: absl::Status, one-to-one to gRPC; nothing throws.
// Why:      gRPC and protobuf stay outside: the server converts, the engine decides.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/status.h"
#include "core/base/types.h"
#include "core/metrics/metrics.h"
#include "core/observe_stream.h"
#include "core/space_config.h"

namespace engram {

class Directory;
class Journal;
class RecallFollow;
class Space;
class SpaceRegistry;
class Tracer;
struct JournalRecord;

struct SpaceChange {
  std::optional<uint32_t> ef_search;
  std::optional<uint64_t> max_rate;
  std::optional<uint64_t> quota_observations;
  std::optional<uint64_t> quota_bytes;
};

struct SpaceInfo {
  std::string name;
  SpaceConfig config;  // In force, the daemon's settings filled in.
  uint64_t live = 0;
  uint64_t size = 0;
  uint64_t linked = 0;
  uint64_t link_backlog = 0;
  uint64_t resident_bytes = 0;
  uint64_t queued = 0;
  int64_t created_at_us = 0;
  bool has_graph = false;
  double graph_dead_share = 0;
};

// engram.v1.Filter.
struct FilterSpec {
  std::vector<std::pair<std::string, std::string>> all_tags;
  std::vector<std::pair<std::string, std::string>> any_tags;
  std::vector<std::pair<std::string, std::string>> no_tags;
  int64_t observed_from_us = 0;
  int64_t observed_to_us = 0;
  float min_confidence = 0;
  std::vector<std::string> exclude_ids;

  bool empty() const {
    return all_tags.empty() && any_tags.empty() && no_tags.empty() && observed_from_us == 0 && observed_to_us == 0 &&
           min_confidence == 0 && exclude_ids.empty();
  }
};

// As engram.v1.Ranking documents it.
struct Ranking {
  int64_t recency_half_life_us = 0;
  float confidence_weight = 0;
  uint32_t oversample = 0;

  bool enabled() const { return recency_half_life_us != 0 || confidence_weight != 0; }
};

struct StreamRequest {
  std::string space;
  std::string stream_id;  // Empty: assigned, forgotten when closed.
  AckLevel ack_level = AckLevel::kDurable;
  bool resume = false;
};

struct ObserveOutcome {
  uint32_t accepted = 0;
  std::vector<std::string> ids;  // One per observation; empty where refused.
  std::vector<Rejected> rejected;  // `sequence` is the 1-based place in the batch.
  Token token;
};

struct RecallQuery {
  std::string space;
  // Exactly one of the two: a vector (dimension > 0) or an id.
  EmbeddingView embedding;
  std::string id;
  uint32_t k = 0;
  uint32_t ef = 0;
  std::optional<float> min_similarity;
  FilterSpec filter;
  Ranking ranking;
  uint32_t oversample = 0;  // 0: the usual.
  Token at_least;
  bool exact = false;
  bool include_content = false;
  bool include_tags = false;
  bool include_embedding = false;
};

// Views point into what the answer's `pin` keeps: the space, and what was read from the journal.
struct ObservationHit {
  std::string_view id;
  float similarity = 0;
  float score = 0;
  int64_t observed_at_us = 0;
  float confidence = 0;
  int64_t ttl_us = 0;
  std::string_view content;
  std::vector<TagView> tags;
  std::span<const float> embedding;
};

struct RecallAnswer {
  std::vector<ObservationHit> hits;
  Token visible_through;
  uint64_t graph_candidates = 0;
  uint64_t tail_scanned = 0;
  bool exact = false;
  uint64_t live = 0;
  // Hits left out because the journal's record of them is damaged.
  uint64_t unreadable = 0;
  // What was looked for: the vector given, or the observation's as it was then.
  std::span<const float> cue;
  Duration elapsed{0};
  std::shared_ptr<const void> pin;
};

// How far a recall that goes on has got in the journal, in its space.
struct FollowPoint {
  // Every match recorded up to here has been sent,
  Token through;
  // and of the record at this position those at its first so many places.
  uint64_t partial_position = 0;
  uint32_t partial_places = 0;

  friend bool operator==(const FollowPoint&, const FollowPoint&) = default;
};

struct FollowedRecall {
  RecallAnswer answer;
  std::unique_ptr<RecallFollow> follow;
};

struct GetAnswer {
  std::vector<ObservationHit> observations;
  std::vector<std::string> missing;
  // There, but the journal's record of them is damaged.
  std::vector<std::string> unreadable;
  std::shared_ptr<const void> pin;
};

struct ForgetQuery {
  std::string space;
  std::vector<std::string> ids;
  std::optional<FilterSpec> filter;
  bool dry_run = false;
};

struct ForgetAnswer {
  uint64_t forgotten = 0;
  std::vector<std::string> missing;
  Token token;
};

struct LaneReading {
  uint64_t depth_high = 0;
  uint64_t depth_normal = 0;
  uint64_t batches = 0;
  uint64_t stolen = 0;
  Duration busy{0};  // Of the lane's home worker, since the start.
};

struct EngineStatus {
  uint64_t queue_depth = 0;
  uint64_t queue_capacity = 0;
  PressureLevel pressure = PressureLevel::kNormal;
  std::vector<LaneReading> lanes;
  uint64_t recalls_waiting = 0;
  uint64_t streams = 0;
  uint64_t spaces = 0;
  uint64_t observations_live = 0;
  uint64_t link_backlog = 0;
  uint64_t observations_total = 0;
  uint64_t rejected_total = 0;
  uint64_t recalls_total = 0;
  uint64_t resident_bytes = 0;
  bool draining = false;
};

struct EngineDeps {
  Clock* clock = nullptr;
  Executor* executor = nullptr;
  Metrics* metrics = nullptr;
  // Null: a MemoryJournal.
  std::unique_ptr<Journal> journal;
  // Whose disk must not fill up, and which outlives the engine. Null: nothing is kept on a disk.
  Directory* directory = nullptr;
  // Where proc and sys tell of memory: another place in tests.
  std::filesystem::path system_root = "/";
};

class Engine {
 public:
  // `deps` outlive the engine. The settings are valid (config/loader.h). What reads is served at once; what writes waits
  // for Start, which must come.
  static std::unique_ptr<Engine> Create(std::shared_ptr<const Settings> settings, EngineDeps deps);
  // Finishes what was accepted, as far as the journal takes it. No call may be under way.
  virtual ~Engine() = default;

  // --- before Start ---

  // Applies a record that the journal kept, in their order, from one thread. A record that its space knows already (from a
  // checkpoint) changes nothing. DATA_LOSS: the record contradicts those before it, and was left out. RESOURCE_EXHAUSTED:
  // memory is out.
  virtual absl::Status Replay(const JournalRecord& record, uint64_t position) = 0;
  // Starts the journal, whose last() says how far the spaces are, and lets writers in. Once.
  virtual void Start() = 0;

  // --- for checkpoints ---

  virtual SpaceRegistry& registry() = 0;
  // Every record up to it is applied.
  virtual uint64_t applied_through() const = 0;
  // The space may be linked: whoever had claimed that has released it.
  virtual void ScheduleLinking(const std::shared_ptr<Space>& space) = 0;

  // --- streaming in ---

  // NOT_FOUND, ALREADY_EXISTS, INVALID_ARGUMENT (name), RESOURCE_EXHAUSTED (streams, spaces; a new space when disk or
  // memory is full), UNAVAILABLE (draining).
  // A stream already open under this id ends with ABORTED. `listener` lives until Close returns.
  virtual absl::StatusOr<std::shared_ptr<ObserveStream>> OpenStream(const StreamRequest& request,
                                                                    StreamListener* listener) = 0;
  // Waits until `level` is reached, or DEADLINE_EXCEEDED; for the creation of a new space however long it takes.
  virtual absl::StatusOr<ObserveOutcome> Observe(const std::string& space, ObservationBatch batch, Priority priority,
                                                 AckLevel level, MonotonicTime deadline) = 0;

  // --- reading and forgetting ---

  // Runs on the calling thread once a high-priority slot is free; waits for `at_least`, both within `deadline`.
  virtual absl::StatusOr<RecallAnswer> Recall(const RecallQuery& query, MonotonicTime deadline) = 0;
  // A recall from then on: what is recorded behind `after` and passes min_similarity and filter. core/recall_follow.h; it ends
  // before the engine. k is not looked at but for its range. UNAVAILABLE: the engine drains.
  virtual absl::StatusOr<std::unique_ptr<RecallFollow>> Follow(const RecallQuery& query, const FollowPoint& after) = 0;
  // Both: what is behind the answer, of the same space, also when another one gets its name, and by the same cue.
  virtual absl::StatusOr<FollowedRecall> RecallAndFollow(const RecallQuery& query, MonotonicTime deadline) = 0;
  virtual absl::StatusOr<GetAnswer> Get(const std::string& space, std::span<const std::string> ids) = 0;
  virtual absl::StatusOr<ForgetAnswer> Forget(const ForgetQuery& query) = 0;

  // --- spaces ---
  // Making and changing one is RESOURCE_EXHAUSTED when disk or memory is full; forgetting and deleting make room.

  virtual absl::StatusOr<SpaceInfo> CreateSpace(const std::string& name, const SpaceConfig& config) = 0;
  virtual absl::StatusOr<SpaceInfo> GetSpace(const std::string& name) = 0;
  // In the order of names: those after `after`, beginning with `prefix`, at most `limit`.
  virtual std::vector<SpaceInfo> ListSpaces(const std::string& prefix, const std::string& after, size_t limit) = 0;
  virtual absl::StatusOr<SpaceInfo> UpdateSpace(const std::string& name, const SpaceChange& change) = 0;
  // How many observations could be recalled until now.
  virtual absl::StatusOr<uint64_t> DeleteSpace(const std::string& name) = 0;

  // --- the whole ---

  virtual EngineStatus ReadStatus() = 0;
  virtual const Tracer& tracer() const = 0;
  virtual Durability durability() const = 0;
  // Puts kLive settings in force; the others must be as they were.
  virtual void ApplySettings(std::shared_ptr<const Settings> settings) = 0;
  virtual std::shared_ptr<const Settings> settings() const = 0;
  // Refuses new observations (UNAVAILABLE), ends open streams once what they had accepted has reached their level, and
  // followers at once.
  virtual void StopAdmitting() = 0;
  virtual void ResumeAdmitting() = 0;
  // Waits until the queue is empty and everything appended to the journal is applied; false at the deadline.
  virtual bool AwaitDrained(MonotonicTime deadline) = 0;
  // Observations that were accepted and are not committed yet, in a lane or on their way into the journal.
  virtual uint64_t Unfinished() = 0;
  // What the engine does every second by itself: what has outlived its ttl is forgotten in the journal too.
  virtual absl::Status Housekeep() = 0;
};

}  // namespace engram
