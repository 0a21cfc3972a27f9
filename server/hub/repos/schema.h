// The tables of the store's database. Inside the store only.
#pragma once

#include <filesystem>
#include <memory>

#include "server/base/database.h"

namespace depickle::server::repos {

/// Opens DATA/hub.sqlite; creates the folder, the file and its tables if they do not exist. Throws Error{io};
/// Error{unsupported} if a newer depickle wrote the file.
std::shared_ptr<Database> open_store_database(const std::filesystem::path& data_folder);

}  // namespace depickle::server::repos
