#include "depickle/sandbox/file_broker.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/os/file_status.h"
#include "depickle/os/mapped_file.h"
#include "depickle/os/scratch_file.h"
#include "depickle/sandbox/limits.h"

namespace depickle::sandbox {
namespace {

// Thrown for a request that only a worker that was taken over sends.
struct Violation {
  Error error;
};

Violation violation_of(std::string_view what) {
  return {forbidden_error(fmt::format("the sandboxed process requested {} and was killed", what))};
}

std::string error_response(const Error& error) {
  WireWriter wire;
  wire(false, error);
  return wire.take();
}

template <Request request>
ArgumentsOf<request> arguments(WireReader& wire) {
  try {
    return wire.last<ArgumentsOf<request>>();
  } catch (const Error& error) {
    throw Violation{error};
  }
}

size_t count_files(const Grants& grants) {
  size_t count = 0;
  for (const FileList& side : grants.sides) count += side.files.names.size();
  return count;
}

uint64_t input_bytes(const Grants& grants) {
  uint64_t total_bytes = 0;
  for (const FileList& side : grants.sides) total_bytes += side.size_bytes;
  return total_bytes;
}

// Local files are sent as descriptors.
int descriptor_of(const ByteSource& source) {
  const auto* local = dynamic_cast<const os::MappedFile*>(&source);
  return local ? local->descriptor() : -1;
}

}  // namespace

Error forbidden_error(std::string what) {
  return Error(Code::unsafe, "", std::move(what), {},
      "do not load this file with any tool; nothing outside the sandbox was changed");
}

FileBroker::FileBroker(std::vector<Channel> channels, Grants grants, std::function<void()> on_violation)
    : channels_(std::move(channels)),
      grants_(std::move(grants)),
      on_violation_(std::move(on_violation)),
      opened_(count_files(grants_)),
      read_budget_bytes_(max_read_bytes(input_bytes(grants_))) {
  try {
    for (const Channel& channel : channels_) threads_.emplace_back([this, &channel] { answer_all(channel); });
  } catch (const std::system_error& error) {
    stop();
    throw system_error(error.code().value(), "cannot start a thread", "");
  } catch (...) {
    stop();
    throw;
  }
}

FileBroker::~FileBroker() { stop(); }

void FileBroker::stop() noexcept {
  for (const Channel& channel : channels_) channel.shut_down();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::optional<Error> FileBroker::violation() const {
  std::scoped_lock lock(mutex_);
  return violation_;
}

void FileBroker::finish() {
  stop();
  if (violation_) throw *violation_;
  if (!target_) return;
  const auto size_bytes = static_cast<uint64_t>(os::status_of(target_->descriptor(), target_->name()).st_size);
  if (size_bytes != target_bytes_)
    throw Error(Code::integrity, "",
        fmt::format("the target has {} bytes, but {} were planned", grouped(size_bytes), grouped(target_bytes_)),
        Where::in(target_->name()));
}

void FileBroker::answer_all(const Channel& channel) {
  Message message;
  try {
    while (true) {
      switch (channel.receive(message, {.max_bytes = kMaxRequestBytes})) {
        case Received::closed: return;
        case Received::too_large: throw violation_of("something in too long a message");
        case Received::message: answer(message.payload, channel);
      }
    }
  } catch (const Violation& violation) {
    {
      std::scoped_lock lock(mutex_);
      if (violation_) return;
      violation_ = violation.error;
    }
    on_violation_();
  }
}

void FileBroker::answer(std::string_view message, const Channel& channel) {
  WireReader wire(message);
  try {
    Request request{};
    try {
      wire(request);
    } catch (const Error& error) {
      throw Violation{error};
    }
    switch (request) {
      case Request::open: {
        const auto [number] = arguments<Request::open>(wire);
        return open(number, channel);
      }
      case Request::read: {
        const auto [number, offset, length] = arguments<Request::read>(wire);
        return read(number, offset, length, channel);
      }
      case Request::target: {
        const auto [file_bytes] = arguments<Request::target>(wire);
        return target(file_bytes, channel);
      }
      case Request::scratch: arguments<Request::scratch>(wire); return scratch(channel);
    }
  } catch (const Error& error) {
    channel.send(error_response(error));
  } catch (const std::exception& error) {
    channel.send(error_response(Error(Code::io, "", error.what())));
  }
}

void FileBroker::open(uint64_t number, const Channel& channel) {
  {
    std::scoped_lock lock(mutex_);
    if (number >= opened_.size()) throw violation_of("a file that its task does not include");
    // A task opens each file once; tests open the first one twice.
    if (++opens_ > std::min<uint64_t>(opened_.size(), kMaxOpenFiles) + 1) throw violation_of("too many files");
  }
  const std::shared_ptr<const ByteSource> source = open_listed(number);
  WireWriter response;
  response(true, source != nullptr);
  if (source) response(source->name(), source->size_bytes(), source->is_remote());
  channel.send(response.take(), source ? descriptor_of(*source) : -1);
}

// Opens one file at a time, because FileList::open need not be thread-safe.
std::shared_ptr<const ByteSource> FileBroker::open_listed(uint64_t number) {
  std::scoped_lock opening(open_mutex_);
  {
    std::scoped_lock lock(mutex_);
    if (opened_[number]) return opened_[number];
  }
  std::shared_ptr<const ByteSource> source;
  uint64_t number_in_side = number;
  for (const FileList& side : grants_.sides) {
    if (number_in_side < side.files.names.size()) {
      source = side.open(number_in_side);
      break;
    }
    number_in_side -= side.files.names.size();
  }
  std::scoped_lock lock(mutex_);
  return opened_[number] = source;
}

void FileBroker::read(uint64_t number, uint64_t offset, uint64_t length, const Channel& channel) {
  std::shared_ptr<const ByteSource> source;
  {
    std::scoped_lock lock(mutex_);
    if (number < opened_.size()) source = opened_[number];
    if (!source || length > kMaxReadBytes || descriptor_of(*source) >= 0)
      throw violation_of("a range of bytes that its task does not include");
    if (length + kReadCostBytes > read_budget_bytes_) throw violation_of("too many bytes");
    read_budget_bytes_ -= length + kReadCostBytes;
  }
  std::string response(1 + length, '\1');
  source->read(offset, std::as_writable_bytes(std::span(response)).subspan(1));
  channel.send(response);
}

void FileBroker::target(uint64_t file_bytes, const Channel& channel) {
  {
    std::scoped_lock lock(mutex_);
    if (!grants_.make_target || std::exchange(has_target_, true))
      throw violation_of("a target that its task does not include");
    if (file_bytes > grants_.max_file_bytes)
      throw Error(Code::limit, "",
          fmt::format("the converted file is larger than allowed (have {} bytes, the limit is {})", grouped(file_bytes),
              grouped(grants_.max_file_bytes)));
  }
  const os::OutputFile* file = grants_.make_target(file_bytes);
  {
    std::scoped_lock lock(mutex_);
    target_ = file;
    target_bytes_ = file_bytes;
  }
  WireWriter response;
  response(true, file != nullptr);
  if (file) response(file->name());
  channel.send(response.take(), file ? file->descriptor() : -1);
}

void FileBroker::scratch(const Channel& channel) {
  {
    std::scoped_lock lock(mutex_);
    if (std::exchange(has_scratch_, true)) throw violation_of("a second temporary file");
  }
  const os::FileDescriptor file(os::open_scratch_file());
  WireWriter response;
  response(true);
  channel.send(response.take(), file.get());
}

}  // namespace depickle::sandbox
