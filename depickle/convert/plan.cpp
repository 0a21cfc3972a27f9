#include "depickle/convert/plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/safetensors/layout.h"
#include "depickle/weights/gather.h"

namespace depickle::convert {
namespace {

constexpr std::string_view kReserved = "__metadata__";
constexpr std::string_view kFormatKey = "format";

Error unsupported_error(const std::vector<Unsupported>& unsupported) {
  std::string what = fmt::format("safetensors cannot represent {}: ", plural(unsupported.size(), "tensor"));
  constexpr size_t kMaxShown = 3;
  for (size_t i = 0; i < std::min(unsupported.size(), kMaxShown); ++i)
    what += fmt::format("{}{} ({})", i == 0 ? "" : ", ", quoted(unsupported[i].name), printable(unsupported[i].what));
  if (unsupported.size() > kMaxShown) what += " …";
  return Error(Code::unsupported, Reason::unsupported_dtype, std::move(what));
}

// Returns the description of all parts with tensors: "optimizer state"; empty if they differ.
std::string_view common_description(const std::vector<Unused>& unused) {
  std::string_view common;
  for (const Unused& part : unused) {
    if (part.tensors == 0) continue;
    if (!common.empty() && part.description != common) return "";
    common = part.description;
  }
  return common;
}

Error no_tensors_error(const Weights& source) {
  const auto& unused = source.unused();
  const std::string_view common = common_description(unused);
  if (common == "optimizer state" || common == "metrics" || common == "random number generator state")
    return Error(Code::unsupported, Reason::no_tensors, fmt::format("contains only {}", common));
  std::string hint;
  if (!unused.empty())
    hint = fmt::format("it contains {} ({})", quoted(unused.front().path), printable(unused.front().description));
  return Error(Code::unsupported, Reason::no_tensors, "contains no tensors", {}, std::move(hint));
}

void check_writable(const Weights& source, const PlanOptions& options) {
  if (!source.unsupported().empty() && !options.skip_unsupported) throw unsupported_error(source.unsupported());
  if (source.tensors().empty()) throw no_tensors_error(source);
  for (const Tensor& tensor : source.tensors()) {
    if (tensor.name == kReserved)
      throw Error(Code::unsupported, "", "safetensors reserves this name", Where::of(kReserved));
    weights::check_gatherable(tensor);
  }
}

// Orders tensors by storage, place and view. Two names of one tensor are equal in this order.
bool less(const Tensor& a, const Tensor& b) {
  auto numbers = [](const Tensor& t) {
    return std::tuple(t.storage, t.offset_bytes, t.size_bytes, t.dtype, t.conjugate, t.negate, t.swap);
  };
  auto in_a = numbers(a), in_b = numbers(b);
  if (in_a != in_b) return in_a < in_b;
  if (auto order =
          std::lexicographical_compare_three_way(a.shape.begin(), a.shape.end(), b.shape.begin(), b.shape.end());
      order != 0)
    return order < 0;
  return std::ranges::lexicographical_compare(a.strides, b.strides);
}

// Returns the names that are not stored, sorted, and marks them in `dropped`.
std::vector<Alias> find_aliases(const Weights& source, const TiedNames& tied_names, std::vector<bool>& dropped) {
  std::span<const Tensor> tensors = source.tensors();
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].size_bytes > 0 && tensors[i].name != kFormatKey) order.push_back(i);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) { return less(tensors[a], tensors[b]); });

  std::vector<Alias> aliases;
  std::vector<std::string_view> names;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size() && !less(tensors[order[begin]], tensors[order[end]]);) ++end;
    if (end - begin == 1) continue;
    names.clear();
    for (size_t i = begin; i < end; ++i) names.push_back(tensors[order[i]].name);
    const size_t kept = kept_name(names, tied_names);
    for (size_t i = 0; i < names.size(); ++i) {
      if (i == kept) continue;
      aliases.push_back({names[i], names[kept]});
      dropped[order[begin + i]] = true;
    }
  }
  std::ranges::sort(aliases, {}, &Alias::dropped);
  return aliases;
}

// Computes the header and the offsets of the tensors that are not dropped.
void lay_out(const Weights& source, const std::vector<bool>& dropped, uint64_t align_bytes, ConversionPlan& plan) {
  std::vector<safetensors::TensorSpec> specs;
  std::vector<uint32_t> kept;
  specs.reserve(dropped.size()), kept.reserve(dropped.size());
  for (uint32_t i = 0; i < dropped.size(); ++i) {
    if (dropped[i]) continue;
    const Tensor& tensor = source.tensors()[i];
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
    kept.push_back(i);
  }
  safetensors::Metadata metadata{{std::string(kFormatKey), "pt"}};
  for (const Alias& alias : plan.aliases) metadata.emplace_back(alias.dropped, alias.kept);
  safetensors::FilePlan file = safetensors::plan_file(specs, metadata, align_bytes);
  plan.head = std::move(file.head);
  plan.tensors.reserve(file.places.size());
  for (const safetensors::Place& place : file.places)
    plan.tensors.push_back({kept[place.spec], place.begin, place.end});
  plan.file_bytes = file.file_bytes;
  plan.tensor_bytes = plan.file_bytes - plan.head.size();
}

}  // namespace

ConversionPlan plan_conversion(const Weights& source, const PlanOptions& options) {
  check_writable(source, options);
  ConversionPlan plan;
  std::vector<bool> dropped(source.tensors().size());
  if (options.ties == PlanOptions::Ties::once) plan.aliases = find_aliases(source, options.tied_names, dropped);
  lay_out(source, dropped, options.align_bytes, plan);
  return plan;
}

}  // namespace depickle::convert
