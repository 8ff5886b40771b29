// Not a test: an engine in memory that takes 30 720 observations, so that callgrind can count what tracing costs:
//   valgrind --tool=callgrind trace_cost 0.001
// The argument is trace.sample_rate; nothing is slow, for under valgrind everything would be.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/journal/journal.h"
#include "core/stream/thread_executor.h"
#include "core/trace/tracer.h"
#include "tests/support/observations.h"

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  constexpr uint64_t kFrames = 120, kInFrame = 256;
  engram::Settings settings;
  settings.num_workers = 1;
  settings.index_flat_threshold = 100'000'000;
  settings.trace_sample_rate = argc > 1 ? std::atof(argv[1]) : 0.001;
  settings.trace_slow = 60s;
  engram::RealClock clock;
  engram::Metrics metrics(1, 50);
  engram::ThreadExecutor executor(2);
  engram::EngineDeps deps;
  deps.clock = &clock;
  deps.executor = &executor;
  deps.metrics = &metrics;
  const auto engine = engram::Engine::Create(std::make_shared<const engram::Settings>(settings), std::move(deps));
  engine->Start();
  uint64_t id = 0;
  for (uint64_t frame = 0; frame < kFrames; ++frame) {
    std::vector<engram::testing::TestObservation> observations(kInFrame);
    for (engram::testing::TestObservation& one : observations) {
      one.id = fmt::format("an id of some length, number {:08}", ++id);
      one.embedding.assign(128, static_cast<float>(id % 97 + 1));
      one.content = "a text of about as many bytes as those of the other figures";
      one.tags = {{"lang", "en"}};
    }
    const auto outcome = engine->Observe("notes", engram::testing::MakeBatch(std::move(observations)),
                                         engram::Priority::kNormal, engram::AckLevel::kDurable, clock.Now() + 600s);
    if (!outcome.ok()) return 1;
  }
  std::printf("%llu traces\n", static_cast<unsigned long long>(engine->tracer().ReadState().recorded));
}
