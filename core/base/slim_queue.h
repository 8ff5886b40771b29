// A queue in one piece of memory, which an empty one does not have until something is put in.
//
// Threads:  as its owner says. Ownership: owns what is in it. Errors: std::bad_alloc from push_back, and then nothing has
//           changed.
// Why:      a std::deque takes 600 bytes before anything is in it, and each space and stream has several that stay empty
//           or nearly so.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace engram {

template <typename T>
class SlimQueue {
 public:
  bool empty() const { return begin_ == items_.size(); }
  size_t size() const { return items_.size() - begin_; }

  T& front() { return items_[begin_]; }
  const T& front() const { return items_[begin_]; }
  const T& operator[](size_t i) const { return items_[begin_ + i]; }

  auto begin() { return items_.begin() + static_cast<ptrdiff_t>(begin_); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin() + static_cast<ptrdiff_t>(begin_); }
  auto end() const { return items_.end(); }

  void push_back(const T& item) {
    MakeRoom();
    items_.push_back(item);
  }
  void push_back(T&& item) {
    MakeRoom();
    items_.push_back(std::move(item));
  }
  // Room for `more` items: putting them in will not throw.
  void Reserve(size_t more) {
    Settle();
    items_.reserve(items_.size() + more);
  }
  void pop_front() { DropFront(1); }
  // REQUIRES: no more than size().
  void DropFront(size_t count) {
    // What they hold goes at once.
    for (const size_t end = begin_ + count; begin_ < end; ++begin_) items_[begin_] = T();
    if (begin_ != items_.size()) return;
    items_.clear();
    begin_ = 0;
    if (items_.capacity() * sizeof(T) > kKeptBytes) items_.shrink_to_fit();
  }

 private:
  // An emptied queue keeps so much.
  static constexpr size_t kKeptBytes = 4096;

  // What was taken out makes room again once it is half of all, so each item is moved once on average.
  void MakeRoom() {
    if (items_.size() == items_.capacity() && begin_ > 0 && 2 * begin_ >= items_.size()) Settle();
  }
  void Settle() {
    items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(begin_));
    begin_ = 0;
  }

  std::vector<T> items_;
  size_t begin_ = 0;
};

}  // namespace engram
