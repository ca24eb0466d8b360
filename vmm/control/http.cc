#include "vmm/control/http.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <nlohmann/json.hpp>

#include "vmm/control/json_text.h"

namespace twofold::http {

namespace beast = boost::beast::http;

namespace {

// Splits "a=1&b=2" into decoded pairs. A name without '=' has an empty value.
Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item.empty()) continue;
    const size_t equals = std::min(item.find('='), item.size());
    auto name = percent_decode(item.substr(0, equals), true);
    auto value = percent_decode(item.substr(std::min(item.size(), equals + 1)), true);
    if (!name) return pass_on(name);
    if (!value) return pass_on(value);
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

const char* reason_of(int status) {
  // The text is decoration (RFC 9112 §4); Beast knows it for every registered status.
  return beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status))).data();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// What a parse error means to the client.
std::pair<int, std::string> refusal_of(const boost::system::error_code& error) {
  if (error == beast::error::body_limit) {
    return {413, fmt::format("the request's body is longer than {} bytes", kMaxBodyBytes)};
  }
  if (error == beast::error::header_limit) {
    return {431, fmt::format("the request's header is longer than {} bytes", kMaxHeaderBytes)};
  }
  return {400, fmt::format("not a valid HTTP/1.1 request: {}", error.message())};
}

}  // namespace

// `pending` holds what Beast has not consumed yet: it wants a whole header in one piece.
struct RequestReader::Parser {
  beast::request_parser<beast::string_body> beast;
  std::string pending;
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {
  parser_->beast.header_limit(kMaxHeaderBytes);
  parser_->beast.body_limit(kMaxBodyBytes);
  parser_->beast.eager(true);
}
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::feed(std::string_view bytes) {
  if (state_ != State::kMore) return state_;
  parser_->pending.append(bytes);
  boost::system::error_code error;
  while (!parser_->beast.is_done() && !parser_->pending.empty()) {
    const auto& pending = parser_->pending;
    const size_t consumed = parser_->beast.put(boost::asio::const_buffer(pending.data(), pending.size()), error);
    parser_->pending.erase(0, consumed);
    if (error == beast::error::need_more) break;
    if (error) {
      const auto [status, why] = refusal_of(error);
      return refuse(status, why);
    }
  }
  return parser_->beast.is_done() ? finish() : state_;
}

RequestReader::State RequestReader::refuse(int status, std::string_view why) {
  refusal_ = error_response(status, why);
  parser_->pending.clear();
  return state_ = State::kRefused;
}

RequestReader::State RequestReader::finish() {
  auto& message = parser_->beast.get();
  const std::string_view target(message.target().data(), message.target().size());
  const size_t mark = std::min(target.find('?'), target.size());
  auto path = percent_decode(target.substr(0, mark), false);
  if (!path) return refuse(400, path.error().message);
  auto query = parse_query(target.substr(std::min(target.size(), mark + 1)));
  if (!query) return refuse(400, query.error().message);
  const std::string_view method(message.method_string().data(), message.method_string().size());
  request_ = Request{std::string(method), std::move(*path), std::move(*query), std::move(message.body())};
  return state_ = State::kDone;
}

std::string to_wire(const Response& response) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n{}",
                     response.status, reason_of(response.status), response.type, response.body.size(),
                     response.allow.empty() ? "" : fmt::format("Allow: {}\r\n", response.allow), response.body);
}

std::string to_wire(std::string_view method, std::string_view target, std::string_view body) {
  const std::string about_body =
      body.empty() ? "" : fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n{}", method, target, about_body,
                     body);
}

Result<Response> parse_response(std::string_view wire) {
  beast::response_parser<beast::string_body> parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(kMaxResponseBytes);
  parser.eager(true);
  boost::system::error_code error;
  while (!wire.empty() && !parser.is_done()) {
    wire.remove_prefix(parser.put(boost::asio::const_buffer(wire.data(), wire.size()), error));
    if (error) break;
  }
  if (!error && parser.got_some() && !parser.is_done()) parser.put_eof(error);
  if (error || !parser.is_done()) {
    return fail("not a whole HTTP reply: {}", error ? error.message() : "it ends too early");
  }
  return Response{static_cast<int>(parser.get().result_int()), std::move(parser.get().body()), {}};
}

Response error_response(int status, std::string_view why) {
  return Response{status, json_text(nlohmann::json{{"error", why}}), {}};
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~").find(c) != std::string_view::npos;
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

Result<std::string> percent_decode(std::string_view text, bool form) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += form && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail("the address has a '%' without two hexadecimal digits after it");
    if (high == 0 && low == 0) return fail("the address has a NUL in it");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace twofold::http
