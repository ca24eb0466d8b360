#include "vmm/control/doctor.h"

#include <nlohmann/json.hpp>

#include "vmm/cli/commands.h"
#include "vmm/control/json_text.h"

namespace twofold::cli {

int doctor_command(bool json) {
  const DoctorReport report = examine(read_host_facts());
  fmt::print("{}", json ? json_text(to_json(report), 2) + "\n" : report_text(report));
  return report.ok ? kOk : kFailed;
}

}  // namespace twofold::cli
