#include "server/hub/store/lfs.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "depickle/os/file_descriptor.h"
#include "server/base/random_id.h"
#include "server/base/temporary_file.h"
#include "server/hub/store/digits.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kPiece = 1 << 20;

void check_oid(std::string_view oid) {
  if (!is_sha256(oid))
    throw StoreError(
        StoreReason::malformed, fmt::format("{} is no SHA-256 (64 lower-case hexadecimal digits)", quoted(oid)));
}

// The object is on the disk under its name: now it counts.
void record_ownership(StoreParts& parts, std::string_view user, std::string_view oid, uint64_t size_bytes) {
  parts.database->transaction([&] {
    parts.database->run(
        "INSERT OR IGNORE INTO objects(oid, size) VALUES(?, ?)", {oid, static_cast<int64_t>(size_bytes)});
    parts.database->run("INSERT OR IGNORE INTO object_owners VALUES(?, ?)", {user, oid});
  });
}

template <typename Take>
void each_piece_of(int fd, const fs::path& file, Take take) {
  std::string buffer(kPiece, '\0');
  MutableBytes out = std::as_writable_bytes(std::span(buffer));
  for (uint64_t offset = 0;;) {
    uint64_t got = os::read_all_at(fd, offset, out, file);
    if (got == 0) return;
    take(Bytes(out.first(got)));
    offset += got;
  }
}

struct OpenFile {
  OpenFile(const fs::path& file, int flags) : path(file), fd(::open(file.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd < 0) throw system_error(errno, "cannot open", file.string());
  }
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  fs::path path;
  int fd;
};

uint64_t part_count(uint64_t size_bytes, uint64_t chunk_bytes) {
  return size_bytes / chunk_bytes + (size_bytes % chunk_bytes != 0);
}

void check_parts(const StoreParts& parts, std::string_view oid, uint64_t size_bytes, uint64_t chunk_bytes) {
  check_oid(oid);
  if (size_bytes == 0 || size_bytes > parts.limits.lfs_file_bytes)
    throw StoreError(StoreReason::too_large, "an upload in parts of this size is not possible");
  if (chunk_bytes == 0 || part_count(size_bytes, chunk_bytes) > 10'000)
    throw StoreError(StoreReason::malformed, "an upload has at most 10,000 parts");
}

}  // namespace

struct LfsUpload::Body {
  StoreParts& parts;
  std::string user, oid;
  std::optional<uint64_t> promised_bytes;
  TemporaryFile file;
  Sha256 sha256;
};

LfsUpload::LfsUpload(StoreParts& parts, std::string user, std::string oid, std::optional<uint64_t> size_bytes)
    : body_(new Body{parts, std::move(user), std::move(oid), size_bytes, TemporaryFile(parts.temporaries()), {}}) {}
LfsUpload::~LfsUpload() = default;
LfsUpload::LfsUpload(LfsUpload&&) noexcept = default;

void LfsUpload::append(Bytes bytes) {
  uint64_t most = body_->promised_bytes.value_or(body_->parts.limits.lfs_file_bytes);
  if (bytes.size() > most - body_->file.size_bytes())
    throw StoreError(StoreReason::too_large, fmt::format("more bytes than the {} announced", grouped(most)));
  body_->sha256.update(bytes);
  body_->file.append(bytes);
}

void LfsUpload::finish() {
  Body& body = *body_;
  if (body.promised_bytes && *body.promised_bytes != body.file.size_bytes()) {
    throw StoreError(StoreReason::malformed, fmt::format("the upload is too short (have {} bytes, need {})",
                                                 grouped(body.file.size_bytes()), grouped(*body.promised_bytes)));
  }
  std::string found = body.sha256.hex();
  if (!body.oid.empty() && body.oid != found) {
    throw StoreError(StoreReason::malformed,
        fmt::format("the upload is not what it was announced as (have SHA-256 {}, need {})", found, body.oid),
        "upload it again");
  }
  body.oid = found;
  fs::path target = body.parts.lfs_file(found);
  if (!fs::exists(target)) body.file.rename_to(target);
  record_ownership(body.parts, body.user, found, body.file.size_bytes());
}

const std::string& LfsUpload::oid() const noexcept { return body_->oid; }
uint64_t LfsUpload::size_bytes() const noexcept { return body_->file.size_bytes(); }

struct LfsPart::Body {
  StoreParts& parts;
  std::string user, oid;
  uint64_t chunk_bytes, number, begin, end;
  uint64_t written = 0;
  OpenFile file;
  Sha256 sha256;
};

LfsPart::LfsPart(
    StoreParts& parts, std::string user, std::string oid, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t number) {
  check_parts(parts, oid, size_bytes, chunk_bytes);
  if (number == 0 || number > part_count(size_bytes, chunk_bytes))
    throw StoreError(StoreReason::malformed, fmt::format("there is no part {}", number));
  uint64_t begin = (number - 1) * chunk_bytes, end = std::min(size_bytes, begin + chunk_bytes);
  fs::path file = parts.parts_file(user, oid);
  fs::create_directories(file.parent_path());
  // Until it is whole again, a part that comes anew is missing.
  parts.database->run("DELETE FROM parts WHERE user = ? AND oid = ? AND chunk = ? AND number = ?",
      {user, oid, static_cast<int64_t>(chunk_bytes), static_cast<int64_t>(number)});
  body_.reset(new Body{parts, std::move(user), std::move(oid), chunk_bytes, number, begin, end, 0,
      OpenFile(file, O_RDWR | O_CREAT), {}});
}
LfsPart::~LfsPart() = default;
LfsPart::LfsPart(LfsPart&&) noexcept = default;

void LfsPart::append(Bytes bytes) {
  Body& body = *body_;
  if (bytes.size() > body.end - body.begin - body.written)
    throw StoreError(StoreReason::too_large, fmt::format("part {} is too long", body.number));
  os::write_all_at(body.file.fd, body.begin + body.written, bytes, body.file.path);
  body.sha256.update(bytes);
  body.written += bytes.size();
}

std::string LfsPart::finish() {
  Body& body = *body_;
  if (body.written != body.end - body.begin) {
    throw StoreError(StoreReason::malformed,
        fmt::format("part {} is too short (have {} bytes, need {})", body.number, body.written, body.end - body.begin));
  }
  // Not carried to the disk: what a crash takes from it, the SHA-256 of the whole will miss.
  body.parts.database->run("INSERT OR IGNORE INTO parts VALUES(?, ?, ?, ?)",
      {body.user, body.oid, static_cast<int64_t>(body.chunk_bytes), static_cast<int64_t>(body.number)});
  return body.sha256.hex();
}

bool Lfs::usable(std::string_view user, const RepoInfo& repo, std::string_view oid) const {
  return parts_.database
      ->number(
          "SELECT 1 FROM objects WHERE oid = ?1 AND (EXISTS(SELECT 1 FROM object_owners WHERE user = ?2 AND oid = ?1) "
          "OR EXISTS(SELECT 1 FROM repo_objects WHERE repo = ?3 AND oid = ?1))",
          {oid, user, repo.key})
      .has_value();
}

bool Lfs::uploaded(std::string_view user, std::string_view oid) const {
  return parts_.database->number("SELECT 1 FROM object_owners WHERE user = ? AND oid = ?", {user, oid}).has_value();
}

std::optional<fs::path> Lfs::readable(const RepoInfo& repo, std::string_view oid, const Caller* reader) const {
  if (!is_sha256(oid) || !usable(reader ? reader->user.name : std::string(), repo, oid)) return std::nullopt;
  return parts_.lfs_file(oid);
}

std::optional<uint64_t> Lfs::size_of(std::string_view oid) const {
  std::optional<int64_t> size_bytes = parts_.database->number("SELECT size FROM objects WHERE oid = ?", {oid});
  return size_bytes ? std::optional(static_cast<uint64_t>(*size_bytes)) : std::nullopt;
}

LfsUpload Lfs::upload(std::string_view user, std::string_view oid, std::optional<uint64_t> size_bytes) {
  if (!oid.empty()) check_oid(oid);
  if (size_bytes && *size_bytes > parts_.limits.lfs_file_bytes) {
    throw StoreError(StoreReason::too_large, fmt::format("the file is too large (have {}, at most {})",
                                                 human_bytes(*size_bytes), human_bytes(parts_.limits.lfs_file_bytes)));
  }
  return LfsUpload(parts_, std::string(user), std::string(oid), size_bytes);
}

LfsPart Lfs::part(
    std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t number) {
  return LfsPart(parts_, std::string(user), std::string(oid), size_bytes, chunk_bytes, number);
}

bool Lfs::has_part(std::string_view user, std::string_view oid, uint64_t chunk_bytes, uint64_t number) const {
  return parts_.database
      ->number("SELECT 1 FROM parts WHERE user = ? AND oid = ? AND chunk = ? AND number = ?",
          {user, oid, static_cast<int64_t>(chunk_bytes), static_cast<int64_t>(number)})
      .has_value();
}

void Lfs::complete(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t chunk_bytes) {
  check_parts(parts_, oid, size_bytes, chunk_bytes);
  uint64_t here = static_cast<uint64_t>(parts_.database
          ->number("SELECT COUNT(*) FROM parts WHERE user = ? AND oid = ? AND chunk = ?",
              {user, oid, static_cast<int64_t>(chunk_bytes)})
          .value_or(0));
  if (here != part_count(size_bytes, chunk_bytes)) {
    throw StoreError(StoreReason::malformed,
        fmt::format("parts are missing (have {}, need {})", here, part_count(size_bytes, chunk_bytes)),
        "upload them first");
  }
  // From here on the parts are used up: right or wrong, they do not come again. Taken out of the way of a part that comes late.
  fs::path mine = parts_.temporaries() / random_hex(24);
  {
    OpenFile file(parts_.parts_file(user, oid), O_RDWR);
    parts_.database->run("DELETE FROM parts WHERE user = ? AND oid = ?", {user, oid});
    if (::rename(file.path.c_str(), mine.c_str()) != 0) throw system_error(errno, "cannot name", mine.string());
    Sha256 sha256;
    uint64_t total = 0;
    each_piece_of(file.fd, mine, [&](Bytes piece) {
      sha256.update(piece);
      total += piece.size();
    });
    std::string found = sha256.hex();
    if (found != oid || total != size_bytes) {
      ::unlink(mine.c_str());
      throw StoreError(StoreReason::malformed,
          fmt::format("the upload is not what it was announced as (have SHA-256 {}, need {})", found, oid),
          "upload it again");
    }
    if (fs::exists(parts_.lfs_file(oid))) {
      ::unlink(mine.c_str());
    } else {
      sync_and_rename(file.fd, mine, parts_.lfs_file(oid));
    }
  }
  record_ownership(parts_, user, oid, size_bytes);
}

std::string Lfs::git_sha1(std::string_view oid) {
  if (std::optional<std::string> known = parts_.database->text("SELECT git_sha1 FROM objects WHERE oid = ?", {oid}))
    return *known;
  OpenFile file(parts_.lfs_file(oid), O_RDONLY);
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string head = fmt::format("blob {}", size_of(oid).value_or(0));
  EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr);
  EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1);
  each_piece_of(file.fd, file.path, [&](Bytes piece) { EVP_DigestUpdate(context.get(), piece.data(), piece.size()); });
  unsigned char digest[20];
  EVP_DigestFinal_ex(context.get(), digest, nullptr);
  std::string digits;
  for (unsigned char byte : digest) digits += fmt::format("{:02x}", byte);
  parts_.database->run("UPDATE objects SET git_sha1 = ? WHERE oid = ?", {digits, oid});
  return digits;
}

}  // namespace depickle::server
