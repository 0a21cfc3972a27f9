// Progress on stderr: one line on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "cli/console.h"
#include "depickle/base/progress.h"

namespace depickle::cli {

/// Redraws one line at most 10 times a second on a terminal; elsewhere writes a line every 10 seconds, so that short
/// work is
/// silent. Also where Ctrl-C arrives: the listener throws Error{cancelled}.
class ProgressBar {
 public:
  /// With `events`, each report is a JSON line on stdout instead.
  ProgressBar(const Console& console, bool events);
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  Progress listener();
  /// Takes the line away, before anything else is written.
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
  Clock::time_point began_;  ///< of that phase
  Clock::time_point drawn_at_;
};

/// Makes Ctrl-C and SIGTERM stop the work at its next report; a second one stops the program. A file that shrinks while
/// it is
/// mapped (SIGBUS) ends the program with a message instead of a crash.
void install_signal_handlers();
/// Throws Error{cancelled} after a Ctrl-C.
void check_interrupted();

}  // namespace depickle::cli
