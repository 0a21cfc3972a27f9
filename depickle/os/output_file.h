// A file that is written at any place and read back.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"
#include "depickle/os/mapped_file.h"

namespace depickle::os {

/// Whether what is written is to outlive a power cut, which costs the time that the disk takes.
enum class Durable { no, yes };

/// An open file to write. Where it is and what becomes of it is its maker's business: AtomicFile gives it a name, a worker
/// is handed one without knowing any.
class OutputFile {
 public:
  /// Takes over a descriptor that is open for reading and writing. `name` is what errors call the file.
  OutputFile(int descriptor, std::string name) : name_(std::move(name)), fd_(descriptor) {}
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile& operator=(OutputFile&&) = delete;

  /// Writes all of `bytes` at `offset` and, where they are to be durable, has the kernel start carrying them to the disk.
  /// From several threads.
  /// Throws Error{io}; {integrity} where the bytes lie in a mapped file that somebody has cut short.
  void write(uint64_t offset, Bytes bytes, Durable durable = Durable::yes) const;
  /// Waits until everything written is on the disk.
  void sync() const;
  /// What is in the file now, through a mapping of its own.
  std::shared_ptr<const MappedFile> read_back() const;

  /// -1 once it is closed.
  int descriptor() const noexcept { return fd_; }
  const std::string& name() const noexcept { return name_; }

 protected:
  void close() noexcept;

 private:
  std::string name_;
  int fd_;
};

}  // namespace depickle::os
