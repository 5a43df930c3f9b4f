// Checks passwords against bcrypt hashes, which takes a tenth of a second each and must not hold up scrapes: one thread
// of its own, a short queue with one place a peer, and a memory of what was right.
//
// Threads: the io thread. Failure: std::bad_alloc; in its own thread want of memory is an outcome. Lifetime: its end
// waits for the check under way.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "exporter/access/secret.hpp"
#include "exporter/request/peer.hpp"
#include "exporter/request/secret_text.hpp"

namespace boost::asio {
class thread_pool;
}

namespace shmetrics::exporter {

struct Login {
  std::string user;
  SecretText password;
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

  /// Done at once if the same login was right before. Joins the same login if that waits already. Nothing if too many
  /// wait, or if another of this peer's site waits. A reload need not call anything: what is remembered includes the
  /// hash. For one thread.
  std::shared_ptr<const Check> check(const Login& login, const Peer& peer);
  /// Whether the same login was right before.
  bool remembers(const Login& login);

 private:
  struct Waiting {
    Peer peer;
    Digest digest;
    std::shared_ptr<Check> check;
  };
  // Over the length of each field too, else a hash could be moved into the password (CVE-2022-46146).
  Digest digest_of(const Login& login) const;
  void work(const Login& login, const Digest& digest);
  bool judge(const Login& login, const Digest& digest);

  const Digest key_ = random_key();
  std::mutex mutex_;
  std::list<Waiting> waiting_;  // the one under way included
  std::set<Digest> right_;
  std::unique_ptr<boost::asio::thread_pool> thread_;  // the last one, whose end waits for work()
};

}  // namespace shmetrics::exporter
