#include "vmm/control/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace twofold::http {
namespace {

using ::testing::HasSubstr;
using State = RequestReader::State;

State feed_all(RequestReader& reader, std::string_view wire, size_t step) {
  State state = State::kMore;
  for (size_t at = 0; at < wire.size(); at += step) state = reader.feed(wire.substr(at, step));
  return state;
}

constexpr std::string_view kPut =
    "PUT /vm/state?a=1&b=x%20y+z HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}";

TEST(RequestReader, ReadsARequestHoweverItIsCut) {
  for (size_t step = 1; step <= kPut.size(); ++step) {
    RequestReader reader;
    ASSERT_EQ(feed_all(reader, kPut, step), State::kDone) << step;
    EXPECT_EQ(reader.request().method, "PUT");
    EXPECT_EQ(reader.request().path, "/vm/state");
    EXPECT_EQ(reader.request().body, "{\"a\":1}");
    ASSERT_EQ(reader.request().query.size(), 2U);
    EXPECT_EQ(reader.request().query[0], (std::pair<std::string, std::string>("a", "1")));
    EXPECT_EQ(reader.request().query[1], (std::pair<std::string, std::string>("b", "x y z")));
  }
}

TEST(RequestReader, WaitsForTheWholeBody) {
  RequestReader reader;
  EXPECT_EQ(reader.feed(kPut.substr(0, kPut.size() - 1)), State::kMore);
  EXPECT_EQ(reader.feed(kPut.substr(kPut.size() - 1)), State::kDone);
}

TEST(RequestReader, IgnoresWhatFollowsARequest) {
  RequestReader reader;
  EXPECT_EQ(reader.feed(std::string(kPut) + "GET / HTTP/1.1\r\n\r\n"), State::kDone);
  EXPECT_EQ(reader.request().path, "/vm/state");
  EXPECT_EQ(reader.feed("more"), State::kDone);
  EXPECT_EQ(reader.request().body, "{\"a\":1}");
}

TEST(RequestReader, ReadsChunkedBodies) {
  RequestReader reader;
  const std::string_view wire =
      "PUT /vm/state HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
  ASSERT_EQ(feed_all(reader, wire, 5), State::kDone);
  EXPECT_EQ(reader.request().body, "{\"a\":1}");
}

struct Refused {
  const char* what;
  std::string wire;
  int status;
};

class RequestReaderRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(RequestReaderRefuses, WithAStatus) {
  for (const size_t step : {size_t{1}, size_t{4096}}) {
    RequestReader reader;
    ASSERT_EQ(feed_all(reader, GetParam().wire, step), State::kRefused) << GetParam().what;
    EXPECT_EQ(reader.refusal().status, GetParam().status) << GetParam().what << ": " << reader.refusal().body;
    EXPECT_THAT(reader.refusal().body, HasSubstr("\"error\""));
  }
}

std::string chunked_flood() {
  std::string wire = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) wire += "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  return wire;
}

INSTANTIATE_TEST_SUITE_P(
    All, RequestReaderRefuses,
    ::testing::Values(Refused{"no HTTP", "hello there, how are you\r\n\r\n", 400},
                      Refused{"binary", std::string("\x16\x03\x01\x00\xff\xff\x00\x00\r\n\r\n", 12), 400},
                      Refused{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
                      Refused{"a length that is no number", "PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400},
                      Refused{"a negative length", "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
                      Refused{"two lengths", "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
                      Refused{"a length beyond 64 bits",
                              "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
                      Refused{"a body that says it is long", "PUT / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413},
                      Refused{"a long chunked body", chunked_flood(), 413},
                      Refused{"a long header", "GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n", 431},
                      Refused{"a header without end", "GET / HTTP/1.1\r\n" + std::string(9000, 'a'), 431},
                      Refused{"an escape cut short", "GET /vm%2 HTTP/1.1\r\n\r\n", 400},
                      Refused{"an escape that is no number", "GET /vm?a=%zz HTTP/1.1\r\n\r\n", 400},
                      Refused{"a NUL", "GET /vm%00 HTTP/1.1\r\n\r\n", 400}));

TEST(RequestReader, TakesTheLongestBodyAllowed) {
  RequestReader reader;
  const std::string body(kMaxBodyBytes, 'x');
  EXPECT_EQ(feed_all(reader, to_wire("PUT", "/", body), 1000), State::kDone);
  EXPECT_EQ(reader.request().body, body);
}

// A fixed seed: damaged requests end in some state, and what is accepted stays within the limits.
TEST(RequestReader, SurvivesDamage) {
  std::mt19937 random(20240601);
  for (int round = 0; round < 20000; ++round) {
    std::string wire(kPut);
    for (int i = 0; i < 3; ++i) wire[random() % wire.size()] = static_cast<char>(random());
    RequestReader reader;
    if (feed_all(reader, wire, 1 + random() % wire.size()) == State::kDone) {
      EXPECT_LE(reader.request().body.size(), kMaxBodyBytes);
    }
  }
}

TEST(Http, ResponsesSurviveTheWire) {
  const Response sent{409, R"({"error":"no"})", {}};
  const std::string wire = to_wire(sent);
  const auto received = parse_response(wire);
  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(received->status, 409);
  EXPECT_EQ(received->body, sent.body);
  EXPECT_THAT(wire, HasSubstr("409 Conflict\r\n"));
  EXPECT_THAT(wire, HasSubstr("Connection: close\r\n"));
}

TEST(Http, RefusesResponsesCutShort) {
  const std::string wire = to_wire(Response{200, "0123456789", {}});
  for (size_t length = 0; length < wire.size(); ++length) {
    EXPECT_FALSE(parse_response(wire.substr(0, length))) << length;
  }
  EXPECT_FALSE(parse_response("SSH-2.0-OpenSSH\r\n"));
}

TEST(Http, PercentCodingIsInvertible) {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all), true).value(), all);
  EXPECT_EQ(percent_encode("a b&c"), "a%20b%26c");
  EXPECT_EQ(percent_decode("a+b", false).value(), "a+b");
}

TEST(Http, ErrorsAreJsonWhateverTheyQuote) {
  EXPECT_EQ(error_response(400, "say \"x\"").body, R"({"error":"say \"x\""})");
  EXPECT_EQ(error_response(400, "\xff").body, "{\"error\":\"\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace twofold::http
