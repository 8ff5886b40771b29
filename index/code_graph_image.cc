// A graph over codes as an image:
//
//   image  := header ordinal u32[nodes] level u8[nodes] group*
//   header := magic u64, version u32, connections u32, nodes u32, entry u32, end u32, zero u32
//   group  := count u16[lists], link u32[links]
//
// `entry` and links are positions among the nodes, which stand in the order of their ordinals. A group has the links of
// 256 nodes, the last one of what is left: of each node first the list of level 0, then those up to its own level. Each
// link leads to another node, which reaches its level. How far links reach is not saved: it is found out again when a
// list is next pruned.
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "index/code_graph.h"
#include "index/code_graph_nodes.h"

namespace engram {
namespace {

constexpr uint64_t kMagic = 0x3168'7061'7267'6e65;  // "engraph1"
constexpr uint32_t kVersion = 2;
constexpr size_t kGroupNodes = 256;

struct Header {
  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t connections = 0;
  uint32_t nodes = 0;
  uint32_t entry = 0;
  uint32_t end = 0;
  uint32_t zero = 0;
};
static_assert(sizeof(Header) == 32);

absl::Status CheckHeader(const Header& header, uint32_t connections, Ordinal rows, uint64_t left) {
  if (header.magic != kMagic) return absl::DataLossError("not an image of a graph");
  if (header.version != kVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the image of the graph has version {}, this program reads {}", header.version, kVersion));
  }
  if (header.connections != connections) {
    return absl::FailedPreconditionError(
        fmt::format("the image of the graph has {} connections, the space has {}", header.connections, connections));
  }
  constexpr uint64_t kLeast = sizeof(Ordinal) + sizeof(uint8_t) + sizeof(uint16_t);
  if (header.nodes > left / kLeast || header.nodes > header.end || header.zero != 0) {
    return absl::DataLossError(fmt::format("the image of the graph claims {} nodes below ordinal {} in {} bytes",
                                           header.nodes, header.end, left));
  }
  if (header.end > rows || (header.nodes != 0 && header.entry >= header.nodes)) {
    return absl::DataLossError(fmt::format("the image of the graph enters node {} of {} and ends at ordinal {} of {}",
                                           header.entry, header.nodes, header.end, rows));
  }
  return absl::OkStatus();
}

absl::Status NoMemory(const char* what) {
  return absl::ResourceExhaustedError(fmt::format("no memory to {} the image of a graph", what));
}

}  // namespace

void CodeGraph::Nodes::CopyLinksBelow(Ordinal end, Ordinal node, uint32_t level, std::vector<Ordinal>* out) const {
  out->clear();
  const auto offer = [&](Ordinal link) {
    if (link >= end || link == node || out->size() == links_.MostLinks(level)) return;
    if (std::find(out->begin(), out->end(), link) == out->end()) out->push_back(link);
  };
  const LinkTable::List list = links_.ListOf(node, level);
  const uint32_t count = list.count();
  for (uint32_t i = 0; i < count; ++i) offer(list.id(i));
  // A link to a newer node took the place of links to nodes around that one, which may be reached no other way.
  for (uint32_t i = 0; i < count; ++i) {
    const Ordinal newer = list.id(i);
    if (newer < end) continue;
    const LinkTable::List beyond = links_.ListOf(newer, level);
    const uint32_t more = beyond.count();
    for (uint32_t j = 0; j < more; ++j) offer(beyond.id(j));
  }
}

CodeGraph::Nodes::Entry CodeGraph::Nodes::EntryBelow(Ordinal end) const {
  Entry entry = entry_.load(std::memory_order_acquire);
  if (entry.node < end) return entry;
  entry = {};
  for (Ordinal node = 0; node < end; ++node) {
    const int level = links_.LevelOf(node);
    if (level > entry.level) entry = {node, level};
  }
  return entry;
}

absl::Status CodeGraph::Nodes::Save(Ordinal end, ImageSink& sink) const {
  std::vector<Ordinal> nodes;
  std::vector<uint8_t> levels;
  const Ordinal last = std::min(end, links_.end());
  for (Ordinal node = 0; node < last; ++node) {
    const int level = links_.LevelOf(node);
    if (level < 0) continue;
    nodes.push_back(node);
    levels.push_back(static_cast<uint8_t>(level));
  }
  const auto position_of = [&nodes](Ordinal node) {
    // Where no ordinal is left out, each stands at its own place.
    if (node < nodes.size() && nodes[node] == node) return node;
    return static_cast<Ordinal>(std::lower_bound(nodes.begin(), nodes.end(), node) - nodes.begin());
  };
  Header header;
  header.connections = links_.connections();
  header.nodes = static_cast<uint32_t>(nodes.size());
  header.end = end;
  if (!nodes.empty()) header.entry = position_of(EntryBelow(last).node);
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Header>(&header, 1)));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Ordinal>(nodes)));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint8_t>(levels)));

  std::vector<uint16_t> counts;
  std::vector<Ordinal> group_links, links;
  for (size_t at = 0; at < nodes.size(); at += kGroupNodes) {
    counts.clear();
    group_links.clear();
    for (size_t i = at; i < std::min(nodes.size(), at + kGroupNodes); ++i) {
      for (uint32_t level = 0; level <= levels[i]; ++level) {
        CopyLinksBelow(last, nodes[i], level, &links);
        const size_t before = group_links.size();
        for (const Ordinal link : links) {
          const Ordinal position = position_of(link);
          if (position < nodes.size() && nodes[position] == link) group_links.push_back(position);
        }
        counts.push_back(static_cast<uint16_t>(group_links.size() - before));
      }
    }
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint16_t>(counts)));
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Ordinal>(group_links)));
  }
  return absl::OkStatus();
}

absl::Status CodeGraph::Nodes::LoadLinks(std::span<const Ordinal> nodes, std::span<const uint8_t> levels, size_t begin,
                                         size_t end, ImageSource& source) {
  size_t lists = end - begin;
  for (size_t i = begin; i < end; ++i) lists += levels[i];
  if (lists > source.left() / sizeof(uint16_t)) return absl::DataLossError("the image of the graph ends too soon");
  std::vector<uint16_t> counts(lists);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(counts)));
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (total > source.left() / sizeof(Ordinal)) return absl::DataLossError("the image of the graph ends too soon");
  std::vector<Ordinal> links(total);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(links)));

  const uint16_t* count = counts.data();
  const Ordinal* link = links.data();
  std::vector<Neighbor> list;
  for (size_t i = begin; i < end; ++i) {
    if (links_.Claim(nodes[i], levels[i]) != LinkTable::Claimed::kYes) return NoMemory("load");
    for (uint32_t level = 0; level <= levels[i]; ++level, link += *count, ++count) {
      if (*count > links_.MostLinks(level)) {
        return absl::DataLossError(fmt::format("node {} of the image has {} links on level {}, {} are the most", i,
                                               *count, level, links_.MostLinks(level)));
      }
      list.clear();
      for (uint16_t j = 0; j < *count; ++j) {
        if (link[j] >= nodes.size() || link[j] == i || levels[link[j]] < level) {
          return absl::DataLossError(
              fmt::format("node {} of the image has a link to {} on level {}", i, link[j], level));
        }
        list.push_back({kUnknownDistance, nodes[link[j]]});
      }
      links_.ListOf(nodes[i], level).Set(list, 0);
    }
    links_.Finish(nodes[i], levels[i]);
  }
  return absl::OkStatus();
}

absl::Status CodeGraph::Nodes::Load(uint32_t nodes, uint32_t entry, Ordinal end, ImageSource& source) {
  std::vector<Ordinal> ordinals(nodes);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(ordinals)));
  const auto not_above = [](Ordinal a, Ordinal b) { return a >= b; };
  if (std::adjacent_find(ordinals.begin(), ordinals.end(), not_above) != ordinals.end() || ordinals.back() >= end) {
    return absl::DataLossError(fmt::format("the nodes of the image are not ordinals up to {} in order", end));
  }
  std::vector<uint8_t> levels(nodes);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(levels)));
  if (*std::max_element(levels.begin(), levels.end()) > kMaxLevel) {
    return absl::DataLossError(fmt::format("a node of the image is above level {}", kMaxLevel));
  }
  for (size_t at = 0; at < nodes; at += kGroupNodes) {
    ENGRAM_RETURN_IF_ERROR(LoadLinks(ordinals, levels, at, std::min<size_t>(nodes, at + kGroupNodes), source));
  }
  if (source.left() != 0) {
    return absl::DataLossError(fmt::format("{} bytes behind the graph of the image", source.left()));
  }
  entry_.store({ordinals[entry], levels[entry]}, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status CodeGraph::Save(Ordinal end, ImageSink& sink) const {
  try {
    return nodes_->Save(end, sink);
  } catch (const std::exception&) {
    return NoMemory("save");
  }
}

absl::Status CodeGraph::SaveNone(const CodeGraphOptions& options, ImageSink& sink) {
  Header header;
  header.connections = Nodes::Connections(options);
  return WriteValues(sink, std::span<const Header>(&header, 1));
}

absl::StatusOr<CodeGraph::Loaded> CodeGraph::Load(const CodeSlab& slab, const CodeGraphOptions& options,
                                                  ImageSource& source) {
  Header header;
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(&header, 1)));
  ENGRAM_RETURN_IF_ERROR(CheckHeader(header, Nodes::Connections(options), slab.size(), source.left()));
  if (header.nodes == 0) return Loaded{nullptr, header.end};
  try {
    auto graph = std::make_unique<CodeGraph>(slab, options);
    ENGRAM_RETURN_IF_ERROR(graph->nodes_->Load(header.nodes, header.entry, header.end, source));
    return Loaded{std::move(graph), header.end};
  } catch (const std::exception&) {
    return NoMemory("load");
  }
}

}  // namespace engram
