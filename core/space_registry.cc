#include "core/space_registry.h"

#include <fmt/format.h>

#include <limits>

#include "core/base/check.h"

namespace engram {

size_t LaneOf(std::string_view space, size_t lanes) {
  uint64_t key = 14695981039346656037ull;  // FNV-1a.
  for (const char c : space) key = (key ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  int64_t bucket = -1;
  int64_t next = 0;
  while (next < static_cast<int64_t>(lanes)) {
    bucket = next;
    key = key * 2862933555777941757ull + 1;
    next = static_cast<int64_t>(static_cast<double>(bucket + 1) *
                                (static_cast<double>(1ll << 31) / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<size_t>(bucket);
}

size_t SpaceRegistry::LaneOf(std::string_view name) const { return engram::LaneOf(name, lanes_); }

absl::StatusOr<std::shared_ptr<Space>> SpaceRegistry::Find(const std::string& name) const {
  MutexLock lock(mu_);
  const auto at = spaces_.find(name);
  if (at == spaces_.end()) return absl::NotFoundError(fmt::format("there is no space '{}'", name));
  return at->second;
}

std::shared_ptr<Space> SpaceRegistry::FindById(uint64_t id) const {
  MutexLock lock(mu_);
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : at->second;
}

std::shared_ptr<Space> SpaceRegistry::Add(const std::string& name, uint64_t id, const SpaceConfig& config,
                                          int64_t created_at_us) {
  std::shared_ptr<Space> space;
  {
    MutexLock lock(mu_);
    if (TakeExpected(id, space)) return space;
  }
  space = Make({name, id, config, created_at_us, keeps_contents_});
  MutexLock lock(mu_);
  // It may have come to be expected meanwhile; then that one counts.
  if (!TakeExpected(id, space)) ENGRAM_CHECK(PutIn(space));
  return space;
}

bool SpaceRegistry::TakeExpected(uint64_t id, std::shared_ptr<Space>& space) {
  const auto expected = expected_.extract(id);
  if (expected.empty()) return false;
  space = expected.mapped();
  ENGRAM_CHECK(PutIn(space));
  return true;
}

std::shared_ptr<Space> SpaceRegistry::Expect(const std::string& name, uint64_t id, const SpaceConfig& config,
                                             int64_t created_at_us) {
  std::shared_ptr<Space> space = Make({name, id, config, created_at_us, keeps_contents_});
  MutexLock lock(mu_);
  if (const auto there = by_id_.find(id); there != by_id_.end()) return there->second;
  if (removed_.count(id) > 0 || spaces_.count(name) > 0) return nullptr;
  expected_[id] = space;
  return space;
}

void SpaceRegistry::ExpectNoMore(uint64_t id) {
  MutexLock lock(mu_);
  expected_.erase(id);
}

std::shared_ptr<Space> SpaceRegistry::Make(Space::Origin origin) const {
  const size_t lane = LaneOf(origin.name);
  auto series = metrics_->AddSpace(origin.name);
  return std::make_shared<Space>(std::move(origin), lane, std::move(series));
}

bool SpaceRegistry::Put(const std::shared_ptr<Space>& space) {
  MutexLock lock(mu_);
  return PutIn(space);
}

bool SpaceRegistry::PutIn(const std::shared_ptr<Space>& space) {
  if (spaces_.count(space->name()) != 0 || by_id_.count(space->id()) != 0) return false;
  spaces_[space->name()] = space;
  by_id_[space->id()] = space;
  return true;
}

std::vector<uint64_t> SpaceRegistry::RemovedLately() const {
  MutexLock lock(mu_);
  return {removed_order_.begin(), removed_order_.end()};
}

std::shared_ptr<Space> SpaceRegistry::Remove(uint64_t id) {
  MutexLock lock(mu_);
  const auto [removed, first] = removed_.try_emplace(id);
  if (first) removed_order_.push_back(id);
  if (removed_order_.size() > kMostRemoved) {
    // Never the one just put in, so `removed` stays.
    removed_.erase(removed_order_.front());
    removed_order_.pop_front();
  }
  const auto at = by_id_.find(id);
  if (at == by_id_.end()) return nullptr;
  std::shared_ptr<Space> space = std::move(at->second);
  removed->second = space;
  by_id_.erase(at);
  spaces_.erase(space->name());
  return space;
}

bool SpaceRegistry::Removed(uint64_t id) const {
  MutexLock lock(mu_);
  return removed_.count(id) > 0;
}

bool SpaceRegistry::Gone(uint64_t id) const {
  MutexLock lock(mu_);
  if (by_id_.count(id) > 0) return false;
  const auto removed = removed_.find(id);
  return removed == removed_.end() || removed->second.expired();
}

std::vector<std::shared_ptr<Space>> SpaceRegistry::All() const {
  return List("", "", std::numeric_limits<size_t>::max());
}

std::vector<std::shared_ptr<Space>> SpaceRegistry::List(const std::string& prefix, const std::string& after,
                                                        size_t limit) const {
  std::vector<std::shared_ptr<Space>> listed;
  MutexLock lock(mu_);
  for (auto at = after < prefix ? spaces_.lower_bound(prefix) : spaces_.upper_bound(after);
       at != spaces_.end() && listed.size() < limit; ++at) {
    if (at->first.compare(0, prefix.size(), prefix) != 0) break;
    listed.push_back(at->second);
  }
  return listed;
}

size_t SpaceRegistry::size() const {
  MutexLock lock(mu_);
  return spaces_.size();
}

}  // namespace engram
