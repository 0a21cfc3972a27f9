#include "depickle/sandbox/brokered_files.h"

#include <algorithm>

#include "depickle/base/kept_views.h"
#include "depickle/os/mapped_file.h"

namespace depickle::sandbox {
namespace {

// Bytes that the other process reads for us.
class ServedSource final : public ByteSource {
 public:
  ServedSource(BrokeredFiles& files, uint64_t number, std::string name, uint64_t size_bytes, bool is_remote)
      : ByteSource(std::move(name)),
        files_(files),
        number_(number),
        size_bytes_(size_bytes),
        is_remote_(is_remote) {}
  uint64_t size_bytes() const noexcept override { return size_bytes_; }
  bool is_remote() const noexcept override { return is_remote_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    return views_.view(offset, length, name(), [this](uint64_t at, MutableBytes out) { do_read(at, out); });
  }
  void do_read(uint64_t offset, MutableBytes out) const override {
    while (!out.empty()) {
      const uint64_t length = std::min<uint64_t>(out.size(), kMaxReadBytes);
      WireWriter question;
      question(Request::read, number_, offset, length);
      const Message answer = files_.ask(question.take());
      if (answer.payload.size() != length)
        throw Error(Code::integrity, "", "other bytes came than were asked for", Where::in(name()));
      std::ranges::copy(bytes(answer.payload), out.begin());
      out = out.subspan(length);
      offset += length;
    }
  }

  BrokeredFiles& files_;
  uint64_t number_, size_bytes_;
  bool is_remote_;
  mutable KeptViews views_;
};

}  // namespace

BrokeredFiles::BrokeredFiles(std::vector<Channel> channels) : channels_(std::move(channels)) {
  for (const Channel& channel : channels_) free_.push_back(&channel);
}

Message BrokeredFiles::ask(const std::string& question) {
  const Channel* channel = nullptr;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !free_.empty(); });
    channel = free_.back();
    free_.pop_back();
  }
  Message answer;
  const bool answered = channel->send(question) && channel->receive(answer) && !answer.payload.empty();
  {
    std::scoped_lock lock(mutex_);
    free_.push_back(channel);
  }
  freed_.notify_one();
  if (!answered) throw Error(Code::cancelled, "", "stopped");
  const bool is_good = answer.payload[0] != 0;
  answer.payload.erase(0, 1);
  if (!is_good) throw WireReader(answer.payload).error();
  return answer;
}

std::shared_ptr<const ByteSource> BrokeredFiles::open(uint64_t side, const std::string& name) {
  WireWriter question;
  question(Request::open, side, name);
  Message answer = ask(question.take());
  WireReader wire(answer.payload);
  if (!wire.value<bool>()) return nullptr;
  uint64_t number = 0, size_bytes = 0;
  std::string shown;
  bool is_remote = false;
  wire(number, shown, size_bytes, is_remote);
  if (answer.file.get() >= 0) return os::MappedFile::adopt(os::FileDescriptor(answer.file.release()), std::move(shown));
  return std::make_shared<ServedSource>(*this, number, std::move(shown), size_bytes, is_remote);
}

std::unique_ptr<os::OutputFile> BrokeredFiles::target(uint64_t file_bytes) {
  WireWriter question;
  question(Request::target, file_bytes);
  Message answer = ask(question.take());
  WireReader wire(answer.payload);
  if (!wire.value<bool>()) return nullptr;
  return std::make_unique<os::OutputFile>(os::FileDescriptor(answer.file.release()), wire.value<std::string>());
}

int BrokeredFiles::scratch() {
  WireWriter question;
  question(Request::scratch);
  return ask(question.take()).file.release();
}

}  // namespace depickle::sandbox
