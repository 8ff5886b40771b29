#include "clients/cli/option_kinds.h"

#include <fmt/format.h>

#include <chrono>

#include "clients/cli/time_text.h"

namespace engram {
namespace {

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int64_t ValueOrThrow(const absl::StatusOr<int64_t>& value) {
  if (!value.ok()) throw CLI::ValidationError(std::string(value.status().message()));
  return *value;
}

}  // namespace

CLI::App* OptionKinds::Command(CLI::App* parent, const std::string& name, const std::string& help,
                               const std::string& examples) {
  CLI::App* sub = parent->add_subcommand(name, help);
  if (!examples.empty()) sub->footer("Examples:\n" + examples);
  return sub;
}

void OptionKinds::SpaceArgument(CLI::App* sub, std::string* space) {
  takes_space_.insert(sub);
  sub->add_option("space", *space, "The memory space")->required()->type_name("");
}

CLI::Option* OptionKinds::Words(CLI::Option* option, const std::vector<std::string>& words) {
  words_[option] = words;
  const std::string all = fmt::format("{}", fmt::join(words, "|"));
  const auto known = [words, all](std::string& given) {
    for (const std::string& word : words) {
      if (given == word) return std::string();
    }
    return fmt::format("\"{}\" is none of {}", given, all);
  };
  return option->check(CLI::Validator(known, "", ""))->type_name(all);
}

CLI::Option* OptionKinds::File(CLI::Option* option) {
  takes_file_.insert(option);
  return option->type_name("FILE");
}

void OptionKinds::Duration(CLI::App* app, const std::string& name, int64_t* micros, const std::string& help,
                           const Span& span) {
  const auto set = [micros, span](const std::string& text) {
    *micros = ValueOrThrow(ParseDuration(text));
    if (*micros == 0) throw CLI::ValidationError("the duration has to be longer than 0");
    if (*micros < span.least_us || *micros > span.most_us) {
      throw CLI::ValidationError(fmt::format("a duration of {}; allowed: {} to {}", FormatDuration(*micros),
                                             FormatDuration(span.least_us), FormatDuration(span.most_us)));
    }
  };
  app->add_option_function<std::string>(name, set, help)->type_name("DURATION");
}

void OptionKinds::Tags(CLI::App* sub, const std::string& name, google::protobuf::Map<std::string, std::string>* tags,
                       const std::string& help) {
  const auto set = [this, tags](const std::vector<std::string>& pairs) {
    for (const std::string& pair : pairs) {
      const size_t equals = pair.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw CLI::ValidationError(fmt::format("\"{}\" is not a tag; write key=value", pair));
      }
      (*tags)[pair.substr(0, equals)] = pair.substr(equals + 1);
      has_filter_ = true;
    }
  };
  // One pair an option: what follows may be an id.
  sub->add_option_function<std::vector<std::string>>(name, set, help)
      ->allow_extra_args(false)
      ->type_name("K=V")
      ->group("Filter");
}

void OptionKinds::Instant(CLI::App* sub, const std::string& name, const std::function<void(int64_t)>& set,
                          const std::string& help) {
  const auto parse = [this, set](const std::string& text) {
    set(ValueOrThrow(ParseInstant(text, NowMicros())));
    has_filter_ = true;
  };
  sub->add_option_function<std::string>(name, parse, help)->type_name("TIME")->group("Filter");
}

void OptionKinds::FilterOptions(CLI::App* sub) {
  Tags(sub, "--tag", filter_.mutable_all_tags(), "With this tag; given several times: with all of them");
  Tags(sub, "--any-tag", filter_.mutable_any_tags(), "With at least one of these");
  Tags(sub, "--not-tag", filter_.mutable_no_tags(), "With none of these");
  Instant(
      sub, "--from", [this](int64_t us) { filter_.set_observed_from_us(us); },
      "Observed then or later: 2026-03-01, -24h");
  Instant(
      sub, "--to", [this](int64_t us) { filter_.set_observed_to_us(us); }, "Observed before");
  const auto confidence = [this](float least) {
    filter_.set_min_confidence(least);
    has_filter_ = true;
  };
  sub->add_option_function<float>("--min-confidence", confidence, "With at least this confidence, 0..1")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->type_name("C")
      ->group("Filter");
}

void OptionKinds::Offer(const std::string& name, CLI::App* app, std::vector<OfferedCommand>* out) {
  OfferedCommand command;
  command.name = name;
  command.help = app->get_description();
  command.takes_space = takes_space_.count(app) > 0;
  for (CLI::Option* option : app->get_options()) {
    if (option->get_positional()) {
      command.takes_file |= takes_file_.count(option) > 0;
      if (!words_[option].empty())
        command.options.push_back({"", option->get_description(), true, false, words_[option]});
      continue;
    }
    std::vector<std::string> names;
    for (const std::string& one : option->get_lnames()) names.push_back("--" + one);
    for (const std::string& one : option->get_snames()) names.push_back("-" + one);
    for (const std::string& one : names) {
      command.options.push_back({one, option->get_description(), option->get_items_expected_max() > 0,
                                 takes_file_.count(option) > 0, words_[option]});
    }
  }
  out->push_back(std::move(command));
  for (CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
    Offer(name.empty() ? sub->get_name() : name + " " + sub->get_name(), sub, out);
  }
}

}  // namespace engram
