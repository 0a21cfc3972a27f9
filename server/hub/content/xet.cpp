#include "server/hub/content/xet.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/os/file_descriptor.h"
#include "server/base/temporary_file.h"
#include "server/hub/content/context.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/content/shard.h"
#include "server/hub/content/xorb.h"
#include "server/hub/git/digits.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {

namespace {

namespace fs = std::filesystem;

// The protocol allows this many chunks. Larger xorbs stay as they are until they expire.
constexpr uint32_t kMaxPlacedChunks = 8192;
// Of all xorbs of a shard. Each takes 16 bytes of memory.
constexpr uint64_t kMaxPlaces = 4 << 20;

// The xorbs of a shard, and where their chunks are in the files of the shard.
class ShardXorbs {
 public:
  ShardXorbs(Context& context, std::string_view user) : context_(context), user_(user) {}

  // Calls `take` with each chunk of `segment`, and records that they follow each other in `oid` from `offset_bytes`.
  void each_chunk(const ShardSegment& segment, const std::string& oid, uint64_t offset_bytes,
      const std::function<void(Bytes)>& take) {
    open(segment.xorb);
    std::vector<ChunkPlace>* places = places_of(segment.xorb);
    const uint32_t object = places ? object_index(oid) : 0;
    uint64_t raw_bytes = 0;
    uint32_t chunk = segment.begin;
    file_->each_chunk(segment.begin, segment.end, [&](Bytes raw) {
      if (places) (*places)[chunk++] = {offset_bytes + raw_bytes, static_cast<uint32_t>(raw.size()), object};
      raw_bytes += raw.size();
      if (raw_bytes > segment.raw_bytes)
        throw StoreError(StoreReason::malformed, "the chunks of a segment are longer than the shard says");
      take(raw);
    });
    if (raw_bytes != segment.raw_bytes)
      throw StoreError(StoreReason::malformed, "the chunks of a segment are shorter than the shard says");
  }

  // Forgets the places in a file that differs from the shard.
  void forget() { places_.clear(); }

  // Replaces the xorbs whose chunks are all in objects: each byte is stored once.
  void drop_stored_chunks() {
    for (const auto& [hash, places] : places_) {
      if (std::ranges::any_of(places, [](const ChunkPlace& place) { return place.raw_bytes == 0; })) continue;
      TemporaryFile file(context_.temporary_folder());
      write_places(file, objects_, places);
      file.sync();
      context_.database->transaction([&] { file.rename_to(context_.xorb_file(user_, hash)); });
    }
  }

 private:
  // Consecutive segments mostly use the same xorb.
  void open(const std::string& hash) {
    if (open_ == hash) return;
    const fs::path path = context_.xorb_file(user_, hash);
    if (!fs::exists(path))
      throw StoreError(StoreReason::malformed, fmt::format("xorb {} of the shard was not uploaded", hash));
    file_ = std::make_unique<XorbFile>(context_, path);
    open_ = hash;
    for (const std::string& oid : file_->objects()) record_use(*context_.database, oid);
  }

  std::vector<ChunkPlace>* places_of(const std::string& hash) {
    if (file_->is_in_objects() || file_->chunk_count() > kMaxPlacedChunks) return nullptr;
    if (auto found = places_.find(hash); found != places_.end()) return &found->second;
    if (place_count_ + file_->chunk_count() > kMaxPlaces) return nullptr;
    place_count_ += file_->chunk_count();
    return &places_.emplace(hash, std::vector<ChunkPlace>(file_->chunk_count())).first->second;
  }

  uint32_t object_index(const std::string& oid) {
    if (objects_.empty() || objects_.back() != oid) objects_.push_back(oid);
    return static_cast<uint32_t>(objects_.size() - 1);
  }

  Context& context_;
  const std::string user_;
  std::string open_;
  std::unique_ptr<XorbFile> file_;
  std::map<std::string, std::vector<ChunkPlace>> places_;
  std::vector<std::string> objects_;
  uint64_t place_count_ = 0;
};

// Compares the chunks of a file with an object that the user has uploaded, for their places. A client that did not
// receive the response sends the shard again, or sends a file again.
void compare_with_object(Context& context, const ShardBytes& shard, const ShardFile& file, ShardXorbs& xorbs) {
  record_use(*context.database, file.sha256);
  const fs::path path = context.lfs_file(file.sha256);
  const os::FileDescriptor object = os::open_file(path, O_RDONLY);
  std::vector<std::byte> buffer;
  uint64_t offset_bytes = 0;
  try {
    each_segment(shard, file, [&](const ShardSegment& segment) {
      uint64_t at = offset_bytes;
      xorbs.each_chunk(segment, file.sha256, offset_bytes, [&](Bytes raw) {
        buffer.resize(raw.size());
        if (os::read_all_at(object.get(), at, buffer, path.string()) != raw.size() || !std::ranges::equal(buffer, raw))
          throw StoreError(StoreReason::malformed, "the object has other bytes");
        at += raw.size();
      });
      offset_bytes = at;
    });
  } catch (const Error&) {
    xorbs.forget();  // the object exists, so the upload is complete in any case
  }
}

uint64_t raw_bytes_of(const ShardBytes& shard) {
  uint64_t total = 0;
  each_file(shard, [&](const ShardFile& file) {
    each_segment(shard, file, [&](const ShardSegment& segment) { total += segment.raw_bytes; });
  });
  return total;
}

}  // namespace

struct XorbUpload::State {
  Context& context;
  std::string user, hash;
  TemporaryFile file;
};

XorbUpload::XorbUpload(Context& context, std::string user, std::string hash)
    : state_(new State{context, std::move(user), std::move(hash), TemporaryFile(context.temporary_folder())}) {}
XorbUpload::~XorbUpload() = default;
XorbUpload::XorbUpload(XorbUpload&&) noexcept = default;

void XorbUpload::append(Bytes bytes) {
  uint64_t max_bytes = state_->context.limits.xorb_bytes;
  if (bytes.size() > max_bytes - state_->file.size_bytes())
    throw StoreError(StoreReason::too_large, fmt::format("a xorb has at most {} bytes", grouped(max_bytes)));
  state_->file.append(bytes);
}

bool XorbUpload::finish() {
  std::filesystem::path target = state_->context.xorb_file(state_->user, state_->hash);
  if (const std::string found = append_chunk_table(state_->file); found != state_->hash)
    throw StoreError(StoreReason::malformed,
        fmt::format("the xorb does not match its hash (have {}, need {})", found, state_->hash));
  // An earlier file may name objects that do not exist any more, or come from a version that did not check the hash.
  bool is_new = !std::filesystem::exists(target);
  state_->file.sync();
  // In a transaction: a collection (gc.h) may remove the earlier one.
  state_->context.database->transaction([&] { state_->file.rename_to(target); });
  state_->context.upload_limits.stored_xorb(state_->user, state_->file.size_bytes());
  return is_new;
}

XorbUpload Xet::xorb(std::string_view user, std::string_view hash, uint64_t announced_bytes) {
  if (!is_sha256(hash))
    throw StoreError(StoreReason::malformed, fmt::format("xorb hash {} is not 64 hexadecimal digits", quoted(hash)));
  context_.upload_limits.check(user, announced_bytes);
  return XorbUpload(context_, std::string(user), std::string(hash));
}

int64_t Xet::generation(std::string_view user) const { return xet_generation(*context_.database, user); }

void Xet::check_space(std::string_view user, const ShardBytes& shard, uint64_t all_bytes) {
  try {
    return context_.upload_limits.check_shard(user, all_bytes);
  } catch (const StoreError&) {
    // Some of the files may exist. A shard may have 600,000, so they are looked up only here.
    uint64_t new_bytes = 0;
    each_file(shard, [&](const ShardFile& file) {
      if (lfs_.uploaded(user, file.sha256)) return;
      each_segment(shard, file, [&](const ShardSegment& segment) { new_bytes += segment.raw_bytes; });
    });
    context_.upload_limits.check_shard(user, new_bytes);
  }
}

uint64_t Xet::take_shard(std::string_view user, const ShardBytes& shard) {
  if (shard.size_bytes > context_.limits.shard_bytes)
    throw StoreError(
        StoreReason::too_large, fmt::format("a shard has at most {} bytes", grouped(context_.limits.shard_bytes)));
  // Checked first: a small shard can describe many files of the same chunks and fill the disk.
  const uint64_t all_bytes = raw_bytes_of(shard);
  if (all_bytes > context_.limits.lfs_file_bytes) {
    throw StoreError(StoreReason::too_large,
        fmt::format("the files of a shard have at most {}", human_bytes(context_.limits.lfs_file_bytes)));
  }
  check_space(user, shard, all_bytes);
  uint64_t files = 0;
  ShardXorbs xorbs(context_, user);
  each_file(shard, [&](const ShardFile& file) {
    ++files;
    if (lfs_.uploaded(user, file.sha256)) return compare_with_object(context_, shard, file, xorbs);
    LfsUpload upload = lfs_.upload(user, file.sha256, std::nullopt);
    each_segment(shard, file, [&](const ShardSegment& segment) {
      xorbs.each_chunk(segment, file.sha256, upload.size_bytes(), [&](Bytes raw) { upload.append(raw); });
    });
    upload.finish();
  });
  xorbs.drop_stored_chunks();
  return files;
}

}  // namespace depickle::server::content
