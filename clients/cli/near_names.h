// What somebody who mistyped a name may have meant. Pure, any thread.
#pragma once

#include <string>
#include <vector>

namespace engram {

// Of `names` those that a typing error makes into `name`, nearest first, at most three.
std::vector<std::string> NearNames(const std::string& name, const std::vector<std::string>& names);

}  // namespace engram
