#include "server/hub/content/lfs.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include <fmt/format.h>

#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "server/base/temporary_file.h"
#include "server/hub/content/lfs_file.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/git/digits.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {

namespace fs = std::filesystem;

void check_oid(std::string_view oid) {
  if (!is_sha256(oid)) {
    throw StoreError(
        StoreReason::malformed, fmt::format("oid {} is not a SHA-256 (64 lower-case hexadecimal digits)", quoted(oid)));
  }
}

bool has_uploaded(const Context& context, std::string_view user, std::string_view oid) {
  return context.database->number("SELECT 1 FROM object_owners WHERE user = ? AND oid = ?", {user, oid}).has_value();
}

void publish_object(
    Context& context, TemporaryFile& file, std::string_view user, std::string_view oid, uint64_t size_bytes) {
  const fs::path target = context.lfs_file(oid);
  file.sync();
  // In one transaction: a collection (gc.h) removes a file without a row.
  context.database->transaction([&] {
    if (!fs::exists(target)) file.rename_to(target);
    context.database->run(
        "INSERT OR IGNORE INTO objects(oid, size) VALUES(?, ?)", {oid, static_cast<int64_t>(size_bytes)});
    context.database->run("INSERT OR IGNORE INTO object_owners VALUES(?, ?)", {user, oid});
    record_use(*context.database, oid);
  });
  context.upload_limits.stored_object(user, size_bytes);
}

void throw_wrong_sha256(std::string_view found, std::string_view oid) {
  throw StoreError(StoreReason::malformed,
      fmt::format("the upload does not match its oid (have SHA-256 {}, need {})", found, oid), "upload it again");
}

struct LfsUpload::State {
  Context& context;
  std::string user, oid;
  std::optional<uint64_t> announced_bytes;
  TemporaryFile file;
  Sha256 sha256;
};

LfsUpload::LfsUpload(Context& context, std::string user, std::string oid, std::optional<uint64_t> size_bytes)
    : state_(new State{
          context, std::move(user), std::move(oid), size_bytes, TemporaryFile(context.temporary_folder()), {}}) {}
LfsUpload::~LfsUpload() = default;
LfsUpload::LfsUpload(LfsUpload&&) noexcept = default;

void LfsUpload::append(Bytes bytes) {
  uint64_t max_bytes = state_->announced_bytes.value_or(state_->context.limits.lfs_file_bytes);
  if (bytes.size() > max_bytes - state_->file.size_bytes()) {
    throw StoreError(
        StoreReason::too_large, fmt::format("the upload is longer than the announced {} bytes", grouped(max_bytes)));
  }
  state_->sha256.update(bytes);
  state_->file.append(bytes);
}

void LfsUpload::finish() {
  State& state = *state_;
  if (state.announced_bytes && *state.announced_bytes != state.file.size_bytes()) {
    throw StoreError(StoreReason::malformed, fmt::format("the upload is too short (have {} bytes, need {})",
                                                 grouped(state.file.size_bytes()), grouped(*state.announced_bytes)));
  }
  std::string found = state.sha256.hex();
  if (!state.oid.empty() && state.oid != found) throw_wrong_sha256(found, state.oid);
  state.oid = found;
  publish_object(state.context, state.file, state.user, found, state.file.size_bytes());
}

const std::string& LfsUpload::oid() const noexcept { return state_->oid; }
uint64_t LfsUpload::size_bytes() const noexcept { return state_->file.size_bytes(); }

bool Lfs::usable(std::string_view user, int64_t repo, std::string_view oid) const {
  if (!may_use(user, repo, oid)) return false;
  record_use(*context_.database, oid);
  return true;
}

bool Lfs::may_use(std::string_view user, int64_t repo, std::string_view oid) const {
  return context_.database
      ->number(
          "SELECT 1 FROM objects WHERE oid = ?1 AND (EXISTS(SELECT 1 FROM object_owners WHERE user = ?2 AND oid = ?1) "
          "OR EXISTS(SELECT 1 FROM repo_objects WHERE repo = ?3 AND oid = ?1))",
          {oid, user, repo})
      .has_value();
}

bool Lfs::uploaded(std::string_view user, std::string_view oid) const { return has_uploaded(context_, user, oid); }

std::optional<fs::path> Lfs::readable(int64_t repo, std::string_view oid, std::string_view user) const {
  if (!is_sha256(oid) || !may_use(user, repo, oid)) return std::nullopt;
  return context_.lfs_file(oid);
}

std::optional<uint64_t> Lfs::size_of(std::string_view oid) const {
  std::optional<int64_t> size_bytes = context_.database->number("SELECT size FROM objects WHERE oid = ?", {oid});
  return size_bytes ? std::optional(static_cast<uint64_t>(*size_bytes)) : std::nullopt;
}

LfsUpload Lfs::upload(std::string_view user, std::string_view oid, std::optional<uint64_t> size_bytes) {
  if (!oid.empty()) check_oid(oid);
  if (size_bytes && *size_bytes > context_.limits.lfs_file_bytes) {
    throw StoreError(
        StoreReason::too_large, fmt::format("the file is too large (have {}, at most {})", human_bytes(*size_bytes),
                                    human_bytes(context_.limits.lfs_file_bytes)));
  }
  return LfsUpload(context_, std::string(user), std::string(oid), size_bytes);
}

std::string Lfs::git_sha1(std::string_view oid) {
  if (std::optional<std::string> known = context_.database->text("SELECT git_sha1 FROM objects WHERE oid = ?", {oid}))
    return *known;
  fs::path file = context_.lfs_file(oid);
  os::FileDescriptor fd = os::open_file(file, O_RDONLY);
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string header = fmt::format("blob {}", size_of(oid).value_or(0));
  EVP_DigestInit_ex(digest.get(), EVP_sha1(), nullptr);
  EVP_DigestUpdate(digest.get(), header.c_str(), header.size() + 1);
  read_pieces(fd, file, [&](Bytes piece) { EVP_DigestUpdate(digest.get(), piece.data(), piece.size()); });
  unsigned char sha1[20];
  EVP_DigestFinal_ex(digest.get(), sha1, nullptr);
  std::string digits;
  for (unsigned char byte : sha1) digits += fmt::format("{:02x}", byte);
  context_.database->run("UPDATE objects SET git_sha1 = ? WHERE oid = ?", {digits, oid});
  return digits;
}

}  // namespace depickle::server::content
