#include "depickle/convert/verify.h"

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/hash.h"
#include "depickle/convert/receipt.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  Verifier(const fs::path& receipt, const VerifyOptions& options) : folder_(receipt.parent_path()), options_(options) {}

  Verification run(const Receipt& receipt) {
    for (const Conversion& conversion : receipt.conversions) check_conversion(conversion);
    for (const DigestedFile& index : receipt.indexes) {
      if (auto file = open_file(index)) check_digests(index, *file, {});
    }
    return std::move(result_);
  }

 private:
  void check_conversion(const Conversion& conversion) {
    const bool sources_match = check_sources(conversion);
    auto file = open_file(conversion.target);
    if (!file) return;
    std::optional<Weights> target = open_weights(conversion.target, {});
    check_digests(conversion.target, *file, target ? check_table(conversion, *target) : std::vector<ExpectedDigest>{});
    if (!target || !sources_match) return;
    if (conversion.sources.size() != 1) {
      result_.notes.push_back(fmt::format("{} was converted from {}: their digests were checked, not their tensors",
          printable(conversion.target.path.string()), plural(conversion.sources.size(), "file")));
      return;
    }
    if (auto source = open_weights(conversion.sources.front(), {.root = conversion.root}))
      check_against(conversion, *source, *target);
  }

  // Returns whether all sources exist with the digests of the receipt.
  bool check_sources(const Conversion& conversion) {
    bool all_match = true;
    for (const DigestedFile& source : conversion.sources) {
      std::error_code ignored;
      if (!fs::exists(folder_ / source.path, ignored)) {
        result_.notes.push_back(
            fmt::format("{} does not exist: only the target was checked", printable(source.path.string())));
        all_match = false;
      } else if (auto file = open_file(source)) {
        all_match &= check_digests(source, *file, {});
      } else {
        all_match = false;
      }
    }
    return all_match;
  }

  // Bytes, and their digest in the receipt.
  struct ExpectedDigest {
    std::string tensor;
    Bytes bytes;
    std::string_view sha256;
  };

  void add_mismatch(const DigestedFile& file, std::string tensor, std::string what) {
    result_.mismatches.push_back({file.path.string(), std::move(tensor), std::move(what)});
  }

  std::shared_ptr<const os::MappedFile> open_file(const DigestedFile& file) {
    try {
      return os::MappedFile::open(folder_ / file.path);
    } catch (const Error& error) {
      add_mismatch(file, "", error.code() == Code::not_found ? "the file is missing" : error.message());
      return nullptr;
    }
  }

  std::optional<Weights> open_weights(const DigestedFile& file, const weights::OpenOptions& options) {
    try {
      return weights::open(folder_ / file.path, options);
    } catch (const Error& error) {
      add_mismatch(file, "", error.message());
      return std::nullopt;
    }
  }

  // Checks names, dtypes and shapes. Returns the digests that are still to be computed.
  std::vector<ExpectedDigest> check_table(const Conversion& conversion, const Weights& target) {
    std::vector<ExpectedDigest> digests;
    for (const DigestedTensor& expected : conversion.tensors) {
      const Tensor* tensor = target.find(expected.name);
      if (!tensor || !tensor->is_contiguous()) {
        add_mismatch(conversion.target, expected.name, "the tensor is missing");
      } else if (tensor->dtype != expected.dtype || !std::ranges::equal(tensor->shape, expected.shape)) {
        add_mismatch(conversion.target, expected.name, "dtype or shape differs from the receipt");
      } else {
        digests.push_back({expected.name, target.view(*tensor), expected.sha256});
      }
    }
    if (target.tensors().size() > conversion.tensors.size())
      add_mismatch(conversion.target, "",
          fmt::format("contains {}, the receipt lists {}", plural(target.tensors().size(), "tensor"),
              conversion.tensors.size()));
    for (const Tied& alias : conversion.aliases) {
      if (!target.find(alias.kept))
        add_mismatch(
            conversion.target, alias.name, fmt::format("is an alias of {}, which is missing", quoted(alias.kept)));
    }
    return digests;
  }

  // Checks the file's size and digest, and the digests of its parts. Returns whether all match.
  bool check_digests(const DigestedFile& expected, const os::MappedFile& file, std::vector<ExpectedDigest> parts) {
    const size_t mismatches_before = result_.mismatches.size();
    if (file.size_bytes() != expected.size_bytes)
      add_mismatch(expected, "",
          fmt::format(
              "the file has {} bytes, the receipt says {}", grouped(file.size_bytes()), grouped(expected.size_bytes)));
    parts.push_back({"", file.all(), expected.sha256});
    std::vector<Bytes> pieces;
    uint64_t total_bytes = 0;
    for (const ExpectedDigest& part : parts) {
      pieces.push_back(part.bytes);
      total_bytes += part.bytes.size();
    }
    const std::string shown = expected.path.string();
    ProgressMeter meter(options_.progress, "verify", shown, total_bytes);
    const std::vector<Digest> digests = sha256_each(pieces, options_.threads, meter);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (digests[i].text() != parts[i].sha256)
        add_mismatch(expected, parts[i].tensor,
            fmt::format("sha256 is {}, the receipt says {}", digests[i].text(), parts[i].sha256));
    }
    ++result_.files;
    result_.tensors += parts.size() - 1;
    return result_.mismatches.size() == mismatches_before;
  }

  void check_against(const Conversion& conversion, const Weights& source, const Weights& target) {
    const std::string shown = conversion.target.path.string();
    Comparison comparison =
        compare(source, target, {.threads = options_.threads, .progress = options_.progress, .file = shown});
    for (const Difference& difference : comparison.differences)
      add_mismatch(conversion.target, difference.name, describe(difference, "the source", "the target"));
  }

  fs::path folder_;
  const VerifyOptions& options_;
  Verification result_;
};

}  // namespace

Verification verify(const fs::path& receipt, const VerifyOptions& options) {
  return Verifier(receipt, options).run(read_receipt(receipt));
}

}  // namespace depickle::convert
