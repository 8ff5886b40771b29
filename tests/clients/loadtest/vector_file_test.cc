#include "loadtest/vector_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "loadtest/spawn.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VectorFileTest : public ::testing::Test {
 protected:
  template <typename Element>
  std::filesystem::path Write(const std::string& name, uint32_t rows, uint32_t dimension,
                              const std::vector<Element>& elements) {
    std::ofstream out(directory_->path() / name, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&rows), 4);
    out.write(reinterpret_cast<const char*>(&dimension), 4);
    out.write(reinterpret_cast<const char*>(elements.data()),
              static_cast<std::streamsize>(elements.size() * sizeof(Element)));
    return directory_->path() / name;
  }

  const std::unique_ptr<TemporaryDirectory> directory_ = *TemporaryDirectory::Create();
};

TEST_F(VectorFileTest, ReadsEachElementType) {
  const auto floats = ReadVectorFile(Write<float>("a.fbin", 2, 3, {1.5f, -2, 3, 4, 5, 6}), 2);
  ASSERT_TRUE(floats.ok()) << floats.status();
  EXPECT_EQ(floats->dimension, 3u);
  EXPECT_THAT(floats->values, ElementsAre(1.5f, -2, 3, 4, 5, 6));
  EXPECT_THAT(ReadVectorFile(Write<uint8_t>("a.u8bin", 1, 2, {0, 255}), 1)->values, ElementsAre(0, 255));
  EXPECT_THAT(ReadVectorFile(Write<int8_t>("a.i8bin", 1, 2, {-128, 127}), 1)->values, ElementsAre(-128, 127));
}

TEST_F(VectorFileTest, ReadsTheFirstRowsOnly) {
  const auto file = Write<float>("a.fbin", 3, 1, {7, 8, 9});
  EXPECT_THAT(ReadVectorFile(file, 2)->values, ElementsAre(7, 8));
  EXPECT_THAT(ReadVectorFileUpTo(file, 10)->values, ElementsAre(7, 8, 9));
  EXPECT_THAT(std::string(ReadVectorFile(file, 4).status().message()), HasSubstr("3 rows; 4 are needed"));
}

TEST_F(VectorFileTest, WhatDoesNotFitIsRefused) {
  EXPECT_THAT(std::string(ReadVectorFile(Write<float>("a.fbin", 2, 2, {1, 2, 3}), 2).status().message()),
              HasSubstr("do not hold 2 rows of 2"));
  EXPECT_THAT(std::string(ReadVectorFile(Write<float>("b.fbin", 2, 0, {}), 2).status().message()),
              HasSubstr("dimension 0"));
  EXPECT_THAT(std::string(ReadVectorFile(Write<float>("a.npy", 1, 1, {1}), 1).status().message()),
              HasSubstr("not a vector file"));
  EXPECT_EQ(ReadVectorFile(directory_->path() / "none.fbin", 1).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace engram
