#include "depickle/sandbox/file_broker.h"

#include <system_error>

#include <fmt/format.h>

#include "depickle/os/mapped_file.h"
#include "depickle/os/scratch_file.h"

namespace depickle::sandbox {
namespace {

// A task opens each shard of a model at most twice.
constexpr size_t kMaxFiles = 100'000;

Error forbidden_request(const char* what) {
  return Error(Code::unsafe, "", fmt::format("the sandboxed process requested {}", what));
}

std::string error_response(const Error& error) {
  WireWriter wire;
  wire(false, error);
  return wire.take();
}

}  // namespace

FileBroker::FileBroker(
    std::vector<Channel> channels, std::vector<repo::OpenFile> sides, convert::MakeTarget make_target)
    : channels_(std::move(channels)),
      sides_(std::move(sides)),
      make_target_(std::move(make_target)) {
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
}

void FileBroker::answer_all(const Channel& channel) {
  Message message;
  while (channel.receive(message)) {
    WireReader request(message.payload);
    try {
      answer(request, channel);
    } catch (const Error& error) {
      channel.send(error_response(error));
    } catch (const std::exception& error) {
      channel.send(error_response(Error(Code::io, "", error.what())));
    }
  }
}

void FileBroker::answer(WireReader& request, const Channel& channel) {
  switch (request.value<Request>()) {
    case Request::open: return open(request, channel);
    case Request::read: return read(request, channel);
    case Request::target: return target(request, channel);
    case Request::scratch: {
      const os::FileDescriptor file(os::open_scratch_file());
      WireWriter response;
      response(true);
      channel.send(response.take(), file.get());
    }
  }
}

void FileBroker::open(WireReader& request, const Channel& channel) {
  const auto side = request.value<uint64_t>();
  const auto name = request.value<std::string>();
  if (side >= sides_.size()) throw forbidden_request("a file that its task does not include");
  const std::shared_ptr<const ByteSource> source = sides_[side](name);
  WireWriter response;
  if (!source) {
    response(true, false);
    channel.send(response.take());
    return;
  }
  uint64_t number = 0;
  {
    std::scoped_lock lock(mutex_);
    if (opened_.size() >= kMaxFiles) throw forbidden_request("too many files");
    number = opened_.size();
    opened_.push_back(source);
  }
  response(true, true, number, source->name(), source->size_bytes(), source->is_remote());
  const auto* local = dynamic_cast<const os::MappedFile*>(source.get());
  channel.send(response.take(), local ? local->descriptor() : -1);
}

void FileBroker::read(WireReader& request, const Channel& channel) {
  uint64_t number = 0, offset = 0, length = 0;
  request(number, offset, length);
  std::shared_ptr<const ByteSource> source;
  {
    std::scoped_lock lock(mutex_);
    if (number >= opened_.size() || length > kMaxReadBytes) throw forbidden_request("an invalid range of bytes");
    source = opened_[number];
  }
  std::string response(1 + length, '\1');
  source->read(offset, std::as_writable_bytes(std::span(response)).subspan(1));
  channel.send(response);
}

void FileBroker::target(WireReader& request, const Channel& channel) {
  const auto file_bytes = request.value<uint64_t>();
  const os::OutputFile* file = nullptr;
  {
    std::scoped_lock lock(mutex_);
    if (!make_target_ || std::exchange(has_target_, true))
      throw forbidden_request("a target that its task does not include");
    file = make_target_(file_bytes);
  }
  WireWriter response;
  response(true, file != nullptr);
  if (file) response(file->name());
  channel.send(response.take(), file ? file->descriptor() : -1);
}

}  // namespace depickle::sandbox
