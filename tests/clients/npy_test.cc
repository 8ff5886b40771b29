#include "clients/cli/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace engram {
namespace {

using ::testing::HasSubstr;

std::string Header(const std::string& dictionary, int version = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(dictionary.size() >> (8 * i) & 0xff);
  return bytes + dictionary;
}

std::string Message(const std::string& bytes) { return std::string(ParseNpyHeader(bytes).status().message()); }

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    const int fd = mkstemp(path_);
    EXPECT_GE(fd, 0);
    close(fd);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { unlink(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/engram-npy-XXXXXX";
};

TEST(NpyHeader, ReadsWhatNumpyWrites) {
  const auto header = ParseNpyHeader(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 128), }      \n"));
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->rows, 3u);
  EXPECT_EQ(header->columns, 128u);
  EXPECT_EQ(header->row_bytes(), 512u);
  for (const int version : {2, 3}) {
    const auto half =
        ParseNpyHeader(Header("{'descr': '<f2', 'fortran_order': False, 'shape': (1000000, 768), }\n", version));
    ASSERT_TRUE(half.ok()) << half.status();
    EXPECT_EQ(half->element, NpyHeader::Element::kFloat16);
    EXPECT_EQ(half->row_bytes(), 1536u);
    EXPECT_EQ(half->data_offset % 1, 0u);
  }
}

TEST(NpyHeader, SaysWhatIsWrongAndWhatToDo) {
  EXPECT_THAT(Message("PK\x03\x04"), HasSubstr("not a .npy file"));
  EXPECT_THAT(Message(std::string("\x93NUMPY\x01", 7)), HasSubstr("ends within its header"));
  EXPECT_THAT(Message(Header("{}", 4)), HasSubstr("version is 4"));
  EXPECT_THAT(Message(Header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }")),
              HasSubstr("astype(numpy.float32)"));
  EXPECT_THAT(Message(Header("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 4), }")), HasSubstr("big-endian"));
  EXPECT_THAT(Message(Header("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4), }")),
              HasSubstr("ascontiguousarray"));
  EXPECT_THAT(Message(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }")),
              HasSubstr("has 1 dimension;"));
  EXPECT_THAT(Message(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 5), }")),
              HasSubstr("has 3 dimensions;"));
  EXPECT_THAT(Message(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }")), HasSubstr("no elements"));
  EXPECT_THAT(Message(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 16), }")),
              HasSubstr("larger than any file"));
  EXPECT_THAT(Message(Header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 4), }")),
              HasSubstr("element type"));
  EXPECT_THAT(Message(Header("{'fortran_order': False, 'shape': (3, 4), }")), HasSubstr("element type"));
}

TEST(NpyHeader, TruncatedAndMangledHeadersAreNamedNotCrashedOn) {
  const std::string whole = Header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n");
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(ParseNpyHeader(whole.substr(0, length)).ok()) << length;
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string mangled = whole;
    for (int j = 0; j < 3; ++j) mangled[random() % mangled.size()] = static_cast<char>(random());
    static_cast<void>(ParseNpyHeader(mangled));
  }
}

TEST(NpyFile, GivesTheRows) {
  const std::vector<float> elements = {1, 2, 3, 4, 5, 6};
  std::string data(elements.size() * 4, '\0');
  std::memcpy(data.data(), elements.data(), data.size());
  const TemporaryFile file(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n") + data);
  const auto opened = NpyFile::Open(file.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  float row[3];
  ASSERT_EQ((*opened)->Row(1).size(), sizeof(row));
  std::memcpy(row, (*opened)->Row(1).data(), sizeof(row));
  EXPECT_EQ(row[0], 4);
  EXPECT_EQ(row[2], 6);
}

TEST(NpyFile, NamesAFileThatIsShortEmptyOrAbsent) {
  const TemporaryFile cut(Header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n") +
                          std::string(23, 'x'));
  EXPECT_THAT(std::string(NpyFile::Open(cut.path()).status().message()),
              HasSubstr("needs 24 bytes after the header; there are 23"));
  const TemporaryFile empty("");
  EXPECT_THAT(std::string(NpyFile::Open(empty.path()).status().message()), HasSubstr("is empty"));
  EXPECT_EQ(NpyFile::Open("/nonexistent/vectors.npy").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(NpyFile::Open("/tmp").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace engram
