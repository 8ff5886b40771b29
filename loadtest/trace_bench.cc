// What tracing costs: two daemons side by side that take the same frames in turns, one tracing as it does by default, one
// not at all; pair by pair, for neighbours on the machine slow both alike. Told and not judged: chance is larger than what is
// looked for, unless the machine does nothing else; --trace-against-itself shows by how much.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "loadtest/bench.h"
#include "loadtest/dataset.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/space_check.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr uint32_t kDimension = 128;

struct Side {
  std::unique_ptr<Child> daemon;
  std::unique_ptr<v1::MemoryService::Stub> stub;
  std::vector<double> rates, cpu_us;
};

absl::StatusOr<Side> StartSide(const BenchContext& context, const TemporaryDirectory& directory,
                               const std::vector<std::string>& settings) {
  std::vector<std::string> arguments = {"--profile", context.ingest_profile, "--set", "durability.mode=memory"};
  for (const auto& some : {context.settings, settings}) {
    for (const std::string& setting : some) arguments.insert(arguments.end(), {"--set", setting});
  }
  Side side;
  ENGRAM_ASSIGN_OR_RETURN(side.daemon, StartDaemon(context.daemon, arguments, directory));
  side.stub = v1::MemoryService::NewStub(ConnectTo(side.daemon->Ready("grpc")));
  return side;
}

absl::Status RunRound(Side& side, const std::string& space, const std::vector<v1::ObserveStreamRequest>& frames,
                      bool counted) {
  ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(*side.stub, space, kDimension));
  const double cpu_before = side.daemon->CpuSeconds();
  ENGRAM_ASSIGN_OR_RETURN(const ObserveResult result,
                          ObserveFrames(*side.stub, {.space = space, .end_at_once = true}, frames));
  const auto count = static_cast<double>(result.acknowledged);
  if (counted) {
    side.rates.push_back(count / Seconds(result.nanos));
    side.cpu_us.push_back((side.daemon->CpuSeconds() - cpu_before) * 1e6 / count);
  }
  return DeleteSpace(*side.stub, space);
}

// By how many percent the first of each pair is above the second.
Spread Above(const std::vector<double>& some, const std::vector<double>& others) {
  std::vector<double> percent;
  for (size_t i = 0; i < some.size(); ++i) percent.push_back((some[i] / others[i] - 1) * 100);
  return SpreadOf(percent);
}

}  // namespace

absl::Status MeasureTrace(const BenchContext& context, const TracePlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto traced_directory, TemporaryDirectory::Create());
  ENGRAM_ASSIGN_OR_RETURN(const auto untraced_directory, TemporaryDirectory::Create());
  std::vector<std::string> off;
  if (!plan.against_itself) off.emplace_back("trace.sample_rate=0");
  ENGRAM_ASSIGN_OR_RETURN(Side traced, StartSide(context, *traced_directory, {}));
  ENGRAM_ASSIGN_OR_RETURN(Side untraced, StartSide(context, *untraced_directory, off));

  std::vector<SampleText> texts;
  for (size_t i = 0; i < plan.observations; ++i) texts.push_back(RandomText(i));
  const Matrix vectors = RandomMatrix(plan.observations, kDimension, context.seed);
  const std::vector<v1::ObserveStreamRequest> frames = MakeFrames(texts, vectors, plan.batch_size);
  // The first rounds let connections and heaps grow; they are not counted. Who goes first takes turns.
  constexpr uint32_t kUncounted = 2;
  for (uint32_t round = 0; round < plan.rounds + kUncounted; ++round) {
    std::array<Side*, 2> sides = {&traced, &untraced};
    if (round % 2 == 1) std::swap(sides[0], sides[1]);
    for (Side* side : sides) {
      ENGRAM_RETURN_IF_ERROR(RunRound(*side, fmt::format("trace-{}", round), frames, round >= kUncounted));
    }
  }

  const Spread cpu = Above(traced.cpu_us, untraced.cpu_us);
  const Spread rates = Above(traced.rates, untraced.rates);
  report.Heading(fmt::format("Tracing, {}-d: {} rounds of {} observations each, batches of {}, mode memory, profile {}",
                             kDimension, plan.rounds, Grouped(static_cast<double>(plan.observations)), plan.batch_size,
                             context.ingest_profile));
  const auto row = [](const char* name, const Side& side) {
    return std::vector<std::string>{name, Grouped(SpreadOf(side.rates).median),
                                    fmt::format("{:.3f}", SpreadOf(side.cpu_us).median)};
  };
  report.Table({{"", "obs/s", "CPU us/obs"},
                row("traced by default", traced),
                row(plan.against_itself ? "the same again" : "not traced", untraced)});
  report.Line(fmt::format("  pair by pair, median (least .. most): CPU {:+.2f} % ({:+.1f} .. {:+.1f}), rate {:+.2f} %",
                          cpu.median, cpu.least, cpu.most, rates.median));
  report.Put("trace", {{"rounds", plan.rounds},
                       {"observations", plan.observations},
                       {"batch_size", plan.batch_size},
                       {"against_itself", plan.against_itself},
                       {"cpu_percent", ToJson(cpu)},
                       {"rate_percent", ToJson(rates)}});
  ENGRAM_RETURN_IF_ERROR(traced.daemon->Stop());
  return untraced.daemon->Stop();
}

}  // namespace engram
