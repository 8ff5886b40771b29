// Which row of a matrix each id of a space stands for: the model that a recall's hits are judged by.
//
// Threads: one. Ownership: none. Errors: none; an id it does not hold stands for nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loadtest/dataset.h"

namespace engram {

class LiveRows {
 public:
  // Ids and rows are below these.
  LiveRows(size_t ids, size_t rows) : row_of_(ids, kNone), users_(rows, 0) {}

  void Put(size_t id, size_t row);
  // Whether it was there.
  bool Remove(size_t id);
  std::optional<size_t> RowOf(size_t id) const;

  // Rows that some id stands for, as ExactSearch wants them.
  const std::vector<uint32_t>& users() const { return users_; }
  size_t count() const { return count_; }

 private:
  static constexpr int64_t kNone = -1;

  std::vector<int64_t> row_of_;
  std::vector<uint32_t> users_;  // How many ids stand for each row.
  size_t count_ = 0;
};

// The text of an id, as RandomText names it, and back; nullopt for any other text.
std::string IdText(size_t id);
std::optional<size_t> IdFrom(std::string_view text);

}  // namespace engram
