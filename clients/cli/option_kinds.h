// The kinds of options `engram` has: words to choose from, files, durations, conditions on observations. options.cc
// puts commands together from them; what completion offers is noted on the way.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "clients/cli/options.h"

namespace engram {

// Lives as long as the CLI::App whose options point into it. The options throw CLI::ValidationError while the command
// line is parsed.
class OptionKinds {
 protected:
  static CLI::App* Command(CLI::App* parent, const std::string& name, const std::string& help,
                           const std::string& examples);
  void SpaceArgument(CLI::App* sub, std::string* space);
  CLI::Option* Words(CLI::Option* option, const std::vector<std::string>& words);
  CLI::Option* File(CLI::Option* option);
  struct Span {
    int64_t least_us = 1;
    int64_t most_us = INT64_MAX;
  };
  // Longer than 0, and within `span`.
  static void Duration(CLI::App* app, const std::string& name, int64_t* micros, const std::string& help,
                       const Span& span);
  static void Duration(CLI::App* app, const std::string& name, int64_t* micros, const std::string& help) {
    Duration(app, name, micros, help, Span());
  }
  // --tag, --any-tag, --not-tag, --from, --to, --min-confidence: into filter().
  void FilterOptions(CLI::App* sub);

  const v1::Filter& filter() const { return filter_; }
  // Some condition was given.
  bool has_filter() const { return has_filter_; }

  // Appends the command `app` and those below it.
  void Offer(const std::string& name, CLI::App* app, std::vector<OfferedCommand>* out);

 private:
  void Tags(CLI::App* sub, const std::string& name, google::protobuf::Map<std::string, std::string>* tags,
            const std::string& help);
  void Instant(CLI::App* sub, const std::string& name, const std::function<void(int64_t)>& set,
               const std::string& help);

  v1::Filter filter_;
  bool has_filter_ = false;
  std::set<const CLI::App*> takes_space_;
  std::set<const CLI::Option*> takes_file_;
  std::map<const CLI::Option*, std::vector<std::string>> words_;
};

}  // namespace engram
