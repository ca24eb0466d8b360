// Errors of set-up and control, as values.
//
// A message says what was attempted, on what, why it failed and, where there is one, the mend:
//   "cannot load kernel 'a.out': not an ELF file (starts with 7f 00 …)"
// Guest-driven paths do not use this: a guest's mistakes are counted by the device that met them.
#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace twofold {

struct Error {
  std::string message;
  bool host = false;  // the host cannot do it, whatever the user asks for
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// Makes the error value of any Result: `return fail("cannot open '{}': {}", path, why);`
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...), false});
}

// The same, where it is the host that cannot.
template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail_host(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{fmt::format(format, std::forward<Args>(args)...), true});
}

// Hands an error of one Result type on as another's: `if (!x) return pass_on(x);`
template <typename T>
[[nodiscard]] tl::unexpected<Error> pass_on(const Result<T>& result) {
  return tl::unexpected<Error>(result.error());
}

// The text of an errno value; safe in any thread, unlike strerror.
std::string errno_text(int error);

}  // namespace twofold
