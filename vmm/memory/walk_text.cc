#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <vector>

#include "vmm/base/size.h"
#include "vmm/memory/walk_view.h"

namespace twofold {

namespace {

using nlohmann::json;

constexpr size_t kLeft = 10;    // columns that the name of a step takes
constexpr size_t kWidth = 100;  // columns of all

// Getters that never throw: what is missing or of another type comes back empty.
const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : "?";
}

std::optional<uint64_t> number(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<int64_t>() >= 0)) return std::nullopt;
  return value.get<uint64_t>();
}

std::string number_text(const json& object, const char* key) {
  const auto value = number(object, key);
  return value ? fmt::format("{}", *value) : "?";
}

bool flag(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

// A "0x…" string, padded with zeros to at least eight digits; others as they are.
std::string address(const json& object, const char* key) {
  std::string raw = text(object, key);
  uint64_t value = 0;
  const char* end = raw.data() + raw.size();
  if (!raw.starts_with("0x")) return raw;
  const auto parsed = std::from_chars(raw.data() + 2, end, value, 16);
  return parsed.ec == std::errc() && parsed.ptr == end ? fmt::format("{:#010x}", value) : raw;
}

std::string size_text(const json& object, const char* key) {
  const auto bytes = number(object, key);
  return bytes ? format_size(*bytes) : "?";
}

const char* mode_text(const std::string& mode) {
  if (mode == "two-level") return "32-bit paging, two levels";
  if (mode == "four-level") return "64-bit paging, four levels";
  if (mode == "pae") return "32-bit paging with PAE, three levels";
  if (mode == "five-level") return "64-bit paging, five levels";
  return mode == "off" ? "paging is off: GPA = GVA" : "?";
}

std::string header(const json& walk) {
  std::string line = "GVA " + address(walk, "gva");
  const json& process = member(walk, "process");
  if (process.is_object()) line += fmt::format(" of {} (pid {})", text(process, "name"), number_text(process, "pid"));
  if (member(walk, "vm").is_string()) line += " in " + text(walk, "vm");
  return fmt::format("{}: {}\n", line, mode_text(text(member(walk, "paging"), "mode")));
}

// The box that cuts the GVA into its indexes and its offset.
std::string split_picture(const json& walk) {
  std::string bits_line, top, middle, bottom, names;
  for (const json& slice : member(walk, "split")) {
    const auto high = number(slice, "high_bit");
    const auto low = number(slice, "low_bit");
    const auto value = number(slice, "value");
    if (!high || !low || !value || *high > 63 || *low > *high) return "";
    const size_t width = *high - *low + 3;
    const std::string name = text(slice, "name");
    std::string line;
    for (size_t i = 0; i < width; ++i) line += "─";
    bits_line += fmt::format(" {:<{}}{}", *high, width - fmt::formatted_size("{}", *low), *low);
    top += (top.empty() ? "┌" : "┬") + line;
    middle += fmt::format("│ {:0{}b} ", *value, width - 2);
    bottom += (bottom.empty() ? "└" : "┴") + line;
    const std::string label =
        name == "offset" ? fmt::format("{} {:#x}", name, *value) : fmt::format("{}[{}]", name, *value);
    names += fmt::format(" {:^{}}", label, width);
  }
  if (top.empty()) return "";
  names.erase(names.find_last_not_of(' ') + 1);
  return fmt::format("\n  {}\n  {}┐\n  {}│\n  {}┘\n  {}\n", bits_line, top, middle, bottom, names);
}

std::string host_state(const json& host) {
  std::string state = text(host, "state");
  if (state == "not-backed") return "no page yet";
  if (state == "swapped") return "swapped out by the host";
  if (state != "present") return state;
  const json& mapping = member(host, "mapping_bytes");
  std::string line = mapping.is_null() ? "present" : format_size(number(host, "mapping_bytes").value_or(0)) + " page";
  if (flag(host, "zero_page")) line += ", zeros";
  if (flag(host, "file_or_shared")) line += ", shared";
  return line;
}

// "GPA … ─▶ HVA … ─▶ HPA …  state": one address of the first dimension through the second.
std::string second_dimension(const std::string& gpa, const json& host) {
  std::string line = fmt::format("GPA {:<12}", gpa);
  if (!member(host, "hva").is_string()) return line + "─▶ no RAM there";
  line += fmt::format("─▶ HVA {:<15}", address(host, "hva"));
  if (member(host, "hpa").is_string()) {
    line += fmt::format("─▶ HPA {:<13}", address(host, "hpa"));
  } else if (text(host, "state") == "present") {
    line += fmt::format("─▶ HPA {:<13}", "(root only)");
  } else {
    line += fmt::format("─▶ {:<17}", "no HPA:");
  }
  return line + " " + host_state(host);
}

std::vector<std::string> flag_words(const json& step) {
  std::vector<std::string> words;
  bool user = false;
  for (const json& word : member(step, "flags")) {
    if (!word.is_string()) continue;
    words.push_back(word.get<std::string>());
    user = user || word == "user";
  }
  if (words.empty()) return {"not present"};
  if (!user) words.emplace_back("kernel-only");
  if (const auto os_bits = number(step, "os_bits").value_or(0); os_bits != 0) {
    words.push_back(fmt::format("os={}", os_bits));
  }
  return words;
}

std::string step_lines(const json& step, bool maps_page) {
  const std::string name = fmt::format("{}[{}]", text(step, "name"), number_text(step, "index"));
  const std::string gpa = address(step, "gpa");
  std::string lines = fmt::format("  {:<{}} {}\n", name, kLeft, second_dimension(gpa, member(step, "host")));
  if (!member(step, "value").is_string()) return lines;
  const std::string indent = fmt::format("  {:<{}} ", "", kLeft);
  std::string line = fmt::format("{}holds {}:", indent, address(step, "value"));
  if (member(step, "target").is_string()) {
    line += fmt::format(" {} at GPA {},", maps_page ? "page" : "table", address(step, "target"));
  }
  for (const std::string& word : flag_words(step)) {
    if (line.size() + 1 + word.size() > kWidth) {
      lines += line + "\n";
      line = indent + word;
    } else {
      line += " " + word;
    }
  }
  return lines + line + "\n";
}

std::string access_text(const json& result) {
  return fmt::format("{} page of the guest: {} may read{}{}", size_text(result, "page_bytes"),
                     flag(result, "user") ? "user and kernel" : "the kernel alone",
                     flag(result, "writable") ? ", write" : "", flag(result, "executable") ? ", execute" : "");
}

std::string walk_lines(const json& walk) {
  std::string lines = fmt::format("\n  {0:<{1}} {2:<20}{3}\n  {0:<{1}} {4:<20}{5}\n", "", kLeft,
                                  "1st dimension:", "2nd dimension: the VMM's memory behind the guest's,",
                                  "the guest's tables", "and the host's pages behind that");
  const json& steps = member(walk, "steps");
  const json& result = member(walk, "result");
  if (!steps.empty()) {
    lines += fmt::format("  {:<{}} {}\n", "CR3", kLeft, address(member(walk, "paging"), "cr3"));
  }
  for (size_t i = 0; steps.is_array() && i < steps.size(); ++i) {
    const bool maps_page = result.is_object() && i + 1 == steps.size();
    lines += step_lines(steps[i], maps_page);
  }
  if (result.is_object()) {
    lines += fmt::format("  {:<{}} {}\n", "the byte", kLeft,
                         second_dimension(address(result, "gpa"), member(result, "host")));
    if (number(result, "page_bytes").value_or(0) != 0) {
      lines += fmt::format("  {:<{}} {}\n", "", kLeft, access_text(result));
    }
  }
  return lines;
}

// The row of numbers for one size of guest page, host pages of 4 KiB and 2 MiB side by side.
std::string reference_table(const json& by_page_size) {
  if (!by_page_size.is_array() || by_page_size.size() < 2) return "";
  std::string table = fmt::format("  {:<20}{:>14}{:>14}\n", "", "host 4 KiB", "host 2 MiB");
  for (size_t i = 0; i + 1 < by_page_size.size(); i += 2) {
    table += fmt::format("  {:<20}{:>14}{:>14}\n", "guest " + size_text(by_page_size[i], "guest_page_bytes"),
                         number_text(by_page_size[i], "references"), number_text(by_page_size[i + 1], "references"));
  }
  return table;
}

// " = PDE 4+1, PTE 4+1, byte 4": each address is translated by the second dimension, each entry then read.
std::string reference_sum(const json& walk) {
  std::string sum;
  const auto add = [&sum](const std::string& name, const json& part, bool is_entry) {
    const uint64_t references = number(part, "references").value_or(0);
    const bool read = is_entry && member(part, "value").is_string() && references > 0;
    sum += fmt::format("{} {} {}{}", sum.empty() ? " =" : ",", name, references - (read ? 1 : 0), read ? "+1" : "");
  };
  for (const json& step : member(walk, "steps")) add(text(step, "name"), step, true);
  if (member(walk, "result").is_object()) add("byte", member(walk, "result"), false);
  return sum;
}

std::string reference_lines(const json& walk) {
  const json& references = member(walk, "references");
  if (!references.is_object()) return "";
  const bool faulted = member(walk, "fault").is_object() && !member(walk, "result").is_object();
  return fmt::format(
      "\n  Memory references, nothing cached: {}{}{}\n"
      "  n guest levels over m nested ones take (n+1)(m+1)-1; a large page saves a level:\n{}",
      number_text(references, "this_walk"), faulted ? " up to the fault" : "", reference_sum(walk),
      reference_table(member(references, "by_page_size")));
}

}  // namespace

std::string walk_text(const json& walk) {
  std::string out = header(walk) + split_picture(walk) + walk_lines(walk);
  const json& fault = member(walk, "fault");
  if (fault.is_object()) out += fmt::format("\n  {}: {}\n", text(fault, "name"), text(fault, "text"));
  return out + reference_lines(walk);
}

}  // namespace twofold
