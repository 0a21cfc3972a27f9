#include "depickle/repo/tensor_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/convert/blocks.h"
#include "depickle/convert/compare.h"
#include "depickle/convert/tied.h"

namespace depickle::repo {
namespace {

using Kind = TensorFinding::Kind;
using convert::Difference;
using convert::DifferenceKind;

// The shards of one side, and the shard that contains each tensor.
struct Side {
  std::map<std::string, std::shared_ptr<const ByteSource>> sources;  // by path
  std::map<std::string, std::string> file_of;                        // tensor → path
  std::vector<std::pair<std::string, std::string>> repeated;         // tensor, its second path
};

bool add_shard(Side& side, const std::string& path, std::shared_ptr<const ByteSource> source, const Weights& shard) {
  for (const Tensor& tensor : shard.tensors())
    if (!side.file_of.emplace(tensor.name, path).second) side.repeated.emplace_back(tensor.name, path);
  return side.sources.emplace(path, std::move(source)).second;
}

// Returns all shards of a side as one table.
Weights table_of(const Side& side, const std::string& entry) {
  if (side.sources.size() == 1) return weights::open(side.sources.begin()->second);
  safetensors::Index::WeightMap map(side.file_of.begin(), side.file_of.end());
  return weights::open_sharded(
      safetensors::Index::of(std::move(map), 0), entry, [&](const std::string& path) { return side.sources.at(path); });
}

bool equal_bits(const Weights& a, const Tensor& in_a, const Weights& b, const Tensor& in_b) {
  if (in_a.dtype != in_b.dtype || !std::ranges::equal(in_a.shape, in_b.shape)) return false;
  convert::Buffers buffers(2);
  uint64_t piece = 4096;  // small first: most tensors that differ do so at the start
  for (uint64_t begin = 0; begin < in_a.size_bytes; begin += piece, piece = buffers.each_bytes() / 8 * 8) {
    piece = std::min(piece, in_a.size_bytes - begin);
    convert::Buffers::Lease lease_a(buffers), lease_b(buffers);
    Bytes bytes_a = convert::logical_bytes(a, in_a, begin, piece, lease_a),
          bytes_b = convert::logical_bytes(b, in_b, begin, piece, lease_b);
    if (std::memcmp(bytes_a.data(), bytes_b.data(), piece) != 0) return false;
    if (begin + piece == in_a.size_bytes) return true;
  }
  return in_a.size_bytes == 0;
}

bool same_view(const Tensor& a, const Tensor& b) {
  auto numbers = [](const Tensor& t) {
    return std::tuple(t.storage, t.offset_bytes, t.size_bytes, t.dtype, t.conjugate, t.negate, t.swap);
  };
  return numbers(a) == numbers(b) && std::ranges::equal(a.shape, b.shape) && std::ranges::equal(a.strides, b.strides);
}

// Returns whether loaders derive `kept` from `dropped`. If so, a file that contains only `kept` is loaded with randomly
// initialized values of one of the two.
bool is_wrong_name_kept(std::string_view kept, std::string_view dropped) {
  // The prefixes put `kept` first in alphabetical order, so `dropped` wins only by a rule about loaders.
  const std::string first = "0." + std::string(kept), second = "1." + std::string(dropped);
  return convert::kept_name(std::array<std::string_view, 2>{first, second}, {}) == 1;
}

class ModelCheck {
 public:
  ModelCheck(Check& check, const ModelPair& pair, const CheckOptions& options)
      : check_(check),
        pair_(pair),
        options_(options) {}

  void run(const safetensors::Index* index, const OpenFile& open_before, const OpenFile& open_after) {
    if (!open_new(open_after, index)) return;
    if (pair_.pickle.entry.empty())
      return add(Kind::unmatched, pair_.safetensors.entry, "", "the base contains no pickle with a corresponding name");
    for (const std::string& path : pair_.pickle.shards) {
      auto source = open_before(path);
      if (!source)
        throw Error(Code::not_found, "", fmt::format("names the shard {}, which does not exist", quoted(path)),
            Where::in(pair_.pickle.entry));
      add_shard(old_, path, source, weights::open(source));
    }
    if (!new_.repeated.empty()) return;
    compare(index);
  }

 private:
  void add(Kind kind, std::string file, std::string_view tensor, std::string what) {
    check_.tensors.push_back({kind, std::move(file), std::string(tensor), std::move(what)});
  }

  // Opens the new shards. Returns false if they cannot be compared.
  bool open_new(const OpenFile& open_after, const safetensors::Index* index) {
    const std::string& entry = pair_.safetensors.entry;
    if (entry.ends_with(".json") && !index) return add(Kind::unreadable, entry, "", "the index cannot be read"), false;
    bool readable = true;
    for (const std::string& path : pair_.safetensors.shards) {
      auto source = open_after(path);
      if (!source) {
        add(Kind::index, entry, "", fmt::format("names the shard {}, which does not exist", quoted(path)));
        continue;
      }
      try {
        const Weights shard = weights::open(source);
        if (!shard.is_safetensors())
          throw Error(Code::unsupported, "", fmt::format("is not a safetensors file (got {})", shard.container()));
        add_shard(new_, path, source, shard);
        note_format(path, shard);
      } catch (const Error& error) {
        if (error.code() == Code::network || error.code() == Code::denied || error.code() == Code::cancelled ||
            error.code() == Code::io)
          throw;
        add(Kind::unreadable, path, error.where().tensor, error.message());
        readable = false;
      }
    }
    for (const auto& [tensor, path] : new_.repeated)
      add(Kind::repeated, path, tensor, fmt::format("{} contains it too", printable(new_.file_of.at(tensor))));
    return readable && !new_.sources.empty();
  }

  void note_format(const std::string& path, const Weights& shard) {
    const auto& metadata = shard.metadata();
    if (!metadata.empty() &&
        std::ranges::find(metadata, "format", &std::pair<std::string, std::string>::first) == metadata.end())
      check_.notes.push_back(
          fmt::format("{}: its metadata contains no \"format\"; transformers 4 refuses such a file", printable(path)));
  }

  void compare(const safetensors::Index* index) {
    const Weights before = table_of(old_, pair_.pickle.entry), after = table_of(new_, pair_.safetensors.entry);
    for (const auto& [key, value] : after.metadata()) aliases_.emplace(key, value);
    const convert::Comparison comparison = convert::compare(
        before, after, {.threads = options_.threads, .progress = options_.progress, .file = pair_.safetensors.entry});
    check_.compared += comparison.tensors;
    check_.identical += comparison.identical;
    check_.compared_bytes += comparison.compared_bytes;
    std::set<std::string, std::less<>> differing;
    for (const Difference& difference : comparison.differences) differing.insert(difference.name);
    for (const convert::Tied& tied : comparison.tied) {
      if (!differing.contains(tied.name)) check_tie(tied.name, tied.kept);
    }
    for (const Difference& difference : comparison.differences)
      classify(difference, before, after, comparison, differing);
    check_recorded_names(before, after);
    for (const Unsupported& tensor : before.unsupported())
      if (!after.find(tensor.name))
        add(Kind::missing, pair_.safetensors.entry, tensor.name,
            fmt::format("{} contains it as {}, which safetensors does not support", printable(pair_.pickle.entry),
                printable(tensor.what)));
    if (index) check_index(*index, before, after);
  }

  // `kept` and `dropped` are names of one tensor; the file contains only `kept`.
  void check_tie(std::string_view dropped, std::string_view kept) {
    if (!is_wrong_name_kept(kept, dropped)) return;
    --check_.identical;
    add(Kind::alias, file_of(kept), kept,
        fmt::format("loaders derive it from {}, which should be stored instead", quoted(dropped)));
  }

  std::string file_of(std::string_view tensor) const {
    auto found = new_.file_of.find(std::string(tensor));
    return found == new_.file_of.end() ? pair_.safetensors.entry : found->second;
  }

  void classify(const Difference& difference, const Weights& before, const Weights& after,
      const convert::Comparison& comparison, const std::set<std::string, std::less<>>& differing) {
    const std::string file = file_of(difference.name);
    const std::string a = pair_.pickle.entry, b = pair_.safetensors.entry;
    auto sides = [&] {
      return fmt::format("{} in {} and {} in {}", difference.a, printable(a), difference.b, printable(b));
    };
    if (auto alias = aliases_.find(difference.name);
        alias != aliases_.end() && !after.find(difference.name) && after.find(alias->second))
      return add(Kind::alias, file_of(alias->second), difference.name,
          fmt::format(
              "is recorded as another name of {}, which it does not equal in {}", quoted(alias->second), printable(a)));
    switch (difference.kind) {
      case DifferenceKind::dtype: return add(Kind::dtype, file, difference.name, sides());
      case DifferenceKind::shape: return add(Kind::shape, file, difference.name, sides());
      case DifferenceKind::bytes:
        if (auto twin = twin_of(after.at(difference.name), after, before, comparison))
          return add(Kind::swapped, file, difference.name,
              fmt::format("it has the bits of {} in {}", quoted(*twin), printable(a)));
        return add(Kind::different, file, difference.name, fmt::format("element {} is ", difference.element) + sides());
      case DifferenceKind::only_in_b:
        if (auto twin = twin_of(after.at(difference.name), after, before, comparison))
          return add(Kind::renamed, file, difference.name,
              fmt::format("it has the bits of {} in {}", quoted(*twin), printable(a)));
        return add(Kind::extra, file, difference.name, fmt::format("{} does not contain it", printable(a)));
      case DifferenceKind::only_in_a: return classify_missing(difference.name, before, after, differing);
    }
  }

  // A missing name is not a finding if it is tied to a stored one: some tools do not record tied names, but loaders
  // know them.
  void classify_missing(const std::string& name, const Weights& before, const Weights& after,
      const std::set<std::string, std::less<>>& differing) {
    if (const Tensor* kept = stored_twin(before.at(name), before, after)) {
      if (differing.contains(kept->name)) return;  // reported for that name
      ++check_.identical;
      return check_tie(name, kept->name);
    }
    add(Kind::missing, pair_.safetensors.entry, name,
        fmt::format("{} contains it, but the pull request does not", printable(pair_.pickle.entry)));
  }

  // Returns the pickle's tensor with the same view and a name that the safetensors contain, or nullptr.
  const Tensor* stored_twin(const Tensor& tensor, const Weights& before, const Weights& after) {
    if (places_.empty())
      for (const Tensor& there : before.tensors())
        places_.emplace(std::pair(there.storage, there.offset_bytes), &there);
    auto [begin, end] = places_.equal_range(std::pair(tensor.storage, tensor.offset_bytes));
    for (auto place = begin; place != end; ++place) {
      const Tensor& other = *place->second;
      if (other.name != tensor.name && same_view(other, tensor) && after.find(other.name)) return &other;
    }
    return nullptr;
  }

  // Returns a name in the pickle whose tensor has the bits of `tensor`. Tries names with findings first. Limited,
  // because it only makes the finding more precise.
  std::optional<std::string> twin_of(
      const Tensor& tensor, const Weights& after, const Weights& before, const convert::Comparison& comparison) {
    constexpr size_t kMaxSearches = 32, kMaxCandidates = 1000;
    if (tensor.size_bytes == 0 || ++twin_searches_ > kMaxSearches) return std::nullopt;
    std::vector<const Tensor*> candidates;
    for (const Difference& difference : comparison.differences)
      if (const Tensor* there = before.find(difference.name)) candidates.push_back(there);
    for (const Tensor& there : before.tensors()) candidates.push_back(&there);
    for (const Tensor* there : std::span(candidates).first(std::min(candidates.size(), kMaxCandidates)))
      if (there->name != tensor.name && equal_bits(after, tensor, before, *there)) return std::string(there->name);
    return std::nullopt;
  }

  // Checks the names recorded in the metadata that the comparison did not cover.
  void check_recorded_names(const Weights& before, const Weights& after) {
    for (const auto& [name, kept] : aliases_) {
      if (after.find(name) && after.find(kept) && name != kept && before.find(name) && before.find(kept)) {
        if (!same_view(before.at(name), before.at(kept)) &&
            !equal_bits(before, before.at(name), before, before.at(kept)))
          add(Kind::alias, file_of(kept), name,
              fmt::format("is recorded as another name of {}, which it does not equal", quoted(kept)));
      } else if (before.find(name) && before.find(kept) && !after.find(kept)) {
        add(Kind::alias, pair_.safetensors.entry, name,
            fmt::format("is recorded as another name of {}, which the file does not contain", quoted(kept)));
      }
    }
  }

  void check_index(const safetensors::Index& index, const Weights& before, const Weights& after) {
    const std::string& entry = pair_.safetensors.entry;
    const std::string folder = entry.substr(0, entry.rfind('/') + 1);
    for (const auto& [tensor, shard] : index.weight_map()) {
      auto place = new_.file_of.find(tensor);
      if (place == new_.file_of.end()) {
        if (!is_tied_to_stored(tensor, before, after))
          add(Kind::index, entry, tensor,
              fmt::format("the index assigns it to {}, but no shard contains it", printable(shard)));
      } else if (place->second != folder + shard) {
        add(Kind::index, entry, tensor,
            fmt::format("the index assigns it to {}, but {} contains it", printable(shard), printable(place->second)));
      }
    }
    for (const auto& [tensor, path] : new_.file_of)
      if (!index.find(tensor))
        add(Kind::index, entry, tensor, fmt::format("{} contains it, but the index does not name it", printable(path)));
  }

  bool is_tied_to_stored(const std::string& tensor, const Weights& before, const Weights& after) {
    if (auto alias = aliases_.find(tensor); alias != aliases_.end() && after.find(alias->second)) return true;
    const Tensor* dropped = before.find(tensor);
    return dropped && stored_twin(*dropped, before, after);
  }

  Check& check_;
  const ModelPair& pair_;
  const CheckOptions& options_;
  Side old_, new_;
  std::map<std::string, std::string, std::less<>> aliases_;             // recorded in the safetensors' metadata
  std::multimap<std::pair<uint32_t, uint64_t>, const Tensor*> places_;  // the pickle's tensors by storage and offset
  size_t twin_searches_ = 0;
};

}  // namespace

void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index, const OpenFile& open_before,
    const OpenFile& open_after, const CheckOptions& options) {
  ModelCheck(check, pair, options).run(index, open_before, open_after);
}

}  // namespace depickle::repo
