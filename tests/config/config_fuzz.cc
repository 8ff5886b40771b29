// Any bytes as a configuration file: the loader answers with settings or with faults, each on one line of UTF-8.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/fault.h"
#include "config/loader.h"
#include "config/print.h"
#include "core/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  engram::LoadRequest request;
  request.cores = 64;
  const engram::LoadResult result = engram::LoadConfigText("fuzz.yaml", text, request);
  for (const engram::Fault& fault : result.faults) {
    const std::string line = fault.Render();
    ENGRAM_CHECK(line.find('\n') == std::string::npos);
    ENGRAM_CHECK(engram::IsUtf8(line));
  }
  if (!result.ok()) return 0;
  // What was taken prints as something that is taken as the same.
  const std::string printed = engram::RenderYaml(result.settings, result.origins);
  const engram::LoadResult again = engram::LoadConfigText("printed.yaml", printed, request);
  ENGRAM_CHECK(again.ok());
  ENGRAM_CHECK(again.settings == result.settings);
  return 0;
}
