// Operations on folders and links. All throw depickle::Error with the errno; none throws a std::filesystem_error.
#pragma once

#include <filesystem>

namespace depickle::repo {

/// Creates the folder and its parents unless they exist.
void create_folder(const std::filesystem::path& folder);

/// Deletes a file or a folder with its content, if it exists.
void remove_tree(const std::filesystem::path& path);

/// Creates the symbolic link `link` to the resolved path of `target`, which must exist.
void link_to(const std::filesystem::path& target, const std::filesystem::path& link);

/// Copies `from` to the new file `to`, and creates its folder.
void copy_new_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace depickle::repo
