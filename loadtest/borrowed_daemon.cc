#include "loadtest/borrowed_daemon.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr std::chrono::seconds kCall{30}, kStatusCall{10};
constexpr int64_t kOverPatience = 10 * kNanosPerSecond, kBetweenLooks = 10'000'000;

void SetDeadline(grpc::ClientContext& context, std::chrono::seconds patience) {
  context.set_deadline(std::chrono::system_clock::now() + patience);
}

bool IsFault(const LoadEvent& event) { return event.kind == LoadEvent::Kind::kFault; }

}  // namespace

absl::Status CheckForBorrowed(const Scenario& scenario) {
  std::vector<std::string> needs;
  for (const LoadEvent& event : scenario.events) {
    const char* what = event.kind == LoadEvent::Kind::kKill                               ? "kill"
                       : event.kind == LoadEvent::Kind::kFreeze                           ? "freeze"
                       : IsFault(event) && event.fault.kind() == v1::FaultKind::BROKEN_DISK ? "fault broken-disk"
                                                                                            : nullptr;
    if (what != nullptr) needs.push_back(fmt::format("{} at {} s", what, event.at_seconds));
  }
  if (needs.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "scenario {} cannot be run against a daemon that runs for others: it has {}; leave out --running, or take that out",
      scenario.name, fmt::join(needs, ", ")));
}

BorrowedDaemon::BorrowedDaemon(const std::string& address)
    : memory_(v1::MemoryService::NewStub(ConnectTo(address))),
      admin_(v1::AdminService::NewStub(ConnectTo(address))),
      at_interrupt_([this] {
        interrupted_.store(true);
        const int64_t until = NowNanos() + kOverPatience;
        while (!load_over_.load() && NowNanos() < until) SleepUntilNanos(NowNanos() + kBetweenLooks);
        GiveBack().IgnoreError();
      }) {}

BorrowedDaemon::~BorrowedDaemon() { GiveBack().IgnoreError(); }

absl::StatusOr<v1::GetStatusResponse> BorrowedDaemon::Look() {
  grpc::ClientContext context;
  SetDeadline(context, kStatusCall);
  v1::GetStatusResponse status;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(admin_->GetStatus(&context, {}, &status), "status of the daemon"));
  if (started_at_us_ == 0) started_at_us_ = status.started_at_us();
  return status;
}

absl::Status BorrowedDaemon::CheckFaults(const Scenario& scenario) {
  if (std::none_of(scenario.events.begin(), scenario.events.end(), IsFault)) return absl::OkStatus();
  // There is no other way to ask; and what others broke would disturb the load.
  return Heal();
}

absl::Status BorrowedDaemon::StayedUp() {
  const int64_t before = started_at_us_;
  ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, Look());
  if (status.started_at_us() == before) return absl::OkStatus();
  return absl::UnavailableError("the daemon was started anew during the load");
}

void BorrowedDaemon::Made(const std::string& space) {
  MutexLock lock(mu_);
  spaces_.push_back(space);
}

void BorrowedDaemon::Broke() {
  MutexLock lock(mu_);
  broken_ = true;
}

absl::Status BorrowedDaemon::Heal() {
  grpc::ClientContext context;
  SetDeadline(context, kCall);
  v1::InjectFaultRequest request;
  request.set_kind(v1::FaultKind::HEAL);
  v1::InjectFaultResponse response;
  return FromGrpc(admin_->InjectFault(&context, request, &response), "heal the daemon");
}

absl::Status BorrowedDaemon::GiveBack() {
  MutexLock lock(mu_);
  // First: a stalled daemon deletes nothing.
  if (broken_) ENGRAM_RETURN_IF_ERROR(Heal());
  broken_ = false;
  while (!spaces_.empty()) {
    grpc::ClientContext context;
    SetDeadline(context, kCall);
    v1::DeleteSpaceRequest request;
    request.set_name(spaces_.back());
    v1::DeleteSpaceResponse response;
    const absl::Status deleted =
        FromGrpc(memory_->DeleteSpace(&context, request, &response), "delete space " + spaces_.back());
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;
    spaces_.pop_back();
  }
  return absl::OkStatus();
}

}  // namespace engram
