// Parses the JSON of a header into entries and metadata; checks the rules of single entries. Internal to the module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/json_cursor.h"

namespace depickle::safetensors {

/// Checks rules ST05 to ST11 and ST18 to ST23 in one pass. Entries as all known writers write them are read by the fast
/// path (canonical_entry), all others by the general parser.
class HeaderParser {
 public:
  /// `json` is UTF-8. Names and shapes are copied to `arena`.
  HeaderParser(std::string_view json, Mode mode, Arena& arena);

  /// Throws Error{malformed}.
  void run();

  Entries entries;    ///< in the header's order
  Metadata metadata;  ///< keys are unique
  bool has_metadata = false;

 private:
  bool canonical_entry();
  void member(std::string_view key);
  void metadata_value();
  void keep_last_of_each_key();
  void entry_value(Entry& entry);
  void entry_as_object(Entry& entry);
  void entry_as_array(Entry& entry);
  void dtype_value(Entry& entry);
  void shape_value(Entry& entry);
  void data_offsets_value(Entry& entry);
  uint64_t size_value(std::string_view field);
  void refuse_if_strict(std::string_view rule, std::string what) const;

  JsonCursor json_;
  Mode mode_;
  Arena& arena_;
  std::string scratch_;
  std::vector<uint64_t> shape_;           ///< of the entry being read
  std::string_view last_dtype_ = "BOOL";  ///< of the previous entry; most entries have the same dtype
  Dtype last_dtype_value_ = Dtype::BOOL;
  bool metadata_seen_ = false;
};

}  // namespace depickle::safetensors
