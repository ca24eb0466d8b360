// The built-in devices: /dev/console, /dev/null and /dev/zero.
#pragma once

namespace twofold::kernel {

void add_devices();

}  // namespace twofold::kernel
