#include "clients/cli/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "clients/cli/json_output.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kNow = 1'800'000'000'000'000;

std::string Fault(const std::string& line, EmbeddingFrom from = EmbeddingFrom::kRecord) {
  v1::Observation observation;
  return std::string(ParseObservation(line, from, kNow, &observation).message());
}

TEST(ParseObservation, ReadsEveryField) {
  v1::Observation observation;
  ASSERT_TRUE(
      ParseObservation(R"({"id":"a","embedding":[0.5,-1,2e-1],"content":"gr\u00fc\u00df","tags":{"lang":"de","n":"1"},
      "observed_at":"2026-03-01T12:00:00Z","confidence":0.9,"ttl":"1h"})",
                       EmbeddingFrom::kRecord, kNow, &observation)
          .ok());
  EXPECT_EQ(observation.id(), "a");
  EXPECT_THAT(ElementsOf(observation), ElementsAre(0.5f, -1.0f, 0.2f));
  EXPECT_EQ(observation.content(), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(observation.tags().at("lang"), "de");
  EXPECT_EQ(observation.tags().size(), 2u);
  EXPECT_EQ(observation.observed_at_us(), 1'772'366'400'000'000);
  EXPECT_FLOAT_EQ(observation.confidence(), 0.9f);
  EXPECT_EQ(observation.ttl_us(), 3'600'000'000);
}

TEST(ParseObservation, LeavesUnsetWhatIsLeftOutOrNull) {
  v1::Observation observation;
  ASSERT_TRUE(
      ParseObservation(R"({"embedding":[1],"id":null,"confidence":null,"tags":null,"observed_at":1000000,"ttl":7})",
                       EmbeddingFrom::kRecord, kNow, &observation)
          .ok());
  EXPECT_TRUE(observation.id().empty());
  EXPECT_FALSE(observation.has_confidence());
  EXPECT_EQ(observation.observed_at_us(), 1'000'000);
  EXPECT_EQ(observation.ttl_us(), 7);
}

TEST(ParseObservation, ALineOfMatrixRecordsHasNoEmbedding) {
  v1::Observation observation;
  EXPECT_TRUE(ParseObservation(R"({"id":"a"})", EmbeddingFrom::kMatrix, kNow, &observation).ok());
  EXPECT_THAT(Fault(R"({"id":"a","embedding":[1]})", EmbeddingFrom::kMatrix), HasSubstr("comes from the .npy file"));
}

TEST(ParseObservation, NamesTheColumnAndTheFault) {
  EXPECT_THAT(Fault(R"({"id":"a")"), StartsWith("column 9: "));
  EXPECT_THAT(Fault("nonsense"), StartsWith("column 2: "));
  EXPECT_EQ(Fault(R"({"id":"a"})"), "column 1: \"embedding\" is missing");
  EXPECT_EQ(Fault(R"({"embedding":[1,"x"]})"), "column 19: expected numbers in \"embedding\", found a string");
  EXPECT_THAT(Fault(R"({"embedding":[[1]]})"), HasSubstr("expected numbers in \"embedding\", found an array"));
  EXPECT_THAT(Fault(R"({"embedding":"AAAA"})"), HasSubstr("expected an array for \"embedding\", found a string"));
  EXPECT_THAT(Fault(R"({"embedding":[1,null]})"), HasSubstr("found null"));
  EXPECT_THAT(Fault(R"({"embeding":[1]})"), HasSubstr("\"embeding\" is not a field"));
  EXPECT_THAT(Fault(R"({"id":7,"embedding":[1]})"), HasSubstr("expected a string for \"id\", found a number"));
  EXPECT_THAT(Fault(R"({"tags":{"a":1},"embedding":[1]})"),
              HasSubstr("expected a string for tag \"a\", found a number"));
  EXPECT_THAT(Fault(R"({"tags":["a"],"embedding":[1]})"), HasSubstr("expected an object for \"tags\", found an array"));
  EXPECT_THAT(Fault(R"({"observed_at":"soon","embedding":[1]})"), HasSubstr("\"soon\" is not a time"));
  EXPECT_THAT(Fault(R"({"ttl":"1 week","embedding":[1]})"), HasSubstr("\"1 week\" is not a duration"));
  EXPECT_THAT(Fault(R"([1,2])"), HasSubstr("expected an object for each line, found an array"));
  EXPECT_THAT(Fault(R"({"embedding":[1]} x)"), StartsWith("column 19: "));
  EXPECT_THAT(Fault("{\"id\":\"\xff\",\"embedding\":[1]}"), HasSubstr("UTF-8"));
}

TEST(ParseObservation, NumbersFollowTheGrammarOfJson) {
  for (const char* number : {"0", "-0", "10", "-0.5", "1e3", "1E-3", "1.5e+2", "1e-60"}) {
    v1::Observation observation;
    const std::string line = std::string("{\"embedding\":[ 1 ,") + number + ",2 ]}";
    ASSERT_TRUE(ParseObservation(line, EmbeddingFrom::kRecord, kNow, &observation).ok()) << number;
    EXPECT_THAT(ElementsOf(observation), ElementsAre(1, std::stof(std::string(number) == "1e-60" ? "0" : number), 2));
  }
  for (const char* number :
       {"01", "-01", ".5", "5.", "5.e3", "+1", "inf", "nan", "-", "1e", "0x10", "1 2", "", "1,", "1e999"}) {
    EXPECT_NE(Fault(std::string("{\"embedding\":[1,") + number + "]}"), "") << number;
  }
  EXPECT_NE(Fault("{\"embedding\":[1,2"), "");
  EXPECT_NE(Fault("{\"embedding\":[1,2]"), "");
}

TEST(ParseObservation, TheLastOfTwoEmbeddingsCounts) {
  v1::Observation observation;
  ASSERT_TRUE(ParseObservation(R"({"content":"a \"[9]\" b","embedding":[1,2],"embedding":[3]})", EmbeddingFrom::kRecord,
                               kNow, &observation)
                  .ok());
  EXPECT_THAT(ElementsOf(observation), ElementsAre(3));
  EXPECT_EQ(observation.content(), "a \"[9]\" b");
}

TEST(ParseObservation, ReadsBackWhatGetPrints) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 200; ++i) {
    v1::Observation before;
    before.set_id("id-" + std::to_string(i));
    std::vector<float> elements(1 + random() % 20);
    for (float& element : elements) element = normal(random);
    before.set_embedding_f32(LittleEndianBytes(elements));
    before.set_content("line\nbreak \"quoted\" \xe2\x82\xac");
    (*before.mutable_tags())["k"] = "v";
    before.set_observed_at_us(static_cast<int64_t>(1 + random()));
    before.set_confidence(static_cast<float>(random() % 1000) / 1000);
    before.set_ttl_us(static_cast<int64_t>(random()));
    v1::Observation after;
    const std::string line = ToJson(before);
    ASSERT_EQ(line.find('\n'), std::string::npos);
    ASSERT_TRUE(ParseObservation(line, EmbeddingFrom::kRecord, kNow, &after).ok()) << line;
    EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString()) << line;
  }
}

TEST(ParseObservation, MangledLinesAreNamedNotCrashedOn) {
  const std::string whole = R"({"id":"a","embedding":[0.5,-1],"tags":{"a":"b"},"observed_at":"2026-03-01","ttl":"1h"})";
  std::mt19937 random(9);
  v1::Observation observation;
  for (int i = 0; i < 20000; ++i) {
    std::string mangled = whole;
    for (int j = 0; j < 2; ++j) mangled[random() % mangled.size()] = static_cast<char>(random());
    static_cast<void>(ParseObservation(mangled, EmbeddingFrom::kRecord, kNow, &observation));
  }
}

TEST(ParseEmbeddings, TakesOneOrMany) {
  EXPECT_THAT(ParseEmbeddings("[0.5, 1]").value(), ElementsAre(ElementsAre(0.5f, 1.0f)));
  EXPECT_THAT(ParseEmbeddings(" 0.5, -1 ").value(), ElementsAre(ElementsAre(0.5f, -1.0f)));
  EXPECT_THAT(ParseEmbeddings("[1]\n[2]\n\n[3]\n").value(),
              ElementsAre(ElementsAre(1), ElementsAre(2), ElementsAre(3)));
  EXPECT_THAT(ParseEmbeddings("[[1,2],\n [3,4]]").value(), ElementsAre(ElementsAre(1, 2), ElementsAre(3, 4)));
  EXPECT_THAT(ParseEmbeddings(R"({"embedding":[1,2]} {"embedding":[3]})").value(),
              ElementsAre(ElementsAre(1, 2), ElementsAre(3)));
}

TEST(ParseEmbeddings, NamesLineColumnAndFault) {
  const auto fault = [](const std::string& text) { return std::string(ParseEmbeddings(text).status().message()); };
  EXPECT_THAT(fault(""), HasSubstr("there is no embedding"));
  EXPECT_THAT(fault("[]"), HasSubstr("no elements"));
  EXPECT_THAT(fault("[[1],[]]"), HasSubstr("no elements"));
  EXPECT_THAT(fault("[1,[2]]"), HasSubstr("expected arrays of numbers, found an array"));
  EXPECT_THAT(fault("[[1],2]"), HasSubstr("found a number"));
  EXPECT_THAT(fault("[[[1]]]"), HasSubstr("found an array"));
  EXPECT_THAT(fault("[1]\n[2, \"x\"]"), StartsWith("line 2, column 7: "));
  EXPECT_THAT(fault("[1]\n[2"), StartsWith("line 2, column "));
  EXPECT_THAT(fault(R"({"vector":[1]})"), HasSubstr("expected \"embedding\", found \"vector\""));
}

}  // namespace
}  // namespace engram
