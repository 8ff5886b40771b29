// engram recall: the most similar observations to one cue or to each of many.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <utility>

#include "clients/cli/json_lines.h"
#include "clients/cli/json_output.h"
#include "clients/cli/npy.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

std::string TagText(const google::protobuf::Map<std::string, std::string>& tags) {
  const std::map<std::string, std::string> sorted(tags.begin(), tags.end());
  std::string out;
  for (const auto& [key, value] : sorted) out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, value);
  return out;
}

std::string CoverageText(const v1::RecallResponse& response) {
  const v1::Coverage& coverage = response.coverage();
  const std::string found = fmt::format("{} of {} observations", response.hits_size(), Grouped(coverage.live()));
  std::string seen;
  if (coverage.graph_candidates() > 0) seen += fmt::format(", {} walked", Grouped(coverage.graph_candidates()));
  seen += fmt::format(", {} scanned", Grouped(coverage.tail_scanned()));
  if (coverage.unreadable() > 0) seen += fmt::format(", {} damaged and left out", Grouped(coverage.unreadable()));
  return fmt::format("{}, {}{}, seen through {}, {}", found, coverage.exact() ? "exact" : "approximate", seen,
                     Grouped(coverage.visible_through().position()),
                     FormatDurationRough(static_cast<double>(response.elapsed_us())));
}

std::string TableOf(const v1::RecallResponse& response, const RecallOptions& options, const Terminal& terminal) {
  bool any_tags = false, any_text = false;
  for (const v1::Hit& hit : response.hits()) {
    any_tags |= options.tags && !hit.tags().empty();
    any_text |= options.content && !hit.content().empty();
  }
  std::vector<Table::Column> columns = {{"#", true}, {"score", true}, {"id"}};
  if (any_tags) columns.push_back({"tags"});
  if (any_text) columns.push_back({"text"});
  Table table(columns);
  for (int i = 0; i < response.hits_size(); ++i) {
    const v1::Hit& hit = response.hits(i);
    std::vector<std::string> cells = {fmt::format("{}", i + 1), fmt::format("{:.4f}", hit.score()), hit.id()};
    if (any_tags) cells.push_back(TagText(hit.tags()));
    if (any_text) cells.push_back(hit.content());
    table.Add(std::move(cells));
  }
  const std::string coverage = Styled(terminal, Style::kDim, CoverageText(response)) + "\n";
  return response.hits_size() == 0 ? coverage : table.Render(terminal) + coverage;
}

v1::RecallRequest RequestOf(const RecallOptions& options) {
  v1::RecallRequest request;
  request.set_space(options.space);
  request.set_k(options.k);
  request.set_ef(options.ef);
  if (options.min_similarity.has_value()) request.set_min_similarity(*options.min_similarity);
  if (options.ranking.ByteSizeLong() != 0) *request.mutable_ranking() = options.ranking;
  *request.mutable_filter() = options.filter;
  request.set_include_content(options.content);
  request.set_include_tags(options.tags);
  request.set_include_embedding(options.embedding);
  request.set_exact(options.exact);
  request.set_oversample(options.oversample);
  return request;
}

// Asks once and prints. `row` counts cues from 1; with `many`, a heading says which one it is.
ExitCode Ask(Session& session, const RecallOptions& options, const v1::RecallRequest& request, uint64_t row, bool many,
             uint64_t dimension) {
  if (options.follow) {
    if (!many) return FollowRecall(session, options, request, dimension);
    session.Warn("--follow goes with one cue");
    return kUsage;
  }
  const absl::StatusOr<v1::RecallResponse> response = session.daemon().Recall(request);
  if (!response.ok()) return session.FailIn(options.space, response.status(), dimension);
  if (session.global().json) {
    session.Print(ToJson(*response, row, options.id) + "\n");
  } else {
    const std::string heading = many ? Styled(session.out(), Style::kCyan, fmt::format("cue {}", row)) + "\n" : "";
    session.Print(heading + TableOf(*response, options, session.out()) + (many ? "\n" : ""));
  }
  return kOk;
}

ExitCode RecallByRows(Session& session, const RecallOptions& options, v1::RecallRequest request) {
  const absl::StatusOr<std::unique_ptr<NpyFile>> file = NpyFile::Open(options.npy);
  if (!file.ok()) return session.FailInput(file.status());
  const NpyHeader& header = (*file)->header();
  if (options.row.has_value() && *options.row >= header.rows) {
    session.Warn(fmt::format("{} has {} rows; there is no row {}", (*file)->name(), header.rows, *options.row));
    return kBadData;
  }
  const uint64_t first = options.row.value_or(0), end = options.row.has_value() ? first + 1 : header.rows;
  for (uint64_t row = first; row < end; ++row) {
    const std::string elements((*file)->Row(row));
    header.element == NpyHeader::Element::kFloat32 ? request.set_embedding_f32(elements)
                                                   : request.set_embedding_f16(elements);
    const ExitCode code = Ask(session, options, request, row + 1, end - first > 1, header.columns);
    if (code != kOk) return code;
  }
  return kOk;
}

ExitCode RecallByVectors(Session& session, const RecallOptions& options, v1::RecallRequest request) {
  const std::string where = options.vector_file.empty()  ? "--vector"
                            : options.vector_file == "-" ? "standard input"
                                                         : options.vector_file;
  const absl::StatusOr<std::string> text =
      options.vector_file.empty() ? options.vector : ReadWhole(options.vector_file);
  if (!text.ok()) return session.FailInput(text.status());
  const absl::StatusOr<std::vector<std::vector<float>>> cues = ParseEmbeddings(*text);
  if (!cues.ok()) {
    session.Warn(fmt::format("{}: {}", where, std::string(cues.status().message())));
    return kBadData;
  }
  for (size_t i = 0; i < cues->size(); ++i) {
    const std::vector<float>& cue = (*cues)[i];
    request.set_embedding_f32(LittleEndianBytes(cue));
    const ExitCode code = Ask(session, options, request, i + 1, cues->size() > 1, cue.size());
    if (code != kOk) return code;
  }
  return kOk;
}

}  // namespace

ExitCode RunRecall(Session& session, const RecallOptions& options) {
  v1::RecallRequest request = RequestOf(options);
  if (!options.npy.empty()) return RecallByRows(session, options, std::move(request));
  if (options.id.empty()) return RecallByVectors(session, options, std::move(request));
  request.set_id(options.id);
  return Ask(session, options, request, 1, false, 0);
}

}  // namespace engram
