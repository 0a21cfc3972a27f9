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
    for (const Conversion& conversion : receipt.conversions) check(conversion);
    for (const DigestedFile& index : receipt.indexes) {
      if (auto file = open(index)) check_digests(index, *file, {});
    }
    return std::move(result_);
  }

 private:
  void check(const Conversion& conversion) {
    bool sources_are_here = true;
    for (const DigestedFile& source : conversion.sources) {
      std::error_code ignored;
      if (!fs::exists(folder_ / source.path, ignored)) {
        result_.notes.push_back(
            fmt::format("{} is not here: only the target was checked", printable(source.path.string())));
        sources_are_here = false;
      } else if (auto file = open(source)) {
        sources_are_here &= check_digests(source, *file, {});
      } else {
        sources_are_here = false;
      }
    }
    auto file = open(conversion.target);
    if (!file) return;
    std::optional<Weights> target = open_weights(conversion.target, {});
    check_digests(conversion.target, *file, target ? check_table(conversion, *target) : std::vector<Claim>{});
    if (!target || !sources_are_here) return;
    if (conversion.sources.size() != 1) {
      result_.notes.push_back(fmt::format("{} was made of {}: their digests were checked, not their tensors",
          printable(conversion.target.path.string()), plural(conversion.sources.size(), "file")));
      return;
    }
    if (auto source = open_weights(conversion.sources.front(), {.root = conversion.root}))
      check_against(conversion, *source, *target);
  }

  // A digest to compute, and what the receipt says it is.
  struct Claim {
    std::string tensor;
    Bytes bytes;
    std::string_view sha256;
  };

  void flaw(const DigestedFile& file, std::string tensor, std::string what) {
    result_.flaws.push_back({file.path.string(), std::move(tensor), std::move(what)});
  }

  std::shared_ptr<const os::MappedFile> open(const DigestedFile& file) {
    try {
      return os::MappedFile::open(folder_ / file.path);
    } catch (const Error& error) {
      flaw(file, "", error.code() == Code::not_found ? "the file is missing" : error.message());
      return nullptr;
    }
  }

  std::optional<Weights> open_weights(const DigestedFile& file, const weights::OpenOptions& options) {
    try {
      return weights::open(folder_ / file.path, options);
    } catch (const Error& error) {
      flaw(file, "", error.message());
      return std::nullopt;
    }
  }

  // Dtypes, shapes and names now; what is left to compute is handed back.
  std::vector<Claim> check_table(const Conversion& conversion, const Weights& target) {
    std::vector<Claim> claims;
    for (const DigestedTensor& expected : conversion.tensors) {
      const Tensor* tensor = target.find(expected.name);
      if (!tensor || !tensor->is_contiguous()) {
        flaw(conversion.target, expected.name, "the tensor is missing");
      } else if (tensor->dtype != expected.dtype || !std::ranges::equal(tensor->shape, expected.shape)) {
        flaw(conversion.target, expected.name, "dtype or shape are not those of the receipt");
      } else {
        claims.push_back({expected.name, target.view(*tensor), expected.sha256});
      }
    }
    if (target.tensors().size() > conversion.tensors.size())
      flaw(conversion.target, "",
          fmt::format(
              "holds {}, the receipt names {}", plural(target.tensors().size(), "tensor"), conversion.tensors.size()));
    for (const Tied& alias : conversion.aliases) {
      if (!target.find(alias.kept))
        flaw(conversion.target, alias.name, fmt::format("is an alias of {}, which is missing", quoted(alias.kept)));
    }
    return claims;
  }

  // Whether the file is what the receipt says; and each claim about a part of it.
  bool check_digests(const DigestedFile& expected, const os::MappedFile& file, std::vector<Claim> claims) {
    if (file.size_bytes() != expected.size_bytes)
      flaw(expected, "",
          fmt::format(
              "the file has {} bytes, the receipt says {}", grouped(file.size_bytes()), grouped(expected.size_bytes)));
    const size_t flaws_before = result_.flaws.size();
    claims.push_back({"", file.all(), expected.sha256});
    std::vector<Bytes> pieces;
    uint64_t total_bytes = 0;
    for (const Claim& claim : claims) {
      pieces.push_back(claim.bytes);
      total_bytes += claim.bytes.size();
    }
    const std::string shown = expected.path.string();
    Meter meter(options_.progress, "verify", shown, total_bytes);
    std::vector<Digest> digests = sha256_each(pieces, options_.threads, meter);
    for (size_t i = 0; i < claims.size(); ++i) {
      if (digests[i].text() != claims[i].sha256)
        flaw(expected, claims[i].tensor,
            fmt::format("sha256 is {}, the receipt says {}", digests[i].text(), claims[i].sha256));
    }
    ++result_.files;
    result_.tensors += claims.size() - 1;
    return result_.flaws.size() == flaws_before && file.size_bytes() == expected.size_bytes;
  }

  void check_against(const Conversion& conversion, const Weights& source, const Weights& target) {
    const std::string shown = conversion.target.path.string();
    Comparison comparison =
        compare(source, target, {.threads = options_.threads, .progress = options_.progress, .file = shown});
    for (const Finding& finding : comparison.findings)
      flaw(conversion.target, finding.name, describe(finding, "the source", "the target"));
  }

  fs::path folder_;
  const VerifyOptions& options_;
  Verification result_;
};

}  // namespace

Verification verify(const fs::path& receipt, const VerifyOptions& options) {
  Receipt read = read_receipt(receipt);
  return Verifier(receipt, options).run(read);
}

}  // namespace depickle::convert
