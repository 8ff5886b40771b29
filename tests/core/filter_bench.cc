// What filters cost on this machine: recalls at several selectivities, notes of tags, bytes. Prints tables; asserts nothing.
//
//   filter_bench [observations] [dimension]
//
// Ratios within one run mean something; absolute figures drift from hour to hour.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "core/filter.h"
#include "core/record_store.h"
#include "index/space_index.h"
#include "tests/index/vectors.h"

namespace engram::testing {
namespace {

double Micros() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// A filter as it was before tags had bitmaps: a look at every row, and never a walk.
class LookAtEachRow final : public OrdinalSet {
 public:
  LookAtEachRow(const FilterSpec& spec, const RecordStore& records) : spec_(spec), records_(records) {}
  bool Matches(Ordinal ordinal) const override {
    return records_.FindTag(ordinal, spec_.all_tags[0].first) == spec_.all_tags[0].second;
  }
  size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const override {
    size_t listed = 0;
    for (Ordinal at = from; at < end && listed < out.size(); ++at) {
      if (Matches(at)) out[listed++] = at;
    }
    return listed;
  }
  uint64_t estimate() const override { return 0; }

 private:
  const FilterSpec& spec_;
  const RecordStore& records_;
};

// The same bitmap, made to walk or to scan.
class Forced final : public OrdinalSet {
 public:
  Forced(const OrdinalSet& set, uint64_t estimate) : set_(set), estimate_(estimate) {}
  bool Matches(Ordinal ordinal) const override { return set_.Matches(ordinal); }
  size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const override { return set_.List(from, end, out); }
  uint64_t estimate() const override { return estimate_; }

 private:
  const OrdinalSet& set_;
  const uint64_t estimate_;
};

struct Outcome {
  double p50_us = 0;
  double recall = 0;
  double compared = 0;
};

template <typename MakeSet>
Outcome Measure(const SpaceIndex& index, const std::vector<Vector>& cues,
                const std::vector<std::set<Ordinal>>& truth, const MakeSet& make) {
  std::vector<double> times;
  Outcome outcome;
  for (size_t i = 0; i < cues.size(); ++i) {
    const double begin = Micros();
    const IndexView view = index.Pin();
    SearchRequest request;
    request.query = cues[i];
    request.k = 10;
    request.ef = 64;
    const auto result = make(view, request, index);
    times.push_back(Micros() - begin);
    size_t right = 0;
    for (const SearchHit& hit : result.hits) right += truth[i].contains(hit.ordinal);
    outcome.recall += static_cast<double>(right) / static_cast<double>(truth[i].size()) / static_cast<double>(cues.size());
    outcome.compared += static_cast<double>(result.graph_candidates + result.tail_scanned) / static_cast<double>(cues.size());
  }
  std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2), times.end());
  outcome.p50_us = times[times.size() / 2];
  return outcome;
}

void Run(size_t count, uint32_t dimension) {
  IndexOptions options;
  options.dimension = dimension;
  options.keep_rows = true;
  const auto index = SpaceIndex::Create(options);
  RecordStore records(false);
  ClusteredVectors source(1, dimension, 100);
  std::mt19937_64 random(1);
  double rows_us = 0, tags_us = 0;
  TagIndex again(records);
  for (size_t at = 0; at < count; at += 200) {
    std::vector<Vector> vectors = source.Next(200);
    std::vector<std::string> ids, values;
    for (size_t i = 0; i < 200; ++i) {
      ids.push_back(fmt::format("obs-{}", at + i));
      for (const uint64_t one_in : {2, 10, 100, 1000}) values.push_back(random() % one_in == 0 ? "yes" : "no");
      values.push_back(fmt::format("user {}", random() % 1000));
      values.push_back(fmt::format("request {}", at + i));
    }
    std::vector<TagView> tags;
    const std::vector<std::string> keys = {"2", "10", "100", "1000", "user", "request"};
    for (size_t i = 0; i < values.size(); ++i) tags.push_back({keys[i % 6], values[i]});
    std::vector<ObservationView> observations(200);
    std::vector<SpaceIndex::Entry> entries;
    for (size_t i = 0; i < 200; ++i) {
      observations[i].id = ids[i];
      observations[i].embedding = AsEmbedding(vectors[i]);
      observations[i].tags = std::span(tags).subspan(i * 6, 6);
      observations[i].observed_at_us = static_cast<int64_t>(at + i);
      observations[i].confidence = static_cast<float>(random() % 100) / 100;
      entries.push_back({ids[i], observations[i].embedding});
    }
    double begin = Micros();
    records.Append(static_cast<Ordinal>(at), observations, 1, {});
    rows_us += Micros() - begin;
    begin = Micros();
    again.Append(static_cast<Ordinal>(at), observations);
    tags_us += Micros() - begin;
    index->Append(entries);
  }
  fmt::print("\n{} observations of {} dimensions, six tags each: rows {:.0f} ns, of that tags {:.0f} ns; tags {:.1f} bytes each\n",
             count, dimension, 1e3 * rows_us / static_cast<double>(count), 1e3 * tags_us / static_cast<double>(count),
             static_cast<double>(records.tags().bytes()) / static_cast<double>(count));
  while (index->link_backlog() != 0) index->Link(10'000, nullptr);

  const std::vector<Vector> cues = source.Next(60);
  fmt::print("{:>8} {:>12} {:>12} {:>12} {:>12} {:>22} {:>22}\n", "share", "before p50", "after p50", "compile", "recall@10",
             "scan p50 (compared)", "walk p50 (compared)");
  for (const char* key : {"2", "10", "100", "1000"}) {
    FilterSpec spec;
    spec.all_tags = {{key, "yes"}};
    const IndexView now = index->Pin();
    const Filter whole(spec, records, *index, now, std::nullopt);
    std::vector<std::set<Ordinal>> truth;
    for (const Vector& cue : cues) {
      SearchRequest request;
      request.query = cue;
      request.exact = true;
      request.filter = &whole;
      auto& right = truth.emplace_back();
      for (const SearchHit& hit : index->Search(request, now).hits) right.insert(hit.ordinal);
    }
    const auto with = [&](const OrdinalSet& set, IndexView view, SearchRequest& request, const SpaceIndex& in) {
      request.filter = &set;
      return in.Search(request, view);
    };
    const Outcome before = Measure(*index, cues, truth, [&](IndexView view, SearchRequest& request, const SpaceIndex& in) {
      return with(LookAtEachRow(spec, records), view, request, in);
    });
    const Outcome after = Measure(*index, cues, truth, [&](IndexView view, SearchRequest& request, const SpaceIndex& in) {
      return with(Filter(spec, records, in, view, std::nullopt), view, request, in);
    });
    const Outcome scan = Measure(*index, cues, truth, [&](IndexView view, SearchRequest& request, const SpaceIndex& in) {
      return with(Forced(whole, 0), view, request, in);
    });
    const Outcome walk = Measure(*index, cues, truth, [&](IndexView view, SearchRequest& request, const SpaceIndex& in) {
      return with(Forced(whole, UINT64_MAX), view, request, in);
    });
    double begin = Micros();
    for (int i = 0; i < 20; ++i) Filter(spec, records, *index, now, std::nullopt);
    fmt::print("{:>8} {:>10.0f}us {:>10.0f}us {:>10.1f}us {:>12.3f} {:>11.0f}us {:>9.0f} {:>11.0f}us {:>9.0f} r {:.3f}\n",
               std::string("1/") + key, before.p50_us, after.p50_us, (Micros() - begin) / 20, after.recall, scan.p50_us,
               scan.compared, walk.p50_us, walk.compared, walk.recall);
  }
}

}  // namespace
}  // namespace engram::testing

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  const auto dimension = static_cast<uint32_t>(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 128);
  engram::testing::Run(count, dimension);
}
