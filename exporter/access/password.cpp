#include "exporter/access/password.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <signal.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstring>
#include <exception>

#include "exporter/access/secret.hpp"
#include "exporter/log.hpp"

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
  thread_ = std::make_unique<boost::asio::thread_pool>(1);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PasswordChecker::~PasswordChecker() = default;

std::shared_ptr<const PasswordChecker::Check> PasswordChecker::check(const Login& login) {
  std::string text = with_lengths(login);
  const Digest digest = sha256(text);
  wipe(text);
  auto check = std::make_shared<Check>(Outcome::kPending);
  const std::lock_guard lock(mutex_);
  if (right_.contains(digest)) {
    *check = Outcome::kRight;
    return check;
  }
  if (waiting_ >= kMaxWaiting) return nullptr;
  boost::asio::post(*thread_, [this, checked = login, digest, check]() mutable { work(checked, digest, *check); });
  ++waiting_;
  return check;
}

void PasswordChecker::forget() {
  const std::lock_guard lock(mutex_);
  right_.clear();
}

void PasswordChecker::work(Login& login, const Digest& digest, Check& check) {
  const Wiper wiper{login.password};
  try {
    check = judge(login, digest) ? Outcome::kRight : Outcome::kWrong;
  } catch (const std::exception& error) {
    log(LogLevel::kError, "cannot check a password", {{"error", error.what()}});
    check = Outcome::kFailed;
  }
}

bool PasswordChecker::judge(const Login& login, const Digest& digest) {
  {
    const std::lock_guard lock(mutex_);
    --waiting_;
    // Scrapers that came together: a login that was right for the first is not computed again.
    if (right_.contains(digest)) return true;
  }
  if (!is_right(login)) return false;
  const std::lock_guard lock(mutex_);
  if (right_.size() >= kMaxRemembered) right_.clear();
  right_.insert(digest);
  return true;
}

}  // namespace shmetrics::exporter
