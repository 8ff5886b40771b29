// perf_workloads --about             what it was built with and runs by
// perf_workloads --list              the workloads, one a line
// perf_workloads NAME [ROUNDS]       does one; prints its operations, and of each round the nanoseconds one of them took
//
// Counted is what happens below EngramMeasuredPart, by `valgrind --tool=callgrind --toggle-collect=EngramMeasuredPart`.
#include <fmt/core.h>
#include <gnu/libc-version.h>
#include <time.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "index/code_kernels.h"
#include "index/space_index.h"
#include "tests/perf/workload.h"

// Named so that callgrind finds it without a header of its own.
extern "C" [[gnu::noinline]] void EngramMeasuredPart(engram::perf::Workload& workload) {
  workload.Run();
  // No tail call: the end of this function is the end of counting.
  asm volatile("" ::: "memory");
}

namespace engram::perf {
namespace {

std::vector<NamedWorkload> AllWorkloads() {
  std::vector<NamedWorkload> all;
  for (const auto some : {IngestWorkloads(), IndexWorkloads()}) all.insert(all.end(), some.begin(), some.end());
  return all;
}

double ThreadNanoseconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The counts are those of this.
void PrintAbout() {
  fmt::print("compiler {}\nlibc {}\nkernels {}\ncode_kernels {}\n",
#if defined(__clang__)
             __VERSION__,
#else
             "GCC " __VERSION__,
#endif
             gnu_get_libc_version(), KernelName(), BestCodeKernels().name);
}

void RunOne(const NamedWorkload& named, int rounds) {
  PrintAbout();
  std::unique_ptr<Workload> workload = named.make();
  const uint64_t operations = workload->operations();
  fmt::print("operation {}\noperations {}\n", named.operation, operations);
  if (rounds == 0) return EngramMeasuredPart(*workload);
  for (int round = 0; round < rounds; ++round) {
    if (workload == nullptr) workload = named.make();
    const double begin = ThreadNanoseconds();
    EngramMeasuredPart(*workload);
    fmt::print("nanoseconds {:.2f}\n", (ThreadNanoseconds() - begin) / static_cast<double>(operations));
    workload.reset();
  }
}

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--about") {
    PrintAbout();
    return 0;
  }
  if (arguments.size() == 1 && arguments[0] == "--list") {
    for (const NamedWorkload& named : AllWorkloads()) fmt::print("{}\n", named.name);
    return 0;
  }
  if (arguments.size() == 1 || arguments.size() == 2) {
    const int rounds = arguments.size() == 2 ? std::atoi(arguments[1].c_str()) : 0;
    for (const NamedWorkload& named : AllWorkloads()) {
      if (named.name != arguments[0]) continue;
      RunOne(named, rounds);
      return 0;
    }
  }
  fmt::print(stderr, "perf_workloads: give --about, --list, or the name of a workload and perhaps rounds\n");
  return 64;
}

}  // namespace
}  // namespace engram::perf

int main(int argc, char** argv) { return engram::perf::Main({argv + 1, argv + argc}); }
