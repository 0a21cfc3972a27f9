// A program in the place of depickle-jobs that misbehaves as the address of its request says.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "depickle/sandbox/channel.h"
#include "server/jobs/messages.h"

using namespace depickle::server;

namespace {

const depickle::sandbox::Channel& server() {
  static const depickle::sandbox::Channel channel{depickle::os::FileDescriptor(jobs::kSocket)};
  return channel;
}

void send(const std::string& message) {
  if (!server().send(message)) std::exit(0);
}

[[noreturn]] void wait_for_end() {
  while (true) ::pause();
}

void write_raw(uint64_t length, const std::string& bytes) {
  if (::write(jobs::kSocket, &length, sizeof length) < 0 || ::write(jobs::kSocket, bytes.data(), bytes.size()) < 0)
    std::exit(0);
}

void send_result(const std::string& sentence) {
  jobs::encode_result(
      {.outcome = {.result = "{}", .sentence = sentence, .answer = "yes"}, .tensors = {{.name = "w"}}}, 0, send);
}

/// Sends tensors until the server kills this process.
void send_tensors_forever() {
  std::string batch;
  jobs::encode_result({.outcome = {}, .tensors = std::vector<jobs::TensorRow>(5000, {.name = std::string(300, 'n')})},
      0, [&](const std::string& message) {
        if (batch.empty()) batch = message;
      });
  while (true) send(batch);
}

std::string environment() {
  std::string text;
  for (char** variable = environ; *variable; ++variable) text += std::string(*variable) + " ";
  return text;
}

void misbehave(const std::string& action, const jobs::Task& task) {
  if (action == "abort") std::fputs("a\x1b[2J reason\n", stderr), std::abort();
  if (action == "crash") ::signal(SIGSEGV, SIG_DFL), ::raise(SIGSEGV);  // sanitizers handle it
  if (action == "kill") ::raise(SIGKILL);
  if (action == "exit") std::exit(3);
  if (action == "close") ::close(jobs::kSocket), wait_for_end();
  if (action == "silent") wait_for_end();
  if (action == "half") write_raw(1000, "half"), wait_for_end();
  if (action == "huge") write_raw(UINT64_MAX, ""), wait_for_end();
  if (action == "garbage") send("\xff\xff\xff\xff"), wait_for_end();
  if (action == "phase") send(jobs::encode_phase("of another job")), wait_for_end();
  if (action == "tensors") send_tensors_forever();
  if (action == "flood") {
    send(jobs::encode_phase("read"));
    for (uint64_t i = 0; i < 50'000; ++i) send(jobs::encode_progress({.file = "f", .done_bytes = i, .total_bytes = i}));
  }
  if (action == "stop") {
    depickle::sandbox::Message message;
    server().receive(message);
    send(jobs::encode_error(depickle::Error(depickle::Code::cancelled, "", "stopped"), 0));
  }
  if (action == "large") {
    jobs::encode_result(
        {.outcome = {.result = "{\"a\":\"" + std::string(1'000'000, 'x') + "\"}", .answer = "yes"}}, 0, send);
  }
  if (action == "environment") send_result(environment());
  if (action == "tokens") send_result(task.token + "/" + task.account_token);
  send_result("well done");
}

}  // namespace

int main() {
  depickle::sandbox::Message message;
  server().receive(message);
  server().receive(message);
  const jobs::Task task = jobs::decode_task(message.payload);
  misbehave(task.request.address, task);
}
