#include "server/hub/content/spool.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/temporary_file.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;

// The temporary file, created with the first byte.
struct SharedFile {
  std::filesystem::path folder;
  std::optional<TemporaryFile> file;

  uint64_t size_bytes() const { return file ? file->size_bytes() : 0; }
  TemporaryFile& opened() {
    if (!file) file.emplace(folder);
    return *file;
  }
};

}  // namespace

struct Spool::State {
  std::shared_ptr<SharedFile> shared;
  uint64_t max_bytes;
  uint64_t start = 0;  // offset in the temporary file
  uint64_t size_bytes = 0;
};

Spool::Spool(std::filesystem::path folder, uint64_t max_bytes)
    : state_(new State{std::make_shared<SharedFile>(std::move(folder)), max_bytes}) {}
Spool::~Spool() = default;
Spool::Spool(Spool&&) noexcept = default;
Spool& Spool::operator=(Spool&&) noexcept = default;

Spool Spool::following() const {
  Spool next(state_->shared->folder, state_->max_bytes);
  next.state_->shared = state_->shared;
  next.state_->start = state_->shared->size_bytes();
  return next;
}

uint64_t Spool::size_bytes() const noexcept { return state_->size_bytes; }

void Spool::append(Bytes bytes) {
  if (bytes.size() > state_->max_bytes - state_->size_bytes) {
    throw StoreError(StoreReason::too_large,
        fmt::format("a file in the body of the commit is too large (at most {})", human_bytes(state_->max_bytes)));
  }
  if (bytes.empty()) return;
  state_->shared->opened().append(bytes);
  state_->size_bytes += bytes.size();
}

Bytes Spool::read(uint64_t offset, std::string& buffer) const {
  buffer.resize(std::min(kPieceBytes, state_->size_bytes - offset));
  MutableBytes out = std::as_writable_bytes(std::span(buffer));
  state_->shared->opened().read(state_->start + offset, out);
  return out;
}

std::string Spool::all() const {
  std::string all;
  each_piece([&](Bytes piece) { all.append(text(piece)); });
  return all;
}

}  // namespace depickle::server::content
