// In steady state nothing is allocated per observation between Submit and its acknowledgement: operator new is counted,
// of every thread of the engine and of its journal on disk, for small frames and for large ones.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/journal/segmented_journal.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/temp_directory.h"

namespace {
// Atomic: every thread allocates. Relaxed: read when what it counts is over.
std::atomic<bool> counting{false};
std::atomic<uint64_t> allocations{0};

void* Allocate(size_t size, size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
  void* got = nullptr;
  if (posix_memalign(&got, std::max(alignment, sizeof(void*)), std::max<size_t>(size, 1)) != 0) std::abort();
  return got;
}
}  // namespace

// The forms with nothrow and for arrays come down to these.
void* operator new(size_t size) { return Allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, std::align_val_t alignment) { return Allocate(size, static_cast<size_t>(alignment)); }
void operator delete(void* got) noexcept { std::free(got); }
void operator delete(void* got, size_t) noexcept { std::free(got); }
void operator delete(void* got, std::align_val_t) noexcept { std::free(got); }
void operator delete(void* got, size_t, std::align_val_t) noexcept { std::free(got); }

namespace engram::testing {
namespace {

// Outlives the engine of the fixture.
struct Disk {
  TempDirectory place_;
  std::unique_ptr<Directory> on_disk_;
  JournalObserver observer_;
};

class SteadyState : public Disk, public EngineFixture {
 protected:
  SteadyState() {
    auto directory = OpenPosixDirectory(place_.path(), /*create=*/false);
    ENGRAM_CHECK(directory.ok());
    on_disk_ = *std::move(directory);
    JournalOptions options;
    options.segment_bytes = 64 << 20;
    options.spare_segments = 1;
    auto journal = SegmentedJournal::Open(on_disk_.get(), options, &real_clock_, &observer_);
    ENGRAM_CHECK(journal.ok());
    journal_ = *std::move(journal);
    settings_.num_workers = 2;
    settings_.min_batch_size = 100;
    settings_.max_batch_size = 1000;
    // Only what is scanned: graph links are made behind the acknowledgement.
    settings_.index_flat_threshold = 100'000'000;
  }

  ObservationBatch Frame(size_t size) {
    std::vector<TestObservation> observations(size);
    for (TestObservation& one : observations) {
      // Longer than what a string holds in itself.
      one.id = fmt::format("an id of some length, number {:08}", next_id_++ % kIds);
      one.embedding.assign(32, static_cast<float>(next_id_ % 97 + 1));
      one.content = fmt::format("what was observed as number {}", next_id_);
      one.tags = {{"lang", "en"}, {"source", "a test"}};
    }
    return MakeBatch(std::move(observations));
  }

  // Allocations per frame.
  double Measure(ObserveStream& stream, Waker& waker, size_t frames, size_t size) {
    std::vector<ObservationBatch> batches;
    for (size_t i = 0; i < frames; ++i) batches.push_back(Frame(size));
    allocations.store(0);
    counting.store(true);
    for (ObservationBatch& batch : batches) {
      stream.Submit(next_sequence_, Priority::kNormal, std::move(batch));
      next_sequence_ += size;
      AwaitReached(stream, waker);
    }
    counting.store(false);
    return static_cast<double>(allocations.load()) / static_cast<double>(frames);
  }

  static constexpr size_t kIds = 4096;
  size_t next_id_ = 0;
  uint64_t next_sequence_ = 1;
};

class SteadyStateIn : public SteadyState, public ::testing::WithParamInterface<std::string> {
 protected:
  SteadyStateIn() { settings_.storage_embeddings = GetParam(); }
};

TEST_P(SteadyStateIn, NothingIsAllocatedPerObservationBetweenSubmitAndAcknowledgement) {
  Waker waker;
  auto stream = engine().OpenStream({.space = "s", .stream_id = "stream"}, &waker);
  ASSERT_TRUE(stream.ok()) << stream.status();
  // Every id, every pool and every vector that is used again.
  Measure(**stream, waker, 40, 512);
  Measure(**stream, waker, 40, 64);

  const double small = Measure(**stream, waker, 64, 64);
  const double large = Measure(**stream, waker, 64, 512);
  const double each = (large - small) / (512 - 64);
  std::printf("allocations: %.1f a frame of 64, %.1f a frame of 512, %.4f an observation\n", small, large, each);
  RecordProperty("per_observation", fmt::format("{:.4f}", each));
  EXPECT_LT(small, 40);
  // Not quite none: a frame of 512 is up to five batches, each a record of the log with a few allocations of its own,
  // and slab and columns grow by chunks of 1024 observations.
  EXPECT_LT(each, 0.1);
  (*stream)->Close();
}

INSTANTIATE_TEST_SUITE_P(Embeddings, SteadyStateIn, ::testing::Values("as_sent", "f16"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace engram::testing
