#include "depickle/convert/verify.h"

#include <algorithm>
#include <functional>
#include <map>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/convert/engine.h"
#include "depickle/convert/hash.h"
#include "depickle/convert/receipt.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  Verifier(const fs::path& receipt, const VerifyOptions& options)
      : folder_(receipt.parent_path()),
        options_(options),
        engine_(options.engine ? *options.engine : local_engine()) {}

  Verification run(const Receipt& receipt) {
    for (const Conversion& conversion : receipt.conversions) check_conversion(conversion);
    for (const DigestedFile& index : receipt.indexes) check_files({&index});
    return std::move(result_);
  }

 private:
  enum class FileState { missing, different, identical };

  void add_mismatch(const DigestedFile& file, std::string tensor, std::string what) {
    result_.mismatches.push_back({file.path.string(), std::move(tensor), std::move(what)});
  }

  void check_conversion(const Conversion& conversion) {
    std::vector<const DigestedFile*> files;
    for (const DigestedFile& source : conversion.sources) {
      std::error_code ignored;
      if (fs::exists(folder_ / source.path, ignored)) {
        files.push_back(&source);
      } else {
        result_.notes.push_back(
            fmt::format("{} does not exist: only the target was checked", printable(source.path.string())));
      }
    }
    files.push_back(&conversion.target);
    const std::vector<FileState> states = check_files(files);
    if (states.back() == FileState::missing) return;
    const bool has_table = check_tensors(conversion);
    const auto is_identical = [](FileState state) { return state == FileState::identical; };
    const bool sources_match =
        files.size() == conversion.sources.size() + 1 && std::all_of(states.begin(), states.end() - 1, is_identical);
    if (!has_table || !sources_match) return;
    if (conversion.sources.size() == 1) return check_against_source(conversion);
    result_.notes.push_back(fmt::format("{} was converted from {}: their digests were checked, not their tensors",
        printable(conversion.target.path.string()), plural(conversion.sources.size(), "file")));
  }

  // Checks sizes and digests.
  std::vector<FileState> check_files(const std::vector<const DigestedFile*>& expected) {
    std::vector<FileState> states(expected.size(), FileState::missing);
    std::vector<std::shared_ptr<const os::MappedFile>> files;
    std::vector<Bytes> pieces;
    uint64_t total_bytes = 0;
    for (const DigestedFile* file : expected) {
      files.push_back(open_file(*file));
      pieces.push_back(files.back() ? files.back()->all() : Bytes());
      total_bytes += pieces.back().size();
    }
    const std::string shown = expected.back()->path.string();
    ProgressMeter meter(options_.progress, "verify", shown, total_bytes);
    const std::vector<Digest> digests = sha256_each(pieces, options_.threads, meter);
    for (size_t i = 0; i < expected.size(); ++i)
      if (files[i]) states[i] = check_file(*expected[i], pieces[i].size(), digests[i]);
    return states;
  }

  std::shared_ptr<const os::MappedFile> open_file(const DigestedFile& file) {
    try {
      return os::MappedFile::open(folder_ / file.path);
    } catch (const Error& error) {
      add_mismatch(file, "", error.code() == Code::not_found ? "the file is missing" : error.message());
      return nullptr;
    }
  }

  FileState check_file(const DigestedFile& expected, uint64_t size_bytes, const Digest& digest) {
    ++result_.files;
    if (size_bytes != expected.size_bytes)
      add_mismatch(expected, "",
          fmt::format("the file has {} bytes, the receipt says {}", grouped(size_bytes), grouped(expected.size_bytes)));
    if (digest.text() != expected.sha256)
      add_mismatch(expected, "", fmt::format("sha256 is {}, the receipt says {}", digest.text(), expected.sha256));
    return size_bytes == expected.size_bytes && digest.text() == expected.sha256 ? FileState::identical
                                                                                 : FileState::different;
  }

  // Calls `read`, which uses the engine. Returns false if the file cannot be read: this is a mismatch.
  bool try_read(const DigestedFile& file, const std::function<void()>& read) {
    try {
      read();
      return true;
    } catch (const Error& error) {
      if (error.code() == Code::cancelled || error.reason() == Reason::no_sandbox) throw;
      add_mismatch(file, "", error.message());
      return false;
    }
  }

  // Checks names, dtypes, shapes and digests of the target's tensors. Returns whether it could be read.
  bool check_tensors(const Conversion& conversion) {
    const DigestedFile& target = conversion.target;
    TableSummary table;
    const bool is_read = try_read(target, [&] {
      table = engine_.summarize(weights::find_model(folder_ / target.path),
          {.digests = true, .threads = options_.threads, .progress = options_.progress, .file = target.path.string()});
    });
    if (!is_read) return false;
    std::map<std::string_view, const DigestedTensor*> by_name;
    for (const DigestedTensor& tensor : table.tensors) by_name.emplace(tensor.name, &tensor);
    for (const DigestedTensor& expected : conversion.tensors) {
      const auto found = by_name.find(expected.name);
      check_tensor(target, expected, found == by_name.end() ? nullptr : found->second);
    }
    if (table.tensors.size() > conversion.tensors.size())
      add_mismatch(target, "",
          fmt::format(
              "contains {}, the receipt lists {}", plural(table.tensors.size(), "tensor"), conversion.tensors.size()));
    for (const Tied& alias : conversion.aliases)
      if (!by_name.contains(alias.kept))
        add_mismatch(target, alias.name, fmt::format("is an alias of {}, which is missing", quoted(alias.kept)));
    return true;
  }

  void check_tensor(const DigestedFile& target, const DigestedTensor& expected, const DigestedTensor* tensor) {
    if (!tensor || tensor->sha256.empty()) {
      add_mismatch(target, expected.name, "the tensor is missing");
    } else if (tensor->dtype != expected.dtype || tensor->shape != expected.shape) {
      add_mismatch(target, expected.name, "dtype or shape differs from the receipt");
    } else {
      ++result_.tensors;
      if (tensor->sha256 != expected.sha256)
        add_mismatch(
            target, expected.name, fmt::format("sha256 is {}, the receipt says {}", tensor->sha256, expected.sha256));
    }
  }

  void check_against_source(const Conversion& conversion) {
    const DigestedFile& source = conversion.sources.front();
    Comparison comparison;
    try_read(source, [&] {
      comparison = engine_.compare_models(weights::find_model(folder_ / source.path),
          weights::find_model(folder_ / conversion.target.path),
          {.open_a = {.root = conversion.root},
              .threads = options_.threads,
              .progress = options_.progress,
              .file = conversion.target.path.string()});
    });
    for (const Difference& difference : comparison.differences)
      add_mismatch(conversion.target, difference.name, describe(difference, "the source", "the target"));
  }

  const fs::path folder_;
  const VerifyOptions& options_;
  Engine& engine_;
  Verification result_;
};

}  // namespace

Verification verify(const fs::path& receipt, const VerifyOptions& options) {
  return Verifier(receipt, options).run(read_receipt(receipt));
}

}  // namespace depickle::convert
