#include "depickle/convert/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/text.h"

namespace depickle::convert {
namespace {

constexpr size_t kMaxKinds = 3;

// Adds the kinds of tensors that were left out: "quantized", "sparse". Stops after kMaxKinds and "…".
void add_kinds(const std::vector<Unsupported>& tensors, std::vector<std::string>& kinds) {
  for (const Unsupported& tensor : tensors) {
    if (kinds.size() > kMaxKinds) return;
    std::string kind = tensor.what.substr(0, tensor.what.find(','));
    if (kind.starts_with("quantized ")) kind = "quantized";
    kind = kinds.size() == kMaxKinds ? "…" : printable(kind, 60);
    if (std::ranges::find(kinds, kind) == kinds.end()) kinds.push_back(std::move(kind));
  }
}

}  // namespace

std::string counts_text(std::span<const FileReport> files) {
  uint64_t tensors = 0, identical = 0, left_out = 0;
  std::vector<std::string> kinds;
  for (const FileReport& file : files) {
    tensors += file.tensors;
    identical += file.identical;
    left_out += file.unsupported.size();
    add_kinds(file.unsupported, kinds);
  }
  std::string text = identical == tensors ? plural(tensors, "tensor")
                                          : fmt::format("{} of {}", grouped(identical), plural(tensors, "tensor"));
  text += " identical";
  return left_out == 0 ? text : text + fmt::format(", {} left out ({})", grouped(left_out), fmt::join(kinds, ", "));
}

}  // namespace depickle::convert
