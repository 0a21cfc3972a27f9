// The container of torch 0.1.10 to 1.5, which newer versions write with _use_new_zipfile_serialization=False:
//
//   pickle: the magic number │ pickle: 1001 │ pickle: sys_info │ pickle: the object │ pickle: list of keys │ storages
//   a storage: numel, i64 │ numel elements of its class, always little-endian
#include <algorithm>
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

constexpr int64_t kProtocolVersion = 1001;

class LegacyReader {
 public:
  LegacyReader(std::shared_ptr<const ByteSource> source, uint64_t offset) : source_(std::move(source)), at_(offset) {}

  Contents read() {
    contents_.kind = detect::FileKind::torch_legacy;
    contents_.stream = source_;
    next_pickle();  // the magic number, which sniff() has compared
    uint64_t version_at = at_;
    Graph version = next_pickle();
    if (version.integer(version.root()) != kProtocolVersion)
      fail("TL01", "the protocol version is not 1001", version_at);
    next_pickle();  // sys_info: has no effect on the storages
    contents_.graph = next_pickle();
    collect_ids();
    uint64_t keys_at = at_;
    Graph keys = next_pickle();
    read_storages(keys, keys_at);
    elements_.clear();
    resolve_views();
    if (uint64_t rest = source_->size_bytes() - at_; rest > 0)
      contents_.notes.push_back(fmt::format("{} after the last storage", plural(rest, "byte")));
    return std::move(contents_);
  }

 private:
  Graph next_pickle() {
    const uint64_t rest = source_->size_bytes() - at_;
    // The length of a pickle is unknown. A remote file is read in growing pieces, not completely.
    uint64_t window = source_->is_remote() ? std::min<uint64_t>(rest, 256 << 10) : rest;
    for (;; window = std::min(rest, window * 4)) {
      try {
        pickle::Pickle parsed = pickle::parse(source_->view(at_, window), at_);
        at_ += parsed.end_bytes;
        return std::move(parsed.graph);
      } catch (const Error& error) {
        if (error.code() != Code::truncated || window == rest) throw;
      }
    }
  }

  // Only the persistent ids name the class of a storage, and with it the length of its data.
  void collect_ids() {
    for (const pickle::Event& event : contents_.graph.events()) {
      if (event.op() != pickle::Op::BINPERSID && event.op() != pickle::Op::PERSID) continue;
      auto id = read_persistent_id(contents_.graph, event.node);
      if (!id) continue;
      ids_.push_back(event.node);
      auto [found, is_new] = elements_.try_emplace(id->key, id->element);
      if (found->second->bytes != id->element->bytes)
        fail("TS02", fmt::format("storage {} has two element sizes", quoted(id->key)), event.offset_bytes);
    }
  }

  // The storages are in the order of the list.
  void read_storages(const Graph& keys, uint64_t keys_at) {
    if (keys.kind(keys.root()) != pickle::NodeKind::list) fail("TL02", "the storage keys are not a list", keys_at);
    contents_.storages.reserve(keys.children(keys.root()).size());
    for (Handle handle : keys.children(keys.root())) {
      auto key = keys.text(handle);
      if (!key) fail("TL02", "a storage key is not a str", keys_at);
      auto element = elements_.find(*key);
      if (element == elements_.end())
        fail("TL02", fmt::format("the list of storages names {}, which no tensor uses", quoted(*key)), keys_at);
      Bytes prefix = source_->view(at_, 8);
      auto numel = load<int64_t>(prefix, 0);
      uint64_t size_bytes = 0;
      if (numel < 0 || __builtin_mul_overflow(static_cast<uint64_t>(numel), element->second->bytes, &size_bytes))
        fail("TL03", fmt::format("storage {} has an invalid length of {} elements", quoted(*key), numel), at_);
      if (source_->size_bytes() - at_ - 8 < size_bytes) {
        throw Error(Code::truncated, "TL03",
            fmt::format("the file ends inside storage {} (have {} bytes, need {})", quoted(*key),
                grouped(source_->size_bytes() - at_ - 8), grouped(size_bytes)),
            Where::at(at_), "the download is incomplete; fetch it again");
      }
      Storage storage{
          .key = contents_.arena.copy(*key), .source = source_, .offset_bytes = at_ + 8, .size_bytes = size_bytes};
      if (!numbers_.emplace(storage.key, static_cast<uint32_t>(contents_.storages.size())).second)
        fail("TL02", fmt::format("the list of storages names {} twice", quoted(*key)), keys_at);
      contents_.storages.push_back(std::move(storage));
      at_ += 8 + size_bytes;
    }
  }

  void resolve_views() {
    contents_.views.reserve(ids_.size());
    for (Handle handle : ids_) {
      const PersistentId id = *read_persistent_id(contents_.graph, handle);
      auto found = numbers_.find(id.key);
      if (found == numbers_.end())
        fail("TL02", fmt::format("storage {} is not in the list of storages", quoted(id.key)), at_);
      uint64_t size_bytes = contents_.storages[found->second].size_bytes;
      if (id.numel != size_bytes / id.element->bytes)
        fail("TS02",
            fmt::format("storage {} has {} elements (the pickle declares {})", quoted(id.key),
                grouped(size_bytes / id.element->bytes), grouped(id.numel)),
            contents_.storages[found->second].offset_bytes);
      StorageView view{found->second, 0, size_bytes, id.element, id.location};
      if (id.view) {
        uint64_t end = 0;
        if (__builtin_add_overflow(id.view->offset, id.view->numel, &end) || end > id.numel)
          fail("TS04",
              fmt::format(
                  "a view of elements {} to {} reaches outside storage {}", id.view->offset, end, quoted(id.key)),
              at_);
        view.offset_bytes = id.view->offset * id.element->bytes;
        view.size_bytes = id.view->numel * id.element->bytes;
      }
      contents_.views.emplace_back(handle, view);
    }
  }

  std::shared_ptr<const ByteSource> source_;
  uint64_t at_;
  Contents contents_;
  std::vector<Handle> ids_;  ///< of storages; decoded twice, because decoded ids take 20 times the memory
  std::map<std::string_view, const ElementType*> elements_;
  std::map<std::string_view, uint32_t> numbers_;
};

}  // namespace

Contents read_legacy(std::shared_ptr<const ByteSource> source, uint64_t offset) {
  return LegacyReader(std::move(source), offset).read();
}

}  // namespace depickle::torch
