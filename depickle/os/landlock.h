// Limits the files that this process can open, with Landlock. Needs no privilege.
#pragma once

#include <filesystem>
#include <vector>

namespace depickle::os {

/// Files, and folders with everything below them. A path that does not exist is ignored; a symbolic link is its target.
struct FileRights {
  std::vector<std::filesystem::path> read = {};
  std::vector<std::filesystem::path> execute = {};  ///< and read
  std::vector<std::filesystem::path> write = {};    ///< and read, create, rename and delete; no special files, no links
  std::vector<std::filesystem::path> write_and_link = {};  ///< the same, and create symbolic links
};

/// Returns the version of Landlock's interface in this kernel; 0 if the kernel has no Landlock or a too old one
/// (before Linux 5.19, whose Landlock refuses every rename to another folder).
int landlock_version() noexcept;

/// Gives up every right on files that `rights` does not list, for the calling thread and everything that it starts
/// later. Files that are open stay open; stat(2) and readlink(2) are not limited. Where the kernel supports it, the
/// thread also cannot listen on a TCP port and cannot signal a process outside of this restriction. Sets no_new_privs.
/// Returns false and changes nothing if landlock_version() is 0. Throws Error{io}.
bool restrict_files(const FileRights& rights);

}  // namespace depickle::os
