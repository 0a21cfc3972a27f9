#include "server/hub/store/spool.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/refusal.h"
#include "server/hub/store/temporary_file.h"

namespace depickle::server {
namespace {

constexpr uint64_t kInMemory = 64 << 10;
constexpr uint64_t kPiece = 1 << 20;

}  // namespace

struct Spool::Body {
  std::filesystem::path folder;
  uint64_t most_bytes;
  std::string memory;                 // the first bytes
  std::optional<TemporaryFile> file;  // the rest

  uint64_t size_bytes() const { return memory.size() + (file ? file->size_bytes() : 0); }
};

Spool::Spool(std::filesystem::path folder, uint64_t most_bytes)
    : body_(new Body{std::move(folder), most_bytes, {}, {}}) {}
Spool::~Spool() = default;
Spool::Spool(Spool&&) noexcept = default;
Spool& Spool::operator=(Spool&&) noexcept = default;

uint64_t Spool::size_bytes() const noexcept { return body_->size_bytes(); }

void Spool::append(Bytes bytes) {
  if (bytes.size() > body_->most_bytes - size_bytes()) {
    throw Refusal(Reason::too_large,
        fmt::format("a file in the body of a commit is too large (at most {})", human_bytes(body_->most_bytes)));
  }
  size_t here = body_->file ? 0 : std::min<size_t>(bytes.size(), kInMemory - body_->memory.size());
  body_->memory.append(text(bytes.first(here)));
  bytes = bytes.subspan(here);
  if (bytes.empty()) return;
  if (!body_->file) body_->file.emplace(body_->folder);
  body_->file->append(bytes);
}

Bytes Spool::read(uint64_t offset, std::string& buffer) const {
  if (offset < body_->memory.size()) return bytes(std::string_view(body_->memory).substr(offset));
  uint64_t in_file = offset - body_->memory.size();
  buffer.resize(std::min(kPiece, body_->file->size_bytes() - in_file));
  MutableBytes out = std::as_writable_bytes(std::span(buffer));
  body_->file->read(in_file, out);
  return out;
}

std::string Spool::all() const {
  std::string all;
  each_piece([&](Bytes piece) { all.append(text(piece)); });
  return all;
}

}  // namespace depickle::server
