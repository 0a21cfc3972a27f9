// The tar of torch 0.1.9 and before (2016): members `pickle`, `storages` and `tensors`.
//
//   storages: pickle: N │ N × (pickle: (key, location, class) │ numel, i64 │ elements)
//             │ pickle: list of views (key, storage key, offset, numel)
//   tensors:  pickle: M │ M × (pickle: (key, storage key, class) │ rank, i32 │ 4 bytes │ sizes, strides, offset, i64)
//
// The persistent ids of the object are the keys of tensors, spelled as str; the keys are ints.
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/contents.h"

namespace depickle::torch {
namespace {

using pickle::Graph;
using pickle::Handle;

constexpr uint64_t kBlockBytes = 512;
constexpr int64_t kMaxCount = 10'000'000;

class TarReader {
 public:
  TarReader(std::shared_ptr<const ByteSource> source, const std::function<void(Bytes, uint64_t)>& on_pickle)
      : source_(std::move(source)),
        on_pickle_(on_pickle) {}

  Contents read() {
    contents_.kind = detect::FileKind::tar;
    contents_.stream = source_;
    find_members();
    read_storages();
    read_tensors();
    auto [at, end] = member("pickle");
    contents_.graph = next_pickle(at, end);
    name_tensors();
    return std::move(contents_);
  }

 private:
  struct MemberRange {
    uint64_t begin, end;
  };

  // TA01. Members are never extracted, so paths and links in names have no effect.
  void find_members() {
    for (uint64_t at = 0; at + kBlockBytes <= source_->size_bytes();) {
      Bytes header = source_->view(at, kBlockBytes);
      std::string_view name = text(header.first(100)), digits = text(header.subspan(124, 11));
      name = name.substr(0, name.find('\0'));
      if (name.empty()) break;
      uint64_t size = 0;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), size, 8).ec != std::errc())
        fail("TA01", fmt::format("tar member {} has an invalid size", quoted(name, 60)), at);
      at += kBlockBytes;
      if (size > source_->size_bytes() - at)
        throw Error(Code::truncated, "TA01",
            fmt::format("the file ends inside tar member {} (have {} bytes, need {})", quoted(name, 60),
                source_->size_bytes() - at, size));
      if (!members_.emplace(name, MemberRange{at, at + size}).second)
        fail("TA01", fmt::format("two tar members are named {}", quoted(name, 60)), at);
      at += (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    }
  }

  MemberRange member(std::string_view name) const {
    auto found = members_.find(name);
    if (found == members_.end())
      throw Error(Code::unsupported, "TA01",
          fmt::format("a tar archive without {}: not a torch checkpoint", quoted(name)), {},
          "if it contains one, extract it first");
    return found->second;
  }

  // Reads the pickle at `at` and moves `at` to its end.
  Graph next_pickle(uint64_t& at, uint64_t end) {
    Bytes stream = source_->view(at, end - at);
    if (on_pickle_) on_pickle_(stream.first(pickle::trace(stream).end_bytes), at);
    pickle::Pickle parsed = pickle::parse(stream, at);
    at += parsed.end_bytes;
    return std::move(parsed.graph);
  }

  int64_t next_number(uint64_t& at, uint64_t end) {
    if (end - at < 8) throw Error(Code::truncated, "TA02", "a tar member ends inside a number", Where::at(at));
    at += 8;
    return load<int64_t>(source_->view(at - 8, 8), 0);
  }

  int64_t next_count(uint64_t& at, uint64_t end) {
    Graph graph = next_pickle(at, end);
    auto count = graph.integer(graph.root());
    if (!count || *count < 0 || *count > kMaxCount) fail("TA02", "a tar member does not begin with a count", at);
    return *count;
  }

  int64_t integer(const Graph& graph, Handle handle, uint64_t at) const {
    auto value = graph.integer(handle);
    if (!value) fail("TA02", "a key is not an int", at);
    return *value;
  }

  void read_storages() {
    auto [at, end] = member("storages");
    for (int64_t count = next_count(at, end); count > 0; --count) read_storage(at, end);
    Graph views = next_pickle(at, end);
    for (Handle view : views.children(views.root())) add_view(views, view, at);
  }

  void read_storage(uint64_t& at, uint64_t end) {
    Graph graph = next_pickle(at, end);
    std::span<const Handle> entry = graph.tuple(graph.root(), 3);
    const pickle::Global* storage_class = entry.empty() ? nullptr : graph.global(entry[2]);
    const ElementType* element = storage_class ? find_storage_class(storage_class->name) : nullptr;
    if (!element) fail("TA02", "a storage has an unknown class", at);
    int64_t key = integer(graph, entry[0], at), numel = next_number(at, end);
    uint64_t size_bytes = 0;
    if (numel < 0 || __builtin_mul_overflow(static_cast<uint64_t>(numel), element->bytes, &size_bytes) ||
        size_bytes > end - at) {
      throw Error(Code::truncated, "TA02",
          fmt::format(
              "storage {} does not fit into its member (have {} bytes, need {} elements)", key, end - at, numel),
          Where::at(at));
    }
    auto index = static_cast<uint32_t>(contents_.storages.size());
    contents_.storages.push_back({.key = contents_.arena.copy(fmt::format("{}", key)),
        .source = source_,
        .offset_bytes = at,
        .size_bytes = size_bytes});
    if (!storages_.emplace(key, StorageView{index, 0, size_bytes, element}).second)
      fail("TA02", fmt::format("storage {} exists twice", key), at);
    at += size_bytes;
  }

  void add_view(const Graph& views, Handle handle, uint64_t at) {
    std::span<const Handle> view = views.tuple(handle, 4);
    if (view.empty()) fail("TA02", "a view is not a tuple of 4 elements", at);
    auto root = storages_.find(integer(views, view[1], at));
    int64_t offset = integer(views, view[2], at), numel = integer(views, view[3], at);
    if (root == storages_.end()) fail("TA02", "a view refers to a storage that does not exist", at);
    if (offset < 0 || numel < 0)
      fail("TA02", fmt::format("a view has a negative offset or length ({}, {})", offset, numel), at);
    StorageView piece = root->second;
    uint64_t count = piece.size_bytes / piece.element->bytes;
    if (static_cast<uint64_t>(offset) > count || static_cast<uint64_t>(numel) > count - static_cast<uint64_t>(offset))
      fail("TS04", "a view reaches outside its storage", at);
    piece.offset_bytes += static_cast<uint64_t>(offset) * piece.element->bytes;
    piece.size_bytes = static_cast<uint64_t>(numel) * piece.element->bytes;
    if (!storages_.emplace(integer(views, view[0], at), piece).second)
      fail("TA02", "two storages have the same key", at);
  }

  void read_tensors() {
    auto [at, end] = member("tensors");
    for (int64_t count = next_count(at, end); count > 0; --count) read_tensor(at, end);
  }

  void read_tensor(uint64_t& at, uint64_t end) {
    Graph graph = next_pickle(at, end);
    std::span<const Handle> entry = graph.tuple(graph.root(), 3);
    if (entry.empty()) fail("TA02", "a tensor is not a tuple of 3 elements", at);
    auto storage = storages_.find(integer(graph, entry[1], at));
    if (storage == storages_.end()) fail("TA02", "a tensor refers to a storage that does not exist", at);
    auto rank = static_cast<int32_t>(next_number(at, end) & 0xffffffff);  // the upper 4 bytes have no meaning
    if (rank < 0 || rank > static_cast<int32_t>(kMaxDimensions))
      fail("TA02", fmt::format("a tensor has {} dimensions (at most {})", rank, kMaxDimensions), at);
    PlacedTensor placed{.storage = storage->second, .shape = {}, .strides = {}, .offset = 0};
    auto next_size = [&] {
      int64_t size = next_number(at, end);
      if (size < 0) fail("TA02", fmt::format("a size, stride or offset is negative ({})", size), at);
      return static_cast<uint64_t>(size);
    };
    for (int32_t i = 0; i < rank; ++i) placed.shape.push_back(next_size());
    for (int32_t i = 0; i < rank; ++i) placed.strides.push_back(next_size());
    placed.offset = next_size();
    if (!tensors_.emplace(integer(graph, entry[0], at), std::move(placed)).second)
      fail("TA02", "two tensors have the same key", at);
  }

  void name_tensors() {
    const Graph& graph = contents_.graph;
    for (const pickle::Event& event : graph.events()) {
      if (event.op() != pickle::Op::BINPERSID && event.op() != pickle::Op::PERSID) continue;
      Handle id = graph.persistent_id(event.node);
      std::optional<int64_t> key = graph.integer(id);
      if (auto spelled = graph.text(id)) {
        int64_t number = 0;
        if (std::from_chars(spelled->data(), spelled->data() + spelled->size(), number).ec == std::errc()) key = number;
      }
      if (!key) continue;  // the id of a class with its source
      if (auto tensor = tensors_.find(*key); tensor != tensors_.end()) {
        contents_.tensors.emplace(event.node, tensor->second);
      } else if (auto storage = storages_.find(*key); storage != storages_.end()) {
        contents_.views.emplace_back(event.node, storage->second);
      } else {
        fail("TA02", fmt::format("the object names tensor {}, which does not exist", *key), event.offset_bytes);
      }
    }
  }

  std::shared_ptr<const ByteSource> source_;
  const std::function<void(Bytes, uint64_t)>& on_pickle_;
  Contents contents_;
  std::map<std::string_view, MemberRange> members_;
  std::map<int64_t, StorageView> storages_;
  std::map<int64_t, PlacedTensor> tensors_;
};

}  // namespace

Contents read_tar(
    std::shared_ptr<const ByteSource> source, const std::function<void(Bytes pickle, uint64_t offset)>& on_pickle) {
  return TarReader(std::move(source), on_pickle).read();
}

}  // namespace depickle::torch
