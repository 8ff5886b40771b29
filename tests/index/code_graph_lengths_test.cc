// Walks by bytes where distances differ by many orders of magnitude: what is close must not drown in what is far.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "index/code_distance.h"
#include "index/code_graph.h"
#include "tests/index/coded_vectors.h"

namespace engram {
namespace {

using testing::Vector;

constexpr uint64_t kSeed = 17;
constexpr uint32_t kDimension = 128;
constexpr uint32_t kWidth = 64;
constexpr size_t kClusters = 5;
constexpr size_t kRows = 200 * kClusters;
constexpr size_t kCues = 100;

bool Has(const std::vector<CodeGraph::Found>& found, Ordinal ordinal) {
  return std::any_of(found.begin(), found.end(), [ordinal](const auto& f) { return f.ordinal == ordinal; });
}

class CodeGraphLengthsTest : public ::testing::Test {
 protected:
  static Vector Near(std::mt19937_64& random, const Vector& centre, float spread) {
    Vector vector = testing::GaussianVector(random, kDimension);
    for (uint32_t d = 0; d < kDimension; ++d) vector[d] = centre[d] + spread * vector[d];
    return vector;
  }
  void Build(Metric metric, std::vector<Vector> vectors, std::vector<Vector> cues) {
    metric_ = metric;
    vectors_ = std::move(vectors);
    cues_ = std::move(cues);
    graph_.reset();
    slab_.emplace(metric, kDimension);
    testing::Fill(*slab_, vectors_);
    graph_.emplace(*slab_, CodeGraphOptions{});
    for (Ordinal o = 0; o < kRows; ++o) ASSERT_TRUE(graph_->Insert(o));
  }
  // Vectors about `spread` of their centre's length away from it, one of them `by` times as long as it was.
  void Cluster(Metric metric, float spread, Ordinal long_one = kNoOrdinal, float by = 1) {
    std::mt19937_64 random(kSeed);
    std::vector<Vector> centres, vectors, cues;
    while (centres.size() < kClusters) centres.push_back(testing::GaussianVector(random, kDimension));
    while (vectors.size() < kRows) vectors.push_back(Near(random, centres[random() % kClusters], spread));
    while (cues.size() < kCues) cues.push_back(Near(random, centres[random() % kClusters], spread));
    long_one_ = long_one;
    if (long_one != kNoOrdinal) {
      for (float& element : vectors[long_one]) element *= by;
    }
    Build(metric, std::move(vectors), std::move(cues));
  }

  std::vector<CodeGraph::Found> Search(const Vector& cue, const OrdinalSet* among = nullptr) const {
    auto walk = graph_->Search(CodeQuery(slab_->coder(), cue), kWidth, {.end = kRows, .visible = kRows, .among = among});
    EXPECT_TRUE(walk.has_value());
    std::erase_if(walk->found, [&](const auto& found) { return found.ordinal == long_one_; });
    return std::move(walk->found);
  }

  // The share of the ten that are the closest in full precision, apart from the long one, that a recall comes back with.
  double RecallAt10() const {
    int had = 0;
    for (const Vector& cue : cues_) {
      std::vector<Ordinal> truth = testing::Nearest(*slab_, metric_, vectors_, cue, 11);
      std::erase(truth, long_one_);
      truth.resize(10);
      const std::vector<Ordinal> best = testing::Reranked(Search(cue), metric_, vectors_, cue);
      for (const Ordinal o : truth) had += std::find(best.begin(), best.end(), o) != best.end();
    }
    return had / (10.0 * kCues);
  }

  // The same of the `most` that are the closest by their codes, which is all a walk can know.
  double RecallByCodes(size_t most, const OrdinalSet* among = nullptr) const {
    const CodeDistance distance(*slab_);
    size_t had = 0;
    for (const Vector& cue : cues_) {
      const CodeQuery query(slab_->coder(), cue);
      std::vector<std::pair<float, Ordinal>> truth;
      for (Ordinal o = 0; o < kRows; ++o) {
        if (o == long_one_ || (among != nullptr && !among->Matches(o))) continue;
        truth.emplace_back(distance.Between(CodeDistance::PointOf(query), distance.PointOf(o)), o);
      }
      std::sort(truth.begin(), truth.end());
      truth.resize(most);
      const auto found = Search(cue, among);
      for (const auto& [_, o] : truth) had += Has(found, o);
    }
    return static_cast<double>(had) / static_cast<double>(most * kCues);
  }

  // How many are not found by their own vector.
  int Missed() const {
    int missed = 0;
    for (Ordinal o = 0; o < kRows; ++o) {
      if (o == long_one_) continue;
      missed += !Has(Search(vectors_[o]), o);
    }
    return missed;
  }

  Metric metric_ = Metric::kL2;
  std::vector<Vector> vectors_;
  std::vector<Vector> cues_;
  Ordinal long_one_ = kNoOrdinal;
  std::optional<CodeSlab> slab_;
  std::optional<CodeGraph> graph_;
};

// One that is far longer than the rest takes all others for equally far, if the steps are to reach as far as it.
TEST_F(CodeGraphLengthsTest, OneLongVectorHidesNoOther) {
  const testing::OrdinalFilter some([](Ordinal o) { return o % 10 == 3; });
  for (const float by : {1e3f, 1e6f, 1e15f}) {
    for (const Ordinal at : {0u, 700u}) {
      SCOPED_TRACE(::testing::Message() << "seed " << kSeed << ", vector " << at << " by " << by);
      Cluster(Metric::kL2, 0.3f, at, by);
      EXPECT_EQ(Missed(), 0);
      EXPECT_GE(RecallAt10(), 0.99);
      EXPECT_GE(RecallByCodes(10, &some), 0.999);
    }
  }
}

// The long one may be the closest there is. Without it 0.999 are found; lists that lead to it lead to little else.
TEST_F(CodeGraphLengthsTest, NorDoesItByInnerProduct) {
  for (const float by : {1e3f, 1e6f, 1e15f}) {
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed << " by " << by);
    Cluster(Metric::kInnerProduct, 1, 700, by);
    EXPECT_GE(RecallAt10(), 0.95);
  }
}

// A walk comes from where all of a cluster are equally far.
TEST_F(CodeGraphLengthsTest, VectorsOfATightClusterAreToldApart) {
  for (const float spread : {0.01f, 0.02f, 0.05f}) {
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed << ", spread " << spread);
    Cluster(Metric::kL2, spread);
    EXPECT_LE(Missed(), 1) << "which no list leads to from there";
    EXPECT_GE(RecallByCodes(10), 0.999);
  }
}

// Codes that come out a thousandth too long are no closer than others.
TEST_F(CodeGraphLengthsTest, NearCopiesAreToldApart) {
  for (const float spread : {0.03f, 0.05f, 0.1f}) {
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed << ", spread " << spread);
    Cluster(Metric::kCosine, spread);
    EXPECT_LE(Missed(), 1) << "which no list leads to from there";
    EXPECT_GE(RecallAt10(), 0.97);
  }
}

}  // namespace
}  // namespace engram
