// What settings must be to one another.
//
// Threads: pure functions. Errors: returned, as what is wrong between which two settings.
#pragma once

#include <string_view>
#include <vector>

#include "config/settings.h"

namespace engram {

struct BrokenRelation {
  std::string_view first;
  std::string_view second;
  // What is allowed of each: "at most max_batch_size" of the first, "at least min_batch_size" of the second.
  std::string_view first_allowed;
  std::string_view second_allowed;
  // The settings work all the same, not as one might expect.
  bool only_warning = false;
};

std::vector<BrokenRelation> BrokenRelations(const Settings& settings);

// All there are, each as it reads when it is broken.
std::vector<BrokenRelation> AllRelations();

}  // namespace engram
