#include "tests/server/support/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>

namespace engram::testing {
namespace {

std::string ContentOf(const std::string& space, const std::string& id, uint64_t version) {
  std::string content = fmt::format("{} {} {} ", version, space, id);
  // Of many lengths, now and then kilobytes.
  const uint64_t mixed = Mix(std::hash<std::string>()(content));
  content.append(mixed % 50 == 0 ? mixed % 5000 : mixed % 120, static_cast<char>('a' + mixed % 26));
  return content;
}

uint64_t VersionIn(const std::string& content) {
  uint64_t version = 0;
  std::from_chars(content.data(), content.data() + content.size(), version);
  return version;
}

}  // namespace

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<float> VectorOf(const std::string& space, const std::string& id, uint64_t version) {
  uint64_t state = Mix(std::hash<std::string>()(space + "/" + id), version);
  std::vector<float> values(kLedgerDimension);
  for (float& value : values) {
    state = Mix(state);
    value = static_cast<float>(static_cast<double>(state >> 11) / static_cast<double>(uint64_t{1} << 53) - 0.5);
  }
  return values;
}

v1::Observation ObservationOf(const std::string& space, const std::string& id, uint64_t version) {
  const std::vector<float> values = VectorOf(space, id, version);
  v1::Observation observation;
  observation.set_id(id);
  observation.set_embedding_f32(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  observation.set_content(ContentOf(space, id, version));
  return observation;
}

void Ledger::Sent(const std::string& space, const std::string& id, uint64_t version) {
  MutexLock lock(mu_);
  Entry& entry = spaces_[space][id];
  entry.under_way.push_back(version);
  if (version != 0) entry.last_sent = version;
}

void Ledger::Answered(const std::string& space, const std::string& id, uint64_t version) {
  MutexLock lock(mu_);
  Entry& entry = spaces_[space][id];
  const auto at = std::find(entry.under_way.begin(), entry.under_way.end(), version);
  if (at == entry.under_way.end()) return;
  entry.durable = version;
  entry.under_way.erase(entry.under_way.begin(), at + 1);
}

void Ledger::Lost(const std::string& space, const std::string& id, uint64_t version) {
  MutexLock lock(mu_);
  Entry& entry = spaces_[space][id];
  const auto at = std::find(entry.under_way.begin(), entry.under_way.end(), version);
  entry.under_way.erase(at, entry.under_way.end());
}

std::string Ledger::Found(const std::string& space, const std::string& id, const v1::Observation* found) {
  const uint64_t version = found == nullptr ? 0 : VersionIn(found->content());
  const std::string what = fmt::format("'{}' of space '{}'", id, space);
  if (found != nullptr) {
    const v1::Observation right = ObservationOf(space, id, version);
    if (found->id() != id) return fmt::format("{} has the id '{}'", what, found->id());
    if (found->content() != right.content()) return fmt::format("{} has the content '{}'", what, found->content());
    if (found->embedding_f32() != right.embedding_f32()) return what + " has another embedding than was sent";
  }
  MutexLock lock(mu_);
  Entry& entry = spaces_[space][id];
  const auto at = std::find(entry.under_way.begin(), entry.under_way.end(), version);
  if (version != entry.durable && at == entry.under_way.end()) {
    std::string under_way;
    for (const uint64_t one : entry.under_way) under_way += fmt::format(" {}", one);
    return fmt::format("{} is there as version {}; durable is {}, under way were{}", what, version, entry.durable,
                       under_way.empty() ? " none" : under_way);
  }
  entry.durable = version;
  entry.under_way.clear();
  return "";
}

bool Ledger::EverSent(const std::string& space, const v1::Observation& found) const {
  const uint64_t version = VersionIn(found.content());
  const v1::Observation right = ObservationOf(space, found.id(), version);
  const bool same = found.content() == right.content() &&
                    (found.embedding_f32().empty() || found.embedding_f32() == right.embedding_f32());
  return same && version != 0 && version <= LastSent(space, found.id());
}

std::vector<std::string> Ledger::Ids(const std::string& space) const {
  MutexLock lock(mu_);
  std::vector<std::string> ids;
  const auto at = spaces_.find(space);
  if (at == spaces_.end()) return ids;
  for (const auto& [id, entry] : at->second) ids.push_back(id);
  return ids;
}

uint64_t Ledger::Certain(const std::string& space, const std::string& id) const {
  MutexLock lock(mu_);
  const auto at = spaces_.find(space);
  if (at == spaces_.end()) return 0;
  const auto entry = at->second.find(id);
  return entry == at->second.end() || !entry->second.under_way.empty() ? 0 : entry->second.durable;
}

uint64_t Ledger::LastSent(const std::string& space, const std::string& id) const {
  MutexLock lock(mu_);
  const auto at = spaces_.find(space);
  if (at == spaces_.end()) return 0;
  const auto entry = at->second.find(id);
  return entry == at->second.end() ? 0 : entry->second.last_sent;
}

Ledger::Bounds Ledger::Live(const std::string& space) const {
  MutexLock lock(mu_);
  Bounds bounds;
  const auto at = spaces_.find(space);
  if (at == spaces_.end()) return bounds;
  for (const auto& [id, entry] : at->second) {
    const auto there = [](uint64_t version) { return version != 0; };
    const auto& under_way = entry.under_way;
    if (there(entry.durable) && std::all_of(under_way.begin(), under_way.end(), there)) ++bounds.least;
    if (there(entry.durable) || std::any_of(under_way.begin(), under_way.end(), there)) ++bounds.most;
  }
  return bounds;
}

void Ledger::Keep(const std::string& space, const v1::Token& token) {
  MutexLock lock(mu_);
  v1::Token& kept = tokens_[space];
  if (token.position() > kept.position()) kept = token;
}

v1::Token Ledger::Newest(const std::string& space) const {
  MutexLock lock(mu_);
  const auto at = tokens_.find(space);
  return at == tokens_.end() ? v1::Token() : at->second;
}

}  // namespace engram::testing
