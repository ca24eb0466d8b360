#include "vmm/cli/commands.h"
namespace twofold::cli {
int doctor_command(bool) {
  return kFailed;
}
}  // namespace twofold::cli
