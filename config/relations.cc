#include "config/relations.h"

namespace engram {
namespace {

struct Relation {
  BrokenRelation when_broken;
  bool (*holds)(const Settings& s);
};

constexpr Relation kRelations[] = {
    {{"min_batch_size", "max_batch_size", "at most max_batch_size", "at least min_batch_size"},
     [](const Settings& s) { return s.min_batch_size <= s.max_batch_size; }},
    {{"max_batch_size", "queue.capacity", "at most queue.capacity", "at least max_batch_size"},
     [](const Settings& s) { return s.max_batch_size <= s.queue_capacity; }},
    {{"hnsw.ef_construction", "hnsw.max_connections", "at least hnsw.max_connections", "at most hnsw.ef_construction"},
     [](const Settings& s) { return s.hnsw_ef_construction >= s.hnsw_max_connections; }},
    {{"limits.max_content_bytes", "server.max_message_bytes", "less than server.max_message_bytes, which carries it",
      "more than limits.max_content_bytes, which it carries"},
     [](const Settings& s) { return s.limits_max_content_bytes < s.server_max_message_bytes; }},
    {{"limits.max_dimension", "server.max_message_bytes",
      "less than a quarter of server.max_message_bytes, for an element takes 4 bytes",
      "more than four times limits.max_dimension, for an element takes 4 bytes"},
     [](const Settings& s) { return s.limits_max_dimension * 4 < s.server_max_message_bytes; }},
    {{"storage.group_bytes", "storage.segment_bytes", "at most a quarter of storage.segment_bytes",
      "at least four times storage.group_bytes"},
     [](const Settings& s) { return s.storage_group_bytes * 4 <= s.storage_segment_bytes; }},
    {{"storage.hard_free_bytes", "storage.soft_free_bytes", "at most storage.soft_free_bytes",
      "at least storage.hard_free_bytes"},
     [](const Settings& s) { return s.storage_hard_free_bytes <= s.storage_soft_free_bytes; }},
    {{"limits.memory_soft", "limits.memory_hard", "at most limits.memory_hard", "at least limits.memory_soft"},
     [](const Settings& s) { return s.limits_memory_soft <= s.limits_memory_hard; }},
    {{"steal_threshold", "queue.capacity", "less than queue.capacity, or no batch is ever stolen",
      "more than steal_threshold, or no batch is ever stolen", true},
     [](const Settings& s) { return s.steal_threshold < s.queue_capacity; }},
};

}  // namespace

std::vector<BrokenRelation> AllRelations() {
  std::vector<BrokenRelation> all;
  for (const Relation& relation : kRelations) all.push_back(relation.when_broken);
  return all;
}

std::vector<BrokenRelation> BrokenRelations(const Settings& settings) {
  std::vector<BrokenRelation> broken;
  for (const Relation& relation : kRelations) {
    if (!relation.holds(settings)) broken.push_back(relation.when_broken);
  }
  return broken;
}

}  // namespace engram
