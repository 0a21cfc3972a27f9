// Inspections: the tensor tables of a model, read without downloading the files.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/remote_source.h"
#include "depickle/repo/remote.h"
#include "depickle/weights/pick.h"
#include "server/jobs/result_json.h"
#include "server/jobs/work.h"

namespace depickle::server::jobs {
namespace {

constexpr std::string_view kModelIndex = "model_index.json";

// The tables of an inspection are in memory, in the result and in the database. One table has at most the size of a
// message of the sandbox.
constexpr uint64_t kMaxTableTextBytes = 64 << 20;

[[noreturn]] void throw_too_large(std::string what) {
  throw Error(Code::limit, "", std::move(what), {}, "inspect the files with the program: depickle inspect");
}

uint64_t text_bytes(const convert::TableSummary& summary) {
  uint64_t bytes = 0;
  for (const convert::DigestedTensor& tensor : summary.tensors) bytes += tensor.name.size() + 8 * tensor.shape.size();
  for (const auto& [key, value] : summary.metadata) bytes += key.size() + value.size();
  for (const Unused& unused : summary.unused) bytes += unused.path.size() + unused.description.size();
  for (const Unsupported& unsupported : summary.unsupported) bytes += unsupported.name.size();
  for (const std::string& note : summary.notes) bytes += note.size();
  return bytes;
}

class Inspection {
 public:
  /// `files` are all files of the repository at `commit`.
  Inspection(const Work& work, const hub::Client& client, std::string commit, const std::vector<std::string>& files)
      : work_(work),
        client_(client),
        commit_(std::move(commit)),
        all_files_(files) {}

  /// Returns the file that the address names, or the files of the model that a library would load.
  std::vector<std::string> entries() const {
    const std::vector<std::string>& files = all_files_;
    if (!work_.request.path.empty()) return {work_.request.path};
    std::optional<std::string> model_index;
    if (std::ranges::find(files, kModelIndex) != files.end())
      model_index = repo::read_text(client_, work_.repo(), commit_, std::string(kModelIndex));
    std::vector<std::string> paths;
    for (const weights::ModelFile& model : weights::pick(files, model_index).models) paths.push_back(model.path);
    return paths;
  }

  void summarize(const std::string& path) {
    work_.check();
    sources_.clear();
    weights::Model model{.entry = open(path)};
    if (detect::is_index_name(path))
      model.shards = repo::shards_beside(path, all_files_, [this](const std::string& file) { return open(file); });
    const convert::TableSummary summary = work_.engine.summarize(model, {});
    count_tables(summary);
    append_rows(result_.tensors, summary.tensors, path, "");
    uint64_t tensor_bytes = 0, file_bytes = 0;
    for (const convert::DigestedTensor& tensor : summary.tensors) tensor_bytes += tensor.size_bytes;
    for (const auto& source : sources_) file_bytes += source->size_bytes();
    for (const auto& source : sources_)
      if (!summary.is_safetensors && !detect::is_index_name(source->name()))
        scans_.push_back({path, work_.engine.scan_file(source)});
    files_.object().key("file").value(path).key("container").value(summary.container);
    files_.key("tensors").value(static_cast<uint64_t>(summary.tensors.size())).key("tensor_bytes").value(tensor_bytes);
    files_.key("file_bytes").value(file_bytes).key("metadata").object();
    for (const auto& [key, value] : summary.metadata) files_.key(key).value(value);
    files_.end().end();
    append(unused_, summary.unused);
    append(unsupported_, summary.unsupported);
    append(notes_, summary.notes);
    count_traffic();
  }

  JobResult finish() {
    files_.end();
    uint64_t bytes = 0;
    for (const TensorRow& tensor : result_.tensors) bytes += tensor.bytes;
    JobOutcome& outcome = result_.outcome;
    outcome.answer = "yes";
    outcome.sentence = fmt::format("{}, {}. Read with {}: {}.", plural(result_.tensors.size(), "tensor"),
        human_bytes(bytes), plural(requests_, "request"), human_bytes(read_bytes_));
    JsonWriter json(outcome.result, JsonWriter::Style::compact);
    json.object().key("commit").value(commit_).key("tensors").value(static_cast<uint64_t>(result_.tensors.size()));
    json.key("tensor_bytes").value(bytes).key("read_bytes").value(read_bytes_).key("requests").value(requests_);
    json.key("shares");
    write_shares(json, result_.tensors);
    json.key("scan");
    write_scan(json, scans_);
    json.key("leftovers");
    convert::write_unused(json, unused_);
    json.key("unsupported");
    convert::write_unsupported(json, unsupported_);
    json.key("notes");
    convert::write_texts(json, notes_);
    json.end();
    outcome.result.pop_back();
    outcome.result += ",\"files\":" + files_text_ + "}";
    return std::move(result_);
  }

 private:
  template <typename List>
  static void append(List& to, const List& more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  std::shared_ptr<const ByteSource> open(const std::string& path) {
    sources_.push_back(repo::open_source(client_, work_.repo(), commit_, path));
    return sources_.back();
  }

  void count_tables(const convert::TableSummary& summary) {
    text_bytes_ += text_bytes(summary);
    const uint64_t tensors = result_.tensors.size() + summary.tensors.size();
    if (tensors > kMaxTensors)
      throw_too_large(fmt::format(
          "the model has too many tensors (have {}, need at most {})", grouped(tensors), grouped(kMaxTensors)));
    if (text_bytes_ > kMaxTableTextBytes)
      throw_too_large(fmt::format("the tables of the model are too large (have {}, need at most {})",
          human_bytes(text_bytes_), human_bytes(kMaxTableTextBytes)));
  }

  void count_traffic() {
    for (const auto& source : sources_) {
      auto* remote = dynamic_cast<const hub::RemoteSource*>(source.get());
      if (!remote) continue;
      requests_ += remote->traffic().requests;
      read_bytes_ += remote->traffic().transferred_bytes;
    }
  }

  const Work& work_;
  const hub::Client& client_;
  const std::string commit_;
  const std::vector<std::string>& all_files_;
  std::vector<std::shared_ptr<const ByteSource>> sources_;  // of the current model
  JobResult result_;
  std::string files_text_;
  JsonWriter files_{JsonWriter(files_text_, JsonWriter::Style::compact).array()};
  std::vector<scan::ScannedFile> scans_;
  std::vector<Unused> unused_;
  std::vector<Unsupported> unsupported_;
  std::vector<std::string> notes_;
  uint64_t requests_ = 0, read_bytes_ = 0;
  uint64_t text_bytes_ = 0;  // of the tables so far
};

}  // namespace

JobResult inspect(const Work& work) {
  const hub::Client client = work.reader();
  const hub::RepoInfo info = client.info(work.repo(), work.request.revision);
  Inspection inspection(work, client, info.commit, info.files);
  work.enter("read");
  for (const std::string& path : inspection.entries()) inspection.summarize(path);
  return inspection.finish();
}

}  // namespace depickle::server::jobs
