#include "core/forgetter.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "core/filter.h"
#include "core/observation_check.h"

namespace engram {
namespace {

// In one record, so that the space's writer gets its turns.
constexpr size_t kMostTombstones = 1000;

absl::Status CheckQuery(const ForgetQuery& query) {
  if (!query.filter) return CheckIds(query.ids.size());
  if (!query.ids.empty()) return absl::InvalidArgumentError("both ids and a filter are given");
  if (query.filter->empty()) return absl::InvalidArgumentError("the filter has no condition; DeleteSpace forgets all");
  return CheckFilter(*query.filter);
}

// The live observations that are meant; ids without one go to the answer.
std::vector<Ordinal> Choose(const Space& space, const ForgetQuery& query, int64_t now_us, ForgetAnswer& answer) {
  const SpaceIndex& index = *space.index();
  const IndexView view = index.Pin();
  std::vector<Ordinal> ordinals;
  if (query.filter) {
    const Filter filter(*query.filter, space.records(), index, view, now_us);
    std::array<Ordinal, 256> listed;
    Ordinal from = 0;
    for (size_t count = listed.size(); count == listed.size();) {
      count = filter.List(from, view.visible, listed);
      std::copy_if(listed.begin(), listed.begin() + static_cast<ptrdiff_t>(count), std::back_inserter(ordinals),
                   [&](Ordinal ordinal) { return index.Live(ordinal, view); });
      if (count != 0) from = listed[count - 1] + 1;
    }
    return ordinals;
  }
  for (const std::string& id : query.ids) {
    const std::optional<Ordinal> found = index.Find(id, view);
    if (found && space.records().ExpiresAt(*found) > now_us) {
      ordinals.push_back(*found);
    } else {
      answer.missing.push_back(id);
    }
  }
  return ordinals;
}

Command Tombstones(const std::shared_ptr<Space>& space, std::vector<Tombstone> tombstones) {
  Command command;
  command.type = RecordType::kTombstones;
  command.space = space;
  command.tombstones = std::move(tombstones);
  return command;
}

}  // namespace

absl::StatusOr<ForgetAnswer> Forgetter::Forget(const std::shared_ptr<Space>& space, const ForgetQuery& query) {
  ENGRAM_RETURN_IF_ERROR(CheckQuery(query));
  ForgetAnswer answer;
  const SpaceIndex* const index = space->index();
  if (index == nullptr) {
    answer.missing = query.ids;
    return answer;
  }
  const std::vector<Ordinal> ordinals = Choose(*space, query, clock_->WallMicros(), answer);
  if (query.dry_run) {
    answer.forgotten = ordinals.size();
    return answer;
  }
  for (size_t begin = 0; begin < ordinals.size(); begin += kMostTombstones) {
    std::vector<Tombstone> tombstones;
    for (size_t i = begin; i < std::min(begin + kMostTombstones, ordinals.size()); ++i) {
      // A version that is recorded meanwhile lies behind the position and lives on.
      tombstones.push_back({index->IdOf(ordinals[i]), space->records().Address(ordinals[i]).position});
    }
    ENGRAM_ASSIGN_OR_RETURN(const CommitLog::Executed executed,
                            log_->Execute(Tombstones(space, std::move(tombstones))));
    answer.token = {log_->journal().id(), executed.position};
    answer.forgotten += executed.effect.killed;
    space->series().Add(MetricId::kForgotten, executed.effect.killed);
  }
  return answer;
}

absl::Status Forgetter::Expire(const std::shared_ptr<Space>& space) {
  const int64_t now_us = clock_->WallMicros();
  while (!space->dropped()) {
    // All that is due, a part at a time, so that the space's writer gets its turns.
    space->ExpireDue(now_us);
    std::vector<Tombstone> tombstones = space->Expired(kMostTombstones);
    if (tombstones.empty()) break;
    const size_t count = tombstones.size();
    ENGRAM_RETURN_IF_ERROR(log_->Send(Tombstones(space, std::move(tombstones))));
    space->ExpiredRecorded(count);
  }
  return absl::OkStatus();
}

}  // namespace engram
