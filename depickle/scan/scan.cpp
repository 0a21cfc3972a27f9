#include "depickle/scan/scan.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/torch/table.h"
#include "depickle/formats/zip/archive.h"
#include "depickle/formats/zip/inflate.h"
#include "depickle/os/mapped_file.h"
#include "depickle/scan/audit.h"

namespace depickle::scan {
namespace {

using torch::Contents;
using torch::Format;
using zip::Archive;
using zip::Record;

constexpr int kMaxNesting = 2;
constexpr uint64_t kMaxDistantBytes = 4 << 20;
constexpr uint64_t kMaxSearchedRecords = 100'000, kMaxInflatedBytes = 64 << 20;
// Records that are searched for may lie in one another: n bytes then hold n * n bytes of pickles, and thousands of times as many deflated.
constexpr uint64_t kMaxLookedBytes = 32 << 20, kMaxSearchedInflatedBytes = 256 << 20, kMaxTimesTheFile = 8;
constexpr std::string_view kLocalSignature("PK\x03\x04", 4);

bool is_archive(Bytes bytes) { return text(bytes.first(std::min<size_t>(bytes.size(), 4))) == kLocalSignature; }

// torch looks names up without regard to case: DATA.PKL is read as data.pkl.
bool is_named_pickle(std::string_view name) {
  constexpr std::string_view kEnding = ".pkl";
  return name.size() >= kEnding.size() &&
         std::ranges::equal(name.substr(name.size() - kEnding.size()), kEnding,
             [](char c, char wanted) { return c == wanted || (c >= 'A' && c <= 'Z' && c + 32 == wanted); });
}

class Scanner {
 public:
  explicit Scanner(std::shared_ptr<const ByteSource> source) : source_(std::move(source)) {}

  Scan run() {
    if (source_->is_remote())
      scan_.notes.push_back(
          "read from afar: its directory and its pickles; what may hide elsewhere in it, only a download shows");
    try {
      look_at_file();
    } catch (const Error& error) {
      remember(error);
    }
    if (scan_.error) scan_.error = scan_.error->in(source_->name());
    scan_.verdict = !scan_.findings.empty() ? Verdict::has_code
                    : scan_.error           ? Verdict::unreadable
                                            : Verdict::tensors_only;
    return std::move(scan_);
  }

 private:
  void remember(const Error& error) {
    if (!scan_.error) scan_.error = error;
  }

  void look_at_file() {
    Bytes head = source_->view(0, std::min<uint64_t>(source_->size_bytes(), 512));
    switch (torch::sniff(head)) {
      case Format::torch_zip: return look_at_archive(source_, "", 0);
      case Format::torch_legacy: return look_at_legacy();
      case Format::pickle: return look_at_pickle();
      case Format::torch_tar: return look_at_tar();
      case Format::safetensors:
        // Its first bytes are a length; chosen well, they are also the opcodes of a pickle.
        audit_stream(scan_, start(), "", Certainty::heuristic);
        return;
      case Format::other:
        remember(torch::not_a_model(*source_));
        // Python's zipfile reads an archive behind other bytes, and so do loaders that are handed an offset.
        return search_records(*source_, "", 0);
    }
  }

  // What pickles are looked for in: everything; of a file that is far away, the start.
  Bytes start() {
    const uint64_t size = source_->size_bytes();
    return source_->view(0, source_->is_remote() ? std::min(size, kMaxDistantBytes) : size);
  }

  void look_at_pickle() {
    uint64_t end = audit_stream(scan_, start(), "", Certainty::certain);
    if (scan_.error) return;
    if (uint64_t rest = source_->size_bytes() - end; rest > 0) {
      scan_.notes.push_back(fmt::format("{} behind the last pickle", plural(rest, "byte")));
      search_records(*source_, "", end);
    }
  }

  void look_at_legacy() {
    audit_stream(scan_, start(), "", Certainty::certain);
    Contents contents = torch::read_legacy(source_);
    uint64_t end = 0;
    for (const Storage& storage : contents.storages) end = std::max(end, storage.offset_bytes + storage.size_bytes);
    for (const std::string& note : contents.notes) scan_.notes.push_back(note);
    if (end == source_->size_bytes()) return;
    // Without storages the first look has gone on behind the last pickle; archives may be anywhere.
    if (end == 0) return search_records(*source_, "", 0);
    Bytes rest = source_->view(end, source_->size_bytes() - end);
    audit_stream(
        scan_, rest, fmt::format("{} behind the last storage", plural(rest.size(), "byte")), Certainty::heuristic);
    search_records(*source_, "", end);
  }

  void look_at_archive(const std::shared_ptr<const ByteSource>& source, const std::string& outer, int nesting) {
    std::optional<Archive> archive;
    try {
      archive = Archive::read(source);
    } catch (const Error& error) {
      remember(outer.empty() ? error : error.in(outer));
      return search_records(*source, outer, 0);
    }
    bool has_pickle = false;
    for (const Record& record : archive->records()) {
      std::string label = outer + printable(record.name, 120);
      if (is_named_pickle(record.name)) has_pickle = true;
      try {
        look_at_record(*archive, record, label, nesting);
      } catch (const Error& error) {
        remember(error.in(label));
      }
      std::string_view path = record.name;
      if (size_t slash = path.find('/'); slash != path.npos && path.substr(slash + 1).starts_with("code/"))
        note_code(label);
    }
    for (const std::string& note : archive->notes()) scan_.notes.push_back(outer + note);
    // Bytes that the directory does not own may be another archive to another reader.
    if (!archive->notes().empty()) search_records(*source, outer, 0);
    if (!has_pickle && scan_.pickles == 0)
      remember(Error(Code::unsupported, "TZ02", "a zip archive without a pickle: not a torch checkpoint"));
  }

  void look_at_record(const Archive& archive, const Record& record, const std::string& label, int nesting) {
    if (record.size_bytes == 0) return;
    bool named = is_named_pickle(record.name), in_data = record.name.find("/data/") != record.name.npos;
    if (source_->is_remote() && !named && in_data) return;  // a round trip for each storage
    // Inflating a large record only to see two bytes is not worth its temporary file.
    if (!named && record.method == Record::Method::deflated && record.size_bytes > kMaxInflatedBytes) return;
    Archive::Content content = archive.content(record);
    Bytes head = content.source->view(content.offset_bytes, std::min<uint64_t>(content.size_bytes, 512));
    if (named) {
      audit_stream(scan_, content.bytes(), label, Certainty::certain);
    } else if (begins_as_pickle(head) || (begins_with_opcode(head) && !in_data)) {
      // A storage is not taken for a pickle of protocol 0: one in four begins like one.
      audit_stream(scan_, content.bytes(), label, Certainty::heuristic);
    }
    // Its first letter is an opcode as well.
    if (!named && is_archive(head) && nesting < kMaxNesting)
      look_at_archive(
          std::make_shared<MemorySource>(label, content.bytes(), content.source), label + " / ", nesting + 1);
  }

  void note_code(const std::string& label) {
    if (noted_code_) return;
    noted_code_ = true;
    scan_.findings.push_back(
        {label, 0, "TorchScript code", "is compiled and run by torch.jit.load, and by torch.load before 2.6", 1});
  }

  // Every local header from `begin` on, whatever any directory says of it.
  void search_records(const ByteSource& source, const std::string& outer, uint64_t begin) {
    if (source.is_remote()) return;
    Bytes all = source.all();
    std::string_view file = text(all);
    uint64_t searched = 0;
    for (size_t at = file.find(kLocalSignature, begin); at != file.npos;
        at = file.find(kLocalSignature, at + 4), ++searched) {
      if (all.size() - at < 30) break;
      uint64_t name_bytes = load<uint16_t>(all, at + 26), extra_bytes = load<uint16_t>(all, at + 28),
               data = at + 30 + name_bytes + extra_bytes;
      if (data > all.size()) continue;
      if (searched > kMaxSearchedRecords || over_budget()) {
        return remember(Error(Code::limit, "TZ04", "records lie in one another, too many to look into all", {},
            "no honest writer makes such a file; do not trust it"));
      }
      std::string label =
          fmt::format("{}{} (found at byte {})", outer, printable(file.substr(at + 30, name_bytes), 120), at);
      Bytes content = all.subspan(data);
      if (load<uint16_t>(all, at + 8) == 8) {
        std::vector<std::byte> inflated = zip::inflate_prefix(content, kMaxInflatedBytes);
        inflated_bytes_ += inflated.size();
        if (!inflated.empty()) audit_stream(scan_, inflated, label, Certainty::heuristic);
      } else if (!content.empty()) {
        audit_stream(scan_, content, label, Certainty::heuristic);
      }
    }
  }

  bool over_budget() const {
    uint64_t more = source_->size_bytes() * kMaxTimesTheFile;
    return scan_.looked_bytes > kMaxLookedBytes + more || inflated_bytes_ > kMaxSearchedInflatedBytes + more;
  }

  void look_at_tar() {
    // Read from memory it is no tar to torch but a pickle, whose first opcodes are the first member's name.
    audit_stream(scan_, start(), "", Certainty::heuristic);
    torch::read_tar(source_, [&](Bytes pickle, uint64_t offset) {
      audit_stream(scan_, pickle, fmt::format("pickle at byte {}", offset), Certainty::certain);
    });
  }

  std::shared_ptr<const ByteSource> source_;
  Scan scan_;
  bool noted_code_ = false;
  uint64_t inflated_bytes_ = 0;  ///< of records that were searched for
};

}  // namespace

std::string_view name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::tensors_only: return "tensors-only";
    case Verdict::has_code: return "has-code";
    case Verdict::unreadable: return "unreadable";
  }
  return "unreadable";
}

Scan scan_pickles(std::shared_ptr<const ByteSource> file) { return Scanner(std::move(file)).run(); }

Scan scan(const std::filesystem::path& path) { return scan(os::MappedFile::open(path)); }

Scan scan(std::shared_ptr<const ByteSource> file) {
  Scan scan = scan_pickles(file);
  Bytes head = file->view(0, std::min<uint64_t>(file->size_bytes(), 512));
  try {
    if (torch::sniff(head) == torch::Format::safetensors) {
      safetensors::Header::read(*file);
      scan.notes.push_back("safetensors: contains no pickle");
    } else if (scan.verdict == Verdict::tensors_only) {
      torch::read_table(file, {.root = "."});
    }
  } catch (const Error& error) {
    scan.error = error;
    if (scan.findings.empty()) scan.verdict = Verdict::unreadable;
  }
  return scan;
}

}  // namespace depickle::scan
