#include "loadtest/live_rows.h"

#include <charconv>

namespace engram {
namespace {

constexpr std::string_view kPrefix = "observation-";

}  // namespace

void LiveRows::Put(size_t id, size_t row) {
  Remove(id);
  row_of_[id] = static_cast<int64_t>(row);
  ++users_[row];
  ++count_;
}

bool LiveRows::Remove(size_t id) {
  if (row_of_[id] == kNone) return false;
  --users_[static_cast<size_t>(row_of_[id])];
  row_of_[id] = kNone;
  --count_;
  return true;
}

std::optional<size_t> LiveRows::RowOf(size_t id) const {
  if (id >= row_of_.size() || row_of_[id] == kNone) return std::nullopt;
  return static_cast<size_t>(row_of_[id]);
}

std::string IdText(size_t id) { return RandomText(id).id; }

std::optional<size_t> IdFrom(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  size_t id = 0;
  const auto [end, error] = std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

}  // namespace engram
