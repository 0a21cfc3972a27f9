// Progress on stderr, or as JSON Lines on stdout.
#pragma once

#include <chrono>
#include <string>

#include "cli/console.h"
#include "depickle/base/progress.h"

namespace depickle::cli {

/// On a terminal, redraws one line at most 10 times a second; elsewhere, writes a line every 10 seconds, so that short
/// work writes nothing. After a Ctrl-C, the listener throws Error{cancelled}.
class ProgressBar {
 public:
  /// With `events`, each report is a JSON line on stdout instead.
  ProgressBar(const Console& console, bool events);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  Progress listener();
  /// Removes the line. Call it before any other output.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void report(const Step& step);
  void draw(const Step& step);

  const Console& console_;
  bool events_;
  bool silent_;
  bool drawn_ = false;
  std::string what_;         ///< phase and file of the last report
  Clock::time_point began_;  ///< start of that phase
  Clock::time_point drawn_at_;
};

/// SIGBUS, when a mapped file shrinks, ends the program with a message.
void install_signal_handlers();
/// Without this, Ctrl-C and SIGTERM end the program at once. Call it before work that creates files: the work then
/// stops at its next report and removes its files. A second signal ends the program at once.
void defer_interrupts();
/// Throws Error{cancelled} after Ctrl-C or SIGTERM, if interrupts are deferred.
void check_interrupted();

}  // namespace depickle::cli
