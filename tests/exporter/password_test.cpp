#include "exporter/access/password.hpp"

#include <crypt.h>
#include <gtest/gtest.h>

#include <new>
#include <vector>

#include "tests/allocations.hpp"
#include "tests/child_process.hpp"

namespace shmetrics::exporter {
namespace {

using Outcome = PasswordChecker::Outcome;

std::string hashed(const std::string& password, const char* cost = "04") {
  return crypt(password.c_str(), (std::string("$2b$") + cost + "$abcdefghijklmnopqrstuu").c_str());
}

Peer peer_of_number(int number) {
  Peer peer;
  peer.address[0] = static_cast<std::uint8_t>(number);
  return peer;
}

bool is_right(PasswordChecker& checker, const Login& login) {
  const auto check = checker.check(login, {});
  return check && tests::eventually([&] { return *check != Outcome::kPending; }) && *check == Outcome::kRight;
}

TEST(PasswordChecker, TheRightPasswordIsRightAndRememberedAndAWrongOneIsNot) {
  PasswordChecker checker;
  const Login login{"prom", "correct horse", hashed("correct horse")};
  EXPECT_TRUE(is_right(checker, login));
  EXPECT_TRUE(checker.remembers(login));
  EXPECT_EQ(*checker.check(login, {}), Outcome::kRight);  // at once
  EXPECT_FALSE(is_right(checker, {"prom", "correct hors", login.hash}));
  EXPECT_FALSE(is_right(checker, {"prom", "", login.hash}));
  EXPECT_FALSE(is_right(checker, {"prom", "correct horse", "*0"}));
}

TEST(PasswordChecker, WhatIsRememberedIsThisUserThisHashAndThisPasswordAlone) {
  PasswordChecker checker;
  const Login login{"prom", "pass", hashed("pass")};
  EXPECT_TRUE(is_right(checker, login));
  // Fields joined without their lengths would make these the same as the one before (CVE-2022-46146).
  EXPECT_FALSE(is_right(checker, {"prom" + login.hash.substr(0, 1), "pass", login.hash.substr(1)}));
  EXPECT_FALSE(is_right(checker, {"prom", SecretText(std::string_view(login.hash + "pass")), ""}));
  EXPECT_FALSE(is_right(checker, {"prom", "pass", hashed("other")}));  // the hash was changed by a reload
}

TEST(PasswordChecker, OnePasswordAPeerWaitsAndTheSameLoginIsJoined) {
  PasswordChecker checker;
  const std::string hash = hashed("pass", "12");
  const auto first = checker.check({"prom", "guess", hash}, peer_of_number(1));
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(checker.check({"prom", "other", hash}, peer_of_number(1)), nullptr);
  EXPECT_EQ(checker.check({"prom", "guess", hash}, peer_of_number(1)), first);
  EXPECT_EQ(checker.check({"prom", "guess", hash}, peer_of_number(2)), first);
  EXPECT_NE(checker.check({"prom", "other", hash}, peer_of_number(2)), nullptr);
  EXPECT_TRUE(tests::eventually([&] { return *first == Outcome::kWrong; }));
  EXPECT_NE(checker.check({"prom", "third", hash}, peer_of_number(1)), nullptr);
}

TEST(PasswordChecker, WhenManyWaitMoreAreTurnedAwayAndTheEndDoesNotWaitForThem) {
  PasswordChecker checker;
  const std::string hash = hashed("pass", "12");
  std::vector<std::shared_ptr<const PasswordChecker::Check>> checks;
  for (int i = 0; i < 40; ++i)
    checks.push_back(
        checker.check({"prom", SecretText(std::string_view("guess" + std::to_string(i))), hash}, peer_of_number(i)));
  EXPECT_NE(checks.front(), nullptr);
  EXPECT_EQ(checks.back(), nullptr);
}

TEST(PasswordChecker, WithoutMemoryNobodyKnowsWhetherAPasswordIsRightAndTheNextCheckIsAsEver) {
  PasswordChecker checker;
  const std::string hash = hashed("pass");
  int failed = 0;
  for (std::size_t nth = 1; nth < 40; ++nth) {
    const Login login{"prom", SecretText("pass" + std::to_string(nth)), hash};
    std::shared_ptr<const PasswordChecker::Check> check;
    tests::fail_allocation(nth);
    try {
      check = checker.check(login, {});
      EXPECT_TRUE(tests::eventually([&] { return *check != Outcome::kPending; }));
    } catch (const std::bad_alloc&) {
    }
    tests::fail_allocation(0);
    if (check) failed += *check == Outcome::kFailed ? 1 : 0;
  }
  EXPECT_GT(failed, 0);
  EXPECT_TRUE(is_right(checker, {"prom", "pass", hash}));
}

}  // namespace
}  // namespace shmetrics::exporter
