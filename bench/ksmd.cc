#include "bench/ksmd.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace twofold::bench {

namespace {

const std::string kRoot = "/sys/kernel/mm/ksm/";

std::string read(const std::string& name) {
  std::string value;
  if (!(std::ifstream(kRoot + name) >> value)) throw std::runtime_error("cannot read " + kRoot + name);
  return value;
}

void write(const std::string& name, const std::string& value) {
  std::ofstream file(kRoot + name);
  if (!(file << value << std::flush)) throw std::runtime_error("cannot write " + value + " to " + kRoot + name);
}

}  // namespace

Ksmd::Ksmd() {
  if (read("run") != "0" || read("pages_shared") != "0") throw std::runtime_error("ksmd is at work already");
  for (const char* name : {"run", "pages_to_scan", "sleep_millisecs"}) before_[name] = read(name);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string name;
    if (std::ifstream(entry.path() / "comm") >> name && name == "ksmd") stat_path_ = entry.path() / "stat";
  }
  if (stat_path_.empty()) throw std::runtime_error("no thread ksmd runs here");
}

Ksmd::~Ksmd() {
  try {
    unmerge();
    for (const auto& [name, value] : before_) write(name, value);
  } catch (const std::exception&) {  // nothing more can be done for it
  }
}

void Ksmd::start(Pace pace) {
  write("pages_to_scan", pace == Pace::kMaxedOut ? "20000" : "100");
  write("sleep_millisecs", pace == Pace::kMaxedOut ? "0" : "20");
  write("run", "1");
}

void Ksmd::unmerge() {
  write("run", "2");
  write("run", "0");
}

uint64_t Ksmd::saved_frames() {
  return std::stoull(read("pages_sharing"));
}
uint64_t Ksmd::full_scans() {
  return std::stoull(read("full_scans"));
}

double Ksmd::cpu_seconds() const {
  std::ifstream file(stat_path_);
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;  // proc(5): fields 14 and 15 are utime and stime
  uint64_t user = 0;
  uint64_t system = 0;
  fields >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace twofold::bench
