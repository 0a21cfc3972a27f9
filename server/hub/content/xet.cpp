#include "server/hub/content/xet.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/temporary_file.h"
#include "server/hub/content/context.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/shard.h"
#include "server/hub/content/xorb.h"
#include "server/hub/git/digits.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {

namespace {

// Appends the chunks of `segment` to the upload. `open` caches the last xorb: consecutive segments mostly use the
// same one.
void append_segment(Context& context, std::string_view user, const ShardSegment& segment,
    std::pair<std::string, std::unique_ptr<XorbFile>>& open, LfsUpload& upload) {
  if (open.first != segment.xorb) {
    std::filesystem::path file = context.xorb_file(user, segment.xorb);
    if (!std::filesystem::exists(file))
      throw StoreError(StoreReason::malformed, fmt::format("xorb {} of the shard was not uploaded", segment.xorb));
    open = {segment.xorb, std::make_unique<XorbFile>(file)};
  }
  uint64_t raw_bytes = 0;
  open.second->each_chunk(segment.begin, segment.end, [&](Bytes raw) {
    raw_bytes += raw.size();
    if (raw_bytes > segment.raw_bytes)
      throw StoreError(StoreReason::malformed, "the chunks of a segment are longer than the shard says");
    upload.append(raw);
  });
  if (raw_bytes != segment.raw_bytes)
    throw StoreError(StoreReason::malformed, "the chunks of a segment are shorter than the shard says");
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
  append_chunk_table(state_->file);
  // The hash is not checked, so an earlier xorb with this name may have other bytes. The newest one counts.
  bool is_new = !std::filesystem::exists(target);
  state_->file.rename_to(target);
  return is_new;
}

XorbUpload Xet::xorb(std::string_view user, std::string_view hash) {
  if (!is_sha256(hash))
    throw StoreError(StoreReason::malformed, fmt::format("xorb hash {} is not 64 hexadecimal digits", quoted(hash)));
  return XorbUpload(context_, std::string(user), std::string(hash));
}

uint64_t Xet::take_shard(std::string_view user, const ShardBytes& shard) {
  if (shard.size_bytes > context_.limits.shard_bytes)
    throw StoreError(
        StoreReason::too_large, fmt::format("a shard has at most {} bytes", grouped(context_.limits.shard_bytes)));
  // Checked first: a small shard can describe many files of the same chunks and fill the disk.
  if (raw_bytes_of(shard) > context_.limits.lfs_file_bytes) {
    throw StoreError(StoreReason::too_large,
        fmt::format("the files of a shard have at most {}", human_bytes(context_.limits.lfs_file_bytes)));
  }
  uint64_t files = 0;
  std::pair<std::string, std::unique_ptr<XorbFile>> open;
  each_file(shard, [&](const ShardFile& file) {
    ++files;
    // A client that did not receive the response sends the shard again.
    if (lfs_.uploaded(user, file.sha256)) return;
    LfsUpload upload = lfs_.upload(user, file.sha256, std::nullopt);
    each_segment(
        shard, file, [&](const ShardSegment& segment) { append_segment(context_, user, segment, open, upload); });
    upload.finish();
  });
  return files;
}

}  // namespace depickle::server::content
