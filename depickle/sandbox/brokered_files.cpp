#include "depickle/sandbox/brokered_files.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/kept_views.h"
#include "depickle/os/mapped_file.h"

namespace depickle::sandbox {
namespace {

// A file that the parent process reads.
class BrokeredSource final : public ByteSource {
 public:
  BrokeredSource(BrokeredFiles& files, uint64_t number, std::string name, uint64_t size_bytes, bool is_remote)
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
      const Message response = files_.call<Request::read>(number_, offset, length);
      if (response.payload.size() != length)
        throw Error(Code::integrity, "",
            fmt::format("received {} bytes, requested {}", response.payload.size(), length), Where::in(name()));
      std::ranges::copy(bytes(response.payload), out.begin());
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

Message BrokeredFiles::call(const std::string& request) {
  const Channel* channel = nullptr;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !free_.empty(); });
    channel = free_.back();
    free_.pop_back();
  }
  Message response;
  const bool is_answered = channel->send(request) &&
                           channel->receive(response, {.accepts_file = true}) == Received::message &&
                           !response.payload.empty();
  {
    std::scoped_lock lock(mutex_);
    free_.push_back(channel);
  }
  freed_.notify_one();
  if (!is_answered) throw Error(Code::cancelled, "", "stopped");
  const bool succeeded = response.payload[0] != 0;
  response.payload.erase(0, 1);
  if (!succeeded) throw WireReader(response.payload, Sender::parent).error();
  return response;
}

std::shared_ptr<const ByteSource> BrokeredFiles::open(uint64_t number) {
  Message response = call<Request::open>(number);
  WireReader wire(response.payload, Sender::parent);
  if (!wire.value<bool>()) return nullptr;
  std::string shown_name;
  uint64_t size_bytes = 0;
  bool is_remote = false;
  wire(shown_name, size_bytes, is_remote);
  if (response.file) return os::MappedFile::adopt(std::move(response.file), std::move(shown_name));
  return std::make_shared<BrokeredSource>(*this, number, std::move(shown_name), size_bytes, is_remote);
}

std::unique_ptr<os::OutputFile> BrokeredFiles::target(uint64_t file_bytes) {
  Message response = call<Request::target>(file_bytes);
  WireReader wire(response.payload, Sender::parent);
  if (!wire.value<bool>()) return nullptr;
  return std::make_unique<os::OutputFile>(std::move(response.file), wire.value<std::string>());
}

os::FileDescriptor BrokeredFiles::scratch() { return call<Request::scratch>().file; }

}  // namespace depickle::sandbox
