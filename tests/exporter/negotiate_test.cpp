#include "exporter/request/negotiate.hpp"

#include <gtest/gtest.h>

namespace shmetrics::exporter {
namespace {

constexpr auto kText = Format::kText;
constexpr auto kNew = Format::kOpenmetrics100;
constexpr auto kOld = Format::kOpenmetrics001;
constexpr auto kProtobuf = Format::kProtobuf;

struct Case {
  const char* accept;
  Format format;
  Escaping escaping = Escaping::kNotAsked;
};

void expect(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(choose_representation(c.accept), (Representation{c.format, c.escaping})) << c.accept;
  }
}

TEST(Negotiate, RealPrometheusServersGetWhatTheyLikeBest) {
  expect({
      {"text/plain;version=0.0.4;q=1,*/*;q=0.1", kText},                                               // up to 2.4
      {"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", kOld},  // 2.26
      {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       kNew},  // 2.42 and 2.45
      {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
       "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       kProtobuf},  // 2.42 with native histograms
      {"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
       "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
       kNew},  // 2.50
      {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
       "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
       "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
       kNew, Escaping::kAllowUtf8},  // 3.5
      {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
       "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
       "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
       "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
       kProtobuf},  // 3.9 that scrapes native histograms
      {"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
       "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
       kText},  // 3.5 that prefers text: 1.0.0 of it is not served
  });
}

TEST(Negotiate, OtherClientsGetTextUnlessTheyNameOpenmetrics) {
  expect({{"", kText},
          {"*/*", kText},
          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", kText},
          {"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", kText},
          {"application/json", kText},
          {"text/plain", kText},
          {"text/*", kText},
          {"application/*", kNew},
          {"application/openmetrics-text", kOld},
          {"application/openmetrics-text;version=1.0.0", kNew},
          {"application/openmetrics-text;version=2.0.0", kText},
          {"application/openmetrics-text;version=2.0.0, application/openmetrics-text;version=0.0.1;q=0.1", kOld}});
}

TEST(Negotiate, ProtobufIsForThoseWhoSayWhichMessageAndHowItIsParted) {
  for (const char* yes :
       {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "application/vnd.google.protobuf; encoding=delimited; proto=io.prometheus.client.MetricFamily; q=0.1",
        "Application/VND.google.protobuf;PROTO=io.prometheus.client.MetricFamily;Encoding=delimited",
        "application/vnd.google.protobuf;proto=\"io.prometheus.client.MetricFamily\";encoding=\"delimited\"",
        "text/plain;q=0.5, application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited, text/plain"}) {
    expect({{yes, kProtobuf}});
  }
  for (const char* no :
       {"application/vnd.google.protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
        "application/vnd.google.protobuf;encoding=delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=Delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.metricfamily;encoding=delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.Metric;encoding=delimited",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0",
        "application/protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "application/*;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0, text/plain",
        "*/*;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "text/plain, application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}) {
    expect({{no, kText}});
  }
  expect({{"application/*", kNew}, {"application/*, */*;q=0.5", kNew}});
}

TEST(Negotiate, TheWeightDecidesThenTheNamedOneThenTheFirst) {
  expect({{"text/plain;q=0.4, application/openmetrics-text;version=1.0.0;q=0.5", kNew},
          {"text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.499", kText},
          {"application/openmetrics-text;version=0.0.1, application/openmetrics-text;version=1.0.0", kOld},
          {"text/plain, application/openmetrics-text;version=1.0.0", kText},
          {"application/openmetrics-text;version=1.0.0, text/plain", kNew},
          {"*/*, application/openmetrics-text;version=1.0.0", kNew},
          {"*/*, application/openmetrics-text;version=1.0.0;q=0.9", kText},
          {"text/*, application/*", kText},
          {"application/*, text/*", kNew},
          // The closest member speaks for a format, whatever its place.
          {"application/*;q=1, application/openmetrics-text;version=1.0.0;q=0.1, text/plain;q=0.5", kOld},
          {"*/*;q=1, text/plain;q=0", kNew}});
}

TEST(Negotiate, AWeightOfZeroIsARefusal) {
  expect({{"application/openmetrics-text;version=1.0.0;q=0, */*", kText},
          {"application/openmetrics-text;version=1.0.0;q=0.000, application/openmetrics-text;q=0.001", kOld},
          {"text/plain;q=0, application/openmetrics-text;version=1.0.0;q=0.1", kNew},
          {"text/plain;q=0", kText},  // nothing is left: no refusal, the default
          {"*/*;q=0", kText}});
}

TEST(Negotiate, NamesHaveNoCaseAndBlanksMeanNothing) {
  expect({{"APPLICATION/OpenMetrics-Text;VERSION=1.0.0", kNew},
          {" \tapplication/openmetrics-text ;\t version=1.0.0 ; Q=0.7 ,text/plain;q=0.6", kNew},
          {",,application/openmetrics-text;;version=1.0.0;,", kNew},
          {"TEXT/*;q=0.2, application/openmetrics-text;version=1.0.0;q=0.1", kText}});
}

TEST(Negotiate, QuotedValuesMayHoldWhatPartsAList) {
  expect({{"application/openmetrics-text;version=\"1.0.0\"", kNew},
          {"application/openmetrics-text;version=\"1\\.0.0\"", kNew},
          {"x/y;z=\"a,application/openmetrics-text;version=1.0.0\"", kText},
          {"x/y;z=\"\\\",application/openmetrics-text;version=1.0.0,\"", kText},
          {"application/openmetrics-text;note=\"a;b,c\";version=1.0.0;q=0.5, text/plain;q=0.4", kNew}});
}

TEST(Negotiate, AMalformedMemberIsPassedOverAlone) {
  for (const char* bad : {"application/openmetrics-text;version", "application/openmetrics-text;version=",
                          "application/openmetrics-text;version=1.0.0;q=2", "application/openmetrics-text;q=x",
                          "application/openmetrics-text;version=1.0.0;q=1;q=1", "application/openmetrics-text q=1",
                          "application/openmetrics-text;version=1.0.0;q=-1", "application/openmetrics-text;q=1.001",
                          "application/openmetrics-text;q=0.1234", "application/openmetrics-text;q=\"\"",
                          "application/openmetrics-text;version=1 .0.0", "application /openmetrics-text", "\"\"",
                          "\x80", "application/openmetrics-text;version=\"1.0.0"}) {
    expect({{bad, kText}});
    expect({{(std::string(bad) + (std::string_view(bad).ends_with("\"1.0.0") ? "\"x" : "") +
              ",application/openmetrics-text;version=1.0.0")
                 .c_str(),
             kNew}});
  }
  const char unended[] = "application/openmetrics-text;version=\"1.0.0\\";
  expect({{unended, kText}});
}

TEST(Negotiate, AnEscapingThatIsKnownIsEchoedAndNoOtherByte) {
  const auto type = [](const char* accept) { return content_type(choose_representation(accept)); };
  EXPECT_EQ(type(""), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(type("text/plain;version=0.0.4;escaping=underscores"),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
  EXPECT_EQ(type("application/openmetrics-text;version=1.0.0"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_EQ(type("application/openmetrics-text;version=1.0.0;escaping=\"allow-utf-8\""),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
  EXPECT_EQ(type("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
  EXPECT_EQ(type("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
                 "escaping=underscores"),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; "
            "escaping=underscores");
  EXPECT_EQ(type("application/openmetrics-text;escaping=values"),
            "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=values");
  // `dots` would spell every underscore in another way, which is not done.
  for (const char* unknown :
       {"escaping=dots", "escaping=none", "escaping=ALLOW-UTF-8", "escaping=\"dots\\r\\nX: y\"", "escaping="}) {
    const std::string accept = std::string("application/openmetrics-text;version=1.0.0;") + unknown;
    EXPECT_EQ(type((accept + ", text/plain;q=0.1").c_str()).find("escaping"), std::string::npos) << unknown;
  }
}

TEST(Negotiate, GzipComesToThoseWhoLikeItNoLessThanIdentity) {
  for (const char* yes : {"gzip", "GZip", "x-gzip", "gzip, deflate, br", "gzip;q=0.1", "gzip;q=1.0, identity; q=0.5",
                          "deflate, gzip;q=1.0, *;q=0.5", "identity, gzip", "*;q=0, gzip", "identity;q=0, *",
                          "gzip;q=0.5, *;q=0.1", "br;q=1, gzip;q=0.2", "gzip;q=0.001"}) {
    EXPECT_EQ(choose_coding(yes), Coding::kGzip) << yes;
  }
  for (const char* no : {"", "identity", "gzip;q=0", "gzip;q=0.000", "gzip;q=0, *", "*", "*;q=0", "deflate", "br, zstd",
                         "gzipped", "gzip;q=0.4, identity;q=0.5", "gzip;q=nan", "gzip;q=0.5, *;q=0.6", "identity;q=0",
                         "identity;q=0, gzip;q=0", "\"gzip\"", "not gzip", "gzip;q=0, gzip"}) {
    EXPECT_EQ(choose_coding(no), Coding::kIdentity) << no;
  }
}

}  // namespace
}  // namespace shmetrics::exporter
