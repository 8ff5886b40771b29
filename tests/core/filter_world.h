// A space without an engine, and what it must answer, for the tests of filters.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/filter.h"
#include "core/record_store.h"
#include "index/space_index.h"
#include "tests/index/vectors.h"
#include "tests/support/observations.h"

namespace engram::testing {

class FilterWorld {
 public:
  static constexpr uint32_t kDimension = 8;

  FilterWorld(uint64_t seed, uint64_t flat_threshold) : random_(seed) {
    IndexOptions options;
    options.dimension = kDimension;
    options.flat_threshold = flat_threshold;
    // Nothing here depends on how good the graph is.
    options.ef_construction = 20;
    options.keep_rows = true;
    index_ = SpaceIndex::Create(options);
  }

  uint64_t Below(uint64_t end) { return random_() % end; }
  SpaceIndex& index() { return *index_; }
  RecordStore& records() { return records_; }
  size_t rows() const { return rows_.size(); }

  // Values of different rarity; one key has a value of its own nearly every time.
  TestObservation Any() {
    TestObservation one;
    one.id = std::to_string(Below(2000));
    one.embedding = GaussianVector(random_, kDimension);
    if (Below(4) != 0) one.tags["half"] = std::to_string(Below(2));
    if (Below(4) != 0) one.tags["tenth"] = std::to_string(Below(10));
    if (Below(2) != 0) one.tags["hundredth"] = std::to_string(Below(100));
    if (Below(2) != 0) one.tags["request"] = std::to_string(Below(100'000));
    one.observed_at_us = 1 + static_cast<int64_t>(rows_.size() * 10 + Below(500));
    one.confidence = static_cast<float>(Below(11)) / 10;
    if (Below(10) == 0) one.ttl_us = 1 + static_cast<int64_t>(Below(20'000));
    return one;
  }

  // Stages the rows without publishing them.
  void Stage(const ObservationBatch& batch) {
    records_.Append(static_cast<Ordinal>(index_->size()), batch.observations, 1, {});
  }
  void Append(std::vector<TestObservation> observations) {
    const ObservationBatch batch = MakeBatch(observations);
    Stage(batch);
    std::vector<SpaceIndex::Entry> entries;
    for (const ObservationView& view : batch.observations) entries.push_back({view.id, view.embedding});
    index_->Append(entries);
    for (TestObservation& one : observations) {
      live_[one.id] = rows_.size();
      rows_.push_back(std::move(one));
    }
  }
  void Forget(const std::string& id) {
    index_->Forget(id);
    live_.erase(id);
  }

  FilterSpec AnyFilter() {
    FilterSpec spec;
    const auto tag = [this]() -> std::pair<std::string, std::string> {
      switch (Below(5)) {
        case 0:
          return {"half", std::to_string(Below(3))};
        case 1:
          return {"tenth", std::to_string(Below(10))};
        case 2:
          return {"hundredth", std::to_string(Below(100))};
        case 3:
          return {"nothing", "like it"};
        default: {
          if (rows_.empty()) return {"request", "1"};
          const auto& tags = rows_[Below(rows_.size())].tags;
          if (tags.empty()) return {"half", "1"};
          return {tags.rbegin()->first, tags.rbegin()->second};
        }
      }
    };
    while (Below(2) == 0) spec.all_tags.push_back(tag());
    while (Below(3) == 0) spec.any_tags.push_back(tag());
    while (Below(3) == 0) spec.no_tags.push_back(tag());
    const auto time = static_cast<int64_t>(rows_.size() * 10 + 1);
    if (Below(4) == 0) spec.observed_from_us = 1 + static_cast<int64_t>(Below(static_cast<uint64_t>(time)));
    if (Below(4) == 0) spec.observed_to_us = 1 + static_cast<int64_t>(Below(static_cast<uint64_t>(time)));
    if (Below(4) == 0) spec.min_confidence = static_cast<float>(Below(11)) / 10;
    while (Below(3) == 0) spec.exclude_ids.push_back(std::to_string(Below(2000)));
    return spec;
  }

  bool Matches(const FilterSpec& spec, size_t row, std::optional<int64_t> now_us) const {
    const TestObservation& one = rows_[row];
    const auto has = [&](const auto& tag) {
      const auto found = one.tags.find(tag.first);
      return found != one.tags.end() && found->second == tag.second;
    };
    if (now_us && one.ttl_us != 0 && one.observed_at_us + one.ttl_us <= *now_us) return false;
    if (spec.observed_from_us != 0 && one.observed_at_us < spec.observed_from_us) return false;
    if (spec.observed_to_us != 0 && one.observed_at_us >= spec.observed_to_us) return false;
    if (one.confidence < spec.min_confidence) return false;
    if (!std::all_of(spec.all_tags.begin(), spec.all_tags.end(), has)) return false;
    if (!spec.any_tags.empty() && std::none_of(spec.any_tags.begin(), spec.any_tags.end(), has)) return false;
    if (std::any_of(spec.no_tags.begin(), spec.no_tags.end(), has)) return false;
    return std::find(spec.exclude_ids.begin(), spec.exclude_ids.end(), one.id) == spec.exclude_ids.end();
  }

  // What is live and matches, the most similar first.
  std::vector<Ordinal> Ranked(const FilterSpec& spec, const Vector& cue, std::optional<int64_t> now_us) const {
    std::vector<std::pair<double, Ordinal>> found;
    for (const auto& [id, row] : live_) {
      if (!Matches(spec, row, now_us)) continue;
      found.emplace_back(-ExactSimilarity(Metric::kCosine, cue, rows_[row].embedding), static_cast<Ordinal>(row));
    }
    std::sort(found.begin(), found.end());
    std::vector<Ordinal> out;
    for (const auto& [distance, ordinal] : found) out.push_back(ordinal);
    return out;
  }

 private:
  std::mt19937_64 random_;
  std::unique_ptr<SpaceIndex> index_;
  RecordStore records_{true};
  std::vector<TestObservation> rows_;
  std::map<std::string, size_t> live_;
};

}  // namespace engram::testing
