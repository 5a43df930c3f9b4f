#include "exporter/scrape/segment_spec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace shmetrics::exporter {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal_of(const std::vector<std::string>& texts) {
  try {
    parse_segments(texts);
    return {};
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(SegmentSpec, WhatIsAccepted) {
  struct Case {
    std::vector<std::string> texts;
    std::vector<SegmentSpec> specs;
  };
  const std::vector<Case> table{
      // One plain path adds nothing.
      {{"/run/app.seg"}, {{"", "/run/app.seg"}}},
      {{"/run/a=b.seg"}, {{"", "/run/a=b.seg"}}},
      {{"./a=b.seg"}, {{"", "./a=b.seg"}}},
      // All else has names.
      {{"crm=/run/app.seg"}, {{"crm", "/run/app.seg"}}},
      {{"crm=a=b.seg"}, {{"crm", "a=b.seg"}}},
      {{"\xc3\xa9 \"=/run/app.seg"}, {{"\xc3\xa9 \"", "/run/app.seg"}}},
      {{"/run/a.seg", "/run/b.c.seg"}, {{"a", "/run/a.seg"}, {"b.c", "/run/b.c.seg"}}},
      {{"/run/.seg", "rel"}, {{".seg", "/run/.seg"}, {"rel", "rel"}}},
      {{"/run/a/m.seg", "b=/run/b/m.seg"}, {{"m", "/run/a/m.seg"}, {"b", "/run/b/m.seg"}}},
      {{"a=/run/m.seg", "b=/run/m.seg"}, {{"a", "/run/m.seg"}, {"b", "/run/m.seg"}}},
      {{"/run/*/m.seg"}, {{"", "/run/*/m.seg", true}}},
      {{"/run/a?.seg", "/run/[x]"}, {{"", "/run/a?.seg", true}, {"", "/run/[x]", true}}},
      {{"/run/*.seg", "/run/a.seg"}, {{"", "/run/*.seg", true}, {"a", "/run/a.seg"}}},
  };
  for (const Case& c : table) EXPECT_EQ(parse_segments(c.texts), c.specs) << c.texts[0] << refusal_of(c.texts);
}

TEST(SegmentSpec, WhatIsRefusedAndWhatToDo) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> table{
      {{""}, "--segment: the path is empty"},
      {{"a="}, "--segment a=: the path is empty"},
      {{"=/run/a.seg"}, "the name before = is empty"},
      {{"\xff=/run/a.seg"}, "UTF-8"},
      {{std::string(1025, 'n') + "=/run/a.seg"}, "at most 1,024 bytes"},
      {{"a=/run/*.seg"}, "one name cannot stand for many files"},
      {{"/run/a.seg", "/run/a.seg"}, "segment /run/a.seg has the name a too"},
      {{"/run/a/m.seg", "/run/b/m.seg"}, "--segment /run/b/m.seg: segment /run/a/m.seg has the name m too"},
      {{"/run/a.seg", "a=/run/b.seg"}, "give it another: NAME=PATH"},
      {{"/run/*.seg", "a=/x", "a=/y"}, "has the name a too"},
      {{"/run/", "/run/a.seg"}, "--segment /run/: no name can be made of it, give one: NAME=PATH"},
      {{"/run/..", "/run/a.seg"}, "no name can be made of it"},
      {{"/run/\xff.seg", "/run/a.seg"}, "no name can be made of it"},
  };
  for (const auto& [texts, expected] : table) {
    EXPECT_THAT(refusal_of(texts), HasSubstr(expected)) << texts[0];
    EXPECT_THAT(refusal_of(texts), Not(HasSubstr("\n")));
  }
}

TEST(SegmentSpec, MoreThanTheLimitAreRefused) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kMaxSegments; ++i) texts.push_back("/run/" + std::to_string(i) + ".seg");
  EXPECT_EQ(parse_segments(texts).size(), kMaxSegments);
  texts.emplace_back("/run/one-more.seg");
  EXPECT_THAT(refusal_of(texts), HasSubstr("101 segments: at most 100"));
}

}  // namespace
}  // namespace shmetrics::exporter
