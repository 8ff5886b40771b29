// YAML text as a small tree that remembers where everything stood. The only user of yaml-cpp.
//
// Threads: a pure function. Ownership: a value.
// Errors:  those of the YAML itself, in ParsedYaml::errors; what was complete before the first is still in the tree.
// Why:     yaml-cpp's own nodes lose duplicate keys and expand aliases; its events do neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engram {

struct YamlEntry;

struct YamlNode {
  // kEmpty: nothing, as of an empty file. kSequence keeps no children, kAlias is `*name`, unresolved.
  enum class Kind { kEmpty, kNull, kScalar, kSequence, kMap, kAlias };

  Kind kind = Kind::kEmpty;
  // From 1; columns count bytes.
  int line = 1;
  int column = 1;
  // kScalar: its text, and whether it was quoted. A tag is here only when it was written out.
  std::string text;
  bool quoted = false;
  std::string tag;
  // kMap: in the order written, duplicates included.
  std::vector<YamlEntry> entries;
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlError {
  int line = 0;
  int column = 0;
  std::string message;
};

struct ParsedYaml {
  YamlNode root;
  std::vector<YamlError> errors;
};

// Maps and sequences inside one another; deeper is an error.
inline constexpr int kMaxYamlDepth = 16;

ParsedYaml ParseYaml(std::string_view text);

}  // namespace engram
