// Checks passwords against bcrypt hashes, which takes a tenth of a second each and must not hold up scrapes: one thread
// of its own, a short queue, and a memory of what was right.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace boost::asio {
class thread_pool;
}

namespace shmetrics::exporter {

struct Login {
  std::string user, password;
  std::string hash;  // to check the password against; for an unknown user, one that no password matches
};

class PasswordChecker {
 public:
  /// kFailed: there was no memory to tell.
  enum class Outcome { kPending, kRight, kWrong, kFailed };
  using Check = std::atomic<Outcome>;

  PasswordChecker();
  ~PasswordChecker();  // waits for the check under way, a few seconds at most
  PasswordChecker(const PasswordChecker&) = delete;

  /// Done at once if the same login was right before; nothing if too many wait already. For one thread.
  std::shared_ptr<const Check> check(const Login& login);

  /// Forgets the logins that were right: after a reload, so that none outlives the configuration that made it right.
  void forget();

 private:
  // Over the length of each field too, else a hash could be moved into the password (CVE-2022-46146).
  using Digest = std::array<std::uint8_t, 32>;
  void work(Login& login, const Digest& digest, Check& check);
  bool judge(const Login& login, const Digest& digest);

  std::mutex mutex_;
  std::size_t waiting_ = 0;
  std::set<Digest> right_;
  std::unique_ptr<boost::asio::thread_pool> thread_;  // the last one, whose end waits for work()
};

}  // namespace shmetrics::exporter
