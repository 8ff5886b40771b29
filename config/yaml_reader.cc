#include "config/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "config/fault.h"

namespace engram {
namespace {

// Ends the parse from inside an event; yaml-cpp has no other way.
struct Stopped {
  YamlError error;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text) {
    for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) {
      line_starts_.push_back(end + 1);
    }
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 1) return;
    if (text_.substr(LineStart(mark.line)).substr(mark.column).starts_with("---")) {
      Stop(mark, "a second document starts here; allowed: one document in a file");
    }
    Stop(mark, "not YAML: something stands after the end of the settings; check quotes, brackets and indentation");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Add(At(YamlNode::Kind::kNull, mark)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Add(At(YamlNode::Kind::kAlias, mark)); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    YamlNode node = At(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    node.tag = WrittenTag(tag);
    if (node.quoted && !QuoteCloses(mark)) Stop(mark, "not YAML: the quote is never closed");
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(At(YamlNode::Kind::kSequence, mark), tag, mark);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    Open(At(YamlNode::Kind::kMap, mark), tag, mark);
  }
  void OnMapEnd() override { Close(); }

  // The tree so far; maps still open are closed without their unfinished entry.
  YamlNode Take() {
    while (!open_.empty()) Close();
    return std::move(root_);
  }

 private:
  struct Frame {
    YamlNode node;
    YamlNode key;
    bool has_key = false;
  };

  [[noreturn]] static void Stop(const YAML::Mark& mark, std::string message) {
    throw Stopped{{mark.line + 1, mark.column + 1, std::move(message)}};
  }

  static std::string WrittenTag(const std::string& tag) { return tag == "?" || tag == "!" ? std::string() : tag; }

  static YamlNode At(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  size_t LineStart(int line) const {
    const auto index = static_cast<size_t>(line);
    return index < line_starts_.size() ? line_starts_[index] : text_.size();
  }

  // yaml-cpp takes the end of the file for the end of a quoted scalar when a newline stands before it.
  bool QuoteCloses(const YAML::Mark& mark) const {
    // An anchor may stand before the quote.
    size_t at = text_.find_first_of("\"'", LineStart(mark.line) + mark.column);
    if (at == std::string_view::npos) return true;
    const char quote = text_[at];
    while (++at < text_.size()) {
      if (quote == '"' && text_[at] == '\\') {
        ++at;
      } else if (text_[at] == quote) {
        if (quote == '"' || at + 1 >= text_.size() || text_[at + 1] != quote) return true;
        ++at;
      }
    }
    return false;
  }

  void Open(YamlNode node, const std::string& tag, const YAML::Mark& mark) {
    if (open_.size() >= kMaxYamlDepth) Stop(mark, fmt::format("nested too deep; allowed: {} levels", kMaxYamlDepth));
    node.tag = WrittenTag(tag);
    open_.push_back({std::move(node), {}, false});
  }

  void Close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    if (frame.node.kind != YamlNode::Kind::kMap) return;
    if (frame.has_key) {
      frame.node.entries.push_back({std::move(frame.key), std::move(node)});
    } else {
      frame.key = std::move(node);
    }
    frame.has_key = !frame.has_key;
  }

  const std::string_view text_;
  std::vector<size_t> line_starts_{0};
  int documents_ = 0;
  YamlNode root_;
  std::vector<Frame> open_;
};

// Whether `line`, from 0, starts with blanks of which one is a tab: what most "bad" YAML suffers from.
bool TabIndents(std::string_view text, int line) {
  for (; line > 0; --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

// yaml-cpp has no mark for some errors.
YamlError ErrorAt(std::string_view text, const YAML::Mark& mark, std::string_view problem) {
  if (mark.is_null()) return {1, 1, fmt::format("not YAML: {}", problem)};
  return {mark.line + 1, mark.column + 1,
          fmt::format("not YAML: {}{}", problem, TabIndents(text, mark.line) ? "; indent with spaces, not tabs" : "")};
}

}  // namespace

ParsedYaml ParseYaml(std::string_view text) {
  ParsedYaml out;
  // A byte-order mark is in no column.
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  TreeBuilder builder(text);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stopped& stopped) {
    out.errors.push_back(stopped.error);
  } catch (const YAML::Exception& error) {
    out.errors.push_back(ErrorAt(text, error.mark, Printable(error.msg)));
  } catch (const std::exception& error) {
    out.errors.push_back({1, 1, fmt::format("not YAML: {}", Printable(error.what()))});
  }
  out.root = builder.Take();
  return out;
}

}  // namespace engram
