// A file that appears under its name complete, or not at all.
#pragma once

#include <filesystem>
#include <string>

#include "depickle/base/bytes.h"
#include "depickle/os/output_file.h"

namespace depickle::os {

enum class IfExists { refuse, replace };
/// Whether others may write the same target at the same time: then the last commit() counts, and what a killed process leaves
/// behind stays there.
enum class Writers { one, many };

/// Writes to a hidden sibling (`.NAME.depickle-tmp`) and renames it over the target in commit(). A symbolic link as target
/// is kept and the file it points to is replaced. The mode is that of any new file: 0666 less the umask.
///
/// The sibling is locked while it is written. One that a killed process left behind has no lock and is removed by the next
/// AtomicFile for the same target; where a living process holds it, create() refuses.
class AtomicFile : public OutputFile {
 public:
  /// Creates the sibling, of `size_bytes` from the start, and reserves them on the disk, so that a full disk is found before any work.
  /// Throws Error{not_found, io}; {io} with the sizes where there is not enough space; {io} where the target
  /// exists and `if_exists` is refuse.
  AtomicFile(
      const std::filesystem::path& target, uint64_t size_bytes, IfExists if_exists, Writers writers = Writers::one);
  /// Without commit(), the sibling is removed and the target is as it was.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;

  /// sync(), where it is to be durable, then the target's name. Checks `if_exists` again, at the rename itself.
  void commit(Durable durable = Durable::yes);

  /// Where the bytes are until commit().
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }
  /// The target, with links resolved.
  const std::filesystem::path& target_path() const noexcept { return target_; }

 private:
  struct Place {
    Place(const std::filesystem::path& wanted, IfExists if_exists_, Writers writers);
    /// The sibling's descriptor.
    int create() const;
    std::filesystem::path target, temporary;
    IfExists if_exists;
  };
  explicit AtomicFile(Place place);

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  IfExists if_exists_;
};

/// Writes a whole small file in one go, the same way.
void write_atomically(
    const std::filesystem::path& target, std::string_view content, IfExists if_exists, Durable durable = Durable::yes);

}  // namespace depickle::os
