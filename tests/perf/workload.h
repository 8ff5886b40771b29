// Fixed pieces of the daemon's work, whose instructions are counted: the same input and the same steps in every run.
//
// Threads:   one; no workload starts another. Ownership: a workload owns its input.
// Blocking:  never. Errors: what does not come out as it must stops the program.
// Why:       what takes 5 % more instructions is seen on any machine, however busy; a clock needs minutes for as much.
//            Workloads stay at front doors (SpaceIndex, Lane, DecodeStreamFrame), so that one of a commit can be built
//            on another.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace engram::perf {

class Workload {
 public:
  virtual ~Workload() = default;
  // What is counted. Called once.
  virtual void Run() = 0;
  // How many there are in a Run.
  virtual uint64_t operations() const = 0;
};

struct NamedWorkload {
  std::string_view name;
  // What an operation is.
  std::string_view operation;
  // Makes the input, and whatever must be there before; not counted.
  std::unique_ptr<Workload> (*make)();
};

std::span<const NamedWorkload> IngestWorkloads();
std::span<const NamedWorkload> IndexWorkloads();
std::unique_ptr<Workload> MakeDecodeWorkload();

}  // namespace engram::perf
