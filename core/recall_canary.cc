#include "core/recall_canary.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "core/filter.h"
#include "core/stored_reads.h"

namespace engram {
namespace {

// How much longer than a check took the next one waits.
constexpr int kRest = 9;

// SplitMix64.
uint64_t Scatter(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

bool Better(const SearchHit& a, const SearchHit& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.ordinal < b.ordinal;
}

}  // namespace

struct RecallCanary::Check {
  std::shared_ptr<Space> space;
  FilterSpec filter;
  std::optional<int64_t> due;
  std::vector<float> query;
  SearchRequest request;
  IndexView view;
  std::vector<SearchHit> found;
};

RecallCanary::~RecallCanary() {
  MutexLock lock(mu_);
  while (busy_) ended_.Wait(mu_);
}

bool RecallCanary::Sampled() {
  const double rate = rate_.load(std::memory_order_relaxed);
  if (rate <= 0) return false;
  const uint64_t drawn = Scatter(considered_.fetch_add(1, std::memory_order_relaxed));
  return static_cast<double>(drawn >> 11) * 0x1p-53 < rate;
}

void RecallCanary::Consider(const std::shared_ptr<Space>& space, const FilterSpec& filter, std::optional<int64_t> due,
                            const SearchRequest& request, IndexView view, const SearchResult& found) {
  if (found.exact || request.exact || !Sampled()) return;
  {
    MutexLock lock(mu_);
    if (busy_ || clock_->Now() < rests_until_) return;
    busy_ = true;
  }
  try {
    Submit(space, filter, due, request, view, found);
  } catch (const std::exception&) {
    // Memory is out: no check, but the recall has its answer, and the next one may be checked.
    Ended(clock_->Now());
  }
}

void RecallCanary::Submit(const std::shared_ptr<Space>& space, const FilterSpec& filter, std::optional<int64_t> due,
                          const SearchRequest& request, IndexView view, const SearchResult& found) {
  auto check = std::make_shared<Check>();
  check->space = space;
  check->filter = filter;
  check->due = due;
  check->query.assign(request.query.begin(), request.query.end());
  check->request = request;
  check->request.query = check->query;
  check->request.exact = true;
  check->request.source = nullptr;  // The recall's own, which ends with it.
  check->view = view;
  check->found = found.hits;
  executor_->Submit(WorkClass::kLow, [this, check] {
    const MonotonicTime begin = clock_->Now();
    try {
      Run(*check);
    } catch (const std::exception&) {
      // Memory is out; the next one may do better.
    }
    Ended(begin);
  });
}

void RecallCanary::Run(const Check& check) {
  const SpaceIndex& index = *check.space->index();
  SearchRequest request = check.request;
  std::optional<Filter> filter;
  if (request.filter != nullptr) {
    request.filter = &filter.emplace(check.filter, check.space->records(), index, check.view, check.due);
  }
  const StoredReads reads(journal_, &check.space->records(), index.options().dimension);
  request.source = index.options().keep_rows ? nullptr : &reads;
  SearchResult exact = index.Search(request, check.view);
  // Rewritten away since the walk, or damaged: nobody can say what the best are.
  if (exact.unreadable != 0) return;
  std::vector<SearchHit> truth = std::move(exact.hits);
  for (const SearchHit& hit : check.found) {
    if (!index.Live(hit.ordinal, check.view)) truth.push_back(hit);
  }
  std::sort(truth.begin(), truth.end(), Better);
  if (truth.size() > request.k) truth.resize(request.k);
  if (truth.empty()) return;
  // One as similar as the last belongs: which of equals is returned is no error.
  const auto belongs = [&](const SearchHit& hit) {
    return hit.similarity >= truth.back().similarity ||
           std::any_of(truth.begin(), truth.end(), [&](const SearchHit& t) { return t.ordinal == hit.ordinal; });
  };
  const auto had = static_cast<size_t>(std::count_if(check.found.begin(), check.found.end(), belongs));
  check.space->canary().Add(static_cast<float>(std::min(had, truth.size())) / static_cast<float>(truth.size()));
  check.space->series().Add(MetricId::kRecallCanaryChecks);
}

void RecallCanary::Ended(MonotonicTime begin) {
  const MonotonicTime now = clock_->Now();
  MutexLock lock(mu_);
  rests_until_ = now + kRest * (now - begin);
  busy_ = false;
  ended_.NotifyAll();
}

}  // namespace engram
