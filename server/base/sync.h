// Files and folders that survive a power loss. All functions throw Error{io}.
#pragma once

#include <filesystem>

namespace depickle::server {

/// Syncs the entries of a folder: new, renamed and removed names.
void sync_folder(const std::filesystem::path& folder);

/// Syncs a folder and everything in it. (Its own name is durable after sync_folder() of its parent.)
void sync_tree(const std::filesystem::path& folder);

/// Creates a folder and its missing parents, and syncs their names. Does nothing if the folder exists.
void create_folders(const std::filesystem::path& folder);

/// Creates a folder as create_folders() does, and sets its mode to 0700, also if it exists: it contains keys and
/// private repositories.
void make_private_folder(const std::filesystem::path& folder);

/// Syncs `file`, which is open as `descriptor`, renames it to `target`, and syncs the folder of `target`. Creates
/// missing folders and replaces an existing target.
void sync_and_rename(int descriptor, const std::filesystem::path& file, const std::filesystem::path& target);

}  // namespace depickle::server
