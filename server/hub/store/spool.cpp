#include "server/hub/store/spool.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/temporary_file.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

constexpr uint64_t kPiece = 1 << 20;

/// The temporary, made with the first byte.
struct Shared {
  std::filesystem::path folder;
  std::optional<TemporaryFile> file;

  uint64_t size_bytes() const { return file ? file->size_bytes() : 0; }
};

}  // namespace

struct Spool::Body {
  std::shared_ptr<Shared> shared;
  uint64_t max_bytes;
  uint64_t start = 0;  // in the temporary
  uint64_t size_bytes = 0;
};

Spool::Spool(std::filesystem::path folder, uint64_t max_bytes)
    : body_(new Body{std::make_shared<Shared>(std::move(folder)), max_bytes}) {}
Spool::~Spool() = default;
Spool::Spool(Spool&&) noexcept = default;
Spool& Spool::operator=(Spool&&) noexcept = default;

Spool Spool::following() const {
  Spool next(body_->shared->folder, body_->max_bytes);
  next.body_->shared = body_->shared;
  next.body_->start = body_->shared->size_bytes();
  return next;
}

uint64_t Spool::size_bytes() const noexcept { return body_->size_bytes; }

void Spool::append(Bytes bytes) {
  if (bytes.size() > body_->max_bytes - body_->size_bytes) {
    throw StoreError(StoreReason::too_large,
        fmt::format("a file in the body of a commit is too large (at most {})", human_bytes(body_->max_bytes)));
  }
  if (bytes.empty()) return;
  if (!body_->shared->file) body_->shared->file.emplace(body_->shared->folder);
  body_->shared->file->append(bytes);
  body_->size_bytes += bytes.size();
}

Bytes Spool::read(uint64_t offset, std::string& buffer) const {
  buffer.resize(std::min(kPiece, body_->size_bytes - offset));
  MutableBytes out = std::as_writable_bytes(std::span(buffer));
  body_->shared->file->read(body_->start + offset, out);
  return out;
}

std::string Spool::all() const {
  std::string all;
  each_piece([&](Bytes piece) { all.append(text(piece)); });
  return all;
}

}  // namespace depickle::server
