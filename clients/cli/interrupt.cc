#include "clients/cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>

namespace engram {
namespace {

// A signal handler reaches nothing but globals.
std::atomic<int> interruptions{0};
int wake_pipe[2] = {-1, -1};
struct sigaction earlier_int = {};
struct sigaction earlier_term = {};

void OnSignal(int) {
  interruptions.fetch_add(1);
  // The first byte is enough: nobody takes it out.
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], "!", 1);
}

}  // namespace

Interrupt::Interrupt() {
  interruptions = 0;
  // Without the pipe Ctrl-C is still counted; it only wakes nobody.
  if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) wake_pipe[0] = wake_pipe[1] = -1;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, &earlier_int);
  sigaction(SIGTERM, &action, &earlier_term);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &earlier_int, nullptr);
  sigaction(SIGTERM, &earlier_term, nullptr);
  close(wake_pipe[0]);
  close(wake_pipe[1]);
}

int Interrupt::count() const { return interruptions.load(); }

int Interrupt::fd() const { return wake_pipe[0]; }

void Interrupt::Wake() const { [[maybe_unused]] const ssize_t written = write(wake_pipe[1], "!", 1); }

bool Interrupt::WaitFor(int64_t micros) const {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::microseconds(micros);
  while (count() == 0) {
    const int64_t left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) break;
    pollfd waited = {wake_pipe[0], POLLIN, 0};
    poll(&waited, 1, static_cast<int>(std::min<int64_t>(left, 1'000'000)));
  }
  return count() > 0;
}

}  // namespace engram
