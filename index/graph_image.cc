// A graph as an image:
//
//   image  := header ordinal u32[nodes] level u8[nodes] group*
//   header := magic u64, version u32, connections u32, nodes u32, entry u32, end u32, zero u32
//   group  := count u16[lists], node u32[links]
//
// A group has the links of 256 nodes, the last one of what is left: of each node first the list of level 0, then those
// up to its own level. Nodes stand in the order of their ordinals. Each link leads to another node, which reaches its
// level.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "index/graph.h"
#include "index/graph_links.h"

namespace engram {
namespace {

constexpr uint64_t kMagic = 0x3168'7061'7267'6e65;  // "engraph1"
constexpr uint32_t kVersion = 1;
constexpr Node kGroupNodes = 256;

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
  if (header.nodes > left / kLeast || header.nodes > 1u << 30 || header.zero != 0) {
    return absl::DataLossError(fmt::format("the image of the graph claims {} nodes in {} bytes", header.nodes, left));
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

void Graph::Links::CopyLinksBelow(Node end, Node node, int level, NodeLinks* out) const {
  NodeLinks all;
  CopyLinks(node, level, &all);
  out->count = 0;
  const auto offer = [&](Node link) {
    Node* const known_end = out->nodes.data() + out->count;
    if (link >= end || link == node || out->count == MostLinks(level)) return;
    if (std::find(out->nodes.data(), known_end, link) == known_end) out->nodes[out->count++] = link;
  };
  for (uint32_t i = 0; i < all.count; ++i) offer(all.nodes[i]);
  // A link to a newer node took the place of links to nodes around that one, which may be reached no other way.
  NodeLinks beyond;
  for (uint32_t i = 0; i < all.count; ++i) {
    if (all.nodes[i] < end) continue;
    CopyLinks(all.nodes[i], level, &beyond);
    for (uint32_t j = 0; j < beyond.count; ++j) offer(beyond.nodes[j]);
  }
}

Node Graph::Links::EntryBelow(Node end) const {
  if (enterpoint_node_ < end) return enterpoint_node_;
  Node entry = 0;
  int highest = -1;
  NodeLinks links;
  for (Node node = 0; node < end; ++node) {
    if (element_levels_[node] <= highest) continue;
    // Without a link on the lowest level it may be one whose insertion failed half way.
    CopyLinksBelow(end, node, 0, &links);
    if (links.count == 0 && end > 1) continue;
    entry = node;
    highest = element_levels_[node];
  }
  return entry;
}

absl::Status Graph::Links::Save(Ordinal end, ImageSink& sink) const {
  Header header;
  header.connections = static_cast<uint32_t>(M_);
  header.end = end;
  {
    MutexLock growth(growth_);
    SharedPhase phase(phase_);
    const auto first = ordinals_.begin();
    const auto last = first + static_cast<ptrdiff_t>(cur_element_count);
    header.nodes = static_cast<Node>(std::lower_bound(first, last, end) - first);
    header.entry = EntryBelow(header.nodes);
  }
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Header>(&header, 1)));

  // Copied out in pieces, so that whoever waits for the phase waits for a piece only.
  constexpr Node kPiece = 16 * 1024;
  std::vector<Ordinal> ordinals;
  for (Node at = 0; at < header.nodes; at += kPiece) {
    {
      SharedPhase phase(phase_);
      const auto first = ordinals_.begin() + at;
      ordinals.assign(first, first + std::min(kPiece, header.nodes - at));
    }
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Ordinal>(ordinals)));
  }
  std::vector<uint8_t> levels;
  for (Node at = 0; at < header.nodes; at += kPiece) {
    {
      SharedPhase phase(phase_);
      const auto first = element_levels_.begin() + at;
      levels.assign(first, first + std::min(kPiece, header.nodes - at));
    }
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint8_t>(levels)));
  }
  std::vector<uint16_t> counts;
  std::vector<Node> group_links;
  NodeLinks links;
  for (Node at = 0; at < header.nodes; at += kGroupNodes) {
    counts.clear();
    group_links.clear();
    {
      SharedPhase phase(phase_);
      for (Node node = at; node < std::min(header.nodes, at + kGroupNodes); ++node) {
        for (int level = 0; level <= element_levels_[node]; ++level) {
          CopyLinksBelow(header.nodes, node, level, &links);
          counts.push_back(static_cast<uint16_t>(links.count));
          group_links.insert(group_links.end(), links.nodes.data(), links.nodes.data() + links.count);
        }
      }
    }
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint16_t>(counts)));
    ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Node>(group_links)));
  }
  return absl::OkStatus();
}

void Graph::Links::Place(int level) {
  const auto node = static_cast<Node>(cur_element_count);
  char* upper = nullptr;
  if (level > 0) {
    const size_t upper_bytes = size_links_per_element_ * static_cast<size_t>(level) + kSlack;
    upper = static_cast<char*>(std::calloc(1, upper_bytes));
    if (upper == nullptr) throw std::bad_alloc();
    upper_link_bytes_.fetch_add(upper_bytes, std::memory_order_relaxed);
  }
  std::memset(get_linklist0(node), 0, size_data_per_element_);
  std::memcpy(getDataByInternalId(node), &ordinals_[node], sizeof(Ordinal));
  linkLists_[node] = upper;
  element_levels_[node] = level;
  ++cur_element_count;
  nodes_.store(cur_element_count, std::memory_order_relaxed);
}

absl::Status Graph::Links::LoadLinks(Node begin, Node end, Node nodes, ImageSource& source) {
  size_t lists = 0;
  for (Node node = begin; node < end; ++node) lists += static_cast<size_t>(element_levels_[node]) + 1;
  if (lists > source.left() / sizeof(uint16_t)) return absl::DataLossError("the image of the graph ends too soon");
  std::vector<uint16_t> counts(lists);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(counts)));
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  if (total > source.left() / sizeof(Node)) return absl::DataLossError("the image of the graph ends too soon");
  std::vector<Node> links(total);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(links)));

  const uint16_t* count = counts.data();
  const Node* link = links.data();
  for (Node node = begin; node < end; ++node) {
    Place(element_levels_[node]);
    for (int level = 0; level <= element_levels_[node]; ++level, link += *count, ++count) {
      if (*count > MostLinks(level)) {
        return absl::DataLossError(fmt::format("node {} of the image has {} links on level {}, {} are the most", node,
                                               *count, level, MostLinks(level)));
      }
      for (uint16_t i = 0; i < *count; ++i) {
        if (link[i] < nodes && link[i] != node && (level == 0 || element_levels_[link[i]] >= level)) continue;
        return absl::DataLossError(
            fmt::format("node {} of the image has a link to {} on level {}", node, link[i], level));
      }
      hnswlib::linklistsizeint* const list = get_linklist_at_level(node, level);
      setListCount(list, *count);
      std::memcpy(list + 1, link, *count * sizeof(Node));
    }
  }
  return absl::OkStatus();
}

absl::Status Graph::Links::Load(uint32_t nodes, uint32_t entry, Ordinal linked, ImageSource& source) {
  ExclusivePhase phase(phase_);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(ordinals_).first(nodes)));
  if (!std::is_sorted(ordinals_.begin(), ordinals_.begin() + nodes) || ordinals_[nodes - 1] >= linked) {
    return absl::DataLossError(fmt::format("the nodes of the image are not the ordinals up to {} in order", linked));
  }
  std::vector<uint8_t> levels(nodes);
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(levels)));
  if (*std::max_element(levels.begin(), levels.end()) > kMaxLevel) {
    return absl::DataLossError(fmt::format("a node of the image is above level {}", kMaxLevel));
  }
  std::copy(levels.begin(), levels.end(), element_levels_.begin());
  for (Node at = 0; at < nodes; at += kGroupNodes) {
    ENGRAM_RETURN_IF_ERROR(LoadLinks(at, std::min(nodes, at + kGroupNodes), nodes, source));
  }
  if (source.left() != 0) {
    return absl::DataLossError(fmt::format("{} bytes behind the graph of the image", source.left()));
  }
  enterpoint_node_ = entry;
  maxlevel_ = element_levels_[entry];
  return absl::OkStatus();
}

absl::Status Graph::Save(Ordinal end, ImageSink& sink) const {
  try {
    return links_->Save(end, sink);
  } catch (const std::exception&) {
    return NoMemory("save");
  }
}

absl::Status Graph::SaveNone(const GraphOptions& options, ImageSink& sink) {
  Header header;
  header.connections = Links::Connections(options);
  return WriteValues(sink, std::span<const Header>(&header, 1));
}

absl::StatusOr<Graph::Loaded> Graph::Load(const Slab& slab, const Similarity& similarity, const GraphOptions& options,
                                          ImageSource& source) {
  Header header;
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(&header, 1)));
  ENGRAM_RETURN_IF_ERROR(CheckHeader(header, Links::Connections(options), slab.size(), source.left()));
  if (header.nodes == 0) return Loaded{nullptr, header.end};
  try {
    auto graph = std::make_unique<Graph>(slab, similarity, options, std::bit_ceil(header.nodes));
    ENGRAM_RETURN_IF_ERROR(graph->links_->Load(header.nodes, header.entry, header.end, source));
    return Loaded{std::move(graph), header.end};
  } catch (const std::exception&) {
    return NoMemory("load");
  }
}

}  // namespace engram
