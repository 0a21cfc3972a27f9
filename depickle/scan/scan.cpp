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
#include "depickle/scan/npy.h"

namespace depickle::scan {
namespace {

using detect::FileKind;
using torch::Contents;
using zip::Archive;
using zip::Record;

constexpr int kMaxNesting = 2;
constexpr uint64_t kMaxRemoteBytes = 4 << 20, kMaxHeadStoredBytes = 4096;
constexpr uint64_t kMaxSearchedRecords = 100'000, kMaxInflatedBytes = 64 << 20;
// Records may overlap: n bytes can contain n * n bytes of pickles, and thousands of times as many if they are deflated.
// The budget of a scan is this plus kFileSizeFactor times the size of the file.
constexpr uint64_t kMaxAuditedBytes = 32 << 20, kMaxInflatedSumBytes = 256 << 20, kFileSizeFactor = 8;
constexpr const char* kUnpackHint = "unpack the archive and scan its files";
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
      case FileKind::npy: return scan_npy(source_->all(), "");
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
      try {
        has_pickle |= scan_record(*archive, record, label, nesting);
      } catch (const Error& error) {
        keep_first(error.in(label));
      }
    }
    for (const std::string& note : archive->notes()) scan_.notes.push_back(outer + note);
    // Bytes outside the directory's records may be another archive for another reader.
    if (!archive->notes().empty()) search_records(*source, outer, 0);
    if (!has_pickle && scan_.pickles == 0)
      keep_first(Error(Code::unsupported, "TZ02", "not a torch checkpoint: the zip archive contains no pickle"));
  }

  // Returns whether the record is one that a loader reads: a pickle or a NumPy array.
  bool scan_record(const Archive& archive, const Record& record, const std::string& label, int nesting) {
    // torch ignores case in names: it reads DATA.PKL as data.pkl, and CODE/ as code/.
    const std::string name = lower_case(record.name);
    // torch.load hands an archive with constants.pkl to torch.jit.load.
    const std::string path = name.substr(std::min(name.size(), name.find('/') + 1));
    if (path.starts_with("code/") || path == "constants.pkl") add_torchscript(label);
    const bool is_pkl = detect::is_pkl_name(name), is_storage = name.find("/data/") != name.npos;
    if (record.size_bytes == 0) return is_pkl;
    if (source_->is_remote() && !is_pkl && is_storage) return false;  // one request for each storage
    if (is_pkl) {
      audit_stream(scan_, content_of(archive, record).bytes(), label, Certainty::certain);
      return true;
    }
    const std::vector<std::byte> head = head_of(archive, record);
    const bool is_array = is_npy(head), is_archive = detect::file_kind(head) == FileKind::zip;
    // A storage is not audited as a pickle of protocol 0: one in four begins with an opcode.
    const bool may_be_pickle = detect::begins_with_proto(head) || (begins_with_opcode(head) && !is_storage);
    if (!is_array && !is_archive && !may_be_pickle) return false;
    Archive::Content content = content_of(archive, record);
    if (is_array) scan_npy(content.bytes(), label);
    if (may_be_pickle) audit_stream(scan_, content.bytes(), label, Certainty::heuristic);
    // Also after the audit: the first byte of an archive is an opcode.
    if (is_archive && nesting == kMaxNesting)
      throw Error(Code::limit, "TZ04", fmt::format("an archive inside {} others is not scanned", kMaxNesting + 1), {},
          kUnpackHint);
    if (is_archive)
      scan_archive(std::make_shared<MemorySource>(label, content.bytes(), content.source), label + " / ", nesting + 1);
    return is_array;
  }

  // Throws Error{limit} instead of inflating much more than the file has bytes.
  Archive::Content content_of(const Archive& archive, const Record& record) {
    if (record.method == Record::Method::deflated) {
      inflated_bytes_ += record.size_bytes;
      if (over_budget())
        throw Error(Code::limit, "TZ04",
            fmt::format("inflating {} bytes is too much for a file of {} bytes", grouped(record.size_bytes),
                grouped(source_->size_bytes())),
            {}, kUnpackHint);
    }
    return archive.content(record);
  }

  // The first bytes of a record. Of a deflated one, no more than these are inflated.
  std::vector<std::byte> head_of(const Archive& archive, const Record& record) {
    const uint64_t size = std::min<uint64_t>(record.size_bytes, detect::kHeadBytes);
    if (record.method == Record::Method::deflated && !source_->is_remote()) {
      const uint64_t stored = std::min<uint64_t>(record.stored_bytes, kMaxHeadStoredBytes);
      return zip::inflate_prefix(archive.source().view(record.data_offset, stored), size);
    }
    Archive::Content content = content_of(archive, record);
    Bytes head = content.source->view(content.offset_bytes, size);
    return {head.begin(), head.end()};
  }

  void scan_npy(Bytes array, const std::string& label) {
    const auto pickle = npy_pickle_offset(array);
    if (!pickle) return;
    audit_stream(
        scan_, array.subspan(*pickle), label.empty() ? "the objects" : label + ", the objects", Certainty::certain);
  }

  void add_torchscript(const std::string& label) {
    if (has_torchscript_) return;
    has_torchscript_ = true;
    scan_.findings.push_back({label, 0, "", "TorchScript code",
        "is compiled and executed by torch.jit.load, and by torch.load before torch 2.6", 1, Grade::unknown});
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
        return keep_first(
            Error(Code::limit, "TZ04", "too many overlapping records to scan all of them", {}, kUnpackHint));
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
    return scan_.audited_bytes > kMaxAuditedBytes + more || inflated_bytes_ > kMaxInflatedSumBytes + more;
  }

  void scan_tar() {
    // From memory, torch reads the file as a pickle, whose first opcodes are the name of the first member.
    audit_stream(scan_, start(), "", Certainty::heuristic);
    // torch.load extracts the member "storages". However a dialect spells names, it contains this one.
    if (!source_->is_remote() && text(start()).find("storages") == std::string_view::npos)
      throw Error(Code::unsupported, "TA01", "a tar archive without \"storages\": not a torch checkpoint", {},
          "if it contains one, extract it first")
          .with_reason(Reason::unknown_format);
    torch::read_tar(source_, [&](Bytes pickle, uint64_t offset) {
      audit_stream(scan_, pickle, fmt::format("pickle at byte {}", offset), Certainty::certain);
    });
  }

  std::shared_ptr<const ByteSource> source_;
  Scan scan_;
  bool has_torchscript_ = false;
  uint64_t inflated_bytes_ = 0;
};

// An array, or an archive of arrays (.npz).
bool is_numpy(const std::shared_ptr<const ByteSource>& file) {
  const FileKind kind = detect::file_kind(*file);
  if (kind != FileKind::zip) return kind == FileKind::npy;
  try {
    const Archive archive = Archive::read(file);
    return std::ranges::all_of(archive.records(), [](const Record& record) { return record.name.ends_with(".npy"); });
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string_view name(Grade grade) noexcept {
  switch (grade) {
    case Grade::inert: return "inert";
    case Grade::unknown: return "unknown";
    case Grade::executes: return "executes";
  }
  return "unknown";
}

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

Scan scan(const std::shared_ptr<const ByteSource>& file) {
  Scan scan = scan_pickles(file);
  try {
    if (detect::file_kind(*file) == FileKind::safetensors) {
      safetensors::Header::read(*file);
      scan.notes.push_back("safetensors: contains no pickle");
    } else if (is_numpy(file)) {
      if (scan.pickles == 0) scan.notes.push_back("NumPy: contains no pickle");
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
