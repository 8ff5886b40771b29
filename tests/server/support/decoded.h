// Random batches of observations, and whether a decoded batch is what protobuf makes of the same bytes.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <random>
#include <string>

#include "core/base/types.h"
#include "engram/v1/memory_service.pb.h"

namespace engram::testing {

v1::ObservationBatch RandomBatch(std::mt19937_64& random);

// Empty when they are the same. Observations with a defect are passed over.
std::string ExplainDifference(const ObservationBatch& decoded,
                              const google::protobuf::RepeatedPtrField<v1::Observation>& sent);

}  // namespace engram::testing
