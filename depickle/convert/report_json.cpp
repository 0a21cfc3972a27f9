#include "depickle/convert/report_json.h"

namespace depickle::convert {

void write_members(JsonWriter& json, const FileReport& file) {
  json.key("source").value(file.source.string()).key("target").value(file.target.string());
  json.key("container").value(file.container).key("root").value(file.root);
  json.key("tensors").value(file.tensors).key("identical").value(file.identical);
  json.key("tensor_bytes").value(file.tensor_bytes).key("file_bytes").value(file.file_bytes);
  json.key("seconds").value(file.seconds).key("tied").array();
  for (const Tied& tied : file.tied) json.object().key("name").value(tied.name).key("kept").value(tied.kept).end();
  json.end().key("leftovers");
  write_unused(json, file.unused);
  json.key("skipped");
  write_unsupported(json, file.unsupported);
  json.key("notes");
  write_texts(json, file.notes);
}

void write_indexes(JsonWriter& json, const std::vector<IndexReport>& indexes) {
  json.array();
  for (const IndexReport& index : indexes) {
    json.object().key("source").value(index.source.string()).key("target").value(index.target.string());
    json.key("total_size").value(index.total_bytes).end();
  }
  json.end();
}

void write_failures(JsonWriter& json, const std::vector<FailedFile>& failures, std::string (*hint)(const Error&)) {
  json.array();
  for (const FailedFile& failure : failures) {
    const Error& error = failure.error;
    json.object().key("file").value(failure.file.string());
    json.key("error").value(error.what()).key("reason").value(name(error.reason()));
    json.key("hint").value(hint(error)).key("general_hint").value(error.hint()).end();
  }
  json.end();
}

void write_unused(JsonWriter& json, const std::vector<Unused>& unused) {
  json.array();
  for (const Unused& value : unused) {
    json.object().key("path").value(value.path).key("description").value(value.description);
    json.key("tensors").value(value.tensors).end();
  }
  json.end();
}

void write_unsupported(JsonWriter& json, const std::vector<Unsupported>& tensors) {
  json.array();
  for (const Unsupported& tensor : tensors)
    json.object().key("name").value(tensor.name).key("what").value(tensor.what).end();
  json.end();
}

void write_texts(JsonWriter& json, const std::vector<std::string>& texts) {
  json.array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

}  // namespace depickle::convert
