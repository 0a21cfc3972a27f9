#include "depickle/formats/torch/script_classes.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"

namespace depickle::torch {
namespace {

using Role = ScriptAttribute::Role;
using Names = std::vector<std::string_view>;

constexpr uint64_t kMaxCodeBytes = 64 << 20;  // of all records that are read, of one archive
constexpr size_t kMaxModuleBytes = 4096;      // the limit for names of records
constexpr std::string_view kIndent = "  ";

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string_view leading_name(std::string_view text) {
  return text.substr(0, static_cast<size_t>(std::ranges::find_if_not(text, is_name_character) - text.begin()));
}

// Removes `prefix` from the start of `text` and returns true, or returns false.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes `"NAME"`. torch writes names without escapes.
std::optional<std::string_view> take_string(std::string_view& text) {
  std::string_view rest = text;
  if (!take(rest, "\"")) return std::nullopt;
  const size_t end = rest.find('"');
  if (end == rest.npos) return std::nullopt;
  text = rest.substr(end + 1);
  return rest.substr(0, end);
}

// Reads `["weight", "bias", ]`.
std::optional<Names> read_list(std::string_view text) {
  Names names;
  if (!take(text, "[")) return std::nullopt;
  while (auto name = take_string(text)) {
    names.push_back(*name);
    if (!take(text, ", ")) break;
  }
  if (text != "]") return std::nullopt;
  return names;
}

// The type of a class of the archive. Its values are objects; those of a module are submodules.
bool is_class_type(std::string_view type) {
  return type.starts_with("__torch__.") && !type.starts_with("__torch__.torch.classes.") &&
         std::ranges::all_of(type, [](char c) { return is_name_character(c) || c == '.'; });
}

// Collects the body of one class statement.
class ClassReader {
 public:
  explicit ClassReader(bool is_module) : is_module_(is_module) {}

  void add(std::string_view statement) {
    if (take(statement, "def ")) {
      has_set_state_ |= leading_name(statement) == "__setstate__";
    } else if (take(statement, "__parameters__ = ")) {
      set_list(parameters_, statement);
    } else if (take(statement, "__buffers__ = ")) {
      set_list(buffers_, statement);
    } else if (take(statement, "__annotations__[")) {
      auto name = take_string(statement);
      if (name && take(statement, "] = ")) add_attribute(*name, statement);
    } else if (std::string_view name = leading_name(statement); !name.empty()) {
      statement.remove_prefix(name.size());
      if (take(statement, " : ")) add_attribute(name, statement);
    }
  }

  // Returns nullopt if a list could not be read.
  std::optional<ScriptClass> finish(Arena& arena) {
    if (!is_readable_) return std::nullopt;
    ScriptClass read{.is_module = is_module_, .has_set_state = has_set_state_, .attributes = {}};
    if (!is_module_) return read;
    const Names parameters = sorted(parameters_);
    // torch before 1.6 wrote no __buffers__: every other tensor was a buffer.
    const std::optional<Names> buffers = buffers_ ? std::optional(sorted(buffers_)) : std::nullopt;
    for (const Annotation& each : annotations_) {
      std::optional<Role> role;
      if (std::ranges::binary_search(parameters, each.name)) {
        role = Role::parameter;
      } else if (each.kind == Kind::class_type) {
        role = Role::module;
      } else if (each.kind == Kind::tensor && (!buffers || std::ranges::binary_search(*buffers, each.name))) {
        role = Role::buffer;  // one of type Optional[Tensor] is not in the state_dict
      }
      if (role) read.attributes.push_back({arena.copy(each.name), each.position, *role});
    }
    std::ranges::stable_sort(read.attributes, {}, &ScriptAttribute::name);
    return read;
  }

 private:
  enum class Kind : uint8_t { tensor, class_type, other };
  struct Annotation {
    std::string_view name;
    uint32_t position;
    Kind kind;
  };

  void set_list(std::optional<Names>& list, std::string_view text) {
    auto names = read_list(text);
    is_readable_ &= names && !list;
    list = std::move(names);
  }

  void add_attribute(std::string_view name, std::string_view type) {
    const Kind kind = type == "Tensor" ? Kind::tensor : is_class_type(type) ? Kind::class_type : Kind::other;
    annotations_.push_back({name, static_cast<uint32_t>(annotations_.size()), kind});
  }

  static Names sorted(const std::optional<Names>& names) {
    Names all = names.value_or(Names());
    std::ranges::sort(all);
    return all;
  }

  bool is_module_, has_set_state_ = false, is_readable_ = true;
  std::optional<Names> parameters_, buffers_;
  std::vector<Annotation> annotations_;
};

// Reads `class NAME(BASE):`.
struct Statement {
  std::string_view name;
  bool is_module;
};
std::optional<Statement> read_class_line(std::string_view line) {
  if (!take(line, "class ")) return std::nullopt;
  std::string_view name = leading_name(line);
  line.remove_prefix(name.size());
  return Statement{name, line == "(Module):"};
}

// Finds the statements of some classes in the text of one file, line by line.
class FileReader {
 public:
  FileReader(std::span<const std::string_view> names, Arena& arena) : arena_(arena) {
    for (std::string_view name : names) classes_.emplace(name, Wanted());
  }

  std::map<std::string_view, ScriptClass> read(std::string_view text) {
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      if (!line.empty()) add_line(line);
    }
    close();
    std::map<std::string_view, ScriptClass> found;
    for (auto& [name, wanted] : classes_)
      if (wanted.read) found.emplace(name, std::move(*wanted.read));
    return found;
  }

 private:
  struct Wanted {
    bool is_defined = false;
    std::optional<ScriptClass> read = {};
  };

  void add_line(std::string_view line) {
    if (line[0] != ' ') {
      close();
      if (auto statement = read_class_line(line)) open(*statement);
    } else if (open_ && line.starts_with(kIndent) && line.size() > kIndent.size() && line[kIndent.size()] != ' ') {
      body_->add(line.substr(kIndent.size()));
    }
  }

  void open(const Statement& statement) {
    auto wanted = classes_.find(statement.name);
    if (wanted == classes_.end()) return;
    wanted->second.read.reset();
    if (wanted->second.is_defined) return;
    wanted->second.is_defined = true;
    open_ = &wanted->second;
    body_.emplace(statement.is_module);
  }

  void close() {
    if (open_) open_->read = body_->finish(arena_);
    open_ = nullptr;
  }

  Arena& arena_;
  std::map<std::string_view, Wanted> classes_;
  Wanted* open_ = nullptr;  ///< the class whose body is being read
  std::optional<ClassReader> body_;
};

// The classes of one file.
struct CodeFile {
  const zip::Record* record;
  std::vector<const pickle::Global*> globals;
};

// Returns the files of the classes that the graph names, in the order of the archive: a remote file is read
// sequentially.
std::vector<CodeFile> code_files(const zip::Archive& archive, std::string_view root, const pickle::Graph& graph) {
  std::map<std::string_view, std::vector<const pickle::Global*>> by_module;
  for (const pickle::Global& global : graph.globals()) {
    if (is_script_class(global) && !is_packed_class(global) && global.module.size() <= kMaxModuleBytes)
      by_module[global.module].push_back(&global);
  }
  std::vector<CodeFile> files;
  for (auto& [module, globals] : by_module) {
    std::string path(module);
    std::ranges::replace(path, '.', '/');
    files.push_back({archive.find(fmt::format("{}/code/{}.py", root, path)), std::move(globals)});
  }
  std::ranges::sort(files, {}, [](const CodeFile& file) {
    return file.record ? file.record->header_offset : std::numeric_limits<uint64_t>::max();
  });
  return files;
}

using Classes = std::map<std::string_view, ScriptClass>;
// Returns no classes if the record does not exist, exceeds the limit or is corrupt.
Classes read_file(const zip::Archive& archive, const zip::Record* record, std::span<const std::string_view> names,
    uint64_t& remaining_bytes, Arena& arena) {
  if (!record || record->size_bytes > remaining_bytes) return {};
  remaining_bytes -= record->size_bytes;
  try {
    return read_script_classes(text(archive.content(*record).bytes()), names, arena);
  } catch (const Error& error) {
    if (error.code() == Code::malformed || error.code() == Code::truncated) return {};
    throw;
  }
}

}  // namespace

bool is_script_class(const pickle::Global& global) noexcept {
  return global.module == "__torch__" || global.module.starts_with("__torch__.");
}

bool is_packed_class(const pickle::Global& global) noexcept {
  return global.module == "__torch__.torch.classes" || global.module.starts_with("__torch__.torch.classes.");
}

const ScriptAttribute* ScriptClass::find(std::string_view attribute) const noexcept {
  auto found = std::ranges::lower_bound(attributes, attribute, {}, &ScriptAttribute::name);
  return found != attributes.end() && found->name == attribute ? &*found : nullptr;
}

const ScriptClass* ScriptClasses::find(const pickle::Global* global) const noexcept {
  auto found = by_global.find(global);
  return found != by_global.end() ? &found->second : nullptr;
}

std::map<std::string_view, ScriptClass> read_script_classes(
    std::string_view text, std::span<const std::string_view> names, Arena& arena) {
  return FileReader(names, arena).read(text);
}

ScriptClasses read_script_classes(
    const zip::Archive& archive, std::string_view root, const pickle::Graph& graph, Arena& arena) {
  ScriptClasses all;
  uint64_t remaining_bytes = kMaxCodeBytes, missing = 0;
  const pickle::Global* first_missing = nullptr;
  for (const CodeFile& file : code_files(archive, root, graph)) {
    Names names;
    for (const pickle::Global* global : file.globals) names.push_back(global->name);
    const auto found = read_file(archive, file.record, names, remaining_bytes, arena);
    for (const pickle::Global* global : file.globals) {
      auto read = found.find(global->name);
      const bool is_known = read != found.end() && !(read->second.has_set_state && !read->second.attributes.empty());
      if (is_known) {
        all.by_global.emplace(global, read->second);
      } else if (missing++ == 0) {
        first_missing = global;
      }
    }
  }
  if (missing > 0)
    all.note = fmt::format("the parameters of {} are unknown (the first: {}): the tensors are named by their paths",
        missing == 1 ? "1 class" : fmt::format("{} classes", grouped(missing)), pickle::dotted(*first_missing));
  return all;
}

}  // namespace depickle::torch
