#include "exporter/access/password.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <signal.h>

#include <algorithm>
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

Digest PasswordChecker::digest_of(const Login& login) const {
  std::string text;
  const Wiper wiper{text};
  text.reserve(login.user.size() + login.hash.size() + login.password.size() + 64);  // else pieces of it stay behind
  for (const std::string_view field : {std::string_view(login.user), {login.hash}, {login.password}}) {
    text.append(std::to_string(field.size())).append(":").append(field);
  }
  return keyed_digest(key_, text);
}

bool PasswordChecker::remembers(const Login& login) {
  const Digest digest = digest_of(login);
  const std::lock_guard lock(mutex_);
  return right_.contains(digest);
}

std::shared_ptr<const PasswordChecker::Check> PasswordChecker::check(const Login& login, const Peer& peer) {
  const Digest digest = digest_of(login);
  const std::lock_guard lock(mutex_);
  if (right_.contains(digest)) return std::make_shared<Check>(Outcome::kRight);
  // Scrapers that come together need one computation.
  for (const Waiting& other : waiting_) {
    if (other.digest == digest) return other.check;
  }
  const bool has_place = std::ranges::none_of(waiting_, [&](const Waiting& w) { return w.peer.same_site(peer); });
  if (!has_place || waiting_.size() >= kMaxWaiting) return nullptr;
  const Waiting& added = waiting_.emplace_back(Waiting{peer, digest, std::make_shared<Check>(Outcome::kPending)});
  const std::shared_ptr<const Check> check = added.check;
  try {
    boost::asio::post(*thread_, [this, checked = login, digest] { work(checked, digest); });
  } catch (...) {
    waiting_.pop_back();
    throw;
  }
  return check;
}

void PasswordChecker::work(const Login& login, const Digest& digest) {
  Outcome outcome = Outcome::kFailed;
  try {
    outcome = judge(login, digest) ? Outcome::kRight : Outcome::kWrong;
  } catch (const std::exception& error) {
    log(LogLevel::kError, "cannot check a password", {{"error", error.what()}});
  }
  const std::lock_guard lock(mutex_);
  const auto done = std::ranges::find(waiting_, digest, &Waiting::digest);
  *done->check = outcome;
  waiting_.erase(done);
}

bool PasswordChecker::judge(const Login& login, const Digest& digest) {
  if (!is_right(login)) return false;
  const std::lock_guard lock(mutex_);
  if (right_.size() >= kMaxRemembered) right_.clear();
  right_.insert(digest);
  return true;
}

}  // namespace shmetrics::exporter
