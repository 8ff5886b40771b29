#include "server/memory_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/frame_decoder.h"
#include "server/grpc_status.h"
#include "server/incoming.h"
#include "server/recall_stream_call.h"
#include "server/wire.h"

namespace engram {
namespace {

constexpr uint32_t kMostInPage = 1000;
constexpr uint32_t kUsualInPage = 100;

// The number a size in a request stands for; 0 is the usual one.
absl::StatusOr<uint32_t> PageSize(uint32_t asked, std::string_view field) {
  if (asked > kMostInPage) {
    return absl::InvalidArgumentError(fmt::format("{} {} is beyond its limit {}", field, asked, kMostInPage));
  }
  return asked == 0 ? kUsualInPage : asked;
}

}  // namespace

MemoryService::MemoryService(const Deps& deps) : deps_(deps) {
  const auto* methods = v1::RecallRequest::descriptor()->file()->FindServiceByName("MemoryService");
  MarkMethodStreamed(
      methods->FindMethodByName("ObserveStream")->index(),
      new grpc::internal::BidiStreamingHandler<MemoryService, grpc::ByteBuffer, v1::ObserveStreamResponse>(
          [](MemoryService* service, grpc::ServerContext* context, ObserveStreamCall::Io* io) {
            return service->RunObserveStream(context, io);
          },
          this));
  MarkMethodStreamed(methods->FindMethodByName("Observe")->index(),
                     new grpc::internal::StreamedUnaryHandler<grpc::ByteBuffer, v1::ObserveResponse>(
                         [this](grpc::ServerContext* context, ObserveIo* io) { return RunObserve(context, io); }));
}

void MemoryService::StopTakingStreams() {
  MutexLock lock(mu_);
  stopping_ = true;
  for (ObserveStreamCall* call : open_) call->EndUnstarted();
}

absl::Status MemoryService::CheckOpen() const {
  if (open_for_calls_.load(std::memory_order_acquire)) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("the daemon is recovering, {:.0f} % is read", 100 * deps_.recovered()));
}

grpc::Status MemoryService::InSlot(const std::function<absl::Status()>& body) { return InSlot(*deps_.calls, body); }

grpc::Status MemoryService::InSlot(CallSlots& slots, const std::function<absl::Status()>& body) {
  if (const absl::Status open = CheckOpen(); !open.ok()) return ToGrpc(open);
  auto slot = slots.Take();
  return ToGrpc(slot.ok() ? body() : slot.status());
}

grpc::Status MemoryService::RunObserveStream(grpc::ServerContext* context, ObserveStreamCall::Io* io) {
  if (const absl::Status open = CheckOpen(); !open.ok()) return ToGrpc(open);
  auto slot = deps_.streams->Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  ObserveStreamCall call({.engine = deps_.engine, .pool = deps_.pool, .clock = deps_.clock, .max_message_bytes = deps_.max_message_bytes},
                         context, io);
  {
    MutexLock lock(mu_);
    if (stopping_) return {grpc::StatusCode::UNAVAILABLE, "the daemon drains: it takes no new streams"};
    open_.insert(&call);
  }
  const grpc::Status status = call.Run();
  MutexLock lock(mu_);
  open_.erase(&call);
  return status;
}

grpc::Status MemoryService::RunObserve(grpc::ServerContext* context, ObserveIo* io) {
  return InSlot([&]() -> absl::Status {
    grpc::ByteBuffer bytes;
    if (!io->Read(&bytes)) return absl::InvalidArgumentError("the call carries no request");
    v1::ObserveResponse response;
    ENGRAM_RETURN_IF_ERROR(ObserveBytes(*context, bytes, response));
    io->Write(response);
    return absl::OkStatus();
  });
}

absl::Status MemoryService::ObserveBytes(grpc::ServerContext& context, grpc::ByteBuffer& bytes,
                                         v1::ObserveResponse& response) {
  const MonotonicTime deadline = DeadlineOf(context, *deps_.clock);
  const auto settings = deps_.engine->settings();
  const uint64_t most = settings->limits_max_batch_observations;
  FrameArrival arrival{.received = deps_.clock->Now()};
  auto frame = TakeFrame(*deps_.pool, bytes);
  arrival.bytes = frame->bytes().size();
  arrival.reused = frame->reused();
  ENGRAM_ASSIGN_OR_RETURN(ObserveCall call,
                          DecodeObserveRequest(*deps_.pool, std::move(frame),
                                               {.max_observations = most, .max_tags = settings->limits_max_tags}));
  arrival.decoded = deps_.clock->Now();
  call.batch.arrival = arrival;
  const size_t count = call.batch.observations.size();
  if (count == 0 || count > most) {
    return absl::InvalidArgumentError(fmt::format(
        "request has {} observations, limits.max_batch_observations is {} and at least 1 is wanted", count, most));
  }
  ENGRAM_ASSIGN_OR_RETURN(const AckLevel level, DecodeAckLevel(call.ack_level));
  ENGRAM_ASSIGN_OR_RETURN(const ObserveOutcome outcome,
                          deps_.engine->Observe(call.space, std::move(call.batch), call.priority, level, deadline));
  response.set_accepted(outcome.accepted);
  for (const std::string& id : outcome.ids) response.add_ids(id);
  for (const Rejected& rejected : outcome.rejected) Encode(rejected, response.add_rejected());
  if (level != AckLevel::kReceived && outcome.token != Token{}) Encode(outcome.token, response.mutable_token());
  response.set_level(static_cast<v1::AckLevel>(level));
  response.set_durability(static_cast<v1::Durability>(deps_.engine->durability()));
  return absl::OkStatus();
}

grpc::Status MemoryService::Recall(grpc::ServerContext* context, const v1::RecallRequest* request,
                                   v1::RecallResponse* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const RecallQuery query, DecodeRecall(*request));
    ENGRAM_ASSIGN_OR_RETURN(const RecallAnswer answer, deps_.engine->Recall(query, DeadlineOf(*context, *deps_.clock)));
    for (const ObservationHit& hit : answer.hits) Encode(hit, response->add_hits());
    EncodeCoverage(answer, response->mutable_coverage());
    response->set_elapsed_us(answer.elapsed.count());
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::RecallStream(grpc::ServerContext* context, const v1::RecallStreamRequest* request,
                                         grpc::ServerWriter<v1::RecallStreamResponse>* writer) {
  const auto run = [&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const size_t size, PageSize(request->batch_size(), "batch_size"));
    return RecallStreamCall(deps_.engine, deps_.clock, context, writer).Run(*request, size);
  };
  // An answer whose client does not read keeps no call from being answered.
  return InSlot(request->follow() ? *deps_.followers : *deps_.answers, run);
}

grpc::Status MemoryService::GetObservations(grpc::ServerContext*, const v1::GetObservationsRequest* request,
                                            v1::GetObservationsResponse* response) {
  return InSlot([&]() -> absl::Status {
    if (request->ids_size() == 0 || request->ids_size() > kMostIds) {
      return absl::InvalidArgumentError(
          fmt::format("request names {} ids, 1 to {} are taken", request->ids_size(), kMostIds));
    }
    const std::vector<std::string> ids(request->ids().begin(), request->ids().end());
    ENGRAM_ASSIGN_OR_RETURN(const GetAnswer answer, deps_.engine->Get(request->space(), ids));
    for (const ObservationHit& hit : answer.observations) {
      Encode(hit, request->include_embedding(), response->add_observations());
    }
    for (const std::string& id : answer.missing) response->add_missing(id);
    for (const std::string& id : answer.unreadable) response->add_unreadable(id);
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                                   v1::ForgetResponse* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const ForgetQuery query, DecodeForget(*request));
    ENGRAM_ASSIGN_OR_RETURN(const ForgetAnswer answer, deps_.engine->Forget(query));
    response->set_forgotten(answer.forgotten);
    for (const std::string& id : answer.missing) response->add_missing(id);
    if (answer.token != Token{}) Encode(answer.token, response->mutable_token());
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::CreateSpace(grpc::ServerContext*, const v1::CreateSpaceRequest* request,
                                        v1::Space* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const SpaceConfig config, DecodeSpaceConfig(request->config()));
    ENGRAM_ASSIGN_OR_RETURN(const SpaceInfo info, deps_.engine->CreateSpace(request->name(), config));
    Encode(info, response);
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::GetSpace(grpc::ServerContext*, const v1::GetSpaceRequest* request, v1::Space* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const SpaceInfo info, deps_.engine->GetSpace(request->name()));
    Encode(info, response);
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::ListSpaces(grpc::ServerContext*, const v1::ListSpacesRequest* request,
                                       v1::ListSpacesResponse* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const size_t size, PageSize(request->page_size(), "page_size"));
    // A page's token is its last name; one more than asked tells whether there is another page.
    std::vector<SpaceInfo> spaces = deps_.engine->ListSpaces(request->prefix(), request->page_token(), size + 1);
    if (spaces.size() > size) {
      spaces.resize(size);
      response->set_next_page_token(spaces.back().name);
    }
    for (const SpaceInfo& info : spaces) Encode(info, response->add_spaces());
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::UpdateSpace(grpc::ServerContext*, const v1::UpdateSpaceRequest* request,
                                        v1::Space* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const SpaceInfo info,
                            deps_.engine->UpdateSpace(request->name(), DecodeSpaceChange(*request)));
    Encode(info, response);
    return absl::OkStatus();
  });
}

grpc::Status MemoryService::DeleteSpace(grpc::ServerContext*, const v1::DeleteSpaceRequest* request,
                                        v1::DeleteSpaceResponse* response) {
  return InSlot([&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const uint64_t forgotten, deps_.engine->DeleteSpace(request->name()));
    response->set_forgotten(forgotten);
    return absl::OkStatus();
  });
}

}  // namespace engram
