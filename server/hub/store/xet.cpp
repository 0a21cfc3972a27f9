#include "server/hub/store/xet.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/temporary_file.h"
#include "server/hub/store/digits.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/shard.h"
#include "server/hub/store/store_error.h"
#include "server/hub/store/xorb.h"

namespace depickle::server {

struct XorbUpload::Body {
  StoreParts& parts;
  std::string user, hash;
  TemporaryFile file;
};

XorbUpload::XorbUpload(StoreParts& parts, std::string user, std::string hash)
    : body_(new Body{parts, std::move(user), std::move(hash), TemporaryFile(parts.temporaries())}) {}
XorbUpload::~XorbUpload() = default;
XorbUpload::XorbUpload(XorbUpload&&) noexcept = default;

void XorbUpload::append(Bytes bytes) {
  uint64_t most = body_->parts.limits.xorb_bytes;
  if (bytes.size() > most - body_->file.size_bytes())
    throw StoreError(StoreReason::too_large, fmt::format("a xorb has at most {} bytes", grouped(most)));
  body_->file.append(bytes);
}

bool XorbUpload::finish() {
  std::filesystem::path target = body_->parts.xorb_file(body_->user, body_->hash);
  append_chunk_table(body_->file);
  if (std::filesystem::exists(target)) return false;
  body_->file.rename_to(target);
  return true;
}

const std::string& Xet::store_id() const noexcept { return parts_.store_id; }

XorbUpload Xet::xorb(std::string_view user, std::string_view hash) {
  if (!is_sha256(hash)) throw StoreError(StoreReason::malformed, fmt::format("{} is no hash of a xorb", quoted(hash)));
  return XorbUpload(parts_, std::string(user), std::string(hash));
}

namespace {

// Appends what `segment` names to the upload. `open` keeps the last xorb: neighbours mostly come from the same one.
void append_segment(StoreParts& parts, std::string_view user, const ShardSegment& segment,
    std::pair<std::string, std::unique_ptr<XorbFile>>& open, LfsUpload& upload) {
  if (open.first != segment.xorb) {
    std::filesystem::path file = parts.xorb_file(user, segment.xorb);
    if (!std::filesystem::exists(file))
      throw StoreError(
          StoreReason::malformed, fmt::format("the shard names a xorb that was not uploaded: {}", segment.xorb));
    open = {segment.xorb, std::make_unique<XorbFile>(file)};
  }
  uint64_t raw_bytes = 0;
  open.second->each_chunk(segment.begin, segment.end, [&](Bytes raw) {
    raw_bytes += raw.size();
    if (raw_bytes > segment.raw_bytes)
      throw StoreError(StoreReason::malformed, "the chunks that the shard names are longer than it says");
    upload.append(raw);
  });
  if (raw_bytes != segment.raw_bytes)
    throw StoreError(StoreReason::malformed, "the chunks that the shard names are shorter than it says");
}

}  // namespace

std::vector<std::string> Xet::take_shard(std::string_view user, Bytes shard) {
  if (shard.size() > parts_.limits.shard_bytes)
    throw StoreError(
        StoreReason::too_large, fmt::format("a shard has at most {} bytes", grouped(parts_.limits.shard_bytes)));
  std::vector<ShardFile> files = parse_shard(shard);
  // Before any work: many files over the same chunks are a small shard and a full disk.
  uint64_t total = 0;
  for (const ShardFile& file : files) {
    for (uint64_t i = 0; i < file.count(); ++i) total += file.segment(i).raw_bytes;
  }
  if (total > parts_.limits.lfs_file_bytes)
    throw StoreError(StoreReason::too_large,
        fmt::format("the files of a shard have at most {}", human_bytes(parts_.limits.lfs_file_bytes)));
  std::vector<std::string> made;
  std::pair<std::string, std::unique_ptr<XorbFile>> open;
  for (const ShardFile& file : files) {
    made.push_back(file.sha256);
    // A client that lost the answer sends its shard again.
    if (parts_.lfs.uploaded(user, file.sha256)) continue;
    LfsUpload upload = parts_.lfs.upload(user, file.sha256, std::nullopt);
    for (uint64_t i = 0; i < file.count(); ++i) append_segment(parts_, user, file.segment(i), open, upload);
    upload.finish();
  }
  return made;
}

}  // namespace depickle::server
