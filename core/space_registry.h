// The spaces, by name and by id.
//
// Threads: any. Blocking: a mutex, held for a lookup or a map change. Ownership: shares the spaces with their users.
// Why:     only the replica changes what is in it, as the log says.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/space.h"

namespace engram {

class SpaceRegistry {
 public:
  SpaceRegistry(size_t lanes, bool keeps_contents, Metrics* metrics)
      : lanes_(lanes), keeps_contents_(keeps_contents), metrics_(metrics) {}

  // NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Space>> Find(const std::string& name) const ABSL_LOCKS_EXCLUDED(mu_);
  // Null when there is none of that id.
  std::shared_ptr<Space> FindById(uint64_t id) const ABSL_LOCKS_EXCLUDED(mu_);
  // `config` has every field in force. REQUIRES: there is none of that name or id.
  std::shared_ptr<Space> Add(const std::string& name, uint64_t id, const SpaceConfig& config, int64_t created_at_us)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The space that Add will put in, or has put in, under that name and id. Null when it will not. Who never adds it takes the
  // expectation back.
  std::shared_ptr<Space> Expect(const std::string& name, uint64_t id, const SpaceConfig& config, int64_t created_at_us)
      ABSL_LOCKS_EXCLUDED(mu_);
  void ExpectNoMore(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // A space that is in no registry yet, and putting it in. False, and nothing happened, when one of that name or id is there.
  std::shared_ptr<Space> Make(Space::Origin origin) const;
  bool Put(const std::shared_ptr<Space>& space) ABSL_LOCKS_EXCLUDED(mu_);
  // Takes it out, and remembers that the id is over; null when it was not in. Its users keep it until they are done.
  std::shared_ptr<Space> Remove(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether it was removed; of those removed lately, which suffices for records that were under way.
  bool Removed(uint64_t id) const ABSL_LOCKS_EXCLUDED(mu_);
  // Those ids, oldest first.
  std::vector<uint64_t> RemovedLately() const ABSL_LOCKS_EXCLUDED(mu_);
  bool keeps_contents() const { return keeps_contents_; }
  // It is not in, and whoever had it before has let go of it: no record of it can be appended any more.
  bool Gone(uint64_t id) const ABSL_LOCKS_EXCLUDED(mu_);
  // In the order of names, those after `after`, beginning with `prefix`.
  std::vector<std::shared_ptr<Space>> List(const std::string& prefix, const std::string& after, size_t limit) const
      ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<std::shared_ptr<Space>> All() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t LaneOf(std::string_view name) const;

 private:
  static constexpr size_t kMostRemoved = 65536;

  bool PutIn(const std::shared_ptr<Space>& space) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Puts in the one that is expected, if one is.
  bool TakeExpected(uint64_t id, std::shared_ptr<Space>& space) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t lanes_;
  const bool keeps_contents_;
  Metrics* const metrics_;

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<Space>> spaces_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<uint64_t, std::shared_ptr<Space>> by_id_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<uint64_t, std::shared_ptr<Space>> expected_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<uint64_t, std::weak_ptr<Space>> removed_ ABSL_GUARDED_BY(mu_);
  std::deque<uint64_t> removed_order_ ABSL_GUARDED_BY(mu_);
};

// The lane of a space: jump consistent hashing (Lamping and Veach, 2014), so one lane more moves only its share of spaces.
size_t LaneOf(std::string_view space, size_t lanes);

}  // namespace engram
