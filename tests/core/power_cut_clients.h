// The clients of a PowerCutWorld: their calls, drawn from its seed, and what they know of their spaces since.
//
// Threads: one. Ownership: owns the world and the streams that are open in it.
#pragma once

#include <algorithm>
#include <set>

#include "tests/core/power_cut_world.h"

namespace engram::testing {

inline constexpr const char* kSpaces[] = {"a", "b", "c"};

class PowerCutClients {
 public:
  const PowerCutWorld& world() const { return world_; }

 protected:
  explicit PowerCutClients(uint64_t seed) : world_(seed) {}
  ~PowerCutClients() { Disconnect(); }

  struct Client {
    Waker waker;
    std::shared_ptr<ObserveStream> stream;
    ~Client() {
      if (stream != nullptr) stream->Close();
    }
  };

  static bool Failed() { return ::testing::Test::HasFailure(); }
  uint64_t Below(uint64_t n) { return world_.Below(n); }

  void Disconnect() {
    clients_.clear();
    late_.clear();
  }
  // Before the model of the space changes. Where acknowledgements run ahead of the disk, a cut may go back to here.
  void Remember(const std::string& space) {
    if (!world_.synced()) history_[space].push_back(models_[space]);
  }
  // Everything committed so far is on the disk.
  void Sync() {
    if (world_.journal().segmented().AwaitDurable().ok()) history_.clear();
  }

  // --- steps ---

  void Step() {
    const std::string space = kSpaces[Below(3)];
    SpaceModel& model = models_[space];
    const uint64_t dice = Below(100);
    if (!model.there) {
      Create(space);
    } else if (dice < 45) {
      Send(space, Streams()[Below(3)]);
    } else if (dice < 55) {
      world_.RunOneTask();
    } else if (dice < 63) {
      Drain(space);
    } else if (dice < 70) {
      Forget(space);
    } else if (dice < 74) {
      ObserveOnce(space);
    } else if (dice < 79) {
      world_.clock().Advance(Duration{static_cast<int64_t>(Below(2000))});
      if (Below(4) == 0) Sync();
    } else if (dice < 83) {
      Bury();
    } else if (dice < 85) {
      Change(space);
    } else if (dice < 87) {
      Delete(space);
    } else if (dice < 91) {
      Below(3) == 0 ? world_.BeginCheckpoint() : world_.Checkpoint();
    } else if (dice < 97) {
      world_.Rewrite();
    } else if (dice < 98) {
      if (world_.journal().segmented().SealThrough().ok()) Sync();
    } else {
      clients_.erase(space + Streams()[Below(3)]);
    }
  }

  TestObservation AnyObservation(const std::string& owner, std::set<std::string>& ids) {
    TestObservation o;
    do {
      o.id = fmt::format("{}-{}", owner, Below(kIds));
    } while (!ids.insert(o.id).second);
    for (int i = 0; i < 4; ++i) o.embedding.push_back(1 + static_cast<float>(Below(1000)));
    o.content = fmt::format("{} of {}", ++versions_, o.id) + std::string(Below(3) == 0 ? Below(1500) : Below(60), '.');
    o.tags["t"] = std::to_string(Below(5));
    o.observed_at_us = world_.now_us();
    o.confidence = static_cast<float>(Below(5)) / 4;
    if (Below(5) == 0) o.ttl_us = 1 + static_cast<int64_t>(Below(8000));
    return o;
  }

  // The next frame of the stream; part of it, or all of what came before, may be sent again, with other words that must
  // not be kept.
  void Send(const std::string& space, const std::string& name) {
    SpaceModel& model = models_[space];
    StreamModel& stream = model.streams[name];
    Client& client = clients_[space + name];
    if (client.stream == nullptr) {
      const auto opened =
          world_.engine().OpenStream({.space = space, .stream_id = name, .resume = true}, &client.waker);
      ASSERT_TRUE(opened.ok()) << opened.status();
      client.stream = *opened;
      EXPECT_EQ(client.stream->first_expected(), stream.sent() + 1);
    }
    const uint64_t expected = stream.sent() + 1;
    uint64_t sequence = expected;
    if (Below(4) == 0) sequence -= std::min(expected - 1, Below(8));
    const uint64_t first = sequence;
    const bool refused = Below(12) == 0;
    std::set<std::string> ids;
    std::vector<TestObservation> frame;
    bool stores = false;
    for (uint64_t i = 1 + Below(8); i > 0; --i, ++sequence) {
      SentObservation sent{sequence, AnyObservation(name, ids)};
      sent.valid = !refused && Below(15) != 0;
      if (!sent.valid) sent.observation.embedding.clear();
      frame.push_back(sent.observation);
      if (sequence < expected) continue;
      stores |= sent.valid;
      stream.ahead.push_back(std::move(sent));
    }
    // A high one wakes its worker though it brings nothing but the mark; a normal one waits for a clock that stands.
    client.stream->Submit(first, !stores || Below(3) == 0 ? Priority::kHigh : Priority::kNormal,
                          MakeBatch(std::move(frame)));
    const StreamProgress progress = client.stream->TakeProgress();
    // The promise is made before it is told, and only for what is sent.
    if (world_.Alive()) {
      const auto& promised = world_.journal().Promised(space);
      const auto at = promised.find(name);
      const uint64_t most = std::max(stream.acknowledged, at == promised.end() ? 0 : at->second);
      EXPECT_LE(progress.durable_through, most) << "told before it was durable";
      EXPECT_LE(progress.durable_through, stream.sent());
    }
  }

  // Everything sent to the space is acknowledged, unless the power goes.
  void Drain(const std::string& space) {
    world_.Work();
    SpaceModel& model = models_[space];
    for (auto& [name, stream] : model.streams) {
      if (stream.ahead.empty() || !world_.Alive()) continue;
      Client& client = clients_[space + name];
      if (client.stream == nullptr) {
        const auto opened =
            world_.engine().OpenStream({.space = space, .stream_id = name, .resume = true}, &client.waker);
        ASSERT_TRUE(opened.ok()) << opened.status();
        client.stream = *opened;
      }
      while (!client.stream->Reached()) ASSERT_TRUE(client.waker.Await()) << "no acknowledgement";
      const StreamProgress progress = client.stream->TakeProgress();
      EXPECT_TRUE(progress.ended.ok()) << progress.ended;
      EXPECT_EQ(progress.durable_through, stream.sent());
      EXPECT_LE(progress.durable_through, world_.journal().Promised(space).at(name));
      Remember(space);
      model.Acknowledge(name, stream.sent());
    }
  }

  // A call that changes the space to the last of `after`, in steps; while it has no answer, any of them may be.
  template <typename Call>
  void Try(const std::string& space, std::vector<SpaceModel> after, const Call& call) {
    if (!world_.Alive()) return;
    pending_.emplace(space, std::move(after));
    const absl::Status status = call();
    if (status.ok()) {
      Remember(space);
      if (!world_.synced())
        history_[space].insert(history_[space].end(), pending_->second.begin(), pending_->second.end());
      models_[space] = std::move(pending_->second.back());
      pending_.reset();
    } else {
      EXPECT_FALSE(world_.Alive()) << status;
    }
  }

  void Create(const std::string& space) {
    SpaceModel after;
    after.there = true;
    if (Below(2) == 0) {
      after.ef_search = 10 + static_cast<uint32_t>(Below(100));
      Try(space, {after}, [&] { return world_.engine().CreateSpace(space, {.ef_search = after.ef_search}).status(); });
    } else {
      after.ef_search = static_cast<uint32_t>(Settings{}.hnsw_ef_search);
      Client& client = clients_[space + "s0"];
      Try(space, {after}, [&] {
        auto opened = world_.engine().OpenStream({.space = space, .stream_id = "s0"}, &client.waker);
        if (opened.ok()) client.stream = *opened;
        return opened.status();
      });
    }
  }
  void Change(const std::string& space) {
    SpaceModel after = models_[space];
    after.ef_search = 10 + static_cast<uint32_t>(Below(100));
    SpaceChange change;
    change.ef_search = after.ef_search;
    Try(space, {after}, [&] { return world_.engine().UpdateSpace(space, change).status(); });
  }
  // Also while observations are on their way to it.
  void Delete(const std::string& space) {
    const bool at_once = Below(2) == 0;
    if (!at_once) Drain(space);
    Try(space, {SpaceModel{}}, [&] { return world_.engine().DeleteSpace(space).status(); });
    if (models_[space].there || !world_.Alive()) return;
    // What was queued finds the space gone.
    if (at_once && Below(2) == 0) world_.Work();
    for (const std::string& name : Streams()) {
      auto client = clients_.extract(space + name);
      // Some do not notice for a while, and pin the space.
      if (!client.empty() && Below(2) == 0) late_.push_back(std::move(client));
    }
    if (Below(3) == 0) late_.clear();
  }

  void Forget(const std::string& space) {
    Drain(space);
    SpaceModel after = models_[space];
    ForgetQuery query;
    query.space = space;
    uint64_t count = 0;
    const auto take = [&](const auto& meant) {
      count = std::erase_if(after.kept, [&](const auto& entry) {
        return entry.second.Live(world_.now_us()) && meant(entry.second.observation);
      });
    };
    if (Below(3) == 0) {
      const std::string tag = std::to_string(Below(5));
      query.filter.emplace().all_tags = {{"t", tag}};
      take([&](const TestObservation& o) { return o.tags.at("t") == tag; });
    } else {
      std::set<std::string> ids;
      for (uint64_t i = 1 + Below(8); i > 0; --i) ids.insert(fmt::format("{}-{}", Streams()[Below(3)], Below(kIds)));
      query.ids.assign(ids.begin(), ids.end());
      take([&](const TestObservation& o) { return ids.contains(o.id); });
    }
    Try(space, {after}, [&] {
      const auto answer = world_.engine().Forget(query);
      if (answer.ok()) {
        EXPECT_EQ(answer->forgotten, count);
      }
      return answer.status();
    });
  }

  // Without a stream of its own, over anybody's ids.
  void ObserveOnce(const std::string& space) {
    Drain(space);
    std::vector<SpaceModel> after = {models_[space]};
    std::set<std::string> ids;
    std::vector<TestObservation> frame;
    for (uint64_t i = 1 + Below(6); i > 0; --i) {
      const TestObservation& o = frame.emplace_back(AnyObservation(Below(2) == 0 ? "x" : Streams()[Below(3)], ids));
      // They may come into several records.
      after.push_back(after.back());
      after.back().Keep(o);
    }
    after.erase(after.begin());
    Try(space, std::move(after), [&]() -> absl::Status {
      Client client;
      auto opened = world_.engine().OpenStream({.space = space}, &client.waker);
      if (!opened.ok()) return opened.status();
      client.stream = *opened;
      client.stream->Submit(1, Priority::kNormal, MakeBatch(std::move(frame)));
      world_.Work();
      if (!world_.Alive()) return absl::UnavailableError("the power is cut");
      while (!client.stream->Reached()) {
        if (!client.waker.Await()) return absl::DeadlineExceededError("no acknowledgement");
      }
      EXPECT_TRUE(client.stream->TakeProgress().rejected.empty());
      return absl::OkStatus();
    });
  }

  // What has expired is forgotten in the log, as the janitor does it.
  void Bury() {
    world_.Work();
    if (!world_.Alive()) return;
    const absl::Status status = world_.engine().Housekeep();
    world_.journal().Settle();
    if (!world_.Alive()) return;
    EXPECT_TRUE(status.ok()) << status;
    for (auto& [space, model] : models_) {
      Remember(space);
      model.perhaps.clear();
      for (auto& [id, kept] : model.kept) kept.buried |= !kept.Live(world_.now_us());
    }
  }

  PowerCutWorld world_;
  std::map<std::string, SpaceModel> models_;
  std::optional<std::pair<std::string, std::vector<SpaceModel>>> pending_;
  // What the space was since everything was synced; empty where acknowledgements do not run ahead.
  std::map<std::string, std::vector<SpaceModel>> history_;
  std::map<std::string, Client> clients_;                       // By space and stream.
  std::vector<std::map<std::string, Client>::node_type> late_;  // Of spaces that are gone.
  uint64_t versions_ = 0;
};

}  // namespace engram::testing
