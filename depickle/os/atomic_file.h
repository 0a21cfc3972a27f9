// A file that appears complete under its name, or not at all.
#pragma once

#include <filesystem>
#include <string>

#include "depickle/base/bytes.h"
#include "depickle/os/output_file.h"

namespace depickle::os {

enum class IfExists { refuse, replace };
/// Whether several writers may write the same target at the same time. `many`: the last commit() determines the
/// content, and the temporary file of a killed process is not removed.
enum class Writers { one, many };

/// Writes to a temporary file in the target's folder (`.NAME.depickle-tmp`); commit() renames it to the target. If the
/// target is a symbolic link, the link is kept and the file it points to is replaced. The mode is 0666 minus the umask.
/// A target that exists and is not a regular file (a device, a FIFO, a socket) is never replaced.
///
/// The temporary file is locked while it is written. The next AtomicFile for the same target removes an unlocked one,
/// which a killed process did not remove, and throws Error{io} (target_busy) if it is locked. On a file system without
/// flock(2), the temporary file has a unique name (`.NAME.PID-NUMBER.depickle-tmp`), as with Writers::many.
class AtomicFile : public OutputFile {
 public:
  /// Creates the temporary file and allocates `size_bytes`, so that a full disk is detected before any work.
  /// Throws Error{not_found, io}; Error{io} (no_space) with the sizes; Error{io} (target_exists) if the target exists
  /// and `if_exists` is refuse; Error{io} if the target is not a regular file.
  AtomicFile(
      const std::filesystem::path& target, uint64_t size_bytes, IfExists if_exists, Writers writers = Writers::one);
  /// Without commit(), removes the temporary file; the target is unchanged.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;

  /// Renames the temporary file to the target; checks the target and `if_exists` again. Calls sync() first if
  /// `durable`.
  void commit(Durable durable = Durable::yes);

  /// The file's path before commit().
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }
  /// The target, with links resolved.
  const std::filesystem::path& target_path() const noexcept { return target_; }

 private:
  struct Place {
    Place(const std::filesystem::path& requested, IfExists if_exists_);
    /// Creates the temporary file and sets `temporary`.
    FileDescriptor create(Writers writers);
    std::filesystem::path target, temporary;
    IfExists if_exists;
  };
  AtomicFile(Place place, Writers writers);

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  IfExists if_exists_;
};

/// Writes a small file with an AtomicFile.
void write_atomically(
    const std::filesystem::path& target, std::string_view content, IfExists if_exists, Durable durable = Durable::yes);

}  // namespace depickle::os
