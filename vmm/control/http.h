// HTTP/1.1 messages as values, both ends. The parsing itself is Boost.Beast's; sockets are the server's and the
// client's business. One request a connection: every reply says "Connection: close".
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/base/result.h"

namespace twofold::http {

inline constexpr size_t kMaxHeaderBytes = 8 * 1024;
inline constexpr size_t kMaxBodyBytes = 64 * 1024;
inline constexpr size_t kMaxResponseBytes = 4 * 1024 * 1024;  // what a client is willing to hold

struct Request {
  std::string method;                                      // as sent: "GET", "PUT", …
  std::string path;                                        // decoded, without the query: "/vm/walk"
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order sent
  std::string body;
};

struct Response {
  int status = 200;
  std::string body;   // of `type`
  std::string allow;  // for 405: the methods that the path takes
  std::string type = "application/json";
};

// Reads one request out of bytes as they arrive. Holds at most the two limits and what one feed brought. Never throws.
class RequestReader {
 public:
  enum class State { kMore, kDone, kRefused };

  RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;
  ~RequestReader();

  // Takes the next bytes. Once it has answered kDone or kRefused, further bytes are ignored.
  State feed(std::string_view bytes);

  // REQUIRES: State::kDone.
  [[nodiscard]] const Request& request() const { return request_; }
  // REQUIRES: State::kRefused. A reply whose status is 4xx.
  [[nodiscard]] const Response& refusal() const { return refusal_; }

 private:
  struct Parser;
  State refuse(int status, std::string_view why);
  State finish();

  std::unique_ptr<Parser> parser_;
  State state_ = State::kMore;
  Request request_;
  Response refusal_;
};

// The message's bytes on the wire.
[[nodiscard]] std::string to_wire(const Response& response);
[[nodiscard]] std::string to_wire(std::string_view method, std::string_view target, std::string_view body);

// A whole reply, as read until the server closed. Errors: not HTTP, or cut short.
[[nodiscard]] Result<Response> parse_response(std::string_view wire);

// {"error": "…"} with a status.
[[nodiscard]] Response error_response(int status, std::string_view why);

// Percent-encoding (RFC 3986 §2.1): everything but letters, digits and "-._~".
[[nodiscard]] std::string percent_encode(std::string_view text);

// Its inverse; also takes '+' as a space when `form` is set. Nothing for a '%' without two hex digits after it, and
// for an encoded NUL.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text, bool form);

}  // namespace twofold::http
