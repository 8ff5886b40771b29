#include "loadtest/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include "loadtest/spawn.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string NpyBytes(const std::string& dictionary, const std::string& elements) {
  std::string header = dictionary;
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.append(reinterpret_cast<const char*>(&length), 2);
  return bytes + header + elements;
}

class DatasetTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const std::string& name, const std::string& bytes) {
    std::ofstream(directory_->path() / name, std::ios::binary) << bytes;
    return directory_->path() / name;
  }
  std::string ErrorOf(const std::string& dictionary, const std::string& elements) {
    const auto matrix = ReadNpy(Write("bad.npy", NpyBytes(dictionary, elements)));
    return matrix.ok() ? "no error" : std::string(matrix.status().message());
  }

  const std::unique_ptr<TemporaryDirectory> directory_ = *TemporaryDirectory::Create();
};

TEST_F(DatasetTest, WidensEveryKindOfHalf) {
  EXPECT_EQ(WidenHalf(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(WidenHalf(0x8000)));
  EXPECT_EQ(WidenHalf(0x3c00), 1.0f);
  EXPECT_EQ(WidenHalf(0xc000), -2.0f);
  EXPECT_EQ(WidenHalf(0x3555), 0.333251953125f);
  EXPECT_EQ(WidenHalf(0x7bff), 65504.0f);
  EXPECT_EQ(WidenHalf(0x0400), std::ldexp(1.0f, -14));
  EXPECT_EQ(WidenHalf(0x0001), std::ldexp(1.0f, -24));
  EXPECT_EQ(WidenHalf(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(WidenHalf(0x7e00)));
}

TEST_F(DatasetTest, ReadsHalvesAndSingles) {
  const auto halves = ReadNpy(Write("half.npy", NpyBytes("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }",
                                                         std::string("\x00\x3c\x00\xc0\x00\x00\x55\x35", 8))));
  ASSERT_TRUE(halves.ok()) << halves.status();
  EXPECT_EQ(halves->dimension, 2u);
  EXPECT_THAT(halves->values, ElementsAre(1, -2, 0, 0.333251953125f));

  const float row[] = {0.25f, -3.5f, 1e-8f};
  const auto singles =
      ReadNpy(Write("single.npy", NpyBytes("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }",
                                           std::string(reinterpret_cast<const char*>(row), sizeof row))));
  ASSERT_TRUE(singles.ok()) << singles.status();
  EXPECT_THAT(singles->row(0), ElementsAre(0.25f, -3.5f, 1e-8f));
}

TEST_F(DatasetTest, SaysWhatIsWrongWithAnArray) {
  EXPECT_THAT(ErrorOf("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1), }", "12345678"), HasSubstr("'<f8'"));
  EXPECT_THAT(ErrorOf("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "1234"), HasSubstr("rows first"));
  EXPECT_THAT(ErrorOf("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234"),
              HasSubstr("two dimensions"));
  EXPECT_THAT(ErrorOf("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", "1234"), HasSubstr("2 x 1"));
  EXPECT_THAT(std::string(ReadNpy(Write("text", "hello, this is no array")).status().message()),
              HasSubstr("not an .npy"));
  EXPECT_EQ(ReadNpy(directory_->path() / "absent").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DatasetTest, ReadsASampleAndNamesABadLine) {
  const std::string one_row =
      NpyBytes("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 1), }", std::string("\x00\x3c", 2));
  Write("observations.f16.npy", one_row);
  Write("queries.f16.npy", one_row);
  Write("queries.jsonl", R"({"id": "q-01", "content": "what barks"})"
                         "\n");
  Write("observations.jsonl", R"({"id": "n-1", "content": "a dog", "tags": {"pos": "noun"}})"
                              "\n");
  const auto sample = ReadSample(directory_->path());
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->observations[0].content, "a dog");
  EXPECT_EQ(sample->observations[0].tags.at("pos"), "noun");
  EXPECT_THAT(sample->queries, ElementsAre("what barks"));

  Write("observations.jsonl", R"({"id": "n-1", "content": "a dog"})"
                              "\n"
                              R"({"id": "n-2"})"
                              "\n");
  EXPECT_THAT(std::string(ReadSample(directory_->path()).status().message()), HasSubstr("observations.jsonl:2:"));
  Write("observations.jsonl", R"({"id": "1", "content": ""})"
                              "\n"
                              R"({"id": "2", "content": ""})"
                              "\n");
  EXPECT_THAT(std::string(ReadSample(directory_->path()).status().message()), HasSubstr("2 texts with 1 embeddings"));
}

TEST_F(DatasetTest, RandomRowsAreSeededAndInRange) {
  const Matrix a = RandomMatrix(50, 16, 3), b = RandomMatrix(50, 16, 3), c = RandomMatrix(50, 16, 4);
  EXPECT_EQ(a.values, b.values);
  EXPECT_NE(a.values, c.values);
  double sum = 0;
  for (const float value : a.values) {
    EXPECT_GE(value, -1);
    EXPECT_LT(value, 1);
    sum += value;
  }
  EXPECT_NEAR(sum / 800, 0, 0.1);
  EXPECT_EQ(std::set<float>(a.values.begin(), a.values.end()).size(), 800u);
}

TEST_F(DatasetTest, FramesCarryEverythingInSequence) {
  const Matrix vectors = RandomMatrix(5, 4, 1);
  std::vector<SampleText> texts;
  for (size_t i = 0; i < 5; ++i) texts.push_back(RandomText(i));
  const auto frames = MakeFrames(texts, vectors, 2);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[1].batch().first_sequence(), 3u);
  EXPECT_EQ(frames[2].batch().first_sequence(), 5u);
  ASSERT_EQ(frames[2].batch().observations_size(), 1);
  const v1::Observation& last = frames[2].batch().observations(0);
  EXPECT_EQ(last.id(), texts[4].id);
  EXPECT_EQ(last.content(), texts[4].content);
  EXPECT_EQ(last.tags().at("source"), "s4");
  ASSERT_EQ(last.embedding_f32().size(), 16u);
  EXPECT_EQ(std::memcmp(last.embedding_f32().data(), vectors.row(4).data(), 16), 0);
}

TEST(FramesAndHalvesTest, NarrowingUndoesWideningForEveryHalf) {
  for (uint32_t half = 0; half <= 0xffff; ++half) {
    const float wide = WidenHalf(static_cast<uint16_t>(half));
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(WidenHalf(NarrowToHalf(wide))));
    } else {
      ASSERT_EQ(NarrowToHalf(wide), half);
    }
  }
}

// Between each two neighbours: the middle goes to the even one, a little to either side goes to that side.
TEST(FramesAndHalvesTest, NarrowingGoesToTheNearestAndOfTwoToTheEven) {
  for (uint16_t low = 0; low < 0x7bff; ++low) {
    const float below = WidenHalf(low), above = WidenHalf(low + 1), middle = (below + above) / 2;
    ASSERT_EQ(NarrowToHalf(middle), low % 2 == 0 ? low : low + 1);
    ASSERT_EQ(NarrowToHalf(std::nextafter(middle, below)), low);
    ASSERT_EQ(NarrowToHalf(std::nextafter(middle, above)), low + 1);
    ASSERT_EQ(NarrowToHalf(-middle), 0x8000 | (low % 2 == 0 ? low : low + 1));
  }
  EXPECT_EQ(NarrowToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(NarrowToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(NarrowToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(NarrowToHalf(1e-30f), 0);
}

TEST(FramesAndHalvesTest, FramesOfHalvesCarryHalvesOnly) {
  const Matrix vectors = RandomMatrix(3, 8, 1);
  const auto frames = MakeFrames({RandomText(0), RandomText(1), RandomText(2)}, vectors, 2, ElementForm::kF16);
  ASSERT_EQ(frames.size(), 2u);
  const v1::Observation& observation = frames[1].batch().observations(0);
  EXPECT_FALSE(observation.has_embedding_f32());
  ASSERT_EQ(observation.embedding_f16().size(), 16u);
  uint16_t last;
  std::memcpy(&last, observation.embedding_f16().data() + 14, 2);
  EXPECT_EQ(last, NarrowToHalf(vectors.row(2)[7]));
}

TEST(FramesAndHalvesTest, PayloadIsIdsEmbeddingsContentsAndTags) {
  const std::vector<SampleText> texts = {{"id", "text", {{"key", "value"}}}, {"i", "", {}}};
  const Matrix vectors = RandomMatrix(2, 4, 1);
  EXPECT_EQ(PayloadBytes(MakeFrames(texts, vectors, 1)), 2u + 4 + 3 + 5 + 16 + 1 + 16);
  EXPECT_EQ(PayloadBytes(MakeFrames(texts, vectors, 2, ElementForm::kF16)), 2u + 4 + 3 + 5 + 8 + 1 + 8);
}

}  // namespace
}  // namespace engram
