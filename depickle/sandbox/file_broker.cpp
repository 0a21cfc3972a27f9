#include "depickle/sandbox/file_broker.h"

#include <fmt/format.h>

#include "depickle/os/mapped_file.h"
#include "depickle/os/scratch_file.h"

namespace depickle::sandbox {
namespace {

// A worker opens a handful of shards, and each perhaps twice.
constexpr size_t kMaxFiles = 100'000;

Error refused(const char* what) {
  return Error(Code::unsafe, "", fmt::format("the process that reads it asked for {}", what));
}

std::string refusal(const Error& error) {
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
  for (const Channel& channel : channels_) threads_.emplace_back([this, &channel] { answer_all(channel); });
}

FileBroker::~FileBroker() {
  for (const Channel& channel : channels_) channel.shut_down();
  for (std::thread& thread : threads_) thread.join();
}

void FileBroker::answer_all(const Channel& channel) {
  Message message;
  while (channel.receive(message)) {
    WireReader question(message.payload);
    try {
      answer(question, channel);
    } catch (const Error& error) {
      channel.send(refusal(error));
    } catch (const std::exception& error) {
      channel.send(refusal(Error(Code::io, "", error.what())));
    }
  }
}

void FileBroker::answer(WireReader& question, const Channel& channel) {
  switch (question.value<Request>()) {
    case Request::open: return open(question, channel);
    case Request::read: return read(question, channel);
    case Request::target: return target(question, channel);
    case Request::scratch: {
      const Descriptor file(os::open_scratch_file());
      WireWriter answer;
      answer(true);
      channel.send(answer.take(), file.get());
    }
  }
}

void FileBroker::open(WireReader& question, const Channel& channel) {
  const auto side = question.value<uint64_t>();
  const auto name = question.value<std::string>();
  if (side >= sides_.size()) throw refused("a file that it was not meant to have");
  const std::shared_ptr<const ByteSource> source = sides_[side](name);
  WireWriter answer;
  if (!source) {
    answer(true, false);
    channel.send(answer.take());
    return;
  }
  uint64_t number = 0;
  {
    std::scoped_lock lock(mutex_);
    if (opened_.size() >= kMaxFiles) throw refused("too many files");
    number = opened_.size();
    opened_.push_back(source);
  }
  answer(true, true, number, source->name(), source->size_bytes(), source->is_remote());
  const auto* local = dynamic_cast<const os::MappedFile*>(source.get());
  channel.send(answer.take(), local ? local->descriptor() : -1);
}

void FileBroker::read(WireReader& question, const Channel& channel) {
  uint64_t number = 0, offset = 0, length = 0;
  question(number, offset, length);
  std::shared_ptr<const ByteSource> source;
  {
    std::scoped_lock lock(mutex_);
    if (number >= opened_.size() || length > kMaxReadBytes) throw refused("bytes that it was not meant to have");
    source = opened_[number];
  }
  std::string answer(1 + length, '\1');
  source->read(offset, std::as_writable_bytes(std::span(answer)).subspan(1));
  channel.send(answer);
}

void FileBroker::target(WireReader& question, const Channel& channel) {
  const auto file_bytes = question.value<uint64_t>();
  const os::OutputFile* file = nullptr;
  {
    std::scoped_lock lock(mutex_);
    if (!make_target_ || std::exchange(has_target_, true))
      throw refused("a file to write that it was not meant to have");
    file = make_target_(file_bytes);
  }
  WireWriter answer;
  answer(true, file != nullptr);
  if (file) answer(file->name());
  channel.send(answer.take(), file ? file->descriptor() : -1);
}

}  // namespace depickle::sandbox
