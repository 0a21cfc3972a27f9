// The tar of torch 0.1.9 and before (2016): members `pickle`, `storages` and `tensors`.
//
//   storages: pickle: N │ N × (pickle: (key, location, class) │ numel, i64 │ elements)
//             │ pickle: list of views (key, storage key, offset, numel)
//   tensors:  pickle: M │ M × (pickle: (key, storage key, class) │ rank, i32 │ 4 bytes │ sizes, strides, offset, i64)
//
// The persistent ids of the object are the keys of tensors, spelled as str; the keys are ints.
#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/tar_header.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/contents.h"

namespace depickle::torch {
namespace {

using pickle::Graph;
using pickle::Handle;

using detect::kTarBlockBytes;

constexpr std::string_view kMembers[] = {"sys_info", "pickle", "tensors", "storages"};
constexpr std::string_view kExtractHint = "if it contains one, extract it first";
constexpr std::string_view kTarHint = "torch and other readers may see different contents; do not load it";
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

  // TA01. Members are never extracted.
  void find_members() {
    uint64_t at = 0;
    while (source_->size_bytes() - at >= kTarBlockBytes) {
      Bytes block = source_->view(at, kTarBlockBytes);
      if (is_zero(block)) break;
      auto [name, size] = read_header(block, at);
      at += kTarBlockBytes;
      if (size > source_->size_bytes() - at)
        throw Error(Code::truncated, "TA01",
            fmt::format("the file ends inside tar member {} (have {} bytes, need {})", quoted(name, 60),
                source_->size_bytes() - at, size));
      if (!members_.emplace(name, MemberRange{at, at + size}).second)
        fail("TA01", fmt::format("two tar members are named {}", quoted(name, 60)), at);
      at = std::min(at + (size + kTarBlockBytes - 1) / kTarBlockBytes * kTarBlockBytes, source_->size_bytes());
    }
    check_end(at);
  }

  struct Header {
    std::string_view name;
    uint64_t size_bytes;
  };

  // TA03. There are several dialects of tar (long names in extra members, prefixes, links, other spellings of numbers),
  // and readers disagree about them. Only the headers that torch wrote are accepted: Python's tarfile reads them in the
  // same way, and none of the names is the start of a pickle, so torch cannot read the file as one either.
  Header read_header(Bytes block, uint64_t at) {
    auto field = [&](size_t begin, size_t length) { return text(block.subspan(begin, length)); };
    auto refuse = [&](std::string_view what) {
      throw Error(Code::malformed, "TA03", fmt::format("a tar header that torch does not write: {}", what),
          Where::at(at), std::string(kTarHint));
    };
    const std::string_view name = field(0, 100).substr(0, field(0, 100).find('\0'));
    if (std::ranges::find(kMembers, name) == std::end(kMembers))
      throw Error(Code::unsupported, "TA01",
          fmt::format("a tar archive that contains {}: not a torch checkpoint", quoted(name, 60)), Where::at(at),
          std::string(kExtractHint));
    if (field(0, 100).find_first_not_of('\0', name.size()) != std::string_view::npos) refuse("bytes after the name");
    if (field(156, 1) != "0") refuse(fmt::format("member {} is not a regular file", quoted(name, 60)));
    if (field(257, 8) != std::string_view("ustar\00000", 8)) refuse("the magic is not \"ustar\" of POSIX");
    if (!is_zero(block.subspan(157, 100)) || !is_zero(block.subspan(345))) refuse("a link or a prefix");
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < block.size(); ++i)
      if (i < 148 || i >= 156) sum += std::to_integer<unsigned>(block[i]);
    if (field(148, 8) != fmt::format("{:06o}{}{}", sum, '\0', ' ')) refuse("the spelling of the checksum");
    const std::string_view digits = field(124, 11);
    uint64_t size = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 8);
    if (error != std::errc() || end != digits.data() + digits.size() || field(135, 1)[0] != '\0')
      refuse(fmt::format("the spelling of the size of {}", quoted(name, 60)));
    return {name, size};
  }

  // TA03. Python ends at the first block that is not a header; other readers continue.
  void check_end(uint64_t at) const {
    constexpr uint64_t kPieceBytes = 1 << 20;
    for (const uint64_t size = source_->size_bytes(); at < size;) {
      const uint64_t piece = std::min(kPieceBytes, size - at);
      if (!is_zero(source_->view(at, piece)))
        throw Error(Code::malformed, "TA03", "the tar archive has other bytes than zeros after its last member",
            Where::at(at), std::string(kTarHint));
      at += piece;
    }
  }

  static bool is_zero(Bytes bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

  MemberRange member(std::string_view name) const {
    auto found = members_.find(name);
    if (found == members_.end())
      throw Error(Code::unsupported, "TA01",
          fmt::format("a tar archive without {}: not a torch checkpoint", quoted(name)), {}, std::string(kExtractHint));
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
