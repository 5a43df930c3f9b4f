#include "exporter/access/tokens.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace shmetrics::exporter {
namespace {

std::string complaint_about(const std::string& list) {
  try {
    TokenSet::from_list(list);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

TEST(TokenSet, AListIsSplitAtCommasTrimmedAndEmptyOnesIgnored) {
  const TokenSet tokens = TokenSet::from_list(" first-token-of-some-length ,, \tsecond-one\r\n, ");
  EXPECT_EQ(tokens.size(), 2U);
  EXPECT_EQ(tokens.short_ones(), 1U);
  EXPECT_TRUE(tokens.matches("first-token-of-some-length"));
  EXPECT_TRUE(tokens.matches("second-one"));
  EXPECT_FALSE(tokens.matches(" second-one"));
  EXPECT_FALSE(tokens.matches("first-token-of-some-length ,, \tsecond-one"));
}

TEST(TokenSet, AnEmptyListMatchesNothing) {
  for (const char* list : {"", ",", " , \t,"}) {
    EXPECT_TRUE(TokenSet::from_list(list).empty());
    EXPECT_FALSE(TokenSet::from_list(list).matches(""));
  }
}

TEST(TokenSet, LengthsUpToTheLimitAreTaken) {
  const std::string longest(kMaxTokenLength, '~');
  EXPECT_TRUE(TokenSet::from_list(longest).matches(longest));
  EXPECT_FALSE(TokenSet::from_list(longest).matches(longest + "~"));
  EXPECT_EQ(TokenSet::from_list("123456789012345").short_ones(), 1U);
  EXPECT_EQ(TokenSet::from_list("1234567890123456").short_ones(), 0U);
}

TEST(TokenSet, WhatIsNoTokenIsRefusedWithoutBeingRepeated) {
  for (const std::string& bad : {std::string("sec ret"), std::string("secret\x7f"), std::string("secr\xc3\xa9t"),
                                 std::string("secret\x01"), "secret" + std::string(kMaxTokenLength, 'x')}) {
    const std::string complaint = complaint_about("fine-one," + bad);
    EXPECT_NE(complaint.find("token 2 of METRICS_TOKEN"), std::string::npos) << complaint;
    EXPECT_EQ(complaint.find("sec"), std::string::npos) << complaint;
    EXPECT_EQ(complaint.find('\n'), std::string::npos);
  }
}

TEST(TokenSet, WhatATemplateOrAnEnvironmentFileLeavesBehindIsRefused) {
  for (const char* bad :
       {"null", "undefined", "Undefined", "${METRICS_TOKEN}", "prefix-${X}", "$METRICS_TOKEN", "$(METRICS_TOKEN)",
        "prefix-$(X)", "{{token}}", "{{ token", "%TOKEN%", "%TOKEN-OF-X%", "\"\"", "''", "1234567",
        "\"quoted-token-of-length\"", "'quoted-token-of-length'", "`token-of-length`"}) {
    EXPECT_NE(complaint_about(bad).find("placeholder"), std::string::npos) << bad;
  }
  for (const char* good : {"12345678", "null-and-undefined", "to\"ken$of{length}", "nullnull", "token$of$length",
                           "token%of%length", "%token-of-length", "token-of-length%", "token{{of}}length"}) {
    EXPECT_EQ(complaint_about(good), "") << good;
  }
}

std::string complaint_about_lines(const std::string& text) {
  try {
    TokenSet::from_lines(text, "--web.token-file /t");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

TEST(TokenSet, AFileHasATokenALineWithBlankOnesAndCommentsIgnored) {
  const TokenSet tokens =
      TokenSet::from_lines("# weekly\r\n\n  \t\nfirst-token-of-length\r\n  second-one\n#third-one", "/t");
  EXPECT_EQ(tokens.size(), 2U);
  EXPECT_EQ(tokens.short_ones(), 1U);
  EXPECT_TRUE(tokens.matches("first-token-of-length"));
  EXPECT_TRUE(tokens.matches("second-one"));
  EXPECT_FALSE(tokens.matches("first-token-of-length\r"));
  EXPECT_FALSE(tokens.matches("#third-one"));
}

TEST(TokenSet, ALineThatIsNoTokenIsNamedByItsNumberAndNotRepeated) {
  for (const std::string& bad : {std::string("sec ret"), std::string("secret,other"), std::string("secr\xc3\xa9t"),
                                 std::string("\xef\xbb\xbfsecret"), "secret" + std::string(kMaxTokenLength, 'x')}) {
    const std::string complaint = complaint_about_lines("# one\nfine-one\n" + bad + "\n");
    EXPECT_NE(complaint.find("--web.token-file /t line 3 is not"), std::string::npos) << complaint;
    EXPECT_EQ(complaint.find("sec"), std::string::npos) << complaint;
    EXPECT_EQ(complaint.find('\n'), std::string::npos);
  }
}

TEST(TokenSet, AFileWithoutATokenIsRefusedWithTheRemedy) {
  for (const char* text : {"", "\n", "# only this\n \r\n"}) {
    EXPECT_NE(complaint_about_lines(text).find("openssl rand -hex 32"), std::string::npos);
  }
}

TEST(TokenSet, TwoSetsAddUp) {
  TokenSet tokens = TokenSet::from_list("first-token-of-length");
  tokens.add(TokenSet::from_list("second-one"));
  EXPECT_EQ(tokens.size(), 2U);
  EXPECT_EQ(tokens.short_ones(), 1U);
  EXPECT_TRUE(tokens.matches("first-token-of-length") && tokens.matches("second-one"));
}

TEST(TakeTokenEnvironment, TheVariableIsReadOnceRemovedAndOverwritten) {
  setenv("METRICS_TOKEN", "a-secret-of-the-environment", 1);
  setenv("METRICS_TOKENS", "another variable", 1);
  const char* bytes = getenv("METRICS_TOKEN");
  EXPECT_EQ(take_token_environment(), "a-secret-of-the-environment");
  EXPECT_EQ(getenv("METRICS_TOKEN"), nullptr);
  EXPECT_STREQ(getenv("METRICS_TOKENS"), "another variable");
  EXPECT_EQ(bytes[0], '\0');
  EXPECT_EQ(take_token_environment(), "");
}

}  // namespace
}  // namespace shmetrics::exporter
