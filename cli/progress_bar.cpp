#include "cli/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/exit_code.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int signal) {
  if (interrupted) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  interrupted = 1;
}

// Calls only async-signal-safe functions.
void on_bus_error(int) {
  constexpr std::string_view kMessage =
      "error: a file shrank while it was read\nhint: try again when no program writes to it\n";
  [[maybe_unused]] ssize_t ignored = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(kCouldNot);
}

std::string duration(double seconds) {
  auto whole = static_cast<uint64_t>(std::min(seconds, 1e9));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

void install_signal_handlers() { std::signal(SIGBUS, on_bus_error); }

void defer_interrupts() {
  if (interrupted) return;
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

void check_interrupted() {
  if (interrupted) throw Error(Code::cancelled, "", "interrupted; no incomplete file was written");
}

ProgressBar::ProgressBar(const Console& console, bool events) : console_(console), events_(events) {
  const char* disabled = std::getenv("HF_HUB_DISABLE_PROGRESS_BARS");
  bool wanted = !disabled || std::string_view(disabled).empty() || std::string_view(disabled) == "0";
  silent_ = !wanted || console.quiet();
}

Progress ProgressBar::listener() {
  return [this](const Step& step) {
    check_interrupted();
    report(step);
  };
}

void ProgressBar::report(const Step& step) {
  auto now = Clock::now();
  std::string what = fmt::format("{} {}", step.phase, step.file);
  bool new_phase = what != what_;
  if (new_phase) {
    what_ = std::move(what);
    began_ = now;
    if (drawn_at_ == Clock::time_point()) drawn_at_ = now;
  }
  auto pause =
      console_.stderr_is_terminal() || events_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000);
  bool last = step.done_bytes == step.total_bytes;
  if (now - drawn_at_ < pause && !(events_ && (new_phase || last))) return;
  drawn_at_ = now;
  if (events_) {
    std::string line;
    JsonWriter json(line, JsonWriter::Style::compact);
    json.object().key("event").value("progress").key("phase").value(step.phase).key("file").value(step.file);
    json.key("done_bytes").value(step.done_bytes).key("total_bytes").value(step.total_bytes).end();
    console_.out(line + "\n");
    console_.flush();
  } else if (!silent_) {
    draw(step);
  }
}

void ProgressBar::draw(const Step& step) {
  double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  double rate = seconds > 0 ? static_cast<double>(step.done_bytes) / seconds : 0;
  double left = rate > 0 ? static_cast<double>(step.total_bytes - step.done_bytes) / rate : 0;
  std::string line = fmt::format("{:<8} {}", step.phase, printable(step.file, 60));
  if (step.total_bytes > 0)
    line += fmt::format("  {} of {}  {}/s  {} left", human_bytes(step.done_bytes), human_bytes(step.total_bytes),
        human_bytes(static_cast<uint64_t>(rate)), duration(left));
  if (console_.stderr_is_terminal()) {
    console_.say("\r\x1b[2K" + line);
    drawn_ = true;
  } else {
    console_.say(line + "\n");
  }
}

void ProgressBar::clear() {
  if (drawn_) console_.say("\r\x1b[2K");
  drawn_ = false;
}

}  // namespace depickle::cli
