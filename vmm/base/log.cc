#include "vmm/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

namespace twofold {

void init_log(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("twofold", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("twofold: %l: %v");
  const auto parsed = spdlog::level::from_str(level);
  logger->set_level(parsed == spdlog::level::off && level != "off" ? spdlog::level::info : parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace twofold
