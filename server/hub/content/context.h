// What the parts of this module share: folders, limits, the database. Internal to the server/hub modules.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "server/base/database.h"
#include "server/hub/content/limits.h"
#include "server/hub/content/upload_limits.h"

namespace depickle::server::content {

struct Context {
  std::filesystem::path folder;  ///< the data folder
  StoreLimits limits;
  std::shared_ptr<Database> database;
  UploadLimits upload_limits{*this};

  std::filesystem::path temporary_folder() const { return folder / "tmp"; }
  std::filesystem::path lfs_file(std::string_view oid) const {
    return folder / "lfs" / oid.substr(0, 2) / oid.substr(2, 2) / oid;
  }
  /// One file for each complete part of an upload.
  std::filesystem::path parts_folder(std::string_view user, std::string_view oid) const {
    return folder / "parts" / user / oid;
  }
  std::filesystem::path xorb_file(std::string_view user, std::string_view hash) const {
    return folder / "xorbs" / user / hash.substr(0, 2) / hash;
  }
};

}  // namespace depickle::server::content
