#include "clients/cli/json_lines.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "clients/cli/time_text.h"
#include "core/base/status.h"

namespace engram {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "embeddings are sent as they lie in memory");

// An array of plain numbers, read ahead of the parser, and where its inside stands.
struct LiftedNumbers {
  const char* begin = nullptr;
  const char* end = nullptr;
  std::vector<float> elements;
};

// One number by the grammar of JSON, which is stricter than from_chars, from the front of [at, end). Null: something
// else.
const char* ReadNumber(const char* at, const char* end, float* value) {
  const char* const digits = at + (*at == '-');
  if (digits == end || *digits < '0' || *digits > '9') return nullptr;
  if (*digits == '0' && digits + 1 < end && digits[1] >= '0' && digits[1] <= '9') return nullptr;
  const auto [after, error] = std::from_chars(at, end, *value);
  if (error != std::errc() || after[-1] < '0' || after[-1] > '9') return nullptr;
  const char* const point = static_cast<const char*>(std::memchr(digits, '.', after - digits));
  return point == nullptr || (point[1] >= '0' && point[1] <= '9') ? after : nullptr;
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Reads the first array of a line where that holds nothing but numbers. The parser spends 0.25 us on a number, which
// for embeddings is all the time there is; this a tenth of that. Whatever is odd is left to the parser, and so are all
// faults.
LiftedNumbers LiftNumbers(std::string_view line) {
  const char* at = line.data();
  const char* const end = at + line.size();
  for (bool in_string = false; at < end && (in_string || *at != '['); ++at) {
    if (*at == '\\' && at + 1 < end)
      ++at;
    else if (*at == '"')
      in_string = !in_string;
  }
  LiftedNumbers lifted;
  if (at >= end) return lifted;
  const char* const begin = ++at;
  while (true) {
    while (at < end && IsSpace(*at)) ++at;
    float value = 0;
    if (at == end || (at = ReadNumber(at, end, &value)) == nullptr) return {};
    lifted.elements.push_back(value);
    while (at < end && IsSpace(*at)) ++at;
    if (at == end || (*at != ',' && *at != ']')) return {};
    if (*at == ']') break;
    ++at;
  }
  lifted.begin = begin;
  lifted.end = at;
  return lifted;
}

// A character pointer that leaves its position where the handler can see it, so that a wrong value has a column too and
// not only wrong syntax, and that steps over what has been lifted.
struct TrackedPointer {
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at = nullptr;
  const char** seen = nullptr;
  const char* lifted_begin = nullptr;
  const char* lifted_end = nullptr;

  const char& operator*() const { return *at; }
  TrackedPointer& operator++() {
    *seen = ++at;
    if (at == lifted_begin) at = lifted_end;
    return *this;
  }
  TrackedPointer operator++(int) {
    TrackedPointer old = *this;
    ++*this;
    return old;
  }
  bool operator==(const TrackedPointer& other) const { return at == other.at; }
  bool operator!=(const TrackedPointer& other) const { return at != other.at; }
};

// The last sentence of the parser's message, without its own idea of the position.
std::string PlainMessage(std::string_view text) {
  for (std::string_view before : {"column ", "parse error: "}) {
    const size_t at = text.find(before);
    if (at == std::string_view::npos) continue;
    const size_t colon = text.find(": ", at);
    if (colon != std::string_view::npos) return std::string(text.substr(colon + 2));
  }
  return std::string(text);
}

// What both readers share: every event is a fault until one overrides it.
class Reader : public nlohmann::json_sax<json> {
 public:
  bool null() override { return Wrong("null"); }
  bool boolean(bool) override { return Wrong("true or false"); }
  bool number_integer(int64_t value) override { return Integer(value); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Number(static_cast<double>(value));
    return Integer(static_cast<int64_t>(value));
  }
  bool number_float(double value, const std::string&) override { return Number(value); }
  bool string(std::string& value) override { return Text(value); }
  bool binary(json::binary_t&) override { return Wrong("bytes"); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fault_ = PlainMessage(error.what());
    return false;
  }

  const std::string& fault() const { return fault_; }

 protected:
  virtual bool Integer(int64_t value) = 0;
  virtual bool Number(double value) = 0;
  virtual bool Text(std::string& value) = 0;
  virtual std::string Expected() const = 0;

  bool Fail(std::string fault) {
    fault_ = std::move(fault);
    return false;
  }
  bool Wrong(std::string_view found) { return Fail(fmt::format("expected {}, found {}", Expected(), found)); }

 private:
  std::string fault_;
};

class ObservationReader final : public Reader {
 public:
  // `at` is where the parser is, for as long as this lives.
  ObservationReader(EmbeddingFrom from, int64_t now_us, const char* const* at, LiftedNumbers* lifted,
                    v1::Observation* out)
      : from_(from), now_us_(now_us), at_(at), lifted_(lifted), out_(out) {}

  bool null() override { return depth_ == 1 ? true : Wrong("null"); }
  bool start_object(size_t) override {
    if (depth_ == 0 || (depth_ == 1 && field_ == "tags")) return ++depth_, true;
    return Wrong("an object");
  }
  bool key(std::string& name) override {
    if (depth_ == 2) return tag_ = name, true;
    field_ = name;
    for (std::string_view known : {"id", "embedding", "content", "tags", "observed_at", "confidence", "ttl"}) {
      if (field_ == known) return true;
    }
    return Fail(fmt::format(
        "\"{}\" is not a field; there are id, embedding, content, tags, observed_at, confidence, ttl", field_));
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override {
    if (depth_ != 1 || field_ != "embedding") return Wrong("an array");
    if (from_ == EmbeddingFrom::kMatrix) return Fail("\"embedding\" comes from the .npy file here");
    elements_.clear();
    if (lifted_->begin != nullptr && *at_ == lifted_->begin) elements_.swap(lifted_->elements);
    has_embedding_ = true;
    return ++depth_, true;
  }
  bool end_array() override { return --depth_, true; }

  absl::Status Finish() {
    if (from_ == EmbeddingFrom::kRecord) {
      if (!has_embedding_) return absl::InvalidArgumentError("\"embedding\" is missing");
      out_->set_embedding_f32(LittleEndianBytes(elements_));
    }
    return absl::OkStatus();
  }

 protected:
  bool Integer(int64_t value) override {
    if (depth_ == 1 && field_ == "observed_at") return out_->set_observed_at_us(value), true;
    if (depth_ == 1 && field_ == "ttl") return out_->set_ttl_us(value), true;
    return Number(static_cast<double>(value));
  }
  bool Number(double value) override {
    if (depth_ == 2 && field_ == "embedding") return elements_.push_back(static_cast<float>(value)), true;
    if (depth_ == 1 && field_ == "confidence") return out_->set_confidence(static_cast<float>(value)), true;
    return Wrong("a number");
  }
  bool Text(std::string& value) override {
    if (depth_ == 2 && field_ == "tags") return (*out_->mutable_tags())[tag_] = std::move(value), true;
    if (depth_ != 1) return Wrong("a string");
    if (field_ == "id") return out_->set_id(std::move(value)), true;
    if (field_ == "content") return out_->set_content(std::move(value)), true;
    if (field_ == "observed_at" || field_ == "ttl") {
      const bool instant = field_ == "observed_at";
      const absl::StatusOr<int64_t> micros = instant ? ParseInstant(value, now_us_) : ParseDuration(value);
      if (!micros.ok()) return Fail(fmt::format("\"{}\": {}", field_, std::string(micros.status().message())));
      instant ? out_->set_observed_at_us(*micros) : out_->set_ttl_us(*micros);
      return true;
    }
    return Wrong("a string");
  }
  std::string Expected() const override {
    if (depth_ == 0) return "an object for each line";
    if (field_ == "embedding") return depth_ == 2 ? "numbers in \"embedding\"" : "an array for \"embedding\"";
    if (field_ == "tags") return depth_ == 2 ? fmt::format("a string for tag \"{}\"", tag_) : "an object for \"tags\"";
    if (field_ == "confidence") return "a number for \"confidence\"";
    if (field_ == "observed_at" || field_ == "ttl") return fmt::format("a string or microseconds for \"{}\"", field_);
    return fmt::format("a string for \"{}\"", field_);
  }

 private:
  const EmbeddingFrom from_;
  const int64_t now_us_;
  const char* const* const at_;
  LiftedNumbers* const lifted_;
  v1::Observation* const out_;
  int depth_ = 0;
  std::string field_;
  std::string tag_;
  bool has_embedding_ = false;
  std::vector<float> elements_;
};

class EmbeddingsReader final : public Reader {
 public:
  explicit EmbeddingsReader(std::vector<std::vector<float>>* out) : out_(out) {}

  bool start_object(size_t) override { return depth_ == 0 && !object_ ? (object_ = true) : Wrong("an object"); }
  bool key(std::string& name) override {
    return name == "embedding" ? true : Fail(fmt::format("expected \"embedding\", found \"{}\"", name));
  }
  bool end_object() override { return object_ = false, true; }
  bool start_array(size_t) override {
    if (depth_ == 2 || (depth_ == 1 && open_)) return Wrong("an array");
    ++depth_;
    return true;
  }
  bool end_array() override {
    // An array that held arrays has been taken piece by piece.
    if (depth_ == 1 && !open_ && !held_arrays_) return Fail("an embedding has no elements");
    if (depth_ == 2 && !open_) return Fail("an embedding has no elements");
    held_arrays_ = depth_ == 2;
    open_ = false;
    --depth_;
    return true;
  }

 protected:
  bool Integer(int64_t value) override { return Number(static_cast<double>(value)); }
  bool Number(double value) override {
    if (depth_ == 0 || (depth_ == 1 && held_arrays_)) return Wrong("a number");
    if (!open_) {
      out_->emplace_back();
      open_ = true;
    }
    out_->back().push_back(static_cast<float>(value));
    return true;
  }
  bool Text(std::string&) override { return Wrong("a string"); }
  std::string Expected() const override { return "arrays of numbers"; }

 private:
  std::vector<std::vector<float>>* const out_;
  int depth_ = 0;
  bool object_ = false;
  bool open_ = false;
  bool held_arrays_ = false;
};

// Parses one value from the front of `text`; `end` follows the parser, and stays where the fault is.
bool Parse(std::string_view text, bool to_the_end, const LiftedNumbers& lifted, Reader* reader, const char** end) {
  *end = text.data();
  const TrackedPointer first{text.data(), end, lifted.begin, lifted.end};
  const TrackedPointer last{text.data() + text.size(), end};
  return json::sax_parse(first, last, reader, json::input_format_t::json, to_the_end);
}

}  // namespace

absl::Status ParseObservation(std::string_view line, EmbeddingFrom from, int64_t now_us, v1::Observation* observation) {
  observation->Clear();
  LiftedNumbers lifted = LiftNumbers(line);
  const char* end = nullptr;
  ObservationReader reader(from, now_us, &end, &lifted, observation);
  if (!Parse(line, true, lifted, &reader, &end)) {
    const size_t column = end - line.data();
    return absl::InvalidArgumentError(fmt::format("column {}: {}", column == 0 ? 1 : column, reader.fault()));
  }
  const absl::Status status = reader.Finish();
  return status.ok() ? status : absl::InvalidArgumentError(fmt::format("column 1: {}", std::string(status.message())));
}

absl::StatusOr<std::vector<std::vector<float>>> ParseEmbeddings(std::string_view text) {
  std::string bracketed;
  size_t added = 0;
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return absl::InvalidArgumentError("line 1, column 1: there is no embedding");
  if (text[begin] != '[' && text[begin] != '{') {
    bracketed = fmt::format("[{}]", text);
    text = bracketed;
    added = 1;
  }
  std::vector<std::vector<float>> out;
  std::string_view rest = text;
  while (true) {
    while (!rest.empty() && IsSpace(rest.front())) rest.remove_prefix(1);
    if (rest.empty()) return out;
    EmbeddingsReader reader(&out);
    const char* end = nullptr;
    if (!Parse(rest, false, {}, &reader, &end)) {
      size_t line = 1, column = 0;
      for (const char* at = text.data() + added; at < end; ++at) {
        column = at > text.data() && at[-1] == '\n' ? 1 : column + 1;
        line += at > text.data() && at[-1] == '\n';
      }
      return absl::InvalidArgumentError(fmt::format("line {}, column {}: {}", line, column, reader.fault()));
    }
    rest.remove_prefix(end - rest.data());
  }
}

std::string LittleEndianBytes(const std::vector<float>& elements) {
  std::string bytes(elements.size() * sizeof(float), '\0');
  if (!elements.empty()) std::memcpy(bytes.data(), elements.data(), bytes.size());
  return bytes;
}

}  // namespace engram
