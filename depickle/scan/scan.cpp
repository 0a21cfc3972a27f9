#include "depickle/scan/scan.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/describe.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/torch/table.h"
#include "depickle/formats/zip/archive.h"
#include "depickle/formats/zip/inflate.h"
#include "depickle/os/mapped_file.h"
#include "depickle/scan/audit.h"

namespace depickle::scan {
namespace {

using detect::FileKind;
using torch::Contents;
using zip::Archive;
using zip::Record;

constexpr int kMaxNesting = 2;
constexpr uint64_t kMaxRemoteBytes = 4 << 20;
constexpr uint64_t kMaxSearchedRecords = 100'000, kMaxInflatedBytes = 64 << 20;
// Records may overlap: n bytes can contain n * n bytes of pickles, and thousands of times as many if they are deflated.
// The budget of a search is this plus kFileSizeFactor times the size of the file.
constexpr uint64_t kMaxAuditedBytes = 32 << 20, kMaxSearchedInflatedBytes = 256 << 20, kFileSizeFactor = 8;
constexpr std::string_view kLocalSignature("PK\x03\x04", 4);

class Scanner {
 public:
  explicit Scanner(std::shared_ptr<const ByteSource> source) : source_(std::move(source)) {}

  Scan run() {
    if (source_->is_remote())
      scan_.notes.push_back(
          "remote file: only its directory and its pickles were scanned; download it to scan all of its bytes");
    try {
      scan_file();
    } catch (const Error& error) {
      keep_first(error);
    }
    if (scan_.error) scan_.error = scan_.error->in(source_->name());
    scan_.verdict = !scan_.findings.empty() ? Verdict::has_code
                    : scan_.error           ? Verdict::unreadable
                                            : Verdict::tensors_only;
    return std::move(scan_);
  }

 private:
  void keep_first(const Error& error) {
    if (!scan_.error) scan_.error = error;
  }

  void scan_file() {
    switch (detect::file_kind(*source_)) {
      case FileKind::zip: return scan_archive(source_, "", 0);
      case FileKind::torch_legacy: return scan_legacy();
      case FileKind::pickle:
      case FileKind::plain_pickle: return scan_pickle();
      case FileKind::tar: return scan_tar();
      case FileKind::safetensors:
        // The first 8 bytes are a length, which can also be the opcodes of a pickle.
        audit_stream(scan_, start(), "", Certainty::heuristic);
        return;
      default:
        keep_first(detect::not_a_model(*source_));
        // Python's zipfile reads an archive after other bytes, and so do loaders that are given an offset.
        return search_records(*source_, "", 0);
    }
  }

  // The bytes that are searched for pickles: all of a local file, the start of a remote one.
  Bytes start() {
    const uint64_t size = source_->size_bytes();
    return source_->view(0, source_->is_remote() ? std::min(size, kMaxRemoteBytes) : size);
  }

  void scan_pickle() {
    uint64_t end = audit_stream(scan_, start(), "", Certainty::certain);
    if (scan_.error) return;
    if (uint64_t rest = source_->size_bytes() - end; rest > 0) {
      scan_.notes.push_back(fmt::format("{} after the last pickle", plural(rest, "byte")));
      search_records(*source_, "", end);
    }
  }

  void scan_legacy() {
    audit_stream(scan_, start(), "", Certainty::certain);
    Contents contents = torch::read_legacy(source_);
    uint64_t end = 0;
    for (const Storage& storage : contents.storages) end = std::max(end, storage.offset_bytes + storage.size_bytes);
    for (const std::string& note : contents.notes) scan_.notes.push_back(note);
    if (end == source_->size_bytes()) return;
    // Without storages, audit_stream() has continued after the last pickle.
    if (end == 0) return search_records(*source_, "", 0);
    Bytes rest = source_->view(end, source_->size_bytes() - end);
    audit_stream(
        scan_, rest, fmt::format("{} after the last storage", plural(rest.size(), "byte")), Certainty::heuristic);
    search_records(*source_, "", end);
  }

  void scan_archive(const std::shared_ptr<const ByteSource>& source, const std::string& outer, int nesting) {
    std::optional<Archive> archive;
    try {
      archive = Archive::read(source);
    } catch (const Error& error) {
      keep_first(outer.empty() ? error : error.in(outer));
      return search_records(*source, outer, 0);
    }
    bool has_pickle = false;
    for (const Record& record : archive->records()) {
      std::string label = outer + printable(record.name, 120);
      if (detect::is_pkl_name(record.name)) has_pickle = true;
      try {
        scan_record(*archive, record, label, nesting);
      } catch (const Error& error) {
        keep_first(error.in(label));
      }
      std::string_view path = record.name;
      if (size_t slash = path.find('/'); slash != path.npos && path.substr(slash + 1).starts_with("code/"))
        add_torchscript(label);
    }
    for (const std::string& note : archive->notes()) scan_.notes.push_back(outer + note);
    // Bytes outside the directory's records may be another archive for another reader.
    if (!archive->notes().empty()) search_records(*source, outer, 0);
    if (!has_pickle && scan_.pickles == 0)
      keep_first(Error(Code::unsupported, "TZ02", "not a torch checkpoint: the zip archive contains no pickle"));
  }

  void scan_record(const Archive& archive, const Record& record, const std::string& label, int nesting) {
    if (record.size_bytes == 0) return;
    // torch ignores case in names: it reads DATA.PKL as data.pkl.
    bool is_pkl = detect::is_pkl_name(record.name), is_storage = record.name.find("/data/") != record.name.npos;
    if (source_->is_remote() && !is_pkl && is_storage) return;  // one request for each storage
    // Inflating a large record for its first bytes is not worth the temporary file.
    if (!is_pkl && record.method == Record::Method::deflated && record.size_bytes > kMaxInflatedBytes) return;
    Archive::Content content = archive.content(record);
    Bytes head = content.source->view(content.offset_bytes, std::min<uint64_t>(content.size_bytes, 512));
    if (is_pkl) {
      audit_stream(scan_, content.bytes(), label, Certainty::certain);
    } else if (detect::begins_with_proto(head) || (begins_with_opcode(head) && !is_storage)) {
      // A storage is not audited as a pickle of protocol 0: one in four begins with an opcode.
      audit_stream(scan_, content.bytes(), label, Certainty::heuristic);
    }
    // Also after the audit: the first byte of an archive is an opcode.
    if (!is_pkl && detect::file_kind(head) == FileKind::zip && nesting < kMaxNesting)
      scan_archive(std::make_shared<MemorySource>(label, content.bytes(), content.source), label + " / ", nesting + 1);
  }

  void add_torchscript(const std::string& label) {
    if (has_torchscript_) return;
    has_torchscript_ = true;
    scan_.findings.push_back({label, 0, "TorchScript code",
        "is compiled and executed by torch.jit.load, and by torch.load before torch 2.6", 1});
  }

  // Audits the content after every local header from `begin` on, without any directory.
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
        return keep_first(Error(Code::limit, "TZ04", "too many overlapping records to scan all of them", {},
            "no known writer creates such a file; do not load it"));
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
    uint64_t more = source_->size_bytes() * kFileSizeFactor;
    return scan_.audited_bytes > kMaxAuditedBytes + more || inflated_bytes_ > kMaxSearchedInflatedBytes + more;
  }

  void scan_tar() {
    // From memory, torch reads the file as a pickle, whose first opcodes are the name of the first member.
    audit_stream(scan_, start(), "", Certainty::heuristic);
    torch::read_tar(source_, [&](Bytes pickle, uint64_t offset) {
      audit_stream(scan_, pickle, fmt::format("pickle at byte {}", offset), Certainty::certain);
    });
  }

  std::shared_ptr<const ByteSource> source_;
  Scan scan_;
  bool has_torchscript_ = false;
  uint64_t inflated_bytes_ = 0;  ///< of records found by search_records()
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
  try {
    if (detect::file_kind(*file) == FileKind::safetensors) {
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
