// What docs/durability.md says the log means, in the simplest form: a state machine that applies records, apart from
// the engine; and records that own what they hold.
//
// Threads: one. Ownership: values.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/rewriter.h"

namespace engram::testing {

// A record that owns its bytes.
struct OwnedRecord {
  RecordType type = RecordType::kObservations;
  uint64_t space_id = 0;
  std::string space;
  std::vector<std::pair<std::string, std::string>> observations;  // Ids and contents.
  std::vector<std::pair<std::string, uint64_t>> marks;
  std::vector<std::pair<std::string, uint64_t>> tombstones;
  uint32_t ef_search = 0;

  // Calls `use` with the record in the form that journals take.
  template <typename Use>
  auto As(const Use& use) const {
    static constexpr std::array<float, 2> kEmbedding = {1, 2};
    std::vector<ObservationView> views;
    for (const auto& [id, content] : observations) {
      ObservationView& view = views.emplace_back();
      view.id = id;
      view.content = content;
      view.embedding = {reinterpret_cast<const std::byte*>(kEmbedding.data()), 2, Encoding::kF32};
      view.observed_at_us = 1;
    }
    std::vector<StreamMark> of_streams;
    for (const auto& [stream, through] : marks) of_streams.push_back({stream, through});
    std::vector<Tombstone> of_ids;
    for (const auto& [id, through] : tombstones) of_ids.push_back({id, through});
    SpaceConfig config;
    config.ef_search = ef_search;
    JournalRecord record;
    record.type = type;
    record.space_id = space_id;
    record.space = space;
    record.observations = views;
    record.marks = of_streams;
    record.tombstones = of_ids;
    if (type == RecordType::kSpaceCreated || type == RecordType::kSpaceChanged) record.config = &config;
    return use(record);
  }
};

class LogModel {
 public:
  struct Version {
    RecordAddress address;
    std::string content;
    bool live = true;
  };
  struct Space {
    std::string name;
    std::map<std::string, std::vector<Version>> versions;  // Of each id, in the order of the log.
    std::map<std::string, uint64_t> streams;
    uint32_t ef_search = 0;
  };

  void Apply(const JournalRecord& record, uint64_t position) {
    through_ = position;
    const uint64_t id = record.space_id == 0 ? position : record.space_id;
    if (record.type == RecordType::kSpaceDropped) {
      spaces_.erase(id);
      removed_.insert(id);
      return;
    }
    if (record.type == RecordType::kSpaceCreated && Find(record.space) != 0) return;
    Space* const space = SpaceOf(id, std::string(record.space));
    if (space == nullptr) return;
    if (record.config != nullptr) space->ef_search = record.config->ef_search;
    for (size_t i = 0; i < record.observations.size(); ++i) {
      const ObservationView& observation = record.observations[i];
      std::vector<Version>& versions = space->versions[std::string(observation.id)];
      for (Version& version : versions) version.live = false;
      const uint32_t place = record.places.empty() ? static_cast<uint32_t>(i) : record.places[i];
      versions.push_back({{position, place}, std::string(observation.content)});
    }
    for (const Tombstone& tombstone : record.tombstones) {
      for (Version& version : space->versions[std::string(tombstone.id)]) {
        if (version.address.position <= tombstone.through) version.live = false;
      }
    }
    for (const StreamMark& mark : record.marks) {
      uint64_t& through = space->streams[std::string(mark.stream)];
      through = std::max(through, mark.through);
    }
  }

  uint64_t through() const { return through_; }
  std::map<uint64_t, Space>& spaces() { return spaces_; }
  const std::map<uint64_t, Space>& spaces() const { return spaces_; }
  // The id of the space of that name; 0: there is none.
  uint64_t Find(std::string_view name) const {
    for (const auto& [id, space] : spaces_) {
      if (space.name == name) return id;
    }
    return 0;
  }
  // Equal for two models that a client cannot tell apart.
  std::string Text() const {
    std::string text;
    for (const auto& [id, space] : spaces_) {
      text += fmt::format("space {} '{}' ef {}\n", id, space.name, space.ef_search);
      for (const auto& [name, versions] : space.versions) {
        for (const Version& version : versions) {
          if (!version.live) continue;
          text += fmt::format("  {} at {}.{}: {} bytes {}\n", name, version.address.position, version.address.place,
                              version.content.size(), version.content.substr(0, 1));
        }
      }
      for (const auto& [stream, through] : space.streams)
        text += fmt::format("  stream {} through {}\n", stream, through);
    }
    return text;
  }

 private:
  Space* SpaceOf(uint64_t id, const std::string& name) {
    if (const auto found = spaces_.find(id); found != spaces_.end()) return &found->second;
    if (removed_.contains(id)) return nullptr;
    if (const uint64_t other = Find(name); other != 0) {
      if (other > id) return nullptr;
      spaces_.erase(other);
    }
    spaces_[id].name = name;
    return &spaces_[id];
  }

  std::map<uint64_t, Space> spaces_;
  std::set<uint64_t> removed_;
  uint64_t through_ = 0;
};

// The model as the rewriter asks for it.
class ModelLog final : public AppliedLog {
 public:
  LogModel model;
  // Of the checkpoint there is; nothing: there is none.
  std::optional<uint64_t> checkpoint;
  // Dropped spaces to which somebody may still append, and their names.
  std::map<uint64_t, std::string> pinned;

  uint64_t applied_through() override { return model.through(); }
  uint64_t checkpoint_floor() override { return checkpoint.value_or(model.through()); }
  void VisitLive(const std::function<void(uint64_t, RecordAddress)>& visit) override {
    for (const auto& [id, space] : model.spaces()) {
      for (const auto& [name, versions] : space.versions) {
        for (const LogModel::Version& version : versions) {
          if (version.live) visit(id, version.address);
        }
      }
    }
  }
  bool HasSpace(uint64_t space_id) override { return model.spaces().contains(space_id); }
  bool IsGone(uint64_t space_id) override { return !HasSpace(space_id) && !pinned.contains(space_id); }
  void VisitVersions(uint64_t space_id, std::string_view id, uint64_t through,
                     const std::function<bool(RecordAddress)>& visit) override {
    const auto space = model.spaces().find(space_id);
    if (space == model.spaces().end()) return;
    const auto versions = space->second.versions.find(std::string(id));
    if (versions == space->second.versions.end()) return;
    for (auto version = versions->second.rbegin(); version != versions->second.rend(); ++version) {
      if (version->address.position <= through && !visit(version->address)) return;
    }
  }
};

}  // namespace engram::testing
