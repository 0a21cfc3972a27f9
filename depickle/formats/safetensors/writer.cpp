#include "depickle/formats/safetensors/writer.h"

#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/safetensors/words.h"

namespace depickle::safetensors {
namespace {

// Gathers what lies one behind the other in the file, so that small tensors do not cost a system call each.
class Gather {
 public:
  Gather(const os::AtomicFile& file, uint64_t begin) : file_(file), begin_(begin) { buffer_.reserve(kBytes); }

  void append(Bytes bytes) {
    if (bytes.size() > kBytes - buffer_.size()) flush();
    if (bytes.size() >= kBytes) {
      file_.write(begin_, bytes);
      begin_ += bytes.size();
    } else {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }

  void flush() {
    file_.write(begin_, buffer_);
    begin_ += buffer_.size();
    buffer_.clear();
  }

 private:
  static constexpr size_t kBytes = 1 << 20;
  const os::AtomicFile& file_;
  uint64_t begin_;  ///< where the buffer goes
  std::vector<std::byte> buffer_;
};

}  // namespace

Writer::Writer(os::AtomicFile file, FilePlan plan)
    : file_(std::move(file)),
      plan_(std::move(plan)),
      by_spec_(plan_.places.size()),
      written_bytes_(std::make_unique<std::atomic<uint64_t>[]>(plan_.places.size())) {
  for (const Place& place : plan_.places) by_spec_[place.spec] = place;
}

Writer Writer::create(const std::filesystem::path& target, FilePlan plan, os::IfExists if_exists) {
  os::AtomicFile file(target, plan.file_bytes, if_exists);
  file.write(0, bytes(plan.head));
  return Writer(std::move(file), std::move(plan));
}

void Writer::write(uint32_t spec, uint64_t offset, Bytes bytes) {
  const Place& place = by_spec_.at(spec);
  if (offset > place.size_bytes() || bytes.size() > place.size_bytes() - offset)
    throw Error(Code::integrity, "",
        fmt::format("{} at {} end beyond tensor {} of {}", plural(bytes.size(), "byte"), offset, spec,
            plural(place.size_bytes(), "byte")))
        .in(target_path());
  if (written_bytes_[spec].fetch_add(bytes.size()) + bytes.size() > place.size_bytes())
    throw Error(Code::integrity, "", fmt::format("parts of tensor {} are written twice", spec)).in(target_path());
  file_.write(place.begin + offset, bytes);
}

void Writer::commit() {
  for (const Place& place : plan_.places) {
    if (uint64_t have = written_bytes_[place.spec].load(); have != place.size_bytes())
      throw Error(Code::integrity, "",
          fmt::format("tensor {} is not complete (have {} bytes, need {})", place.spec, have, place.size_bytes()))
          .in(target_path());
  }
  file_.commit();
}

void save(const std::filesystem::path& target, std::span<const Source> tensors, const std::optional<Metadata>& metadata,
    os::IfExists if_exists, uint64_t align_bytes) {
  std::vector<TensorSpec> specs;
  for (const Source& tensor : tensors) specs.push_back(tensor.spec);
  FilePlan plan = plan_file(specs, metadata, align_bytes);
  for (const Place& place : plan.places) {
    const Source& tensor = tensors[place.spec];
    if (place.size_bytes() != tensor.bytes.size())
      throw tensor_error("ST16",
          fmt::format("has {} bytes but shape {} of {} needs {}", tensor.bytes.size(), shape_text(tensor.spec.shape),
              name(tensor.spec.dtype), place.size_bytes()),
          tensor.spec.name);
  }
  os::AtomicFile file(target, plan.file_bytes, if_exists);
  Gather gather(file, 0);
  gather.append(bytes(plan.head));
  for (const Place& place : plan.places) gather.append(tensors[place.spec].bytes);
  gather.flush();
  file.commit();
}

}  // namespace depickle::safetensors
