#include "exporter/password.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <signal.h>

#include <cstring>

#include "exporter/tokens.hpp"

namespace shmetrics::exporter {
namespace {

constexpr std::size_t kMaxWaiting = 16;      // some two seconds of work at the usual cost
constexpr std::size_t kMaxRemembered = 128;  // more than a site has scrapers

std::string with_lengths(const Login& login) {
  std::string text;
  for (const std::string* field : {&login.user, &login.hash, &login.password}) {
    text += std::to_string(field->size()) + ":" + *field;
  }
  return text;
}

bool is_right(const Login& login) {
  const auto data = std::make_unique<crypt_data>();  // 32 KiB, zeroed as crypt_r wants it
  const char* const made = crypt_r(login.password.c_str(), login.hash.c_str(), data.get());
  const bool is_equal = made != nullptr && std::strlen(made) == login.hash.size() &&
                        CRYPTO_memcmp(made, login.hash.data(), login.hash.size()) == 0;
  OPENSSL_cleanse(data.get(), sizeof *data);
  return is_equal;
}

}  // namespace

PasswordChecker::PasswordChecker() {
  // Signals are the io thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PasswordChecker::~PasswordChecker() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::shared_ptr<const PasswordChecker::Check> PasswordChecker::check(const Login& login) {
  std::string text = with_lengths(login);
  Job job{login, sha256(text), std::make_shared<Check>()};
  wipe(text);
  std::shared_ptr<Check> check = job.check;
  {
    const std::lock_guard lock(mutex_);
    if (right_.contains(job.digest)) {
      check->is_right = true;
      check->is_done = true;
      return check;
    }
    if (jobs_.size() >= kMaxWaiting) return nullptr;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return check;
}

void PasswordChecker::forget() {
  const std::lock_guard lock(mutex_);
  right_.clear();
}

void PasswordChecker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stops_ || !jobs_.empty(); });
    if (stops_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    // Scrapers that came together: what was right for the first needs no second computation.
    bool right = right_.contains(job.digest);
    if (!right) {
      lock.unlock();
      right = is_right(job.login);
      lock.lock();
      if (right_.size() >= kMaxRemembered) right_.clear();
      if (right) right_.insert(job.digest);
    }
    wipe(job.login.password);
    job.check->is_right = right;
    job.check->is_done = true;
  }
}

}  // namespace shmetrics::exporter
